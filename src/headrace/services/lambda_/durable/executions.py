"""What happens to a durable execution, in a running transaction: it begins, is checkpointed, goes on, and ends."""

from typing import Any

from headrace.kit.errors import AwsError
from headrace.layers import timer
from headrace.operation import Context
from headrace.services.lambda_ import lineage, naming, state
from headrace.services.lambda_.durable import pausing, rules
from headrace.services.lambda_.durable import state as kept
from headrace.services.lambda_.durable.history import note
from headrace.services.lambda_.durable.state import RUNNING, Execution, Key, Operation, Work
from headrace.services.lambda_.errors import (
    DurableExecutionAlreadyStartedException,
    InvalidParameterValueException,
    RecursiveInvocationException,
)
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Version

FAILURES_MAX = 5
RETRY_SECONDS = 5.0
_DAY_SECONDS = 86_400.0
_EVENT_OF = {
    "CONTEXT": "Context", "STEP": "Step", "WAIT": "Wait", "CALLBACK": "Callback", "CHAINED_INVOKE": "ChainedInvoke",
}  # fmt: skip
_DETAILS = {kind: f"{name}Details" for kind, name in _EVENT_OF.items()}
_PAST = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "TIMED_OUT": "TimedOut", "STOPPED": "Stopped", "CANCELLED": "Cancelled"}


def begin(
    ctx: Context, version: Version, payload: bytes, name: str | None, parent: list[str] | None = None, trace: str = ""
) -> Execution:
    """Start an execution; one of the same name with the same payload is the one that it was.

    RecursiveInvocationException when the event went round through the function too often. An execution counts once in its
    chain, however often its function is invoked for it.
    """
    place = (ctx.account, ctx.region, version.name)
    text = payload.decode("utf-8") or "{}"
    if name is not None and (known := kept.NAMED.get(ctx.tx, *place, name)) is not None:
        old = kept.EXECUTIONS.get(ctx.tx, *place, known)
        if old is not None and old.input == text:
            return old
        raise DurableExecutionAlreadyStartedException(f"Durable execution already started: {name}")
    config, execution_id, now = version.durable or {}, ctx.ids.uuid(), ctx.clock.now()
    trace = trace or ctx.trace_id or lineage.begin(execution_id, now)
    function = state.FUNCTIONS.get(ctx.tx, *place)
    stops = function is not None and function.recursive_loop == lineage.TERMINATE
    if stops and lineage.passes(trace, naming.function_arn(*place)) >= lineage.PASSES_MAX:
        raise RecursiveInvocationException.loop(version.name)
    execution = Execution(
        id=execution_id, name=name or ctx.ids.uuid(), account=ctx.account, region=ctx.region, function=version.name,
        version=version.version, input=text, started_at=now, timeout_seconds=config["ExecutionTimeout"],
        retention_days=config["RetentionPeriodInDays"], parent=parent, trace=trace,
    )  # fmt: skip
    shape = {"Id": execution_id, "Type": "EXECUTION", "Name": execution.name, "StartTimestamp": now, "Status": "STARTED"}
    kept.change(ctx.tx, execution, {**shape, "ExecutionDetails": {"InputPayload": text}}, None)
    details = {"Input": {"Payload": text}, "ExecutionTimeout": execution.timeout_seconds}
    note(ctx, execution, "ExecutionStarted", details, shape)
    kept.NAMED.put(ctx.tx, execution.id, *place, execution.name)
    kept.STARTED.put(ctx.tx, execution.name, *place, now, execution.id)
    kept.start_timer(ctx.tx, "timeout", execution.key, execution.deadline)
    kept.put(ctx.tx, execution)
    wake(ctx, execution)
    return execution


def wake(ctx: Context, execution: Execution) -> None:
    """Let the function be invoked: now, when its present invocation has ended, or when it is resumed. The caller writes it."""
    if execution.status != RUNNING:
        return
    if execution.paused:
        execution.again = True
    elif kept.WORK.get(ctx.tx, *execution.key, "") is None:
        kept.WORK.put(ctx.tx, Work(), *execution.key, "")
        ctx.tx.announce(kept.TOPIC)
    else:
        execution.again = True


def checkpoint(ctx: Context, execution: Execution, token: str, updates: list[dict[str, Any]], client_token: str | None) -> Any:
    """Take updates in; AWS's answer. A repeated request with its client token gets its answer again."""
    repeated = client_token and client_token == execution.client_token and token == _token_before(execution)
    if not repeated:
        stale = not execution.invocation or execution.interrupted or token != kept.token(execution)
        if execution.status != RUNNING or stale:
            raise InvalidParameterValueException("Invalid checkpoint token")
        shapes = {u["Id"]: kept.operation(ctx.tx, execution.id, u["Id"]) for u in updates}

        def find(operation_id: str) -> dict[str, Any] | None:
            found = shapes.get(operation_id) or kept.operation(ctx.tx, execution.id, operation_id)
            return None if found is None else found.shape

        rules.check_updates(updates, find)
        execution.client_token, execution.token_before = client_token or "", execution.token
        execution.seen_before = execution.seen
        execution.token += 1
        for update in updates:
            _apply(ctx, execution, update)
        complete_due(ctx, execution)
        if execution.pause is not None and execution.status == RUNNING:
            execution.interrupted = execution.again = True
            pausing.begin(ctx, execution)
    fresh = kept.changed_after(ctx.tx, execution, execution.seen_before)
    execution.seen = execution.changes
    kept.put(ctx.tx, execution)
    answer: dict[str, Any] = {"NewExecutionState": {"Operations": fresh}}
    if execution.status == RUNNING and not execution.interrupted:
        # Without a token the function ends its invocation.
        answer["CheckpointToken"] = kept.token(execution)
    return answer


def _token_before(execution: Execution) -> str:
    now, execution.token = execution.token, execution.token_before
    try:
        return kept.token(execution)
    finally:
        execution.token = now


def _apply(ctx: Context, execution: Execution, update: dict[str, Any]) -> None:
    kind, action = update["Type"], update["Action"]
    if kind == "EXECUTION":
        status = "SUCCEEDED" if action == "SUCCEED" else "FAILED"
        end(ctx, execution, status, update.get("Payload"), update.get("Error"))
        return
    old = kept.operation(ctx.tx, execution.id, update["Id"])
    if old is not None:
        shape = dict(old.shape)
    else:
        shape = {member: update[member] for member in ("Id", "ParentId", "Name", "Type", "SubType") if update.get(member)}
        shape |= {"StartTimestamp": ctx.clock.now(), "Status": "STARTED"}
    if old is None and action != "START":
        note(ctx, execution, f"{_EVENT_OF[kind]}Started", {}, shape)
    if action == "START":
        _start(ctx, execution, update, shape, old)
        return
    details = dict(shape.get(_DETAILS[kind]) or {})
    if kind == "STEP":
        details = {"Attempt": int(details.get("Attempt", 0)) + 1}
    outcome = {"Result": update.get("Payload"), "Error": update.get("Error")}
    details |= {member: value for member, value in outcome.items() if value is not None}
    if action == "RETRY":
        delay = update["StepOptions"]["NextAttemptDelaySeconds"]
        shape["Status"], details["NextAttemptTimestamp"] = "PENDING", ctx.clock.now() + delay
        kept.start_timer(ctx.tx, "due", execution.key, ctx.clock.now() + delay, update["Id"])
        retry = {"CurrentAttempt": details["Attempt"], "NextAttemptDelaySeconds": delay}
        status = "FAILED" if update.get("Error") is not None else "SUCCEEDED"
        note(ctx, execution, f"Step{_PAST[status]}", {**_outcome(status, details), "RetryDetails": retry}, shape)
        kept.change(ctx.tx, execution, {**shape, "StepDetails": details}, old)
        return
    if kind == "CONTEXT" and (update.get("ContextOptions") or {}).get("ReplayChildren"):
        details["ReplayChildren"] = True
    status = {"SUCCEED": "SUCCEEDED", "FAIL": "FAILED", "CANCEL": "CANCELLED"}[action]
    close(ctx, execution, old, shape, status, details)


def _start(ctx: Context, execution: Execution, update: dict[str, Any], shape: dict[str, Any], old: Operation | None) -> None:
    kind, now, details = update["Type"], ctx.clock.now(), {}
    shape["Status"] = "STARTED"
    extra: dict[str, Any] = {}
    heartbeat = 0
    if kind == "STEP":
        details = {"Attempt": (shape.get("StepDetails") or {}).get("Attempt", 0)}
    elif kind == "WAIT":
        seconds = update["WaitOptions"]["WaitSeconds"]
        details = {"ScheduledEndTimestamp": now + seconds}
        extra = {"Duration": seconds, **details}
        kept.start_timer(ctx.tx, "due", execution.key, now + seconds, update["Id"])
    elif kind == "CALLBACK":
        options = update.get("CallbackOptions") or {}
        details = {"CallbackId": kept.callback_id(execution.key, update["Id"])}
        timeout, heartbeat = options.get("TimeoutSeconds") or 0, options.get("HeartbeatTimeoutSeconds") or 0
        extra = {**details, "Timeout": timeout, "HeartbeatTimeout": heartbeat}
        if timeout:
            kept.start_timer(ctx.tx, "callback", execution.key, now + timeout, update["Id"])
    elif kind == "CHAINED_INVOKE":
        _call(ctx, execution, update, shape)
        return
    note(ctx, execution, f"{_EVENT_OF[kind]}Started", extra, shape)
    row = kept.change(ctx.tx, execution, {**shape, _DETAILS[kind]: details} if details else shape, old)
    if heartbeat:
        beat(ctx, execution, row, heartbeat)


def beat(ctx: Context, execution: Execution, row: Operation, seconds: int) -> None:
    """A callback lives: its heartbeat is due anew."""
    row.heartbeat_seconds, row.heartbeat_at = seconds, ctx.clock.now() + seconds
    kept.OPERATIONS.put(ctx.tx, row, execution.id, row.number)
    kept.start_timer(ctx.tx, "heartbeat", execution.key, row.heartbeat_at, row.shape["Id"])


def _call(ctx: Context, execution: Execution, update: dict[str, Any], shape: dict[str, Any]) -> None:
    """Begin a chained invocation; of a function that is not there, it has failed already."""
    text, payload = update["ChainedInvokeOptions"]["FunctionName"], update.get("Payload") or "{}"
    details: dict[str, Any] = {"FunctionName": text}
    try:
        name = naming.parse(ctx, text)
        version = state.resolve(ctx.tx, name, ctx.ids.random.random())
        child = None
        if version.durable is not None:
            trace = lineage.advance(execution.trace, naming.function_arn(*execution.key[:3]))
            child = begin(ctx, version, payload.encode(), None, [execution.function, execution.id, update["Id"]], trace)
    except AwsError as error:
        note(ctx, execution, "ChainedInvokeStarted", details, shape)
        problem = {"ErrorType": type(error).__name__, "ErrorMessage": error.message}
        close(ctx, execution, None, shape, "FAILED", {"Error": problem})
        return
    details |= {"Input": {"Payload": payload}, "ExecutedVersion": version.version}
    if child is not None:
        details["DurableExecutionArn"] = child.arn
    else:
        trace = lineage.advance(execution.trace, naming.function_arn(*execution.key[:3]))
        kept.WORK.put(ctx.tx, Work("", naming.named_arn(name), payload, trace), *execution.key, update["Id"])
        ctx.tx.announce(kept.TOPIC)
    note(ctx, execution, "ChainedInvokeStarted", details, shape)
    kept.change(ctx.tx, execution, {**shape, "ChainedInvokeDetails": {}}, None)


def close(
    ctx: Context, execution: Execution, old: Operation | None, shape: dict[str, Any], status: str, details: dict[str, Any]
) -> None:
    """An operation ends."""
    kind = shape["Type"]
    shape = {**shape, "Status": status, "EndTimestamp": ctx.clock.now(), _DETAILS[kind]: details}
    extra = _outcome(status, details)
    if kind == "STEP":
        extra["RetryDetails"] = {"CurrentAttempt": details["Attempt"], "NextAttemptDelaySeconds": 0}
    if kind == "WAIT":
        extra = {"Duration": round(details.get("ScheduledEndTimestamp", 0.0) - shape["StartTimestamp"])}
        if status == "CANCELLED":
            extra = {"Error": {"Payload": details.get("Error") or {}}}
    note(ctx, execution, f"{_EVENT_OF[kind]}{_PAST[status]}", extra, shape)
    kept.change(ctx.tx, execution, shape, old)


def _outcome(status: str, details: dict[str, Any]) -> dict[str, Any]:
    if status == "SUCCEEDED":
        return {"Result": {"Payload": details["Result"]} if details.get("Result") is not None else {}}
    return {"Error": {"Payload": details.get("Error") or {}}}


def settle(ctx: Context, execution: Execution, operation_id: str, status: str, details: dict[str, Any]) -> bool:
    """An operation that somebody else ends (a callback, a function that was called, the time); whether it was open."""
    row = kept.operation(ctx.tx, execution.id, operation_id)
    if row is None or row.shape["Status"] != "STARTED" or execution.status != RUNNING:
        return False
    found = {**(row.shape.get(_DETAILS[row.shape["Type"]]) or {}), **details}
    close(ctx, execution, row, row.shape, status, found)
    execution.updated = [*execution.updated, operation_id]
    wake(ctx, execution)
    kept.put(ctx.tx, execution)
    return True


def fall_due(ctx: Context, execution: Execution, operation_id: str) -> bool:
    """A wait or the time before a retry may be over; whether it was. The caller writes the execution and wakes it."""
    row, now = kept.operation(ctx.tx, execution.id, operation_id), ctx.clock.now()
    if row is None:
        return False
    shape = row.shape
    if shape["Type"] == "WAIT" and shape["Status"] == "STARTED" and shape["WaitDetails"]["ScheduledEndTimestamp"] <= now:
        close(ctx, execution, row, shape, "SUCCEEDED", shape["WaitDetails"])
    elif shape["Type"] == "STEP" and shape["Status"] == "PENDING" and shape["StepDetails"]["NextAttemptTimestamp"] <= now:
        details = {member: value for member, value in shape["StepDetails"].items() if member != "NextAttemptTimestamp"}
        kept.change(ctx.tx, execution, {**shape, "Status": "READY", "StepDetails": details}, row)
    else:
        return False
    execution.updated = [*execution.updated, operation_id]
    return True


def complete_due(ctx: Context, execution: Execution) -> None:
    """Let waits and retries whose time has come take part in a checkpoint's answer already."""
    now = ctx.clock.now()
    for due_at, name, _ in timer.due(ctx.tx, kept.TIMERS, now, 100):
        if name[0] == "due" and name[4] == execution.id:
            timer.cancel(ctx.tx, kept.TIMERS, due_at, name)
            fall_due(ctx, execution, str(name[5]))


def end(ctx: Context, execution: Execution, status: str, result: str | None, error: dict[str, Any] | None) -> None:
    """The execution is over; whoever called it learns of it. The caller writes it, unless it writes nothing else."""
    now = ctx.clock.now()
    execution.status, execution.ended_at, execution.result, execution.error = status, now, result, error
    first = kept.OPERATIONS.get(ctx.tx, execution.id, 1)
    assert first is not None
    kept.change(ctx.tx, execution, {**first.shape, "Status": status, "EndTimestamp": now}, first)
    details = (
        {"Result": {"Payload": result} if result is not None else {}}
        if status == "SUCCEEDED"
        else {"Error": {"Payload": error or {}}}
    )
    note(ctx, execution, f"Execution{_PAST[status]}", details, first.shape)
    kept.stop_timeout(ctx.tx, execution)
    execution.pause = None
    kept.start_timer(ctx.tx, "remove", execution.key, now + execution.retention_days * _DAY_SECONDS)
    kept.put(ctx.tx, execution)
    ctx.tx.announce(kept.topic(execution.id))
    if execution.parent is not None:
        function, parent_id, operation_id = execution.parent
        parent = kept.EXECUTIONS.get(ctx.tx, execution.account, execution.region, function, parent_id)
        if parent is not None:
            settle(ctx, parent, operation_id, status, _to_parent(execution))


def _to_parent(execution: Execution) -> dict[str, Any]:
    if execution.status == "TIMED_OUT":
        text = f"CHAINED_INVOKE timed out after {execution.timeout_seconds} seconds."
        return {"Error": {"ErrorType": "ChainedInvoke.Timeout", "ErrorMessage": text}}
    if execution.status == "SUCCEEDED":
        return {} if execution.result is None else {"Result": execution.result}
    return {"Error": execution.error or {}}


def remove(ctx: Context, key: Key) -> None:
    """Forget an execution."""
    execution = kept.EXECUTIONS.get(ctx.tx, *key)
    if execution is None:
        return
    place = key[:3]
    for family in (kept.OPERATIONS, kept.OPERATION_OF, kept.CHANGED, kept.EVENTS):
        family.delete_all(ctx.tx, key.id)
    kept.NAMED.delete(ctx.tx, *place, execution.name)
    kept.STARTED.delete(ctx.tx, *place, execution.started_at, key.id)
    kept.WORK.delete_all(ctx.tx, *key)
    kept.EXECUTIONS.delete(ctx.tx, *key)


def name_of(execution: Execution) -> FunctionName:
    """The version that an execution runs."""
    return FunctionName(execution.account, execution.region, execution.function, execution.version)
