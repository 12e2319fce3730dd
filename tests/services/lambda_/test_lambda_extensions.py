"""Extensions: programs in a layer, and parts of a function's own process, that AWS's Extensions API speaks with."""

import os
import sys
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import eventually

Workbench = Any
ECHO = "def handler(event, context):\n    print('handled', event)\n    return event\n"
# What every extension of these tests begins with.
HEAD = f"#!{os.path.realpath(sys.executable)} -S\n" + textwrap.dedent(
    """
    import http.client, json, os, socket, sys, threading, time
    NAME = os.path.basename(sys.argv[0])

    def say(*words):
        print(NAME, *words, flush=True)

    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, json.dumps(body) if body is not None else None, given)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null"), answer.headers

    def register(*events, name=NAME, **headers):
        answer = ask("POST", "/2020-01-01/extension/register", {"events": events}, Lambda_Extension_Name=name, **headers)
        return answer[2]["Lambda-Extension-Identifier"] if answer[0] == 200 else answer

    def next_event(id):
        return ask("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=id)[1]

    def fail(kind, id):
        headers = {"Lambda_Extension_Identifier": id, "Lambda_Extension_Function_Error_Type": "Mine.Broken"}
        return ask("POST", f"/2020-01-01/extension/{kind}/error", {"errorMessage": "broken"}, **headers)
    """
)
LISTENS = """
    id = register("INVOKE", "SHUTDOWN")
    while True:
        event = next_event(id)
        if event["eventType"] == "SHUTDOWN":
            say("told to end:", event["shutdownReason"], event["deadlineMs"] > time.time() * 1000)
            break
        say("told of", event["requestId"], event["invokedFunctionArn"], event["tracing"]["type"], event["deadlineMs"] > 0)
"""


@pytest.fixture
def layer(bench: Workbench) -> Callable[..., Path]:
    """Makes the folder of a layer with extensions: their names and what they do, behind HEAD."""

    def make(**extensions: str) -> Path:
        folder: Path = bench.folder / uuid.uuid4().hex
        (folder / "extensions").mkdir(parents=True)
        for name, body in extensions.items():
            path = folder / "extensions" / name
            path.write_text(body if body.startswith("#!") else HEAD + textwrap.dedent(body))
            path.chmod(0o755)
        return folder

    return make


def named(lines: list[str], word: str) -> list[str]:
    """The lines that begin with a word."""
    return [line.strip() for line in lines if line.startswith(word)]


def test_extension__is_told_of_each_invocation_and_of_the_end(bench: Workbench, layer: Any) -> None:
    function = bench.function(ECHO, layers=layer(one=LISTENS))
    first, second = bench.run(function, "a"), bench.run(function, "b")
    assert (first.value, second.value) == ("a", "b")
    assert first.outcome.init_ms is not None
    assert second.outcome.init_ms is None
    assert first.lines[0] == "EXTENSION\tName: one\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n"
    for ran in (first, second):
        request_id = next(line for line in ran.lines if line.startswith("START")).split()[2]
        assert named(ran.lines, "one told of") == [f"one told of {request_id} {function.arn} X-Amzn-Trace-Id True"]
    bench.engine.retire(function.arn)
    eventually(lambda: "one told to end: spindown True\n" in second.lines)
