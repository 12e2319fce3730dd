"""Application Auto Scaling's resource types."""

from typing import Any

from headrace.services.cloudformation.resources.kind import Attributes, Call, Gone, Kind, Properties, ResourceFailed, pick

_SERVICE = "application-autoscaling"
_NAMED = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def _register(call: Call, properties: Properties) -> str:
    settings = pick(properties, "MinCapacity", "MaxCapacity", "SuspendedState", *_NAMED)
    call(_SERVICE, "RegisterScalableTarget", RoleARN=properties.get("RoleARN"), **settings)
    for action in properties.get("ScheduledActions") or ():
        call(_SERVICE, "PutScheduledAction", **action, **pick(properties, *_NAMED))
    return "|".join((properties["ResourceId"], properties["ScalableDimension"], properties["ServiceNamespace"]))


def _create_target(call: Call, name: str, properties: Properties) -> str:
    return _register(call, properties)


def _named(target: str) -> dict[str, str]:
    """What a target's physical id names."""
    parts = target.split("|")
    if len(parts) != 3:
        raise ResourceFailed(f"{target} is no scalable target")
    return {"ResourceId": parts[0], "ScalableDimension": parts[1], "ServiceNamespace": parts[2]}


def _read_target(call: Call, name: str, properties: Properties) -> Attributes:
    named = _named(name)
    found = call(
        _SERVICE, "DescribeScalableTargets", ServiceNamespace=named["ServiceNamespace"], ResourceIds=[named["ResourceId"]],
        ScalableDimension=named["ScalableDimension"],
    )["ScalableTargets"]  # fmt: skip
    if not found:
        raise Gone(name)
    return {"Id": name}


def _update_target(call: Call, name: str, new: Properties, old: Properties) -> None:
    _register(call, new)
    kept = {one["ScheduledActionName"] for one in new.get("ScheduledActions") or ()}
    for action in old.get("ScheduledActions") or ():
        if action["ScheduledActionName"] not in kept:
            call(_SERVICE, "DeleteScheduledAction", ScheduledActionName=action["ScheduledActionName"], **pick(new, *_NAMED))


def _delete_target(call: Call, name: str, properties: Properties) -> None:
    call(_SERVICE, "DeregisterScalableTarget", **_named(name))


TARGET = Kind(
    type="AWS::ApplicationAutoScaling::ScalableTarget",
    required=("MinCapacity", "MaxCapacity", *_NAMED),
    fixed=_NAMED,
    mutable=("MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState", "ScheduledActions"),
    attributes=("Id",),
    create=_create_target, read=_read_target, update=_update_target, delete=_delete_target, takes_stack_tags=False,
)  # fmt: skip


def _of(properties: Properties) -> dict[str, Any]:
    """Whose a policy is: of a target by its id, or by its three names."""
    target = properties.get("ScalingTargetId")
    return dict(_named(target)) if target else pick(properties, *_NAMED)


def _put_policy(call: Call, properties: Properties) -> str:
    if "StepScalingPolicyConfiguration" in properties or "PredictiveScalingPolicyConfiguration" in properties:
        raise ResourceFailed("A table or an index is scaled by a TargetTrackingScalingPolicyConfiguration")
    settings = pick(properties, "PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration")
    put: dict[str, Any] = call(_SERVICE, "PutScalingPolicy", **settings, **_of(properties))
    return str(put["PolicyARN"])


def _create_policy(call: Call, name: str, properties: Properties) -> str:
    return _put_policy(call, properties)


def _read_policy(call: Call, name: str, properties: Properties) -> Attributes:
    found = call(_SERVICE, "DescribeScalingPolicies", ServiceNamespace="dynamodb", PolicyNames=[name])["ScalingPolicies"]
    if not found:
        raise Gone(name)
    return {"Arn": name}


def _update_policy(call: Call, name: str, new: Properties, old: Properties) -> None:
    _put_policy(call, new)


def _delete_policy(call: Call, name: str, properties: Properties) -> None:
    call(_SERVICE, "DeleteScalingPolicy", PolicyName=properties["PolicyName"], **_of(properties))


POLICY = Kind(
    type="AWS::ApplicationAutoScaling::ScalingPolicy",
    required=("PolicyName", "PolicyType"),
    fixed=("PolicyName", "ScalingTargetId", *_NAMED),
    mutable=(
        "PolicyType", "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration",
        "PredictiveScalingPolicyConfiguration",
    ),
    attributes=("Arn",),
    create=_create_policy, read=_read_policy, update=_update_policy, delete=_delete_policy, takes_stack_tags=False,
)  # fmt: skip

KINDS = (TARGET, POLICY)
