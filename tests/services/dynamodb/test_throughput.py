"""What is warm, the most on demand, and what single replicas have of their own."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Client = Callable[..., Any]
HERE, THERE = "us-east-1", "eu-west-1"


def table(**more: Any) -> dict[str, Any]:
    index = {
        "IndexName": "by-g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        **more.pop("index", {}),
    }
    return {
        "TableName": "world",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": one, "AttributeType": "S"} for one in ("id", "g")],
        "GlobalSecondaryIndexes": [index],
        **(more if "ProvisionedThroughput" in more else {"BillingMode": "PAY_PER_REQUEST", **more}),
    }


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def warm(db: Any) -> list[tuple[int, int]]:
    """(reads, writes) of the table and its index."""
    found = db.describe_table(TableName="world")["Table"]
    both = [found["WarmThroughput"], found["GlobalSecondaryIndexes"][0]["WarmThroughput"]]
    assert {one["Status"] for one in both} == {"ACTIVE"}
    return [(one["ReadUnitsPerSecond"], one["WriteUnitsPerSecond"]) for one in both]


def test_warm__what_is_on_demand__has_a_least__and_is_only_warmed_up(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**table())
    assert warm(db) == [(12000, 4000)] * 2
    db.update_table(TableName="world", WarmThroughput={"ReadUnitsPerSecond": 15000})
    change = {"IndexName": "by-g", "WarmThroughput": {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000}}
    db.update_table(TableName="world", GlobalSecondaryIndexUpdates=[{"Update": change}])
    assert warm(db) == [(15000, 4000), (13000, 5000)]
    assert refused(db.update_table, TableName="world", WarmThroughput={"ReadUnitsPerSecond": 14999}) == (
        "One or more parameter values were invalid: Requested ReadUnitsPerSecond for WarmThroughput for table is lower than "
        "current WarmThroughput, decreasing WarmThroughput is not supported"
    )
    change["WarmThroughput"] = {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 4999}
    assert "for index by-g is lower" in refused(
        db.update_table, TableName="world", GlobalSecondaryIndexUpdates=[{"Update": change}]
    )
    # It stays so when throughput is provisioned.
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 4500}
    db.update_table(TableName="world", BillingMode="PROVISIONED", ProvisionedThroughput=units)
    assert warm(db) == [(15000, 4500), (13000, 5000)]


def test_warm__what_is_provisioned__has_been_there_once(client: Client) -> None:
    db = client("dynamodb")
    small = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    db.create_table(
        **table(
            ProvisionedThroughput=small,
            WarmThroughput={"ReadUnitsPerSecond": 50, "WriteUnitsPerSecond": 60},
            index={"ProvisionedThroughput": small},
        )
    )
    assert warm(db) == [(50, 60), (5, 6)]
    change = {"IndexName": "by-g", "ProvisionedThroughput": {"ReadCapacityUnits": 9, "WriteCapacityUnits": 6}}
    db.update_table(TableName="world", GlobalSecondaryIndexUpdates=[{"Update": change}])
    change["ProvisionedThroughput"] = small
    db.update_table(TableName="world", GlobalSecondaryIndexUpdates=[{"Update": change}])
    assert warm(db) == [(50, 60), (9, 6)]


def test_on_demand__an_index_has_a_maximum_of_its_own(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**table(index={"OnDemandThroughput": {"MaxReadRequestUnits": 7, "MaxWriteRequestUnits": -1}}))

    def of_index() -> Any:
        return db.describe_table(TableName="world")["Table"]["GlobalSecondaryIndexes"][0].get("OnDemandThroughput")

    assert of_index() == {"MaxReadRequestUnits": 7, "MaxWriteRequestUnits": -1}
    change = {"IndexName": "by-g", "OnDemandThroughput": {"MaxWriteRequestUnits": 8}}
    db.update_table(TableName="world", GlobalSecondaryIndexUpdates=[{"Update": change}])
    assert of_index() == {"MaxReadRequestUnits": 7, "MaxWriteRequestUnits": 8}
    change["OnDemandThroughput"] = {"MaxWriteRequestUnits": 0}
    refused(db.update_table, TableName="world", GlobalSecondaryIndexUpdates=[{"Update": change}])
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    db.update_table(TableName="world", BillingMode="PROVISIONED", ProvisionedThroughput=units)
    assert of_index() is None
    change["OnDemandThroughput"] = {"MaxWriteRequestUnits": 8}
    assert "BillingMode is PAY_PER_REQUEST" in refused(
        db.update_table, TableName="world", GlobalSecondaryIndexUpdates=[{"Update": change}]
    )


def test_on_demand__the_maximum_of_an_index_holds_its_reads(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data", environment={"HEADRACE_ENFORCE_LIMITS": "true"}).start()
    db = server.client("dynamodb")
    db.create_table(**table(index={"OnDemandThroughput": {"MaxReadRequestUnits": 1}}))
    db.put_item(TableName="world", Item={"id": {"S": "a"}, "g": {"S": "x"}, "text": {"S": "x" * 390_000}})
    asked = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "x"}}}
    read = partial(db.query, TableName="world", IndexName="by-g", **asked)
    with pytest.raises(ClientError) as caught:
        any(read() is None for _ in range(20))
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    # The table's own reads go on.
    for _ in range(20):
        db.get_item(TableName="world", Key={"id": {"S": "a"}})
    server.kill()


def test_replicas__have_reads_and_a_class_of_their_own(server: HeadraceServer, account: str) -> None:
    here, there = (server.client("dynamodb", account, region) for region in (HERE, THERE))
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    here.create_table(**table(ProvisionedThroughput=units, index={"ProvisionedThroughput": units}, StreamSpecification=stream))
    own = {
        "RegionName": THERE,
        "ProvisionedThroughputOverride": {"ReadCapacityUnits": 9},
        "TableClassOverride": "STANDARD_INFREQUENT_ACCESS",
        "GlobalSecondaryIndexes": [{"IndexName": "by-g", "ProvisionedThroughputOverride": {"ReadCapacityUnits": 11}}],
    }
    here.update_table(TableName="world", ReplicaUpdates=[{"Create": own}])

    def replica() -> Any:
        (one,) = here.describe_table(TableName="world")["Table"]["Replicas"]
        return one

    eventually(lambda: replica()["ReplicaStatus"] == "ACTIVE")
    assert replica()["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 9}
    assert replica()["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert replica()["GlobalSecondaryIndexes"][0]["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 11}
    described = there.describe_table(TableName="world")["Table"]
    assert described["ProvisionedThroughput"]["ReadCapacityUnits"] == 9
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    change = {"RegionName": THERE, "ProvisionedThroughputOverride": {"ReadCapacityUnits": 12}}
    here.update_table(TableName="world", ReplicaUpdates=[{"Update": change}])
    assert replica()["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 12}
    assert "KMSMasterKeyId" in refused(
        here.update_table, TableName="world", ReplicaUpdates=[{"Update": {"RegionName": THERE, "KMSMasterKeyId": "k"}}]
    )
    assert "not part of the global table" in refused(
        here.update_table, TableName="world", ReplicaUpdates=[{"Update": {**change, "RegionName": "ap-south-1"}}]
    )
    # What is warmed up is warmed up everywhere.
    here.update_table(TableName="world", WarmThroughput={"ReadUnitsPerSecond": 100, "WriteUnitsPerSecond": 6})
    assert warm(there)[0] == (100, 6)


def test_a_table__is_made_with_its_policy(client: Client, account: str) -> None:
    db = client("dynamodb")
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "dynamodb:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = db.create_table(**table(ResourcePolicy=policy))["TableDescription"]
    assert db.get_resource_policy(ResourceArn=made["TableArn"])["Policy"] == policy
    refused(db.create_table, **{**table(ResourcePolicy="{}"), "TableName": "other"})
    assert db.list_tables()["TableNames"] == ["world"]


def test_a_restored_table__has_the_maximum_of_the_source__or_another(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**table(OnDemandThroughput={"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20}))
    arn = db.create_backup(TableName="world", BackupName="one")["BackupDetails"]["BackupArn"]
    eventually(lambda: db.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE")
    same = db.restore_table_from_backup(TargetTableName="same", BackupArn=arn)["TableDescription"]
    assert same["OnDemandThroughput"] == {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20}
    more = db.restore_table_from_backup(
        TargetTableName="more", BackupArn=arn, OnDemandThroughputOverride={"MaxReadRequestUnits": 30}
    )["TableDescription"]
    assert more["OnDemandThroughput"] == {"MaxReadRequestUnits": 30, "MaxWriteRequestUnits": 20}


def test_decreases__are_four_a_day__and_then_one_an_hour(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        db = server.client("dynamodb")
        day = 24 * 3600
        # Two in the morning of the next day (in UTC).
        server.advance(day - server.page("/_headrace/clock")["now"] % day + 7200)
        index = {
            "IndexName": "by-id",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        db.create_table(
            TableName="world", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], ProvisionedThroughput=_units(20, 20),
            GlobalSecondaryIndexes=[{**index, "ProvisionedThroughput": _units(20, 20)}],
        )  # fmt: skip

        def change(read: int, write: int = 20) -> Any:
            changed = db.update_table(TableName="world", ProvisionedThroughput=_units(read, write))["TableDescription"]
            return changed["ProvisionedThroughput"]

        def change_index(read: int) -> Any:
            update = {"Update": {"IndexName": "by-id", "ProvisionedThroughput": _units(read, 20)}}
            changed = db.update_table(TableName="world", GlobalSecondaryIndexUpdates=[update])["TableDescription"]
            return changed["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]

        raised = change(25)
        assert (raised["NumberOfDecreasesToday"], "LastDecreaseDateTime" in raised) == (0, False)
        for number, read in enumerate((15, 14, 13), start=1):
            lowered = change(read)
            assert lowered["NumberOfDecreasesToday"] == number
        # One up and one down is a decrease too.
        lowered = change(30, 19)
        assert lowered["NumberOfDecreasesToday"] == 4
        assert raised["LastIncreaseDateTime"] < lowered["LastIncreaseDateTime"] == lowered["LastDecreaseDateTime"]
        last = lowered["LastDecreaseDateTime"].astimezone(UTC)

        def spelled(at: datetime) -> str:
            return f"{at:%A, %B} {at.day}, {at.year} at {int(at.strftime('%I'))}:{at:%M:%S %p} Coordinated Universal Time"

        server.advance(3500)
        with pytest.raises(ClientError) as caught:
            change(12, 19)
        error = caught.value.response["Error"]
        assert (error["Code"], error["Message"]) == (
            "LimitExceededException",
            "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first 4 "
            "decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. Number of "
            f"decreases today: 4. Last decrease at {spelled(last)}. Next decrease can be made at "
            f"{spelled(last + timedelta(hours=1))}",
        )
        # What is raised is not counted, and an index is counted for itself.
        assert change(31, 19)["NumberOfDecreasesToday"] == 4
        assert change_index(10)["NumberOfDecreasesToday"] == 1
        server.advance(110)
        assert change(12, 19)["NumberOfDecreasesToday"] == 5
        with pytest.raises(ClientError, match="Number of decreases today: 5"):
            change(11, 19)
        server.advance(day - server.page("/_headrace/clock")["now"] % day + 5)
        assert db.describe_table(TableName="world")["Table"]["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 0
        assert change(11, 19)["NumberOfDecreasesToday"] == 1
    finally:
        server.kill()


def _units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def test_an_index__of_a_provisioned_table__must_have_throughput(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(
        TableName="world", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], ProvisionedThroughput=_units(5, 5),
    )  # fmt: skip
    index: dict[str, Any] = {
        "IndexName": "late",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "g")]
    asked = {"TableName": "world", "AttributeDefinitions": definitions}
    assert refused(db.update_table, **asked, GlobalSecondaryIndexUpdates=[{"Create": index}]) == (
        "One or more parameter values were invalid: ProvisionedThroughput must be specified for index: late"
    )
    assert "GlobalSecondaryIndexes" not in db.describe_table(TableName="world")["Table"]
    made = {**index, "ProvisionedThroughput": _units(3, 4)}
    db.update_table(**asked, GlobalSecondaryIndexUpdates=[{"Create": made}])
    (found,) = db.describe_table(TableName="world")["Table"]["GlobalSecondaryIndexes"]
    assert found["ProvisionedThroughput"]["WriteCapacityUnits"] == 4


def test_throughput__that_would_not_change__is_refused(client: Client) -> None:
    db = client("dynamodb")
    index = {
        "IndexName": "by-id",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    db.create_table(
        TableName="world", KeySchema=index["KeySchema"], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[index],
    )  # fmt: skip
    same_index = [{"Update": {"IndexName": "by-id", "ProvisionedThroughput": _units(5, 6)}}]
    # Where the table becomes provisioned, an index may be given what the table has.
    made = db.update_table(
        TableName="world", BillingMode="PROVISIONED", ProvisionedThroughput=_units(5, 6), GlobalSecondaryIndexUpdates=same_index
    )["TableDescription"]
    assert made["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    rest = "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    for given, what, kind in (
        ({"ProvisionedThroughput": _units(5, 6)}, "table", "table"),
        ({"ProvisionedThroughput": _units(5, 6), "BillingMode": "PROVISIONED"}, "table", "table"),
        ({"GlobalSecondaryIndexUpdates": same_index}, "index by-id", "index"),
    ):
        with pytest.raises(ClientError) as caught:
            db.update_table(TableName="world", **given)
        error = caught.value.response["Error"]
        assert (error["Code"], error["Message"]) == (
            "ValidationException",
            f"The provisioned throughput for the {what} will not change. The requested value equals the current value. Current "
            f"ReadCapacityUnits provisioned for the {kind}: 5. Requested ReadCapacityUnits: 5. Current WriteCapacityUnits "
            f"provisioned for the {kind}: 6. Requested WriteCapacityUnits: 6. {rest}",
        )
    assert (
        db.update_table(TableName="world", ProvisionedThroughput=_units(5, 7))["TableDescription"]["ProvisionedThroughput"][
            "WriteCapacityUnits"
        ]
        == 7
    )
