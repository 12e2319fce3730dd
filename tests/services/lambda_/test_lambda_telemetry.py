"""AWS's Telemetry API and the older Logs API: what extensions are told of a function, in batches."""

import json
import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import eventually
from tests.services.lambda_.test_lambda_extensions import HEAD

from headrace.services.lambda_.engine import telemetry
from headrace.services.lambda_.engine.function import LogSettings
from headrace.services.lambda_.engine.telemetry import LOGS_PATH, TELEMETRY_PATH, Invalid

Workbench = Any
# Listens, subscribes, and writes each batch that it gets to its log.
SUBSCRIBES = """
    import http.server
    class Taker(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_POST(self):
            global refuse
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if refuse:
                refuse -= 1
                self.send_error(500)
                return
            say("batch", self.path, data.decode())
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"OK")
        def log_message(self, *_):
            pass
    refuse = REFUSE
    taker = http.server.ThreadingHTTPServer(("sandbox.localdomain", 8080), Taker)
    threading.Thread(target=taker.serve_forever, daemon=True).start()
    id = register("INVOKE", "SHUTDOWN")
    say("subscribed", *ask("PUT", PATH, BODY, Lambda_Extension_Identifier=id)[:2])
    while next_event(id)["eventType"] == "INVOKE":
        pass
    say("ended")
"""
HANDLER = "def handler(event, context):\n    print('one')\n    print('{\"two\": 2}')\n    return event\n"


def subscriber(path: str = TELEMETRY_PATH, refuse: int = 0, **asked: Any) -> str:
    """The source of an extension that subscribes."""
    body = {"schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25}}
    body["destination"] = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/take?a=b"}
    body = {name: value for name, value in {**body, **asked}.items() if value is not None}
    return SUBSCRIBES.replace("PATH", repr(path)).replace("BODY", repr(body)).replace("REFUSE", str(refuse))


def start(bench: Workbench, *programs: str, **changes: Any) -> Any:
    """A function with these extensions: one, two, …"""
    folder: Path = bench.folder / uuid.uuid4().hex
    (folder / "extensions").mkdir(parents=True)
    for name, program in zip(("one", "two", "three"), programs, strict=False):
        path = folder / "extensions" / name
        path.write_text(HEAD + textwrap.dedent(program))
        path.chmod(0o755)
    return bench.function(HANDLER, layers=folder, **changes)


def batches(lines: list[str], name: str = "one") -> list[list[dict[str, Any]]]:
    """What an extension has got, from its log."""
    head = f"{name} batch /take?a=b "
    return [json.loads(line.removeprefix(head)) for line in list(lines) if line.startswith(head)]


def got(lines: list[str], name: str = "one") -> list[dict[str, Any]]:
    """All that an extension has got."""
    return [event for batch in batches(lines, name) for event in batch]


def test_events__of_an_environments_whole_life(bench: Workbench) -> None:
    function = start(bench, subscriber())
    first, second = bench.run(function, 1), bench.run(function, 2)
    assert "one subscribed 200 OK\n" in first.lines
    bench.engine.retire(function.arn)
    eventually(lambda: "one ended\n" in second.lines)
    events = got(first.lines + second.lines)
    invocation = ["platform.start", "function", "function", "platform.runtimeDone", "platform.report"]
    kinds = ["platform.initStart", "platform.telemetrySubscription", "platform.initRuntimeDone", "platform.extension"]
    assert [event["type"] for event in events] == [*kinds, "platform.initReport", *invocation, *invocation]
    by_kind = {event["type"]: event["record"] for event in events}
    assert by_kind["platform.telemetrySubscription"] == {"name": "one", "state": "Subscribed", "types": ["platform", "function"]}
    assert by_kind["platform.extension"] == {"name": "one", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert by_kind["platform.initStart"]["functionName"] == function.name
    assert by_kind["platform.initReport"]["metrics"]["durationMs"] > 0
    assert [event["record"] for event in events if event["type"] == "function"] == ["one", '{"two": 2}'] * 2
    assert by_kind["platform.report"]["metrics"]["billedDurationMs"] >= 1
    assert by_kind["platform.report"]["status"] == by_kind["platform.runtimeDone"]["status"] == "success"
    assert by_kind["platform.start"]["requestId"] == by_kind["platform.report"]["requestId"]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_batches__wait_for_their_time(bench: Workbench) -> None:
    function = start(bench, subscriber(buffering={"timeoutMs": 30_000}))
    runs = [bench.run(function, n) for n in range(4)]
    assert got([line for ran in runs for line in ran.lines]) == []
    bench.engine.retire(function.arn)
    eventually(lambda: "one ended\n" in runs[-1].lines)
    (batch,) = batches([line for ran in runs for line in ran.lines])
    assert [event["type"] for event in batch].count("platform.report") == 4


def test_batches__are_full_before(bench: Workbench) -> None:
    writes = textwrap.dedent("""
        def handler(event, context):
            for n in range(2_500):
                print(n)
    """)
    asked = subscriber(buffering={"timeoutMs": 30_000, "maxItems": 1_000}, types=["function"])
    function = start(bench, asked, memory_mib=256)
    (function.code / "app.py").write_text(writes)
    ran = bench.run(function)
    bench.engine.retire(function.arn)
    eventually(lambda: "one ended\n" in ran.lines)
    assert [len(batch) for batch in batches(ran.lines)] == [1_000, 1_000, 500]
    assert [event["record"] for event in got(ran.lines)] == [str(n) for n in range(2_500)]


def test_batches__are_sent_again_until_they_are_taken(bench: Workbench) -> None:
    function = start(bench, subscriber(refuse=2), timeout_seconds=10)
    ran = bench.run(function)
    assert got(ran.lines) == []
    # Frozen in between: each invocation gives the subscriber time.
    more = [ran]

    def taken() -> list[dict[str, Any]]:
        more.append(bench.run(function))
        return got([line for one in more for line in one.lines])

    kinds = [event["type"] for event in eventually(taken)]
    assert kinds[:2] == ["platform.initStart", "platform.telemetrySubscription"]
    assert kinds.count("platform.initStart") == 1
    bench.engine.retire(function.arn)


def test_types__of_extensions_and_two_subscribers(bench: Workbench) -> None:
    quiet = subscriber().replace('say("batch"', 'None and say("batch"')
    talks = """
        id = register("SHUTDOWN")
        say("a word")
        next_event(id)
    """
    # What it says of what it got would come to it again, and so on.
    others = '[one for one in json.loads(data) if not one["record"].startswith("one batch")]'
    careful = subscriber(types=["extension"]).replace(
        'say("batch", self.path, data.decode())', f'(kept := {others}) and say("batch", self.path, json.dumps(kept))'
    )
    function = start(bench, careful, talks, quiet.replace("8080", "8081"))
    ran = bench.run(function)
    bench.engine.retire(function.arn)
    eventually(lambda: "one ended\n" in ran.lines)
    records = [event["record"] for event in got(ran.lines) if event["type"] == "extension"]
    assert "two a word" in records
    assert "three subscribed 200 OK" in records
    assert "one" not in records, "what the function writes is of another type"


def test_json_logs__are_records(bench: Workbench) -> None:
    asked = [subscriber(types=["function"]), subscriber(types=["function"], schemaVersion="2022-07-01").replace("8080", "8081")]
    function = start(bench, *asked, logs=LogSettings("JSON"))
    ran = bench.run(function)
    bench.engine.retire(function.arn)
    eventually(lambda: "one ended\n" in ran.lines and "two ended\n" in ran.lines)
    assert [event["record"] for event in got(ran.lines)] == ["one", {"two": 2}]
    assert [event["record"] for event in got(ran.lines, "two")] == ["one", '{"two": 2}']


def test_tcp__is_lines(bench: Workbench) -> None:
    program = """
        listener = socket.create_server(("sandbox.localdomain", 8123))
        def take():
            for line in listener.accept()[0].makefile():
                say("batch", "/take?a=b", json.dumps([json.loads(line)]))
        threading.Thread(target=take, daemon=True).start()
        id = register("SHUTDOWN")
        body = {"schemaVersion": "2022-07-01", "types": ["function"], "destination": {"protocol": "TCP", "port": 8123}}
        ask("PUT", "/2022-07-01/telemetry/", {**body, "buffering": {"timeoutMs": 25}}, Lambda_Extension_Identifier=id)
        next_event(id)
        time.sleep(0.2)
        say("ended")
    """
    function = start(bench, program)
    ran = bench.run(function)
    bench.engine.retire(function.arn)
    eventually(lambda: "one ended\n" in ran.lines)
    assert [event["record"] for event in got(ran.lines)] == ["one", '{"two": 2}']


def test_logs_api__says_less(bench: Workbench) -> None:
    function = start(bench, subscriber(LOGS_PATH, schemaVersion="2020-08-15"))
    ran = bench.run(function)
    bench.engine.retire(function.arn)
    eventually(lambda: "one ended\n" in ran.lines)
    kinds = ["platform.logsSubscription", "platform.extension", "platform.start", "function", "function"]
    assert [event["type"] for event in got(ran.lines)] == [*kinds, "platform.end", "platform.report"]
    start_record = next(event["record"] for event in got(ran.lines) if event["type"] == "platform.start")
    assert sorted(start_record) == ["requestId", "version"]


def test_subscriber__who_never_takes_anything_stops_nobody(bench: Workbench) -> None:
    deaf = """
        listener = socket.create_server(("sandbox.localdomain", 8080), backlog=1)
        id = register("INVOKE")
        body = {"schemaVersion": "2022-07-01", "types": ["platform", "function"], "buffering": {"timeoutMs": 25}}
        body["destination"] = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"}
        ask("PUT", "/2022-07-01/telemetry", body, Lambda_Extension_Identifier=id)
        while True:
            next_event(id)
    """
    function = start(bench, deaf, memory_mib=256)
    writes = "def handler(event, context):\n    for n in range(200):\n        print('x' * 10_000)\n    return 'done'\n"
    (function.code / "app.py").write_text(writes)
    assert [bench.run(function).value for _ in range(3)] == ["done"] * 3
    environment = next(one for warm in bench.engine.pool._idle.values() for one in warm if one.function.arn == function.arn)
    (held,) = environment.telemetry._subscribers.values()
    assert held._held_bytes <= 4 * 262_144
    assert held._dropped[0] > 0
    bench.engine.retire(function.arn)
    eventually(lambda: environment.slot not in bench.engine.pool._slots)


GOOD = {"schemaVersion": "2022-07-01", "types": ["platform"], "destination": {"protocol": "HTTP", "URI": "http://sandbox:80"}}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schemaVersion": "2019-01-01"}, "schemaVersion should be one of"),
        ({"types": []}, "types should not be empty"),
        ({"types": ["all"]}, "types should be among"),
        ({"types": [{}]}, "types should be among"),
        ({"types": 1}, "types should be among"),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}}, "URI port is not provided"),
        ({"destination": {"protocol": "HTTP", "URI": "http://example.com:80"}}, "URI host should be sandbox.localdomain"),
        ({"destination": {"protocol": "HTTP", "URI": "https://sandbox:80"}}, "URI scheme should be http"),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox:80/a\r\nb: c"}}, "URI is not valid"),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox:99999/"}}, "URI is not valid"),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox:80/a b"}}, "URI is not valid"),
        ({"destination": {"protocol": "UDP", "URI": "http://sandbox:80"}}, "protocol should be HTTP or TCP"),
        ({"destination": {"protocol": "TCP"}}, "port is not provided"),
        ({"destination": {"protocol": "TCP", "port": True}}, "port is not provided"),
        ({"destination": []}, "protocol should be"),
        ({"buffering": {"maxItems": 999}}, "buffering maxItems should be between 1000 and 10000"),
        ({"buffering": {"maxItems": "1000"}}, "buffering maxItems should be between 1000 and 10000"),
        ({"buffering": {"maxBytes": 1_048_577}}, "buffering maxBytes should be between 262144 and 1048576"),
        ({"buffering": {"timeoutMs": 24}}, "buffering timeoutMs should be between 25 and 30000"),
        ({"buffering": 7}, "buffering is not an object"),
    ],
)
def test_subscription__refusals(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        telemetry.parse(TELEMETRY_PATH, json.dumps({**GOOD, **changes}).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 200_000])
def test_subscription__no_json(body: bytes) -> None:
    with pytest.raises(Invalid, match="Could not parse"):
        telemetry.parse(TELEMETRY_PATH, body)


def test_subscription__two_wrongs_as_aws_says_them() -> None:
    asked = {**GOOD, "types": [], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}}
    with pytest.raises(Invalid) as raised:
        telemetry.parse(TELEMETRY_PATH, json.dumps(asked).encode())
    assert str(raised.value) == "URI port is not provided; types should not be empty"


def test_subscription__defaults() -> None:
    found = telemetry.parse(TELEMETRY_PATH, json.dumps(GOOD).encode())
    assert (found.items_max, found.bytes_max, found.timeout_seconds) == (1_000, 262_144, 1.0)
    older = telemetry.parse(LOGS_PATH, json.dumps({"destination": GOOD["destination"]}).encode())
    assert (older.items_max, older.types, older.schema) == (10_000, ("platform", "function"), "2020-08-15")
