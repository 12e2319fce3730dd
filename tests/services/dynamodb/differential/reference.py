"""A table in plain dicts: what DynamoDB answers by its documents, one operation at a time, and what its stream records."""

import copy
from typing import Any

from tests.services.dynamodb.differential import expressions, values
from tests.services.dynamodb.differential.expressions import Invalid, Path, Tree
from tests.services.dynamodb.differential.values import Item, Value, kind

ITEM_SIZE_MAX_BYTES = 400 * 1024
KEYS = {"p": "S", "s": "N"}
# Index name → (what says the partition, what says the order in it): attributes whose type the table fixes.
INDEXES = {"by-a": (("a",), ("b",)), "by-b": (("p",), ("b",)), "by-many": (("p", "a"), ("b", "s"))}
INDEX_KINDS = {"a": "S", "b": "N"}


class Failed(Exception):
    """An error answer: its code, and the codes of a cancelled transaction's reasons."""

    def __init__(self, code: str, reasons: list[str] | None = None, item: Item | None = None) -> None:
        super().__init__(code)
        self.code, self.reasons, self.item = code, reasons, item


class Table:
    """The items of one table, and its changes in the order in which they happened."""

    def __init__(self) -> None:
        self.items: dict[Any, Item] = {}
        self.changes: list[tuple[str, Item, Item | None, Item | None]] = []

    def get(self, key: Item, projection: list[Path] | None = None) -> Item | None:
        if projection is not None:
            _static(expressions.check_projection, projection)
        found = self.items.get(_place(key))
        if found is None or projection is None:
            return found
        return expressions.projected(found, projection)

    def put(self, item: Item, condition: Tree | None) -> Item | None:
        if condition is not None:
            _static(expressions.check_condition, condition)
        place = _place_of_item(item)
        _check_index_keys(item)
        old = self.items.get(place)
        _require(old, condition)
        self._write(place, item)
        return old

    def delete(self, key: Item, condition: Tree | None) -> Item | None:
        if condition is not None:
            _static(expressions.check_condition, condition)
        place = _place(key)
        old = self.items.get(place)
        _require(old, condition)
        self._write(place, None, key)
        return old

    def update(self, key: Item, actions: list[Tree], condition: Tree | None) -> tuple[Item | None, Item]:
        """(the old item, the new item)."""
        _static(expressions.check_update, actions, tuple(KEYS))
        if condition is not None:
            _static(expressions.check_condition, condition)
        place = _place(key)
        old = self.items.get(place)
        _require(old, condition)
        try:
            new = expressions.updated(copy.deepcopy(key if old is None else old), actions)
        except Invalid:
            raise Failed("ValidationException") from None
        _check_index_keys(new)
        self._write(place, new)
        return old, new

    def transact(self, actions: list[tuple[str, Any, Any, Any]]) -> None:
        """(put | update | delete | check, item or key, update, condition): all of them or none."""
        for name, what, update, condition in actions:
            if name == "update":
                _static(expressions.check_update, update, tuple(KEYS))
            if condition is not None:
                _static(expressions.check_condition, condition)
            if name == "put" and what.get("a") == {"S": ""}:
                # An empty key is seen before the table is looked at: the request is refused, not the transaction cancelled.
                raise Failed("ValidationException")
        places = [_place_of_item(what) if name == "put" else _place(what) for name, what, _, _ in actions]
        if len(set(places)) < len(places):
            raise Failed("ValidationException")
        before, count = dict(self.items), len(self.changes)
        reasons = [self._attempt(*action) for action in actions]
        if any(reason != "None" for reason in reasons):
            self.items = before
            del self.changes[count:]
            raise Failed("TransactionCanceledException", reasons)

    def _attempt(self, name: str, what: Item, update: Any, condition: Tree | None) -> str:
        try:
            if name == "put":
                self.put(what, condition)
            elif name == "update":
                self.update(what, update, condition)
            elif name == "delete":
                self.delete(what, condition)
            else:
                _require(self.items.get(_place(what)), condition)
        except Failed as failure:
            return {"ConditionalCheckFailedException": "ConditionalCheckFailed", "ValidationException": "ValidationError"}[
                failure.code
            ]
        return "None"

    def query(
        self, index: str | None, partitions: list[Value], sorts: list[Tree], filter_: Tree | None, *, forward: bool
    ) -> tuple[list[Item], int]:
        """(the items that pass the filter, in order, how many were looked at)."""
        hash_names, range_names = (("p",), ("s",)) if index is None else INDEXES[index]
        if any(kind(one) != "S" or one["S"] == "" for one in partitions) or not all(_sorts(sort) for sort in sorts):
            raise Failed("ValidationException")
        # Of what says the order, the first ones are asked for without a gap, and all but the last by equality.
        asked = {sort[2 if sort[0] == "compare" else 1][1][0]: sort for sort in sorts}
        if list(range_names[: len(asked)]) != [name for name in range_names if name in asked]:
            raise Failed("ValidationException")
        if any(asked[name][:2] != ("compare", "=") for name in range_names[: max(0, len(asked) - 1)]):
            raise Failed("ValidationException")
        if filter_ is not None:
            _static(expressions.check_condition, filter_)
        found = [
            item
            for item in self.items.values()
            if [item.get(name) for name in hash_names] == partitions and all(name in item for name in range_names)
        ]
        found = [item for item in found if all(expressions.holds(item, sort) for sort in sorts)]
        found.sort(key=lambda item: [values.sort_key(item[name]) for name in range_names], reverse=not forward)
        passed = found if filter_ is None else [item for item in found if expressions.holds(item, filter_)]
        return passed, len(found)

    def scan(self, index: str | None, filter_: Tree | None) -> tuple[list[Item], int]:
        if filter_ is not None:
            _static(expressions.check_condition, filter_)
        names = () if index is None else sum(INDEXES[index], ())
        found = [item for item in self.items.values() if all(name in item for name in names)]
        return [item for item in found if filter_ is None or expressions.holds(item, filter_)], len(found)

    def _write(self, place: Any, new: Item | None, key: Item | None = None) -> None:
        old = self.items.get(place)
        if new is not None and values.item_size(new) > ITEM_SIZE_MAX_BYTES:
            raise Failed("ValidationException")
        if new is None:
            self.items.pop(place, None)
        else:
            self.items[place] = copy.deepcopy(new)
        if old is None and new is None:
            return
        if old is not None and new is not None and values.plain_item(old) == values.plain_item(new):
            return
        keys = {name: (key if new is None else new)[name] for name in KEYS}  # type: ignore[index]
        name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        self.changes.append((name, keys, copy.deepcopy(old), copy.deepcopy(new)))


def _static(check: Any, *arguments: Any) -> None:
    try:
        check(*arguments)
    except Invalid:
        raise Failed("ValidationException") from None


def _require(item: Item | None, condition: Tree | None) -> None:
    if condition is not None and not expressions.holds(item or {}, condition):
        raise Failed("ConditionalCheckFailedException", item=item)


def _place(key: Item) -> Any:
    if set(key) != set(KEYS) or any(kind(key[name]) != wanted for name, wanted in KEYS.items()) or key["p"]["S"] == "":
        raise Failed("ValidationException")
    return (key["p"]["S"], values.number(key["s"]["N"]))


def _place_of_item(item: Item) -> Any:
    if any(name not in item for name in KEYS):
        raise Failed("ValidationException")
    return _place({name: item[name] for name in KEYS})


def _check_index_keys(item: Item) -> None:
    for name, wanted in INDEX_KINDS.items():
        if name in item and (kind(item[name]) != wanted or item[name] == {"S": ""}):
            raise Failed("ValidationException")


def _sorts(tree: Tree) -> bool:
    """Whether the condition on the sort key is of its type, and its bounds are in order."""
    try:
        expressions.check_condition(tree)
    except Invalid:
        return False
    return all(one[0] != "value" or kind(one[1]) == "N" for one in tree[2:] if isinstance(one, tuple))
