"""SIGKILL at random moments under load: what was acknowledged is there, and start-up needs no repair step."""

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from conftest import HeadraceServer, eventually

KILLS = 50
WRITERS = 4


class Writer(threading.Thread):
    """Puts items and records, each with a number of its own, and notes which were acknowledged."""

    def __init__(self, server: HeadraceServer, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.records: dict[str, str] = {}
        self.failure: BaseException | None = None
        self._server = server
        self._number = number
        self._stopping = stop

    def run(self) -> None:
        try:
            self._write()
        except BaseException as error:
            self.failure = error

    def _write(self) -> None:
        dynamodb, kinesis = self._server.client("dynamodb"), self._server.client("kinesis")
        count = 0
        while not self._stopping.is_set():
            count += 1
            name = f"{self._number}-{count}"
            try:
                dynamodb.put_item(TableName="items", Item={"id": {"S": name}, "n": {"N": str(count)}})
                self.acknowledged.append(name)
                answer = kinesis.put_record(StreamName="s", PartitionKey=name, Data=name.encode())
                self.records[name] = answer["SequenceNumber"]
            except (BotoCoreError, ClientError):
                time.sleep(0.01)


def read_stream(kinesis: Any) -> dict[str, str]:
    """Every record of the stream: data → sequence number. The same data twice fails."""
    found: dict[str, str] = {}
    for shard in kinesis.list_shards(StreamName="s")["Shards"]:
        iterator = kinesis.get_shard_iterator(StreamName="s", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        position, last = iterator["ShardIterator"], 0
        while True:
            answer = kinesis.get_records(ShardIterator=position, Limit=10_000)
            for record in answer["Records"]:
                assert int(record["SequenceNumber"]) > last
                last = int(record["SequenceNumber"])
                found[record["Data"].decode()] = record["SequenceNumber"]
            if not answer["Records"] and not answer["MillisBehindLatest"]:
                break
            position = answer["NextShardIterator"]
    return found


def read_changes(streams: Any) -> list[str]:
    """The keys of all records of the table's stream."""
    (stream,) = streams.list_streams(TableName="items")["Streams"]
    found = []
    for shard in streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]:
        position = streams.get_shard_iterator(
            StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = streams.get_records(ShardIterator=position)
            found += [record["dynamodb"]["Keys"]["id"]["S"] for record in answer["Records"]]
            position = answer.get("NextShardIterator")
            if not answer["Records"] or position is None:
                break
    return found


@pytest.mark.timeout(300)
def test_kill__nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    server.client("dynamodb").create_table(
        TableName="items",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    server.client("kinesis").create_stream(StreamName="s", ShardCount=2)
    chance, stop = random.Random(7), threading.Event()
    writers = [Writer(server, number, stop) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.02, 0.25))
        server.kill()
        server.start()
    # However slow the machine: as much is written as tells something.
    eventually(lambda: sum(len(writer.acknowledged) for writer in writers) > KILLS * WRITERS, 60.0)
    stop.set()
    for writer in writers:
        writer.join(60)
        assert writer.failure is None
    stored = {
        item["id"]["S"]
        for page in server.client("dynamodb").get_paginator("scan").paginate(TableName="items")
        for item in page["Items"]
    }
    records = read_stream(server.client("kinesis"))
    changes = read_changes(server.client("dynamodbstreams"))
    assert server.stop() == 0
    acknowledged = {name for writer in writers for name in writer.acknowledged}
    assert len(acknowledged) > KILLS * WRITERS
    assert acknowledged <= stored
    # The item and its stream record came in one commit: the one is there exactly when the other is.
    assert sorted(changes) == sorted(stored)
    for writer in writers:
        for name, sequence_number in writer.records.items():
            assert records[name] == sequence_number
