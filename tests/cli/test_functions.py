"""`headrace invoke | logs | bill`: a person's tools for functions."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually
from headrace.cli import invoke, prices
from headrace.kit.settings import Settings

CODE = "def handler(event, context):\n    print('seen', event)\n    return 10 / event['n']\n"


@pytest.fixture
def program(server: HeadraceServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = {
        **kept, "HEADRACE_PORT": str(server.port), "HEADRACE_DATA": str(server.data),
        "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
    }  # fmt: skip

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "headrace.cli.main", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_functions__invoked_read_and_billed(program: Callable[..., Any], client: Callable[..., Any], account: str) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust})
    )["Role"]["Arn"]  # fmt: skip
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as package:
        package.writestr("app.py", CODE)
    name = f"f-{account}"
    client("lambda").create_function(
        FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=role, MemorySize=256,
        Code={"ZipFile": data.getvalue()},
    )  # fmt: skip
    ran = program("invoke", name, '{"n": 4}', "--account", account)
    assert (ran.returncode, ran.stdout) == (0, "2.5\n"), ran.stderr
    assert "seen {'n': 4}" in ran.stderr
    assert "REPORT RequestId" in ran.stderr
    failed = program("invoke", name, '{"n": 0}', "--account", account, "--json")
    assert failed.returncode == 1
    assert json.loads(json.loads(failed.stdout)["payload"])["errorType"] == "ZeroDivisionError"
    assert program("invoke", "nowhere", "--account", account).stderr.startswith("headrace: Function not found")
    assert program("invoke", name, "--account", account, "--parameter", "Word=1").returncode == 2

    eventually(lambda: "seen {'n': 0}" in program("logs", name, "--account", account).stdout)
    bill = json.loads(program("bill", "--json").stdout)
    mine = next(line for line in bill["functions"] if line["function"] == name)
    assert (mine["requests"], mine["errors"], mine["memory_mib"]) == (2, 1, 256)
    assert mine["gib_seconds"] == pytest.approx(mine["billed_ms"] / 4000)
    assert name in program("bill").stdout


DURABLE = """
import json

def handler(event, context):
    return {"Status": "SUCCEEDED", "Result": json.dumps(7)}
"""


def test_invoke__a_durable_function_has_an_execution_and_no_log(
    program: Callable[..., Any], client: Callable[..., Any], account: str
) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust})
    )["Role"]["Arn"]  # fmt: skip
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as package:
        package.writestr("app.py", DURABLE)
    functions, name = client("lambda"), f"d-{account}"
    functions.create_function(
        FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=role, Code={"ZipFile": data.getvalue()},
        DurableConfig={"ExecutionTimeout": 60},
    )  # fmt: skip
    ran = program("invoke", name, "{}", "--account", account)
    assert (ran.returncode, ran.stdout) == (0, "7\n"), ran.stderr
    (execution,) = functions.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"]
    assert ran.stderr.strip() == execution["DurableExecutionArn"]
    shown = json.loads(program("invoke", name, "{}", "--account", account, "--json").stdout)
    assert (shown["payload"], shown["log"], ":durable-execution" in shown["execution"].replace("/", ":")) == ("7", "", True)
    for refused in ({"LogType": "Tail"}, {"ClientContext": "e30="}):
        with pytest.raises(ClientError, match="does not support"):
            functions.invoke(FunctionName=name, **refused)
        with pytest.raises(ClientError, match="does not support"):
            functions.invoke_with_response_stream(FunctionName=name, **refused)
    assert len(functions.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"]) == 2


def test_invoke__waits_for_a_long_function_and_runs_it_once() -> None:
    settings = Settings(root_access_key_id="a", root_secret_access_key="b")
    config = invoke.functions_of(settings).meta.config
    assert config.read_timeout > 900
    assert config.retries["total_max_attempts"] == 1


def test_prices__tiers() -> None:
    assert prices.dollars(1_000_000, 0) == pytest.approx(0.2)
    assert prices.dollars(0, 400_000) == pytest.approx(6.66668)
    # A GiB kept for an hour, half of which it runs.
    assert prices.provisioned_dollars(3600, 1800) == pytest.approx(3600 * 0.0000041667 + 1800 * 0.0000097222)
    assert prices.dollars(0, 7e9) == pytest.approx(6e9 * 0.0000166667 + 1e9 * 0.000015)
