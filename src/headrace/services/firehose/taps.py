"""Delivery streams as sources: who reads one gets what was put into its buffer, as it was put, delivered or not.

A delivery removes records from the buffer. So a reader holds its place there, and what lies behind it stays until the reader
holds a later one, but no longer than a day. The one shard of a delivery stream is named by the stream's id: a new stream of an
old name is another shard.
"""

from collections.abc import Sequence

from headrace.kit import arn as arns
from headrace.layers import log
from headrace.ports import Scope, SourceBatch, SourceRecord, SourceShard
from headrace.services.firehose import buffer, limits, state
from headrace.services.firehose.engine.transform import Record
from headrace.services.firehose.errors import ResourceNotFoundException


class Tap:
    """Reads the buffers of delivery streams. A position is the number of a record's end in the buffer's log."""

    def shards(self, scope: Scope, arn: str) -> Sequence[SourceShard]:
        """The one shard; LookupError: no such delivery stream."""
        return [SourceShard(scope.snapshot(lambda inner: _find(inner, arn)).id, (), False)]

    def start(self, scope: Scope, arn: str, shard_id: str, where: str | float) -> str:
        """The position of LATEST; any other is the oldest record that is there, for a buffer knows no times."""
        return scope.snapshot(lambda inner: str(log.last(inner.tx, state.log_of(shard_id)) if where == "LATEST" else 0))

    def read(self, scope: Scope, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int) -> SourceBatch:
        """Records behind the position, in order. A trimmed position goes on at the oldest record that is left."""

        def body(inner: Scope) -> SourceBatch:
            if _find(inner, arn).id != shard_id:
                raise LookupError(arn)
            found, place = buffer.after(inner.tx, shard_id, int(position), limit, size_max_bytes)
            more = log.last(inner.tx, state.log_of(shard_id)) > place
            behind_ms = max(1, inner.clock.now_ms() - found[-1].arrived_ms) if more and found else 0
            return SourceBatch([_record(one) for one in found], str(place), False, behind_ms)

        return scope.snapshot(body)

    def topic(self, scope: Scope, arn: str, shard_id: str) -> bytes:
        """The topic that is announced when the delivery stream gets records."""
        return log.topic(state.log_of(shard_id))

    def hold(self, scope: Scope, arn: str, shard_id: str, reader: str, position: str, until: float | None = None) -> None:
        """Keep what lies behind the position for the reader, and forget what nobody needs any more."""

        def body(inner: Scope) -> None:
            stream = _find(inner, arn)
            if stream.id == shard_id:
                state.HOLDS.put(inner.tx, state.Hold(int(position), until), stream.id, reader)
                _forget(inner, stream.id)

        scope.transact(body)

    def release(self, scope: Scope, arn: str, reader: str) -> None:
        """Keep nothing more for the reader."""

        def body(inner: Scope) -> None:
            try:
                stream = _find(inner, arn)
            except LookupError:
                return
            state.HOLDS.delete(inner.tx, stream.id, reader)
            _forget(inner, stream.id)

        scope.transact(body)


def _find(scope: Scope, arn: str) -> state.DeliveryStream:
    where = arns.parse(arn)
    if where.account != scope.account or where.region != scope.region:
        raise LookupError(arn)
    try:
        return state.find(scope.tx, where.account, where.region, where.resource.removeprefix("deliverystream/"))
    except ResourceNotFoundException:
        raise LookupError(arn) from None


def _forget(scope: Scope, stream_id: str) -> None:
    through = buffer.removable(scope.tx, stream_id, buffer.delivered(scope.tx, stream_id), scope.clock.now())
    log.trim(scope.tx, state.log_of(stream_id), through, limits.TRIM_ENTRIES_PER_TRANSACTION)


def _record(one: Record) -> SourceRecord:
    metadata = {"approximateArrivalTimestamp": one.arrived_ms}
    return SourceRecord(str(one.number), one.data, "", one.arrived_ms / 1000, metadata)
