"""What streams and shards take and give, counted in memory, and handed to CloudWatch every few seconds.

A stream's own metrics are always counted, those of its shards when enhanced monitoring asks for them. What was counted and not
handed over yet is lost with the process: these are measurements, not records.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.operation import Context
from headrace.ports import Metric, Unwired
from headrace.services.kinesis.state import Stream

NAMESPACE = "AWS/Kinesis"
FLUSH_SECONDS = 5.0
SHARD_METRICS = (
    "IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords", "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds",
)  # fmt: skip
_UNITS = {"IncomingBytes": "Bytes", "OutgoingBytes": "Bytes", "IteratorAgeMilliseconds": "Milliseconds"}
# What a stream calls those that its shards call otherwise.
_OF_STREAM = {
    "OutgoingBytes": "GetRecords.Bytes",
    "OutgoingRecords": "GetRecords.Records",
    "IteratorAgeMilliseconds": "GetRecords.IteratorAgeMilliseconds",
}

Place = tuple[str, str, str, str]


@dataclass(slots=True)
class Count:
    """What one shard did. `age_ms` is the largest that was seen; -1: nobody read."""

    metrics: tuple[str, ...]
    bytes_in: int = 0
    records_in: int = 0
    bytes_out: int = 0
    records_out: int = 0
    writes_refused: int = 0
    reads_refused: int = 0
    age_ms: int = -1

    def values(self) -> tuple[int, ...]:
        """The counts in the order of SHARD_METRICS."""
        return (
            self.bytes_in, self.records_in, self.bytes_out, self.records_out, self.writes_refused, self.reads_refused,
            self.age_ms,
        )  # fmt: skip


class Meter:
    """Counts for all streams of this process."""

    def __init__(self) -> None:
        self._counts: dict[Place, Count] = {}
        self._lock = threading.Lock()

    def wrote(
        self, account: str, region: str, stream: Stream, shard_id: str, records: int, size_bytes: int, refused: int
    ) -> None:
        """A shard took records, and refused some."""
        with self._lock:
            count = self._count((account, region, stream.name, shard_id), stream)
            count.records_in += records
            count.bytes_in += size_bytes
            count.writes_refused += refused

    def read(self, account: str, region: str, stream: Stream, shard_id: str, records: int, size_bytes: int, age_ms: int) -> None:
        """A shard gave records; the last one's age, or 0 at the tip."""
        with self._lock:
            count = self._count((account, region, stream.name, shard_id), stream)
            count.records_out += records
            count.bytes_out += size_bytes
            count.age_ms = max(count.age_ms, age_ms)

    def refused_read(self, account: str, region: str, stream: Stream, shard_id: str) -> None:
        """A shard refused a reader."""
        with self._lock:
            self._count((account, region, stream.name, shard_id), stream).reads_refused += 1

    def _count(self, place: Place, stream: Stream) -> Count:
        found = self._counts.get(place)
        if found is None:
            found = self._counts[place] = Count(tuple(stream.metrics))
        return found

    def take(self) -> dict[Place, Count]:
        """What was counted since the last call."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return counts


METER = Meter()


def report(ctx: Context) -> float:
    """Hand what was counted to CloudWatch."""
    if isinstance(ctx.ports.metrics, Unwired):
        return FLUSH_SECONDS
    of_streams: dict[tuple[str, str, str], Count] = {}
    values: dict[tuple[str, str], list[Metric]] = {}
    for (account, region, name, shard_id), count in METER.take().items():
        whole = of_streams.setdefault((account, region, name), Count(SHARD_METRICS))
        _add(whole, count)
        if count.metrics:
            values.setdefault((account, region), []).extend(_metrics(count, {}, (("StreamName", name), ("ShardId", shard_id))))
    for (account, region, name), count in of_streams.items():
        values.setdefault((account, region), []).extend(_metrics(count, _OF_STREAM, (("StreamName", name),)))
    for (account, region), found in values.items():
        ctx.ports.metrics.put(ctx.at(account, region), NAMESPACE, found)
    return FLUSH_SECONDS


def _add(whole: Count, part: Count) -> None:
    whole.bytes_in += part.bytes_in
    whole.records_in += part.records_in
    whole.bytes_out += part.bytes_out
    whole.records_out += part.records_out
    whole.writes_refused += part.writes_refused
    whole.reads_refused += part.reads_refused
    whole.age_ms = max(whole.age_ms, part.age_ms)


def _metrics(count: Count, names: dict[str, str], dimensions: tuple[tuple[str, str], ...]) -> Iterator[Metric]:
    for name, value in zip(SHARD_METRICS, count.values(), strict=True):
        if name in count.metrics and value >= 0:
            yield Metric(names.get(name, name), value, _UNITS.get(name, "Count"), dimensions)
