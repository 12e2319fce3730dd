"""What readers cost the writers of a stream: at the tail, from the trim horizon and out of order, all at once.

Readers are paced as AWS's limits pace them: five reads and 2 MiB a second for each shard. They are one process, which takes
nothing apart but the next iterator. It has its share of the same processors all the same, and elsewhere readers have machines of
their own: so writers beside readers of the stream stand against writers beside the same readers of made-up pages as large, which
a program gives that keeps nothing.
"""

import contextlib
import http.client
import json
import multiprocessing
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from servers import KEY, SECRET, client, free_port, headrace, load, load_binary

SHARDS = 4
BATCH = 500
WRITERS = 8
ROUNDS = 5
TAIL_READS_PER_SECOND = 5
# 2 MiB a second in five reads.
TAIL_LIMIT = 400
PAGE_LIMIT = 2000
NAME = "watched"


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """PutRecords and PutRecord with readers against the same writers alone, in turn."""
    seconds, rounds = (1.0, 2) if quick else (5.0, ROUNDS)
    results = []
    with headrace(folder / "watched") as port:
        kinesis = client("kinesis", port)
        kinesis.create_stream(StreamName=NAME, ShardCount=SHARDS)
        load("put-records", port, NAME, seconds, WRITERS)
        sizes = {limit: _page_bytes(port, limit) for limit in (TAIL_LIMIT, PAGE_LIMIT)}
        for mode, called, writers in (("put-records", "PutRecords", WRITERS), ("put-record", "PutRecord", 64)):
            shares, of_alone, reads = [], [], []
            for _ in range(rounds):
                alone = load(mode, port, NAME, seconds, writers)["per_second"]
                with _canned(sizes) as elsewhere:
                    beside, _ = _with_readers(port, elsewhere, mode, seconds, writers)
                with_readers, count = _with_readers(port, port, mode, seconds, writers)
                shares.append(with_readers / beside)
                of_alone.append(with_readers / alone)
                reads.append(count / seconds)
            results.append(
                row(f"{called} with readers at once, against readers elsewhere", statistics.median(shares), "share", 0.9)
            )
            results.append(row(f"{called} with readers at once, against no readers", statistics.median(of_alone), "share"))
            results.append(row(f"{called} with readers at once, reads", statistics.median(reads), "reads/s"))
    return results


def _page_bytes(port: int, limit: int) -> int:
    """How long the answer with a full page is."""
    kinesis = client("kinesis", port)
    shard = kinesis.list_shards(StreamName=NAME)["Shards"][0]["ShardId"]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    return len(_page(connection, _iterator(kinesis, shard, ShardIteratorType="TRIM_HORIZON"), limit))


@contextlib.contextmanager
def _canned(sizes: dict[int, int]) -> Iterator[int]:
    """A port where every read has a page as large as the stream's."""
    port = free_port()
    said = ",".join(f"{limit}={size_bytes}" for limit, size_bytes in sizes.items())
    command = [str(load_binary()), "-mode", "answer", "-address", f"127.0.0.1:{port}", "-sizes", said]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            if running.stdout.readline() != "ready\n":
                raise SystemExit("no canned pages")
            yield port
        finally:
            running.kill()


def _with_readers(port: int, read_port: int, mode: str, seconds: float, writers: int) -> tuple[float, int]:
    ready, stop, count = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Value("q", 0)
    reader = multiprocessing.Process(target=_read, args=(port, read_port, ready, stop, count), daemon=True)
    reader.start()
    ready.wait(60)
    before = count.value
    rate = load(mode, port, NAME, seconds, writers)["per_second"]
    read = count.value - before
    stop.set()
    reader.join(30)
    return rate, read


def _read(port: int, read_port: int, ready: Event, stop: Event, count: Any) -> None:
    """Three readers of each shard: (iterator, seconds between reads, records a read, whether it jumps about)."""
    kinesis = client("kinesis", port)
    began = kinesis.describe_stream_summary(StreamName=NAME)["StreamDescriptionSummary"]["StreamCreationTimestamp"].timestamp()
    shards = [one["ShardId"] for one in kinesis.list_shards(StreamName=NAME)["Shards"]]
    kinesis = client("kinesis", read_port)
    connection = http.client.HTTPConnection("127.0.0.1", read_port)
    due: list[tuple[float, str, str, str | None]] = []
    for shard in shards:
        for kind in ("LATEST", "TRIM_HORIZON", "AT_TIMESTAMP"):
            found = None if kind == "AT_TIMESTAMP" else _iterator(kinesis, shard, ShardIteratorType=kind)
            due.append((time.monotonic() + random.random(), kind, shard, found))
    ready.set()
    while not stop.is_set():
        due.sort(key=lambda one: one[0])
        at, kind, shard, iterator = due.pop(0)
        if stop.wait(max(0.0, at - time.monotonic())):
            return
        if iterator is None:
            where = random.uniform(began, time.time())
            iterator = _iterator(kinesis, shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=where)
        pause, limit = (1 / TAIL_READS_PER_SECOND, TAIL_LIMIT) if kind == "LATEST" else (1.0, PAGE_LIMIT)
        following = _get_records(connection, iterator, limit)
        count.value += 1
        # A reader that can't keep its pace reads on when it can, as KCL does; it does not catch up.
        due.append((max(at + pause, time.monotonic()), kind, shard, None if kind == "AT_TIMESTAMP" else following))


def _iterator(kinesis: Any, shard: str, **where: Any) -> str:
    return str(kinesis.get_shard_iterator(StreamName=NAME, ShardId=shard, **where)["ShardIterator"])


def _get_records(connection: http.client.HTTPConnection, iterator: str, limit: int) -> str:
    """The next iterator. Records are received, and not taken apart."""
    text = _page(connection, iterator, limit)
    begin = text.rindex(b'"NextShardIterator":"') + 21
    return text[begin : text.index(b'"', begin)].decode()


def _page(connection: http.client.HTTPConnection, iterator: str, limit: int) -> bytes:
    body = json.dumps({"ShardIterator": iterator, "Limit": limit})
    headers = {"X-Amz-Target": "Kinesis_20131202.GetRecords", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"http://127.0.0.1:{connection.port}/", headers, body)
    SigV4Auth(Credentials(KEY, SECRET), "kinesis", "us-east-1").add_auth(request)
    connection.request("POST", "/", body, dict(request.headers))
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{answer.status} of GetRecords: {text[:200]!r}")
    return text
