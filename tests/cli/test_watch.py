"""`headrace up --watch`: a template's folder is deployed, and what is saved there runs a moment later."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Word: {Type: String}}
Globals: {Function: {Runtime: python3.11, Handler: app.handler}}
Resources:
  Plain:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: plain/, Layers: [!Ref Shared], Environment: {Variables: {WORD: !Ref Word}}}
  Aliased:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: aliased, AutoPublishAlias: live}
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer, CompatibleRuntimes: [python3.11]}
"""
PLAIN = "import os, shared\ndef handler(event, context):\n    return ['one', os.environ['WORD'], shared.VALUE]\n"


class Watching:
    """A server that watches a folder."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.server = HeadraceServer(data)
        environment = {
            **os.environ, "HEADRACE_DATA": str(data), "HEADRACE_PORT": str(self.server.port),
            "HEADRACE_REDSHIFT_PORT": str(self.server.redshift_port), "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY,
            "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
        }  # fmt: skip
        command = [sys.executable, "-m", "headrace.cli.main", "up", "--json", "--watch", str(folder), "--stack", "s"]
        self.process = subprocess.Popen([*command, "--parameter", "Word=hello"], env=environment, stdout=subprocess.PIPE)
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.functions = self.server.client("lambda")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._said.put(json.loads(line))

    def expect(self, event: str) -> dict[str, Any]:
        """The next thing that is said, which must be this."""
        said = self._said.get(timeout=60)
        assert said["event"] == event, said
        return said

    def save(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def name(self, logical: str) -> str:
        found = self.server.client("cloudformation").describe_stack_resource(StackName="s", LogicalResourceId=logical)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def call(self, name: str) -> Any:
        return json.loads(self.functions.invoke(FunctionName=name)["Payload"].read())


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    """A server that has deployed the template."""
    folder = tmp_path / "project"
    for name, text in {
        "template.yaml": TEMPLATE, "plain/app.py": PLAIN, "aliased/app.py": "def handler(e, c):\n    return 'a'\n",
        "layer/python/shared.py": "VALUE = 1\n",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    running = Watching(folder, tmp_path / "data")
    running.expect("ready")
    yield running
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) in (0, -signal.SIGKILL)  # one test kills it


def test_watch__what_is_saved_runs(watching: Watching) -> None:
    assert watching.expect("deployed")["stack"] == "s"
    plain, aliased = watching.name("Plain"), watching.name("Aliased")
    assert watching.call(plain) == ["one", "hello", 1]
    watching.save("plain/app.py", PLAIN.replace("one", "two"))
    saved_at = time.monotonic()
    eventually(lambda: watching.call(plain)[0] == "two")
    assert time.monotonic() - saved_at < 3
    said = watching.expect("reloaded")
    assert (said["function"], said["files"]) == (plain, ["plain/app.py"])
    # The stack is as it was, and the function as confined.
    assert watching.functions.get_function_configuration(FunctionName=plain)["Environment"] == {"Variables": {"WORD": "hello"}}

    watching.save("aliased/app.py", "def handler(e, c):\n    return 'b'\n")
    watching.expect("reloaded")
    assert watching.call(f"{aliased}:live") == "b"

    # A layer's change is the stack's.
    watching.save("layer/python/shared.py", "VALUE = 2\n")
    watching.expect("deployed")
    assert watching.call(plain) == ["two", "hello", 2]


def test_watch__a_template_is_mended(watching: Watching) -> None:
    watching.expect("deployed")
    watching.save("template.yaml", TEMPLATE.replace("CodeUri: plain/", "CodeUri: nowhere"))
    assert "CodeUri is nowhere" in watching.expect("failed")["reason"]
    watching.save("template.yaml", TEMPLATE + "   - ]")
    assert "Template" in watching.expect("failed")["reason"]
    watching.save("template.yaml", TEMPLATE.replace("CodeUri: plain/", "CodeUri: plain/, Timeout: 9"))
    watching.expect("deployed")
    assert watching.functions.get_function_configuration(FunctionName=watching.name("Plain"))["Timeout"] == 9
    # A resource that fails: the stack goes back, and its reason is said.
    watching.save(
        "template.yaml", TEMPLATE.replace("CodeUri: plain/", "CodeUri: plain/, Role: 'arn:aws:iam::000000000000:role/none'")
    )
    assert "Plain: " in watching.expect("failed")["reason"]


def test_watch__without_a_template(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "headrace.cli.main", "watch", str(tmp_path), "--data", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "there is no template.yaml in" in ran.stderr


def test_watch__ends_with_the_server(watching: Watching) -> None:
    watching.expect("deployed")

    def watchers() -> list[str]:
        mine = str(watching.folder)
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"watch" in words and mine.encode() in words:
                found.append(path.parent.name)
        return found

    assert len(watchers()) == 1
    watching.process.kill()
    eventually(lambda: not watchers())
