"""Extensions: programs in a layer, and parts of a function's own process, that AWS's Extensions API speaks with."""

import base64
import io
import json
import os
import re
import sys
import textwrap
import time
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import eventually
from tests.services.lambda_.conftest import zip_of

from headrace.services.lambda_.engine.environment import Environment

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


def test_extension__without_bubblewrap(open_workbench: Callable[..., Workbench], tmp_path: Path) -> None:
    weak = open_workbench(bubblewrap="/nonexistent/bwrap")
    folder = weak.folder / "layer"
    (folder / "extensions").mkdir(parents=True)
    path = folder / "extensions" / "one"
    path.write_text(HEAD + textwrap.dedent(LISTENS))
    path.chmod(0o755)
    function = weak.function(ECHO, layers=folder, memory_mib=512)
    ran = weak.run(function, "a")
    assert ran.value == "a", ran.lines
    assert len(named(ran.lines, "one told of")) == 1
    weak.engine.retire(function.arn)
    eventually(lambda: "one told to end: spindown True\n" in ran.lines)


def test_extension__written_in_shell(bench: Workbench, layer: Any) -> None:
    script = """#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension
id=$(curl -s -D - -o /dev/null -H "Lambda-Extension-Name: $(basename "$0")" -d '{"events":["INVOKE"]}' $api/register |
    sed -n 's/^Lambda-Extension-Identifier: *//p' | tr -d '\\r')
while true; do
    echo "shell got $(curl -s -H "Lambda-Extension-Identifier: $id" $api/event/next)"
done
"""
    ran = bench.run(bench.function(ECHO, layers=layer(**{"my.sh": script})), 1)
    assert ran.value == 1
    assert '"eventType":"INVOKE"' in named(ran.lines, "shell got")[0]


def test_extension__is_frozen_with_its_environment_and_hears_of_the_end(bench: Workbench, layer: Any) -> None:
    ticks = """
        threading.Thread(target=lambda: [(say("tick"), time.sleep(0.01)) for _ in iter(int, 1)], daemon=True).start()
    """
    function = bench.function(ECHO, layers=layer(one=textwrap.dedent(ticks) + textwrap.dedent(LISTENS)))
    bench.run(function)
    environment = eventually(lambda: [one for one in idle_of(bench, function) if one.frozen])[0]
    time.sleep(0.1)  # it is marked when the order is given: all of it stands a moment later
    written = environment.journal.hear is None and environment.check() and len(environment.journal._held)
    time.sleep(0.2)
    assert environment.check()
    assert len(environment.journal._held) == written, "something ran in a frozen environment"
    again = bench.run(function, 2)
    assert again.value == 2
    assert len(named(again.lines, "one told of")) == 1
    eventually(lambda: environment.frozen)
    bench.engine.retire(function.arn)
    eventually(lambda: "one told to end: spindown True\n" in again.lines)


def idle_of(bench: Workbench, function: Any) -> list[Any]:
    """The idle environments of a function."""
    return [one for warm in bench.engine.pool._idle.values() for one in warm if one.function.arn == function.arn]


def test_extension__is_told_before_scale_to_zero(open_workbench: Callable[..., Workbench], layer: Any) -> None:
    quick = open_workbench(idle_seconds=0.2)
    folder = quick.folder / "layer"
    layer(one=LISTENS).rename(folder)
    ran = quick.run(quick.function(ECHO, layers=folder))
    eventually(lambda: "one told to end: spindown True\n" in ran.lines)


def test_register__says_which_function(bench: Workbench, layer: Any) -> None:
    body = """
        headers = {"Lambda_Extension_Name": NAME, "Lambda_Extension_Accept_Feature": "accountId"}
        status, told, answered = ask("POST", "/2020-01-01/extension/register", {"events": []}, **headers)
        say(status, json.dumps(told, sort_keys=True), sorted(name for name in os.environ if name.startswith(("_", "LAMBDA_"))))
        next_event(answered["Lambda-Extension-Identifier"])
    """
    function = bench.function(ECHO, layers=layer(one=body), environment={"MINE": "1", "_HANDLER": "x"})
    told = {"accountId": "000000000000", "functionName": function.name, "functionVersion": "$LATEST", "handler": "app.handler"}
    assert named(bench.run(function).lines, "one 200") == [f"one 200 {json.dumps(told, sort_keys=True)} []"]


def test_register__refusals(bench: Workbench, layer: Any) -> None:
    body = """
        def kind(answer):
            return f"{answer[0]}:{answer[1]['errorType']}"
        say(kind(ask("POST", "/2020-01-01/extension/register", {"events": []})))
        say(kind(register("NOTHING")))
        say(kind(ask("POST", "/2020-01-01/extension/register", [], Lambda_Extension_Name=NAME)))
        say(kind(register("SHUTDOWN", name="inner")))
        say(kind(ask("GET", "/2020-01-01/extension/event/next")))
        say(kind(ask("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier="x")))
        unknown = "6ca17a4a-0000-4000-8000-000000000000"
        say(kind(ask("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=unknown)))
        id = register()
        say(kind(register()))
        say(kind(ask("POST", "/2020-01-01/extension/init/error", {}, Lambda_Extension_Identifier=id)))
        for n in range(9):
            next_one = register(name=f"inner{n}")
        say(kind(register(name="inner9")))
        fail("init", next_one)
        time.sleep(60)
    """
    ran = bench.run(bench.function(ECHO, layers=layer(one=body)))
    assert [line.split()[1] for line in named(ran.lines, "one ")] == [
        "403:Extension.InvalidExtensionName",
        "403:Extension.InvalidEventType",
        "403:InvalidRequestFormat",
        "403:Extension.InvalidEventType",
        "403:Extension.MissingExtensionIdentifier",
        "403:Extension.InvalidExtensionIdentifier",
        "403:Extension.UnknownExtensionIdentifier",
        "403:Extension.InvalidExtensionState",
        "403:Extension.MissingHeader",
        "403:Extension.TooManyExtensions",
    ]
    assert ran.value["errorType"] == "Extension.InitError"


def test_register__is_closed_after_the_initialisation(bench: Workbench, layer: Any) -> None:
    body = """
        id = register("INVOKE")
        next_event(id)
        say("late:", register(name="late")[1]["errorType"])
        body = {"schemaVersion": "2022-07-01", "types": ["platform"], "destination": {"protocol": "TCP", "port": 8123}}
        say("late:", ask("PUT", "/2022-07-01/telemetry", body, Lambda_Extension_Identifier=id)[1]["errorType"])
        next_event(id)
    """
    ran = bench.run(bench.function(ECHO, layers=layer(one=body)))
    assert named(ran.lines, "one late") == ["one late: Extension.RegistrationClosed", "one late: Telemetry.SubscriptionClosed"]


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        ("sys.exit(3)", "Extension.Crash", "exit status 3"),
        ("register()", "Extension.Crash", "exit code 0"),
        ("register(); os.kill(os.getpid(), 9)", "Extension.Crash", "signal: killed"),
        ("fail('init', register()); sys.exit(1)", "Extension.InitError", "exit status 1"),
        ("#!/nonexistent/program\n", "Extension.LaunchError", "fork/exec /opt/extensions/one: no such file or directory"),
    ],
)
def test_failure__at_init(bench: Workbench, layer: Any, body: str, kind: str, why: str) -> None:
    function = bench.function(ECHO, layers=layer(one=body, two=LISTENS.replace("say(", "say(' ',")))
    for _ in range(2):
        ran = bench.run(function)
        assert ran.outcome.error == "Unhandled"
        assert ran.value["errorType"] == kind
        assert ran.value["errorMessage"].endswith(f" Error: {why}")
        assert any(line.startswith("EXTENSION\tName: one\t") and f"Error Type: {kind}" in line for line in ran.lines), ran.lines
    # The server tells it apart from the function's own failures where environments are set aside too.
    bench.engine.want({f"{function.arn}\n{function.version}\n{function.revision}": 1})
    assert bench.engine.provide(function, lambda stream, lines: None) == kind
    bench.engine.want({})


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        ("os._exit(4)", "Extension.Crash", "exit status 4"),
        ("fail('exit', id); os._exit(0)", "Extension.ExitError", "exit code 0"),
    ],
)
def test_failure__in_an_invocation(bench: Workbench, layer: Any, body: str, kind: str, why: str) -> None:
    program = f"""
        id = register("INVOKE")
        next_event(id)
        next_event(id)
        {body}
    """
    function = bench.function(ECHO, layers=layer(one=program, two=LISTENS))
    assert bench.run(function, 1).value == 1
    ran = bench.run(function, 2)
    assert ran.outcome.error == "Unhandled"
    assert (ran.value["errorType"], ran.value["errorMessage"].split(" Error: ")[1]) == (kind, why)
    assert f"Status: error\tError Type: {kind}" in ran.lines[-1] or any(f"Error Type: {kind}" in line for line in ran.lines)
    eventually(lambda: "two told to end: failure True\n" in ran.lines)
    assert bench.run(function, 3).value == 3


def test_failure__between_invocations_is_no_invocations_failure(bench: Workbench, layer: Any) -> None:
    program = """
        id = register("INVOKE")
        next_event(id)
        threading.Thread(target=next_event, args=(id,), daemon=True).start()
        time.sleep(0.02)
        os._exit(5)
    """
    function = bench.function(ECHO, layers=layer(one=program))
    assert bench.run(function, 1).value == 1
    environment = idle_of(bench, function)[0]
    eventually(lambda: not environment.check() or environment.frozen)
    again = bench.run(function, 2)
    assert again.value == 2


def test_timeout__of_one_that_never_asks_for_its_first_event(
    bench: Workbench, layer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Environment.start, "__defaults__", (0.8,))
    function = bench.function(ECHO, layers=layer(one="register('SHUTDOWN'); time.sleep(60)"), timeout_seconds=0.5)
    ran = bench.run(function)
    assert ran.value["errorType"] == "Sandbox.Timedout"
    assert ran.outcome.error == "Unhandled"
    assert any(line.startswith("INIT_REPORT") and "Status: timeout" in line for line in ran.lines), ran.lines


def test_timeout__of_one_that_never_asks_for_the_next_event(bench: Workbench, layer: Any) -> None:
    stuck = """
        next_event(register("INVOKE"))
        time.sleep(60)
    """
    function = bench.function(ECHO, layers=layer(one=stuck, two=LISTENS), timeout_seconds=1)
    early: list[Any] = []
    ran = bench.run(function, "x", answered=early.append)
    assert [(outcome.payload, outcome.error) for outcome in early] == [(b'"x"', None)]
    assert ran.outcome.error == "Unhandled"
    assert ran.value["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert ran.outcome.billed_ms >= 1000
    eventually(lambda: "two told to end: timeout True\n" in ran.lines)


def test_billing__has_what_extensions_do_after_the_function(bench: Workbench, layer: Any) -> None:
    slow = """
        id = register("INVOKE")
        while next_event(id):
            time.sleep(0.3)
    """
    function = bench.function(ECHO, layers=layer(one=slow))
    bench.run(function)
    outcome = bench.run(function).outcome
    assert 300 <= outcome.duration_ms < 2000
    assert outcome.billed_ms >= outcome.duration_ms
    assert outcome.extensions_ms is not None
    assert 200 < outcome.extensions_ms <= outcome.duration_ms


def test_shutdown__those_who_do_not_end_are_killed(bench: Workbench, layer: Any) -> None:
    stays = """
        id = register("SHUTDOWN")
        next_event(id)
        while True:
            say("still here")
            time.sleep(0.1)
    """
    function = bench.function(ECHO, layers=layer(one=stays))
    bench.run(function)
    environment = idle_of(bench, function)[0]
    began = time.monotonic()
    bench.engine.retire(function.arn)
    assert time.monotonic() - began < 0.5, "somebody waited for it"
    eventually(lambda: environment.slot not in bench.engine.pool._slots)
    assert 1.5 < time.monotonic() - began < 6


def test_runtime__gets_a_signal_and_its_exit_is_seen(bench: Workbench, layer: Any) -> None:
    body = """
        import os, signal, sys
        def end(*_):
            print("asked to end", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        def handler(event, context):
            os._exit(7) if event == "die" else None
            return event
    """
    # AWS's client heeds signals while it waits from this version on.
    variables = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"}
    function = bench.function(textwrap.dedent(body), layers=layer(one=LISTENS), environment=variables)
    died = bench.run(function, "die")
    assert died.value["errorMessage"].endswith("Runtime exited with error: exit status 7")
    ran = bench.run(function, "a")
    bench.engine.retire(function.arn)
    eventually(lambda: "asked to end\n" in ran.lines and "one told to end: spindown True\n" in ran.lines)
    assert ran.lines.index("asked to end\n") < ran.lines.index("one told to end: spindown True\n")


INTERNAL = """
    import http.client, json, os, threading
    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, json.dumps(body) if body is not None else None, given)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null"), answer.headers
    refused = ask("POST", "/2020-01-01/extension/register", {"events": ["SHUTDOWN"]}, Lambda_Extension_Name="inner")[1]
    id = ask("POST", "/2020-01-01/extension/register", {"events": ["INVOKE"]}, Lambda_Extension_Name="inner")[2]
    id = id["Lambda-Extension-Identifier"]
    told = []
    def listen():
        while True:
            told.append(ask("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=id)[1]["eventType"])
    threading.Thread(target=listen, daemon=True).start()
    def handler(event, context):
        return [refused["errorType"], told]
"""


def test_internal_extension(bench: Workbench) -> None:
    function = bench.function(INTERNAL)
    first, second = bench.run(function), bench.run(function)
    assert first.value[0] == "Extension.InvalidEventType"
    assert second.value[1][0] == "INVOKE"
    assert first.lines[0] == "EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]\n"
    bench.engine.retire(function.arn)


def test_reach__another_environments_api(bench: Workbench, layer: Any) -> None:
    if not bench.engine._sandbox.private_network:
        pytest.skip("functions share the host's network here")
    first = bench.function(ECHO, layers=layer(one="id = register('INVOKE'); say('id', id)\nwhile True: next_event(id)"))
    id = named(bench.run(first).lines, "one id")[0].split()[2]
    other = f"""
        answer = ask("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier="{id}")
        say("answered", answer[0], answer[1]["errorType"])
        interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
        say("sees", *interfaces)
        while True: next_event(id) if "id" in globals() else globals().update(id=register())
    """
    ran = bench.run(bench.function(ECHO, layers=layer(two=other)))
    assert named(ran.lines, "two answered") == ["two answered 403 Extension.UnknownExtensionIdentifier"]
    assert named(ran.lines, "two sees") == ["two sees lo"]
    assert bench.run(first).value is None


def test_invoke__answers_before_extensions_have_done(caller: Any, client: Any, server: Any) -> None:
    slow = """
        id = register("INVOKE")
        while next_event(id):
            time.sleep(1.5)
            say("is done")
    """
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as package:
        info = zipfile.ZipInfo("extensions/slow")
        info.external_attr = 0o755 << 16
        package.writestr(info, HEAD + textwrap.dedent(slow))
    layer = caller.client.publish_layer_version(LayerName="slow", Content={"ZipFile": data.getvalue()})
    name = caller.make(ECHO, Layers=[layer["LayerVersionArn"]], Timeout=10)
    caller.call(name, 0)
    began = time.monotonic()
    assert caller.call(name, 1) == 1
    assert time.monotonic() - began < 1.4
    answer = caller.client.invoke(FunctionName=name, Payload=b"2", LogType="Tail")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "slow is done\n" in tail
    assert float(re.findall(r"\tDuration: ([\d.]+) ms", tail)[0]) >= 1500
    logs, metrics = client("logs"), client("cloudwatch")
    group = f"/aws/lambda/{name}"

    def reports() -> bool:
        found = logs.filter_log_events(logGroupName=group, filterPattern="REPORT")["events"]
        return len(found) == 3

    eventually(reports)

    def measured() -> bool:
        now = server.page("/_headrace/clock")["now"]
        found = metrics.get_metric_statistics(
            Namespace="AWS/Lambda", MetricName="PostRuntimeExtensionsDuration",
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=now - 600, EndTime=now + 600, Period=3600, Statistics=["SampleCount", "Minimum"],
        )["Datapoints"]  # fmt: skip
        return sum(point["SampleCount"] for point in found) == 3 and min(point["Minimum"] for point in found) > 1000

    eventually(measured)


def test_invoke__an_extension_that_may_not_be_executed(caller: Any) -> None:
    layer = caller.client.publish_layer_version(
        LayerName="plain", Content={"ZipFile": zip_of({"extensions/plain": "no program"})}
    )
    name = caller.make(ECHO, Layers=[layer["LayerVersionArn"]])
    answer = caller.call(name)
    assert answer["errorType"] == "Extension.LaunchError"
    assert answer["errorMessage"].endswith(" Error: fork/exec /opt/extensions/plain: permission denied")


@pytest.mark.parametrize("bubblewrap", [None, "/nonexistent/bwrap"])
def test_extension__is_told_when_the_engine_stops(
    open_workbench: Callable[..., Workbench], layer: Any, bubblewrap: str | None
) -> None:
    own = open_workbench(bubblewrap=bubblewrap)
    folder = own.folder / "layer"
    layer(one=LISTENS).rename(folder)
    ran = own.run(own.function(ECHO, layers=folder, memory_mib=512))
    own.engine.stop()
    assert "one told to end: spindown True\n" in ran.lines
