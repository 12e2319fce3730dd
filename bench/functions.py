"""A function's invocation through the whole HTTP path: warm, and cold."""

import http.client
import io
import json
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from servers import client, headrace

CONNECTIONS = 4
BOTO3_CODE = "import boto3\n\ndef handler(event, context):\n    return event\n"
CODE = "def handler(event, context):\n    return event\n"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip  # noqa: E501


def _archive(code: str = CODE) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("main.py", code)
    return file.getvalue()


def _interpreter_ms(count: int) -> float:
    """The median of starting Python with boto3: what a cold start would cost without a warmed parent."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import boto3"], check=True)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _rate(port: int, functions: Any, seconds: float) -> float:
    """Invocations a second over some connections, each request signed once."""
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/f0/invocations"
    request = AWSRequest("POST", url, data=b'{"a": 1}', headers={"Host": f"127.0.0.1:{port}"})
    signer = functions._request_signer
    SigV4Auth(signer._credentials.get_frozen_credentials(), "lambda", signer.region_name).add_auth(request)
    headers, path = dict(request.headers), "/2015-03-31/functions/f0/invocations"
    done: list[int] = []

    def drive() -> None:
        connection, count, end = http.client.HTTPConnection("127.0.0.1", port), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            connection.request("POST", path, b'{"a": 1}', headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            count += 1
        connection.close()
        done.append(count)

    threads = [threading.Thread(target=drive) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Median and 99th percentile of warm calls, one after another; the median of first calls of new functions."""
    warm_count, cold_count = (100, 3) if quick else (1000, 9)
    with headrace(folder / "data") as port:
        functions = client("lambda", port)
        role = client("iam", port).create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        cold, with_boto3 = [], []
        for number in range(cold_count):
            functions.create_function(
                FunctionName=f"f{number}", Runtime="python3.11", Role=role, Handler="main.handler", Code={"ZipFile": _archive()}
            )
            began = time.perf_counter()
            functions.invoke(FunctionName=f"f{number}", Payload=b"{}")
            cold.append((time.perf_counter() - began) * 1000)
            functions.create_function(
                FunctionName=f"b{number}", Runtime="python3.11", Role=role, Handler="main.handler",
                Code={"ZipFile": _archive(BOTO3_CODE)},
            )  # fmt: skip
            began = time.perf_counter()
            functions.invoke(FunctionName=f"b{number}", Payload=b"{}")
            with_boto3.append((time.perf_counter() - began) * 1000)
        warm = []
        for _ in range(warm_count):
            began = time.perf_counter()
            answer = functions.invoke(FunctionName="f0", Payload=b'{"a": 1}')
            assert answer["Payload"].read() == b'{"a": 1}', answer
            warm.append((time.perf_counter() - began) * 1000)
        rate = _rate(port, functions, 1.0 if quick else 5.0)
    plain = _interpreter_ms(cold_count)
    warm.sort()
    return [
        row("warm invocation, p50", statistics.median(warm), "ms", 3.0, below=True),
        row("warm invocation, p99", warm[int(len(warm) * 0.99) - 1], "ms"),
        row("warm invocations, four connections", rate, "requests/s", 3000.0),
        row("cold invocation, p50", statistics.median(cold), "ms"),
        row("cold invocation with boto3, p50", statistics.median(with_boto3), "ms", 60.0, below=True),
        row("that, to starting Python with boto3", statistics.median(with_boto3) / plain, "times", 0.25, below=True),
    ]
