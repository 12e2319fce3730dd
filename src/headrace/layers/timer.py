"""Timers: things that fall due. Kept in order of their time, so that the next one is found by one look."""

from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction
from headrace.store.tuples import Item


def start(tx: Transaction, space: tuple[Item, ...], due_at: float, name: tuple[Item, ...], value: bytes = b"") -> None:
    """Let `name` fall due at a time (seconds since 1970)."""
    tx.set(tuples.pack(("timer", *space, due_at, name)), value)


def cancel(tx: Transaction, space: tuple[Item, ...], due_at: float, name: tuple[Item, ...]) -> None:
    """Take back what `start` was given."""
    tx.clear(tuples.pack(("timer", *space, due_at, name)))


def due(tx: ReadTransaction, space: tuple[Item, ...], now: float, limit: int) -> list[tuple[float, tuple[Item, ...], bytes]]:
    """(due_at, name, value) of what has fallen due, earliest first."""
    begin, end = tuples.range_of(("timer", *space))
    found = []
    for key, value in tx.range(begin, end, limit=limit):
        due_at, name = tuples.unpack(key)[-2:]
        assert isinstance(due_at, float)
        assert isinstance(name, tuple)
        if due_at > now:
            break
        found.append((due_at, name, value))
    return found


def next_at(tx: ReadTransaction, space: tuple[Item, ...]) -> float | None:
    """When the earliest timer falls due, or None without any."""
    for key, _ in tx.range(*tuples.range_of(("timer", *space)), limit=1):
        due_at = tuples.unpack(key)[-2]
        assert isinstance(due_at, float)
        return due_at
    return None
