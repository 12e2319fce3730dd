"""An external extension in Go beside a Python function: `make functions` builds it below build/functions."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from conftest import eventually

WATCHER = Path(__file__).resolve().parents[3] / "build" / "functions" / "go" / "watcher"
# Each invocation writes more than an extension that takes nothing can be kept waiting with.
WRITES = "def handler(event, context):\n    for n in range(200):\n        print('x' * 10_000)\n    return 'done'\n"
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def packed(name: str, data: bytes, mode: int = 0o644) -> bytes:
    folder = BytesIO()
    with zipfile.ZipFile(folder, "w", zipfile.ZIP_DEFLATED) as package:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100000 | mode) << 16
        package.writestr(entry, data)
    return folder.getvalue()


def test_extension_in_go(client: Callable[..., Any]) -> None:
    if not WATCHER.exists():
        pytest.skip("make functions builds it, where there is Go")
    functions, logs = client("lambda"), client("logs")
    layer = {"ZipFile": packed("extensions/watcher", WATCHER.read_bytes(), 0o755)}
    arn = functions.publish_layer_version(LayerName="watcher", Content=layer)["LayerVersionArn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    role = client("iam").create_role(RoleName="watched", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    functions.create_function(
        FunctionName="watched", Role=role, Runtime="python3.13", Handler="app.handler", Layers=[arn], MemorySize=256, Timeout=30,
        Code={"ZipFile": packed("app.py", WRITES.encode())},
    )  # fmt: skip

    def told(what: str) -> list[Any]:
        found = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/watched", filterPattern="watcher")
        lines = [event["message"] for page in found for event in page["events"]]
        values = [json.loads(line) for line in lines if line.startswith('{"value"')]
        return [one["value"] for one in values if one["watcher"] == what]

    def invoke() -> str:
        answer = functions.invoke(FunctionName="watched")
        assert json.loads(answer["Payload"].read()) == "done"
        return str(answer["ResponseMetadata"]["RequestId"])

    ids = [invoke() for _ in range(3)]
    # What it says between invocations is in the log with the next one.
    eventually(lambda: invoke() and told("platform.logsDropped"))
    assert told("registered") == ["watched"]
    assert told("invoke")[:3] == ids
    dropped = told("platform.logsDropped")[0]
    assert dropped["droppedRecords"] > 100
    assert dropped["droppedBytes"] > dropped["droppedRecords"] * 9_000
    assert dropped["reason"]
    functions.update_function_configuration(FunctionName="watched", Description="so that its environment ends")
    eventually(lambda: told("shutdown") == ["spindown"])
