"""Fixtures of these tests: an engine of its own, and a caller through boto3."""

import http.server
import io
import json
import textwrap
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headrace.services.lambda_.engine.engine import Engine, EngineSettings
from headrace.services.lambda_.engine.function import Function, Outcome, Request


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"answer")

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Run:
    """An outcome with its log."""

    outcome: Outcome
    lines: list[str] = field(default_factory=list)

    @property
    def value(self) -> Any:
        """The payload, decoded."""
        return json.loads(self.outcome.payload)


@dataclass
class Workbench:
    """Makes functions from source text and runs them."""

    engine: Engine
    folder: Path
    port: int

    def function(self, body: str, **changes: Any) -> Function:
        """A function whose module is the text."""
        name = uuid.uuid4().hex
        code = self.folder / name
        code.mkdir()
        (code / "app.py").write_text(textwrap.dedent(body))
        values: dict[str, Any] = {
            "arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
            "name": name,
            "version": "$LATEST",
            "revision": "1",
            "handler": "app.handler",
            "code": code,
            "environment": {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"},
        }
        return Function(**{**values, **changes})

    def run(self, function: Function, event: Any = None, answered: Any = None, **changes: Any) -> Run:
        """Invoke once with a JSON event."""
        found: list[str] = []
        request = Request(
            str(uuid.uuid4()),
            json.dumps(event).encode(),
            function.arn,
            lines=lambda _, batch: found.extend(text for _, text in batch),
            answered=answered,
        )
        return Run(self.engine.invoke(function, request, **changes), found)


@pytest.fixture(scope="session")
def open_workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Workbench]]:
    """Makes workbenches with engine settings of their own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engines = []

    def make(**settings: Any) -> Workbench:
        folder = tmp_path_factory.mktemp("lambda")
        for path in (folder, *folder.parents[:3]):
            path.chmod(0o755)
        engine = Engine(EngineSettings(folder / "run", server.server_port, **settings))
        engines.append(engine)
        return Workbench(engine, folder, server.server_port)

    yield make
    for engine in engines:
        engine.stop()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def bench(open_workbench: Callable[..., Workbench]) -> Workbench:
    """The workbench with what this host permits."""
    return open_workbench()


def zip_of(files: dict[str, str | bytes]) -> bytes:
    """A zip file in memory."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(name, textwrap.dedent(text) if isinstance(text, str) else text)
    return data.getvalue()


@dataclass
class Caller:
    """A Lambda client with short cuts."""

    client: Any
    role: str

    def make(self, body: str, name: str | None = None, **changes: Any) -> str:
        """Create a function whose module app is the text; its name."""
        name = name or f"f-{uuid.uuid4().hex[:12]}"
        values = {"FunctionName": name, "Runtime": "python3.11", "Handler": "app.handler", "Role": self.role}
        self.client.create_function(**{**values, "Code": {"ZipFile": zip_of({"app.py": body})}, **changes})
        return name

    def call(self, name: str, event: Any = None, **arguments: Any) -> Any:
        """Invoke and give back the decoded payload."""
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **arguments)
        return json.loads(answer["Payload"].read())


@pytest.fixture
def caller(client: Callable[..., Any], account: str) -> Caller:
    """A Lambda client in this test's own account, and a role for functions."""
    role = f"arn:aws:iam::{account}:role/functions"
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    iam = client("iam")
    iam.create_role(RoleName="functions", AssumeRolePolicyDocument=json.dumps(trust))
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="functions", PolicyName="all", PolicyDocument=json.dumps(everything))
    return Caller(client("lambda"), role)


@pytest.fixture
def zipped() -> Callable[[dict[str, str | bytes]], bytes]:
    """Makes zip files."""
    return zip_of
