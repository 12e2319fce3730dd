"""Commits of the store against a bare file to which the same values are appended, with the same fsyncs."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.store.lmdb import LmdbStore

VALUE = b"x" * 1024
GROUP = 500
ROUNDS = 5


def _append(path: Path, groups: int) -> float:
    began = time.perf_counter()
    with path.open("ab", buffering=0) as file:
        for _ in range(groups):
            file.write(VALUE * GROUP)
            os.fdatasync(file.fileno())
    return groups * GROUP / (time.perf_counter() - began)


def _commit(store: LmdbStore, groups: int, first: int) -> float:
    began = time.perf_counter()
    for group in range(first, first + groups):

        def body(tx: Any, group: int = group) -> None:
            for number in range(GROUP):
                tx.set(b"log\x00" + (group * GROUP + number).to_bytes(8, "big"), VALUE)

        store.transact(body)
    return groups * GROUP / (time.perf_counter() - began)


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Both in turn; the median of the ratios."""
    groups = 10 if quick else 60
    store = LmdbStore(folder / "store", size_max_gib=8)
    pairs = [(_commit(store, groups, n * groups), _append(folder / "file", groups)) for n in range(ROUNDS)]
    store.close()
    return [
        row("store, 1 KiB values in groups of 500", statistics.median(pair[0] for pair in pairs), "values/s"),
        row("store, against a bare appended file", statistics.median(pair[0] / pair[1] for pair in pairs), "share"),
    ]
