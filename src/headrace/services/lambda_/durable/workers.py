"""Goes on with durable executions: what has fallen due happens, and functions are invoked again."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from headrace.kit.errors import AwsError
from headrace.layers import lease, timer
from headrace.layers.lease import owner_here
from headrace.operation import Context
from headrace.services.lambda_ import invocations, naming
from headrace.services.lambda_.durable import executions, pausing, waiting
from headrace.services.lambda_.durable import state as kept
from headrace.services.lambda_.durable.history import note
from headrace.services.lambda_.durable.rules import CHAINED_BYTES_MAX
from headrace.services.lambda_.durable.state import RUNNING, Execution, Key, Work
from headrace.services.lambda_.engine.function import Outcome
from headrace.services.lambda_.errors import ResourceNotFoundException, ServiceException
from headrace.services.lambda_.invocations import RUNTIME
from headrace.workers import Worker

WORKER = "lambda-durable"
PAGE_BYTES = 5 * 1024 * 1024
_FIRED_MAX = 100
_HOLD_SECONDS = 30.0
_THROTTLE_WAIT_SECONDS = 1.0

log = logging.getLogger(__name__)


class Continuer:
    """Takes work from the store and does it on threads. Work of a process that ended is taken again at once."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._running: set[tuple[Any, ...]] = set()
        self._lock = threading.Lock()
        self._owner = ""
        self.wake: Callable[[], None] = lambda: None

    def step(self, ctx: Context) -> float | None:
        """Fire what is due, and begin as much work as there is room for."""
        now = ctx.clock.now()
        due, next_at, open_work = ctx.snapshot(
            lambda inner: (
                bool(timer.due(inner.tx, kept.TIMERS, now, 1)),
                timer.next_at(inner.tx, kept.TIMERS),
                next(kept.WORK.scan(inner.tx, limit=1), None) is not None,
            )
        )
        if due:
            ctx.transact(lambda inner: fire(inner, now))
            return 0.0
        if open_work:
            self._begin(ctx)
        return None if next_at is None else max(0.0, next_at - now)

    def stop(self) -> None:
        """Begin no more; what runs is done again after the next start, unless it ends in time."""
        with self._lock:
            if self._threads is not None:
                self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads, self._owner = None, ""
            self._running.clear()

    def _begin(self, ctx: Context) -> None:
        with self._lock:
            size = max(1, ctx.settings.lambda_concurrency)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(size, thread_name_prefix=WORKER)
                self._owner = owner_here(ctx.ids.uuid())
            running, room, owner = set(self._running), size - len(self._running), self._owner
        for key, work in ctx.transact(lambda inner: _take(inner, running, room, owner)):
            with self._lock:
                self._running.add(key)
            self._threads.submit(self._run, ctx.at(str(key[0]), str(key[1])), key, work)

    def _run(self, ctx: Context, key: tuple[Any, ...], work: Work) -> None:
        try:
            if key[4] == "":
                invoke(ctx, Key(*key[:4]))
            else:
                call(ctx, Key(*key[:4]), str(key[4]), work)
        except ServiceException:
            log.debug("%s is broken off: the server stops", key)
        except Exception:
            log.exception("a durable execution of %s could not go on; it is tried again", key[2])
            ctx.transact(lambda inner: kept.WORK.put(inner.tx, msgspec.structs.replace(work, owner=""), *key))
        finally:
            with self._lock:
                self._running.discard(key)
            self.wake()


def _take(ctx: Context, running: set[tuple[Any, ...]], room: int, owner: str) -> list[tuple[tuple[Any, ...], Work]]:
    now, alive = ctx.clock.now(), {owner}
    taken: list[tuple[tuple[Any, ...], Work]] = []
    lease.take(ctx.tx, f"{WORKER}:{owner}", owner, now, _HOLD_SECONDS)
    for key, work in list(kept.WORK.scan(ctx.tx, limit=len(running) + 1000)):
        if len(taken) >= room:
            break
        if key in running or (work.owner and work.owner != owner and _lives(ctx, work.owner, owner, alive)):
            continue
        kept.WORK.put(ctx.tx, msgspec.structs.replace(work, owner=owner), *key)
        taken.append((key, work))
    return taken


def _lives(ctx: Context, other: str, owner: str, alive: set[str]) -> bool:
    if other not in alive and lease.take(ctx.tx, f"{WORKER}:{other}", owner, ctx.clock.now(), _HOLD_SECONDS) is None:
        alive.add(other)
    return other in alive


def fire(ctx: Context, now: float) -> None:
    """Let what has fallen due happen."""
    for due_at, name, _ in timer.due(ctx.tx, kept.TIMERS, now, _FIRED_MAX):
        timer.cancel(ctx.tx, kept.TIMERS, due_at, name)
        kind, *place, operation_id = (str(part) for part in name)
        key = Key(*place)
        here = ctx.at(key.account, key.region)
        if kind == "remove":
            executions.remove(here, key)
            continue
        execution = kept.EXECUTIONS.get(ctx.tx, *key)
        if execution is None or execution.status != RUNNING:
            continue
        if kind == "timeout":
            text = f"Execution timed out after {execution.timeout_seconds} seconds."
            executions.end(here, execution, "TIMED_OUT", None, {"ErrorMessage": text})
        elif kind == "invoke" or (kind == "due" and executions.fall_due(here, execution, operation_id)):
            executions.wake(here, execution)
            kept.put(ctx.tx, execution)
        elif kind in ("callback", "heartbeat"):
            _miss(here, execution, operation_id, kind, now)


def _miss(ctx: Context, execution: Execution, operation_id: str, kind: str, now: float) -> None:
    row = kept.operation(ctx.tx, execution.id, operation_id)
    if kind == "heartbeat" and row is not None and row.heartbeat_at > now:
        return
    error = {"ErrorType": "Callback.Timeout", "ErrorMessage": "Callback timed out"}
    if kind == "heartbeat":
        error = {"ErrorType": "Callback.Heartbeat", "ErrorMessage": "Callback timed out on heartbeat"}
    executions.settle(ctx, execution, operation_id, "TIMED_OUT", {"Error": error})


def invoke(ctx: Context, key: Key) -> None:
    """Invoke a durable function once with the state of its execution, and take its answer in."""
    request_id = ctx.ids.uuid()

    def prepare(inner: Context) -> tuple[bytes, Execution] | None:
        execution = kept.EXECUTIONS.get(inner.tx, *key)
        if execution is None or execution.status != RUNNING:
            kept.WORK.delete(inner.tx, *key, "")
            return None
        execution.interrupted = False
        if execution.pause is not None:
            # It was paused before it began, or the invocation that was to reach a checkpoint was lost with its server.
            kept.WORK.delete(inner.tx, *key, "")
            execution.invocation, execution.again = "", True
            if not execution.paused:
                pausing.begin(inner, execution)
            kept.put(inner.tx, execution)
            return None
        execution.invocation, execution.again = request_id, False
        executions.complete_due(inner, execution)
        payload = event(inner, execution)
        execution.seen, execution.updated = execution.changes, []
        kept.put(inner.tx, execution)
        return payload, execution

    prepared = ctx.transact(prepare)
    if prepared is None:
        return
    payload, execution = prepared
    began, name = ctx.clock.now(), executions.name_of(execution)
    try:
        target = ctx.snapshot(lambda inner: invocations.target(inner, name))
        outcome = RUNTIME.once(ctx, target, naming.named_arn(name), payload, request_id=request_id, trace=execution.trace or None)
    except ServiceException:
        raise
    except ResourceNotFoundException as error:
        problem = {"ErrorType": "ResourceNotFoundException", "ErrorMessage": error.message}
        ctx.transact(lambda inner: _finish(inner, key, request_id, began, ("FAILED", None, problem)))
        return
    except AwsError:
        ctx.transact(lambda inner: _later(inner, key, _THROTTLE_WAIT_SECONDS))
        return
    ctx.transact(lambda inner: _finish(inner, key, request_id, began, answer(outcome)))


def event(ctx: Context, execution: Execution) -> bytes:
    """What the function gets: AWS's SDKs read it. Times are in milliseconds."""
    operations: list[Any] = []
    size, marker = 0, ""
    for key, row in kept.OPERATIONS.scan(ctx.tx, execution.id):
        shown = _in_ms(row.shape)
        size += len(json.dumps(shown))
        if operations and size > PAGE_BYTES:
            marker = str(int(str(key[1])) - 1)
            break
        operations.append(shown)
    state = {"Operations": operations, "NextMarker": marker}
    return json.dumps(
        {
            "DurableExecutionArn": execution.arn,
            "CheckpointToken": kept.token(execution),
            "InitialExecutionState": state,
            "UpdatedOperationIds": execution.updated,
        }
    ).encode()


def _in_ms(shape: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _in_ms(value) if isinstance(value, dict) else int(value * 1000) if name.endswith("Timestamp") else value
        for name, value in shape.items()
    }


End = tuple[str, str | None, dict[str, Any] | None]


def answer(outcome: Outcome) -> End:
    """(SUCCEEDED, FAILED, PENDING, or RETRY when the invocation failed; the result; the error)."""
    try:
        said = json.loads(outcome.payload or b"null")
    except ValueError:
        said = None
    if outcome.error is not None:
        said = said if isinstance(said, dict) else {}
        return "RETRY", None, {"ErrorType": said.get("errorType"), "ErrorMessage": said.get("errorMessage")}
    if not isinstance(said, dict) or said.get("Status") not in ("SUCCEEDED", "FAILED", "PENDING"):
        return "FAILED", None, _invalid("Invalid invocation output.")
    status, result, error = said["Status"], said.get("Result"), said.get("Error")
    if status == "FAILED" and result is not None:
        return "FAILED", None, _invalid("Cannot provide a Result for FAILED status.")
    if status == "SUCCEEDED" and error is not None:
        return "FAILED", None, _invalid("Cannot provide an Error for SUCCEEDED status.")
    return status, result, error


def _invalid(text: str) -> dict[str, Any]:
    return {"ErrorType": "InvalidParameterValueException", "ErrorMessage": text}


def _later(ctx: Context, key: Key, seconds: float) -> None:
    kept.WORK.delete(ctx.tx, *key, "")
    kept.start_timer(ctx.tx, "invoke", key, ctx.clock.now() + seconds)


def _finish(ctx: Context, key: Key, request_id: str, began: float, said: End) -> None:
    execution = kept.EXECUTIONS.get(ctx.tx, *key)
    if execution is None or execution.invocation != request_id:
        return
    status, result, error = said
    execution.invocation = ""
    kept.WORK.delete(ctx.tx, *key, "")
    details: dict[str, Any] = {"StartTimestamp": began, "EndTimestamp": ctx.clock.now(), "RequestId": request_id}
    if status == "RETRY":
        details["Error"] = {"Payload": error}
    note(ctx, execution, "InvocationCompleted", details)
    if execution.interrupted:
        execution.interrupted = False
        executions.wake(ctx, execution)
        status = ""
    if execution.status != RUNNING or not status:
        kept.put(ctx.tx, execution)
        return
    if status == "PENDING" and not (execution.again or _waits(ctx, execution)):
        status, error = "RETRY", _invalid("Cannot return PENDING status with no pending operations.")
    if status == "RETRY":
        execution.failures += 1
        if execution.failures >= executions.FAILURES_MAX:
            executions.end(ctx, execution, "FAILED", None, error)
            return
        _later(ctx, key, executions.RETRY_SECONDS)
    elif status == "PENDING":
        execution.failures = 0
        if execution.changes > execution.seen:
            executions.wake(ctx, execution)
    else:
        executions.end(ctx, execution, status, result, error)
        return
    if execution.pause is not None and not execution.paused:
        _pause_behind(ctx, execution, key)
    kept.put(ctx.tx, execution)


def _pause_behind(ctx: Context, execution: Execution, key: Key) -> None:
    """The invocation ended without another checkpoint: the pause begins, and takes in what was to be invoked next."""
    if kept.WORK.get(ctx.tx, *key, "") is not None:
        kept.WORK.delete(ctx.tx, *key, "")
        execution.again = True
    pausing.begin(ctx, execution)


def _waits(ctx: Context, execution: Execution) -> bool:
    """Whether something is open that will wake the execution, or has changed behind its back."""
    if execution.changes > execution.seen:
        return True
    for _, row in kept.OPERATIONS.scan(ctx.tx, execution.id):
        kind, status = row.shape["Type"], row.shape["Status"]
        if (kind == "STEP" and status == "PENDING") or (kind in ("WAIT", "CALLBACK", "CHAINED_INVOKE") and status == "STARTED"):
            return True
    return False


def call(ctx: Context, key: Key, operation_id: str, work: Work) -> None:
    """Invoke a function that is not durable for an execution; repeated when the server was killed meanwhile."""
    details: dict[str, Any]
    try:
        name = naming.parse(ctx, work.function)
        target = ctx.snapshot(lambda inner: invocations.target(inner, name))
        outcome = RUNTIME.once(
            ctx, target, naming.named_arn(name), work.payload.encode(), request_id=ctx.ids.uuid(), trace=work.trace or None
        )
    except ServiceException:
        raise
    except AwsError as error:
        details = {"Error": {"ErrorType": type(error).__name__, "ErrorMessage": error.message}}
    else:
        text = outcome.payload.decode("utf-8", "replace")
        details = {"Result": text}
        if outcome.error is not None:
            said = json.loads(text)
            details = {"Error": {"ErrorType": said.get("errorType"), "ErrorMessage": said.get("errorMessage")}}
        elif len(outcome.payload) > CHAINED_BYTES_MAX:
            most = f"CHAINED_INVOKE output payload size must be less than or equal to {CHAINED_BYTES_MAX} bytes."
            details = {"Error": {"ErrorMessage": most}}

    def done(inner: Context) -> None:
        kept.WORK.delete(inner.tx, *key, operation_id)
        execution = kept.EXECUTIONS.get(inner.tx, *key)
        if execution is not None:
            executions.settle(inner, execution, operation_id, "FAILED" if "Error" in details else "SUCCEEDED", details)

    ctx.transact(done)


CONTINUER = Continuer()
DURABLE = Worker(WORKER, CONTINUER.step, (kept.TOPIC,))


def start(wake: Callable[[], None]) -> None:
    """Called before the first request."""
    CONTINUER.wake = wake
    waiting.STOPPING.clear()


def begin_to_stop() -> None:
    """Nobody waits any longer for an execution to end."""
    waiting.STOPPING.set()
