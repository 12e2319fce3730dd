"""The door of Kinesis Data Streams, and what it offers to other services."""

from collections.abc import Mapping, Sequence

from headrace.kit.errors import AccessDeniedException
from headrace.layers import log
from headrace.operation import Service
from headrace.ports import Scope, SourceBatch, SourceRecord, SourceShard
from headrace.services.kinesis import fanout_state, intake, naming, rules, shapes, state, workers
from headrace.services.kinesis.errors import InvalidArgumentException, ResourceNotFoundException


class StreamSource:
    """Reads streams for the consumer. A position is the sequence number of a record: what is read next lies behind it."""

    def shards(self, scope: Scope, arn: str) -> Sequence[SourceShard]:
        """The shards that can still be read. LookupError: no such stream."""
        return scope.snapshot(
            lambda inner: [
                SourceShard(
                    one.id,
                    tuple(rules.shard_id(n) for n in (one.parent, one.adjacent_parent) if n is not None),
                    one.closed_at is not None,
                )
                for one in state.shards(inner.tx, _stream(inner, arn))
            ]
        )

    def start(self, scope: Scope, arn: str, shard_id: str, where: str | float) -> str:
        """The position for TRIM_HORIZON, LATEST or a time (seconds since 1970)."""

        def body(inner: Scope) -> str:
            stream, shard = _shard(inner, arn, shard_id)
            shard_log = state.log_of(stream, shard.number)
            if where == "LATEST":
                place = log.last(inner.tx, shard_log)
            elif isinstance(where, str):
                place = 0
            else:
                place = state.place_at(inner.tx, shard_log, round(where * 1000))
            return rules.sequence_number(shard.base, place, 0)

        return scope.snapshot(body)

    def read(self, scope: Scope, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int) -> SourceBatch:
        """Records after the position, in order. A trimmed position goes on at the oldest record that is left."""

        def body(inner: Scope) -> SourceBatch:
            stream, shard = _shard(inner, arn, shard_id)
            shard_log = state.log_of(stream, shard.number)
            after = rules.place_of(shard.base, position) or 0
            found = state.read(inner.tx, shard_log, after, limit, size_max_bytes)
            records = [_source_record(inner, one, shard, arn) for one in found]
            after = found[-1].last_place if found else after
            behind_ms = state.behind_ms(inner.tx, shard_log, after, inner.clock.now_ms())
            return SourceBatch(
                records,
                rules.sequence_number(shard.base, after, found[-1].entry.arrived_ms) if found else position,
                shard.closed_at is not None and behind_ms == 0,
                behind_ms,
            )

        return scope.snapshot(body)

    def topic(self, scope: Scope, arn: str, shard_id: str) -> bytes:
        """The topic that is announced when the shard gets records."""
        return scope.snapshot(lambda inner: log.topic(state.log_of(*_stream_and_number(inner, arn, shard_id))))


class StreamSink:
    """Puts messages for stream ARNs. The attribute `partition_key` names the record's key; without it, each goes anywhere."""

    def send(self, scope: Scope, arn: str, body: bytes, *, attributes: Mapping[str, str] | None = None) -> None:
        """Put the message as a record; with the running transaction, when there is one."""
        account, region, name = _own(scope, arn)
        partition_key = (attributes or {}).get("partition_key") or scope.ids.uuid()

        def put(inner: Scope) -> None:
            route = state.route(inner.tx, account, region, name)
            given = (
                body,
                partition_key,
                None if evenly(route) else rules.hash_key(partition_key),
                len(body) + len(partition_key),
            )
            intake.put(inner.tx, account, region, route, (given,), inner.clock.now_ms(), limited=False)

        def evenly(route: state.Route) -> bool:
            return route.stream.distribution == state.EVENLY

        scope.transact(put)


def _own(scope: Scope, arn: str) -> tuple[str, str, str]:
    """(account, region, name) of a stream of the scope's account. Others' streams need a policy, and there are none yet."""
    account, region, name = naming.parse_stream_arn(arn)
    if account != scope.account:
        raise AccessDeniedException(f"{scope.principal.arn} is not authorized to access {arn}")
    return account, region, name


def _stream(scope: Scope, arn: str) -> state.Stream:
    try:
        stream = state.find(scope.tx, *_own(scope, arn))
        if "/consumer/" in arn:
            # A consumer's ARN: read as the stream is, for as long as the consumer is registered.
            fanout_state.find(scope.tx, scope, None, None, arn)
        return stream
    except (ResourceNotFoundException, AccessDeniedException, InvalidArgumentException) as error:
        raise LookupError(error.message) from None


def _stream_and_number(scope: Scope, arn: str, shard_id: str) -> tuple[state.Stream, int]:
    number = rules.shard_number(shard_id)
    if number is None:
        raise LookupError(f"{shard_id} is not the id of a shard")
    return _stream(scope, arn), number


def _shard(scope: Scope, arn: str, shard_id: str) -> tuple[state.Stream, state.Shard]:
    stream, number = _stream_and_number(scope, arn, shard_id)
    shard = state.SHARDS.get(scope.tx, stream.id, number)
    if shard is None:
        raise LookupError(f"stream {stream.name} has no shard {shard_id}")
    return stream, shard


def _source_record(scope: Scope, found: state.Found, shard: state.Shard, arn: str) -> SourceRecord:
    region = arn.split(":", 5)[3]
    return SourceRecord(
        rules.sequence_number(shard.base, found.place, found.entry.arrived_ms),
        found.entry.data,
        found.entry.partition_key,
        found.entry.arrived_ms / 1000,
        shapes.event(found, shard.base, shard.id, region, arn, scope.principal.arn),
    )


SERVICE = Service(
    models=("kinesis",),
    operations="headrace.services.kinesis.operations",
    offers={"sources.kinesis": StreamSource(), "sinks.kinesis": StreamSink()},
    workers=workers.WORKERS,
)
