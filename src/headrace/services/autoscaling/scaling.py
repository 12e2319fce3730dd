"""Changing the capacity of tables and indexes: to their bounds, and to what policies want."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.services.autoscaling import limits, rules, state
from headrace.services.autoscaling.rules import Place
from headrace.services.autoscaling.state import Activity, Policy, Target

_MINUTE_SECONDS = 60


class Watched(NamedTuple):
    """A target as it was found, with its policies."""

    account: str
    region: str
    resource: str
    dimension: str


class Found(NamedTuple):
    """What is provisioned for a table or an index."""

    read_units: int
    write_units: int

    def of(self, where: Place) -> int:
        """What is scaled."""
        return self.read_units if where.units == "ReadCapacityUnits" else self.write_units


def provisioned(ctx: Context, where: Place) -> Found | None:
    """What a table or an index has; None when it is not there, and zeros where requests are paid one by one."""
    try:
        table = ctx.ports.api.call(ctx, "dynamodb", "DescribeTable", {"TableName": where.table})["Table"]
    except AwsError:
        return None
    described: Mapping[str, Any] | None = table
    if where.index_name is not None:
        indexes = table.get("GlobalSecondaryIndexes", ())
        described = next((one for one in indexes if one["IndexName"] == where.index_name), None)
    if described is None or table["TableStatus"] == "CREATING" or described.get("IndexStatus") == "CREATING":
        return None
    throughput = described["ProvisionedThroughput"]
    return Found(throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"])


def look_after(ctx: Context, watched: Watched) -> None:
    """Bring a target within its bounds, or to what its policies want, if that is anything else than it has."""
    resource, dimension = watched.resource, watched.dimension
    where = rules.place("dynamodb", resource, dimension)

    def looked(inner: Context) -> tuple[Target | None, list[tuple[str, Policy]], Found | None]:
        found = state.TARGETS.get(inner.tx, inner.account, inner.region, resource, dimension)
        return found, list(state.policies(inner, resource, dimension)), provisioned(inner, where)

    target, policies, has = ctx.snapshot(looked)
    now = ctx.clock.now()
    if target is None or has is None or not has.of(where) or now < target.failed_at + limits.FAILED_WAIT_SECONDS:
        return
    current = has.of(where)
    if current < target.least and not target.out_suspended:
        _change(ctx, watched, current, target.least, f"minimum capacity was set to {target.least}")
    elif current > target.most and not target.in_suspended:
        _change(ctx, watched, current, target.most, f"maximum capacity was set to {target.most}")
    else:
        best: tuple[int, str] | None = None
        for name, policy in policies:
            to = _wanted(ctx, where, policy, current, target)
            if to is not None and (best is None or to > best[0]):
                best = (to, name)
        # Of several policies the one that wants the most has its way: it is scaled in only when all of them agree.
        if best is not None and (best[0] > current or len(policies) == 1):
            to = min(max(best[0], target.least), target.most)
            if to != current:
                _change(ctx, watched, current, to, f"the metric of the target tracking policy {best[1]} called for {best[0]}")


def _wanted(ctx: Context, where: Place, policy: Policy, current: int, target: Target) -> int | None:
    now = ctx.clock.now()
    end = int(now) // _MINUTE_SECONDS * _MINUTE_SECONDS
    start = end - (limits.IN_MINUTES + 1) * _MINUTE_SECONDS
    custom = policy.tracking.get("CustomizedMetricSpecification")
    if custom is not None:
        asked = {name: custom[name] for name in ("MetricName", "Namespace", "Dimensions", "Unit") if name in custom}
        statistic, scale = custom["Statistic"], 1.0
    else:
        dimensions = [{"Name": "TableName", "Value": where.table}]
        if where.index_name is not None:
            dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": where.index_name})
        asked = {"Namespace": "AWS/DynamoDB", "MetricName": f"Consumed{where.units}", "Dimensions": dimensions}
        statistic, scale = "Sum", 100.0 / _MINUTE_SECONDS / current
    asked |= {"StartTime": start, "EndTime": end, "Period": _MINUTE_SECONDS, "Statistics": [statistic]}
    points = ctx.ports.api.call(ctx, "cloudwatch", "GetMetricStatistics", asked)["Datapoints"]
    values = {int(one["Timestamp"]): one[statistic] * scale for one in points}
    used = [values.get(minute) for minute in range(start, end, _MINUTE_SECONDS)]
    late = 1 if now - end < limits.LATE_SECONDS else 0
    return rules.wanted(policy.tracking, current, used, late, target, now)


def _change(ctx: Context, watched: Watched, current: int, to: int, cause: str) -> None:
    """Change the capacity, and keep that in one transaction: only if everything still is as it was decided upon."""
    resource, dimension = watched.resource, watched.dimension
    where = rules.place("dynamodb", resource, dimension)
    description = f"Setting {where.words} to {to}."

    def body(inner: Context) -> None:
        target = state.TARGETS.get(inner.tx, inner.account, inner.region, resource, dimension)
        has = provisioned(inner, where)
        if target is None or has is None or has.of(where) != current or not target.least <= to <= target.most:
            return
        now = inner.clock.now()
        _set(inner, where, has, to)
        if to > current:
            target.out_at, target.out_by, target.in_at = now, to - current, 0.0
        else:
            target.in_at = now
        message = f"Successfully set {where.words} to {to}. Change successfully fulfilled by dynamodb."
        state.TARGETS.put(inner.tx, target, inner.account, inner.region, resource, dimension)
        activity = Activity(inner.ids.uuid(), description, cause, now, "Successful", message)
        state.record(inner, activity, resource, dimension)

    def failed(inner: Context, why: str) -> None:
        target = state.TARGETS.get(inner.tx, inner.account, inner.region, resource, dimension)
        if target is not None:
            target.failed_at = inner.clock.now()
            state.TARGETS.put(inner.tx, target, inner.account, inner.region, resource, dimension)
            message = f"Failed to set {where.words} to {to}. Reason: {why}"
            activity = Activity(inner.ids.uuid(), description, cause, target.failed_at, "Failed", message)
            state.record(inner, activity, resource, dimension)

    try:
        ctx.transact(body)
    except AwsError as error:
        why = error.message
        ctx.transact(lambda inner: failed(inner, why))


def _set(ctx: Context, where: Place, has: Found, to: int) -> None:
    units = {"ReadCapacityUnits": has.read_units, "WriteCapacityUnits": has.write_units, where.units: to}
    change: dict[str, Any] = {"ProvisionedThroughput": units}
    if where.index_name is not None:
        change = {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": where.index_name, **change}}]}
    ctx.ports.api.call(ctx, "dynamodb", "UpdateTable", {"TableName": where.table, **change})


def act(ctx: Context, resource: str, dimension: str, name: str) -> None:
    """Carry out a scheduled action in the running transaction, if it has fallen due: give its target its bounds.

    The capacity is brought within them as after any change of bounds. What is suspended is passed over.
    """
    place = (ctx.account, ctx.region, resource, dimension)
    found = state.SCHEDULED.get(ctx.tx, *place, name)
    target = state.TARGETS.get(ctx.tx, *place)
    now = ctx.clock.now()
    if found is None or target is None or found.due_at is None or found.due_at > now:
        return
    found.due_at = rules.due(found, now)
    state.SCHEDULED.put(ctx.tx, found, *place, name)
    if target.scheduled_suspended:
        return
    bounds = [(word, value) for word, value in (("min", found.least), ("max", found.most)) if value is not None]
    words = " and ".join(f"{word} capacity to {value}" for word, value in bounds)
    least = target.least if found.least is None else found.least
    most = target.most if found.most is None else found.most
    status, message = "Successful", f"Successfully set {words}"
    if most < least:
        status, message = "Failed", f"Failed to set {words}. Reason: Maximum capacity cannot be less than minimum capacity"
    else:
        target.least, target.most, target.failed_at = least, most, 0.0
        state.save(ctx, target, resource, dimension)
    cause = f"scheduled action name {name} was triggered"
    state.record(ctx, Activity(ctx.ids.uuid(), f"Setting {words}", cause, now, status, message), resource, dimension)
