"""What a record costs in a stream that retains much: written, read at the tail and from the trim horizon, against the stream of
another server that retains next to nothing.

HEADRACE_BENCH_RETAINED_GB says how far it goes (1, 10, 50): 50 takes as much room on the disk. All of it is written, and none
is sparse.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import client, headrace, load, processor_seconds

MARKS_GB = (1.0, 10.0, 50.0)
BATCH = 500
RECORD_BYTES = 1024
WRITERS = 8
READERS = 4
ROUNDS = 3
NAME = "retained"


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Rates with much retained, each as a share of the empty stream's; and the processor time of a record, against the same."""
    most = float(os.environ.get("HEADRACE_BENCH_RETAINED_GB", "0.1" if quick else "1"))
    marks = [mark for mark in MARKS_GB if mark <= most] or [most]
    seconds = 0.5 if quick else 2.0
    results = []
    with headrace(folder / "retained") as port, headrace(folder / "empty") as other:
        for each in (port, other):
            client("kinesis", each).create_stream(StreamName=NAME, ShardCount=4)
            load("put-records", each, NAME, 0.5, WRITERS)
        written = 0.0
        for mark in marks:
            while written < mark:
                ran = load("put-records", port, NAME, min(20.0, max(0.5, (mark - written) * 10)), WRITERS)
                written += ran["requests"] * BATCH * RECORD_BYTES / 1e9
            # Side by side: the machine may be slower by then.
            empty, now = _rates(other, seconds), _rates(port, seconds)
            held = f"{mark:g} GB retained"
            results.append(row(f"PutRecords, {held}, against empty", now[0] / empty[0], "share", 0.8))
            growth = now[1] / empty[1]
            results.append(row(f"PutRecords, {held}, processor time against empty", growth, "times", 1.25, below=True))
            results.append(row(f"GetRecords at the tail, {held}, against empty", now[2] / empty[2], "share", 0.8))
            results.append(row(f"GetRecords from the trim horizon, {held}, against empty", now[3] / empty[3], "share", 0.8))
    return results


def _rates(port: int, seconds: float) -> tuple[float, float, float, float]:
    """Records written a second, what one costs, and full pages read a second: the newest and the oldest."""
    rates, costs = [], []
    for _ in range(ROUNDS):
        before = processor_seconds(port)
        ran = load("put-records", port, NAME, seconds, WRITERS)
        rates.append(ran["per_second"] * BATCH)
        costs.append((processor_seconds(port) - before) / (ran["requests"] * BATCH))
    kinesis = client("kinesis", port)
    shard = kinesis.list_shards(StreamName=NAME)["Shards"][0]["ShardId"]
    place = {"StreamName": NAME, "ShardId": shard}
    latest = kinesis.get_shard_iterator(**place, ShardIteratorType="LATEST")["ShardIterator"]
    load("put-records", port, NAME, 1.0, WRITERS)
    oldest = kinesis.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    pages = [_pages(port, iterator, seconds) for iterator in (latest, oldest)]
    return statistics.median(rates), statistics.median(costs), pages[0], pages[1]


def _pages(port: int, iterator: str, seconds: float) -> float:
    time.sleep(0.1)
    return float(load("get-records", port, NAME, seconds, READERS, 1, "-iterator", iterator)["per_second"])
