"""What a target-tracking policy wants, minute by minute."""

from typing import Any

import pytest

from headrace.kit.errors import ValidationException
from headrace.services.autoscaling import rules
from headrace.services.autoscaling.state import Target

TRACKING: dict[str, Any] = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBWriteCapacityUtilization"},
}


def target(**more: Any) -> Target:
    return Target("id", 1, 1000, "role", 0.0, **more)


def wanted(
    used: list[float | None], tracking: dict[str, Any] | None = None, late: int = 0, now: float = 1000.0, **of: Any
) -> Any:
    return rules.wanted({**TRACKING, **(tracking or {})}, 100, used, late, target(**of), now)


def test_out__after_two_minutes_above_the_target() -> None:
    assert wanted([None, 50.0, 140.0]) is None
    assert wanted([50.0, 70.0, 140.0]) is None
    assert wanted([80.0, 105.0]) == 150
    assert wanted([80.0, 71.0]) == 102
    assert wanted([80.0, None]) is None


def test_out__in_its_cooldown_only_for_more_than_before() -> None:
    cooled = {"ScaleOutCooldown": 60}
    assert wanted([80.0, 105.0], cooled, out_at=950.0, out_by=50) is None
    assert wanted([80.0, 105.0], cooled, out_at=950.0, out_by=49) == 150
    assert wanted([80.0, 105.0], cooled, out_at=930.0, out_by=50) == 150
    assert wanted([80.0, 105.0], out_suspended=True) is None


def test_in__after_fifteen_minutes_that_are_20_points_below() -> None:
    low: list[float | None] = [10.0] * 14
    assert wanted([*low, 49.0]) == 70
    assert wanted([*low, 50.0]) is None
    assert wanted([*low[:13], None, 10.0]) is None
    assert wanted([10.0] * 14) is None
    # What may not be whole does not count.
    assert wanted([*low, 49.0], late=1) is None
    assert wanted([35.0, *low, 0.0], late=1) == 50
    assert wanted([*low, 49.0], {"DisableScaleIn": True}) is None
    assert wanted([*low, 49.0], in_suspended=True) is None
    assert wanted([*low, 49.0], {"ScaleInCooldown": 60}, in_at=950.0) is None
    # A cooldown of scaling in does not keep it from being scaled out.
    assert wanted([80.0, 105.0], {"ScaleInCooldown": 60}, in_at=950.0) == 150


def test_a_metric_of_ones_own__is_low_a_tenth_below() -> None:
    custom = {
        "TargetValue": 100.0,
        "CustomizedMetricSpecification": {"MetricName": "m", "Namespace": "n", "Statistic": "Average"},
    }
    assert rules.wanted(custom, 10, [89.0] * 15, 0, target(), 1000.0) == 9
    assert rules.wanted(custom, 10, [91.0] * 15, 0, target(), 1000.0) is None
    assert rules.wanted(custom, 10, [150.0] * 15, 0, target(), 1000.0) == 15


@pytest.mark.parametrize(
    ("resource", "dimension"),
    [
        ("table/world", "dynamodb:index:ReadCapacityUnits"),
        ("table/world/index/by-g", "dynamodb:table:ReadCapacityUnits"),
        ("world", "dynamodb:table:ReadCapacityUnits"),
        ("table/world", "dynamodb:table:Reads"),
    ],
)
def test_resources__and_dimensions_go_together(resource: str, dimension: str) -> None:
    with pytest.raises(ValidationException):
        rules.place("dynamodb", resource, dimension)


def test_a_place__is_taken_apart() -> None:
    assert rules.place("dynamodb", "table/world/index/by-g", "dynamodb:index:WriteCapacityUnits") == (
        "world", "by-g", "WriteCapacityUnits",
    )  # fmt: skip
