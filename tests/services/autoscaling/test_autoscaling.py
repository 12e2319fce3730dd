"""Application Auto Scaling: tables and indexes get the throughput that they use."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

WRITE, READ = "dynamodb:table:WriteCapacityUnits", "dynamodb:table:ReadCapacityUnits"
INDEX = "dynamodb:index:WriteCapacityUnits"
TABLE: dict[str, Any] = {
    "TableName": "world",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        }
    ],
}


class Scaled:
    """A table of a server, and what scales it."""

    def __init__(self, server: HeadraceServer, account: str = "000000000000") -> None:
        self.server = server
        self.db = server.client("dynamodb", account)
        self.scaling = server.client("application-autoscaling", account)
        self.db.create_table(**TABLE)

    def register(self, least: int, most: int, dimension: str = WRITE, resource: str = "table/world", **more: Any) -> Any:
        return self.scaling.register_scalable_target(
            ServiceNamespace="dynamodb", ResourceId=resource, ScalableDimension=dimension, MinCapacity=least, MaxCapacity=most,
            **more,
        )["ScalableTargetARN"]  # fmt: skip

    def track(
        self, name: str = "follow", dimension: str = WRITE, resource: str = "table/world", metric: str = "Write", **more: Any
    ) -> Any:
        given = {
            "TargetValue": 70.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": f"DynamoDB{metric}CapacityUtilization"},
            **more,
        }
        return self.scaling.put_scaling_policy(
            PolicyName=name, ServiceNamespace="dynamodb", ResourceId=resource, ScalableDimension=dimension,
            PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=given,
        )  # fmt: skip

    def write(self, units: int, **more: Any) -> None:
        """Use some write units at once, up to 400."""
        self.db.put_item(TableName="world", Item={"id": {"S": "a"}, "text": {"S": "x" * (1024 * units - 30)}, **more})

    def minute(self) -> None:
        """Go to the first seconds of the next minute."""
        self.server.advance(62 - self.server.page("/_headrace/clock")["now"] % 60)

    def units(self) -> tuple[int, int]:
        """(read, write) units of the table."""
        found = self.db.describe_table(TableName="world")["Table"]["ProvisionedThroughput"]
        return found["ReadCapacityUnits"], found["WriteCapacityUnits"]

    def activities(self, **more: Any) -> list[Any]:
        found = self.scaling.describe_scaling_activities(ServiceNamespace="dynamodb", **more)["ScalingActivities"]
        return list(found)


@pytest.fixture
def scaled(tmp_path: Path) -> Iterator[Scaled]:
    """On a server of its own, for nobody else may advance its clock."""
    server = HeadraceServer(tmp_path / "data").start()
    yield Scaled(server)
    server.kill()


def refused(call: Any, *arguments: Any, **named: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_table__is_scaled_out_after_two_minutes__and_in_after_fifteen(scaled: Scaled) -> None:
    scaled.register(2, 40)
    scaled.track()
    # 5 units a second are 300 a minute: 70 percent of them are 210.
    scaled.minute()
    scaled.write(390)
    scaled.minute()
    scaled.write(350)
    scaled.minute()
    # 390 units in the newest minute (the item was as large before): 130 percent of 5, and 390 / 60 / 0.7 = 9.3 units.
    eventually(lambda: scaled.units() == (5, 10), 30)
    (activity,) = scaled.activities(ResourceId="table/world", ScalableDimension=WRITE)
    assert activity["Description"] == "Setting write capacity units to 10."
    assert activity["StatusCode"] == "Successful"
    assert "follow" in activity["Cause"]
    scaled.db.delete_item(TableName="world", Key={"id": {"S": "a"}})
    scaled.minute()
    # 10 units are 600 a minute: less than 300 of them, fifteen minutes long, is too little.
    for _ in range(14):
        scaled.write(100)
        scaled.minute()
    scaled.write(100)
    scaled.server.advance(20)
    assert scaled.units() == (5, 10)
    scaled.minute()
    scaled.server.advance(20)
    # 100 / 60 / 0.7 = 2.4 units.
    eventually(lambda: scaled.units() == (5, 3), 30)
    assert [one["Description"] for one in scaled.activities()] == [
        "Setting write capacity units to 3.", "Setting write capacity units to 10.",
    ]  # fmt: skip


def test_a_table_that_is_not_used__stays_as_it_is(scaled: Scaled) -> None:
    scaled.register(1, 40)
    scaled.track()
    scaled.write(1)
    for _ in range(18):
        scaled.minute()
    # Something else is scaled meanwhile, so the worker has looked at this one too.
    scaled.register(7, 40, READ)
    eventually(lambda: scaled.units()[0] == 7, 30)
    assert scaled.units() == (7, 5)


def test_an_index__is_scaled_by_what_it_uses(scaled: Scaled) -> None:
    index = {"dimension": INDEX, "resource": "table/world/index/by-g"}
    scaled.register(1, 8, **index)
    scaled.track(**index)
    scaled.minute()
    scaled.write(390, g={"S": "x"})
    scaled.minute()
    scaled.write(390, g={"S": "y"})
    scaled.minute()

    def of_index() -> int:
        found = scaled.db.describe_table(TableName="world")["Table"]["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
        return int(found["WriteCapacityUnits"])

    # An entry that moves counts twice: 780 a minute want 18.6 units, and 8 is the most.
    eventually(lambda: of_index() == 8, 30)
    assert scaled.units() == (5, 5)


def test_bounds__are_kept__also_when_they_change(scaled: Scaled) -> None:
    scaled.register(10, 40)
    eventually(lambda: scaled.units() == (5, 10), 30)
    scaled.register(1, 4)
    eventually(lambda: scaled.units() == (5, 4), 30)
    assert [one["Cause"] for one in scaled.activities()] == ["maximum capacity was set to 4", "minimum capacity was set to 10"]
    # What is suspended is let be.
    scaled.register(30, 40, SuspendedState={"DynamicScalingOutSuspended": True})
    scaled.register(6, 40, READ)
    eventually(lambda: scaled.units()[0] == 6, 30)
    assert scaled.units() == (6, 4)
    scaled.server.kill()
    scaled.server.start()
    scaled.register(30, 40, SuspendedState={"DynamicScalingOutSuspended": False})
    eventually(lambda: scaled.units() == (6, 30), 30)


def test_a_metric_of_ones_own__is_followed(scaled: Scaled) -> None:
    watch = scaled.server.client("cloudwatch")
    scaled.register(1, 14)
    given = {
        "CustomizedMetricSpecification": {
            "MetricName": "Depth", "Namespace": "Mine", "Statistic": "Average", "Dimensions": [{"Name": "q", "Value": "a"}],
        },
        "TargetValue": 100.0,
    }  # fmt: skip
    scaled.scaling.put_scaling_policy(
        PolicyName="own", ServiceNamespace="dynamodb", ResourceId="table/world", ScalableDimension=WRITE,
        PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=given,
    )  # fmt: skip
    data = [{"MetricName": "Depth", "Value": 300.0, "Dimensions": [{"Name": "q", "Value": "a"}]}]
    for _ in range(2):
        watch.put_metric_data(Namespace="Mine", MetricData=data)
        scaled.minute()
    # Three times too much of something wants three times as many units, and 14 is the most.
    eventually(lambda: scaled.units() == (5, 14), 30)


def test_targets__are_described_in_pages__tagged__and_deregistered(server: HeadraceServer, account: str) -> None:
    scaled = Scaled(server, account)
    arn = scaled.register(5, 40, Tags={"a": "1"})
    assert re.fullmatch(rf"arn:aws:application-autoscaling:us-east-1:{account}:scalable-target/[0-9a-f]{{36}}", arn)
    scaled.register(5, 40, READ)
    scaled.register(5, 40, INDEX, "table/world/index/by-g")
    first = scaled.scaling.describe_scalable_targets(ServiceNamespace="dynamodb", MaxResults=2)
    rest = scaled.scaling.describe_scalable_targets(ServiceNamespace="dynamodb", MaxResults=2, NextToken=first["NextToken"])
    found = first["ScalableTargets"] + rest["ScalableTargets"]
    assert "NextToken" not in rest
    assert [(one["ResourceId"], one["ScalableDimension"]) for one in found] == [
        ("table/world", READ), ("table/world", WRITE), ("table/world/index/by-g", INDEX),
    ]  # fmt: skip
    assert found[1]["ScalableTargetARN"] == arn
    assert (found[1]["MinCapacity"], found[1]["MaxCapacity"]) == (5, 40)
    assert found[1]["SuspendedState"]["ScheduledScalingSuspended"] is False
    assert refused(scaled.scaling.describe_scalable_targets, ServiceNamespace="dynamodb", NextToken="x")[0] == (
        "InvalidNextTokenException"
    )
    scaled.scaling.tag_resource(ResourceARN=arn, Tags={"b": "2"})
    scaled.scaling.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert scaled.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2"}
    target = {"ServiceNamespace": "dynamodb", "ResourceId": "table/world", "ScalableDimension": WRITE}
    scaled.track()
    scaled.scaling.put_scheduled_action(
        ScheduledActionName="s", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 2}, **target
    )
    scaled.scaling.deregister_scalable_target(**target)
    assert refused(scaled.scaling.deregister_scalable_target, **target)[0] == "ObjectNotFoundException"
    assert scaled.scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"] == []
    assert scaled.scaling.describe_scheduled_actions(ServiceNamespace="dynamodb")["ScheduledActions"] == []
    assert refused(scaled.scaling.list_tags_for_resource, ResourceARN=arn)[0] == "ResourceNotFoundException"


def test_policies__are_put__described_and_deleted(server: HeadraceServer, account: str) -> None:
    scaled = Scaled(server, account)
    assert refused(scaled.track)[0] == "ObjectNotFoundException"
    scaled.register(5, 40)
    put = scaled.track(ScaleInCooldown=60)
    assert re.fullmatch(
        rf"arn:aws:autoscaling:us-east-1:{account}:scalingPolicy:[0-9a-f-]{{36}}:resource/dynamodb/table/world:policyName/follow",
        put["PolicyARN"],
    )
    assert scaled.track(ScaleInCooldown=90)["PolicyARN"] == put["PolicyARN"]
    (policy,) = scaled.scaling.describe_scaling_policies(ServiceNamespace="dynamodb", ResourceId="table/world")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["ScaleInCooldown"] == 90
    assert policy["PolicyType"] == "TargetTrackingScaling"
    assert refused(scaled.track, "second")[1].startswith("Only one TargetTrackingScaling policy")
    for wrong in ({"TargetValue": 95.0}, {"metric": "Read"}, {"ScaleOutCooldown": -1}):
        assert refused(scaled.track, **wrong)[0] == "ValidationException"
    named = {
        "PolicyName": "follow", "ServiceNamespace": "dynamodb", "ResourceId": "table/world", "ScalableDimension": WRITE,
    }  # fmt: skip
    scaled.scaling.delete_scaling_policy(**named)
    assert refused(scaled.scaling.delete_scaling_policy, **named)[0] == "ObjectNotFoundException"


def test_what_can_not_be_scaled__is_refused(server: HeadraceServer, account: str) -> None:
    scaled = Scaled(server, account)
    assert refused(scaled.register, 1, 2, resource="table/nothing") == (
        "ValidationException", "DynamoDB table does not exist: table/nothing",
    )  # fmt: skip
    assert refused(scaled.register, 1, 2, INDEX, "table/world/index/nothing")[0] == "ValidationException"
    assert refused(scaled.register, 1, 2, INDEX)[0] == "ValidationException"
    assert refused(scaled.register, 3, 2) == (
        "ValidationException", "Maximum capacity cannot be less than minimum capacity",
    )  # fmt: skip
    assert refused(scaled.scaling.describe_scalable_targets, ServiceNamespace="ecs")[0] == "ValidationException"
