"""An ordered log: values get numbers 1, 2, 3, … as they are appended, and are read from any number on.

Layout: `log + 00` keeps the last number given; `log + 01 + number (8 bytes)` keeps a value. `log` is any key that is no
beginning of another log's key: pack a tuple. Numbers are never used again, whatever is trimmed.
"""

from collections.abc import Iterator, Sequence

from headrace.store.api import ReadTransaction, Transaction

_LAST = b"\x00"
_VALUE = b"\x01"
_END = b"\x02"


def append(tx: Transaction, log: bytes, values: Sequence[bytes]) -> int:
    """Append the values in order and announce the log's topic; the number of the last one."""
    raw = tx.get(log + _LAST)
    number = int.from_bytes(raw, "big") if raw else 0
    for value in values:
        number += 1
        tx.set(log + _VALUE + number.to_bytes(8, "big"), value)
    tx.set(log + _LAST, number.to_bytes(8, "big"))
    tx.announce(topic(log))
    return number


def append_spans(tx: Transaction, log: bytes, values: Sequence[tuple[int, bytes]]) -> int:
    """As `append`, where each value takes so many numbers and is kept at the last of them; the number of the last one.

    So whoever reads from any of a value's numbers on finds it first.
    """
    raw = tx.get(log + _LAST)
    number = int.from_bytes(raw, "big") if raw else 0
    for span, value in values:
        number += span
        tx.set(log + _VALUE + number.to_bytes(8, "big"), value)
    tx.set(log + _LAST, number.to_bytes(8, "big"))
    tx.announce(topic(log))
    return number


def scan(tx: ReadTransaction, log: bytes, after: int) -> Iterator[tuple[int, bytes]]:
    """(number, value) of the values behind the number `after`, one by one as they are asked for."""
    skip = len(log) + 1
    for key, value in tx.range(log + _VALUE + (after + 1).to_bytes(8, "big"), log + _END):
        yield int.from_bytes(key[skip:], "big"), value


def read(tx: ReadTransaction, log: bytes, after: int, limit: int, size_max_bytes: int | None = None) -> list[tuple[int, bytes]]:
    """(number, value) of the values behind the number `after`: at most `limit`, and about `size_max_bytes` (at least one)."""
    skip = len(log) + 1
    found: list[tuple[int, bytes]] = []
    size_bytes = 0
    for key, value in tx.range(log + _VALUE + (after + 1).to_bytes(8, "big"), log + _END, limit=limit):
        size_bytes += len(value)
        if found and size_max_bytes is not None and size_bytes > size_max_bytes:
            break
        found.append((int.from_bytes(key[skip:], "big"), value))
    return found


def last(tx: ReadTransaction, log: bytes) -> int:
    """The last number given; 0 before the first append."""
    raw = tx.get(log + _LAST)
    return int.from_bytes(raw, "big") if raw else 0


def go_on(tx: Transaction, log: bytes, after: int) -> None:
    """Let a new log go on with another one's numbers: its first value gets the number behind `after`."""
    tx.set(log + _LAST, after.to_bytes(8, "big"))


def first(tx: ReadTransaction, log: bytes) -> int | None:
    """The number of the oldest value that is kept, or None."""
    for key, _ in tx.range(log + _VALUE, log + _END, limit=1):
        return int.from_bytes(key[len(log) + 1 :], "big")
    return None


def trim(tx: Transaction, log: bytes, through: int, limit: int = 10_000) -> int:
    """Remove values up to and including the number, oldest first, `limit` at most; how many were removed."""
    keys = [key for key, _ in tx.range(log + _VALUE, log + _VALUE + (through + 1).to_bytes(8, "big"), limit=limit)]
    for key in keys:
        tx.clear(key)
    return len(keys)


def drop(tx: Transaction, log: bytes) -> None:
    """Remove the log with all it holds."""
    tx.clear_range(log + _LAST, log + _END)


def topic(log: bytes) -> bytes:
    """The topic that is announced when the log grows."""
    return b"log:" + log
