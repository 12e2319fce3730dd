"""Workers: steps repeat, are woken, never run twice at once, and survive their failures."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from conftest import eventually
from headrace.store.signals import Signals
from headrace.workers import Runner, Worker


@pytest.fixture
def signals() -> Signals:
    return Signals()


@pytest.fixture
def runner(signals: Signals) -> Iterator[Runner]:
    running = Runner(lambda name: name, signals)
    yield running
    running.stop()


def counting(wait: float | None) -> tuple[list[str], Callable[[str], float | None]]:
    calls: list[str] = []

    def step(ctx: str) -> float | None:
        calls.append(ctx)
        return wait

    return calls, step


def test_step__zero_runs_again_at_once(runner: Runner) -> None:
    calls, step = counting(0.0)
    runner.add(Worker("busy", step))
    eventually(lambda: len(calls) > 50)
    assert calls[0] == "busy"


def test_step__none_waits_for_its_topic(runner: Runner, signals: Signals) -> None:
    calls, step = counting(None)
    runner.add(Worker("idle", step, (b"topic",)))
    eventually(lambda: len(calls) == 1)
    signals.announce([b"other"])
    signals.announce([b"topic"])
    eventually(lambda: len(calls) == 2)


def test_step__announcement_while_it_runs_is_not_lost(runner: Runner, signals: Signals) -> None:
    entered, leave, calls = threading.Event(), threading.Event(), []

    def step(ctx: str) -> None:
        calls.append(ctx)
        entered.set()
        leave.wait(10)

    runner.add(Worker("slow", step, (b"topic",)))
    assert entered.wait(10)
    signals.announce([b"topic"])
    assert len(calls) == 1
    leave.set()
    eventually(lambda: len(calls) == 2)


def test_step__failure_is_tried_again(runner: Runner) -> None:
    calls = []

    def step(ctx: str) -> None:
        calls.append(ctx)
        if len(calls) < 3:
            raise ValueError("planned")

    runner.add(Worker("failing", step))
    eventually(lambda: len(calls) == 3)


def test_remove__no_step_begins_afterwards(runner: Runner) -> None:
    calls, step = counting(0.0)
    runner.add(Worker("busy", step))
    eventually(lambda: calls)
    runner.remove("busy")
    eventually(lambda: runner.names() == [])
    time.sleep(0.05)
    count = len(calls)
    time.sleep(0.05)
    assert len(calls) == count


def test_add__a_name_runs_once(runner: Runner) -> None:
    first, step = counting(None)
    second, other = counting(None)
    runner.add(Worker("one", step))
    runner.add(Worker("one", other))
    eventually(lambda: first)
    assert second == []
