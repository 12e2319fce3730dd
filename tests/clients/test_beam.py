"""Apache Beam: a pipeline from one stream to another, reading by polling and by fan-out."""

from collections.abc import Callable
from typing import Any

import pytest

from clients.programs import BUILD, java

RECORDS = 5_000

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("mode", ["polling", "fanout"])
def test_beam__copies_every_record(mode: str, kinesis: Any, run: Callable[..., str]) -> None:
    streams = [f"beam-{mode}-in", f"beam-{mode}-out"]
    for stream in streams:
        kinesis.create_stream(StreamName=stream, ShardCount=2)
        kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    for start in range(0, RECORDS, 500):
        records = [{"PartitionKey": f"k{n}", "Data": b"%d" % n} for n in range(start, start + 500)]
        assert kinesis.put_records(StreamName=streams[0], Records=records)["FailedRecordCount"] == 0
    consumer = []
    if mode == "fanout":
        arn = kinesis.describe_stream_summary(StreamName=streams[0])["StreamDescriptionSummary"]["StreamARN"]
        consumer = [kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="beam")["Consumer"]["ConsumerARN"]]
    program = java("headrace.Copy", *streams, str(RECORDS), *consumer, folder=BUILD / "beam")
    assert run(*program, timeout_seconds=200).endswith("copied\n")
    found = set()
    for shard in kinesis.list_shards(StreamName=streams[1])["Shards"]:
        asked = {"StreamName": streams[1], "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator, behind = kinesis.get_shard_iterator(**asked)["ShardIterator"], 1
        while behind:
            answer = kinesis.get_records(ShardIterator=iterator)
            iterator, behind = answer["NextShardIterator"], answer["MillisBehindLatest"]
            found |= {record["Data"].decode() for record in answer["Records"]}
    assert found == {f"k{n}={n}" for n in range(RECORDS)}
