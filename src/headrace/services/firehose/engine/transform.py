"""Transformation by a Lambda function: what it is sent, what its answer means, and how failures are written down."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

MESSAGES = {
    "Lambda.MissingRecordId": "One or more record Ids were not returned. Ensure that the Lambda function returns all received "
    "record Ids.",
    "Lambda.DuplicatedRecordId": "Multiple records were returned with the same record Id. Ensure that the Lambda function "
    "returns unique record Ids for each record.",
    "Lambda.JsonProcessingException": "There was an error parsing returned records from the Lambda function. Ensure that the "
    "returned records follow the status model required by Amazon Data Firehose.",
    "Lambda.ProcessingFailedStatus": "ProcessingFailed status set for record",
    "Lambda.InvokeAccessDenied": "Access was denied. Ensure that the access policy allows access to the Lambda function.",
    "Lambda.FunctionError": "The Lambda function was successfully invoked but it returned an error result.",
}


class Record(NamedTuple):
    """A buffered record: its number in the buffer, when it came, its bytes, and where in a Kinesis stream it was."""

    number: int
    arrived_ms: int
    data: bytes
    source: Mapping[str, Any] | None = None


class Outcome(NamedTuple):
    """What became of one record: `data` when it goes on, neither when it was dropped, `error` (a code) when it failed."""

    data: bytes | None = None
    error: str | None = None
    message: str = ""


def record_id(number: int) -> str:
    """How the function knows a record."""
    return f"{number:056d}"


def in_batches(records: Sequence[Record], size_max_bytes: float, records_max: int) -> Iterator[Sequence[Record]]:
    """The records in order, in batches of at most this size (at least one record each)."""
    start = size_bytes = 0
    for place, record in enumerate(records):
        if place > start and (size_bytes + len(record.data) > size_max_bytes or place - start >= records_max):
            yield records[start:place]
            start, size_bytes = place, 0
        size_bytes += len(record.data)
    if start < len(records):
        yield records[start:]


def request(invocation_id: str, stream_arn: str, region: str, records: Sequence[Record], source_arn: str | None = None) -> bytes:
    """The function's event."""
    event: dict[str, Any] = {
        "invocationId": invocation_id,
        "deliveryStreamArn": stream_arn,
        "region": region,
        "records": [_sent(record) for record in records],
    }
    if source_arn is not None:
        event["sourceKinesisStreamArn"] = source_arn
    return msgspec.json.encode(event)


def _sent(record: Record) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "recordId": record_id(record.number),
        "approximateArrivalTimestamp": record.arrived_ms,
        "data": base64.b64encode(record.data).decode(),
    }
    if record.source is not None:
        sent["kinesisRecordMetadata"] = {
            "sequenceNumber": record.source["sequence"],
            "subsequenceNumber": 0,
            "partitionKey": record.source["key"],
            "shardId": record.source["shard"],
            "approximateArrivalTimestamp": record.arrived_ms,
        }
    return sent


def outcomes(answer: bytes, records: Sequence[Record]) -> list[Outcome]:
    """What the function's answer says of each record. An answer that can't be read fails all of them."""
    try:
        returned = msgspec.json.decode(answer)["records"]
        by_id: dict[str, list[Any]] = {}
        for one in returned:
            by_id.setdefault(one["recordId"], []).append(one)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
        return [failed("Lambda.JsonProcessingException")] * len(records)
    return [_outcome(by_id.get(record_id(record.number), [])) for record in records]


def _outcome(returned: Sequence[Mapping[str, Any]]) -> Outcome:
    if not returned:
        return failed("Lambda.MissingRecordId")
    if len(returned) > 1:
        return failed("Lambda.DuplicatedRecordId")
    result = returned[0].get("result")
    if result == "Dropped":
        return Outcome()
    if result == "ProcessingFailed":
        return failed("Lambda.ProcessingFailedStatus")
    data = returned[0].get("data")
    if result != "Ok" or not isinstance(data, str):
        return failed("Lambda.JsonProcessingException")
    try:
        return Outcome(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return failed("Lambda.JsonProcessingException")


def failed(code: str, message: str = "") -> Outcome:
    """A record that the function did not transform."""
    return Outcome(None, code, message or MESSAGES.get(code, ""))


def failure_line(record: Record, outcome: Outcome, attempts: int, ended_ms: int, function_arn: str) -> bytes:
    """A failed record as a line of an object below `processing-failed/`."""
    line = {
        "attemptsMade": attempts,
        "arrivalTimestamp": record.arrived_ms,
        "errorCode": outcome.error,
        "errorMessage": outcome.message,
        "attemptEndingTimestamp": ended_ms,
        "rawData": base64.b64encode(record.data).decode(),
        "lambdaArn": function_arn,
    }
    return msgspec.json.encode(line) + b"\n"
