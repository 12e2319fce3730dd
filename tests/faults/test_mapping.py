"""A function that fails, times out, dies and answers partially at random, behind a stream, while the server is killed.

Each record is handled, or lies in the destination as the policy says; the records of a key are handled in their order, though ten
batches of a shard run at once. HEADRACE_MAPPING_RECORDS=100000 and HEADRACE_MAPPING_KILLS=20 run as many as a release should
stand.
"""

import io
import json
import os
import random
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import HeadraceServer, eventually

RECORDS = int(os.environ.get("HEADRACE_MAPPING_RECORDS", "4000"))
KILLS = int(os.environ.get("HEADRACE_MAPPING_KILLS", "3"))
KEYS = 200
SHARDS = 2
# One of so many records fails always.
POISON_EVERY = 1500
WAIT_SECONDS = 60 + RECORDS / 100

CODE = """
import base64, json, os, random, time
import boto3
kinesis = boto3.client("kinesis")

def handler(event, context):
    rows = [json.loads(base64.b64decode(one["kinesis"]["data"])) for one in event["Records"]]
    numbers = [one["kinesis"]["sequenceNumber"] for one in event["Records"]]
    chance = random.random()
    if chance < 0.01:
        os._exit(3)
    if chance < 0.013:
        time.sleep(60)
    if chance < 0.05:
        raise RuntimeError("by chance")
    poison = [place for place, row in enumerate(rows) if row["poison"]]
    if poison and chance < 0.5:
        raise ValueError("poison")
    end = poison[0] if poison else len(rows)
    if not poison and chance < 0.08:
        end = random.randrange(len(rows))
    done = [[row["key"], row["number"]] for row in rows[:end]]
    kinesis.put_record(StreamName="handled", PartitionKey="one", Data=json.dumps(done).encode())
    return {"batchItemFailures": [{"itemIdentifier": numbers[end]}] if end < len(rows) else []}
"""
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
ALLOWED = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def archive_of(code: str) -> bytes:
    """A function's package."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("main.py", code)
    return file.getvalue()


def policy(statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def link(server: HeadraceServer, archive: bytes) -> str:
    """Streams, function, queue and mapping; the queue's URL."""
    iam, kinesis, functions = server.client("iam"), server.client("kinesis"), server.client("lambda")
    role = iam.create_role(RoleName="mixed", AssumeRolePolicyDocument=policy(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="mixed", PolicyName="all", PolicyDocument=policy(ALLOWED))
    queue = server.client("sqs").create_queue(QueueName="left")["QueueUrl"]
    left = server.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    kinesis.create_stream(StreamName="handled", ShardCount=1)
    kinesis.create_stream(StreamName="source", ShardCount=SHARDS)
    functions.create_function(
        FunctionName="mixed", Runtime="python3.11", Role=role, Handler="main.handler", Timeout=2, Code={"ZipFile": archive}
    )
    functions.create_event_source_mapping(
        FunctionName="mixed",
        EventSourceArn=kinesis.describe_stream_summary(StreamName="source")["StreamDescriptionSummary"]["StreamARN"],
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        ParallelizationFactor=10,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        DestinationConfig={"OnFailure": {"Destination": left}},
    )
    return str(queue)


def fill(server: HeadraceServer) -> tuple[set[tuple[int, int]], set[tuple[str, str]]]:
    """Put the records; those that can be handled (key and number in it), and those that can't (shard and sequence number)."""
    kinesis = server.client("kinesis")
    good: set[tuple[int, int]] = set()
    poison: set[tuple[str, str]] = set()
    counts = dict.fromkeys(range(KEYS), 0)
    chance = random.Random(3)
    for begin in range(0, RECORDS, 500):
        rows = []
        for place in range(begin, begin + 500):
            key = chance.randrange(KEYS)
            rows.append({"key": key, "number": counts[key], "poison": place % POISON_EVERY == POISON_EVERY // 2})
            counts[key] += 1
        records = [{"Data": json.dumps(row).encode(), "PartitionKey": f"key-{row['key']}"} for row in rows]
        answer = kinesis.put_records(StreamName="source", Records=records)
        for row, put in zip(rows, answer["Records"], strict=True):
            if row["poison"]:
                poison.add((put["ShardId"], put["SequenceNumber"]))
            else:
                good.add((row["key"], row["number"]))
    return good, poison


class Handled:
    """What the function has said that it handled, in order; read on from where it was read to."""

    def __init__(self, server: HeadraceServer) -> None:
        self._server = server
        self._last = ""
        self.rows: list[tuple[int, int]] = []

    def read(self) -> set[tuple[int, int]]:
        """All of it until now."""
        kinesis = self._server.client("kinesis")
        start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._last} if self._last else {
            "ShardIteratorType": "TRIM_HORIZON"
        }  # fmt: skip
        shard = "shardId-000000000000"
        place = kinesis.get_shard_iterator(StreamName="handled", ShardId=shard, **start)["ShardIterator"]
        while records := (page := kinesis.get_records(ShardIterator=place))["Records"]:
            for one in records:
                self.rows += [(key, number) for key, number in json.loads(one["Data"])]
            self._last, place = records[-1]["SequenceNumber"], page["NextShardIterator"]
        return set(self.rows)


def left_behind(server: HeadraceServer, queue: str) -> Iterator[tuple[str, str]]:
    """(shard, sequence number) of each record that the destination got; each lies there alone."""
    sqs = server.client("sqs")
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            told = json.loads(message["Body"])["KinesisBatchInfo"]
            assert (told["batchSize"], told["startSequenceNumber"]) == (1, told["endSequenceNumber"]), told
            yield told["shardId"], told["startSequenceNumber"]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


@pytest.mark.timeout(int(WAIT_SECONDS) + 60)
def test_mapping__every_record_is_handled_in_order_or_lies_in_its_destination(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    queue = link(server, archive_of(CODE))
    good, poison = fill(server)
    handled, chance = Handled(server), random.Random(11)
    for number in range(KILLS):
        # Each time when there is something new to lose.
        eventually(lambda so_far=number: len(handled.read()) > len(good) * so_far / (KILLS + 1), WAIT_SECONDS)
        time.sleep(chance.uniform(0.0, 0.5))
        server.kill()
        server.start()
    eventually(lambda: handled.read() >= good, WAIT_SECONDS)
    left: set[tuple[str, str]] = set()

    def all_left() -> bool:
        left.update(left_behind(server, queue))
        return left >= poison

    eventually(all_left, WAIT_SECONDS)
    assert handled.read() == good
    assert left == poison
    first: dict[int, list[int]] = {}
    for key, number in dict.fromkeys(handled.rows):
        first.setdefault(key, []).append(number)
    assert {key: numbers for key, numbers in first.items() if numbers != sorted(numbers)} == {}
    assert server.stop() == 0
