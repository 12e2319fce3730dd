"""Durable executions: checkpointed by their functions, looked at, stopped, and answered from outside."""

from datetime import datetime
from typing import Any

from headrace.operation import Context, Longer, on_event_loop, operation
from headrace.services.lambda_ import naming, state
from headrace.services.lambda_.durable import executions, pausing
from headrace.services.lambda_.durable import state as kept
from headrace.services.lambda_.durable.state import RUNNING, Execution
from headrace.services.lambda_.errors import (
    CallbackTimeoutException,
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)

_PAGE_DEFAULT = 100
_PAGE_MAX = 1000
# So many executions are looked at while the event loop waits.
_QUICKLY_MAX = 50


@operation
def checkpoint_durable_execution(
    ctx: Context, *, durable_execution_arn: str, checkpoint_token: str, updates: list[dict[str, Any]] | None = None,
    client_token: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Keep what an execution has done, and say what changed meanwhile. Durable when it is answered."""
    execution = kept.find(ctx, durable_execution_arn)
    answer: dict[str, Any] = executions.checkpoint(ctx, execution, checkpoint_token, updates or [], client_token)
    return answer


@operation(read_only=True)
def get_durable_execution_state(
    ctx: Context, *, durable_execution_arn: str, checkpoint_token: str, marker: str | None = None, max_items: int | None = None
) -> dict[str, Any]:
    """The operations of an execution, page by page; only for the invocation that runs it."""
    execution = kept.find(ctx, durable_execution_arn)
    stale = not execution.invocation or execution.interrupted or checkpoint_token != kept.token(execution)
    if execution.status != RUNNING or stale:
        raise InvalidParameterValueException("Invalid checkpoint token")
    limit, after = _limit(max_items), _number(marker)
    rows = [row for _, row in kept.OPERATIONS.scan(ctx.tx, execution.id, after=(execution.id, after), limit=limit + 1)]
    answer: dict[str, Any] = {"Operations": [row.shape for row in rows[:limit]]}
    if len(rows) > limit:
        answer["NextMarker"] = str(rows[limit - 1].number)
    return answer


@operation(read_only=True)
def get_durable_execution(
    ctx: Context, *, durable_execution_arn: str, include_execution_data: bool | None = None
) -> dict[str, Any]:
    """An execution, with its input and its outcome unless they are not wanted."""
    execution = kept.find(ctx, durable_execution_arn)
    with_data = include_execution_data is not False
    answer = {
        **_summary(execution),
        "Version": execution.version,
        "ExecutionDataIncluded": with_data,
        "DurableConfig": {
            "ExecutionTimeout": execution.timeout_seconds,
            "RetentionPeriodInDays": execution.retention_days,
        },
    }
    if execution.trace:
        answer["TraceHeader"] = _trace_header(execution.trace)
    if execution.status == RUNNING:
        answer["ExpectedExecutionTimeoutTimestamp"] = execution.deadline
    if execution.pause is not None:
        asked = execution.pause
        answer["PauseDetails"] = {"PauseRequestTimestamp": asked.asked_at, "ExecutionTimeoutPaused": asked.stops_timeout}
        if with_data and asked.reason is not None:
            answer["PauseDetails"]["Reason"] = asked.reason
    if with_data:
        data = {"InputPayload": execution.input, "Result": execution.result, "Error": execution.error}
        answer |= {name: value for name, value in data.items() if value is not None}
    return answer


@operation(read_only=True)
def get_durable_execution_history(
    ctx: Context, *, durable_execution_arn: str, include_execution_data: bool | None = None, max_items: int | None = None,
    marker: str | None = None, reverse_order: bool | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What happened in an execution, event by event; payloads only when they are asked for."""
    execution = kept.find(ctx, durable_execution_arn)
    limit, after = _limit(max_items), (execution.id, _number(marker)) if marker else None
    found = kept.EVENTS.scan(ctx.tx, execution.id, after=after, limit=limit + 1, reverse=bool(reverse_order))
    events = [event for _, event in found]
    answer: dict[str, Any] = {"Events": [event if include_execution_data else _bare(event) for event in events[:limit]]}
    if len(events) > limit:
        answer["NextMarker"] = str(events[limit - 1]["EventId"])
    return answer


@operation(read_only=True)
def list_durable_executions_by_function(
    ctx: Context, *, function_name: str, qualifier: str | None = None, durable_execution_name: str | None = None,
    statuses: list[str] | None = None, started_after: datetime | float | None = None,
    started_before: datetime | float | None = None, reverse_order: bool | None = None, marker: str | None = None,
    max_items: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The executions of a function in the order in which they began."""
    name = naming.parse(ctx, function_name, qualifier)
    version = None if name.qualifier is None else state.resolve(ctx.tx, name).version
    state.find_function(ctx.tx, name)
    limit = _limit(max_items)
    found: list[Execution] = []
    after = None
    if marker:
        time, _, last = marker.partition(":")
        after = (*name[:3], float(time), last)
    for number, (key, _) in enumerate(kept.STARTED.scan(ctx.tx, *name[:3], after=after, reverse=bool(reverse_order))):
        if number == _QUICKLY_MAX and on_event_loop():
            raise Longer
        execution = kept.EXECUTIONS.get(ctx.tx, *name[:3], key[-1])
        if execution is None or (version is not None and execution.version != version):
            continue
        if durable_execution_name is not None and execution.name != durable_execution_name:
            continue
        if statuses and execution.shown_status not in statuses:
            continue
        if started_after is not None and execution.started_at <= _seconds(started_after):
            continue
        if started_before is not None and execution.started_at >= _seconds(started_before):
            continue
        if len(found) == limit:
            mark = f"{found[-1].started_at!r}:{found[-1].id}"
            return {"DurableExecutions": [_summary(one) for one in found], "NextMarker": mark}
        found.append(execution)
    return {"DurableExecutions": [_summary(one) for one in found]}


@operation
def pause_durable_execution(
    ctx: Context, *, durable_execution_arn: str, client_token: str | None = None, reason: str | None = None,
    execution_timeout_paused: bool | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Invoke an execution's function no more until it is resumed; its waits and callbacks go on to their ends."""
    execution = kept.find(ctx, durable_execution_arn)
    pausing.pause(ctx, execution, client_token, reason, stops_timeout=execution_timeout_paused is not False)
    return {}


@operation
def resume_durable_execution(
    ctx: Context, *, durable_execution_arn: str, client_token: str | None = None, reason: str | None = None
) -> dict[str, Any]:
    """Let a paused execution go on from its last checkpoint, or take back a pause that has not begun."""
    execution = kept.find(ctx, durable_execution_arn)
    if pausing.resume(ctx, execution, client_token, reason):
        executions.wake(ctx, execution)
    kept.put(ctx.tx, execution)
    return {}


@operation
def stop_durable_execution(ctx: Context, *, durable_execution_arn: str, error: dict[str, Any] | None = None) -> dict[str, Any]:
    """End an execution; one that has ended stays as it is."""
    execution = kept.find(ctx, durable_execution_arn)
    if execution.status == RUNNING:
        executions.end(ctx, execution, "STOPPED", None, error or {"ErrorMessage": "Execution stopped by user request"})
    return {"StopTimestamp": execution.ended_at}


@operation
def delete_durable_execution(ctx: Context, *, durable_execution_arn: str) -> dict[str, Any]:
    """Forget an execution that has ended. Differs from AWS: it is gone at once."""
    execution = kept.find(ctx, durable_execution_arn)
    if execution.status == RUNNING:
        raise ResourceConflictException("The durable execution is running. Stop it before you delete it.")
    executions.remove(ctx, execution.key)
    return {"DeletionRequestTimestamp": ctx.clock.now()}


@operation
def send_durable_execution_callback_success(ctx: Context, *, callback_id: str, result: bytes | None = None) -> None:
    """Answer a callback; its execution goes on."""
    details = {} if not result else {"Result": result.decode("utf-8")}
    _settle(ctx, callback_id, "SUCCEEDED", details)


@operation
def send_durable_execution_callback_failure(ctx: Context, *, callback_id: str, error: dict[str, Any] | None = None) -> None:
    """Say that what a callback waits for has failed; its execution goes on."""
    _settle(ctx, callback_id, "FAILED", {"Error": error or {}})


@operation
def send_durable_execution_callback_heartbeat(ctx: Context, *, callback_id: str) -> None:
    """Say that what a callback waits for is still being worked on."""
    execution, operation_id = _callback(ctx, callback_id)
    row = kept.operation(ctx.tx, execution.id, operation_id)
    if row is None or row.shape["Status"] != "STARTED" or execution.status != RUNNING:
        raise CallbackTimeoutException("The callback has already been closed.")
    if row.heartbeat_seconds:
        executions.beat(ctx, execution, row, row.heartbeat_seconds)


def _settle(ctx: Context, callback_id: str, status: str, details: dict[str, Any]) -> None:
    execution, operation_id = _callback(ctx, callback_id)
    if not executions.settle(ctx, execution, operation_id, status, details):
        raise CallbackTimeoutException("The callback has already been closed.")


def _callback(ctx: Context, text: str) -> tuple[Execution, str]:
    key, operation_id = kept.callback_of(text)
    execution = kept.EXECUTIONS.get(ctx.tx, *key) if (key.account, key.region) == (ctx.account, ctx.region) else None
    if execution is None:
        raise ResourceNotFoundException("Callback does not exist")
    return execution, operation_id


def _summary(execution: Execution) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "DurableExecutionArn": execution.arn,
        "DurableExecutionName": execution.name,
        "FunctionArn": execution.function_arn,
        "Status": execution.shown_status,
        "StartTimestamp": execution.started_at,
    }
    if execution.ended_at is not None:
        answer["EndTimestamp"] = execution.ended_at
    return answer


def _trace_header(trace: str) -> dict[str, str]:
    return {"XAmznTraceId": trace}


def _bare(event: dict[str, Any]) -> dict[str, Any]:
    """An event without payloads."""
    name = f"{event['EventType']}Details"
    details = {
        key: {"Truncated": True} if isinstance(value, dict) and key in ("Input", "Result", "Error", "Reason") else value
        for key, value in event[name].items()
    }
    return {**event, name: details}


def _limit(max_items: int | None) -> int:
    return min(max_items or _PAGE_DEFAULT, _PAGE_MAX)


def _number(marker: str | None) -> int:
    if marker and not marker.isdigit():
        raise InvalidParameterValueException("Invalid marker")
    return int(marker or 0)


def _seconds(time: datetime | float) -> float:
    return time.timestamp() if isinstance(time, datetime) else float(time)
