"""Pausing a durable execution: its function is not invoked, while its waits, callbacks and calls go on to their ends.

An invocation that is under way goes on to its next checkpoint. The answer to that has no token, and then AWS's SDKs end the
invocation; what it says after that is not heard. With the resumption the function is invoked again and goes on from there.
"""

from typing import Any

from headrace.operation import Context
from headrace.services.lambda_.durable import state as kept
from headrace.services.lambda_.durable.history import note
from headrace.services.lambda_.durable.state import RUNNING, Execution, Pause
from headrace.services.lambda_.errors import ResourceConflictException

REPEATED_SECONDS_MAX = 15 * 60


def pause(ctx: Context, execution: Execution, token: str | None, reason: str | None, *, stops_timeout: bool) -> None:
    """Take a request to pause; the pause begins at once, unless the function is running."""
    if _is_repeated(ctx, execution, "pause", token, reason, stops_timeout):
        return
    if execution.status != RUNNING or execution.pause is not None:
        raise ResourceConflictException(f"The durable execution can't be paused: its status is {execution.shown_status}.")
    execution.pause = Pause(ctx.clock.now(), reason, stops_timeout)
    waiting = kept.WORK.get(ctx.tx, *execution.key, "") is not None
    if not (waiting and execution.invocation):
        # What was to be invoked in a moment is invoked when it is resumed.
        execution.again = execution.again or waiting
        begin(ctx, execution)
    kept.put(ctx.tx, execution)


def begin(ctx: Context, execution: Execution) -> None:
    """The pause that was asked for begins. The caller writes the execution."""
    asked = execution.pause
    assert asked is not None
    kept.stop_timeout(ctx.tx, execution)
    asked.began_at = ctx.clock.now()
    kept.start_timer(ctx.tx, "timeout", execution.key, execution.deadline)
    details: dict[str, Any] = {"PauseRequestTimestamp": asked.asked_at, "ExecutionTimeoutPaused": asked.stops_timeout}
    note(ctx, execution, "ExecutionPaused", {**details, **_reason(asked.reason)})


def resume(ctx: Context, execution: Execution, token: str | None, reason: str | None) -> bool:
    """Take a request to resume; whether the function is to be invoked. The caller writes the execution."""
    if _is_repeated(ctx, execution, "resume", token, reason):
        return False
    asked, now = execution.pause, ctx.clock.now()
    if execution.status != RUNNING or asked is None:
        raise ResourceConflictException(f"The durable execution can't be resumed: its status is {execution.shown_status}.")
    if not asked.began_at:
        execution.pause = None
        return False
    kept.stop_timeout(ctx.tx, execution)
    if asked.stops_timeout:
        execution.paused_seconds += now - asked.began_at
    execution.pause = None
    kept.start_timer(ctx.tx, "timeout", execution.key, execution.deadline)
    note(ctx, execution, "ExecutionResumed", {"ResumeRequestTimestamp": now, **_reason(reason)})
    return execution.again


def _reason(reason: str | None) -> dict[str, Any]:
    return {} if reason is None else {"Reason": {"Payload": reason}}


def _is_repeated(ctx: Context, execution: Execution, what: str, token: str | None, *parameters: Any) -> bool:
    """Whether the request was taken already; remembered if not, which holds once the execution is written."""
    request, now = [token, *parameters], ctx.clock.now()
    *known, at = execution.asked.get(what) or [None, 0.0]
    if token is not None and known == request and now - at < REPEATED_SECONDS_MAX:
        return True
    execution.asked = {**execution.asked, what: [*request, now]}
    return False
