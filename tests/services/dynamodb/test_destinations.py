"""Kinesis streams as destinations of a table's changes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from conftest import REGION, HeadraceServer, eventually


def make(dynamodb: Any, kinesis: Any) -> str:
    dynamodb.create_table(
        TableName="orders", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    kinesis.create_stream(StreamName="changes", ShardCount=2)
    return kinesis.describe_stream_summary(StreamName="changes")["StreamDescriptionSummary"]["StreamARN"]


def records(kinesis: Any) -> list[dict[str, Any]]:
    found = []
    for shard in kinesis.list_shards(StreamName="changes")["Shards"]:
        place = kinesis.get_shard_iterator(StreamName="changes", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        found += kinesis.get_records(ShardIterator=place["ShardIterator"])["Records"]
    return found


def changes(kinesis: Any) -> list[dict[str, Any]]:
    return [json.loads(record["Data"]) for record in records(kinesis)]


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_enabled__changes_arrive_in_the_form_of_aws(client: Callable[..., Any]) -> None:
    dynamodb, kinesis = client("dynamodb"), client("kinesis")
    arn = make(dynamodb, kinesis)
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "before"}})
    enabled = dynamodb.enable_kinesis_streaming_destination(TableName="orders", StreamArn=arn)
    assert enabled["DestinationStatus"] == "ENABLING"
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}, "n": {"N": "1"}, "b": {"B": b"\xff"}})
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}, "n": {"N": "2"}})
    dynamodb.delete_item(TableName="orders", Key={"id": {"S": "a"}})
    eventually(lambda: len(records(kinesis)) == 3)
    first, second, third = changes(kinesis)
    assert [one["eventName"] for one in (first, second, third)] == ["INSERT", "MODIFY", "REMOVE"]
    assert {key: first[key] for key in ("recordFormat", "tableName", "eventSource", "awsRegion", "userIdentity")} == {
        "recordFormat": "application/json", "tableName": "orders", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
        "userIdentity": None,
    }  # fmt: skip
    assert first["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "n": {"N": "1"}, "b": {"B": "/w=="}}
    assert (second["dynamodb"]["Keys"], second["dynamodb"]["OldImage"]) == ({"id": {"S": "a"}}, first["dynamodb"]["NewImage"])
    assert "NewImage" not in third["dynamodb"]
    assert len(str(first["dynamodb"]["ApproximateCreationDateTime"])) == 13
    assert len({one["eventID"] for one in (first, second, third)}) == 3
    assert len({record["PartitionKey"] for record in records(kinesis)}) == 1
    assert client("dynamodbstreams").list_streams()["Streams"] == []


def test_destinations__are_described_updated_and_disabled(client: Callable[..., Any]) -> None:
    dynamodb, kinesis = client("dynamodb"), client("kinesis")
    arn = make(dynamodb, kinesis)
    place = {"TableName": "orders", "StreamArn": arn}
    assert refusal(dynamodb.disable_kinesis_streaming_destination, **place)[0] == "ValidationException"
    missing = {"TableName": "orders", "StreamArn": arn + "x"}
    assert refusal(dynamodb.enable_kinesis_streaming_destination, **missing)[0] == "ResourceNotFoundException"
    dynamodb.enable_kinesis_streaming_destination(**place)
    code, message = refusal(dynamodb.enable_kinesis_streaming_destination, **place)
    assert (code, "must be DISABLED or ENABLE_FAILED" in message) == ("ValidationException", True)
    dynamodb.update_kinesis_streaming_destination(
        **place, UpdateKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": "MICROSECOND"}
    )
    described = dynamodb.describe_kinesis_streaming_destination(TableName="orders")["KinesisDataStreamDestinations"]
    assert described == [{"StreamArn": arn, "DestinationStatus": "ACTIVE", "ApproximateCreationDateTimePrecision": "MICROSECOND"}]
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}})
    dynamodb.disable_kinesis_streaming_destination(**place)
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "b"}})
    eventually(lambda: len(records(kinesis)) == 1)
    assert len(str(changes(kinesis)[0]["dynamodb"]["ApproximateCreationDateTime"])) == 16
    (described,) = dynamodb.describe_kinesis_streaming_destination(TableName="orders")["KinesisDataStreamDestinations"]
    assert described["DestinationStatus"] == "DISABLED"
    dynamodb.enable_kinesis_streaming_destination(**place)
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "c"}})
    dynamodb.delete_table(TableName="orders")
    eventually(lambda: len(records(kinesis)) == 2)
    assert {one["dynamodb"]["Keys"]["id"]["S"] for one in changes(kinesis)} == {"a", "c"}


def test_killed__every_change_arrives_in_order(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        dynamodb, kinesis = server.client("dynamodb"), server.client("kinesis")
        arn = make(dynamodb, kinesis)
        dynamodb.enable_kinesis_streaming_destination(TableName="orders", StreamArn=arn)
        for number in range(60):
            dynamodb.put_item(TableName="orders", Item={"id": {"S": f"{number % 3}"}, "n": {"N": str(number)}})
            if number in (20, 40):
                server.kill()
                server.start()

        def arrived() -> bool:
            seen: dict[str, dict[str, int]] = {}
            for change in changes(server.client("kinesis")):
                image = change["dynamodb"]["NewImage"]
                seen.setdefault(image["id"]["S"], {}).setdefault(change["eventID"], int(image["n"]["N"]))
            return {key: list(found.values()) for key, found in seen.items()} == {
                str(key): list(range(key, 60, 3)) for key in range(3)
            }

        eventually(arrived, 40)
    finally:
        server.stop()


def test_enabled__by_a_user_who_may_put_records_there(client: Callable[..., Any], server: HeadraceServer, account: str) -> None:
    dynamodb, kinesis, iam = client("dynamodb"), client("kinesis"), client("iam")
    place = {"TableName": "orders", "StreamArn": make(dynamodb, kinesis)}
    iam.create_user(UserName="u")

    def allow(*actions: str) -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
        iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=policy)

    key = iam.create_access_key(UserName="u")["AccessKey"]
    mine = boto3.client(
        "dynamodb", endpoint_url=server.url, region_name=REGION, aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )  # fmt: skip
    allow("dynamodb:*")
    code, message = refusal(mine.enable_kinesis_streaming_destination, **place)
    assert (code, "kinesis:PutRecords" in message) == ("AccessDeniedException", True)
    allow("dynamodb:*", "kinesis:PutRecords")
    assert mine.enable_kinesis_streaming_destination(**place)["DestinationStatus"] == "ENABLING"
