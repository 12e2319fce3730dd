"""A function's invocation through the whole HTTP path: warm, and cold."""

import io
import json
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import client, headrace, load, ministack

CONNECTIONS = 4
BOTO3_CODE = "import boto3\n\ndef handler(event, context):\n    return event\n"
MARK = "measured"
WARMING = 10
MAPPED_SHARDS = 4
MAPPED_BYTES = 256
DELAY_CODE = """
import time
def handler(event, context):
    now = time.time()
    for one in event["Records"]:
        print("measured", 1, (now - one["kinesis"]["approximateArrivalTimestamp"]) * 1000, now)
"""
COUNT_CODE = """
import time
def handler(event, context):
    print("measured", len(event["Records"]), 0, time.time())
"""
CODE = "def handler(event, context):\n    return event\n"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip  # noqa: E501
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


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


def _create(port: int, name: str, code: str, role: str) -> Any:
    functions = client("lambda", port)
    client("logs", port).create_log_group(logGroupName=f"/aws/lambda/{name}")
    functions.create_function(
        FunctionName=name, Runtime="python3.11", Role=role, Handler="main.handler", Timeout=30,
        Code={"ZipFile": _archive(code)},
    )  # fmt: skip
    return functions


def _role(port: int) -> str:
    role = client("iam", port).create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    client("iam", port).put_role_policy(RoleName="bench", PolicyName="all", PolicyDocument=json.dumps(ALLOWED))
    return str(role)


def _said(port: int, name: str, count: int) -> list[list[float]]:
    """The numbers of the lines that a function has printed after MARK, when there are so many numbers in all."""
    logs, until = client("logs", port), time.monotonic() + 120
    while True:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}", filterPattern=MARK)
        lines = [event["message"].split() for page in pages for event in page["events"]]
        found = [[float(one) for one in line[1:]] for line in lines if line[:1] == [MARK]]
        if sum(line[0] for line in found) >= count:
            return found
        if time.monotonic() > until:
            raise SystemExit(f"{name}: {found} of {count}")
        time.sleep(0.5)


def _stream(port: int, name: str, shards: int) -> tuple[Any, str]:
    kinesis = client("kinesis", port)
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    return kinesis, kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]


def _delays(port: int, role: str, count: int) -> list[float]:
    """Milliseconds from a record's arrival in a stream to the start of the function, a record at a time."""
    functions = _create(port, "delays", DELAY_CODE, role)
    kinesis, arn = _stream(port, "delays", 1)
    functions.create_event_source_mapping(FunctionName="delays", EventSourceArn=arn, StartingPosition="TRIM_HORIZON")
    # The first ones wait for the mapping to begin, and for a cold start.
    for number in range(count + WARMING):
        kinesis.put_record(StreamName="delays", PartitionKey=str(number), Data=b"x" * 100)
        time.sleep(2.0 if number == 0 else 0.03)
    found = sorted(_said(port, "delays", count + WARMING), key=lambda line: line[2])
    return sorted(line[1] for line in found[WARMING:])


def _through_mapping(port: int, role: str, count: int) -> float:
    """Records a second that one mapping with batches of 1,000 hands to its function, of a stream that is full of them."""
    functions = _create(port, "mapped", COUNT_CODE, role)
    kinesis, arn = _stream(port, "mapped", MAPPED_SHARDS)
    for begin in range(0, count, 500):
        records = [{"PartitionKey": str(number), "Data": b"x" * MAPPED_BYTES} for number in range(begin, begin + 500)]
        kinesis.put_records(StreamName="mapped", Records=records)
    functions.create_event_source_mapping(
        FunctionName="mapped", EventSourceArn=arn, StartingPosition="TRIM_HORIZON", BatchSize=1000
    )
    found = _said(port, "mapped", count)
    took = max(line[2] for line in found) - min(line[2] for line in found)
    # The first batches' ends begin the time, so they are not counted.
    return (count - MAPPED_SHARDS * 1000) / took


def _against_ministack(port: int, seconds: float) -> float:
    """The time of a warm invocation there, in times of ours."""
    with ministack() as theirs:
        _create(theirs, "f0", CODE, "arn:aws:iam::000000000000:role/bench")
        client("lambda", theirs).invoke(FunctionName="f0", Payload=b"{}")
        time.sleep(2)
        ratios = [load("invoke", theirs, "f0", seconds, 1)["p50_ms"] / load("invoke", port, "f0", seconds, 1)["p50_ms"]
                  for _ in range(3)]  # fmt: skip
    return statistics.median(ratios)


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Median and 99th percentile of warm calls, one after another; the median of first calls of new functions."""
    warm_count, cold_count = (100, 3) if quick else (1000, 9)
    with headrace(folder / "data") as port:
        functions = client("lambda", port)
        role = _role(port)
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
        seconds = 1.0 if quick else 5.0
        compiled = load("invoke", port, "f0", seconds, 1)
        rate = load("invoke", port, "f0", seconds, CONNECTIONS)["per_second"]
        delays = _delays(port, role, 50 if quick else 500)
        mapped = _through_mapping(port, role, 20_000 if quick else 200_000)
        against = _against_ministack(port, seconds)
    plain = _interpreter_ms(cold_count)
    warm.sort()
    return [
        row("warm invocation, boto3, p50", statistics.median(warm), "ms", 3.0, below=True),
        row("warm invocation, boto3, p99", warm[int(len(warm) * 0.99) - 1], "ms"),
        row("warm invocation, compiled client, p50", compiled["p50_ms"], "ms", 1.5, below=True),
        row("warm invocation, compiled client, p99", compiled["p99_ms"], "ms"),
        row("warm invocation, against ministack, p50", against, "times", 5.0),
        row(f"warm invocations, {CONNECTIONS} connections", rate, "requests/s", 3000.0),
        row("stream write to function start, p50", statistics.median(delays), "ms"),
        row("stream write to function start, p99", delays[int(len(delays) * 0.99) - 1], "ms", 50.0, below=True),
        row("records through one mapping, batches of 1,000", mapped, "records/s", 20_000.0),
        row("cold invocation, p50", statistics.median(cold), "ms"),
        row("cold invocation with boto3, p50", statistics.median(with_boto3), "ms", 60.0, below=True),
        row("that, to starting Python with boto3", statistics.median(with_boto3) / plain, "times", 0.25, below=True),
    ]
