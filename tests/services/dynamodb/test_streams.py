"""Streams through boto3: what a change leaves in them, and how they are read."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Client = Callable[..., Any]


def table(db: Any, view: str = "NEW_AND_OLD_IMAGES", name: str = "things") -> str:
    """A table with a stream; the stream's ARN."""
    made = db.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def records(streams: Any, arn: str, kind: str = "TRIM_HORIZON") -> list[dict[str, Any]]:
    """All records of all shards."""
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=kind)["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator, Limit=7)
            found += answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return found


def one_of_each(db: Any) -> None:
    key = {"id": {"S": "k"}}
    db.put_item(TableName="things", Item={**key, "v": {"N": "1"}})
    db.put_item(TableName="things", Item={"v": {"N": "1.0"}, **key})
    db.update_item(TableName="things", Key=key, UpdateExpression="SET v = :v", ExpressionAttributeValues={":v": {"N": "2"}})
    db.update_item(TableName="things", Key=key, UpdateExpression="SET v = :v", ExpressionAttributeValues={":v": {"N": "2"}})
    db.delete_item(TableName="things", Key=key)
    db.delete_item(TableName="things", Key=key)


def test_get_records__of_each_change(client: Client) -> None:
    db, streams = client("dynamodb"), client("dynamodbstreams")
    arn = table(db)
    one_of_each(db)
    found = records(streams, arn)
    assert [record["eventName"] for record in found] == ["INSERT", "MODIFY", "REMOVE"]
    key = {"id": {"S": "k"}}
    first, second = {**key, "v": {"N": "1"}}, {**key, "v": {"N": "2"}}
    images = [(record["dynamodb"].get("OldImage"), record["dynamodb"].get("NewImage")) for record in found]
    assert images == [(None, first), (first, second), (second, None)]
    for record in found:
        assert record["eventVersion"] == "1.1"
        assert record["eventSource"] == "aws:dynamodb"
        assert record["awsRegion"] == "us-east-1"
        assert record["dynamodb"]["Keys"] == key
        assert record["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        assert "userIdentity" not in record
    assert found[1]["dynamodb"]["SizeBytes"] == 3 + 6 + 6
    numbers = [record["dynamodb"]["SequenceNumber"] for record in found]
    assert sorted(set(numbers)) == numbers
    assert all(21 <= len(number) <= 40 for number in numbers)
    assert len({record["eventID"] for record in found}) == 3


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_get_records__view_types(client: Client, view: str, images: set[str]) -> None:
    db, streams = client("dynamodb"), client("dynamodbstreams")
    arn = table(db, view)
    one_of_each(db)
    found = records(streams, arn)
    assert len(found) == 3
    assert {name for name in found[1]["dynamodb"] if name.endswith("Image")} == images


def test_get_shard_iterator__types(client: Client) -> None:
    db, streams = client("dynamodb"), client("dynamodbstreams")
    arn = table(db)
    one_of_each(db)
    shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    (shard,) = [
        one["ShardId"]
        for one in shards
        if streams.get_records(
            ShardIterator=streams.get_shard_iterator(StreamArn=arn, ShardId=one["ShardId"], ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
        )["Records"]
    ]

    def read(kind: str, **more: Any) -> list[str]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)["ShardIterator"]
        return [record["dynamodb"]["SequenceNumber"] for record in streams.get_records(ShardIterator=iterator)["Records"]]

    numbers = read("TRIM_HORIZON")
    assert len(numbers) == 3
    assert read("LATEST") == []
    assert read("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == numbers[1:]
    assert read("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == numbers[2:]
    latest = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    db.put_item(TableName="things", Item={"id": {"S": "k"}})
    assert len(streams.get_records(ShardIterator=latest)["Records"]) == 1


def test_streams__order_of_each_key_holds(client: Client) -> None:
    db, streams = client("dynamodb"), client("dynamodbstreams")
    arn = table(db)
    for number in range(60):
        db.put_item(TableName="things", Item={"id": {"S": f"k{number % 20}"}, "v": {"N": str(number)}})
    found = records(streams, arn)
    assert len(found) == 60
    replayed: dict[str, list[int]] = {}
    for record in found:
        image = record["dynamodb"]["NewImage"]
        replayed.setdefault(image["id"]["S"], []).append(int(image["v"]["N"]))
    assert replayed == {f"k{n}": [n, n + 20, n + 40] for n in range(20)}
    assert len(streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]) > 1


def test_streams__switched_off_and_on(client: Client) -> None:
    db, streams = client("dynamodb"), client("dynamodbstreams")
    arn = table(db)
    one_of_each(db)
    db.update_table(TableName="things", StreamSpecification={"StreamEnabled": False})
    db.put_item(TableName="things", Item={"id": {"S": "unseen"}})
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    assert all("EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in described["Shards"])
    iterators = [
        streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        for shard in described["Shards"]
    ]
    answers = [streams.get_records(ShardIterator=iterator) for iterator in iterators]
    assert sum(len(answer["Records"]) for answer in answers) == 3
    assert not any("NextShardIterator" in answer for answer in answers)
    again = db.update_table(TableName="things", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})[
        "TableDescription"
    ]["LatestStreamArn"]
    assert again != arn
    assert records(streams, again) == []
    assert [one["StreamArn"] for one in streams.list_streams(TableName="things")["Streams"]] == [arn, again]
    page = streams.list_streams(Limit=1)
    assert page["LastEvaluatedStreamArn"] == arn
    rest = streams.list_streams(ExclusiveStartStreamArn=arn)["Streams"]
    assert [one["StreamArn"] for one in rest] == [again]


def test_streams__refuse(client: Client, account: str) -> None:
    streams = client("dynamodbstreams")
    missing = f"arn:aws:dynamodb:us-east-1:{account}:table/nothing/stream/2020-01-01T00:00:00.000"
    with pytest.raises(streams.exceptions.ResourceNotFoundException):
        streams.describe_stream(StreamArn=missing)
    with pytest.raises(ClientError) as caught:
        streams.get_records(ShardIterator="nonsense")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.fixture
def own_server(tmp_path: Any) -> Any:
    """A server whose clock may be moved without disturbing other tests."""
    running = HeadraceServer(tmp_path / "data").start()
    yield running
    running.stop()


def test_time__expires_items_trims_streams_and_ends_iterators(own_server: HeadraceServer) -> None:
    db, streams = own_server.client("dynamodb"), own_server.client("dynamodbstreams")
    arn = table(db)
    now = int(own_server.page("/_headrace/clock")["now"])
    db.put_item(TableName="things", Item={"id": {"S": "before"}, "until": {"N": str(now + 100)}})
    db.update_time_to_live(TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    assert db.describe_time_to_live(TableName="things")["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED", "AttributeName": "until",
    }  # fmt: skip
    db.put_item(TableName="things", Item={"id": {"S": "soon"}, "until": {"N": str(now + 100)}})
    db.put_item(TableName="things", Item={"id": {"S": "saved"}, "until": {"N": str(now + 100)}})
    db.put_item(TableName="things", Item={"id": {"S": "saved"}, "until": {"N": str(now + 10**6)}})
    db.put_item(TableName="things", Item={"id": {"S": "ancient"}, "until": {"N": "5"}})
    db.put_item(TableName="things", Item={"id": {"S": "text"}, "until": {"S": str(now + 100)}})
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    own_server.advance(200)

    def left() -> list[str]:
        return sorted(item["id"]["S"] for item in db.scan(TableName="things")["Items"])

    eventually(lambda: left() == ["ancient", "saved", "text"])
    gone = [record for record in records(streams, arn) if record["eventName"] == "REMOVE"]
    assert sorted(record["dynamodb"]["Keys"]["id"]["S"] for record in gone) == ["before", "soon"]
    for record in gone:
        assert record["userIdentity"] == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    own_server.advance(1000)
    with pytest.raises(streams.exceptions.ExpiredIteratorException):
        streams.get_records(ShardIterator=iterator)
    own_server.advance(24 * 3600)
    eventually(lambda: records(streams, arn) == [])
    db.put_item(TableName="things", Item={"id": {"S": "new"}})
    assert [record["eventName"] for record in records(streams, arn)] == ["INSERT"]
    assert json.dumps(left())
