"""What Application Auto Scaling keeps.

("autoscaling", "target", account, region, resource, dimension)            → Target
("autoscaling", "policy", account, region, resource, dimension, name)      → Policy
("autoscaling", "scheduled", account, region, resource, dimension, name)   → Scheduled
("autoscaling", "activity", account, region, resource, dimension, at, id)  → Activity, the oldest first
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from headrace.layers.records import Records
from headrace.operation import Context
from headrace.services.autoscaling import limits
from headrace.services.autoscaling.errors import ObjectNotFoundException

TOPIC = b"autoscaling"


class Target(msgspec.Struct, omit_defaults=True):
    """A table's or an index's read or write capacity that may be changed, within its bounds."""

    id: str
    least: int
    most: int
    role: str
    created_at: float
    in_suspended: bool = False
    out_suspended: bool = False
    scheduled_suspended: bool = False
    # When it was last scaled out (by how much) and in, and when that failed last.
    out_at: float = 0.0
    out_by: int = 0
    in_at: float = 0.0
    failed_at: float = 0.0


class Policy(msgspec.Struct):
    """A target-tracking policy: its TargetTrackingScalingPolicyConfiguration as it was given."""

    id: str
    created_at: float
    tracking: dict[str, Any]


class Scheduled(msgspec.Struct, omit_defaults=True):
    """An action that is carried out at times: new bounds of its target."""

    id: str
    created_at: float
    schedule: str
    least: int | None = None
    most: int | None = None
    timezone: str | None = None
    start_at: float | None = None
    end_at: float | None = None
    # When it was put as it is.
    put_at: float = 0.0
    # When it is carried out next; None: never again.
    due_at: float | None = None


class Activity(msgspec.Struct, omit_defaults=True):
    """A change that was made, or failed."""

    id: str
    description: str
    cause: str
    at: float
    status: str
    message: str


TARGETS = Records(("autoscaling", "target"), Target)
POLICIES = Records(("autoscaling", "policy"), Policy)
SCHEDULED = Records(("autoscaling", "scheduled"), Scheduled)
ACTIVITIES = Records(("autoscaling", "activity"), Activity)


def target(ctx: Context, resource: str, dimension: str) -> Target:
    """The target of a resource and dimension; ObjectNotFoundException."""
    found = TARGETS.get(ctx.tx, ctx.account, ctx.region, resource, dimension)
    if found is None:
        raise ObjectNotFoundException(
            f"No scalable target found for service namespace: dynamodb, resource ID: {resource}, scalable dimension: {dimension}"
        )
    return found


def save(ctx: Context, found: Target, resource: str, dimension: str) -> None:
    """Keep a target, and let the worker look at it."""
    TARGETS.put(ctx.tx, found, ctx.account, ctx.region, resource, dimension)
    ctx.tx.announce(TOPIC)


def policies(ctx: Context, resource: str, dimension: str) -> Iterator[tuple[str, Policy]]:
    """(name, policy) of a target."""
    for key, found in POLICIES.scan(ctx.tx, ctx.account, ctx.region, resource, dimension):
        yield str(key[-1]), found


def record(ctx: Context, activity: Activity, resource: str, dimension: str) -> None:
    """Keep what was done; the oldest go beyond ACTIVITIES_PER_TARGET_MAX."""
    place = (ctx.account, ctx.region, resource, dimension)
    kept = [key for key, _ in ACTIVITIES.scan(ctx.tx, *place)]
    for key in kept[: max(0, len(kept) + 1 - limits.ACTIVITIES_PER_TARGET_MAX)]:
        ACTIVITIES.delete(ctx.tx, *key)
    ACTIVITIES.put(ctx.tx, activity, *place, int(activity.at * 1000), activity.id)
