"""Single writes: what PutItem, UpdateItem and DeleteItem do, alone, in a batch or in a transaction."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import capacity, items
from headrace.services.dynamodb.engine import keys, projections, syntax, updates, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Table


class Change:
    """A write that was prepared: where, what is there now, and what shall be there."""

    __slots__ = ("item", "new", "old", "place", "table")

    def __init__(self, table: Table, place: bytes, old: bytes | None, new: bytes | None, item: Item) -> None:
        self.table = table
        self.place = place
        self.old = old
        self.new = new
        self.item = item


def refuse_key_updates(table: Table, update: syntax.Update, binding: Binding) -> None:
    """ValidationException when an update changes a part of the key."""
    names = table.schema.names
    for action in update.actions:
        name = binding.parts(action.path)[0]
        if name in names:
            raise ValidationException(
                f"One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
            )


def updated(table: Table, place: bytes, old: bytes | None, key: Item, update: syntax.Update | None, binding: Binding) -> Change:
    """The change that an update makes; without an item there, to one that has only the key."""
    before = key if old is None else items.decode(old)
    after = before if update is None else updates.apply(update, binding, before)
    try:
        size_bytes = values.item_size(after)
        _check_depth(after)
        if table.indexes:
            items.check_index_keys(table, after)
        new = items.encode(after, size_bytes)
    except ValidationException as error:
        if error.message == "Item size has exceeded the maximum allowed size":
            raise ValidationException("Item size to update has exceeded the maximum allowed size") from None
        raise
    return Change(table, place, old, new, after)


def _check_depth(item: Item) -> None:
    """An update can put documents into documents: ValidationException when they nest too deeply."""
    if any("M" in value or "L" in value for value in item.values()):
        values.take_item(item)


def update_answer(wanted: str | None, update: syntax.Update | None, binding: Binding, change: Change) -> Item | Any | None:
    """The Attributes that ReturnValues asks of an update."""
    if wanted in (None, "NONE"):
        return None
    if wanted == "ALL_NEW":
        return change.item
    if wanted == "ALL_OLD":
        return None if change.old is None else items.raw(change.old)
    if update is None:
        return None
    paths = [binding.parts(action.path) for action in update.actions]
    if wanted == "UPDATED_NEW":
        return projections.project(paths, change.item) or None
    return None if change.old is None else projections.project(paths, items.decode(change.old)) or None


def place_of_key(table: Table, key: Item) -> bytes:
    """The place of the item with a key that a caller gave."""
    return keys.of_key(table.schema, key)


def consumed(wanted: str | None, change: Change, *, transactional: bool = False) -> dict[str, Any] | None:
    """ConsumedCapacity of a change, if the caller wants it."""
    old_size = 0 if change.old is None else items.size_of(change.old)
    new_size = 0 if change.new is None else items.size_of(change.new)
    units = capacity.write_units(old_size, new_size, transactional=transactional)
    indexed = wanted in ("TOTAL", "INDEXES") and bool(change.table.indexes)
    before = items.decode(change.old) if indexed and change.old is not None else None
    after = change.item if indexed and change.new is not None else None
    return capacity.written(wanted, change.table, units, before, after)
