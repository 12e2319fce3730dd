"""Global tables: the same table in several regions, which all take writes."""

import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

HERE, THERE, THIRD = "us-east-1", "eu-west-1", "ap-south-1"
SCHEMA = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"}],
    "GlobalSecondaryIndexes": [
        {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


def add(db: Any, region: str) -> None:
    db.update_table(TableName="world", ReplicaUpdates=[{"Create": {"RegionName": region}}])
    eventually(lambda: all(one["ReplicaStatus"] == "ACTIVE" for one in db.describe_table(TableName="world")["Table"]["Replicas"]))


def items(db: Any) -> list[Any]:
    return sorted(db.scan(TableName="world", ConsistentRead=True)["Items"], key=lambda item: str(item["id"]["S"]))


def put(db: Any, name: str, text: str) -> None:
    db.put_item(TableName="world", Item={"id": {"S": name}, "text": {"S": text}, "g": {"S": "all"}})


def test_replicas__take_what_was_there_and_what_comes(server: HeadraceServer, account: str) -> None:
    here, there, third = (server.client("dynamodb", account, region) for region in (HERE, THERE, THIRD))
    here.create_table(TableName="world", **SCHEMA)
    for number in range(450):
        put(here, f"old-{number}", "before")
    add(here, THERE)
    assert len(items(there)) == 450
    described = there.describe_table(TableName="world")["Table"]
    assert [one["RegionName"] for one in described["Replicas"]] == [HERE]
    assert described["GlobalTableVersion"] == "2019.11.21"
    assert described["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    put(there, "from there", "x")
    here.delete_item(TableName="world", Key={"id": {"S": "old-1"}})
    eventually(lambda: len(items(here)) == len(items(there)) == 450)
    assert items(here) == items(there)
    add(there, THIRD)
    assert {one["RegionName"] for one in here.describe_table(TableName="world")["Table"]["Replicas"]} == {THERE, THIRD}
    put(third, "from the third", "y")
    eventually(lambda: items(here) == items(there) == items(third) and len(items(here)) == 451)
    asked = {"IndexName": "by-g", "KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "all"}}}
    assert third.query(TableName="world", Select="COUNT", **asked)["Count"] == 451


def test_replicas__the_last_writer_wins_everywhere(server: HeadraceServer, account: str) -> None:
    clients = [server.client("dynamodb", account, region) for region in (HERE, THERE, THIRD)]
    clients[0].create_table(TableName="world", **SCHEMA)
    add(clients[0], THERE)
    add(clients[0], THIRD)

    def write(number: int) -> None:
        for round_ in range(60):
            name = f"k{round_ % 5}"
            if round_ % 7 == number:
                clients[number].delete_item(TableName="world", Key={"id": {"S": name}})
            else:
                put(clients[number], name, f"{number}-{round_}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: items(clients[0]) == items(clients[1]) == items(clients[2]))
    put(clients[2], "last", "wins")
    put(clients[1], "last", "wins really")
    eventually(lambda: all(db.get_item(TableName="world", Key={"id": {"S": "last"}}).get("Item", {}).get("text") == {
        "S": "wins really"} for db in clients))  # fmt: skip
    assert items(clients[0]) == items(clients[1]) == items(clients[2])


def test_replicas__leave_and_are_refused(server: HeadraceServer, account: str) -> None:
    here, there = (server.client("dynamodb", account, region) for region in (HERE, THERE))
    here.create_table(TableName="world", **SCHEMA)

    def refused(**change: Any) -> str:
        with pytest.raises(ClientError) as caught:
            here.update_table(TableName="world", **change)
        return str(caught.value.response["Error"]["Message"])

    assert refused(ReplicaUpdates=[{"Create": {"RegionName": HERE}}]).startswith("Cannot add, delete, or update the local region")
    assert "not part of the global table" in refused(ReplicaUpdates=[{"Delete": {"RegionName": THERE}}])
    add(here, THERE)
    assert "already existed as tables" in refused(ReplicaUpdates=[{"Create": {"RegionName": THERE}}])
    assert "can not be switched off" in refused(StreamSpecification={"StreamEnabled": False})
    here.update_table(TableName="world", ReplicaUpdates=[{"Delete": {"RegionName": THERE}}])
    assert there.list_tables()["TableNames"] == []
    assert "Replicas" not in here.describe_table(TableName="world")["Table"]
    put(here, "alone", "again")
    # The region can be taken in again, and gets what was written meanwhile.
    add(here, THERE)
    assert [item["id"]["S"] for item in items(there)] == ["alone"]
    there.delete_table(TableName="world")
    assert "Replicas" not in here.describe_table(TableName="world")["Table"]
    assert len(items(here)) == 1


@pytest.mark.timeout(120)
def test_replicas__after_kills(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        here, there = (server.client("dynamodb", region=region) for region in (HERE, THERE))
        here.create_table(TableName="world", **SCHEMA)
        for number in range(1200):
            put(here, f"old-{number}", "before")
        here.update_table(TableName="world", ReplicaUpdates=[{"Create": {"RegionName": THERE}}])
        for number in range(3):
            put(here, f"old-{number}", "after")
            server.kill()
            server.start()
        eventually(lambda: there.describe_table(TableName="world")["Table"]["TableStatus"] == "ACTIVE", 60)
        put(there, "new", "there")
        server.kill()
        server.start()
        eventually(lambda: here.describe_table(TableName="world")["Table"]["ItemCount"] == 1201, 60)
        eventually(lambda: there.get_item(TableName="world", Key={"id": {"S": "old-2"}})["Item"]["text"]["S"] == "after")
        assert there.describe_table(TableName="world")["Table"]["ItemCount"] == 1201
    finally:
        server.kill()
