"""Global tables of 2017: tables that were there, put together, and their settings."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually
from tests.services.dynamodb.test_replicas import HERE, SCHEMA, THERE, THIRD


@pytest.fixture
def regions(server: HeadraceServer, account: str) -> dict[str, Any]:
    """A client of each region; in each an empty table."""
    clients = {region: server.client("dynamodb", account, region) for region in (HERE, THERE, THIRD)}
    for db in clients.values():
        db.create_table(TableName="world", **SCHEMA)
    return clients


def names(*regions: str) -> list[dict[str, str]]:
    return [{"RegionName": region} for region in regions]


def put(db: Any, name: str) -> None:
    db.put_item(TableName="world", Item={"id": {"S": name}})


def held(db: Any) -> list[str]:
    return sorted(item["id"]["S"] for item in db.scan(TableName="world", ConsistentRead=True)["Items"])


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_tables__are_put_together__and_tell_each_other(regions: dict[str, Any], account: str) -> None:
    here, there, third = regions.values()
    made = here.create_global_table(GlobalTableName="world", ReplicationGroup=names(HERE, THERE))["GlobalTableDescription"]
    assert made["GlobalTableArn"] == f"arn:aws:dynamodb::{account}:global-table/world"
    assert made["GlobalTableStatus"] == "ACTIVE"
    assert [one["RegionName"] for one in made["ReplicationGroup"]] == [THERE, HERE]
    # Any region knows it.
    assert third.describe_global_table(GlobalTableName="world")["GlobalTableDescription"] == made
    assert there.describe_table(TableName="world")["Table"]["GlobalTableVersion"] == "2017.11.29"
    put(here, "a")
    put(there, "b")
    eventually(lambda: held(here) == held(there) == ["a", "b"])
    assert held(third) == []
    updated = here.update_global_table(GlobalTableName="world", ReplicaUpdates=[{"Create": {"RegionName": THIRD}}])
    assert len(updated["GlobalTableDescription"]["ReplicationGroup"]) == 3

    def active() -> bool:
        return bool(
            here.describe_global_table(GlobalTableName="world")["GlobalTableDescription"]["GlobalTableStatus"] == "ACTIVE"
        )

    eventually(active)
    assert held(third) == ["a", "b"]
    put(third, "c")
    eventually(lambda: held(here) == held(there) == ["a", "b", "c"])


def test_a_table_that_is_taken_out__stays__and_may_come_again_when_it_is_empty(regions: dict[str, Any]) -> None:
    here, there, _ = regions.values()
    here.create_global_table(GlobalTableName="world", ReplicationGroup=names(HERE, THERE))
    put(here, "a")
    put(there, "b")
    eventually(lambda: held(here) == held(there) == ["a", "b"])
    leave = [{"Delete": {"RegionName": THERE}}]
    here.update_global_table(GlobalTableName="world", ReplicaUpdates=leave)
    assert refused(here.update_global_table, GlobalTableName="world", ReplicaUpdates=leave) == "ReplicaNotFoundException"
    assert "GlobalTableVersion" not in there.describe_table(TableName="world")["Table"]
    put(here, "c")
    put(there, "d")
    come = [{"Create": {"RegionName": THERE}}]
    assert refused(here.update_global_table, GlobalTableName="world", ReplicaUpdates=come) == "ValidationException"
    for name in held(there):
        there.delete_item(TableName="world", Key={"id": {"S": name}})
    here.update_global_table(GlobalTableName="world", ReplicaUpdates=come)
    assert refused(here.update_global_table, GlobalTableName="world", ReplicaUpdates=come) == "ReplicaAlreadyExistsException"
    eventually(lambda: there.describe_table(TableName="world")["Table"]["TableStatus"] == "ACTIVE")
    assert held(there) == held(here) == ["a", "b", "c"]
    there.delete_item(TableName="world", Key={"id": {"S": "a"}})
    eventually(lambda: held(here) == ["b", "c"])
    both = [{"Delete": {"RegionName": region}} for region in (HERE, THERE)]
    here.update_global_table(GlobalTableName="world", ReplicaUpdates=both)
    assert refused(here.describe_global_table, GlobalTableName="world") == "GlobalTableNotFoundException"
    assert held(here) == held(there) == ["b", "c"]


def test_what_does_not_fit__is_refused(regions: dict[str, Any]) -> None:
    here, there, third = regions.values()
    group = {"GlobalTableName": "world", "ReplicationGroup": names(HERE, THERE)}
    assert refused(here.create_global_table, **{**group, "GlobalTableName": "other"}) == "TableNotFoundException"
    put(there, "a")
    assert refused(here.create_global_table, **group) == "ValidationException"
    there.delete_item(TableName="world", Key={"id": {"S": "a"}})
    there.update_table(TableName="world", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
    assert refused(here.create_global_table, **group) == "ValidationException"
    third.update_table(TableName="world", StreamSpecification={"StreamEnabled": False})
    assert refused(here.create_global_table, **{**group, "ReplicationGroup": names(HERE, THIRD)}) == "ValidationException"
    here.create_global_table(GlobalTableName="world", ReplicationGroup=names(HERE))
    assert refused(here.create_global_table, GlobalTableName="world", ReplicationGroup=names(HERE)) == (
        "GlobalTableAlreadyExistsException"
    )
    assert refused(here.update_table, TableName="world", StreamSpecification={"StreamEnabled": False}) == "ValidationException"
    assert refused(here.update_table, TableName="world", ReplicaUpdates=[{"Create": {"RegionName": "sa-east-1"}}]) == (
        "ValidationException"
    )
    here.delete_table(TableName="world")
    assert refused(third.describe_global_table, GlobalTableName="world") == "GlobalTableNotFoundException"


def test_global_tables__are_listed_in_pages__by_region(regions: dict[str, Any]) -> None:
    here, there, _ = regions.values()
    here.create_table(TableName="alone", **SCHEMA)
    here.create_global_table(GlobalTableName="alone", ReplicationGroup=names(HERE))
    here.create_global_table(GlobalTableName="world", ReplicationGroup=names(HERE, THERE))
    first = there.list_global_tables(Limit=1)
    assert first == {
        "GlobalTables": [{"GlobalTableName": "alone", "ReplicationGroup": names(HERE)}],
        "LastEvaluatedGlobalTableName": "alone",
        "ResponseMetadata": first["ResponseMetadata"],
    }
    rest = there.list_global_tables(Limit=1, ExclusiveStartGlobalTableName="alone")
    assert [one["GlobalTableName"] for one in rest["GlobalTables"]] == ["world"]
    assert "LastEvaluatedGlobalTableName" not in rest
    assert [one["GlobalTableName"] for one in here.list_global_tables(RegionName=THERE)["GlobalTables"]] == ["world"]


def test_settings__are_of_all_replicas__or_of_one(regions: dict[str, Any]) -> None:
    here, there, _ = regions.values()
    here.create_global_table(GlobalTableName="world", ReplicationGroup=names(HERE, THERE))
    found = here.describe_global_table_settings(GlobalTableName="world")["ReplicaSettings"]
    assert [one["ReplicaBillingModeSummary"]["BillingMode"] for one in found] == ["PAY_PER_REQUEST"] * 2
    changed = here.update_global_table_settings(
        GlobalTableName="world",
        GlobalTableBillingMode="PROVISIONED",
        GlobalTableProvisionedWriteCapacityUnits=7,
        GlobalTableGlobalSecondaryIndexSettingsUpdate=[{"IndexName": "by-g", "ProvisionedWriteCapacityUnits": 8}],
        ReplicaSettingsUpdate=[
            {
                "RegionName": THERE,
                "ReplicaProvisionedReadCapacityUnits": 9,
                "ReplicaGlobalSecondaryIndexSettingsUpdate": [{"IndexName": "by-g", "ProvisionedReadCapacityUnits": 10}],
                "ReplicaTableClass": "STANDARD_INFREQUENT_ACCESS",
            }
        ],
    )["ReplicaSettings"]
    assert changed[0]["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert changed[0]["ReplicaGlobalSecondaryIndexSettings"] == [
        {
            "IndexName": "by-g", "IndexStatus": "ACTIVE", "ProvisionedReadCapacityUnits": 10, "ProvisionedWriteCapacityUnits": 8,
        }
    ]  # fmt: skip
    units = {
        one["RegionName"]: (one["ReplicaProvisionedReadCapacityUnits"], one["ReplicaProvisionedWriteCapacityUnits"])
        for one in changed
    }
    assert units == {THERE: (9, 7), HERE: (5, 7)}
    described = there.describe_table(TableName="world")["Table"]["ProvisionedThroughput"]
    assert (described["ReadCapacityUnits"], described["WriteCapacityUnits"]) == (9, 7)
    settings = {"GlobalTableName": "world"}
    scaled = {
        "MinimumUnits": 7,
        "MaximumUnits": 70,
        "ScalingPolicyUpdate": {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0}},
    }
    found = here.update_global_table_settings(
        **settings,
        GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate=scaled,
        ReplicaSettingsUpdate=[
            {
                "RegionName": THERE,
                "ReplicaGlobalSecondaryIndexSettingsUpdate": [
                    {"IndexName": "by-g", "ProvisionedReadCapacityAutoScalingSettingsUpdate": scaled}
                ],
            }
        ],
    )["ReplicaSettings"]
    assert [one["ReplicaProvisionedWriteCapacityAutoScalingSettings"]["MaximumUnits"] for one in found] == [70, 70]
    assert "ReplicaProvisionedReadCapacityAutoScalingSettings" not in found[0]
    indexes = [one["ReplicaGlobalSecondaryIndexSettings"][0] for one in found]
    assert indexes[0]["ProvisionedReadCapacityAutoScalingSettings"]["MaximumUnits"] == 70
    assert "ProvisionedReadCapacityAutoScalingSettings" not in indexes[1]
    assert refused(here.update_global_table_settings, **settings, ReplicaSettingsUpdate=names(THIRD)) == (
        "ReplicaNotFoundException"
    )
    assert (
        refused(
            here.update_global_table_settings,
            **settings,
            GlobalTableGlobalSecondaryIndexSettingsUpdate=[{"IndexName": "none", "ProvisionedWriteCapacityUnits": 1}],
        )
        == "IndexNotFoundException"
    )
