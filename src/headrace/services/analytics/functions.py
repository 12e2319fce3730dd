"""Functions around an application: one that looks at records before the SQL does, and those that take its rows."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.operation import Context
from headrace.ports import Invocation, SourceRecord
from headrace.services.analytics import reports
from headrace.services.analytics.engine.schema import Failure
from headrace.services.analytics.state import Application

_FAILED = "Lambda.ProcessingFailed"


class FunctionFailed(Exception):
    """A function could not be run, or gave no answer that can be read: it is asked again."""


def process(
    ctx: Context, application_arn: str, function_arn: str, stream_arn: str, shard_id: str, records: Sequence[SourceRecord]
) -> list[bytes | Failure | None]:
    """What a function makes of each record: its new bytes, None when it was dropped, or why it was not processed."""
    event = {
        "invocationId": ctx.ids.uuid(),
        "applicationArn": application_arn,
        "streamArn": stream_arn,
        "records": [
            {
                "recordId": record.sequence_number,
                "data": base64.b64encode(record.data).decode(),
                **_metadata(stream_arn, shard_id, record),
            }
            for record in records
        ],
    }
    answers = _answers(_invoke(ctx, function_arn, event))
    found: list[bytes | Failure | None] = []
    for record in records:
        answer = answers.get(record.sequence_number)
        result = None if answer is None else answer.get("result")
        data = None if answer is None else answer.get("data")
        if result == "Ok" and isinstance(data, str):
            try:
                found.append(base64.b64decode(data, validate=True))
                continue
            except (binascii.Error, ValueError):
                result = None
        if result == "Dropped":
            found.append(None)
            continue
        reason = f"The function did not process record {record.sequence_number}."
        found.append(Failure(record.data, round(record.arrived_at * 1000), _FAILED, reason))
    return found


def _metadata(stream_arn: str, shard_id: str, record: SourceRecord) -> dict[str, Any]:
    """What is told of a record's place; objects in S3 have none."""
    arrived_ms = round(record.arrived_at * 1000)
    service = stream_arn.split(":", 3)[2]
    if service == "firehose":
        return {"kinesisFirehoseRecordMetadata": {"approximateArrivalTimestamp": arrived_ms}}
    if service != "kinesis":
        return {}
    return {
        "kinesisStreamRecordMetadata": {
            "sequenceNumber": record.sequence_number,
            "partitionKey": record.partition_key,
            "shardId": shard_id,
            "approximateArrivalTimestamp": arrived_ms,
        }
    }


def preprocess(
    ctx: Context, application: Application, function_arn: str, stream_arn: str, shard_id: str, records: Sequence[SourceRecord]
) -> list[bytes | Failure | None]:
    """As `process`, for an application, whose log stream tells of what failed."""
    found = process(ctx, application.arn, function_arn, stream_arn, shard_id, records)
    for one in found:
        if isinstance(one, Failure):
            reports.problem(ctx, application, one.name, one.reason)
    return found


def deliver(ctx: Context, application: Application, function_arn: str, rows: Mapping[str, bytes], attempt: int) -> list[str]:
    """Hand rows to a function, by their record ids; the ids that it could not deliver."""
    event = {
        "invocationId": ctx.ids.uuid(),
        "applicationArn": application.arn,
        "records": [
            {
                "recordId": record_id,
                "lambdaDeliveryRecordMetadata": {"retryHint": attempt},
                "data": base64.b64encode(row).decode(),
            }
            for record_id, row in rows.items()
        ],
    }
    answers = _answers(_invoke(ctx, function_arn, event))
    return [record_id for record_id in rows if (answers.get(record_id) or {}).get("result") != "Ok"]


def _invoke(ctx: Context, function_arn: str, event: Mapping[str, Any]) -> Invocation:
    answer = ctx.ports.invoker.invoke(ctx, function_arn, msgspec.json.encode(event))
    if answer.function_error is not None:
        raise FunctionFailed(f"{function_arn} failed: {answer.payload[:500].decode(errors='replace')}")
    return answer


def _answers(answer: Invocation) -> dict[str, dict[str, Any]]:
    try:
        return {str(one["recordId"]): one for one in msgspec.json.decode(answer.payload)["records"]}
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise FunctionFailed("the function's answer has no records") from error
