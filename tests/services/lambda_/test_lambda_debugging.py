"""Functions under a debugger, which really attaches: debugpy's protocol for Python, the inspector's for Node."""

import itertools
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import HeadraceServer, eventually, free_port
from headrace.services.lambda_.engine import debugging, runtimes

CODE = "def handler(event, context):\n    seen = event['n'] + 1\n    return [seen, context.get_remaining_time_in_millis()]\n"
LINE = 3


class Debugger:
    """A client of the Debug Adapter Protocol, as editors are."""

    def __init__(self, port: int) -> None:
        self._socket = eventually(lambda: socket.create_connection(("127.0.0.1", port), 5), 40)
        self._socket.settimeout(40)
        self._stream = self._socket.makefile("rb")
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, command: str, **arguments: Any) -> int:
        number = next(self._numbers)
        body = json.dumps({"seq": number, "type": "request", "command": command, "arguments": arguments}).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return number

    def _read(self) -> dict[str, Any]:
        size = 0
        while (line := self._stream.readline().strip()) or not size:
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        found: dict[str, Any] = json.loads(self._stream.read(size))
        return found

    def answer(self, number: int) -> Any:
        """The answer to a request."""
        while True:
            message = self._read()
            if message["type"] == "response" and message["request_seq"] == number:
                assert message["success"], message
                return message.get("body")
            self._events.append(message)

    def ask(self, command: str, **arguments: Any) -> Any:
        return self.answer(self.send(command, **arguments))

    def event(self, name: str) -> Any:
        """The next event of this name."""
        while True:
            for message in self._events:
                if message.get("event") == name:
                    self._events.remove(message)
                    return message.get("body")
            self._events.append(self._read())

    def attach(self, *breakpoints: int, path: str = "/var/task/app.py") -> None:
        """Attach with breakpoints, and let the program begin."""
        self.ask("initialize", adapterID="debugpy", clientID="test", pathFormat="path", linesStartAt1=True)
        attached = self.send("attach", justMyCode=True)
        self.event("initialized")
        found = self.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": line} for line in breakpoints])
        assert [one["verified"] for one in found["breakpoints"]] == [True] * len(breakpoints)
        self.ask("configurationDone")
        self.answer(attached)

    def stopped_at(self) -> tuple[int, int]:
        """(thread, line) of the next stop."""
        thread = self.event("stopped")["threadId"]
        frame = self.ask("stackTrace", threadId=thread)["stackFrames"][0]
        self.frame = frame["id"]
        return thread, frame["line"]


@pytest.fixture
def debugged(tmp_path: Path) -> Iterator[tuple[HeadraceServer, int]]:
    """A server whose function f waits for a debugger on a port."""
    port = free_port()
    server = HeadraceServer(tmp_path / "data", "--debug", f"f:{port}").start()
    yield server, port
    server.stop()


def make(server: HeadraceServer, zipped: Any, runtime: str, files: dict[str, str]) -> Any:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = server.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    functions = server.client("lambda")
    functions.create_function(
        FunctionName="f", Runtime=runtime, Handler="app.handler", Role=role, Timeout=1, Code={"ZipFile": zipped(files)}
    )
    return functions


class Call:
    """An invocation in another thread."""

    def __init__(self, functions: Any, event: Any) -> None:
        self.answer: Any = None

        def invoke() -> None:
            self.answer = json.loads(functions.invoke(FunctionName="f", Payload=json.dumps(event))["Payload"].read())

        self._thread = threading.Thread(target=invoke, daemon=True)
        self._thread.start()

    def ended(self) -> Any:
        self._thread.join(60)
        return self.answer


def test_python__stops_at_a_breakpoint(debugged: tuple[HeadraceServer, int], zipped: Callable[..., bytes]) -> None:
    server, port = debugged
    functions = make(server, zipped, "python3.11", {"app.py": CODE})
    first = Call(functions, {"n": 1})
    debugger = Debugger(port)
    debugger.attach(LINE)
    thread, line = debugger.stopped_at()
    assert line == LINE
    assert debugger.ask("evaluate", expression="event['n'] + seen", frameId=debugger.frame)["result"] == "3"
    # Longer than the function's timeout of one second.
    time.sleep(1.5)
    debugger.ask("setExpression", expression="seen", value="40", frameId=debugger.frame)
    debugger.ask("continue", threadId=thread)
    answer = first.ended()
    assert answer[0] == 40
    assert answer[1] > 60_000
    # The same environment, under the same debugger; it is not frozen between its invocations.
    time.sleep(0.2)
    debugger.ask("setBreakpoints", source={"path": "/var/task/app.py"}, breakpoints=[{"line": 2}])
    second = Call(functions, {"n": 2})
    thread, line = debugger.stopped_at()
    assert line == 2
    debugger.ask("continue", threadId=thread)
    assert second.ended()[0] == 3
    debugger.ask("disconnect", terminateDebuggee=False)
    debugger.close()
    assert Call(functions, {"n": 7}).ended()[0] == 8


@pytest.mark.skipif(not runtimes.find_node(), reason="no Node.js on this machine")
def test_node__waits_for_its_inspector(debugged: tuple[HeadraceServer, int], zipped: Callable[..., bytes]) -> None:
    server, port = debugged
    functions = make(server, zipped, "nodejs20.x", {"app.js": "exports.handler = async (event) => event.n + 1;\n"})
    call = Call(functions, {"n": 1})

    def targets() -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as found:
            return json.load(found)

    (target,) = eventually(targets, 40)
    assert call.answer is None
    run_inspected(target["webSocketDebuggerUrl"], port)
    assert call.ended() == 2


def run_inspected(url: str, port: int) -> None:
    """Tell the inspector to go on: one message on a WebSocket."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        path = url.partition(f":{port}")[2]
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        connection.sendall(f"{head}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        assert b"101" in connection.recv(4096)
        for number, method in enumerate(
            ("Runtime.enable", "Debugger.enable", "Runtime.runIfWaitingForDebugger", "Debugger.resume")
        ):
            text = json.dumps({"id": number, "method": method}).encode()
            # One frame of text, masked with zeros.
            connection.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
            connection.recv(65536)
        time.sleep(1)


@pytest.mark.parametrize(
    ("wanted", "name", "runtime", "port"),
    [
        ("", "f", "python3.11", 0),
        ("f", "f", "python3.11", 5678),
        ("f", "f", "nodejs20.x", 9229),
        ("f:7000", "f", "python3.11", 7000),
        ("g, Ship:7001", "orders-Ship-1AB2", "python3.11", 7001),
        ("Ship", "orders-Shipping-1AB2", "python3.11", 0),
    ],
)
def test_port__is_as_the_setting_says(wanted: str, name: str, runtime: str, port: int) -> None:
    assert debugging.port_of(wanted, name, runtime) == port


def test_missing__says_why() -> None:
    assert "can't be debugged" in debugging.missing("provided.al2023")
    assert debugging.missing("python3.11") == ""
