"""Where outcomes may go: as far as the function's execution role may send."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.gateway.callers import document, statement

from conftest import eventually

Caller = Any
SEES = """
seen = []
def handler(event, context):
    if event == "seen":
        return seen
    seen.extend(record["kinesis"]["partitionKey"] for record in event["Records"])
"""
FAILS = "def handler(e, c):\n    raise ValueError('no')\n"


@pytest.fixture
def queue(client: Callable[..., Any]) -> tuple[str, str]:
    """URL and ARN of a queue."""
    url = client("sqs").create_queue(QueueName="outcomes")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


@pytest.fixture
def allow(client: Callable[..., Any], caller: Caller) -> Callable[..., None]:
    """Lets the functions' role do this, and nothing else."""

    def put(*statements: dict[str, Any]) -> None:
        client("iam").put_role_policy(RoleName="functions", PolicyName="all", PolicyDocument=document(*statements))

    put(statement("logs:*"))
    return put


def refusal(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    assert raised.value.response["Error"]["Code"] == "InvalidParameterValueException"
    return str(raised.value.response["Error"]["Message"])


def test_dead_letters__need_the_right(caller: Caller, client: Callable[..., Any], allow: Any, queue: tuple[str, str]) -> None:
    url, arn = queue
    functions = caller.client
    name = caller.make(FAILS)
    topic = client("sns").create_topic(Name="t")["TopicArn"]
    for target, expected in ((arn, "call SendMessage on SQS"), (topic, "call Publish on SNS")):
        given = {"DeadLetterConfig": {"TargetArn": target}}
        sentence = f"The provided execution role does not have permissions to {expected}"
        assert refusal(functions.update_function_configuration, FunctionName=name, **given) == sentence
    allow(statement("sqs:SendMessage", Resource=arn))
    functions.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": arn})
    functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'"one"')
    sqs = client("sqs")
    eventually(lambda: [one["Body"] for one in sqs.receive_message(QueueUrl=url).get("Messages", [])] == ['"one"'])
    # A role that has lost the right sends no more, and is not let in by another change either.
    allow(statement("logs:*"))
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'"two"')
    metrics = client("cloudwatch")

    def counted() -> Any:
        wanted = {"Namespace": "AWS/Lambda", "MetricName": "DestinationDeliveryFailures"}
        return metrics.list_metrics(**wanted)["Metrics"]

    eventually(counted)
    bodies = [one["Body"] for one in sqs.receive_message(QueueUrl=url).get("Messages", [])]
    assert '"two"' not in bodies


def test_destinations__need_the_right(caller: Caller, client: Callable[..., Any], allow: Any, queue: tuple[str, str]) -> None:
    url, arn = queue
    name = caller.make("def handler(e, c):\n    return e\n")
    put = caller.client.put_function_event_invoke_config
    wanted = {"FunctionName": name, "DestinationConfig": {"OnSuccess": {"Destination": arn}}}
    assert refusal(put, **wanted) == f"The function's execution role does not have permissions to call SendMessage on {arn}"
    other = caller.client.get_function_configuration(FunctionName=caller.make(FAILS))["FunctionArn"]
    to_function = {"FunctionName": name, "DestinationConfig": {"OnFailure": {"Destination": other}}}
    assert refusal(put, **to_function).endswith(f"does not have permissions to call InvokeFunction on {other}")
    client("s3").create_bucket(Bucket="outcomes-bucket")
    to_bucket = {"FunctionName": name, "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::outcomes-bucket"}}}
    assert "call PutObject on" in refusal(put, **to_bucket)
    allow(
        statement("sqs:SendMessage", Resource=arn),
        statement("s3:PutObject", Resource="arn:aws:s3:::outcomes-bucket/aws/lambda/*"),
    )
    put(FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": "arn:aws:s3:::outcomes-bucket"}})
    caller.client.invoke(FunctionName=name, InvocationType="Event", Payload=b"6")
    found = eventually(lambda: client("s3").list_objects_v2(Bucket="outcomes-bucket").get("Contents"))
    assert found[0]["Key"].startswith(f"aws/lambda/async/{name}/2")
    put(**wanted)
    caller.client.invoke(FunctionName=name, InvocationType="Event", Payload=b"7")

    def come() -> list[Any]:
        messages = client("sqs").receive_message(QueueUrl=url).get("Messages", [])
        return [json.loads(one["Body"])["responsePayload"] for one in messages]

    assert eventually(come) == [7]


def test_mapping__what_is_given_up_goes_where_the_role_may_send(
    caller: Caller, client: Callable[..., Any], allow: Any, queue: tuple[str, str]
) -> None:
    url, arn = queue
    reads = statement(["kinesis:Get*", "kinesis:Describe*", "kinesis:List*"])
    allow(reads)
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="source", ShardCount=1)
    stream = eventually(
        lambda: (one := kinesis.describe_stream_summary(StreamName="source")["StreamDescriptionSummary"])["StreamStatus"]
        == "ACTIVE" and one["StreamARN"]
    )  # fmt: skip
    wanted = {
        "FunctionName": caller.make(FAILS), "EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON",
        "MaximumRetryAttempts": 0, "DestinationConfig": {"OnFailure": {"Destination": arn}},
    }  # fmt: skip
    sentence = "The function execution role does not have permissions to call SendMessage on SQS"
    assert refusal(caller.client.create_event_source_mapping, **wanted) == sentence
    allow(reads, statement("sqs:SendMessage"))
    caller.client.create_event_source_mapping(**wanted)
    kinesis.put_record(StreamName="source", PartitionKey="a", Data=b"1")
    eventually(lambda: client("sqs").receive_message(QueueUrl=url).get("Messages"))


def test_mapping__of_a_function_that_is_gone_blocks_no_shard(
    caller: Caller, client: Callable[..., Any], allow: Any, queue: tuple[str, str], zipped: Any
) -> None:
    _, arn = queue
    allow(statement("*"))
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="source", ShardCount=1)
    stream = eventually(
        lambda: (one := kinesis.describe_stream_summary(StreamName="source")["StreamDescriptionSummary"])["StreamStatus"]
        == "ACTIVE" and one["StreamARN"]
    )  # fmt: skip
    name = caller.make(FAILS)
    caller.client.create_event_source_mapping(
        FunctionName=name, EventSourceArn=stream, StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )  # fmt: skip
    caller.client.delete_function(FunctionName=name)
    kinesis.put_record(StreamName="source", PartitionKey="lost", Data=b"1")

    def failed() -> Any:
        wanted = {"Namespace": "AWS/Lambda", "MetricName": "DestinationDeliveryFailures"}
        return client("cloudwatch").list_metrics(**wanted)["Metrics"]

    eventually(failed)
    package = {"ZipFile": zipped({"app.py": SEES})}
    caller.client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=caller.role, Code=package)
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    kinesis.put_record(StreamName="source", PartitionKey="next", Data=b"2")
    eventually(lambda: caller.call(name, "seen") == ["next"])
