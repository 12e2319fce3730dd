"""The buffer of a delivery stream: records go in durably, and come out as closed batches.

The gauge (size, count, arrival of the oldest record) is updated with each record, so that closing a batch needs no look at the
records themselves.
"""

import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from headrace.layers import log, pieces
from headrace.ports import Scope
from headrace.services.firehose import errors, limits, state
from headrace.services.firehose.engine.transform import Record
from headrace.store.api import ReadTransaction, Transaction

_GAUGE = struct.Struct(">QQQQ")
_HEADER = struct.Struct(">QH")


class Gauge(NamedTuple):
    """The open batch: the log's number before it, what it holds, and when its oldest record came."""

    after: int
    records: int
    size_bytes: int
    oldest_ms: int


def append(tx: Transaction, target: state.Target, data: bytes, now_ms: int, source: Mapping[str, Any] | None = None) -> int:
    """Put a record into the buffer, and close the batch that it fills; the record's number."""
    if target.stream.full:
        raise errors.ServiceUnavailableException("Slow down.")
    entries = pieces.split(_encode(now_ms, data, source))
    last = log.append(tx, target.log, entries)
    raw = tx.get(target.gauge)
    if raw is None:
        gauge = Gauge(last - len(entries), 1, len(data), now_ms)
        state.PENDING.put(tx, target.owner, target.stream.id)
        tx.announce(state.PENDING_TOPIC)
        tx.announce(target.topic)
    else:
        after, records, size_bytes, oldest_ms = _GAUGE.unpack(raw)
        gauge = Gauge(after, records + 1, size_bytes + len(data), oldest_ms)
    if gauge.size_bytes >= target.size_max_bytes or last - gauge.after >= limits.BATCH_ENTRIES_MAX:
        close(tx, target.stream, gauge, last)
        tx.announce(target.topic)
        _mark_full(tx, target)
    else:
        tx.set(target.gauge, _GAUGE.pack(*gauge))
    return last - len(entries) + 1


def gauge(tx: ReadTransaction, stream_id: str) -> Gauge | None:
    """The open batch, or None when it is empty."""
    raw = tx.get(state.gauge_of(stream_id))
    return None if raw is None else Gauge(*_GAUGE.unpack(raw))


def close(tx: Transaction, stream: state.DeliveryStream, open_batch: Gauge, through: int) -> state.Batch:
    """Close the open batch: from now on it never changes."""
    batch = state.Batch(open_batch.after, through, open_batch.records, open_batch.size_bytes, open_batch.oldest_ms)
    state.BATCHES.put(tx, batch, stream.id, through)
    tx.clear(state.gauge_of(stream.id))
    return batch


def closed(tx: ReadTransaction, stream_id: str) -> state.Batch | None:
    """The oldest closed batch."""
    for _, batch in state.BATCHES.scan(tx, stream_id, limit=1):
        return batch
    return None


def batches_max(stream: state.DeliveryStream) -> int:
    """How many closed batches may wait before the delivery stream takes no more records."""
    return max(8, limits.BACKLOG_SIZE_MAX_BYTES // stream.destination.size_max_bytes)


def _mark_full(tx: Transaction, target: state.Target) -> None:
    most = batches_max(target.stream)
    if sum(1 for _ in tx.range(*_batch_range(target.stream.id), limit=most)) >= most:
        state.STREAMS.put(
            tx, msgspec.structs.replace(target.stream, full=True), target.owner.account, target.owner.region, target.owner.name
        )


def unmark_full(tx: Transaction, account: str, region: str, stream: state.DeliveryStream) -> None:
    """Take records again, once half of the backlog is delivered."""
    most = batches_max(stream) // 2
    if stream.full and sum(1 for _ in tx.range(*_batch_range(stream.id), limit=most)) < most:
        state.STREAMS.put(tx, msgspec.structs.replace(stream, full=False), account, region, stream.name)


def _batch_range(stream_id: str) -> tuple[bytes, bytes]:
    return state.BATCHES.key(stream_id), state.BATCHES.key(stream_id) + b"\xff"


def delivered(tx: ReadTransaction, stream_id: str) -> int:
    """The number up to which all records are delivered."""
    delivery = state.DELIVERIES.get(tx, stream_id)
    waiting = closed(tx, stream_id) if delivery is None else delivery.batch
    if waiting is not None:
        return waiting.after
    open_batch = gauge(tx, stream_id)
    return log.last(tx, state.log_of(stream_id)) if open_batch is None else open_batch.after


def removable(tx: ReadTransaction, stream_id: str, through: int, now: float) -> int:
    """Up to which number, `through` at most, nobody holds the records, or only such as are older than a day."""
    holds = [hold for _, hold in state.HOLDS.scan(tx, stream_id) if hold.until is None or hold.until > now]
    held = min((hold.after for hold in holds), default=through)
    if held >= through:
        return through
    oldest_ms = round((now - limits.HELD_SECONDS_MAX) * 1000)
    entries = log.scan(tx, state.log_of(stream_id), held)
    for number, entry in islice(entries, limits.TRIM_ENTRIES_PER_TRANSACTION):
        if number > through or (entry[0] not in pieces.LATER and _HEADER.unpack_from(entry, 1)[0] > oldest_ms):
            break
        held = number
    return held


def after(tx: ReadTransaction, stream_id: str, number: int, limit: int, size_max_bytes: int) -> tuple[list[Record], int]:
    """Records behind a number, delivered or not, as far as they are there; and the number of the last one's end."""
    stream_log = state.log_of(stream_id)
    entries = log.read(tx, stream_log, number, limit, size_max_bytes)
    found = list(pieces.join(entries))
    if not found and entries:  # a record of more pieces than the limits allow
        found = list(pieces.join(log.read(tx, stream_log, number, limits.PIECES_PER_RECORD_MAX)))[:1]
    return [_decode(first, raw) for first, _, raw in found], found[-1][1] if found else number


def read(scope: Scope, stream_id: str, batch: state.Batch) -> Iterator[Record]:
    """The records of a closed batch, in order, read in several looks at the store."""
    stream_log = state.log_of(stream_id)
    after = batch.after
    rest: list[tuple[int, bytes]] = []
    while after < batch.through:
        count = min(limits.READ_ENTRIES_PER_LOOK, batch.through - after)
        entries = scope.snapshot(
            lambda inner, after=after, count=count: log.read(  # type: ignore[misc]
                inner.tx, stream_log, after, count, limits.READ_SIZE_PER_LOOK_BYTES
            )
        )
        if not entries:
            return
        after = entries[-1][0]
        entries = rest + entries
        last = -1
        for number, last, raw in pieces.join(entries):  # noqa: B007
            yield _decode(number, raw)
        rest = [entry for entry in entries if entry[0] > last]


def _encode(arrived_ms: int, data: bytes, source: Mapping[str, Any] | None) -> bytes:
    if source is None:
        return _HEADER.pack(arrived_ms, 0) + data
    origin = msgspec.msgpack.encode(source)
    return _HEADER.pack(arrived_ms, len(origin)) + origin + data


def _decode(number: int, raw: bytes) -> Record:
    arrived_ms, size = _HEADER.unpack_from(raw)
    start = _HEADER.size + size
    source = msgspec.msgpack.decode(raw[_HEADER.size : start]) if size else None
    return Record(number, arrived_ms, raw[start:], source)
