"""Items in the store: one write changes the item, its index entries, its expiry, the counts and the stream together.

An item is kept as its size in 4 bytes and its JSON in DynamoDB's own form, so an answer is built without decoding it. What a
write costs is what most of the service costs: nothing here is decoded or encoded that need not be.
"""

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import history, limits, state
from headrace.services.dynamodb.engine import keys, values
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Index, Table
from headrace.services.dynamodb.vectors import VectorIndex
from headrace.store.api import Transaction

INSERT, MODIFY, REMOVE = 0, 1, 2
_SIZE_BYTES = 4
_encode: Callable[[Any], bytes] = msgspec.json.encode
_encode_change: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Item] = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode
_pack_counts = struct.Struct(">QQ").pack
_unpack_counts = struct.Struct(">QQ").unpack


def encode(item: Item, size_bytes: int) -> bytes:
    """An item as it is kept; ValidationException when it is too large."""
    if size_bytes > limits.ITEM_SIZE_MAX_BYTES:
        raise ValidationException("Item size has exceeded the maximum allowed size")
    return size_bytes.to_bytes(_SIZE_BYTES, "big") + _encode(item)


def decode(stored: bytes) -> Item:
    """The item of what is kept."""
    return _decode(stored[_SIZE_BYTES:])


def decode_json(raw_item: msgspec.Raw) -> Item:
    """The item of what `raw` gave."""
    return _decode(raw_item)


def size_of(stored: bytes) -> int:
    """The size of an item that is kept."""
    return int.from_bytes(stored[:_SIZE_BYTES], "big")


def raw(stored: bytes) -> msgspec.Raw:
    """The item for an answer, as it is kept."""
    return msgspec.Raw(stored[_SIZE_BYTES:])


def write(
    tx: Transaction,
    table: Table,
    place: bytes,
    old: bytes | None,
    new: bytes | None,
    item: Item,
    now_ms: int,
    *,
    before: Item | None = None,
    by_expiry: bool = False,
) -> None:
    """Put `new` (or nothing) where `old` (or nothing) is. `item` is the new item, or the old one's key when it goes.

    `before` is the old item, where the caller has decoded it already.
    """
    if old is None:
        if new is None:
            return
        event = INSERT
    elif new is None:
        event = REMOVE
    elif old == new or (len(old) == len(new) and (decode(old) if before is None else before) == item):
        # AWS makes no stream record of a change that changes nothing; and then there is nothing to write either.
        return
    else:
        event = MODIFY
    if table.indexed:
        if before is None and old is not None:
            before = decode(old)
        sizes = (0 if old is None else size_of(old), 0 if new is None else size_of(new))
        _write_entries(tx, table, place, before, None if new is None else item, sizes)
        for vector in table.vectors:
            _write_vector(tx, vector, place, before, None if new is None else item)
    if new is None:
        tx.clear(table.prefix + place)
    else:
        tx.set(table.prefix + place, new)
        if table.expiry is not None:
            write_expiry(tx, table, place, item)
    _count(tx, table, place, old, new)
    if table.versions is not None:
        _write_version(tx, table, place, now_ms)
    if table.history is not None:
        history.append(tx, table.history, now_ms, place, new, old)
    if table.logs:
        kept_new, kept_old = new if table.with_new else None, old if table.with_old else None
        _append_change(tx, table, table.logs, place, event, kept_old, kept_new, item, now_ms, by_expiry)
    for logs in table.feeds:
        _append_change(tx, table, logs, place, event, old, new, item, now_ms, by_expiry)


def _write_version(tx: Transaction, table: Table, place: bytes, now_ms: int) -> None:
    """Say when and where an item of a global table was written: always later than before."""
    assert table.versions is not None
    kept = tx.get(table.versions + place)
    if kept is not None:
        now_ms = max(now_ms, int.from_bytes(kept[:8], "big") + 1)
    tx.set(table.versions + place, now_ms.to_bytes(8, "big") + table.region.encode())


def _count(tx: Transaction, table: Table, place: bytes, old: bytes | None, new: bytes | None) -> None:
    counts = table.counts
    key = counts[place[0] * len(counts) >> 8]
    kept = tx.get(key)
    items, size_bytes = (0, 0) if kept is None else _unpack_counts(kept)
    if new is not None:
        items += 1
        size_bytes += int.from_bytes(new[:4], "big")
    if old is not None:
        items -= 1
        size_bytes -= int.from_bytes(old[:4], "big")
    tx.set(key, _pack_counts(items, size_bytes))


def _append_change(
    tx: Transaction,
    table: Table,
    logs: tuple[bytes, ...],
    place: bytes,
    event: int,
    old: bytes | None,
    new: bytes | None,
    item: Item,
    now_ms: int,
    by_expiry: bool,
) -> None:
    # As layers.log.append, whose keys `changes` reads: written out, for this runs with every write.
    log = logs[place[0] * len(logs) >> 8]
    last = log + b"\x00"
    kept = tx.get(last)
    number = (1 if kept is None else int.from_bytes(kept, "big") + 1).to_bytes(8, "big")
    change = (event, now_ms, by_expiry, _encode(keys.key_of(table.schema, item)), new, old)
    tx.set(log + b"\x01" + number, _encode_change(change))
    tx.set(last, number)
    tx.announce(b"log:" + log)


def _write_entries(
    tx: Transaction, table: Table, place: bytes, before: Item | None, item: Item | None, sizes: tuple[int, int]
) -> None:
    for index in table.indexes:
        old_entry = None if before is None else keys.of_entry_if_any(index.schema, before)
        new_entry = None if item is None else keys.of_entry(index.schema, item, index.row.name)
        # An index that is filled may not have reached the item yet; then its entry is neither there nor counted.
        there = old_entry is not None and (not index.row.filling or tx.get(index.prefix + old_entry + place) is not None)
        if old_entry == new_entry and not there:
            continue
        if index.count is not None:
            old_size = entry_size(index, before, sizes[0]) if there and before is not None else 0
            new_size = entry_size(index, item, sizes[1]) if new_entry is not None and item is not None else 0
            count_entries(tx, index.count, (new_entry is not None) - there, new_size - old_size)
        if old_entry == new_entry:
            continue
        if old_entry is not None:
            tx.clear(index.prefix + old_entry + place)
        if new_entry is not None:
            tx.set(index.prefix + new_entry + place, place)


def _write_vector(tx: Transaction, index: VectorIndex, place: bytes, before: Item | None, item: Item | None) -> None:
    old, new = index.entry_if_any(before), None if item is None else index.entry(item)
    # An index that is filled may not have reached the item yet; then its entry is neither there nor counted.
    there = old is not None and (not index.row.filling or tx.get(index.prefix + old.place + place) is not None)
    old_bytes = index.stored_bytes(before) if there and before is not None else 0
    new_bytes = index.stored_bytes(item) if new is not None and item is not None else 0
    count_entries(tx, index.count, (new is not None) - there, new_bytes - old_bytes)
    if old is not None and there and (new is None or new.place != old.place):
        tx.clear(index.prefix + old.place + place)
    if new is not None and (new != old or not there):
        tx.set(index.prefix + new.place + place, new.value)


def entry_size(index: Index, item: Item, size_bytes: int) -> int:
    """The size of what an index shows of an item of this size."""
    if index.projected is None:
        return size_bytes
    return sum(values.text_size(name) + values.value_size(item[name]) for name in index.projected if name in item)


def count_entries(tx: Transaction, key: bytes, entries: int, size_bytes: int) -> None:
    """Add to the counts of an index."""
    if not entries and not size_bytes:
        return
    kept = tx.get(key)
    has, has_bytes = (0, 0) if kept is None else _unpack_counts(kept)
    tx.set(key, _pack_counts(has + entries, has_bytes + size_bytes))


def write_expiry(tx: Transaction, table: Table, place: bytes, item: Item) -> None:
    """Remember when an item expires, if it says so: a whole number of seconds since 1970."""
    seconds = expiry_of(table, item)
    if seconds is not None:
        tx.set(state.EXPIRY + seconds.to_bytes(8, "big") + table.row.id.to_bytes(8, "big") + place, table.expiry_value)


def expiry_of(table: Table, item: Item) -> int | None:
    """When an item expires (seconds since 1970), or None."""
    if table.expiry is None:
        return None
    text = item.get(table.expiry, {}).get("N")
    if text is None or text[0] == "-" or len(text) > 40:
        return None
    seconds = int(text.partition(".")[0])
    return seconds if seconds < 1 << 62 else None


def check_index_keys(table: Table, item: Item) -> None:
    """ValidationException when an attribute of the item can't be the key of an index that it belongs to."""
    for vector in table.vectors:
        vector.entry(item)
    mismatch = None
    for index in table.indexes:
        for key in index.schema.keys:
            try:
                keys.index_content(key, item, index.row.name)
            except keys.IndexMismatch as error:
                # An empty key elsewhere is worse: AWS sees that before it looks at any type.
                mismatch = mismatch or error
    if mismatch is not None:
        raise mismatch


def take(table: Table, item: Item) -> tuple[bytes, bytes]:
    """(place, what is to be kept) of an item that a caller gave; ValidationException when it is not right."""
    size_bytes = values.take_item(item)
    place = keys.of_item(table.schema, item)
    if table.indexed:
        check_index_keys(table, item)
    return place, encode(item, size_bytes)
