"""Shards of streams: replaced every four hours, read on in their children, gone a day later; and iterators nobody can make."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

HOURS = 3600.0


def shards(streams: Any, arn: str, **more: Any) -> list[Any]:
    return list(streams.describe_stream(StreamArn=arn, **more)["StreamDescription"]["Shards"])


def read(streams: Any, arn: str, shard: str, kind: str = "TRIM_HORIZON", **more: Any) -> tuple[list[Any], bool]:
    """(records of a shard, whether it has ended)."""
    place = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)["ShardIterator"]
    found: list[Any] = []
    while True:
        answer = streams.get_records(ShardIterator=place)
        found += answer["Records"]
        place = answer.get("NextShardIterator")
        if place is None or not answer["Records"]:
            return found, place is None


@pytest.mark.timeout(90)
def test_shards__are_replaced_and_go(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        db, streams = server.client("dynamodb"), server.client("dynamodbstreams")
        arn = db.create_table(
            TableName="ttt",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )["TableDescription"]["LatestStreamArn"]

        def put(text: str) -> None:
            for number in range(20):
                db.put_item(TableName="ttt", Item={"id": {"S": str(number)}, "text": {"S": text}})

        put("first")
        assert all("ParentShardId" not in shard for shard in shards(streams, arn))
        server.advance(4 * HOURS + 61)
        eventually(lambda: len(shards(streams, arn)) == 8)
        put("second")
        found = {shard["ShardId"]: shard for shard in shards(streams, arn)}
        children = [shard for shard in found.values() if "ParentShardId" in shard]
        assert len(children) == 4
        last: dict[str, str] = {}
        for child in children:
            parent = found[child["ParentShardId"]]
            assert int(parent["SequenceNumberRange"]["EndingSequenceNumber"]) + 1 == int(
                child["SequenceNumberRange"]["StartingSequenceNumber"]
            )
            assert "EndingSequenceNumber" not in child["SequenceNumberRange"]
            before, ended = read(streams, arn, parent["ShardId"])
            assert ended
            after, ended = read(streams, arn, child["ShardId"])
            assert not ended
            numbers = [int(one["dynamodb"]["SequenceNumber"]) for one in (*before, *after)]
            assert numbers == sorted(set(numbers))
            # A key stays in the line of its shard.
            keys = [{one["dynamodb"]["Keys"]["id"]["S"] for one in records} for records in (before, after)]
            assert keys[0] == keys[1]
            last |= {one["dynamodb"]["Keys"]["id"]["S"]: one["dynamodb"]["NewImage"]["text"]["S"] for one in after}
        assert last == {str(number): "second" for number in range(20)}
        parent_id = children[0]["ParentShardId"]
        asked = shards(streams, arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent_id})
        assert [shard["ShardId"] for shard in asked] == [children[0]["ShardId"]]
        # Shards that got nothing are not replaced, and closed ones go a day after their end.
        server.kill()
        server.start()
        put("third")
        # The clock began anew with the server.
        server.advance(30 * HOURS)
        eventually(lambda: parent_id not in [shard["ShardId"] for shard in shards(streams, arn)])
        eventually(lambda: sum("EndingSequenceNumber" not in one["SequenceNumberRange"] for one in shards(streams, arn)) == 4)
    finally:
        server.kill()


def test_iterators__are_signed(server: HeadraceServer, account: str) -> None:
    db, streams = server.client("dynamodb", account), server.client("dynamodbstreams", account)
    arn = db.create_table(
        TableName="ttt",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]["LatestStreamArn"]
    shard = shards(streams, arn)[0]["ShardId"]
    good = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    assert streams.get_records(ShardIterator=good)["Records"] == []
    head, _, packed = good.rpartition("|")
    raw = bytearray(base64.b64decode(packed))
    raw[-20] ^= 1
    for bad in (f"{head}|{base64.b64encode(bytes(raw)).decode()}", f"{head}|", json.dumps({})):
        with pytest.raises(ClientError, match="Invalid ShardIterator"):
            streams.get_records(ShardIterator=bad)
