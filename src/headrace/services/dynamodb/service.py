"""The door of DynamoDB and its streams, and what it offers to other services."""

from collections.abc import Callable, Sequence
from functools import partial

from headrace.layers import log
from headrace.operation import Context, Service
from headrace.ports import Scope, SourceBatch, SourceRecord, SourceShard
from headrace.services.dynamodb import changes, feeds, flows, insights, metering, replicas, shapes, state, workers
from headrace.services.dynamodb.access import TablePolicies
from headrace.services.dynamodb.state import StreamRow
from headrace.workers import Runner


class StreamSource:
    """Reads tables' streams for the consumer. A position is a sequence number: what is read next lies behind it."""

    def shards(self, scope: Scope, arn: str) -> Sequence[SourceShard]:
        """The shards of a stream. LookupError: no such stream."""

        def body(inner: Scope) -> list[SourceShard]:
            stream = _stream(inner, arn)
            found = []
            for number in range(stream.first, stream.shards):
                parent = stream.parent(number)
                parents = () if parent is None else (shapes.shard_id(stream, parent),)
                found.append(SourceShard(shapes.shard_id(stream, number), parents, closed=stream.is_closed(number)))
            return found

        return scope.snapshot(body)

    def start(self, scope: Scope, arn: str, shard_id: str, where: str | float) -> str:
        """The position for TRIM_HORIZON, LATEST or a time (seconds since 1970)."""

        def body(inner: Scope) -> str:
            stream, number = _shard(inner, arn, shard_id)
            shard_log = state.log_of(stream.id, number)
            if where == "LATEST":
                return shapes.sequence_number(log.last(inner.tx, shard_log))
            if isinstance(where, str):
                return shapes.sequence_number(0)
            return shapes.sequence_number(changes.before(inner.tx, shard_log, round(where * 1000)))

        return scope.snapshot(body)

    def read(self, scope: Scope, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int) -> SourceBatch:
        """Records after the position, in order. A trimmed position goes on at the oldest record that is left."""

        def body(inner: Scope) -> SourceBatch:
            stream, number = _shard(inner, arn, shard_id)
            shard_log = state.log_of(stream.id, number)
            after = shapes.number_of(position) or 0
            found = log.read(inner.tx, shard_log, after, limit, size_max_bytes)
            records = [_record(stream, number, place, raw, arn) for place, raw in found]
            after = found[-1][0] if found else after
            last = log.last(inner.tx, shard_log)
            behind_ms = 0
            if found and after < last:
                behind_ms = max(0, inner.clock.now_ms() - changes.at_ms(found[-1][1]))
            ended = stream.is_closed(number) and after >= last
            return SourceBatch(records, shapes.sequence_number(after) if found else position, ended, behind_ms)

        return scope.snapshot(body)

    def topic(self, scope: Scope, arn: str, shard_id: str) -> bytes:
        """The topic that is announced when the shard gets records."""

        def body(inner: Scope) -> bytes:
            stream, number = _shard(inner, arn, shard_id)
            return log.topic(state.log_of(stream.id, number))

        return scope.snapshot(body)


def _stream(scope: Scope, arn: str) -> StreamRow:
    feed = arn.startswith(f"arn:aws:{feeds.SOURCE}:")
    stream = state.find_feed(scope, arn) if feed else state.find_stream(scope, arn)
    if stream is None:
        raise LookupError(f"there is no stream {arn}")
    return stream


def _shard(scope: Scope, arn: str, shard_id: str) -> tuple[StreamRow, int]:
    stream = _stream(scope, arn)
    number = shapes.shard_number(stream, shard_id)
    if number is None:
        raise LookupError(f"the stream {arn} has no shard {shard_id}")
    return stream, number


def _record(stream: StreamRow, shard: int, number: int, raw: bytes, arn: str) -> SourceRecord:
    change = changes.read(raw)
    region = arn.split(":", 5)[3]
    event = changes.event(stream, shard, number, change, region, arn)
    # Who reads a shard in parallel parts keeps the order of each partition, so that is what tells the parts apart.
    partition = str(event["dynamodb"]["Keys"][stream.partition])
    return SourceRecord(shapes.sequence_number(number), changes.data(event), partition, change.at_ms / 1000, event)


_SOURCE = StreamSource()
_stops: list[Callable[[], None]] = []


def _start(ctx: Context, runner: Runner) -> None:
    _stops[:] = [partial(insights.COUNTER.keep, ctx), partial(metering.METER.hand_on, ctx)]
    runner.add(feeds.CONSUMER.worker(runner))
    runner.add(replicas.CONSUMER.worker(runner))


def _stop() -> None:
    for stop in _stops:
        stop()


SERVICE = Service(
    models=("dynamodb", "dynamodbstreams"),
    operations="headrace.services.dynamodb.operations",
    offers={
        "sources.dynamodb": _SOURCE,
        f"sources.{feeds.SOURCE}": _SOURCE,
        "policies.dynamodb": TablePolicies(),
        "insights.dynamodb": insights.Rules(),
        "flows.dynamodb": flows.Links(),
    },
    workers=workers.WORKERS,
    on_start=_start,
    on_stop=_stop,
)
