"""From the start of the program to its first answers, and what it holds in memory when idle."""

import statistics
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from servers import KEY, SECRET, free_port, headrace_process, wait_for

ROUNDS = 7
IDLE_SECONDS = 3.0


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no VmRSS")


def _list_tables(port: int) -> urllib.request.Request:
    """A signed request, as a client would send it."""
    url = f"http://127.0.0.1:{port}/"
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables"}
    request = AWSRequest("POST", url, headers=headers, data=b"{}")
    SigV4Auth(Credentials(KEY, SECRET), "dynamodb", "us-east-1").add_auth(request)
    return urllib.request.Request(url, b"{}", dict(request.headers.items()))


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """The median of several starts; the memory of the last server after some idle seconds."""
    answered, whole, memory_mib = [], [], 0.0
    for number in range(3 if quick else ROUNDS):
        port = free_port()
        tables = _list_tables(port)
        began = time.perf_counter()
        process = headrace_process(folder / "data", port)
        wait_for(tables, process)
        answered.append(time.perf_counter() - began)
        # This page answers when all services are there.
        wait_for(f"http://127.0.0.1:{port}/_headrace/status", process)
        whole.append(time.perf_counter() - began)
        if number == 0:
            time.sleep(IDLE_SECONDS)
            memory_mib = _resident_mib(process.pid)
        process.terminate()
        process.wait(30)
    return [
        row("start-up to the first answer (ListTables)", statistics.median(answered) * 1000, "ms", 500.0, below=True),
        row("start-up to all services", statistics.median(whole) * 1000, "ms"),
        row("idle memory", memory_mib, "MiB", 80.0, below=True),
    ]
