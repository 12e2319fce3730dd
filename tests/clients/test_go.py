"""The AWS SDK for Go v2."""

from collections.abc import Callable

from clients.programs import BUILD


def test_go__puts_polls_and_subscribes(run: Callable[..., str]) -> None:
    assert run(BUILD / "go" / "kinesis", "go-sdk", "200") == "ok 200\n"
