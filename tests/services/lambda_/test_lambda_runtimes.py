"""Functions in other languages than Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.services.lambda_.engine import runtimes

Workbench = Any

NODE = pytest.mark.skipif(not runtimes.find_node(), reason="no Node.js on this machine")


@pytest.fixture
def make(bench: Workbench) -> Callable[..., Any]:
    """Makes a function from files."""

    def made(runtime: str, handler: str, files: dict[str, str], **changes: Any) -> Any:
        function = bench.function("", runtime=runtime, handler=handler, **changes)
        for name, text in files.items():
            path = function.code / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        return function

    return made


@NODE
@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("app.js", "exports.handler = async (event, context) => ({ event, name: context.functionName === undefined });"),
        ("app.mjs", "export const handler = async (event, context) => ({ event, name: context.functionName === undefined });"),
        ("app.js", "exports.handler = (event, context, callback) => setTimeout(() => callback(null, { event, name: true }), 5);"),
        ("app.cjs", "exports.handler = (event, context) => context.succeed({ event, name: true });"),
    ],
)
def test_node__kinds_of_handlers(bench: Workbench, make: Callable[..., Any], file: str, source: str) -> None:
    function = make("nodejs20.x", "app.handler", {file: source}, timeout_seconds=20)
    for number in range(3):
        ran = bench.run(function, {"n": number})
        assert ran.value == {"event": {"n": number}, "name": True}, ran.lines
    assert ran.outcome.init_ms is None


@NODE
def test_node__module_by_package_json_and_layer(bench: Workbench, make: Callable[..., Any], tmp_path: Path) -> None:
    files = {
        "package.json": '{"type": "module"}',
        "lib/app.js": "import own from './own.js';\nexport const handler = async () => [own, process.env.NODE_ENV ?? 'none'];",
        "lib/own.js": "export default 'own';",
    }
    assert bench.run(make("nodejs20.x", "lib/app.handler", files, timeout_seconds=20)).value == ["own", "none"]
    layer = bench.folder / "layer" / "nodejs" / "node_modules" / "given"
    layer.mkdir(parents=True)
    (layer / "index.js").write_text("module.exports = 'from the layer';")
    environment = {"NODE_PATH": "/opt/nodejs/node_modules"}
    user = make(
        "nodejs20.x", "app.handler", {"app.js": "const given = require('given'); exports.handler = async () => given;"},
        layers=bench.folder / "layer", timeout_seconds=20, environment=environment,
    )  # fmt: skip
    assert bench.run(user).value == "from the layer"


@NODE
def test_node__errors_and_logs(bench: Workbench, make: Callable[..., Any]) -> None:
    source = "exports.handler = async (e) => { console.log('seen', {a: 1}); console.error('bad\\nnews'); "
    source += "throw new TypeError('no ' + e); };"
    ran = bench.run(make("nodejs20.x", "app.handler", {"app.js": source}, timeout_seconds=20), "way")
    assert ran.outcome.error == "Unhandled"
    assert (ran.value["errorType"], ran.value["errorMessage"]) == ("TypeError", "no way")
    assert any(line.endswith("\tINFO\tseen { a: 1 }\n") for line in ran.lines), ran.lines
    assert any(line.endswith("\tERROR\tbad\rnews\n") for line in ran.lines), ran.lines
    for source, kind in (
        ("syntax error(", "SyntaxError"),
        ("exports.other = 1;", "Runtime.HandlerNotFound"),
        ("require('nowhere');", "Error"),
    ):
        ran = bench.run(make("nodejs20.x", "app.handler", {"app.js": source}, timeout_seconds=20))
        assert ran.value["errorType"] == kind, ran.value
    stuck = make("nodejs20.x", "app.handler", {"app.js": "exports.handler = () => new Promise(() => {});"}, timeout_seconds=20)
    assert bench.run(stuck).value["errorType"] == "Runtime.NodeJsExit"
    thrown = "exports.handler = () => new Promise(() => setTimeout(() => { throw new RangeError('late'); }, 1));"
    ran = bench.run(make("nodejs20.x", "app.handler", {"app.js": thrown}, timeout_seconds=20))
    assert ran.value["errorType"] == "RangeError"


@NODE
def test_node__streams_its_response(bench: Workbench, make: Callable[..., Any]) -> None:
    source = """
    exports.handler = awslambda.streamifyResponse(async (event, stream) => {
      if (event.http) stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: "b" } });
      for (const part of ["one,", "two,", "three"]) { stream.write(part); await new Promise((r) => setTimeout(r, 30)); }
      if (event.fail) throw new Error("half way");
      stream.end();
    });
    """
    function = make("nodejs20.x", "app.handler", {"app.js": source}, timeout_seconds=20)
    assert bench.run(function, {}).outcome.payload == b"one,two,three"
    ran = bench.run(function, {"http": True}).outcome
    assert ran.content_type == "application/vnd.awslambda.http-integration-response"
    assert ran.payload == b'{"statusCode":201,"headers":{"a":"b"}}' + bytes(8) + b"one,two,three"
    ran = bench.run(function, {"fail": True})
    assert (ran.outcome.error, ran.value["errorMessage"]) == ("Unhandled", "half way")
    assert bench.run(function, {}).outcome.payload == b"one,two,three"


def test_provided__any_executable(bench: Workbench, make: Callable[..., Any]) -> None:
    script = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  event=$(curl -sS -D /tmp/headers "$api/next")
  id=$(tr -d '\\r' </tmp/headers | awk -F': ' 'tolower($1) == "lambda-runtime-aws-request-id" {print $2}')
  curl -sS -o /dev/null "$api/$id/response" -d "{\\"got\\": $event, \\"handler\\": \\"$_HANDLER\\"}"
done
"""
    function = make(
        "provided.al2023", "any.thing", {"bootstrap": script}, timeout_seconds=20,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "_HANDLER": "any.thing"},  # all that a sandbox sees
    )  # fmt: skip
    for _ in range(2):
        ran = bench.run(function, [1])
        assert ran.value == {"got": [1], "handler": "any.thing"}, ran.lines


def test_provided__without_an_executable(bench: Workbench, make: Callable[..., Any]) -> None:
    ran = bench.run(make("provided.al2023", "x", {}))
    assert ran.value["errorType"] == "Runtime.ExitError"
    assert any("Runtime.InvalidEntrypoint" in line for line in ran.lines), ran.lines


def test_note__says_what_runs_instead(bench: Workbench, make: Callable[..., Any]) -> None:
    function = make("python3.99", "app.handler", {"app.py": "def handler(e, c):\n    return e\n"})
    ran = bench.run(function, 1)
    assert ran.value == 1
    assert "asked for python3.99, which is not installed" in ran.lines[0]
