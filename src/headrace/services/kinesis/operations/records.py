"""Operations on records: put, and read through iterators."""

from collections.abc import Sequence
from hashlib import md5
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.layers import log
from headrace.operation import Context, operation
from headrace.services.kinesis import errors, intake, limits, naming, pages, rules, shapes, state
from headrace.services.kinesis.metering import METER
from headrace.services.kinesis.throttle import THROTTLE

from_bytes = int.from_bytes


@operation
def put_record(
    ctx: Context,
    *,
    data: bytes,
    partition_key: str | None = None,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    explicit_hash_key: str | None = None,
    sequence_number_for_ordering: str | None = None,
    dry_run: bool | None = None,
) -> dict[str, Any]:
    """Put a record into the shard of its key; durable on return.

    Differs from AWS: a shard takes as much as it can, unless limits are asked for.
    """
    route = state.route(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    record = {"Data": data, "PartitionKey": partition_key}
    if explicit_hash_key is not None:
        record["ExplicitHashKey"] = explicit_hash_key
    ((shard_id, sequence),) = _put(ctx, route, _given(route.stream, (record,)))
    if sequence is None:
        raise errors.rate_exceeded(shard_id, route.stream.name, ctx.account)
    if sequence_number_for_ordering is not None:
        _check_ordering(ctx, route, shard_id, sequence, sequence_number_for_ordering)
    if dry_run:
        raise errors.dry_run()
    return {"ShardId": shard_id, "SequenceNumber": sequence, "EncryptionType": route.stream.encryption}


@operation
def put_records(
    ctx: Context,
    *,
    records: list[dict[str, Any]],
    stream_name: str | None = None,
    stream_arn: str | None = None,
    dry_run: bool | None = None,
) -> dict[str, Any]:
    """Put up to 500 records, in their order, all in one transaction; durable on return. Those that a shard's limit refuses, where
    limits are asked for, fail for themselves.
    """
    route = state.route(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    stream = route.stream
    given = _given(stream, records)
    if sum(size_bytes for _, _, _, size_bytes in given) > limits.PUT_RECORDS_SIZE_MAX_BYTES:
        raise errors.InvalidArgumentException("Records size exceeds 10 MB limit")
    put = _put(ctx, route, given)
    if dry_run:
        raise errors.dry_run()
    results = [
        _refused(ctx, stream, shard_id) if sequence is None else {"SequenceNumber": sequence, "ShardId": shard_id}
        for shard_id, sequence in put
    ]
    failed = sum(sequence is None for _, sequence in put)
    return {"FailedRecordCount": failed, "Records": results, "EncryptionType": stream.encryption}


def _put(ctx: Context, route: state.Route, given: Sequence[intake.Given]) -> list[intake.Put]:
    limited = route.stream.limited(ctx.settings.enforce_limits)
    return intake.put(ctx.tx, ctx.account, ctx.region, route, given, ctx.clock.now_ms(), limited=limited)


def _refused(ctx: Context, stream: state.Stream, shard_id: str) -> dict[str, Any]:
    return {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": errors.rate_exceeded_text(shard_id, stream.name, ctx.account),
    }


def _given(stream: state.Stream, records: Sequence[dict[str, Any]]) -> list[intake.Given]:
    """The records as they were given, and where each falls."""
    evenly = stream.distribution == state.EVENLY
    size_max_bytes = stream.record_size_max_kib * 1024
    given = []
    for record in records:
        data, partition_key = record["Data"], record.get("PartitionKey")
        if partition_key is None:
            partition_key = _no_key(evenly)
        key = partition_key.encode()
        if len(data) + len(key) > size_max_bytes:
            raise ValidationException(
                "1 validation error detected: Value at 'data' failed to satisfy constraint: "
                f"Member must have length less than or equal to {size_max_bytes}"
            )
        if evenly:
            place = None
        elif "ExplicitHashKey" in record:
            place = _explicit(record["ExplicitHashKey"])
        else:
            place = from_bytes(md5(key, usedforsecurity=False).digest(), "big")
        given.append((data, partition_key, place, len(data) + len(key)))
    return given


def _no_key(evenly: bool) -> str:
    if evenly:
        return ""
    raise ValidationException(
        "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null"
    )


def _explicit(text: str) -> int:
    key = int(text)
    if key >= rules.HASH_KEY_END:
        raise errors.InvalidArgumentException(
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
        )
    return key


def _check_ordering(ctx: Context, route: state.Route, shard_id: str, sequence: str, after: str) -> None:
    """A place in a shard only grows, so the order that is asked for holds already, if the number can be one of the stream's.

    After a split or merge the number is a parent's, and smaller than all of this shard.
    """
    if int(after) >= int(sequence):
        raise errors.InvalidArgumentException(
            f"ExclusiveMinimumSequenceNumber {after} used in PutRecord on stream {route.stream.name} under account "
            f"{ctx.account} is invalid."
        )


@operation(read_only=True)
def get_shard_iterator(
    ctx: Context,
    *,
    shard_id: str,
    shard_iterator_type: str,
    starting_sequence_number: str | None = None,
    timestamp: float | None = None,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    dry_run: bool | None = None,
) -> dict[str, Any]:
    """An iterator, good for five minutes: at the oldest record, behind the newest, or at a sequence number or time."""
    name = naming.stream_name(ctx, stream_name, stream_arn)
    stream = state.find(ctx.tx, ctx.account, ctx.region, name)
    shard = state.shard(ctx.tx, stream, ctx.account, shard_id)
    after = _start(ctx, stream, shard, shard_iterator_type, starting_sequence_number, timestamp)
    if dry_run:
        raise errors.dry_run()
    return {"ShardIterator": _iterator(ctx, stream, shard.number, after)}


def _start(
    ctx: Context, stream: state.Stream, shard: state.Shard, kind: str, sequence: str | None, timestamp: float | None
) -> int:
    """The place behind which an iterator begins."""
    shard_log = state.log_of(stream, shard.number)
    if kind == "TRIM_HORIZON":
        return 0
    if kind == "LATEST":
        return log.last(ctx.tx, shard_log)
    if kind == "AT_TIMESTAMP":
        if timestamp is None:
            raise errors.InvalidArgumentException(
                "Must either specify timestamp parameter for AT_TIMESTAMP or not use this iterator type."
            )
        if timestamp > ctx.clock.now():
            raise errors.InvalidArgumentException(
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
                f"timestampInMillis: {round(timestamp * 1000)}, currentTimestampInMillis: {ctx.clock.now_ms()}"
            )
        return state.place_at(ctx.tx, shard_log, round(timestamp * 1000))
    if sequence is None:
        raise errors.InvalidArgumentException(f"Must specify startingSequenceNumber parameter for {kind} shard iterator type.")
    place = rules.place_of(shard.base, sequence)
    if place is None:
        raise errors.InvalidArgumentException(
            f"StartingSequenceNumber {sequence} used in GetShardIterator on shard {shard.id} in stream {stream.name} under "
            f"account {ctx.account} is invalid."
        )
    return place if kind == "AFTER_SEQUENCE_NUMBER" else max(0, place - 1)


@operation(read_only=True)
def get_records(
    ctx: Context,
    *,
    shard_iterator: str,
    limit: int | None = None,
    stream_arn: str | None = None,
    dry_run: bool | None = None,
) -> dict[str, Any]:
    """Records behind an iterator. At the end of a closed shard: its children, and no next iterator.

    Differs from AWS: at most 2,000 records or 2 MiB at once (but at least one record); no limit of calls or bytes per second,
    unless limits are asked for.
    """
    now_ms = ctx.clock.now_ms()
    place = naming.decode_iterator(ctx.settings, shard_iterator, now_ms)
    if place.account != ctx.account or place.region != ctx.region:
        raise errors.InvalidArgumentException("Invalid ShardIterator.")
    if stream_arn is not None and naming.stream_name(ctx, None, stream_arn) != place.stream:
        raise errors.InvalidArgumentException("StreamARN does not match the stream of the ShardIterator.")
    stream = state.find(ctx.tx, ctx.account, ctx.region, place.stream)
    shard = state.SHARDS.get(ctx.tx, stream.id, place.shard)
    if stream.id != place.stream_id or shard is None:
        raise errors.shard_not_found(rules.shard_id(place.shard), stream.name, ctx.account)
    if dry_run:
        raise errors.dry_run()
    shard_log = state.log_of(stream, shard.number)
    limited = stream.limited(ctx.settings.enforce_limits)
    if limited and not THROTTLE.may_read(shard_log, now_ms / 1000):
        METER.refused_read(ctx.account, ctx.region, stream, shard.id)
        raise errors.rate_exceeded(shard.id, stream.name, ctx.account)
    wanted = min(limit or limits.GET_RECORDS_MAX, limits.GET_RECORDS_MAX)
    found = pages.read(ctx.tx, shard_log, shard.base, place.after, wanted, limits.GET_RECORDS_SIZE_MAX_BYTES)
    after = found.last_place or place.after
    behind_ms = state.behind_ms(ctx.tx, shard_log, after, now_ms)
    size_bytes = found.size_bytes
    METER.read(ctx.account, ctx.region, stream, shard.id, len(found.records), size_bytes, behind_ms)
    if limited:
        THROTTLE.gave(shard_log, size_bytes, now_ms / 1000)
    answer: dict[str, Any] = {
        "Records": found.records,
        "MillisBehindLatest": behind_ms,
    }
    if shard.closed_at is not None and behind_ms == 0:
        children = [one for one in state.shards(ctx.tx, stream) if shard.number in (one.parent, one.adjacent_parent)]
        answer["ChildShards"] = [shapes.child(one) for one in children]
    else:
        answer["NextShardIterator"] = _iterator(ctx, stream, shard.number, after)
    return answer


def _iterator(ctx: Context, stream: state.Stream, shard: int, after: int) -> str:
    return naming.encode(
        ctx.settings, naming.Iterator(ctx.account, ctx.region, stream.name, stream.id, shard, after, ctx.clock.now_ms())
    )
