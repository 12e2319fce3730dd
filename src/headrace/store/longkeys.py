"""Keys longer than LMDB's 511 bytes, in order among the short ones.

A key up to 480 bytes is its own LMDB key. Of a longer one the first 480 bytes and a zero byte (481 bytes: no short key is so
long) are a *pointer*, whose value is a number; the rest of the key lies in a second database behind that number, and is cut
in the same way when it is long again. So all keys that share a beginning stand together, in order, between the short key that
is equal to the beginning and the next one.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import lmdb

SEGMENT_SIZE_BYTES = 480
_NUMBER_SIZE_BYTES = 8
_COUNTER = b"\x00" * _NUMBER_SIZE_BYTES


class Databases(NamedTuple):
    """LMDB's handles: keys up to 480 bytes and pointers; the rests of longer keys."""

    short: Any
    long: Any


def get(transaction: lmdb.Transaction, databases: Databases, key: bytes) -> bytes | None:
    """The value at a key of any length."""
    located = _locate(transaction, databases, key, create=False)
    if located is None:
        return None
    return cast("bytes | None", transaction.get(located[1], db=located[0]))


def apply(transaction: lmdb.Transaction, databases: Databases, writes: Mapping[bytes, bytes | None]) -> None:
    """Write what a body wrote: values, and None where it cleared a key."""
    for key, value in writes.items():
        if not key:
            raise ValueError("a key is not empty")
        database, physical = databases.short, key
        if len(key) > SEGMENT_SIZE_BYTES:
            located = _locate(transaction, databases, key, create=value is not None)
            if located is None:
                continue
            database, physical = located
        if value is None:
            transaction.delete(physical, db=database)
        else:
            transaction.put(physical, value, db=database)


def _locate(transaction: lmdb.Transaction, databases: Databases, key: bytes, *, create: bool) -> tuple[Any, bytes] | None:
    database = databases.short
    while len(key) > SEGMENT_SIZE_BYTES:
        pointer = key[:SEGMENT_SIZE_BYTES] + b"\x00"
        number = cast("bytes | None", transaction.get(pointer, db=database))
        if number is None:
            if not create:
                return None
            last = int.from_bytes(transaction.get(_COUNTER, db=databases.long) or b"", "big")
            number = (last + 1).to_bytes(_NUMBER_SIZE_BYTES, "big")
            transaction.put(_COUNTER, number, db=databases.long)
            transaction.put(pointer, number, db=database)
        key = number + key[SEGMENT_SIZE_BYTES:]
        database = databases.long
    return database, key


def scan(
    transaction: lmdb.Transaction, databases: Databases, begin: bytes, end: bytes, *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """All pairs with begin <= key < end, in order."""
    return _scan_level(transaction, databases, databases.short, b"", b"", begin, end, reverse)


def _scan_level(
    transaction: lmdb.Transaction,
    databases: Databases,
    database: Any,
    number: bytes,
    before: bytes,
    begin: bytes,
    end: bytes | None,
    reverse: bool,
) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of one level: `number` is what LMDB's keys begin with here, `before` what the whole keys begin with."""
    if end is not None and end <= begin:
        return
    skip = len(number)
    # A pointer covers keys after the one it is made of, so the pointer of begin's own segment counts, too.
    low = (number + begin)[:SEGMENT_SIZE_BYTES]
    high = None if end is None else (number + end)[: SEGMENT_SIZE_BYTES + 1]
    for physical, value in _physical(transaction, database, number, low, high, reverse):
        segment = physical[skip:]
        if len(physical) <= SEGMENT_SIZE_BYTES:
            if segment >= begin and (end is None or segment < end):
                yield before + segment, value
            continue
        segment = segment[:-1]
        inner_begin = _inside(begin, segment)
        inner_end = None if end is None else _inside(end, segment)
        if inner_begin is None or inner_end == b"":
            continue
        yield from _scan_level(
            transaction, databases, databases.long, value, before + segment, inner_begin,
            inner_end if end is not None and end.startswith(segment) else None, reverse,
        )  # fmt: skip


def _inside(bound: bytes, segment: bytes) -> bytes | None:
    """A bound as seen behind a segment: its rest; b"" when all lies behind it; None when all lies before it."""
    if bound.startswith(segment):
        return bound[len(segment) :]
    return b"" if bound < segment else None


def _physical(
    transaction: lmdb.Transaction, database: Any, number: bytes, low: bytes, high: bytes | None, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """LMDB's own pairs from low up to and including high, all beginning with number."""
    cursor = transaction.cursor(db=database)
    if not reverse:
        if not cursor.set_range(low):
            return
        for key, value in _bytes_pairs(cursor.iternext()):
            if (high is not None and key > high) or not key.startswith(number):
                return
            yield key, value
        return
    # From the end: the last key that is not above `high` (or, without one, the last that begins with `number`).
    found = cursor.set_range(high) if high is not None else cursor.set_range(_next_number(number))
    if not found:
        found = cursor.last()
    if not found:
        return
    for key, value in _bytes_pairs(cursor.iterprev()):
        if (high is not None and key > high) or key[: len(number)] > number:
            continue
        if key < low or not key.startswith(number):
            return
        yield key, value


def _bytes_pairs(pairs: Any) -> Iterator[tuple[bytes, bytes]]:
    """LMDB's stubs allow for buffers, which our transactions never give."""
    return cast("Iterator[tuple[bytes, bytes]]", pairs)


def _next_number(number: bytes) -> bytes:
    return (int.from_bytes(number, "big") + 1).to_bytes(_NUMBER_SIZE_BYTES, "big")
