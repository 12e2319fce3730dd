"""Streams: find them, describe them, read their records."""

import base64
import binascii
import hmac
from typing import Any

import msgspec

from headrace.kit.errors import ValidationException
from headrace.layers import log
from headrace.operation import Context, Longer, on_event_loop, operation
from headrace.services.dynamodb import changes, errors, limits, shapes, state
from headrace.services.dynamodb.state import StreamRow


class Iterator(msgspec.Struct, array_like=True):
    """What a shard iterator says: where to read on, and until when it may be used."""

    arn: str
    shard: int
    after: int
    until: int


_SIGNATURE_BYTES = 16
_decode_iterator = msgspec.msgpack.Decoder(Iterator).decode


@operation(read_only=True)
def list_streams(
    ctx: Context, *, table_name: str | None = None, limit: int | None = None, exclusive_start_stream_arn: str | None = None
) -> dict[str, Any]:
    """The streams of the account, or of one table; those too that were switched off in the last 24 hours."""
    prefix = (ctx.account, ctx.region) if table_name is None else (ctx.account, ctx.region, table_name)
    after = None
    if exclusive_start_stream_arn is not None:
        start = _stream(ctx, exclusive_start_stream_arn)
        after = (ctx.account, ctx.region, start.table, start.label)
    count = limit or limits.STREAM_SHARDS_PAGE
    found = [row for _, row in state.STREAMS.scan(ctx.tx, *prefix, after=after, limit=count + 1)]
    streams = [
        {
            "StreamArn": state.stream_arn(ctx.account, ctx.region, row.table, row.label),
            "TableName": row.table,
            "StreamLabel": row.label,
        }
        for row in found
    ]
    answer: dict[str, Any] = {"Streams": streams[:count]}
    if len(streams) > count:
        answer["LastEvaluatedStreamArn"] = streams[count - 1]["StreamArn"]
    return answer


@operation(read_only=True)
def describe_stream(
    ctx: Context,
    *,
    stream_arn: str,
    limit: int | None = None,
    exclusive_start_shard_id: str | None = None,
    shard_filter: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A stream and its shards. Differs from AWS: a shard is replaced by one child, and only when it got records."""
    stream = _stream(ctx, stream_arn)
    described = shapes.stream(stream_arn, stream)
    count = limit or limits.STREAM_SHARDS_PAGE
    numbers = list(range(stream.first, stream.shards))
    if shard_filter is not None:
        numbers = _children(stream, numbers, shard_filter)
    ids = [(number, shapes.shard_id(stream, number)) for number in numbers]
    if exclusive_start_shard_id is not None:
        ids = [(number, text) for number, text in ids if text > exclusive_start_shard_id]
    described["Shards"] = [_shard(ctx, stream, number, text) for number, text in ids[:count]]
    if len(ids) > count:
        described["LastEvaluatedShardId"] = ids[count - 1][1]
    return {"StreamDescription": described}


@operation(read_only=True)
def get_shard_iterator(
    ctx: Context,
    *,
    stream_arn: str,
    shard_id: str,
    shard_iterator_type: str,
    sequence_number: str | None = None,
    timestamp: float | None = None,
) -> dict[str, Any]:
    """A place in a shard to read from. It can be used for fifteen minutes."""
    stream = _stream(ctx, stream_arn)
    number = shapes.shard_number(stream, shard_id)
    if number is None:
        raise errors.ResourceNotFoundException(f"Requested resource not found: Shard does not exist: {shard_id}")
    shard_log = state.log_of(stream.id, number)
    if shard_iterator_type == "TRIM_HORIZON":
        after = (log.first(ctx.tx, shard_log) or log.last(ctx.tx, shard_log) + 1) - 1
    elif shard_iterator_type == "LATEST":
        after = log.last(ctx.tx, shard_log)
    elif shard_iterator_type == "AT_TIMESTAMP":
        if timestamp is None:
            raise ValidationException("1 validation error detected: Timestamp is required for ShardIteratorType AT_TIMESTAMP")
        after = changes.before(ctx.tx, shard_log, round(timestamp * 1000))
    else:
        after = _named(ctx, shard_log, shard_iterator_type, sequence_number)
    return {"ShardIterator": _iterator(ctx, stream_arn, number, after)}


@operation(read_only=True)
def get_records(ctx: Context, *, shard_iterator: str, limit: int | None = None) -> dict[str, Any]:
    """Read records of a shard, oldest first. Without a next iterator the shard has ended."""
    arn, number, after = _opened(ctx, shard_iterator)
    stream = _stream(ctx, arn)
    shard_log = state.log_of(stream.id, number)
    first = log.first(ctx.tx, shard_log)
    if first is not None and after + 1 < first:
        raise errors.TrimmedDataAccessException("The operation attempted to read past the oldest stream record in a shard. ")
    found = log.read(ctx.tx, shard_log, after, limit or limits.STREAM_RECORDS_MAX, limits.STREAM_READ_SIZE_MAX_BYTES)
    if len(found) > limits.QUICK_RECORDS_MAX and on_event_loop():
        raise Longer
    records = [changes.record(stream, number, place, changes.read(raw), ctx.region) for place, raw in found]
    after = found[-1][0] if found else after
    answer: dict[str, Any] = {"Records": records}
    if not stream.is_closed(number) or after < log.last(ctx.tx, shard_log):
        answer["NextShardIterator"] = _iterator(ctx, arn, number, after)
    return answer


def _stream(ctx: Context, arn: str) -> StreamRow:
    stream = state.find_stream(ctx, arn)
    if stream is None or f":{ctx.region}:{ctx.account}:" not in arn:
        raise errors.ResourceNotFoundException(f"Requested resource not found: Stream: {arn} not found")
    return stream


def _shard(ctx: Context, stream: StreamRow, number: int, text: str) -> dict[str, Any]:
    shard_log = state.log_of(stream.id, number)
    start = stream.generation(number).starts[number % limits.STREAM_SHARDS]
    span = {"StartingSequenceNumber": shapes.sequence_number(start)}
    if stream.is_closed(number):
        span["EndingSequenceNumber"] = shapes.sequence_number(max(start, log.last(ctx.tx, shard_log)))
    shard: dict[str, Any] = {"ShardId": text, "SequenceNumberRange": span}
    parent = stream.parent(number)
    if parent is not None:
        shard["ParentShardId"] = shapes.shard_id(stream, parent)
    return shard


def _children(stream: StreamRow, numbers: list[int], given: dict[str, Any]) -> list[int]:
    """The children of the shard that a ShardFilter names."""
    wanted = shapes.shard_number(stream, given.get("ShardId") or "")
    return [number for number in numbers if wanted is not None and stream.parent(number) == wanted]


def _named(ctx: Context, shard_log: bytes, kind: str, sequence: str | None) -> int:
    """The place that AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER mean."""
    if sequence is None:
        raise ValidationException(f"1 validation error detected: SequenceNumber is required for ShardIteratorType {kind}")
    number = shapes.number_of(sequence)
    if number is None:
        raise ValidationException("Invalid SequenceNumber")
    after = number - 1 if kind == "AT_SEQUENCE_NUMBER" else number
    first = log.first(ctx.tx, shard_log)
    oldest = first if first is not None else log.last(ctx.tx, shard_log) + 1
    if after + 1 < oldest:
        raise errors.TrimmedDataAccessException("The operation attempted to read past the oldest stream record in a shard. ")
    return after


def _iterator(ctx: Context, arn: str, shard: int, after: int) -> str:
    until = int(ctx.clock.now()) + limits.STREAM_ITERATOR_SECONDS
    packed = msgspec.msgpack.encode(Iterator(arn, shard, after, until))
    return f"{arn}|1|{base64.b64encode(packed + _signature(ctx, packed)).decode()}"


def _signature(ctx: Context, packed: bytes) -> bytes:
    """What tells an iterator of this server from one that somebody made."""
    key = f"{ctx.account}/{ctx.settings.root_secret_access_key}".encode()
    return hmac.digest(key, packed, "sha256")[:_SIGNATURE_BYTES]


def _opened(ctx: Context, text: str) -> tuple[str, int, int]:
    """(ARN, shard, after) of an iterator."""
    try:
        raw = base64.b64decode(text.rpartition("|")[2], validate=True)
        packed, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _signature(ctx, packed)):
            raise ValidationException("Invalid ShardIterator")
        found = _decode_iterator(packed)
        # The caller was allowed to read the stream that the text names.
        if found.arn != text.partition("|")[0]:
            raise ValidationException("Invalid ShardIterator")
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise ValidationException("Invalid ShardIterator") from None
    if found.until < ctx.clock.now():
        raise errors.ExpiredIteratorException("The shard iterator has expired. Shard iterators are valid for 15 minutes")
    return found.arn, found.shard, found.after
