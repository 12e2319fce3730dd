"""The transformation by a function: its event, its answer, and failures."""

import base64
import json

from headrace.services.firehose.engine import transform
from headrace.services.firehose.engine.transform import Outcome, Record

RECORDS = [Record(1, 1_700_000_000_001, b"one"), Record(2, 1_700_000_000_002, b"two"), Record(3, 1_700_000_000_003, b"three")]


def _answer(*records: tuple[int, str, bytes | None]) -> bytes:
    return json.dumps(
        {
            "records": [
                {"recordId": transform.record_id(number), "result": result, "data": data and base64.b64encode(data).decode()}
                for number, result, data in records
            ]
        }
    ).encode()


def test_request__has_aws_form() -> None:
    event = json.loads(transform.request("call-1", "arn:stream", "us-east-1", RECORDS[:1]))
    assert event == {
        "invocationId": "call-1",
        "deliveryStreamArn": "arn:stream",
        "region": "us-east-1",
        "records": [{"recordId": transform.record_id(1), "approximateArrivalTimestamp": 1_700_000_000_001, "data": "b25l"}],
    }


def test_request__of_a_kinesis_source_says_where_a_record_was() -> None:
    record = Record(1, 5, b"x", {"sequence": "49", "key": "k", "shard": "shardId-000000000000"})
    event = json.loads(transform.request("c", "arn", "r", [record], "arn:source"))
    assert event["sourceKinesisStreamArn"] == "arn:source"
    assert event["records"][0]["kinesisRecordMetadata"] == {
        "sequenceNumber": "49",
        "subsequenceNumber": 0,
        "partitionKey": "k",
        "shardId": "shardId-000000000000",
        "approximateArrivalTimestamp": 5,
    }


def test_outcomes__ok_dropped_and_failed() -> None:
    answer = _answer((2, "Dropped", None), (1, "Ok", b"ONE"), (3, "ProcessingFailed", b"three"))
    assert transform.outcomes(answer, RECORDS) == [
        Outcome(b"ONE"),
        Outcome(),
        Outcome(None, "Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record"),
    ]


def test_outcomes__missing_and_doubled_ids_fail_alone() -> None:
    answer = _answer((1, "Ok", b"ONE"), (2, "Ok", b"a"), (2, "Ok", b"b"))
    assert [outcome.error for outcome in transform.outcomes(answer, RECORDS)] == [
        None,
        "Lambda.DuplicatedRecordId",
        "Lambda.MissingRecordId",
    ]


def test_outcomes__an_answer_that_is_none_fails_all() -> None:
    for answer in (b"", b"null", b"[]", b'{"records": 5}', b'{"records": [{"result": "Ok"}]}', b"\xff"):
        assert {outcome.error for outcome in transform.outcomes(answer, RECORDS)} == {"Lambda.JsonProcessingException"}


def test_outcomes__a_strange_result_or_data_fails_the_record() -> None:
    answer = _answer((1, "ok", b"x"), (2, "Ok", b"TWO")).replace(b"VFdP", b"VF*P")
    assert [outcome.error for outcome in transform.outcomes(answer, RECORDS[:2])] == ["Lambda.JsonProcessingException"] * 2


def test_failure_line__has_aws_form() -> None:
    outcome = transform.failed("Lambda.FunctionError")
    line = transform.failure_line(RECORDS[0], outcome, 4, 1_700_000_001_000, "arn:function")
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "attemptsMade": 4,
        "arrivalTimestamp": 1_700_000_000_001,
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "The Lambda function was successfully invoked but it returned an error result.",
        "attemptEndingTimestamp": 1_700_000_001_000,
        "rawData": "b25l",
        "lambdaArn": "arn:function",
    }


def test_in_batches__cut_by_size_and_count() -> None:
    assert [len(batch) for batch in transform.in_batches(RECORDS, 6, 10)] == [2, 1]
    assert [len(batch) for batch in transform.in_batches(RECORDS, 1, 10)] == [1, 1, 1]
    assert [len(batch) for batch in transform.in_batches(RECORDS, 1e9, 2)] == [2, 1]
    assert list(transform.in_batches([], 1, 1)) == []
