"""Operations on records: put, and read through iterators."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.layers import log, pieces
from headrace.operation import Context, operation
from headrace.services.kinesis import errors, limits, naming, rules, shapes, state


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
) -> dict[str, Any]:
    """Put a record into the shard of its key; durable on return.

    Differs from AWS: no shard has a limit of bytes or records per second.
    """
    route = state.route(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    shard_id, sequence = _put(ctx, route, data, partition_key, explicit_hash_key, ctx.clock.now_ms())
    if sequence_number_for_ordering is not None:
        _check_ordering(ctx, route, shard_id, sequence_number_for_ordering)
    return {"ShardId": shard_id, "SequenceNumber": sequence, "EncryptionType": "NONE"}


@operation
def put_records(
    ctx: Context, *, records: list[dict[str, Any]], stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """Put up to 500 records, in their order, all in one transaction; durable on return.

    Differs from AWS: all records succeed or the request fails, so FailedRecordCount is always 0.
    """
    route = state.route(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    size_bytes = sum(len(record["Data"]) + len(record.get("PartitionKey") or "") for record in records)
    if size_bytes > limits.PUT_RECORDS_SIZE_MAX_BYTES:
        raise errors.InvalidArgumentException("Records size exceeds 10 MB limit")
    now_ms = ctx.clock.now_ms()
    results = []
    for record in records:
        shard_id, sequence = _put(ctx, route, record["Data"], record.get("PartitionKey"), record.get("ExplicitHashKey"), now_ms)
        results.append({"SequenceNumber": sequence, "ShardId": shard_id})
    return {"FailedRecordCount": 0, "Records": results, "EncryptionType": "NONE"}


def _put(
    ctx: Context, route: state.Route, data: bytes, partition_key: str | None, explicit_hash_key: str | None, now_ms: int
) -> tuple[str, str]:
    """Append one record; the shard's id and the record's sequence number."""
    if partition_key is None:
        raise ValidationException(
            "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null"
        )
    if len(data) > route.stream.record_size_max_kib * 1024:
        raise ValidationException(
            "1 validation error detected: Value at 'data' failed to satisfy constraint: "
            f"Member must have length less than or equal to {route.stream.record_size_max_kib * 1024}"
        )
    key = rules.hash_key(partition_key) if explicit_hash_key is None else _explicit(explicit_hash_key)
    shard_id, shard_log, base = route.shards[rules.route(route.starts, key)]
    entries = pieces.split(rules.encode_entry(now_ms, partition_key, data))
    place = log.append(ctx.tx, shard_log, entries) - len(entries) + 1
    return shard_id, rules.sequence_number(base, place, now_ms)


def _explicit(text: str) -> int:
    key = int(text)
    if key >= rules.HASH_KEY_END:
        raise errors.InvalidArgumentException(
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
        )
    return key


def _check_ordering(ctx: Context, route: state.Route, shard_id: str, sequence: str) -> None:
    """A place in a shard only grows, so the order that is asked for holds already; the number must be the shard's own."""
    base = next(shard.base for shard in route.shards if shard.shard_id == shard_id)
    if rules.place_of(base, sequence) is None:
        raise errors.InvalidArgumentException(
            f"ExclusiveMinimumSequenceNumber {sequence} used in PutRecord on stream {route.stream.name} under account "
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
) -> dict[str, Any]:
    """An iterator, good for five minutes: at the oldest record, behind the newest, or at a sequence number or time."""
    name = naming.stream_name(ctx, stream_name, stream_arn)
    stream = state.find(ctx.tx, ctx.account, ctx.region, name)
    shard = state.shard(ctx.tx, stream, ctx.account, shard_id)
    after = _start(ctx, stream, shard, shard_iterator_type, starting_sequence_number, timestamp)
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
def get_records(ctx: Context, *, shard_iterator: str, limit: int | None = None, stream_arn: str | None = None) -> dict[str, Any]:
    """Records behind an iterator. At the end of a closed shard: its children, and no next iterator.

    Differs from AWS: at most 2,000 records or 2 MiB at once (but at least one record); no limit of calls or bytes per second.
    """
    now_ms = ctx.clock.now_ms()
    place = naming.decode_iterator(shard_iterator, now_ms)
    if place.account != ctx.account or place.region != ctx.region:
        raise errors.InvalidArgumentException("Invalid ShardIterator.")
    if stream_arn is not None and naming.stream_name(ctx, None, stream_arn) != place.stream:
        raise errors.InvalidArgumentException("StreamARN does not match the stream of the ShardIterator.")
    stream = state.find(ctx.tx, ctx.account, ctx.region, place.stream)
    shard = state.SHARDS.get(ctx.tx, stream.id, place.shard)
    if stream.id != place.stream_id or shard is None:
        raise errors.shard_not_found(rules.shard_id(place.shard), stream.name, ctx.account)
    shard_log = state.log_of(stream, shard.number)
    found = state.read(
        ctx.tx,
        shard_log,
        place.after,
        min(limit or limits.GET_RECORDS_MAX, limits.GET_RECORDS_MAX),
        limits.GET_RECORDS_SIZE_MAX_BYTES,
    )
    after = found[-1].last_place if found else place.after
    behind_ms = state.behind_ms(ctx.tx, shard_log, after, now_ms)
    answer: dict[str, Any] = {
        "Records": [shapes.record(one, shard.base) for one in found],
        "MillisBehindLatest": behind_ms,
    }
    if shard.closed_at is not None and behind_ms == 0:
        children = [one for one in state.shards(ctx.tx, stream) if shard.number in (one.parent, one.adjacent_parent)]
        answer["ChildShards"] = [shapes.child(one) for one in children]
    else:
        answer["NextShardIterator"] = _iterator(ctx, stream, shard.number, after)
    return answer


def _iterator(ctx: Context, stream: state.Stream, shard: int, after: int) -> str:
    return naming.encode(naming.Iterator(ctx.account, ctx.region, stream.name, stream.id, shard, after, ctx.clock.now_ms()))
