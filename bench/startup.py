"""From the start of the program to its first answer, and what it holds in memory when idle."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import free_port, headrace_process, wait_for

ROUNDS = 7
IDLE_SECONDS = 3.0


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no VmRSS")


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """The median of several starts; the memory of the last server after some idle seconds."""
    seconds, memory_mib = [], 0.0
    for number in range(3 if quick else ROUNDS):
        port = free_port()
        began = time.perf_counter()
        process = headrace_process(folder / "data", port)
        wait_for(f"http://127.0.0.1:{port}/_headrace/health", process)
        seconds.append(time.perf_counter() - began)
        if number == 0:
            time.sleep(IDLE_SECONDS)
            memory_mib = _resident_mib(process.pid)
        process.terminate()
        process.wait(30)
    return [
        row("start-up to the first answer", statistics.median(seconds) * 1000, "ms", 500.0, below=True),
        row("idle memory", memory_mib, "MiB", 80.0, below=True),
    ]
