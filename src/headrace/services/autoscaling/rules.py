"""Decisions of Application Auto Scaling: what may be scaled, and to what, as AWS does it."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headrace.kit.errors import ValidationException
from headrace.services.autoscaling import limits, schedules
from headrace.services.autoscaling.state import Scheduled, Target

_RESOURCE = re.compile(r"table/([a-zA-Z0-9_.-]{3,255})(?:/index/([a-zA-Z0-9_.-]{3,255}))?").fullmatch
PREDEFINED = {
    "ReadCapacityUnits": "DynamoDBReadCapacityUtilization",
    "WriteCapacityUnits": "DynamoDBWriteCapacityUtilization",
}


class Place(NamedTuple):
    """What is scaled: a table or one of its global indexes, and ReadCapacityUnits or WriteCapacityUnits of it."""

    table: str
    index_name: str | None
    units: str

    @property
    def words(self) -> str:
        """The units, as activities name them."""
        return "read capacity units" if self.units == "ReadCapacityUnits" else "write capacity units"


def check_namespace(namespace: str) -> None:
    """ValidationException for what is not of DynamoDB."""
    if namespace != "dynamodb":
        raise ValidationException(f"Headrace scales tables and indexes of DynamoDB, and nothing of {namespace}")


def check_filter(namespace: str, resource_id: str | None, dimension: str | None) -> None:
    """ValidationException for what can't be asked for."""
    check_namespace(namespace)
    if dimension is not None and resource_id is None:
        raise ValidationException("A scalable dimension needs a resource ID beside it")


def place(namespace: str, resource: str, dimension: str) -> Place:
    """What a resource id and a dimension name; ValidationException when they do not go together."""
    check_namespace(namespace)
    found = _RESOURCE(resource)
    kind = "index" if found and found[2] else "table"
    if found is None or dimension not in (f"dynamodb:{kind}:{units}" for units in PREDEFINED):
        raise ValidationException("Unsupported service namespace, resource type or scalable dimension")
    return Place(found[1], found[2], dimension.rsplit(":", 1)[1])


def check_bounds(least: int, most: int) -> None:
    """ValidationException for bounds that nothing lies between."""
    if least < 1:
        raise ValidationException("Minimum capacity must be at least 1")
    if most < least:
        raise ValidationException("Maximum capacity cannot be less than minimum capacity")


def check_scheduled(found: Scheduled) -> None:
    """What holds for a scheduled action."""
    if found.least is None and found.most is None:
        raise ValidationException("A ScalableTargetAction needs a MinCapacity or a MaxCapacity")
    check_bounds(1 if found.least is None else found.least, found.least or 1 if found.most is None else found.most)
    for at in (found.start_at, found.end_at):
        if at is not None and not 0 <= at < limits.TIME_MAX_SECONDS:
            raise ValidationException("StartTime and EndTime must be between the years 1970 and 2200")
    if found.start_at is not None and found.end_at is not None and found.end_at <= found.start_at:
        raise ValidationException("EndTime must be later than StartTime")
    schedules.next_at(found.schedule, schedules.zone_of(found.timezone), 0.0, 0.0)


def due(found: Scheduled, after: float) -> float | None:
    """When a scheduled action falls due next behind a time, between its start and its end; None: never again.

    A rate counts from the start, and falls due there; without a start from when it was put, and falls due a while later.
    """
    zone = schedules.zone_of(found.timezone)
    base = found.start_at
    if base is None:
        base, after = found.put_at, max(after, found.put_at)
    else:
        # What falls due at the very start counts.
        after = max(after, base - 0.001)
    at = schedules.next_at(found.schedule, zone, base, after)
    return None if at is None or (found.end_at is not None and at > found.end_at) else at


def check_tracking(given: Mapping[str, Any], where: Place) -> None:
    """What holds for a TargetTrackingScalingPolicyConfiguration."""
    predefined, custom = given.get("PredefinedMetricSpecification"), given.get("CustomizedMetricSpecification")
    if (predefined is None) == (custom is None):
        raise ValidationException("Either a PredefinedMetricSpecification or a CustomizedMetricSpecification must be given")
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if given.get(name, 0) < 0:
            raise ValidationException(f"{name} must not be negative")
    if predefined is not None:
        if predefined["PredefinedMetricType"] != PREDEFINED[where.units]:
            raise ValidationException(
                f"The metric {predefined['PredefinedMetricType']} is not of the scalable dimension: use {PREDEFINED[where.units]}"
            )
        if "ResourceLabel" in predefined:
            raise ValidationException("A ResourceLabel is not of DynamoDB's metrics")
        if not limits.TARGET_PERCENT_MIN <= given["TargetValue"] <= limits.TARGET_PERCENT_MAX:
            raise ValidationException("TargetValue must be between 20 and 90 for the metrics of DynamoDB")
    elif custom is not None:
        if "Metrics" in custom:
            raise ValidationException("Headrace supports no metric math in scaling policies yet: Metrics")
        if not {"MetricName", "Namespace", "Statistic"} <= set(custom):
            raise ValidationException("A CustomizedMetricSpecification needs MetricName, Namespace and Statistic")
        if given["TargetValue"] <= 0:
            raise ValidationException("TargetValue must be larger than zero")


def metric_of(tracking: Mapping[str, Any]) -> Any:
    """What a policy watches: two of the same can't be at one target."""
    return tracking.get("PredefinedMetricSpecification") or tracking.get("CustomizedMetricSpecification")


def wanted(
    tracking: Mapping[str, Any], current: int, used: Sequence[float | None], late: int, found: Target, now: float
) -> int | None:
    """The capacity that a policy wants, or None: let it be.

    `used`: the metric of the minutes that are over, the newest last; percent of the current capacity where it is a predefined
    one, and None where nothing was used. `late`: how many of the newest may not be whole yet.
    """
    goal = float(tracking["TargetValue"])
    newest = used[-limits.OUT_MINUTES :]
    if len(newest) == limits.OUT_MINUTES and all(value is not None and value > goal for value in newest):
        assert newest[-1] is not None
        to: int = math.ceil(round(current * newest[-1] / goal, 6))
        cooling = now < found.out_at + tracking.get("ScaleOutCooldown", 0)
        return None if found.out_suspended or (cooling and to - current <= found.out_by) else to
    if tracking.get("DisableScaleIn") or found.in_suspended or now < found.in_at + tracking.get("ScaleInCooldown", 0):
        return None
    predefined = "PredefinedMetricSpecification" in tracking
    low = goal - limits.IN_POINTS_BELOW if predefined else goal * limits.IN_PART_OF_CUSTOM
    whole = used[: len(used) - late][-limits.IN_MINUTES :]
    known = [value for value in whole if value is not None and value < low]
    if len(known) < limits.IN_MINUTES:
        return None
    least: int = math.ceil(round(current * max(known) / goal, 6))
    return least
