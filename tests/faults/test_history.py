"""DynamoDB under SIGKILL: a recorded history of mixed operations is strictly serializable, streams and indexes tell the same.

HEADRACE_FAULT_KILLS=50 kills as often as a release should stand.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import REGION, ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually
from faults.history import Operation, Violation, check, from_record
from faults.history_client import TABLE, listed

KILLS = int(os.environ.get("HEADRACE_FAULT_KILLS", "4"))
CLIENTS = 4


def did(name: str, begin: float, end: float, outcome: Any = "done", **seen: Any) -> Operation:
    return Operation(name, begin, end, outcome, **seen)


FIRST, SECOND = did("a", 0, 1, appends={"x": "a"}), did("b", 2, 3, appends={"x": "b"})
GOOD = {
    "a read of each version": [FIRST, SECOND, did("c", 1, 2, reads={"x": ["a"]}), did("d", 3, 4, reads={"x": ["a", "b"]})],
    "reads during a write, of before and after": [
        FIRST, did("b", 2, 9, appends={"x": "b"}), did("c", 3, 4, reads={"x": ["a"]}), did("d", 5, 6, reads={"x": ["a", "b"]}),
    ],
    "an unknown that happened later": [FIRST, did("b", 2, 3, "unknown", appends={"x": "b"}), did("c", 8, 9, reads={"x": ["a"]})],
    "an unknown that never happened": [FIRST, SECOND, did("c", 1, 2, "unknown", appends={"x": "c", "y": "c"})],
    "a refusal that read": [FIRST, SECOND, did("c", 1, 2, "refused", reads={"x": ["a"]}, appends={"x": "c"})],
}  # fmt: skip
BAD = {
    "lost": [FIRST, SECOND, did("c", 4, 5, appends={"x": "c"})],
    "refused and there": [FIRST, did("b", 2, 3, "refused", appends={"x": "b"})],
    "from nowhere": [FIRST],
    "by half": [FIRST, SECOND, did("c", 4, 5, "unknown", appends={"x": "b", "y": "c"})],
    "a list that never was": [FIRST, SECOND, did("c", 4, 5, reads={"x": ["b"]})],
    "longer than it became": [FIRST, SECOND, did("c", 4, 5, lengths={"x": 3})],
    "stale": [FIRST, SECOND, did("c", 4, 5, reads={"x": ["a"]})],
    "stale by a condition": [FIRST, SECOND, did("c", 4, 5, lengths={"x": 1})],
    "from the future": [did("r", 0, 0.5, reads={"x": ["a"]}), did("a", 0.6, 1, appends={"x": "a"}), SECOND],
    "order against time": [did("a", 4, 5, appends={"x": "a"}), SECOND],
    "a refusal that read what was not yet": [FIRST, SECOND, did("c", 1, 1.5, "refused", reads={"x": ["a", "b"]})],
}


@pytest.mark.parametrize("name", GOOD)
def test_checker__passes_what_an_order_explains(name: str) -> None:
    assert check(GOOD[name], {"x": ["a", "b"]}) >= 2


@pytest.mark.parametrize("name", BAD)
def test_checker__finds_what_none_does(name: str) -> None:
    with pytest.raises(Violation):
        check(BAD[name], {"x": ["a", "b"]})


def test_checker__finds_anomalies_of_two_keys() -> None:
    final = {"x": ["a"], "y": ["b"]}
    skew = [did("a", 0, 9, appends={"x": "a"}, lengths={"y": 0}), did("b", 0, 9, appends={"y": "b"}, lengths={"x": 0})]
    with pytest.raises(Violation, match=r"a cycle: (a → b → a|b → a → b)"):
        check(skew, final)
    fork = [
        did("a", 0, 9, appends={"x": "a"}), did("b", 0, 9, appends={"y": "b"}),
        did("c", 0, 9, reads={"x": ["a"], "y": []}), did("d", 0, 9, reads={"x": [], "y": ["b"]}),
    ]  # fmt: skip
    with pytest.raises(Violation, match="a cycle"):
        check(fork, final)
    assert check(fork[:3], final) == 3
    with pytest.raises(Violation, match="a cycle"):
        check([did("a", 0, 9, appends={"x": "1", "y": "1"}), did("b", 0, 9, appends={"x": "2", "y": "2"})],
              {"x": ["1", "2"], "y": ["2", "1"]})  # fmt: skip
    with pytest.raises(Violation, match="twice"):
        check([did("a", 0, 1, appends={"x": "a"})], {"x": ["a", "a"]})


def create(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in (("id", "S"), ("o", "S"), ("n", "N"))
        ],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "o", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def scanned(dynamodb: Any, **where: Any) -> dict[str, Any]:
    """The items of the table, or of an index; none may come twice."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=TABLE, **where)
    items = [item for page in pages for item in page["Items"]]
    found = {item["id"]["S"]: item for item in items}
    assert len(found) == len(items)
    return found


def queried(dynamodb: Any, owner: str) -> list[Any]:
    pages = dynamodb.get_paginator("query").paginate(
        TableName=TABLE, IndexName="by-owner", KeyConditionExpression="o = :o", ExpressionAttributeValues={":o": {"S": owner}}
    )
    return [item for page in pages for item in page["Items"]]


def replayed(streams: Any) -> tuple[dict[str, Any], int]:
    """The items that the stream's records make, and how many records: each must begin where the one before it ended."""
    (stream,) = streams.list_streams(TableName=TABLE)["Streams"]
    arn = stream["StreamArn"]
    items: dict[str, Any] = {}
    events: set[str] = set()
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        position = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        while position:
            answer = streams.get_records(ShardIterator=position)
            for record in answer["Records"]:
                change, key = record["dynamodb"], record["dynamodb"]["Keys"]["id"]["S"]
                assert record["eventID"] not in events
                events.add(record["eventID"])
                assert items.pop(key, None) == change.get("OldImage"), "a record is missing or there twice"
                if "NewImage" in change:
                    items[key] = change["NewImage"]
            position = answer.get("NextShardIterator") if answer["Records"] else None
    return items, len(events)


def written_since(dynamodb: Any, count: int) -> None:
    """Wait until so many values were appended to the lists."""

    def written() -> int:
        return sum(len(listed(item)) for key, item in scanned(dynamodb).items() if key.startswith("k"))

    wanted = written() + count
    eventually(lambda: written() >= wanted, 60.0)


def killed_under_load(server: HeadraceServer, folder: Path) -> list[Operation]:
    """Clients in processes of their own, and the server killed again and again; what they wrote down."""
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
    }  # fmt: skip
    programs = [
        subprocess.Popen([sys.executable, "-m", "faults.history_client", server.url, str(number), str(folder)], env=environment)
        for number in range(CLIENTS)
    ]
    chance = random.Random(23)
    dynamodb = server.client("dynamodb")
    try:
        eventually(lambda: len(scanned(dynamodb)) > 5, 60.0)
        for _ in range(KILLS):
            # A server that has just begun may have answered nobody yet: it is killed at work.
            written_since(dynamodb, chance.randrange(1, 4 * CLIENTS))
            time.sleep(chance.uniform(0.0, 0.3))
            server.kill()
            server.start()
        written_since(dynamodb, 20 * CLIENTS)
        (folder / "stop").touch()
        for program in programs:
            assert program.wait(60) == 0
    finally:
        for program in programs:
            program.kill()
            program.wait()
    lines = [line for number in range(CLIENTS) for line in (folder / f"client-{number}.jsonl").read_text().splitlines()]
    return [from_record(json.loads(line)) for line in lines]


@pytest.mark.timeout(900)
def test_kill__history_is_strictly_serializable(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        dynamodb = server.client("dynamodb")
        create(dynamodb)
        history = killed_under_load(server, tmp_path)
        items = scanned(dynamodb)
        happened = check(history, {key: listed(item) for key, item in items.items() if key.startswith("k")})
        assert happened > 20 * CLIENTS
        streamed, records = replayed(server.client("dynamodbstreams"))
        assert streamed == items
        assert scanned(dynamodb, IndexName="by-owner") == {key: item for key, item in items.items() if "o" in item}
        for owner in (f"o{number}" for number in range(CLIENTS)):
            expected = [item for item in items.values() if item.get("o") == {"S": owner}]
            found = queried(dynamodb, owner)
            assert [int(item["n"]["N"]) for item in found] == sorted(int(item["n"]["N"]) for item in expected)
            assert sorted(item["id"]["S"] for item in found) == sorted(item["id"]["S"] for item in expected)
        outcomes = {name: sum(one.outcome == name for one in history) for name in ("done", "refused", "unknown")}
        print(f"{KILLS} kills, {len(history)} operations {outcomes}, {happened} happened, {records} stream records")
    finally:
        server.stop()
