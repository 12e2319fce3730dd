"""What was changed in a table, in order, with the items before and after: for recovery to a point in time, and for copies that
are made while writes go on.

An entry is MessagePack of (milliseconds, place, new item, old item), the items as they are kept.
"""

from typing import Any, NamedTuple

import msgspec

from headrace.layers import log
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction


class Entry(NamedTuple):
    """One change of an item."""

    at_ms: int
    place: bytes
    new: bytes | None
    old: bytes | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def log_of(history_id: int) -> bytes:
    """The log of a history."""
    return tuples.pack(("dynamodb", "history", history_id))


def append(tx: Transaction, history: bytes, at_ms: int, place: bytes, new: bytes | None, old: bytes | None) -> None:
    """Write a change down."""
    log.append(tx, history, (_encode((at_ms, place, new, old)),))


def read(raw: bytes) -> Entry:
    """An entry as it was written."""
    return _decode(raw)


def last_until(tx: ReadTransaction, history: bytes, moment_ms: int) -> int:
    """The number of the last change that was made at or before a time, found by halving."""
    low, high = log.first(tx, history), log.last(tx, history)
    if low is None:
        return high
    low -= 1
    while low < high:
        middle = (low + high + 1) // 2
        ((_, raw),) = log.read(tx, history, middle - 1, 1)
        if _decode(raw).at_ms <= moment_ms:
            low = middle
        else:
            high = middle - 1
    return low


def backwards(tx: ReadTransaction, history: bytes, before: int, after: int, limit: int) -> list[tuple[int, Entry]]:
    """(number, change) of the changes with after < number < before, the newest first."""
    begin, end = (history + b"\x01" + number.to_bytes(8, "big") for number in (after + 1, before))
    skip = len(history) + 1
    found: list[tuple[int, Any]] = []
    if begin < end:
        for key, raw in tx.range(begin, end, limit=limit, reverse=True):
            found.append((int.from_bytes(key[skip:], "big"), _decode(raw)))
    return found
