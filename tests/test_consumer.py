"""The consumer: every record at least once and in order, retries, halving, dead letters, and its place after a crash."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from fakes import ARN, ListSource, make_context
from headrace.consumer import CHECKPOINTS, LEASE_SECONDS, Consumer, NotNow, Outcome, Subscription, batch_id
from headrace.ports import Ports, SourceRecord
from headrace.store.memory import Crash, Faults, MemoryStore


@dataclass
class Recorder:
    """A handler that notes its batches; `fails` says which of them fail."""

    fails: Callable[[list[str]], Outcome] = lambda batch: Outcome()
    batches: list[list[str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    dead: list[tuple[list[str], str]] = field(default_factory=list)

    def handle(self, ctx: Any, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord]) -> Outcome:
        batch = [record.data.decode() for record in records]
        self.batches.append(batch)
        self.ids.append(batch_id(subscription, shard_id, records))
        return self.fails(batch)

    def give_up(
        self, ctx: Any, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord], reason: str, attempts: int
    ) -> None:
        self.dead.append(([record.data.decode() for record in records], reason))


class ByHand:
    """Stands for the runner: keeps the readers' workers, and steps them until they wait."""

    def __init__(self) -> None:
        self.workers: dict[str, Any] = {}

    def add(self, worker: Any) -> None:
        self.workers[worker.name] = worker

    def remove(self, name: str) -> None:
        self.workers.pop(name)

    def run(self, ctx: Any, look: Any) -> None:
        for _ in range(200):
            look.step(ctx)
            waits = [worker.step(ctx) for worker in list(self.workers.values())]
            if all(wait is None or wait > 1 for wait in waits):
                return
            ctx.clock.advance(max(wait or 0.0 for wait in waits))
        raise AssertionError("the readers never come to rest")


def play(source: ListSource, handler: Recorder, store: Any = None, **options: Any) -> Any:
    ctx = make_context(store, ports=Ports(sources={"fake": source}))
    subscription = Subscription("sub", ctx.account, ctx.region, ARN, **options)
    runner = ByHand()
    look = Consumer("test", lambda _: [subscription], handler).worker(runner)  # type: ignore[arg-type]
    runner.run(ctx, look)
    return ctx


def test_read__batches_in_order() -> None:
    handler = Recorder()
    play(ListSource({"s": [b"a", b"b", b"c", b"d", b"e"]}), handler, batch_size_max=2)
    assert handler.batches == [["a", "b"], ["c", "d"], ["e"]]


def test_read__latest_skips_what_is_there() -> None:
    handler = Recorder()
    play(ListSource({"s": [b"a"]}), handler, start="LATEST")
    assert handler.batches == []


def test_read__children_wait_for_their_parents() -> None:
    source = ListSource({"child": [b"c"], "parent": [b"p"]}, {"child": ("parent",)})
    handler = Recorder()
    play(source, handler)
    assert handler.batches == [["p"]]
    source.closed.add("parent")
    handler.batches.clear()
    play(source, handler)
    assert handler.batches == [["p"], ["c"]]


def test_read__latest_reads_a_child_of_what_it_read_from_its_beginning() -> None:
    handler = Recorder()
    source = ListSource({"parent": [b"old"]})
    ctx = play(source, handler, start="LATEST")
    # The shard is replaced, and its child gets a record before anybody has looked.
    source.values["parent"].append(b"last")
    source.values["child"] = [b"first of the child"]
    source.parents["child"] = ("parent",)
    source.closed.add("parent")
    runner = ByHand()
    subscription = Subscription("sub", ctx.account, ctx.region, ARN, start="LATEST")
    ctx.clock.advance(LEASE_SECONDS + 1)
    runner.run(ctx, Consumer("test", lambda _: [subscription], handler).worker(runner))  # type: ignore[arg-type]
    assert handler.batches == [["last"], ["first of the child"]]


def test_retry__until_it_works() -> None:
    handler = Recorder()
    handler.fails = lambda batch: Outcome("planned") if len(handler.batches) < 4 else Outcome()
    play(ListSource({"s": [b"a", b"b"]}), handler)
    assert handler.batches == [["a", "b"]] * 4
    assert handler.dead == []


def test_retry__exception_counts_as_failure() -> None:
    handler = Recorder()

    def fails(batch: list[str]) -> Outcome:
        if len(handler.batches) < 2:
            raise ValueError("planned")
        return Outcome()

    handler.fails = fails
    play(ListSource({"s": [b"a"]}), handler)
    assert handler.batches == [["a"], ["a"]]


def test_not_now__counts_nothing() -> None:
    handler = Recorder()

    def fails(batch: list[str]) -> Outcome:
        if len(handler.batches) < 5:
            raise NotNow
        return Outcome()

    handler.fails = fails
    play(ListSource({"s": [b"a", b"b"]}), handler, attempts_max=0)
    assert handler.batches == [["a", "b"]] * 5
    assert handler.dead == []


def test_changed_subscription__goes_on_at_once_where_it_was() -> None:
    handler = Recorder()
    source = ListSource({"s": [b"a"]})
    ctx = make_context(None, ports=Ports(sources={"fake": source}))
    subscription = Subscription("sub", ctx.account, ctx.region, ARN)
    runner = ByHand()
    wanted = [subscription]
    look = Consumer("test", lambda _: wanted, handler).worker(runner)  # type: ignore[arg-type]
    runner.run(ctx, look)
    wanted.clear()
    look.step(ctx)
    source.values["s"].append(b"b")
    wanted.append(replace(subscription, batch_size_max=1))
    before = ctx.clock.now()
    runner.run(ctx, look)
    assert handler.batches == [["a"], ["b"]]
    assert ctx.clock.now() - before < 1


def test_retry__goes_on_where_it_failed() -> None:
    handler = Recorder()
    handler.fails = lambda batch: Outcome("planned", failed_from="2") if len(handler.batches) == 1 else Outcome()
    play(ListSource({"s": [b"a", b"b", b"c"]}), handler)
    assert handler.batches == [["a", "b", "c"], ["b", "c"]]


def test_give_up__after_the_last_attempt() -> None:
    handler = Recorder(lambda batch: Outcome("planned") if "bad" in batch else Outcome())
    play(ListSource({"s": [b"bad", b"good"]}), handler, attempts_max=2, batch_size_max=1)
    assert handler.batches == [["bad"], ["bad"], ["bad"], ["good"]]
    assert handler.dead == [(["bad"], "RetryAttemptsExhausted")]


def test_bisect__isolates_the_poison() -> None:
    handler = Recorder(lambda batch: Outcome("planned") if "x" in batch else Outcome())
    play(ListSource({"s": [b"a", b"b", b"x", b"d"]}), handler, attempts_max=0, bisect=True)
    assert handler.dead == [(["x"], "RetryAttemptsExhausted")]
    done = [value for batch in handler.batches if "x" not in batch for value in batch]
    assert done == ["a", "b", "d"]


def test_age__old_records_are_given_up() -> None:
    handler = Recorder()
    play(ListSource({"s": [b"a"]}), handler, age_max_seconds=60)
    assert handler.batches == []
    assert handler.dead == [(["a"], "RecordAgeExceeded")]


def test_parallel__a_key_stays_in_order() -> None:
    handler = Recorder()
    play(ListSource({"s": [f"{k}{n}".encode() for n in range(5) for k in "abcd"]}), handler, parallel=4)
    assert len(handler.batches) > 1
    for key in "abcd":
        assert [v for batch in handler.batches for v in batch if v[0] == key] == [f"{key}{n}" for n in range(5)]


def test_lease__a_second_process_waits() -> None:
    source, store = ListSource({"s": [b"a"]}), MemoryStore()
    first, second = Recorder(), Recorder()
    ctx = play(source, first, store)
    source.values["s"].append(b"b")
    play(source, second, store)
    assert second.batches == []
    other = make_context(store, ports=ctx.ports, clock=ctx.clock)
    other.clock.advance(LEASE_SECONDS + 1)
    subscription = Subscription("sub", other.account, other.region, ARN)
    runner = ByHand()
    runner.run(other, Consumer("test", lambda _: [subscription], second).worker(runner))  # type: ignore[arg-type]
    assert second.batches == [["b"]]


def test_fixed_batches__the_same_batch_after_a_crash() -> None:
    source, store, handler = ListSource({"s": [b"a", b"b"]}), MemoryStore(), Recorder()

    def fails(batch: list[str]) -> Outcome:
        if len(handler.batches) == 1:
            raise Crash
        return Outcome()

    handler.fails = fails
    with pytest.raises(Crash):
        play(source, handler, store, fixed_batches=True)
    source.values["s"].append(b"c")
    again = store.reopen()
    again.transact(lambda tx: tx.clear_range(b"\x02lease", b"\x02leasf"))
    play(source, handler, again, fixed_batches=True)
    assert handler.batches == [["a", "b"], ["a", "b"], ["c"]]
    assert handler.ids[0] == handler.ids[1] != handler.ids[2]


@pytest.mark.parametrize("seed", range(10))
def test_crash__anywhere_loses_nothing(seed: int) -> None:
    source, handler = ListSource({"s": [str(n).encode() for n in range(20)]}), Recorder()
    store = MemoryStore(Faults(seed, crash=0.15))
    for attempt in range(100):
        try:
            ctx = play(source, handler, store, batch_size_max=3)
            break
        except Crash:
            store = store.reopen()
            store._faults = None
            store.transact(lambda tx: tx.clear_range(b"\x02lease", b"\x02leasf"))
            store._faults = Faults(1000 * seed + attempt, crash=0.15)
    seen = [value for batch in handler.batches for value in batch]
    assert list(dict.fromkeys(seen)) == [str(n) for n in range(20)]
    checkpoint = CHECKPOINTS.get(ctx.store, "sub", "s")
    assert checkpoint is not None
    assert checkpoint.position == "20"
