"""Pages of items: what Query and Scan share.

A page ends at the limit of items looked at, or with the item that makes it larger than 1 MiB; where it ends is the key that the
next page begins behind.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from headrace.kit.errors import ValidationException
from headrace.operation import Longer, on_event_loop
from headrace.services.dynamodb import items, limits
from headrace.services.dynamodb.engine import keys, projections, values
from headrace.services.dynamodb.engine.syntax import Part
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Index, Table
from headrace.store.api import ReadTransaction

_BAD_START = "The provided starting key is invalid"
_OUTSIDE = "The provided starting key is outside query boundaries based on provided conditions"


class Look(NamedTuple):
    """What to give of each item: all of it (paths None), parts of it, or nothing but its number.

    `projected` are the attributes that can be seen at all, or None for all.
    """

    paths: tuple[tuple[Part, ...], ...] | None
    count_only: bool
    passes: Callable[[Item], bool] | None
    projected: tuple[str, ...] | None


class Page(NamedTuple):
    """What a page gave. `looked`: the items that were looked at, of a table whose contributor insights are on."""

    items: list[Any]
    matched: int
    scanned: int
    size_bytes: int
    last_key: Item | None
    looked: Sequence[bytes] = ()


def stored_items(
    tx: ReadTransaction, table: Table, index: Index | None, begin: bytes, end: bytes, *, reverse: bool
) -> Iterator[bytes]:
    """The items whose places (in the table, or in the index) lie between begin and end."""
    if index is None:
        prefix = table.prefix
        for _, stored in tx.range(prefix + begin, prefix + end, reverse=reverse):
            yield stored
        return
    prefix = index.prefix
    for _, place in tx.range(prefix + begin, prefix + end, reverse=reverse):
        item = tx.get(table.prefix + place)
        # Entry and item are written and removed together.
        assert item is not None
        yield item


def read_page(found: Iterator[bytes], table: Table, index: Index | None, look: Look, limit: int | None) -> Page:
    """Look at items until the page is full. Longer, when that takes long and the event loop waits for it."""
    hurried = on_event_loop()
    given: list[Any] = []
    count = scanned = size_bytes = 0
    stored = b""
    full = False
    projected = look.projected
    looked: list[bytes] = []
    if table.insights is not None:
        found = _remembered(found, looked)
    whole = look.paths is None and projected is None and look.passes is None
    for stored in found:
        scanned += 1
        if whole:
            size_bytes += items.size_of(stored)
            count += 1
            if not look.count_only:
                given.append(items.raw(stored))
        else:
            item = items.decode(stored)
            if projected is None:
                size_bytes += items.size_of(stored)
            else:
                item = {name: item[name] for name in projected if name in item}
                size_bytes += values.item_size(item)
            if look.passes is None or look.passes(item):
                count += 1
                if not look.count_only:
                    given.append(item if look.paths is None else projections.project(look.paths, item))
        if scanned == limit or size_bytes > limits.PAGE_SIZE_MAX_BYTES:
            full = True
            break
        if hurried and (scanned > limits.QUICK_ITEMS_MAX or size_bytes > limits.QUICK_SIZE_MAX_BYTES):
            raise Longer
    last = last_key(table, index, items.decode(stored)) if full else None
    return Page(given, count, scanned, size_bytes, last, looked)


def _remembered(found: Iterator[bytes], looked: list[bytes]) -> Iterator[bytes]:
    for stored in found:
        looked.append(stored)
        yield stored


def last_key(table: Table, index: Index | None, item: Item) -> Item:
    """The key behind which the next page begins: the item's, and with an index that of its entry."""
    key = keys.key_of(table.schema, item)
    return key if index is None else {**{name: item[name] for name in index.schema.names}, **key}


def place_of_start(table: Table, index: Index | None, start: Item) -> bytes:
    """The place of an ExclusiveStartKey; ValidationException when it is none."""
    try:
        values.take_item(start)
    except ValidationException as error:
        raise ValidationException(f"{_BAD_START}: {error.message}") from None
    names = {*table.schema.names, *(() if index is None else index.schema.names)}
    if start.keys() != names:
        raise ValidationException(f"{_BAD_START}: The provided key element does not match the schema")
    parts = (*table.schema.partitions, *table.schema.sorts, *(() if index is None else index.schema.keys))
    for key in parts:
        if not start[key.name].get(key.kind):
            raise ValidationException(f"{_BAD_START}: The provided key element does not match the schema")
    place = keys.of_item(table.schema, start)
    if index is None:
        return place
    entry = keys.of_entry(index.schema, start, index.row.name)
    assert entry is not None
    return entry + place


def narrowed(begin: bytes, end: bytes, start: bytes, *, reverse: bool) -> tuple[bytes, bytes]:
    """The range behind a start; ValidationException when the start lies outside of it."""
    if not begin <= start < end:
        raise ValidationException(_OUTSIDE)
    return (begin, start) if reverse else (start + b"\x00", end)


def segment(number: int, total: int) -> tuple[bytes, bytes]:
    """The places of one of several equal parts of a table: ranges of hashes."""
    begin = (number << 32) // total
    end = ((number + 1) << 32) // total
    return begin.to_bytes(4, "big"), b"\xff" * (keys.HASH_SIZE_BYTES + 1) if end == 1 << 32 else end.to_bytes(4, "big")
