"""Auto scaling of tables and replicas, as DynamoDB's own operations set and show it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

HERE, THERE = "us-east-1", "eu-west-1"
TABLE: dict[str, Any] = {
    "TableName": "world",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        }
    ],
}


def settings(least: int, most: int, goal: float) -> dict[str, Any]:
    return {
        "MinimumUnits": least,
        "MaximumUnits": most,
        "ScalingPolicyUpdate": {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": goal, "ScaleInCooldown": 30}},
    }


def test_replicas__are_scaled_by_one_request(server: HeadraceServer, account: str) -> None:
    here = server.client("dynamodb", account)
    here.create_table(**TABLE)
    here.update_table(TableName="world", ReplicaUpdates=[{"Create": {"RegionName": THERE}}])
    eventually(lambda: here.describe_table(TableName="world")["Table"]["Replicas"][0]["ReplicaStatus"] == "ACTIVE")
    update = {
        "TableName": "world",
        "ProvisionedWriteCapacityAutoScalingUpdate": settings(5, 50, 60.0),
        "GlobalSecondaryIndexUpdates": [
            {"IndexName": "by-g", "ProvisionedWriteCapacityAutoScalingUpdate": settings(5, 40, 50.0)}
        ],
        "ReplicaUpdates": [
            {
                "RegionName": THERE,
                "ReplicaProvisionedReadCapacityAutoScalingUpdate": settings(5, 30, 70.0),
                "ReplicaGlobalSecondaryIndexUpdates": [
                    {"IndexName": "by-g", "ProvisionedReadCapacityAutoScalingUpdate": settings(5, 20, 80.0)}
                ],
            }
        ],
    }
    made = here.update_table_replica_auto_scaling(**update)["TableAutoScalingDescription"]
    assert made == here.describe_table_replica_auto_scaling(TableName="world")["TableAutoScalingDescription"]
    there, own = made["Replicas"]
    assert (there["RegionName"], own["RegionName"]) == (THERE, HERE)
    write = there["ReplicaProvisionedWriteCapacityAutoScalingSettings"]
    assert write == own["ReplicaProvisionedWriteCapacityAutoScalingSettings"]
    assert (write["MinimumUnits"], write["MaximumUnits"], write["AutoScalingDisabled"]) == (5, 50, False)
    assert write["ScalingPolicies"] == [
        {
            "PolicyName": "DynamoDBWriteCapacityUtilization:table/world",
            "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 60.0, "ScaleInCooldown": 30},
        }
    ]
    assert there["ReplicaProvisionedReadCapacityAutoScalingSettings"]["MaximumUnits"] == 30
    assert "ReplicaProvisionedReadCapacityAutoScalingSettings" not in own
    (index,) = there["GlobalSecondaryIndexes"]
    assert index["ProvisionedReadCapacityAutoScalingSettings"]["MaximumUnits"] == 20
    assert index["ProvisionedWriteCapacityAutoScalingSettings"]["MaximumUnits"] == 40
    # It is what Application Auto Scaling has, in each region.
    targets = server.client("application-autoscaling", account, THERE).describe_scalable_targets(ServiceNamespace="dynamodb")
    assert [one["MaxCapacity"] for one in targets["ScalableTargets"]] == [30, 50, 20, 40]
    off = {"AutoScalingDisabled": True}
    made = here.update_table_replica_auto_scaling(TableName="world", ProvisionedWriteCapacityAutoScalingUpdate=off)
    for replica in made["TableAutoScalingDescription"]["Replicas"]:
        assert "ReplicaProvisionedWriteCapacityAutoScalingSettings" not in replica


def test_what_is_not_there__is_refused__and_changes_nothing(server: HeadraceServer, account: str) -> None:
    here = server.client("dynamodb", account)
    here.create_table(**TABLE)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"TableName": "nothing"}, "ResourceNotFoundException"),
        ({"ReplicaUpdates": [{"RegionName": THERE}]}, "ValidationException"),
        ({"GlobalSecondaryIndexUpdates": [{"IndexName": "none"}]}, "ResourceNotFoundException"),
    ]
    for more, code in wrong:
        with pytest.raises(ClientError) as refused:
            here.update_table_replica_auto_scaling(
                **{"TableName": "world", "ProvisionedWriteCapacityAutoScalingUpdate": settings(5, 50, 60.0), **more}
            )
        assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError):
        here.update_table_replica_auto_scaling(TableName="world")
    (replica,) = here.describe_table_replica_auto_scaling(TableName="world")["TableAutoScalingDescription"]["Replicas"]
    assert "ReplicaProvisionedWriteCapacityAutoScalingSettings" not in replica
