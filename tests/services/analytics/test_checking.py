"""One process checks all SQL, and the application that starts goes on in it."""

import threading
from collections.abc import Iterator

import pytest

from headrace.services.analytics import checking, limits
from headrace.services.analytics.checking import Checker
from headrace.services.analytics.engine.schema import Column, InputSchema, RecordFormat

INPUT = InputSchema("S", [Column("N", "INTEGER", "$.n")], RecordFormat("JSON"))


@pytest.fixture
def checker() -> Iterator[Checker]:
    made = Checker()
    yield made
    made.close()


def streams(checker: Checker, name: str) -> list[str]:
    code = f'CREATE STREAM "{name}" (N INTEGER);'
    return [one.name for one in checker.ask(lambda engine: engine.check(code, [INPUT]))]


def test_take__the_process_that_checked_goes_on_with_the_application(checker: Checker) -> None:
    assert "A" in streams(checker, "A")
    checked_in = checker.ask(lambda engine: engine.process_id)
    taken = checker.take()
    try:
        assert taken.process_id == checked_in is not None
        assert "B" in streams(checker, "B")
        assert checker.ask(lambda engine: engine.process_id) not in (None, checked_in)
    finally:
        taken.close()


def test_take__not_one_that_has_ended_or_is_busy(checker: Checker) -> None:
    checker.ask(lambda engine: engine.close())
    assert checker.take().process_id is None
    inside, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=checker.ask, args=(lambda engine: (inside.set(), done.wait(10)),))
    thread.start()
    inside.wait(10)
    assert checker.take().process_id is None
    done.set()
    thread.join()


def test_checks_at_once__each_gets_its_own_answer(checker: Checker) -> None:
    found: dict[str, list[str]] = {}

    def check(name: str) -> None:
        found[name] = streams(checker, name)

    threads = [threading.Thread(target=check, args=(f"S{n}",)) for n in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 12
    assert all(name in names for name, names in found.items())


def test_rest__ends_the_process_that_nobody_uses(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    streams(checker, "A")
    checker.rest()
    assert checker.ask(lambda engine: engine.process_id) is not None
    monkeypatch.setattr(limits, "CHECKER_IDLE_SECONDS", -1.0)
    checker.rest()
    assert checker.ask(lambda engine: engine.process_id) is None
    assert checking.CHECKER is not checker
