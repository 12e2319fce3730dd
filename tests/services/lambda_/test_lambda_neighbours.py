"""Functions with the services around them: code from S3, logs, DynamoDB streams, queues for what was given up."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import eventually
from headrace import services

Caller = Any


def needs(service: str) -> Any:
    missing = not (Path(services.__path__[0]) / service / "service.py").exists()
    return pytest.mark.skipif(missing, reason=f"{service} is not there")


@needs("s3")
def test_create_function__from_a_bucket(caller: Caller, client: Callable[..., Any], zipped: Callable[..., bytes]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="lambda-code-test")
    s3.put_object(Bucket="lambda-code-test", Key="a/b.zip", Body=zipped({"app.py": "def handler(e, c):\n    return 's3'\n"}))
    name = caller.make("", Code={"S3Bucket": "lambda-code-test", "S3Key": "a/b.zip"})
    assert caller.call(name) == "s3"
    with pytest.raises(ClientError, match="S3 Error Code: NoSuchKey") as error:
        caller.make("", Code={"S3Bucket": "lambda-code-test", "S3Key": "none"})
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"


@needs("logs")
def test_logs__every_line_as_aws_writes_it(caller: Caller, client: Callable[..., Any]) -> None:
    name = caller.make("def handler(e, c):\n    print('hello', e)\n")
    answer = caller.client.invoke(FunctionName=name, Payload=b"5")
    request_id = answer["ResponseMetadata"]["RequestId"]
    logs = client("logs")
    group = f"/aws/lambda/{name}"

    def lines() -> list[str]:
        (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
        assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream["logStreamName"])
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
        return [event["message"] for event in events]

    eventually(lambda: len(lines()) == 4)
    start, hello, end, report = lines()
    assert start == f"START RequestId: {request_id} Version: $LATEST\n"
    assert hello == "hello 5\n"
    assert end == f"END RequestId: {request_id}\n"
    assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: ")


@needs("logs")
def test_logs__group_of_ones_own(caller: Caller, client: Callable[..., Any]) -> None:
    name = caller.make("def handler(e, c):\n    return c.log_group_name\n", LoggingConfig={"LogGroup": "mine"})
    assert caller.call(name) == "mine"
    eventually(lambda: client("logs").describe_log_streams(logGroupName="mine")["logStreams"])


@needs("dynamodb")
def test_story__overdrawn_account_is_found_by_its_stream(caller: Caller, client: Callable[..., Any]) -> None:
    dynamodb = client("dynamodb")
    for table in ("accounts", "overdrawn"):
        arguments: dict[str, Any] = {
            "TableName": table,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if table == "accounts":
            arguments["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        dynamodb.create_table(**arguments)
        eventually(lambda table=table: dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE")
    stream = dynamodb.describe_table(TableName="accounts")["Table"]["LatestStreamArn"]
    name = caller.make(
        """
        import boto3
        table = boto3.client("dynamodb")
        def handler(event, context):
            for record in event["Records"]:
                image = record["dynamodb"]["NewImage"]
                table.put_item(TableName="overdrawn", Item={"id": image["id"], "seen": {"S": record["eventName"]}})
        """,
        Timeout=30,
        MemorySize=256,
    )
    pattern = {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {"balance": {"N": [{"numeric": ["<", 0]}]}}}}
    caller.client.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName=name,
        StartingPosition="TRIM_HORIZON",
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]},
    )
    for key, balance in (("a", 5), ("b", -3), ("c", 0), ("d", -100)):
        dynamodb.put_item(TableName="accounts", Item={"id": {"S": key}, "balance": {"N": str(balance)}})
    found = eventually(lambda: (items := dynamodb.scan(TableName="overdrawn")["Items"]) and len(items) == 2 and items)
    assert sorted((item["id"]["S"], item["seen"]["S"]) for item in found) == [("b", "INSERT"), ("d", "INSERT")]


@needs("sqs")
def test_dead_letters__go_to_a_queue(caller: Caller, client: Callable[..., Any], server: Any) -> None:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    name = caller.make("def handler(e, c):\n    raise ValueError('no')\n", DeadLetterConfig={"TargetArn": arn})
    caller.client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    answer = caller.client.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"x": 1}')
    (message,) = eventually(
        lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=1).get("Messages")
    )
    assert json.loads(message["Body"]) == {"x": 1}
    values = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert values == {"RequestID": answer["ResponseMetadata"]["RequestId"], "ErrorCode": "200", "ErrorMessage": "no"}


@needs("cloudwatch")
def test_metrics__of_invocations(caller: Caller, client: Callable[..., Any]) -> None:
    name = caller.make("def handler(e, c):\n    if e: raise ValueError\n")
    caller.call(name)
    caller.call(name, 1)
    names = {"Invocations", "Errors", "Duration", "ConcurrentExecutions"}
    dimensions = [{"Name": "FunctionName", "Value": name}]

    def listed() -> bool:
        metrics = client("cloudwatch").list_metrics(Namespace="AWS/Lambda", Dimensions=dimensions)["Metrics"]
        return {metric["MetricName"] for metric in metrics} >= names

    assert eventually(listed)
