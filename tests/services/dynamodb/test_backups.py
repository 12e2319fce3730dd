"""Backups, restores and recovery to a point in time, through boto3, while writes go on and after kills."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Client = Callable[..., Any]


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def make(db: Any, name: str = "source") -> None:
    db.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": one, "AttributeType": kind} for one, kind in (("p", "S"), ("s", "N"), ("g", "S"))
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def put(db: Any, number: int, text: str, table: str = "source") -> None:
    item = {"p": {"S": f"p{number % 7}"}, "s": {"N": str(number)}, "g": {"S": f"g{number % 3}"}, "text": {"S": text}}
    db.put_item(TableName=table, Item=item)


def fill(db: Any, count: int, text: str) -> None:
    for begin in range(0, count, 25):
        db.batch_write_item(
            RequestItems={
                "source": [
                    {"PutRequest": {"Item": {
                        "p": {"S": f"p{n % 7}"}, "s": {"N": str(n)}, "g": {"S": f"g{n % 3}"}, "text": {"S": text},
                    }}}
                    for n in range(begin, min(begin + 25, count))
                ]
            }
        )  # fmt: skip


def texts(db: Any, table: str, **more: Any) -> dict[int, str]:
    pages = db.get_paginator("scan").paginate(TableName=table, **more)
    return {int(item["s"]["N"]): item["text"]["S"] for page in pages for item in page["Items"]}


def available(db: Any, arn: str) -> Any:
    def check() -> Any:
        described = db.describe_backup(BackupArn=arn)["BackupDescription"]
        return described if described["BackupDetails"]["BackupStatus"] == "AVAILABLE" else None

    return eventually(check)


def active(db: Any, table: str) -> Any:
    def check() -> Any:
        described = db.describe_table(TableName=table)["Table"]
        return described if described["TableStatus"] == "ACTIVE" else None

    return eventually(check, 40)


def test_backup_and_restore(client: Client, account: str) -> None:
    db = client("dynamodb")
    make(db)
    fill(db, 600, "before")
    made = db.create_backup(TableName="source", BackupName="first")["BackupDetails"]
    assert (made["BackupStatus"], made["BackupType"], made["BackupName"]) == ("CREATING", "USER", "first")
    assert made["BackupArn"].startswith(f"arn:aws:dynamodb:us-east-1:{account}:table/source/backup/")
    # The backup is of the moment of the call: nothing that follows is in it.
    fill(db, 700, "after")
    db.delete_item(TableName="source", Key={"p": {"S": "p0"}, "s": {"N": "0"}})
    described = available(db, made["BackupArn"])
    assert described["SourceTableDetails"]["ItemCount"] == 600
    assert described["SourceTableFeatureDetails"]["GlobalSecondaryIndexes"][0]["IndexName"] == "by-g"
    restored = db.restore_table_from_backup(TargetTableName="copy", BackupArn=made["BackupArn"])["TableDescription"]
    assert restored["TableStatus"] == "CREATING"
    assert restored["RestoreSummary"]["RestoreInProgress"] is True
    assert restored["RestoreSummary"]["SourceBackupArn"] == made["BackupArn"]
    described = active(db, "copy")
    assert described["RestoreSummary"]["RestoreInProgress"] is False
    assert described["ItemCount"] == 600
    assert texts(db, "copy") == dict.fromkeys(range(600), "before")
    assert len(texts(db, "copy", IndexName="by-g")) == 600
    assert db.query(
        TableName="copy", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": {"S": "g1"}},
        Select="COUNT",
    )["Count"] == 200  # fmt: skip
    assert refused(db.restore_table_from_backup, TargetTableName="copy", BackupArn=made["BackupArn"]) == (
        "TableAlreadyExistsException"
    )


def test_backups__listed_and_deleted(client: Client) -> None:
    db = client("dynamodb")
    make(db)
    make(db, "other")
    arns = [db.create_backup(TableName="source", BackupName=f"n-{n}")["BackupDetails"]["BackupArn"] for n in range(3)]
    other = db.create_backup(TableName="other", BackupName="another")["BackupDetails"]["BackupArn"]
    first = db.list_backups(TableName="source", Limit=2)
    rest = db.list_backups(TableName="source", ExclusiveStartBackupArn=first["LastEvaluatedBackupArn"])
    listed = [one["BackupArn"] for one in (*first["BackupSummaries"], *rest["BackupSummaries"])]
    assert sorted(listed) == sorted(arns)
    assert len(db.list_backups()["BackupSummaries"]) == 4
    available(db, other)
    assert db.delete_backup(BackupArn=other)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED"
    assert refused(db.describe_backup, BackupArn=other) == "BackupNotFoundException"
    assert refused(db.create_backup, TableName="nowhere", BackupName="nnn") == "TableNotFoundException"
    for arn in arns:
        available(db, arn)
    # The backup outlives its table.
    eventually(lambda: db.delete_table(TableName="source"))
    db.restore_table_from_backup(TargetTableName="source", BackupArn=arns[0])
    active(db, "source")


def test_restore__overrides(client: Client) -> None:
    db = client("dynamodb")
    make(db)
    put(db, 1, "x")
    arn = db.create_backup(TableName="source", BackupName="first")["BackupDetails"]["BackupArn"]
    available(db, arn)
    db.restore_table_from_backup(
        TargetTableName="plain", BackupArn=arn, GlobalSecondaryIndexOverride=[], BillingModeOverride="PROVISIONED",
        ProvisionedThroughputOverride={"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
    )  # fmt: skip
    described = active(db, "plain")
    assert "GlobalSecondaryIndexes" not in described
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 4
    assert texts(db, "plain") == {1: "x"}


def test_recovery(client: Client, server: HeadraceServer) -> None:
    db = client("dynamodb")
    make(db)
    put(db, 1, "one")
    assert refused(
        db.restore_table_to_point_in_time, SourceTableName="source", TargetTableName="ttt", UseLatestRestorableTime=True
    ) == ("PointInTimeRecoveryUnavailableException")
    described = db.update_continuous_backups(
        TableName="source", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )["ContinuousBackupsDescription"]
    assert described["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert described["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] == 35
    moments: list[tuple[float, dict[int, str]]] = []

    def moment() -> None:
        server.advance(2)
        moments.append((server.page("/_headrace/clock")["now"], texts(db, "source")))
        server.advance(2)

    moment()
    fill(db, 300, "first")
    moment()
    db.delete_item(TableName="source", Key={"p": {"S": "p1"}, "s": {"N": "1"}})
    fill(db, 100, "second")
    moment()
    for number, (at, there) in enumerate(moments):
        db.restore_table_to_point_in_time(SourceTableName="source", TargetTableName=f"then-{number}", RestoreDateTime=at)
        put(db, 1000 + number, "later")
        active(db, f"then-{number}")
        assert texts(db, f"then-{number}") == there
    db.restore_table_to_point_in_time(SourceTableName="source", TargetTableName="now", UseLatestRestorableTime=True)
    active(db, "now")
    assert texts(db, "now") == texts(db, "source")
    assert refused(
        db.restore_table_to_point_in_time, SourceTableName="source", TargetTableName="old", RestoreDateTime=moments[0][0] - 1000
    ) == "InvalidRestoreTimeException"  # fmt: skip


def test_recovery__a_deleted_table_stays_as_a_backup(client: Client) -> None:
    db = client("dynamodb")
    make(db)
    fill(db, 30, "kept")
    db.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    db.delete_table(TableName="source")
    (backup,) = db.list_backups(BackupType="SYSTEM")["BackupSummaries"]
    assert backup["BackupName"] == "source$DeletedTableBackup"
    db.restore_table_from_backup(TargetTableName="source", BackupArn=backup["BackupArn"])
    active(db, "source")
    assert texts(db, "source") == dict.fromkeys(range(30), "kept")


@pytest.mark.timeout(120)
def test_backup_and_restore__killed_in_the_middle_while_writes_go_on(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        db = server.client("dynamodb")
        make(db)
        fill(db, 3000, "before")
        arn = db.create_backup(TableName="source", BackupName="first")["BackupDetails"]["BackupArn"]
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                try:
                    put(db, number % 3500, "after")
                    number += 7
                except Exception:
                    time.sleep(0.01)

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(3):
            time.sleep(0.03)
            server.kill()
            server.start()
        available(db, arn)
        db.restore_table_from_backup(TargetTableName="copy", BackupArn=arn)
        for _ in range(3):
            time.sleep(0.03)
            server.kill()
            server.start()
        described = active(db, "copy")
        stop.set()
        writer.join()
        assert texts(db, "copy") == dict.fromkeys(range(3000), "before")
        assert len(texts(db, "copy", IndexName="by-g")) == described["ItemCount"] == 3000
    finally:
        server.kill()


@pytest.mark.timeout(120)
def test_new_index__killed_in_the_middle_while_writes_go_on(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        db = server.client("dynamodb")
        make(db)
        fill(db, 3000, "x")
        added = {
            "IndexName": "by-text",
            "KeySchema": [{"AttributeName": "text", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        definitions = [{"AttributeName": one, "AttributeType": kind} for one, kind in (("text", "S"), ("s", "N"))]
        db.update_table(TableName="source", AttributeDefinitions=definitions, GlobalSecondaryIndexUpdates=[{"Create": added}])
        expected = dict.fromkeys(range(3000), "x")
        for number in range(4):
            for place in range(number * 7, 3000, 400):
                put(db, place, f"y{number}")
                expected[place] = f"y{number}"
            db.delete_item(TableName="source", Key={"p": {"S": f"p{(number + 100) % 7}"}, "s": {"N": str(number + 100)}})
            del expected[number + 100]
            server.kill()
            server.start()

        def filled() -> bool:
            indexes = db.describe_table(TableName="source")["Table"]["GlobalSecondaryIndexes"]
            return all(index["IndexStatus"] == "ACTIVE" for index in indexes)

        eventually(filled, 60)
        assert texts(db, "source") == expected
        assert texts(db, "source", IndexName="by-text") == expected
    finally:
        server.kill()
