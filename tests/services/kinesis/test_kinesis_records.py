"""Records through boto3: put, iterate, read."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually

SHARD = "shardId-000000000000"


@pytest.fixture
def kinesis(client: Callable[..., Any]) -> Any:
    made = client("kinesis")
    made.create_stream(StreamName="s", ShardCount=1)
    return made


def iterator(kinesis: Any, kind: str = "TRIM_HORIZON", shard: str = SHARD, **arguments: Any) -> str:
    return kinesis.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType=kind, **arguments)["ShardIterator"]


def read(kinesis: Any, at: str, **arguments: Any) -> list[bytes]:
    return [record["Data"] for record in kinesis.get_records(ShardIterator=at, **arguments)["Records"]]


def read_all(kinesis: Any, at: str) -> list[bytes]:
    found: list[bytes] = []
    while True:
        answer = kinesis.get_records(ShardIterator=at)
        found += [record["Data"] for record in answer["Records"]]
        if answer["MillisBehindLatest"] == 0:
            return found
        at = answer["NextShardIterator"]


def put(kinesis: Any, *data: bytes) -> list[str]:
    return [kinesis.put_record(StreamName="s", Data=one, PartitionKey="k")["SequenceNumber"] for one in data]


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_put_record__comes_back_with_its_key_and_time(kinesis: Any) -> None:
    (sequence,) = put(kinesis, b"\x00data")
    answer = kinesis.get_records(ShardIterator=iterator(kinesis))
    (record,) = answer["Records"]
    assert (record["Data"], record["PartitionKey"], record["SequenceNumber"]) == (b"\x00data", "k", sequence)
    assert abs((datetime.now(UTC) - record["ApproximateArrivalTimestamp"]).total_seconds()) < 10**9
    assert answer["MillisBehindLatest"] == 0
    assert (len(sequence), sequence[:2]) == (56, "49")


def test_put_records__keep_their_order(kinesis: Any) -> None:
    entries = [{"Data": b"%d" % n, "PartitionKey": f"k{n}"} for n in range(500)]
    answer = kinesis.put_records(StreamName="s", Records=entries)
    assert answer["FailedRecordCount"] == 0
    numbers = [int(record["SequenceNumber"]) for record in answer["Records"]]
    assert numbers == sorted(set(numbers))
    assert read(kinesis, iterator(kinesis)) == [b"%d" % n for n in range(500)]


def test_put_record__goes_to_the_shard_of_its_key(client: Callable[..., Any]) -> None:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=4)

    def shard_of(**arguments: Any) -> str:
        return str(kinesis.put_record(StreamName="s", Data=b"", **arguments)["ShardId"])

    assert shard_of(PartitionKey="a") == "shardId-000000000000"  # MD5 0cc1…
    assert shard_of(PartitionKey="b") == "shardId-000000000002"  # MD5 92eb…
    assert shard_of(PartitionKey="a", ExplicitHashKey=str(2**128 - 1)) == "shardId-000000000003"
    code = code_of(kinesis.put_record, StreamName="s", Data=b"", PartitionKey="a", ExplicitHashKey=str(2**128))
    assert code == "InvalidArgumentException"


def test_iterators__begin_where_they_say(kinesis: Any) -> None:
    _, second, _ = put(kinesis, b"1", b"2", b"3")
    latest = iterator(kinesis, "LATEST")
    assert read(kinesis, iterator(kinesis, "TRIM_HORIZON")) == [b"1", b"2", b"3"]
    assert read(kinesis, iterator(kinesis, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=second)) == [b"2", b"3"]
    assert read(kinesis, iterator(kinesis, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=second)) == [b"3"]
    assert read(kinesis, latest) == []
    put(kinesis, b"4")
    assert read(kinesis, latest) == [b"4"]
    code = code_of(
        kinesis.get_shard_iterator, StreamName="s", ShardId=SHARD, ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber="123",
    )  # fmt: skip
    assert code == "InvalidArgumentException"


def test_iterators__at_a_time(kinesis: Any, server: HeadraceServer) -> None:
    put(kinesis, b"1", b"2")
    server.advance(10)
    put(kinesis, b"3")
    server.advance(10)
    put(kinesis, b"4")
    records = kinesis.get_records(ShardIterator=iterator(kinesis))["Records"]
    middle = records[2]["ApproximateArrivalTimestamp"].timestamp()
    assert read(kinesis, iterator(kinesis, "AT_TIMESTAMP", Timestamp=middle - 1)) == [b"3", b"4"]
    assert read(kinesis, iterator(kinesis, "AT_TIMESTAMP", Timestamp=middle)) == [b"3", b"4"]
    assert read(kinesis, iterator(kinesis, "AT_TIMESTAMP", Timestamp=middle + 1)) == [b"4"]
    assert read(kinesis, iterator(kinesis, "AT_TIMESTAMP", Timestamp=0)) == [b"1", b"2", b"3", b"4"]


def test_get_records__goes_on_with_the_next_iterator(kinesis: Any, server: HeadraceServer) -> None:
    put(kinesis, b"1", b"2", b"3")
    server.advance(5)
    answer = kinesis.get_records(ShardIterator=iterator(kinesis), Limit=2)
    assert [record["Data"] for record in answer["Records"]] == [b"1", b"2"]
    assert 5000 <= answer["MillisBehindLatest"] < 60_000
    answer = kinesis.get_records(ShardIterator=answer["NextShardIterator"])
    assert ([record["Data"] for record in answer["Records"]], answer["MillisBehindLatest"]) == ([b"3"], 0)
    assert read(kinesis, answer["NextShardIterator"]) == []


def test_get_records__an_iterator_expires_after_five_minutes(kinesis: Any, server: HeadraceServer) -> None:
    at = iterator(kinesis)
    server.advance(299)
    assert read(kinesis, at) == []
    server.advance(10)
    assert code_of(kinesis.get_records, ShardIterator=at) == "ExpiredIteratorException"


@pytest.mark.parametrize("damaged", ["AAAA", "x" * 100, "ä"])
def test_get_records__refuses_a_damaged_iterator(kinesis: Any, damaged: str) -> None:
    assert code_of(kinesis.get_records, ShardIterator=damaged) == "InvalidArgumentException"


def test_get_records__a_closed_shard_ends_with_its_children(kinesis: Any) -> None:
    put(kinesis, b"1", b"2")
    kinesis.split_shard(StreamName="s", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    kinesis.put_record(StreamName="s", Data=b"3", PartitionKey="k", ExplicitHashKey="0")
    answer = kinesis.get_records(ShardIterator=iterator(kinesis), Limit=1)
    assert "ChildShards" not in answer
    answer = kinesis.get_records(ShardIterator=answer["NextShardIterator"])
    assert [record["Data"] for record in answer["Records"]] == [b"2"]
    assert "NextShardIterator" not in answer
    assert [(child["ShardId"], child["ParentShards"]) for child in answer["ChildShards"]] == [
        ("shardId-000000000001", [SHARD]),
        ("shardId-000000000002", [SHARD]),
    ]
    assert read(kinesis, iterator(kinesis, shard="shardId-000000000001")) == [b"3"]


def test_large_records__come_back_whole(kinesis: Any) -> None:
    large = [bytes([65 + n]) * (1024 * 1024 - 1) for n in range(3)]
    sequences = put(kinesis, b"small", *large, b"end")
    assert read_all(kinesis, iterator(kinesis)) == [b"small", *large, b"end"]
    after = iterator(kinesis, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=sequences[1])
    assert read(kinesis, after, Limit=1) == [large[1]]
    at = iterator(kinesis, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=sequences[3])
    assert read_all(kinesis, at) == [large[2], b"end"]


def test_large_records__have_a_limit(kinesis: Any) -> None:
    large = b"x" * (1024 * 1024)
    assert code_of(kinesis.put_record, StreamName="s", Data=large, PartitionKey="k") == "ValidationException"
    entries = [{"Data": b"x" * (1024 * 1024 - 1), "PartitionKey": "k"}] * 11
    assert code_of(kinesis.put_records, StreamName="s", Records=entries) == "InvalidArgumentException"
    assert read(kinesis, iterator(kinesis)) == []


def test_retention__old_records_and_closed_shards_go(kinesis: Any, server: HeadraceServer) -> None:
    put(kinesis, b"old")
    kinesis.split_shard(StreamName="s", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    kinesis.increase_stream_retention_period(StreamName="s", RetentionPeriodHours=48)
    server.advance(25 * 3600)
    assert read(kinesis, iterator(kinesis)) == [b"old"]
    server.advance(24 * 3600)
    eventually(lambda: [shard["ShardId"][-1] for shard in kinesis.list_shards(StreamName="s")["Shards"]] == ["1", "2"])


def test_kill__what_was_acknowledged_is_there_and_iterators_go_on(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        kinesis = server.client("kinesis")
        kinesis.create_stream(StreamName="s", ShardCount=1)
        put(kinesis, b"1", b"x" * 200_000)
        answer = kinesis.get_records(ShardIterator=iterator(kinesis), Limit=1)
        server.kill()
        server.start()
        put(kinesis, b"3")
        assert read(kinesis, answer["NextShardIterator"]) == [b"x" * 200_000, b"3"]
    finally:
        server.stop()


def test_aggregated_records__of_the_producer_library_pass_through_untouched(kinesis: Any) -> None:
    # Its magic number, a protobuf message with a table of keys and one inner record, and the MD5 of that.
    message = b"\n\x01k\x1a\x09\x08\x00\x1a\x05inner"
    aggregated = b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message, usedforsecurity=False).digest()
    put(kinesis, aggregated, b"plain")
    assert read(kinesis, iterator(kinesis)) == [aggregated, b"plain"]
