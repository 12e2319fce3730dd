"""Scalable targets, and their tags."""

from typing import Any

from headrace.kit import arn as arns
from headrace.kit.errors import ValidationException
from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.autoscaling import limits, paging, rules, scaling, state
from headrace.services.autoscaling.errors import ResourceNotFoundException, TooManyTagsException
from headrace.services.autoscaling.state import Target

_OWN_ROLE = (
    "aws-service-role/dynamodb.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
)
_SUSPENDED = {
    "DynamicScalingInSuspended": "in_suspended",
    "DynamicScalingOutSuspended": "out_suspended",
    "ScheduledScalingSuspended": "scheduled_suspended",
}


@operation
def register_scalable_target(
    ctx: Context,
    *,
    service_namespace: str,
    resource_id: str,
    scalable_dimension: str,
    min_capacity: int | None = None,
    max_capacity: int | None = None,
    role_arn: str | None = None,
    suspended_state: dict[str, bool] | None = None,
    tags: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Register the read or write capacity of a table or a global index, or change its bounds.

    A capacity outside of the bounds is brought within them in the background. Differs from AWS: the role is kept and shown, but
    the server changes tables with its own rights.
    """
    where = rules.place(service_namespace, resource_id, scalable_dimension)
    found = state.TARGETS.get(ctx.tx, ctx.account, ctx.region, resource_id, scalable_dimension)
    if found is None:
        if scaling.provisioned(ctx, where) is None:
            kind = "table" if where.index_name is None else "index"
            raise ValidationException(f"DynamoDB {kind} does not exist: {resource_id}")
        if min_capacity is None or max_capacity is None:
            raise ValidationException("MinCapacity and MaxCapacity are required for a new scalable target")
        role = role_arn or f"arn:aws:iam::{ctx.account}:role/{_OWN_ROLE}"
        found = Target(ctx.ids.hex(36), min_capacity, max_capacity, role, ctx.clock.now())
    found.least = found.least if min_capacity is None else min_capacity
    found.most = found.most if max_capacity is None else max_capacity
    found.role = role_arn or found.role
    rules.check_bounds(found.least, found.most)
    for name, value in (suspended_state or {}).items():
        setattr(found, _SUSPENDED[name], value)
    found.failed_at = 0.0
    state.save(ctx, found, resource_id, scalable_dimension)
    if tags:
        _add_tags(ctx, _arn(ctx, found), tags)
    return {"ScalableTargetARN": _arn(ctx, found)}


@operation(read_only=True)
def describe_scalable_targets(
    ctx: Context,
    *,
    service_namespace: str,
    resource_ids: list[str] | None = None,
    scalable_dimension: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> dict[str, Any]:
    """Targets in the order of their resources, in pages."""
    rules.check_namespace(service_namespace)
    if scalable_dimension is not None and not resource_ids:
        raise ValidationException("A scalable dimension needs resource IDs beside it")
    found = (
        ((resource, dimension), target)
        for (_, _, resource, dimension), target in state.TARGETS.scan(ctx.tx, ctx.account, ctx.region)
        if (not resource_ids or resource in resource_ids) and scalable_dimension in (None, dimension)
    )
    rows, token = paging.page(found, max_results, next_token)
    return {"ScalableTargets": [_shown(ctx, key, target) for key, target in rows], **token}


def _shown(ctx: Context, key: tuple[Any, ...], target: Target) -> dict[str, Any]:
    resource, dimension = key
    return {
        "ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension, "MinCapacity": target.least,
        "MaxCapacity": target.most, "RoleARN": target.role, "CreationTime": target.created_at,
        "SuspendedState": {name: getattr(target, field) for name, field in _SUSPENDED.items()},
        "ScalableTargetARN": _arn(ctx, target),
    }  # fmt: skip


@operation
def deregister_scalable_target(ctx: Context, *, service_namespace: str, resource_id: str, scalable_dimension: str) -> None:
    """Forget a target, with its policies and scheduled actions. The capacity stays as it is."""
    rules.place(service_namespace, resource_id, scalable_dimension)
    found = state.target(ctx, resource_id, scalable_dimension)
    place = (ctx.account, ctx.region, resource_id, scalable_dimension)
    state.TARGETS.delete(ctx.tx, *place)
    state.POLICIES.delete_all(ctx.tx, *place)
    state.SCHEDULED.delete_all(ctx.tx, *place)
    tag_rows.drop(ctx.tx, _arn(ctx, found))


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: dict[str, str]) -> None:
    """Add tags to a target."""
    _check_target(ctx, resource_arn)
    _add_tags(ctx, resource_arn, tags)


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_keys: list[str]) -> None:
    """Take tags of a target away."""
    _check_target(ctx, resource_arn)
    tag_rows.remove(ctx.tx, resource_arn, tag_keys)


@operation(read_only=True)
def list_tags_for_resource(ctx: Context, *, resource_arn: str) -> dict[str, Any]:
    """The tags of a target."""
    _check_target(ctx, resource_arn)
    return {"Tags": tag_rows.get(ctx.tx, resource_arn)}


def _arn(ctx: Context, target: Target) -> str:
    return arns.arn("application-autoscaling", ctx.region, ctx.account, f"scalable-target/{target.id}")


def _add_tags(ctx: Context, arn: str, tags: dict[str, str]) -> None:
    if len({**tag_rows.get(ctx.tx, arn), **tags}) > limits.TAGS_MAX:
        raise TooManyTagsException(f"A scalable target can have at most {limits.TAGS_MAX} tags", ResourceName=arn)
    tag_rows.add(ctx.tx, arn, tags)


def _check_target(ctx: Context, arn: str) -> None:
    if not any(_arn(ctx, target) == arn for _, target in state.TARGETS.scan(ctx.tx, ctx.account, ctx.region)):
        raise ResourceNotFoundException(f"There is no scalable target {arn}", ResourceName=arn)
