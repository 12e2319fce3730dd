"""Versions of applications, and what AWS has for Flink applications only."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import errors, limits, shapes, state

Members = dict[str, Any]


@operation(read_only=True)
def list_application_versions(
    ctx: Context, *, application_name: str, limit: int | None = None, next_token: str | None = None
) -> Members:
    """The versions of an application, the newest first."""
    application = state.find(ctx, application_name)
    most = limit or limits.VERSIONS_LISTED_MAX
    before = int(next_token) if next_token and next_token.isdecimal() else application.version + 1
    where = (ctx.account, ctx.region, application_name)
    found = [one for _, one in state.VERSIONS.scan(ctx.tx, *where, after=(*where, before), limit=most + 1, reverse=True)]
    return {
        "ApplicationVersionSummaries": [
            {
                "ApplicationVersionId": one.version,
                "ApplicationStatus": application.status if one.version == application.version else one.status,
            }
            for one in found[:most]
        ],
        "NextToken": str(found[most - 1].version) if len(found) > most else None,
    }


@operation(read_only=True)
def describe_application_version(ctx: Context, *, application_name: str, application_version_id: int) -> Members:
    """An application as it was in a version."""
    state.find(ctx, application_name)
    found = state.VERSIONS.get(ctx.tx, ctx.account, ctx.region, application_name, application_version_id)
    if found is None:
        raise errors.no_part("Version", str(application_version_id), application_name)
    return {"ApplicationVersionDetail": shapes.detail_v2(found)}


@operation(read_only=True)
def rollback_application(ctx: Context, *, application_name: str, current_application_version_id: int) -> Members:
    """For Flink applications only, as on AWS."""
    state.find(ctx, application_name)
    raise errors.not_for_sql("RollbackApplication")


@operation(read_only=True)
def create_application_snapshot(ctx: Context, *, application_name: str, snapshot_name: str) -> Members:
    """For Flink applications only, as on AWS: a SQL application's state is kept with each step."""
    state.find(ctx, application_name)
    raise errors.not_for_sql("CreateApplicationSnapshot")


@operation(read_only=True, accepts=("limit", "next_token"))
def list_application_snapshots(ctx: Context, *, application_name: str) -> Members:
    """A SQL application has no snapshots."""
    state.find(ctx, application_name)
    return {"SnapshotSummaries": []}
