"""AWS's limits of shards where they are asked for, metrics, dry runs and forged iterators."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually
from headrace.services.kinesis.throttle import Throttle

FIRST = "shardId-000000000000"
LIMITED = {"headrace:enforce-limits": "true"}


@pytest.fixture
def kinesis(client: Callable[..., Any]) -> Any:
    return client("kinesis")


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def iterator(kinesis: Any, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    return kinesis.get_shard_iterator(StreamName="s", ShardId=FIRST, ShardIteratorType=kind, **more)["ShardIterator"]


def test_throttle__a_second_holds_a_thousand_records() -> None:
    throttle = Throttle()
    assert [throttle.write(b"a", 10, 0.0) for _ in range(1001)] == [True] * 1000 + [False]
    assert throttle.write(b"b", 10, 0.0)
    assert [throttle.write(b"a", 10, 0.5) for _ in range(501)] == [True] * 500 + [False]


def test_throttle__a_large_record_needs_a_full_bucket_and_leaves_a_debt() -> None:
    throttle = Throttle()
    assert throttle.write(b"a", 10 << 20, 0.0)
    assert not throttle.write(b"a", 1, 8.9)
    assert throttle.write(b"a", 1, 9.1)


def test_throttle__readers_rest_after_ten_mebibytes() -> None:
    throttle = Throttle()
    assert [throttle.may_read(b"a", 0.0) for _ in range(6)] == [True] * 5 + [False]
    throttle.gave(b"a", 10 << 20, 0.0)
    assert not throttle.may_read(b"a", 3.9)
    assert throttle.may_read(b"a", 4.1)


def test_put_records__some_fail_at_a_shards_limit(kinesis: Any, account: str) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=2, Tags=LIMITED)
    big = {"Data": b"x" * 400_000, "ExplicitHashKey": "0", "PartitionKey": "k"}
    other = {"Data": b"y", "ExplicitHashKey": str(2**128 - 1), "PartitionKey": "k"}
    answer = kinesis.put_records(StreamName="s", Records=[big, big, big, other])
    assert answer["FailedRecordCount"] == 1
    assert answer["Records"][2] == {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": f"Rate exceeded for shard {FIRST} in stream s under account {account}.",
    }
    assert [record.get("ShardId", "")[-1:] for record in answer["Records"]] == ["0", "0", "", "1"]
    code, message = error_of(kinesis.put_record, StreamName="s", **big)
    assert (code, message) == (answer["Records"][2]["ErrorCode"], answer["Records"][2]["ErrorMessage"])
    kinesis.remove_tags_from_stream(StreamName="s", TagKeys=list(LIMITED))
    assert kinesis.put_records(StreamName="s", Records=[big] * 5)["FailedRecordCount"] == 0


def test_get_records__five_calls_a_second(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.add_tags_to_stream(StreamName="s", Tags=LIMITED)
    place = iterator(kinesis)

    def read_until_refused() -> str:
        for _ in range(50):
            kinesis.get_records(ShardIterator=place)
        return ""

    assert error_of(read_until_refused)[0] == "ProvisionedThroughputExceededException"


def test_enforce_limits__holds_for_every_stream_but_those_tagged_otherwise(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data", "--enforce-limits").start()
    try:
        kinesis = server.client("kinesis")
        kinesis.create_stream(StreamName="s", ShardCount=1)
        kinesis.create_stream(StreamName="free", ShardCount=1, Tags={"headrace:enforce-limits": "false"})
        records = [{"Data": b"x" * 300_000, "PartitionKey": "k"}] * 4
        assert kinesis.put_records(StreamName="s", Records=records)["FailedRecordCount"] == 1
        assert kinesis.put_records(StreamName="free", Records=records)["FailedRecordCount"] == 0
    finally:
        server.stop()


def test_iterator__that_was_changed_is_refused(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    raw = bytearray(base64.urlsafe_b64decode(iterator(kinesis)))
    raw[-1] ^= 1
    forged = base64.urlsafe_b64encode(bytes(raw)).decode()
    assert error_of(kinesis.get_records, ShardIterator=forged) == ("InvalidArgumentException", "Invalid ShardIterator.")


def test_iterator__is_good_after_a_restart_and_for_five_minutes(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        kinesis = server.client("kinesis")
        kinesis.create_stream(StreamName="s", ShardCount=1)
        kinesis.put_record(StreamName="s", Data=b"x", PartitionKey="k")
        place = iterator(kinesis)
        server.kill()
        server.start()
        assert kinesis.get_records(ShardIterator=place)["Records"][0]["Data"] == b"x"
        server.advance(301)
        assert error_of(kinesis.get_records, ShardIterator=place)[0] == "ExpiredIteratorException"
    finally:
        server.kill()


def test_dry_run__says_so_and_does_nothing(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    place = iterator(kinesis)
    for call, arguments in (
        (kinesis.put_record, {"StreamName": "s", "Data": b"x", "PartitionKey": "k"}),
        (kinesis.put_records, {"StreamName": "s", "Records": [{"Data": b"x", "PartitionKey": "k"}]}),
        (kinesis.get_records, {"ShardIterator": place}),
        (kinesis.get_shard_iterator, {"StreamName": "s", "ShardId": FIRST, "ShardIteratorType": "LATEST"}),
    ):
        assert error_of(call, DryRun=True, **arguments)[0] == "DryRunOperationException"
    assert kinesis.get_records(ShardIterator=place)["Records"] == []


def test_sequence_number_for_ordering__must_be_smaller(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    record = {"StreamName": "s", "Data": b"x", "PartitionKey": "k"}
    one = kinesis.put_record(**record)["SequenceNumber"]
    two = kinesis.put_record(**record, SequenceNumberForOrdering=one)["SequenceNumber"]
    assert int(two) > int(one)
    code, _ = error_of(kinesis.put_record, **record, SequenceNumberForOrdering=str(int(two) + (1 << 90)))
    assert code == "InvalidArgumentException"


def test_enhanced_monitoring__counts_each_shard(kinesis: Any, client: Callable[..., Any]) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=2)
    answer = kinesis.enable_enhanced_monitoring(StreamName="s", ShardLevelMetrics=["IncomingBytes", "OutgoingRecords"])
    assert (answer["CurrentShardLevelMetrics"], answer["DesiredShardLevelMetrics"]) == ([], ["IncomingBytes", "OutgoingRecords"])
    kinesis.put_records(
        StreamName="s", Records=[{"Data": b"x" * 99, "PartitionKey": "k", "ExplicitHashKey": "0"} for _ in range(3)]
    )
    kinesis.get_records(ShardIterator=iterator(kinesis))
    now = datetime.now(UTC)

    def total(name: str, *dimensions: tuple[str, str]) -> float:
        points = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Kinesis", MetricName=name, StartTime=now - timedelta(hours=1), EndTime=now + timedelta(days=30),
            Period=86_400, Statistics=["Sum"], Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
        )["Datapoints"]  # fmt: skip
        return sum(point["Sum"] for point in points)

    shard = (("StreamName", "s"), ("ShardId", FIRST))
    assert eventually(lambda: total("IncomingBytes", *shard)) == 300
    assert eventually(lambda: total("OutgoingRecords", *shard)) == 3
    assert eventually(lambda: total("IncomingRecords", ("StreamName", "s"))) == 3
    assert total("IncomingRecords", *shard) == 0
    kinesis.disable_enhanced_monitoring(StreamName="s", ShardLevelMetrics=["ALL"])
    described = kinesis.describe_stream(StreamName="s")["StreamDescription"]["EnhancedMonitoring"]
    assert described == [{"ShardLevelMetrics": []}]


def test_iterator__at_a_time_to_come_is_refused(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=1)
    later = datetime.now(UTC) + timedelta(days=4000)
    code, message = error_of(iterator, kinesis=kinesis, kind="AT_TIMESTAMP", Timestamp=later)
    assert (code, "cannot be greater than the currentTimestampInMillis" in message) == ("InvalidArgumentException", True)
