"""Scaling policies of targets, and what was done because of them."""

from typing import Any

from headrace.kit import arn as arns
from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.autoscaling import limits, paging, rules, state
from headrace.services.autoscaling.errors import LimitExceededException, ObjectNotFoundException
from headrace.services.autoscaling.state import Activity, Policy


@operation
def put_scaling_policy(
    ctx: Context,
    *,
    policy_name: str,
    service_namespace: str,
    resource_id: str,
    scalable_dimension: str,
    policy_type: str | None = None,
    target_tracking_scaling_policy_configuration: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Add a target-tracking policy to a target, or replace the one of that name.

    Differs from AWS: there are no alarms in CloudWatch beside it. Step scaling is none of DynamoDB's, there as here.
    """
    where = rules.place(service_namespace, resource_id, scalable_dimension)
    target = state.TARGETS.get(ctx.tx, ctx.account, ctx.region, resource_id, scalable_dimension)
    if target is None:
        raise ObjectNotFoundException(
            f"No scalable target registered for service namespace: dynamodb, resource ID: {resource_id}, scalable dimension: "
            f"{scalable_dimension}"
        )
    place = (ctx.account, ctx.region, resource_id, scalable_dimension)
    kept = state.POLICIES.get(ctx.tx, *place, policy_name)
    if (policy_type or ("TargetTrackingScaling" if kept else None)) != "TargetTrackingScaling":
        raise ValidationException("The policy type of a table or an index must be TargetTrackingScaling")
    given = target_tracking_scaling_policy_configuration
    if given is None:
        raise ValidationException("A TargetTrackingScalingPolicyConfiguration is required")
    rules.check_tracking(given, where)
    others = [(name, one) for name, one in state.policies(ctx, resource_id, scalable_dimension) if name != policy_name]
    if any(rules.metric_of(one.tracking) == rules.metric_of(given) for _, one in others):
        raise ValidationException("Only one TargetTrackingScaling policy for a given metric specification is allowed.")
    if len(others) >= limits.POLICIES_PER_TARGET_MAX:
        raise LimitExceededException(f"A scalable target can have at most {limits.POLICIES_PER_TARGET_MAX} policies")
    policy = Policy(kept.id if kept else ctx.ids.uuid(), kept.created_at if kept else ctx.clock.now(), given)
    state.POLICIES.put(ctx.tx, policy, *place, policy_name)
    ctx.tx.announce(state.TOPIC)
    return {"PolicyARN": _arn(ctx, policy, resource_id, policy_name), "Alarms": []}


@operation(read_only=True)
def describe_scaling_policies(
    ctx: Context,
    *,
    service_namespace: str,
    policy_names: list[str] | None = None,
    resource_id: str | None = None,
    scalable_dimension: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> dict[str, Any]:
    """Policies in the order of their resources, in pages."""
    rules.check_filter(service_namespace, resource_id, scalable_dimension)
    found = (
        ((resource, dimension, name), policy)
        for (_, _, resource, dimension, name), policy in state.POLICIES.scan(ctx.tx, ctx.account, ctx.region)
        if resource_id in (None, resource)
        and scalable_dimension in (None, dimension)
        and (not policy_names or name in policy_names or _arn(ctx, policy, str(resource), str(name)) in policy_names)
    )
    rows, token = paging.page(found, max_results, next_token)
    return {"ScalingPolicies": [_shown(ctx, key, policy) for key, policy in rows], **token}


def _shown(ctx: Context, key: tuple[Any, ...], policy: Policy) -> dict[str, Any]:
    resource, dimension, name = key
    return {
        "PolicyARN": _arn(ctx, policy, resource, name), "PolicyName": name, "ServiceNamespace": "dynamodb",
        "ResourceId": resource, "ScalableDimension": dimension, "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": policy.tracking, "Alarms": [], "CreationTime": policy.created_at,
    }  # fmt: skip


def _arn(ctx: Context, policy: Policy, resource: str, name: str) -> str:
    rest = f"scalingPolicy:{policy.id}:resource/dynamodb/{resource}:policyName/{name}"
    return arns.arn("autoscaling", ctx.region, ctx.account, rest)


@operation
def delete_scaling_policy(
    ctx: Context, *, policy_name: str, service_namespace: str, resource_id: str, scalable_dimension: str
) -> None:
    """Forget a policy. The capacity stays as it is."""
    rules.place(service_namespace, resource_id, scalable_dimension)
    place = (ctx.account, ctx.region, resource_id, scalable_dimension, policy_name)
    if state.POLICIES.get(ctx.tx, *place) is None:
        raise ObjectNotFoundException(
            f"No scaling policy found for service namespace: dynamodb, resource ID: {resource_id}, scalable dimension: "
            f"{scalable_dimension}, policy name: {policy_name}"
        )
    state.POLICIES.delete(ctx.tx, *place)


@operation(read_only=True)
def describe_scaling_activities(
    ctx: Context,
    *,
    service_namespace: str,
    resource_id: str | None = None,
    scalable_dimension: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    include_not_scaled_activities: bool | None = None,
) -> dict[str, Any]:
    """What was done in the last six weeks, the newest first. What was not done is not kept, so it can't be asked for."""
    if include_not_scaled_activities:
        raise ValidationException("Headrace does not keep what was not scaled: leave IncludeNotScaledActivities out")
    rules.check_filter(service_namespace, resource_id, scalable_dimension)
    found = [
        ((-activity.at, activity.id, str(resource), str(dimension)), activity)
        for (_, _, resource, dimension, *_), activity in state.ACTIVITIES.scan(ctx.tx, ctx.account, ctx.region)
        if resource_id in (None, resource) and scalable_dimension in (None, dimension)
    ]
    rows, token = paging.page(sorted(found, key=lambda pair: pair[0]), max_results, next_token)
    return {"ScalingActivities": [_activity(key[2], key[3], one) for key, one in rows], **token}


def _activity(resource: str, dimension: str, one: Activity) -> dict[str, Any]:
    return {
        "ActivityId": one.id, "ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension,
        "Description": one.description, "Cause": one.cause, "StartTime": one.at, "EndTime": one.at, "StatusCode": one.status,
        "StatusMessage": one.message,
    }  # fmt: skip
