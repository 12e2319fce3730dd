"""Operations on records: put one, put many."""

from typing import Any

from headrace.layers import once
from headrace.operation import Context, operation
from headrace.services.firehose import buffer, errors, limits, state


@operation
def put_record(ctx: Context, *, delivery_stream_name: str, record: dict[str, Any]) -> dict[str, Any]:
    """Put a record into the buffer; durable on return."""
    target = _target(ctx, delivery_stream_name)
    number = _append(ctx, target, record["Data"])
    return {"RecordId": _record_id(target, number), "Encrypted": bool(target.stream.encryption)}


@operation
def put_record_batch(ctx: Context, *, delivery_stream_name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Put up to 500 records, in their order, all in one transaction; durable on return.

    Differs from AWS: all records succeed or the request fails, so FailedPutCount is always 0.
    """
    if sum(len(record["Data"]) for record in records) > limits.PUT_BATCH_SIZE_MAX_BYTES:
        raise errors.InvalidArgumentException("Records size exceeds 4 MB limit")
    target = _target(ctx, delivery_stream_name)
    responses = [{"RecordId": _record_id(target, _append(ctx, target, record["Data"]))} for record in records]
    return {"FailedPutCount": 0, "Encrypted": bool(target.stream.encryption), "RequestResponses": responses}


def _append(ctx: Context, target: state.Target, data: bytes) -> int:
    """Append a record, unless the invocation that puts it is a repeated one that has put it before."""
    now_ms = ctx.clock.now_ms()
    if not ctx.trace_id:
        return buffer.append(ctx.tx, target, data, now_ms)
    space = ("firehose", target.stream.id)
    return once.append_once(ctx.tx, space, ctx.trace_id, data, now_ms / 1000, lambda: buffer.append(ctx.tx, target, data, now_ms))


def _target(ctx: Context, name: str) -> state.Target:
    target = state.target(ctx.tx, ctx.account, ctx.region, name)
    if target.stream.kind != state.DIRECT_PUT:
        raise errors.InvalidArgumentException("This operation is not permitted on KinesisStreamAsSource delivery stream type.")
    return target


def _record_id(target: state.Target, number: int) -> str:
    return f"{target.stream.id}{number:032x}"
