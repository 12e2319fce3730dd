"""What was asked of Flink applications, and what came of it."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import errors, limits, state
from headrace.services.analytics.flink import state as kept
from headrace.services.analytics.flink.state import Operation

Members = dict[str, Any]


@operation(read_only=True)
def describe_application_operation(ctx: Context, *, application_name: str, operation_id: str) -> Members:
    """Show an operation, with the reason where it failed. One that is under way has its StartTime as EndTime, too."""
    application = _application(ctx, application_name, "DescribeApplicationOperation")
    found = kept.OPERATIONS.get(ctx.tx, application.id, operation_id)
    if found is None:
        raise errors.no_part("Operation", operation_id, application_name)
    details: Members = {**_info(found)}
    del details["OperationId"]
    if found.updated_from is not None:
        details["ApplicationVersionChangeDetails"] = {
            "ApplicationVersionUpdatedFrom": found.updated_from,
            "ApplicationVersionUpdatedTo": found.updated_to,
        }
    if found.error:
        details["OperationFailureDetails"] = {
            "RollbackOperationId": found.rolled_back_by or None,
            "ErrorInfo": {"ErrorString": found.error[:512]},
        }
    return {"ApplicationOperationInfoDetails": details}


@operation(read_only=True)
def list_application_operations(
    ctx: Context, *, application_name: str, limit: int | None = None, next_token: str | None = None,
    operation: str | None = None, operation_status: str | None = None,
) -> Members:  # fmt: skip
    """The operations of an application, the newest first."""
    application = _application(ctx, application_name, "ListApplicationOperations")
    found = [one for _, one in kept.OPERATIONS.scan(ctx.tx, application.id)]
    found = [one for one in found if operation in (None, one.name) and operation_status in (None, one.status)]
    found.sort(key=lambda one: (-one.started_at, one.id))
    if next_token is not None:
        ids = [one.id for one in found]
        found = found[ids.index(next_token) + 1 :] if next_token in ids else []
    most = limit or limits.OPERATIONS_LISTED_MAX
    return {
        "ApplicationOperationInfoList": [_info(one) for one in found[:most]],
        "NextToken": found[most - 1].id if len(found) > most else None,
    }


def _info(one: Operation) -> Members:
    return {
        "Operation": one.name,
        "OperationId": one.id,
        "StartTime": one.started_at,
        "EndTime": one.ended_at if one.ended_at is not None else one.started_at,
        "OperationStatus": one.status,
    }


def _application(ctx: Context, name: str, operation_name: str) -> state.Application:
    application = state.find(ctx, name)
    if application.flink is None:
        raise errors.not_for_sql(operation_name)
    return application
