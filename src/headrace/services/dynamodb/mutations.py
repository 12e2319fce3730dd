"""Single writes: what PutItem, UpdateItem and DeleteItem do, alone, in a batch or in a transaction."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import capacity, items, limits
from headrace.services.dynamodb.engine import keys, projections, syntax, updates, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Table
from headrace.store.api import Transaction


class Change:
    """A write that was prepared: where, what is there now, and what shall be there.

    `item` is the new item (the key, when it goes); `before` is the old one, decoded once for all who need it: where there are
    indexes, or a caller has decoded it.
    """

    __slots__ = ("before", "item", "new", "old", "place", "table")

    def __init__(
        self, table: Table, place: bytes, old: bytes | None, new: bytes | None, item: Item, before: Item | None = None
    ) -> None:
        self.table = table
        self.place = place
        self.old = old
        self.new = new
        self.item = item
        self.before = items.decode(old) if before is None and old is not None and table.indexed else before


def refuse_key_updates(table: Table, update: syntax.Update, binding: Binding) -> None:
    """ValidationException when an update changes a part of the key."""
    names = table.schema.names
    for action in update.actions:
        name = binding.parts(action.path)[0]
        if name in names:
            raise ValidationException(
                f"One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
            )


def updated(
    table: Table, place: bytes, old: bytes | None, before: Item | None, key: Item, update: syntax.Update | None, binding: Binding
) -> Change:
    """The change that an update makes to the item `before`; without one, to an item that has only the key."""
    start = key if before is None else before
    size_bytes = values.item_size(key) if old is None else items.size_of(old)
    after = start
    if update is not None:
        after = updates.apply(update, binding, start)
        for name in {str(binding.parts(action.path)[0]) for action in update.actions}:
            size_bytes += _size_change(name, start.get(name), after.get(name))
    if size_bytes > limits.ITEM_SIZE_MAX_BYTES:
        raise ValidationException("Item size to update has exceeded the maximum allowed size")
    if table.indexed:
        items.check_index_keys(table, after)
    return Change(table, place, old, items.encode(after, size_bytes), after, before)


def _size_change(name: str, was: values.Value | None, now: values.Value | None) -> int:
    """By how much an attribute makes its item larger."""
    if was is now:
        return 0
    change = 0
    if was is not None:
        change -= values.text_size(name) + values.value_size(was)
    if now is not None:
        # An update can put documents into documents: `take` refuses those that nest too deeply.
        change += values.text_size(name) + (values.take(now) if "M" in now or "L" in now else values.value_size(now))
    return change


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
    return None if change.before is None else projections.project(paths, change.before) or None


def place_of_key(table: Table, key: Item) -> bytes:
    """The place of the item with a key that a caller gave."""
    return keys.of_key(table.schema, key)


def consumed(wanted: str | None, change: Change, *, transactional: bool = False) -> dict[str, Any] | None:
    """ConsumedCapacity of a change, if the caller wants it."""
    old_size = 0 if change.old is None else items.size_of(change.old)
    new_size = 0 if change.new is None else items.size_of(change.new)
    units = capacity.write_units(old_size, new_size, transactional=transactional)
    after = None if change.new is None else change.item
    return capacity.written(wanted, change.table, units, change.before, after)


def carry_out(tx: Transaction, change: Change, now_ms: int) -> None:
    """Write a change."""
    items.write(tx, change.table, change.place, change.old, change.new, change.item, now_ms, before=change.before)
