"""Versions of applications."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import errors, limits, shapes, state
from headrace.services.analytics.flink import applications

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


@operation
def rollback_application(ctx: Context, *, application_name: str, current_application_version_id: int) -> Members:
    """Go back to the version that ran before, from the newest snapshot. For Flink applications only, as on AWS."""
    if state.find(ctx, application_name).flink is None:
        raise errors.not_for_sql("RollbackApplication")
    went, operation_id = applications.roll_back(ctx, application_name, current_application_version_id)
    return {"ApplicationDetail": shapes.detail_v2(went), "OperationId": operation_id}
