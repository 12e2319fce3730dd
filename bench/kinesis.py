"""Kinesis through the whole HTTP path: signatures verified, fsync before each answer."""

import base64
import binascii
import hashlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from servers import client, headrace, kinesalite, load

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


def _decoding(seconds: float) -> float:
    """Records a second that one core takes apart, doing nothing else with them: JSON, base64, and the two hashes."""
    record = {"PartitionKey": "8-123", "Data": base64.b64encode(b"x" * RECORD_BYTES).decode()}
    body = msgspec.json.encode({"StreamName": "batches", "Records": [record] * BATCH})
    count, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        hashlib.sha256(body).hexdigest()
        for one in msgspec.json.decode(body)["Records"]:
            binascii.a2b_base64(one["Data"])
            hashlib.md5(one["PartitionKey"].encode(), usedforsecurity=False).digest()
        count += BATCH
    return count / seconds


def _batches(row: Callable[..., dict[str, Any]], port: int, seconds: float, rounds: int) -> list[dict[str, Any]]:
    _stream(port, "batches", 4)
    rates, shares = [], []
    for _ in range(rounds):
        alone = _decoding(seconds / 2)
        rate = load("put-records", port, "batches", seconds, WRITERS)["per_second"] * BATCH
        rates.append(rate)
        shares.append(rate / alone)
    return [
        row("PutRecords, 500 of 1 KiB into 4 shards", statistics.median(rates), "records/s"),
        row("PutRecords, against decoding the same alone", statistics.median(shares), "share", 0.4),
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
    """PutRecord: the store's work for one record, in streams of few and of many shards, in turn."""
    costs: dict[int, list[float]] = {count: [] for count in SHARD_COUNTS}
    for count in SHARD_COUNTS:
        _stream(port, f"shards-{count}", count)
    for _ in range(rounds):
        for count in SHARD_COUNTS:
            rate = load("put-record", port, f"shards-{count}", seconds / 2)["per_second"]
            costs[count].append(1e6 / rate)
    medians = {count: statistics.median(found) for count, found in costs.items()}
    results = [row(f"PutRecord, {count} shards", cost, "microseconds") for count, cost in medians.items()]
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
