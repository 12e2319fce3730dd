"""A function's invocation through the whole HTTP path: warm, and cold."""

import io
import json
import statistics
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import client, headrace

CODE = "def handler(event, context):\n    return event\n"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip  # noqa: E501


def _archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("main.py", CODE)
    return file.getvalue()


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Median and 99th percentile of warm calls, one after another; the median of first calls of new functions."""
    warm_count, cold_count = (100, 3) if quick else (1000, 9)
    with headrace(folder / "data") as port:
        functions = client("lambda", port)
        role = client("iam", port).create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        cold = []
        for number in range(cold_count):
            functions.create_function(
                FunctionName=f"f{number}", Runtime="python3.11", Role=role, Handler="main.handler", Code={"ZipFile": _archive()}
            )
            began = time.perf_counter()
            functions.invoke(FunctionName=f"f{number}", Payload=b"{}")
            cold.append((time.perf_counter() - began) * 1000)
        warm = []
        for _ in range(warm_count):
            began = time.perf_counter()
            answer = functions.invoke(FunctionName="f0", Payload=b'{"a": 1}')
            assert answer["Payload"].read() == b'{"a": 1}', answer
            warm.append((time.perf_counter() - began) * 1000)
    warm.sort()
    return [
        row("warm invocation, p50", statistics.median(warm), "ms", 3.0, below=True),
        row("warm invocation, p99", warm[int(len(warm) * 0.99) - 1], "ms"),
        row("cold invocation, p50", statistics.median(cold), "ms"),
    ]
