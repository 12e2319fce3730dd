"""What CloudWatch keeps.

    metrics series  account region namespace name dimensions    when it last got values, to within minutes
    metrics bucket  digest minute unit                          Statistics of a minute of a series

A series's digest stands for its key, so that the many rows of its minutes have short keys.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from headrace.layers.records import Records
from headrace.services.cloudwatch import limits
from headrace.services.cloudwatch.engine import statistics
from headrace.services.cloudwatch.engine.statistics import Statistics
from headrace.services.cloudwatch.rules import Series, Slot
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction

SERIES = Records(("metrics", "series"), float)
BUCKETS = Records(("metrics", "bucket"), Statistics)
_decode = msgspec.msgpack.Decoder(Statistics).decode


def digest(series: Series) -> bytes:
    """The short key of a series."""
    return hashlib.sha256(tuples.pack(tuple(series))).digest()[:16]


def add(tx: Transaction, batch: Mapping[Slot, Statistics], now: float) -> None:
    """Add statistics to the minutes they belong to."""
    seen: set[Series] = set()
    for slot, added in batch.items():
        key = (digest(slot.series), slot.minute, slot.unit)
        kept = BUCKETS.get(tx, *key)
        BUCKETS.put(tx, added if kept is None else statistics.add(kept, added), *key)
        if slot.series not in seen:
            seen.add(slot.series)
            if now - (SERIES.get(tx, *slot.series) or 0.0) > limits.SEEN_EVERY_SECONDS:
                SERIES.put(tx, now, *slot.series)


def buckets(
    tx: ReadTransaction, series: Series, start: float, end: float, unit: str | None
) -> Iterator[tuple[int, str, Statistics]]:
    """(minute, unit, statistics) of a series with start <= time < end."""
    short = digest(series)
    first = int(start) // limits.BUCKET_SECONDS
    last = -int(-end // limits.BUCKET_SECONDS)
    for key, raw in tx.range(BUCKETS.key(short, first), BUCKETS.key(short, last)):
        minute, own = tuples.unpack(key)[-2:]
        assert isinstance(minute, int)
        assert isinstance(own, str)
        if unit in (None, own):
            yield minute, own, _decode(raw)


def list_series(
    tx: ReadTransaction, account: str, region: str, namespace: str | None, name: str | None, after: tuple[Any, ...] | None
) -> Iterator[tuple[Series, float]]:
    """(series, last seen) in the order of namespaces, names and dimensions."""
    prefix: tuple[str, ...] = (account, region)
    if namespace is not None:
        prefix += (namespace,) if name is None else (namespace, name)
    start = None if after is None else (account, region, *after)
    for key, seen in SERIES.scan(tx, *prefix, after=start):
        series = Series(*key)  # type: ignore[arg-type]
        if name in (None, series.name):
            yield series, seen


def trim(tx: Transaction, rows: Iterable[tuple[Series, float]], now: float) -> None:
    """Remove the minutes that are too old of some series, and series that have none any more."""
    oldest = int(now - limits.RETENTION_SECONDS) // limits.BUCKET_SECONDS
    for series, seen in rows:
        short = digest(series)
        tx.clear_range(BUCKETS.key(short), BUCKETS.key(short, oldest))
        if seen < now - limits.RETENTION_SECONDS - limits.FUTURE_MAX_SECONDS:
            SERIES.delete(tx, *series)
