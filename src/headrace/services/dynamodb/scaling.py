"""Auto scaling settings of tables, as DynamoDB's own operations show and take them.

They are scalable targets and policies of Application Auto Scaling, which is asked through the port `api`: so what is set here is
seen there, and the other way round.
"""

from collections.abc import Mapping
from typing import Any

from headrace.operation import Context
from headrace.services.dynamodb.state import TableRow

_SERVICE = "application-autoscaling"
READ, WRITE = "ReadCapacityUnits", "WriteCapacityUnits"
_METRICS = {READ: "DynamoDBReadCapacityUtilization", WRITE: "DynamoDBWriteCapacityUtilization"}


def _named(table: str, index: str | None, units: str) -> dict[str, Any]:
    resource, kind = (f"table/{table}", "table") if index is None else (f"table/{table}/index/{index}", "index")
    return {"ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": f"dynamodb:{kind}:{units}"}


def described(ctx: Context, table: str, index: str | None, units: str) -> dict[str, Any] | None:
    """AutoScalingSettingsDescription of a table's or an index's capacity in this region; None where there is none."""
    named = _named(table, index, units)
    asked = {**named, "ResourceIds": [named["ResourceId"]]}
    del asked["ResourceId"]
    targets = ctx.ports.api.call(ctx, _SERVICE, "DescribeScalableTargets", asked)["ScalableTargets"]
    if not targets:
        return None
    policies = ctx.ports.api.call(ctx, _SERVICE, "DescribeScalingPolicies", named)["ScalingPolicies"]
    return {
        "MinimumUnits": targets[0]["MinCapacity"],
        "MaximumUnits": targets[0]["MaxCapacity"],
        "AutoScalingDisabled": False,
        "AutoScalingRoleArn": targets[0]["RoleARN"],
        "ScalingPolicies": [_policy(one) for one in policies],
    }


def _policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    given = policy["TargetTrackingScalingPolicyConfiguration"]
    names = ("DisableScaleIn", "ScaleInCooldown", "ScaleOutCooldown", "TargetValue")
    return {
        "PolicyName": policy["PolicyName"],
        "TargetTrackingScalingPolicyConfiguration": {name: given[name] for name in names if name in given},
    }


def update(ctx: Context, row: TableRow, index: str | None, units: str, given: Mapping[str, Any]) -> None:
    """Take an AutoScalingSettingsUpdate in this region: a target and its policy, or neither any more."""
    named = _named(row.name, index, units)
    call = ctx.ports.api.call
    if given.get("AutoScalingDisabled"):
        if described(ctx, row.name, index, units) is not None:
            call(ctx, _SERVICE, "DeregisterScalableTarget", named)
        return
    bounds = {"MinimumUnits": "MinCapacity", "MaximumUnits": "MaxCapacity", "AutoScalingRoleArn": "RoleARN"}
    settings = {bounds[name]: given[name] for name in bounds if name in given}
    call(ctx, _SERVICE, "RegisterScalableTarget", {**named, **settings})
    policy = given.get("ScalingPolicyUpdate")
    if policy is None:
        return
    name = policy.get("PolicyName") or f"{_METRICS[units]}:{named['ResourceId']}"
    for other in call(ctx, _SERVICE, "DescribeScalingPolicies", named)["ScalingPolicies"]:
        # There is one policy of a metric: a new name is a new policy in its place.
        if other["PolicyName"] != name:
            call(ctx, _SERVICE, "DeleteScalingPolicy", {**named, "PolicyName": other["PolicyName"]})
    tracking = {
        **policy["TargetTrackingScalingPolicyConfiguration"],
        "PredefinedMetricSpecification": {"PredefinedMetricType": _METRICS[units]},
    }
    put = {"PolicyName": name, "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}
    call(ctx, _SERVICE, "PutScalingPolicy", {**named, **put})
