"""Streams and shards through boto3."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def kinesis(client: Callable[..., Any]) -> Any:
    return client("kinesis")


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def shards(kinesis: Any, **arguments: Any) -> list[dict[str, Any]]:
    return kinesis.list_shards(**{"StreamName": "s", **arguments})["Shards"]


def test_create_stream__describes_itself(kinesis: Any, account: str) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=2, Tags={"team": "blue"})
    described = kinesis.describe_stream(StreamName="s")["StreamDescription"]
    arn = f"arn:aws:kinesis:us-east-1:{account}:stream/s"
    assert (described["StreamARN"], described["StreamStatus"], described["RetentionPeriodHours"]) == (arn, "ACTIVE", 24)
    assert [shard["ShardId"] for shard in described["Shards"]] == ["shardId-000000000000", "shardId-000000000001"]
    assert described["Shards"][1]["HashKeyRange"] == {"StartingHashKey": str(2**127), "EndingHashKey": str(2**128 - 1)}
    assert len(described["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]) == 56
    assert not described["HasMoreShards"]
    summary = kinesis.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["StreamModeDetails"]) == (2, {"StreamMode": "PROVISIONED"})
    assert kinesis.list_tags_for_stream(StreamName="s")["Tags"] == [{"Key": "team", "Value": "blue"}]


def test_create_stream__on_demand_has_four_shards(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert len(shards(kinesis)) == 4


def test_create_stream__twice_is_an_error(kinesis: Any, account: str) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    expected = ("ResourceInUseException", f"Stream s under account {account} already exists.")
    assert error_of(kinesis.create_stream, StreamName="s", ShardCount=1) == expected


def test_create_stream__needs_a_shard_count(kinesis: Any) -> None:
    assert error_of(kinesis.create_stream, StreamName="s")[0] == "ValidationException"


def test_describe_stream__pages_through_shards(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=5)
    first = kinesis.describe_stream(StreamName="s", Limit=3)["StreamDescription"]
    assert first["HasMoreShards"]
    last = first["Shards"][-1]["ShardId"]
    second = kinesis.describe_stream(StreamName="s", ExclusiveStartShardId=last)["StreamDescription"]
    assert [shard["ShardId"][-1] for shard in first["Shards"] + second["Shards"]] == list("01234")


def test_missing_stream__is_not_found(kinesis: Any, account: str) -> None:
    expected = ("ResourceNotFoundException", f"Stream s under account {account} not found.")
    assert error_of(kinesis.describe_stream, StreamName="s") == expected
    assert error_of(kinesis.put_record, StreamName="s", Data=b"", PartitionKey="k") == expected


def test_list_streams__pages_by_name(kinesis: Any) -> None:
    for name in ("c", "a", "b"):
        kinesis.create_stream(StreamName=name, ShardCount=1)
    first = kinesis.list_streams(Limit=2)
    assert (first["StreamNames"], first["HasMoreStreams"]) == (["a", "b"], True)
    assert kinesis.list_streams(NextToken=first["NextToken"])["StreamNames"] == ["c"]
    assert kinesis.list_streams(ExclusiveStartStreamName="a")["StreamNames"] == ["b", "c"]


def test_delete_stream__a_new_one_of_its_name_is_empty(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.put_record(StreamName="s", Data=b"old", PartitionKey="k")
    kinesis.delete_stream(StreamName="s")
    assert kinesis.list_streams()["StreamNames"] == []
    kinesis.create_stream(StreamName="s", ShardCount=1)
    iterator = kinesis.get_shard_iterator(StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    assert kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"] == []


def test_retention__has_aws_bounds(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.increase_stream_retention_period(StreamName="s", RetentionPeriodHours=48)
    assert kinesis.describe_stream(StreamName="s")["StreamDescription"]["RetentionPeriodHours"] == 48
    increase, decrease = kinesis.increase_stream_retention_period, kinesis.decrease_stream_retention_period
    code, message = error_of(increase, StreamName="s", RetentionPeriodHours=30)
    assert (code, "can not be shorter" in message) == ("InvalidArgumentException", True)
    assert "can not be longer" in error_of(decrease, StreamName="s", RetentionPeriodHours=72)[1]
    assert "too short" in error_of(decrease, StreamName="s", RetentionPeriodHours=23)[1]
    assert "too long" in error_of(increase, StreamName="s", RetentionPeriodHours=8761)[1]
    decrease(StreamName="s", RetentionPeriodHours=24)


def test_split_shard__closes_the_parent_and_opens_two(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.split_shard(StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
    parent, low, high = shards(kinesis)
    assert "EndingSequenceNumber" in parent["SequenceNumberRange"]
    assert low["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": "999"}
    assert high["HashKeyRange"] == {"StartingHashKey": "1000", "EndingHashKey": str(2**128 - 1)}
    assert {low["ParentShardId"], high["ParentShardId"]} == {"shardId-000000000000"}
    put = kinesis.put_record(StreamName="s", Data=b"x", PartitionKey="k", ExplicitHashKey="999")
    assert put["ShardId"] == low["ShardId"]
    assert int(put["SequenceNumber"]) > int(parent["SequenceNumberRange"]["EndingSequenceNumber"])
    again = error_of(kinesis.split_shard, StreamName="s", ShardToSplit=parent["ShardId"], NewStartingHashKey="1000")
    assert (again[0], "already been merged or split" in again[1]) == ("ResourceInUseException", True)


@pytest.mark.parametrize("key", ["0", "1", str(2**128 - 1)])
def test_split_shard__refuses_a_key_at_the_edge(kinesis: Any, key: str) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    code, message = error_of(kinesis.split_shard, StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey=key)
    assert (code, "is not both greater than one plus" in message) == ("InvalidArgumentException", True)


def test_merge_shards__joins_neighbours_only(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=3)
    names = [shard["ShardId"] for shard in shards(kinesis)]
    code, message = error_of(kinesis.merge_shards, StreamName="s", ShardToMerge=names[0], AdjacentShardToMerge=names[2])
    assert (code, "are not an adjacent pair" in message) == ("InvalidArgumentException", True)
    kinesis.merge_shards(StreamName="s", ShardToMerge=names[1], AdjacentShardToMerge=names[0])
    child = shards(kinesis)[-1]
    assert (child["ParentShardId"], child["AdjacentParentShardId"]) == (names[1], names[0])
    assert child["HashKeyRange"]["StartingHashKey"] == "0"


def test_list_shards__filters_and_pages(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=2)
    kinesis.split_shard(StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")

    def ids(**shard_filter: Any) -> list[int]:
        return [int(shard["ShardId"][-2:]) for shard in shards(kinesis, ShardFilter=shard_filter)]

    assert ids(Type="FROM_TRIM_HORIZON") == [0, 1, 2, 3]
    assert ids(Type="AT_TRIM_HORIZON") == [0, 1]
    assert ids(Type="AT_LATEST") == [1, 2, 3]
    assert ids(Type="AFTER_SHARD_ID", ShardId="shardId-000000000001") == [2, 3]
    page = kinesis.list_shards(StreamName="s", MaxResults=3)
    assert [shard["ShardId"][-1] for shard in page["Shards"]] == list("012")
    assert [shard["ShardId"][-1] for shard in kinesis.list_shards(NextToken=page["NextToken"])["Shards"]] == ["3"]


def test_tags__by_stream_and_by_arn(kinesis: Any, account: str) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    arn = f"arn:aws:kinesis:us-east-1:{account}:stream/s"
    kinesis.add_tags_to_stream(StreamName="s", Tags={"b": "2", "a": "1"})
    kinesis.tag_resource(ResourceARN=arn, Tags={"c": "3"})
    page = kinesis.list_tags_for_stream(StreamName="s", Limit=2)
    assert (page["Tags"][0], page["HasMoreTags"]) == ({"Key": "a", "Value": "1"}, True)
    kinesis.remove_tags_from_stream(StreamName="s", TagKeys=["a"])
    kinesis.untag_resource(ResourceARN=arn, TagKeys=["b"])
    assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "c", "Value": "3"}]


def test_stream_arn__of_another_account_opens_nothing(kinesis: Any) -> None:
    arn = "arn:aws:kinesis:us-east-1:999999999999:stream/s"
    assert error_of(kinesis.describe_stream, StreamARN=arn)[0] == "AccessDeniedException"
    assert error_of(kinesis.delete_stream, StreamARN=arn)[0] == "ResourceNotFoundException"
    assert error_of(kinesis.describe_stream)[0] == "InvalidArgumentException"


def test_settings__mode_record_size_and_limits(kinesis: Any, account: str) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=3)
    arn = f"arn:aws:kinesis:us-east-1:{account}:stream/s"
    assert kinesis.describe_limits()["OnDemandStreamCount"] == 0
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
    summary = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]
    assert (summary["StreamModeDetails"], summary["MaxRecordSizeInKiB"]) == ({"StreamMode": "ON_DEMAND"}, 2048)
    kinesis.put_record(StreamName="s", Data=b"x" * 2_000_000, PartitionKey="k")
    found = kinesis.describe_limits()
    assert (found["OpenShardCount"], found["OnDemandStreamCount"]) == (3, 1)
