"""Snapshots of Flink applications. A SQL application's state is kept with each step."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import limits, state
from headrace.services.analytics.flink import snapshots
from headrace.services.analytics.flink import state as kept

Members = dict[str, Any]


@operation
def create_application_snapshot(ctx: Context, *, application_name: str, snapshot_name: str) -> Members:
    """Ask for a snapshot of an application that runs; it is CREATING until the cluster has written it."""
    snapshots.create(ctx, application_name, snapshot_name)
    return {}


@operation(read_only=True)
def describe_application_snapshot(ctx: Context, *, application_name: str, snapshot_name: str) -> Members:
    """Show a snapshot."""
    _, found = snapshots.find(ctx, application_name, snapshot_name, "DescribeApplicationSnapshot")
    return {"SnapshotDetails": snapshots.described(found)}


@operation(transaction=False)
def delete_application_snapshot(
    ctx: Context, *, application_name: str, snapshot_name: str, snapshot_creation_timestamp: float
) -> Members:
    """Delete a snapshot. It is gone at once; on AWS it is DELETING for a while."""
    snapshots.delete(ctx, application_name, snapshot_name, snapshot_creation_timestamp)
    return {}


@operation(read_only=True)
def list_application_snapshots(
    ctx: Context, *, application_name: str, limit: int | None = None, next_token: str | None = None
) -> Members:
    """The snapshots of an application, the newest first. A SQL application has none."""
    found = kept.snapshots(ctx, state.find(ctx, application_name))
    if next_token is not None:
        names = [one.name for one in found]
        found = found[names.index(next_token) + 1 :] if next_token in names else []
    most = limit or limits.SNAPSHOTS_LISTED_MAX
    return {
        "SnapshotSummaries": [snapshots.described(one) for one in found[:most]],
        "NextToken": found[most - 1].name if len(found) > most else None,
    }
