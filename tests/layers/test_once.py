"""Once: an attempt that repeats a batch gets what the earlier one got."""

import itertools
from collections.abc import Iterator

from headrace.layers import once
from headrace.store.memory import MemoryStore

BATCH = "ab" * 12


def put(store: MemoryStore, numbers: Iterator[int], data: bytes, attempt: str, batch: str = BATCH, now: float = 0.0) -> int:
    trace = once.trace_id(batch, attempt, 1_700_000_000.0)
    return store.transact(lambda tx: once.append_once(tx, ("stream",), trace, data, now, lambda: next(numbers)))


def test_append_once__a_second_attempt_adds_nothing() -> None:
    store, numbers = MemoryStore(), itertools.count(1)
    assert [put(store, numbers, data, "1" * 16) for data in (b"a", b"b", b"a")] == [1, 2, 3]
    assert [put(store, numbers, data, "2" * 16) for data in (b"a", b"b", b"a", b"a")] == [1, 2, 3, 4]
    assert [put(store, numbers, data, "3" * 16) for data in (b"a", b"a", b"a", b"b")] == [1, 3, 4, 2]


def test_append_once__batches_and_plain_calls_are_their_own() -> None:
    store, numbers = MemoryStore(), itertools.count(1)
    assert put(store, numbers, b"a", "1" * 16) == 1
    assert put(store, numbers, b"a", "1" * 16, "cd" * 12) == 2
    for trace in ("", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "Batch=;;=", "x" * 600):
        before = next(numbers)
        got = store.transact(lambda tx, t=trace: once.append_once(tx, ("stream",), t, b"a", 0.0, lambda: next(numbers)))  # type: ignore[misc]
        assert got == before + 1


def test_forget__after_a_day() -> None:
    store, numbers = MemoryStore(), itertools.count(1)
    put(store, numbers, b"a", "1" * 16)
    assert store.transact(lambda tx: once.forget(tx, once.KEPT_SECONDS - 1)) == 0
    assert store.transact(lambda tx: once.forget(tx, once.KEPT_SECONDS + 1)) == 1
    assert put(store, numbers, b"a", "2" * 16) == 2
    assert store.transact(lambda tx: (list(tx.range(b"\x00", b"\xff")), once.forget(tx, 1e9))[1]) == 1
