"""What was acknowledged is there after the server was killed, and table and stream tell one story."""

import threading
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError
from tests.conftest import HeadraceServer

THREADS = 8


def make_table(db: Any) -> str:
    made = db.create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def replayed(streams: Any, arn: str) -> dict[str, Any]:
    """The table as its stream tells it."""
    items: dict[str, Any] = {}
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        place = iterator["ShardIterator"]
        while True:
            answer = streams.get_records(ShardIterator=place)
            for record in answer["Records"]:
                name = record["dynamodb"]["Keys"]["id"]["S"]
                assert items.get(name) == record["dynamodb"].get("OldImage")
                items[name] = record["dynamodb"]["NewImage"]
            if not answer["Records"]:
                break
            place = answer["NextShardIterator"]
    return items


def test_kill__loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    arn = make_table(server.client("dynamodb"))
    acknowledged: list[dict[str, int]] = [{} for _ in range(THREADS)]
    enough = threading.Event()

    def work(number: int) -> None:
        db = server.client("dynamodb")
        count = 0
        while True:
            count += 1
            name = f"{number}-{count % 7}"
            try:
                db.update_item(
                    TableName="ledger", Key={"id": {"S": name}}, UpdateExpression="SET n = :n ADD tally :one",
                    ExpressionAttributeValues={":n": {"N": str(count)}, ":one": {"N": "1"}},
                )  # fmt: skip
            except BotoCoreError:
                return
            acknowledged[number][name] = count
            if sum(max(one.values(), default=0) for one in acknowledged) > 400:
                enough.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
    db = server.client("dynamodb")
    table = {item["id"]["S"]: item for item in db.scan(TableName="ledger")["Items"]}
    for mine in acknowledged:
        for name, count in mine.items():
            # One write more may have been made durable without its answer having been heard.
            assert int(table[name]["n"]["N"]) in (count, count + 7)
            assert int(table[name]["tally"]["N"]) >= (count + 6) // 7
    assert replayed(server.client("dynamodbstreams"), arn) == table
    assert db.describe_table(TableName="ledger")["Table"]["ItemCount"] == len(table)
    server.stop()


def test_update_item__of_many_at_once_counts_each(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    make_table(server.client("dynamodb"))

    def work() -> None:
        db = server.client("dynamodb")
        for _ in range(25):
            db.update_item(
                TableName="ledger", Key={"id": {"S": "sum"}}, UpdateExpression="ADD tally :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )  # fmt: skip

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = server.client("dynamodb").get_item(TableName="ledger", Key={"id": {"S": "sum"}})["Item"]
    assert found["tally"] == {"N": str(25 * THREADS)}
    server.stop()
