"""DynamoDB beside others that run on one machine, and with many items: signatures verified, fsync before each answer.

ministack, dynalite and Dynoxide keep all in memory, and dynalite checks no signature. HEADRACE_BENCH_ITEMS=10000000 fills the
large table with as many items of 1 KB (without: 200,000).
"""

import contextlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import client, dynalite, dynoxide, headrace, load, ministack, server_status

CONNECTIONS = (1, 16, 64)
ROUNDS = 3
COLLECTIONS = 500
COLLECTION_ITEMS = 20
FILLERS = 4
ITEMS = int(os.environ.get("HEADRACE_BENCH_ITEMS", "200000"))
# What is asked: its name in the load generator, the table, what it is called, whether it writes.
REQUESTS = (
    ("put-item", "bench", "PutItem", True),
    ("get-item", "bench", "GetItem", False),
    ("update-item", "bench", "UpdateItem with a condition", True),
    ("query", "sorted", "Query of 20 items", False),
    ("batch-write", "sorted", "BatchWriteItem of 20", True),
    ("transact-write", "sorted", "TransactWriteItems of 4", True),
)
AT_LEAST_TIMES = {"ministack": 6.0, "dynalite": 2.0, "Dynoxide": None}
# dynalite 4.0.0 answers transactions with UnknownOperationException.
LACKS = {("transact-write", "dynalite")}
Rates = dict[tuple[str, int, str], list[float]]


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Every request at each number of connections, side by side; then what many items change."""
    return [*_side_by_side(row, folder, quick), *_large(row, folder, quick)]


def _create(port: int, name: str) -> None:
    keys = [("id", "S", "HASH")] if name == "bench" else [("id", "S", "HASH"), ("sort", "N", "RANGE")]
    dynamodb = client("dynamodb", port)
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind, _ in keys],
        KeySchema=[{"AttributeName": key, "KeyType": part} for key, _, part in keys],
    )
    while dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] != "ACTIVE":
        time.sleep(0.05)


def _fill(port: int, name: str, collections: int) -> float:
    """Collections of 20 items, each written once; items a second."""
    each = collections // FILLERS
    ran = load("fill", port, name, 24 * 3600.0, FILLERS, each, "-most", str(each))
    return float(ran["per_second"] * COLLECTION_ITEMS)


def fsync_ms(folder: Path, seconds: float) -> float:
    """What it takes to append 4 KiB to a file and make them durable, at best what a write can wait for."""
    took, until = [], time.perf_counter() + seconds
    with (folder / "fsync").open("wb", buffering=0) as file:
        while time.perf_counter() < until:
            file.write(bytes(4096))
            begun = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def _side_by_side(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    seconds = 0.5 if quick else 3.0
    rates: Rates = {}
    latencies: Rates = {}
    syncs = []
    with contextlib.ExitStack() as stack:
        ports: dict[str, int | None] = {
            "Headrace": stack.enter_context(headrace(folder / "beside")),
            "ministack": stack.enter_context(ministack()),
            "dynalite": stack.enter_context(dynalite()),
            "Dynoxide": stack.enter_context(dynoxide()),
        }
        running = {server: port for server, port in ports.items() if port is not None}
        for port in running.values():
            _create(port, "bench")
            _create(port, "sorted")
            _fill(port, "sorted", COLLECTIONS)
        for _ in range(1 if quick else ROUNDS):
            for connections in CONNECTIONS:
                syncs.append(fsync_ms(folder, seconds / 3))
                for mode, table, _, _ in REQUESTS:
                    for server, port in running.items():
                        if (mode, server) in LACKS:
                            continue
                        keys = COLLECTIONS if mode == "query" else 1000
                        ran = load(mode, port, table, seconds, connections, keys)
                        rates.setdefault((mode, connections, server), []).append(ran["per_second"])
                        latencies.setdefault((mode, connections, server), []).append(ran["p50_ms"])
    results = [row("fsync of 4 KiB alone", statistics.median(syncs), "ms")]
    for connections in CONNECTIONS:
        for mode, _, name, writes in REQUESTS:
            results += _rows(row, rates, mode, connections, name, list(running))
            if connections == 1:
                less = statistics.median(syncs) if writes else 0.0
                results.append(_alone(row, latencies, mode, f"{name} at 1", list(running), less))
    return results


def _rows(
    row: Callable[..., dict[str, Any]], rates: Rates, mode: str, connections: int, name: str, servers: list[str]
) -> list[dict[str, Any]]:
    """The rate, and how often it is each peer's: medians over the rounds."""
    mine = rates[mode, connections, "Headrace"]
    results = [row(f"{name} at {connections}", statistics.median(mine), "requests/s")]
    for peer in (server for server in servers[1:] if (mode, server) not in LACKS):
        times = statistics.median(a / b for a, b in zip(mine, rates[mode, connections, peer], strict=True))
        target = AT_LEAST_TIMES[peer] if connections == CONNECTIONS[-1] else None
        results.append(row(f"{name} at {connections}, against {peer}", times, "times", target))
    return results


def _alone(
    row: Callable[..., dict[str, Any]], latencies: Rates, mode: str, name: str, servers: list[str], fsync_less_ms: float
) -> dict[str, Any]:
    """The latency without its fsync against the quicker one of the two peers that the target names."""
    mine = statistics.median(latencies[mode, 1, "Headrace"]) - fsync_less_ms
    theirs = min(
        statistics.median(latencies[mode, 1, peer])
        for peer in servers[1:]
        if (mode, 1, peer) in latencies and AT_LEAST_TIMES[peer]
    )
    return row(f"{name}, p50 less fsync, against the quicker of ministack and dynalite", mine / theirs, "times", 1.0, below=True)


def _held_bytes(port: int) -> int:
    """What the server's process holds of its own, without the pages of the store's file."""
    status = Path(f"/proc/{server_status(port)['pid']}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def _large(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Reads of 10,000 items and of many, in turn, of one server."""
    seconds, items = (0.5, 20_000) if quick else (4.0, ITEMS)
    sizes = {"small": COLLECTIONS, "large": items // COLLECTION_ITEMS}
    shares: dict[str, list[float]] = {"get-filled": [], "query": []}
    with headrace(folder / "large") as port:
        for name in sizes:
            _create(port, name)
        _fill(port, "small", sizes["small"])
        before = _held_bytes(port)
        rate = _fill(port, "large", sizes["large"])
        for _ in range(1 if quick else ROUNDS):
            for mode, found in shares.items():
                few, many = (load(mode, port, name, seconds, 16, sizes[name])["per_second"] for name in ("small", "large"))
                found.append(many / few)
        held = _held_bytes(port)
    label = f"{items:,} items of 1 KB"
    return [
        row(f"{label}, written in batches of 20", rate, "items/s"),
        row(f"{label}, GetItem against 10,000", statistics.median(shares["get-filled"]), "share", 0.75),
        row(f"{label}, Query of 20 against 10,000", statistics.median(shares["query"]), "share", 0.75),
        row(f"{label}, memory of the process", held / 1e6, "MB"),
        row(f"{label}, of it since 10,000", (held - before) / 1e6, "MB"),
    ]
