"""Operations on records: put one, put many."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.firehose import buffer, errors, limits, state


@operation
def put_record(ctx: Context, *, delivery_stream_name: str, record: dict[str, Any]) -> dict[str, Any]:
    """Put a record into the buffer; durable on return."""
    target = _target(ctx, delivery_stream_name)
    number = buffer.append(ctx.tx, target, record["Data"], ctx.clock.now_ms())
    return {"RecordId": _record_id(target, number), "Encrypted": bool(target.stream.encryption)}


@operation
def put_record_batch(ctx: Context, *, delivery_stream_name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Put up to 500 records, in their order, all in one transaction; durable on return.

    Differs from AWS: all records succeed or the request fails, so FailedPutCount is always 0.
    """
    if sum(len(record["Data"]) for record in records) > limits.PUT_BATCH_SIZE_MAX_BYTES:
        raise errors.InvalidArgumentException("Records size exceeds 4 MB limit")
    target = _target(ctx, delivery_stream_name)
    now_ms = ctx.clock.now_ms()
    responses = [{"RecordId": _record_id(target, buffer.append(ctx.tx, target, record["Data"], now_ms))} for record in records]
    return {"FailedPutCount": 0, "Encrypted": bool(target.stream.encryption), "RequestResponses": responses}


def _target(ctx: Context, name: str) -> state.Target:
    target = state.target(ctx.tx, ctx.account, ctx.region, name)
    if target.stream.kind != state.DIRECT_PUT:
        raise errors.InvalidArgumentException("This operation is not permitted on KinesisStreamAsSource delivery stream type.")
    return target


def _record_id(target: state.Target, number: int) -> str:
    return f"{target.stream.id}{number:032x}"
