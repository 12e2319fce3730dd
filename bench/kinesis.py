"""Kinesis through the whole HTTP path: signatures verified, fsync before each answer."""

import base64
import hashlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from servers import client, headrace, kinesalite, load, processor_seconds

BATCH = 500
RECORD_BYTES = 1024
WRITERS = 8
READERS = 4
ROUNDS = 3
SHARD_COUNTS = (1, 100, 1000)


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Writes against decoding alone and against kinesalite, reads, and what a record costs in streams of many shards."""
    seconds = 1.0 if quick else 5.0
    rounds = 1 if quick else ROUNDS
    results = []
    with headrace(folder / "kinesis") as port:
        results += _batches(row, port, seconds, rounds)
        results += _reads(row, port, seconds)
        results += _shards(row, port, seconds, rounds)
        results += _singles(row, port, seconds, rounds)
    return results


def _stream(port: int, name: str, shards: int) -> Any:
    kinesis = client("kinesis", port)
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    while kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        time.sleep(0.05)
    return kinesis


class _Record(msgspec.Struct):
    PartitionKey: str
    Data: bytes


class _Batch(msgspec.Struct):
    StreamName: str
    Records: list[_Record]


def _decoding(seconds: float) -> float:
    """Records a second that one core takes apart, doing nothing else with them: JSON and base64 (in C), and the two hashes."""
    record = {"PartitionKey": "8-123", "Data": base64.b64encode(b"x" * RECORD_BYTES).decode()}
    body = msgspec.json.encode({"StreamName": "batches", "Records": [record] * BATCH})
    decode = msgspec.json.Decoder(_Batch).decode
    count, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        hashlib.sha256(body).hexdigest()
        for one in decode(body).Records:
            hashlib.md5(one.PartitionKey.encode(), usedforsecurity=False).digest()
        count += BATCH
    return count / seconds


def _batches(row: Callable[..., dict[str, Any]], port: int, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Rates, and what a record costs in processor time: at first, and when the stream holds what all rounds wrote."""
    _stream(port, "batches", 4)
    rates, shares, costs = [], [], []
    for _ in range(max(2, rounds)):
        alone = _decoding(seconds / 2)
        before = processor_seconds(port)
        ran = load("put-records", port, "batches", seconds, WRITERS)
        costs.append((processor_seconds(port) - before) / (ran["requests"] * BATCH) * 1e6)
        rates.append(ran["per_second"] * BATCH)
        shares.append(rates[-1] / alone)
    return [
        row("PutRecords, 500 of 1 KiB into 4 shards", statistics.median(rates), "records/s", 60_000.0),
        row("PutRecords, against decoding the same alone", statistics.median(shares), "share"),
        row("PutRecords, processor time for a record", statistics.median(costs), "microseconds"),
        row("PutRecords, the same in the last round against the first", costs[-1] / costs[0], "times", 1.2, below=True),
    ]


def _reads(row: Callable[..., dict[str, Any]], port: int, seconds: float) -> list[dict[str, Any]]:
    """Every reader reads the same full page of the stream that was just written."""
    kinesis = client("kinesis", port)
    shard = kinesis.list_shards(StreamName="batches")["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName="batches", ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    page_bytes = sum(len(record["Data"]) for record in kinesis.get_records(ShardIterator=iterator)["Records"])
    pages = load("get-records", port, "batches", seconds, READERS, 1, "-iterator", iterator)["per_second"]
    return [row("GetRecords, pages of 1 KiB records", pages * page_bytes / 1e6, "MB/s", 150.0)]


def _shards(row: Callable[..., dict[str, Any]], port: int, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """PutRecord: the processor time for one record, in streams of few and of many shards, in turn."""
    costs: dict[int, list[float]] = {count: [] for count in SHARD_COUNTS}
    for count in SHARD_COUNTS:
        _stream(port, f"shards-{count}", count)
    for _ in range(max(2, rounds)):
        for count in SHARD_COUNTS:
            before = processor_seconds(port)
            ran = load("put-record", port, f"shards-{count}", seconds / 2)
            costs[count].append((processor_seconds(port) - before) / ran["requests"] * 1e6)
    medians = {count: statistics.median(found) for count, found in costs.items()}
    results = [row(f"PutRecord, {count} shards, processor time", cost, "microseconds") for count, cost in medians.items()]
    growth = medians[SHARD_COUNTS[-1]] / medians[SHARD_COUNTS[0]]
    return [*results, row("PutRecord, 1,000 shards against 1", growth, "times", 1.25, below=True)]


def _singles(row: Callable[..., dict[str, Any]], port: int, seconds: float, rounds: int) -> list[dict[str, Any]]:
    _stream(port, "singles", 4)
    ratios = []
    with kinesalite() as theirs:
        _stream(theirs, "singles", 4)
        for _ in range(rounds):
            mine = load("put-record", port, "singles", seconds)["per_second"]
            ratios.append(mine / load("put-record", theirs, "singles", seconds)["per_second"])
    return [row("PutRecord at 64 connections, against kinesalite", statistics.median(ratios), "times", 4.0)]
