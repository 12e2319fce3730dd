"""The door of Kinesis Data Streams, and what it offers to other services."""

from collections.abc import Mapping, Sequence
from functools import partial

from headrace.kit.errors import AccessDeniedException
from headrace.layers import log
from headrace.operation import Context, Service
from headrace.ports import Scope, SourceBatch, SourceColumns, SourceRecord, SourceShard
from headrace.services.kinesis import fanout_state, intake, naming, rules, shapes, state, workers
from headrace.services.kinesis.access import StreamPolicies
from headrace.services.kinesis.errors import InvalidArgumentException, ResourceNotFoundException
from headrace.services.kinesis.sealing import SEALS
from headrace.workers import Runner


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
            region = arn.split(":", 5)[3]
            records = [_source_record(one, shard, arn, region, inner.principal.arn) for one in found]
            after = found[-1].last_place if found else after
            behind_ms = state.behind_ms(inner.tx, shard_log, after, inner.clock.now_ms())
            return SourceBatch(
                records,
                rules.sequence_number(shard.base, after, found[-1].entry.arrived_ms) if found else position,
                shard.closed_at is not None and behind_ms == 0,
                behind_ms,
            )

        return scope.snapshot(body)

    def read_columns(
        self, scope: Scope, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int
    ) -> SourceColumns:
        """What `read` would give, as columns."""

        def body(inner: Scope) -> SourceColumns:
            stream, shard = _shard(inner, arn, shard_id)
            shard_log = state.log_of(stream, shard.number)
            after = rules.place_of(shard.base, position) or 0
            places, arrived_ms, partition_keys, data = state.read_columns(inner.tx, shard_log, after, limit, size_max_bytes)

            def sequence_number(place: int) -> str:
                return rules.sequence_number(shard.base, places[place], arrived_ms[place])

            behind_ms = state.behind_ms(inner.tx, shard_log, places[-1] if places else after, inner.clock.now_ms())
            return SourceColumns(
                data,
                arrived_ms,
                partition_keys,
                sequence_number,
                sequence_number(-1) if places else position,
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
        partition_key = (attributes or {}).get("partition_key")
        self.send_all(scope, arn, (body,), partition_keys=None if partition_key is None else (partition_key,))

    def send_all(self, scope: Scope, arn: str, bodies: Sequence[bytes], *, partition_keys: Sequence[str] | None = None) -> None:
        """Put the messages as records, in their order; with the running transaction, when there is one."""
        account, region, name = _own(scope, arn)
        if partition_keys is None:
            # Keys that nobody has: one random beginning, and a count.
            beginning = scope.ids.uuid()
            partition_keys = [f"{beginning}-{number}" for number in range(len(bodies))]

        def put(inner: Scope) -> None:
            route = state.route(inner.tx, account, region, name)
            # In a stream of one shard there is nothing to be found by the key's hash.
            evenly = route.stream.distribution == state.EVENLY or len(route.shards) == 1
            given = [
                (body, key, None if evenly else rules.hash_key(key), len(body) + len(key))
                for body, key in zip(bodies, partition_keys, strict=True)
            ]
            intake.put(inner.tx, account, region, route, given, inner.clock.now_ms(), limited=False)

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


def _source_record(found: state.Found, shard: state.Shard, arn: str, region: str, caller_arn: str) -> SourceRecord:
    entry = found.entry
    return SourceRecord(
        rules.sequence_number(shard.base, found.place, entry.arrived_ms),
        entry.data,
        entry.partition_key,
        entry.arrived_ms / 1000,
        partial(shapes.event, found, shard.base, shard.id, region, arn, caller_arn),
    )


def _start(ctx: Context, runner: Runner) -> None:
    SEALS.keep_in(ctx.settings.data)


STREAM_SINK = StreamSink()


SERVICE = Service(
    models=("kinesis",),
    operations="headrace.services.kinesis.operations",
    offers={
        "sources.kinesis": StreamSource(),
        "sinks.kinesis": STREAM_SINK,
        "batch_sinks.kinesis": STREAM_SINK,
        "policies.kinesis": StreamPolicies(),
    },
    workers=workers.WORKERS,
    on_start=_start,
)
