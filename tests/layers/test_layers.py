"""The layers: log, queue, lease, timer, records and tags on the memory store."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.layers import lease, log, queue, tags, timer
from headrace.layers.records import Records
from headrace.store.memory import MemoryStore


class Row(msgspec.Struct):
    text: str
    number: int = 0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_log__numbers_never_return(store: MemoryStore) -> None:
    assert store.transact(lambda tx: log.append(tx, b"l", [b"a", b"b", b"c"])) == 3
    assert store.transact(lambda tx: log.trim(tx, b"l", 3)) == 3
    assert store.transact(lambda tx: log.append(tx, b"l", [b"d"])) == 4
    assert store.snapshot(lambda tx: log.read(tx, b"l", 0, 10)) == [(4, b"d")]
    assert store.snapshot(lambda tx: (log.first(tx, b"l"), log.last(tx, b"l"))) == (4, 4)


@given(sizes=st.lists(st.integers(0, 5), max_size=10), after=st.integers(0, 20), limit=st.integers(1, 5), most=st.integers(0, 9))
def test_log__reads_what_was_appended(sizes: list[int], after: int, limit: int, most: int) -> None:
    store = MemoryStore()
    for number, size in enumerate(sizes):
        store.transact(lambda tx, n=number, s=size: log.append(tx, b"l", [bytes([n]) * s]))  # type: ignore[misc]
    expected: list[tuple[int, bytes]] = []
    for number, size in list(enumerate(sizes))[after:][:limit]:
        if expected and sum(len(value) for _, value in expected) + size > most:
            break
        expected.append((number + 1, bytes([number]) * size))
    assert store.snapshot(lambda tx: log.read(tx, b"l", after, limit, most)) == expected


def test_log__logs_do_not_mix(store: MemoryStore) -> None:
    store.transact(lambda tx: (log.append(tx, b"a\x00", [b"1"]), log.append(tx, b"b\x00", [b"2"])))
    store.transact(lambda tx: log.drop(tx, b"a\x00"))
    assert store.snapshot(lambda tx: log.read(tx, b"a\x00", 0, 9)) == []
    assert store.snapshot(lambda tx: log.read(tx, b"b\x00", 0, 9)) == [(1, b"2")]


def test_queue__a_job_comes_back_until_it_is_done(store: MemoryStore) -> None:
    q = ("q", "name")
    store.transact(lambda tx: queue.put(tx, q, b"job", 100.0))
    (job,) = store.transact(lambda tx: queue.take(tx, q, 100.0, 30.0))
    assert (job.body, job.attempts) == (b"job", 1)
    assert store.transact(lambda tx: queue.take(tx, q, 129.0, 30.0)) == []
    (again,) = store.transact(lambda tx: queue.take(tx, q, 130.0, 30.0))
    assert (again.number, again.attempts, again.queued_at) == (job.number, 2, 100.0)
    store.transact(lambda tx: queue.done(tx, q, job))
    assert store.snapshot(lambda tx: queue.next_at(tx, q)) == 160.0
    store.transact(lambda tx: queue.done(tx, q, again))
    assert store.snapshot(lambda tx: queue.next_at(tx, q)) is None


def test_queue__put_back_sets_its_time(store: MemoryStore) -> None:
    q = ("q",)
    store.transact(lambda tx: queue.put(tx, q, b"job", 1.0))
    (job,) = store.transact(lambda tx: queue.take(tx, q, 1.0, 30.0))
    store.transact(lambda tx: queue.put_back(tx, q, job, 5.0))
    assert store.transact(lambda tx: queue.take(tx, q, 4.0, 30.0)) == []
    assert len(store.transact(lambda tx: queue.take(tx, q, 5.0, 30.0))) == 1


def test_lease__one_owner_at_a_time(store: MemoryStore) -> None:
    def take(owner: str, now: float) -> Any:
        return store.transact(lambda tx: lease.take(tx, "work", owner, now, 10.0))

    first = take("a", 0.0)
    assert take("b", 5.0) is None
    renewed = take("a", 5.0)
    assert renewed.token == first.token
    second = take("b", 15.1)
    assert second.token > first.token
    with pytest.raises(lease.LeaseLost):
        store.transact(lambda tx: lease.check(tx, "work", renewed))
    store.transact(lambda tx: lease.check(tx, "work", second))
    store.transact(lambda tx: lease.release(tx, "work", "b"))
    assert take("a", 15.2).token > second.token


def test_timer__due_in_order(store: MemoryStore) -> None:
    space = ("space",)
    for at, name in ((3.0, "c"), (1.0, "a"), (2.0, "b")):
        store.transact(lambda tx, at=at, name=name: timer.start(tx, space, at, (name,)))  # type: ignore[misc]
    assert store.snapshot(lambda tx: timer.next_at(tx, space)) == 1.0
    assert [name for _, name, _ in store.snapshot(lambda tx: timer.due(tx, space, 2.0, 10))] == [("a",), ("b",)]
    store.transact(lambda tx: timer.cancel(tx, space, 1.0, ("a",)))
    assert store.snapshot(lambda tx: timer.next_at(tx, space)) == 2.0


def test_records__scan_pages(store: MemoryStore) -> None:
    rows = Records(("s", "row"), Row)
    for number in range(5):
        store.transact(lambda tx, n=number: rows.put(tx, Row("x", n), "account", f"k{n}"))  # type: ignore[misc]
    store.transact(lambda tx: rows.put(tx, Row("other"), "elsewhere", "k0"))
    first = store.snapshot(lambda tx: list(rows.scan(tx, "account", limit=2)))
    assert [row.number for _, row in first] == [0, 1]
    rest = store.snapshot(lambda tx: list(rows.scan(tx, "account", after=first[-1][0])))
    assert [row.number for _, row in rest] == [2, 3, 4]
    back = store.snapshot(lambda tx: list(rows.scan(tx, "account", after=("account", "k2"), reverse=True)))
    assert [row.number for _, row in back] == [1, 0]
    assert store.transact(lambda tx: rows.delete_all(tx, "account")) == 5
    assert store.snapshot(lambda tx: rows.get(tx, "elsewhere", "k0")) == Row("other")


def test_tags__add_and_remove(store: MemoryStore) -> None:
    store.transact(lambda tx: tags.add(tx, "arn", {"a": "1", "b": "2"}))
    store.transact(lambda tx: tags.remove(tx, "arn", ["a"]))
    assert store.snapshot(lambda tx: tags.get(tx, "arn")) == {"b": "2"}
    assert tags.to_list({"b": "2"}) == [{"Key": "b", "Value": "2"}]
    assert tags.from_list([{"Key": "b", "Value": "2"}]) == {"b": "2"}
