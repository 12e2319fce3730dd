"""PutItem, GetItem and PutRecord through the whole HTTP path: signatures verified, fsync before each answer."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import client, headrace, load, ministack

ROUNDS = 3


def _prepare(port: int) -> None:
    client("dynamodb", port).create_table(
        TableName="bench",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    client("kinesis", port).create_stream(StreamName="bench", ShardCount=4)


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Headrace and ministack in turn, several rounds, medians of the ratios."""
    seconds = 1.0 if quick else 5.0
    modes = {
        "put-item": ("PutItem on a table with a stream", 6.0),
        "get-item": ("GetItem", None),
        "put-record": ("PutRecord", 8.0),
    }
    rates: dict[str, list[tuple[float, float, float]]] = {mode: [] for mode in modes}
    p99: dict[str, list[float]] = {mode: [] for mode in modes}
    with headrace(folder / "data") as ours, ministack() as theirs:
        _prepare(ours)
        _prepare(theirs)
        for _ in range(1 if quick else ROUNDS):
            for mode in modes:
                keys = 1000 if mode == "get-item" else 1_000_000
                if mode == "get-item":
                    load("put-item", ours, seconds=seconds / 2, keys=keys)
                nothing = load("noop", ours, seconds=seconds / 2)["per_second"]
                mine = load(mode, ours, seconds=seconds, keys=keys)
                peer = load(mode, theirs, seconds=seconds, keys=keys)["per_second"]
                rates[mode].append((mine["per_second"], peer, nothing))
                p99[mode].append(mine["p99_ms"])
    results = []
    for mode, (name, target) in modes.items():
        mine_median = statistics.median(rate[0] for rate in rates[mode])
        results.append(row(name, mine_median, "requests/s"))
        results.append(row(f"{name}, p99", statistics.median(p99[mode]), "ms"))
        results.append(row(f"{name}, against ministack", statistics.median(r[0] / r[1] for r in rates[mode]), "times", target))
        results.append(row(f"{name}, against a no-op", statistics.median(r[0] / r[2] for r in rates[mode]), "share", 0.3))
    return results
