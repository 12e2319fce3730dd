"""`headrace invoke --template`: one function of a template, on a server of the command's own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Word: {Type: String, Default: none}}
Resources:
  Orders: {Type: AWS::Serverless::SimpleTable}
  Take:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: app.handler
      CodeUri: app
      Environment: {Variables: {TABLE: !Ref Orders, WORD: !Ref Word}}
      Policies: [{DynamoDBCrudPolicy: {TableName: !Ref Orders}}]
"""
CODE = """
import os, boto3
def handler(event, context):
    table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
    table.put_item(Item={"id": event["id"]})
    print("kept", event["id"])
    return {"word": os.environ["WORD"], "count": table.scan()["Count"]}
"""
Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a template and the code of its function."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text(CODE)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "temporary").mkdir()
    return tmp_path


@pytest.fixture
def program(folder: Path) -> Program:
    """Runs `headrace invoke` on the folder's template. The data folder that the environment names is not to be touched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = {**kept, "HEADRACE_DATA": str(folder / "untouched"), "TMPDIR": str(folder / "temporary")}

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "headrace.cli.main", "invoke", *arguments, "--template", str(folder)]
        return subprocess.run(command, env=environment, input=given, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_invoke__a_template_without_a_server(program: Program, folder: Path) -> None:
    # Each run has tables of its own.
    for word, more in (("none", ()), ("hello", ("--parameter", "Word=hello"))):
        ran = program("Take", "-", *more, given='{"id": "7"}')
        assert (ran.returncode, json.loads(ran.stdout)) == (0, {"word": word, "count": 1}), ran.stderr
        assert "kept 7" in ran.stderr
        assert "REPORT RequestId" in ran.stderr
    assert not (folder / "untouched").exists()
    assert not list((folder / "temporary").iterdir())


def test_invoke__what_fails_is_said(program: Program, folder: Path) -> None:
    failed = program("Take", "{}", "--json")
    assert failed.returncode == 1
    assert json.loads(json.loads(failed.stdout)["payload"])["errorType"] == "KeyError"
    missing = program("Give")
    assert (missing.returncode, missing.stderr) == (1, "headrace: the template has no function Give; it has Take\n")
    wrong = program("Take", "--parameter", "Wor=1")
    assert (wrong.returncode, wrong.stderr) == (1, "headrace: Parameters: [Wor] do not exist in the template\n")
    assert program("Take", "--event").returncode == 2
    (folder / "template.yaml").unlink()
    assert "there is no template.yaml in" in program("Take").stderr
    assert not list((folder / "temporary").iterdir())
