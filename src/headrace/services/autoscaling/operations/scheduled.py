"""Actions that are carried out at times: they give a target new bounds."""

from typing import Any

from headrace.kit import arn as arns
from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.autoscaling import limits, paging, rules, state
from headrace.services.autoscaling.errors import LimitExceededException, ObjectNotFoundException
from headrace.services.autoscaling.state import Scheduled


@operation
def put_scheduled_action(
    ctx: Context,
    *,
    service_namespace: str,
    scheduled_action_name: str,
    resource_id: str,
    scalable_dimension: str,
    schedule: str | None = None,
    timezone: str | None = None,
    start_time: float | None = None,
    end_time: float | None = None,
    scalable_target_action: dict[str, int] | None = None,
) -> None:
    """Schedule an action of a target, or change the one of that name: its old start and end go, the rest stays if not given.

    Differs from AWS: what fell due while the server was down is carried out once, when it is up again.
    """
    rules.place(service_namespace, resource_id, scalable_dimension)
    place = (ctx.account, ctx.region, resource_id, scalable_dimension)
    if state.TARGETS.get(ctx.tx, *place) is None:
        raise ObjectNotFoundException(
            f"No scalable target registered for service namespace: dynamodb, resource ID: {resource_id}, scalable dimension: "
            f"{scalable_dimension}"
        )
    now = ctx.clock.now()
    found = state.SCHEDULED.get(ctx.tx, *place, scheduled_action_name)
    if found is None:
        if schedule is None:
            raise ValidationException("Schedule is required for a new scheduled action")
        if scalable_target_action is None:
            raise ValidationException("ScalableTargetAction is required for a new scheduled action")
        if sum(1 for _ in state.SCHEDULED.scan(ctx.tx, *place)) >= limits.SCHEDULED_PER_TARGET_MAX:
            raise LimitExceededException(
                f"A scalable target can have at most {limits.SCHEDULED_PER_TARGET_MAX} scheduled actions"
            )
        found = Scheduled(ctx.ids.uuid(), now, schedule)
    found.schedule = schedule or found.schedule
    found.timezone = timezone or found.timezone
    found.start_at, found.end_at = start_time, end_time
    if scalable_target_action is not None:
        found.least, found.most = scalable_target_action.get("MinCapacity"), scalable_target_action.get("MaxCapacity")
    rules.check_scheduled(found)
    found.put_at = now
    found.due_at = rules.due(found, now)
    state.SCHEDULED.put(ctx.tx, found, *place, scheduled_action_name)
    ctx.tx.announce(state.TOPIC)


@operation(read_only=True)
def describe_scheduled_actions(
    ctx: Context,
    *,
    service_namespace: str,
    scheduled_action_names: list[str] | None = None,
    resource_id: str | None = None,
    scalable_dimension: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> dict[str, Any]:
    """Scheduled actions in the order of their resources, in pages."""
    rules.check_filter(service_namespace, resource_id, scalable_dimension)
    found = (
        ((resource, dimension, name), one)
        for (_, _, resource, dimension, name), one in state.SCHEDULED.scan(ctx.tx, ctx.account, ctx.region)
        if resource_id in (None, resource)
        and scalable_dimension in (None, dimension)
        and (not scheduled_action_names or name in scheduled_action_names)
    )
    rows, token = paging.page(found, max_results, next_token)
    return {"ScheduledActions": [_shown(ctx, key, one) for key, one in rows], **token}


def _shown(ctx: Context, key: tuple[Any, ...], one: Scheduled) -> dict[str, Any]:
    resource, dimension, name = key
    rest = f"scheduledAction:{one.id}:resource/dynamodb/{resource}:scheduledActionName/{name}"
    bounds = (("MinCapacity", one.least), ("MaxCapacity", one.most))
    shown: dict[str, Any] = {
        "ScheduledActionName": name, "ScheduledActionARN": arns.arn("autoscaling", ctx.region, ctx.account, rest),
        "ServiceNamespace": "dynamodb", "Schedule": one.schedule, "ResourceId": resource, "ScalableDimension": dimension,
        "ScalableTargetAction": {member: value for member, value in bounds if value is not None}, "CreationTime": one.created_at,
    }  # fmt: skip
    more = (("Timezone", one.timezone), ("StartTime", one.start_at), ("EndTime", one.end_at))
    return {**shown, **{member: value for member, value in more if value is not None}}


@operation
def delete_scheduled_action(
    ctx: Context, *, service_namespace: str, scheduled_action_name: str, resource_id: str, scalable_dimension: str
) -> None:
    """Forget a scheduled action. The bounds that it gave its target stay."""
    rules.place(service_namespace, resource_id, scalable_dimension)
    place = (ctx.account, ctx.region, resource_id, scalable_dimension, scheduled_action_name)
    if state.SCHEDULED.get(ctx.tx, *place) is None:
        raise ObjectNotFoundException(
            f"No scheduled action found for service namespace: dynamodb, resource ID: {resource_id}, scalable dimension: "
            f"{scalable_dimension}, scheduled action name: {scheduled_action_name}"
        )
    state.SCHEDULED.delete(ctx.tx, *place)
