"""Enhanced fan-out: how long after a writer begins to send a record a subscriber has it, and what more subscribers cost."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from fanout_reader import signed
from servers import client, headrace

READER = Path(__file__).with_name("fanout_reader.py")
SHARDS = 4
RECORD_BYTES = 200
REQUESTS_PER_SECOND = 100


def _processor_seconds(port: int) -> float:
    """What the server's process has used of the processors."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_headrace/status") as status:
        pid = json.load(status)["pid"]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _run(port: int, consumers: list[str], per_second: int, seconds: float) -> tuple[list[float], float]:
    """(delays in ms, sorted; processor seconds of the server) of a steady load."""
    each = per_second // REQUESTS_PER_SECOND
    requests = int(seconds * REQUESTS_PER_SECOND)
    command = [sys.executable, str(READER), str(port), str(each * requests), *consumers]
    with (
        socket.create_connection(("127.0.0.1", port)) as writer,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader,
    ):
        assert reader.stdout is not None
        reader.stdout.readline()
        used = _processor_seconds(port)
        due = time.perf_counter()
        for request in range(requests):
            filler = os.urandom(RECORD_BYTES // 2).hex()[: RECORD_BYTES - 20]
            data = f"{time.monotonic_ns():020d}{filler}".encode()
            records = [{"PartitionKey": f"{request}-{n}", "Data": data} for n in range(each)]
            writer.sendall(signed(port, "PutRecords", msgspec.json.encode({"StreamName": "bench", "Records": records})))
            answer = http.client.HTTPResponse(writer)
            answer.begin()
            answer.read()
            assert answer.status == 200, answer.status
            due += 1 / REQUESTS_PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
        delays = sorted(json.loads(reader.stdout.readline()))
        used = _processor_seconds(port) - used
    return delays, used


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Write-to-receipt at 500 and 5,000 records a second, and the processor time of ten consumers beside that of one."""
    seconds = 4.0 if quick else 15.0
    with headrace(folder / "data") as port:
        kinesis = client("kinesis", port)
        kinesis.create_stream(StreamName="bench", ShardCount=SHARDS)
        kinesis.get_waiter("stream_exists").wait(StreamName="bench", WaiterConfig={"Delay": 1})
        arn = kinesis.describe_stream_summary(StreamName="bench")["StreamDescriptionSummary"]["StreamARN"]
        register = kinesis.register_stream_consumer
        consumers = [register(StreamARN=arn, ConsumerName=f"c{n}")["Consumer"]["ConsumerARN"] for n in range(12)]
        slow, _ = _run(port, consumers[:1], 500, seconds)
        fast, one = _run(port, consumers[1:2], 5_000, seconds)
        among_ten, ten = _run(port, consumers[2:], 5_000, seconds)
    rows = []
    for name, delays, target in (("500/s", slow, 20.0), ("5,000/s", fast, 20.0), ("5,000/s, ten consumers", among_ten, None)):
        rows.append(row(f"fan-out, {name}, p50", delays[len(delays) // 2], "ms"))
        rows.append(row(f"fan-out, {name}, p99", delays[int(len(delays) * 0.99) - 1], "ms", target, below=True))
    rows.append(row("fan-out, processor time of ten consumers / of one", ten / one, "", 2.0, below=True))
    return rows
