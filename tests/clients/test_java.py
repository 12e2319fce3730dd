"""The AWS SDK for Java 2.x: CBOR, HTTP/2 with prior knowledge, event streams."""

from collections.abc import Callable

from clients.programs import java


def test_java__puts_polls_and_subscribes(run: Callable[..., str]) -> None:
    assert run(*java("headrace.Sdk", "java-sdk", "200")) == "ok 200\n"
