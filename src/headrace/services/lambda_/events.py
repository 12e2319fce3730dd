"""Asynchronous invocations: queued durably, run, retried, and in the end sent where somebody finds them.

An event is tried again after errors of its function (twice, after one and two minutes, unless the function says otherwise), and
for as long as it is young enough when there was no room for it. Its outcome goes to the function's destinations.
"""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from headrace.kit.errors import AwsError
from headrace.layers import queue
from headrace.operation import Context
from headrace.services.lambda_ import destinations, invocations, limits, lineage, naming, reports, state
from headrace.services.lambda_.durable import executions
from headrace.services.lambda_.engine.function import Outcome
from headrace.services.lambda_.errors import RecursiveInvocationException, ResourceNotFoundException, TooManyRequestsException
from headrace.services.lambda_.invocations import RUNTIME, Target
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import EVENTS, EventConfig, Version
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction

WORKER = "lambda-events"
_PIECE_BYTES = 48 * 1024

log = logging.getLogger(__name__)


class Event(msgspec.Struct):
    """A queued event. A large payload lies in `pieces` rows beside it."""

    request_id: str
    account: str
    region: str
    function: str
    qualifier: str | None
    payload: bytes
    pieces: int
    queued_at: float
    client_context: str | None = None
    failures: int = 0
    throttles: int = 0
    trace: str = ""

    @property
    def name(self) -> FunctionName:
        """What it is for."""
        return FunctionName(self.account, self.region, self.function, self.qualifier)


def put(ctx: Context, name: FunctionName, payload: bytes, request_id: str, client_context: str | None) -> None:
    """Queue an event, in the running transaction."""
    pieces = [payload[start : start + _PIECE_BYTES] for start in range(0, len(payload), _PIECE_BYTES)]
    event = Event(
        request_id, *name, payload=payload if len(pieces) == 1 else b"", pieces=len(pieces) if len(pieces) > 1 else 0,
        queued_at=ctx.clock.now(), client_context=client_context, trace=ctx.trace_id,
    )  # fmt: skip
    if event.pieces:
        for number, piece in enumerate(pieces):
            ctx.tx.set(_piece_key(request_id, number), piece)
    queue.put(ctx.tx, EVENTS, msgspec.msgpack.encode(event), ctx.clock.now())


def payload_of(tx: ReadTransaction, event: Event) -> bytes:
    """An event's payload."""
    if not event.pieces:
        return event.payload
    return b"".join(tx.get(_piece_key(event.request_id, number)) or b"" for number in range(event.pieces))


class Dispatcher:
    """Takes events from the queue and runs them beside each other."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._free = threading.Semaphore(0)
        self._lock = threading.Lock()
        self.wake: Callable[[], None] = lambda: None

    def step(self, ctx: Context) -> float | None:
        """Take as many events as there is room for."""
        room = self._room(ctx)
        if not room:
            return None
        taken = ctx.transact(lambda inner: self._take(inner, room))
        for _ in range(room - len(taken)):
            self._free.release()
        assert self._threads is not None
        for job, event in taken:
            self._threads.submit(self._run, ctx.at(event.account, event.region), job, event)
        if len(taken) == room:
            return None
        next_at = ctx.snapshot(lambda inner: queue.next_at(inner.tx, EVENTS))
        return None if next_at is None else max(0.0, next_at - ctx.clock.now())

    def stop(self) -> None:
        """Begin no more; events that run are taken again after the next start, unless they end in time."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _room(self, ctx: Context) -> int:
        with self._lock:
            if self._threads is None:
                size = max(1, ctx.settings.lambda_concurrency)
                self._threads = ThreadPoolExecutor(size, thread_name_prefix=WORKER)
                self._free = threading.Semaphore(size)
        room = 0
        while self._free.acquire(blocking=False):
            room += 1
        return room

    def _take(self, ctx: Context, limit: int) -> list[tuple[queue.Job, Event]]:
        now = ctx.clock.now()
        found = []
        for job in queue.take(ctx.tx, EVENTS, now, limits.EVENT_HOLD_MARGIN_SECONDS, limit):
            event = msgspec.msgpack.decode(job.body, type=Event)
            version = state.VERSIONS.get(ctx.tx, event.account, event.region, event.function, 0)
            hold = limits.EVENT_HOLD_MARGIN_SECONDS + 2 * (version.timeout_seconds if version is not None else 0)
            queue.put_back(ctx.tx, EVENTS, job, now + hold)
            found.append((job._replace(visible_at=now + hold), event))
        return found

    def _run(self, ctx: Context, job: queue.Job, event: Event) -> None:
        try:
            handle(ctx, job, event)
        except Exception:
            log.exception("an event of %s could not be handled; it will be taken again", event.function)
        finally:
            self._free.release()
            self.wake()


def handle(ctx: Context, job: queue.Job, event: Event) -> None:
    """Run one event, and decide what becomes of it."""
    payload = ctx.snapshot(lambda inner: payload_of(inner.tx, event))
    try:
        target, config = ctx.snapshot(lambda inner: (invocations.target(inner, event.name), config_of(inner.tx, event.name)))
    except ResourceNotFoundException:
        _finish(ctx, job, event)  # the function was removed: AWS drops its events too
        return
    age_max = config.age_seconds_max or limits.EVENT_AGE_SECONDS_DEFAULT
    if ctx.clock.now() - event.queued_at > age_max:
        _give_up(ctx, job, event, payload, target, config, "EventAgeExceeded", None)
        return
    if target.version.durable is not None:
        try:
            ctx.transact(lambda inner: _begin_execution(inner, job, event, payload, target.version))
        except RecursiveInvocationException:
            _give_up(ctx, job, event, payload, target, config, "RecursiveInvocation", None)
        return
    # What is sent because of this run is of its chain.
    trace = event.trace or lineage.begin(event.request_id, event.queued_at)
    ctx.trace_id = lineage.advance(trace, naming.function_arn(*event.name[:3]))
    try:
        outcome = RUNTIME.run(
            ctx,
            target,
            naming.named_arn(event.name),
            payload,
            request_id=event.request_id,
            client_context=event.client_context,
            trace=trace,
        )
    except RecursiveInvocationException:
        _give_up(ctx, job, event, payload, target, config, "RecursiveInvocation", None)
        return
    except (TooManyRequestsException, AwsError) as error:
        log.debug("%s: no room for an event yet: %s", event.function, error)
        event.throttles += 1
        wait = min(limits.EVENT_THROTTLE_WAIT_SECONDS_MIN * 2 ** (event.throttles - 1), limits.EVENT_THROTTLE_WAIT_SECONDS_MAX)
        _again(ctx, job, event, wait)
        return
    if outcome.error is None:
        if config.on_success:
            record = _record(ctx, event, payload, target, outcome, "Success")
            destinations.send(ctx, config.on_success, record, event.function, target.version.role)
        _finish(ctx, job, event)
        return
    event.failures += 1
    retried_max = config.attempts_retried_max
    if retried_max is None:
        retried_max = limits.EVENT_ATTEMPTS_RETRIED_DEFAULT
    if event.failures > retried_max:
        _give_up(ctx, job, event, payload, target, config, "RetriesExhausted", outcome)
    else:
        waits = limits.EVENT_RETRY_SECONDS
        _again(ctx, job, event, waits[min(event.failures, len(waits)) - 1])


def _begin_execution(ctx: Context, job: queue.Job, event: Event, payload: bytes, version: Version) -> None:
    """An event of a durable function is an execution from now on."""
    executions.begin(ctx, version, payload, event.request_id, trace=event.trace)
    queue.done(ctx.tx, EVENTS, job)
    _clear_pieces(ctx.tx, event)


def config_of(tx: ReadTransaction, name: FunctionName) -> EventConfig:
    """How events for a function, version or alias are retried."""
    return state.EVENT_CONFIGS.get(tx, *name[:3], name.qualifier or naming.LATEST) or EventConfig(0.0)


def _again(ctx: Context, job: queue.Job, event: Event, wait_seconds: float) -> None:
    changed = job._replace(body=msgspec.msgpack.encode(event))
    ctx.transact(lambda inner: queue.put_back(inner.tx, EVENTS, changed, inner.clock.now() + wait_seconds))


def _finish(ctx: Context, job: queue.Job, event: Event) -> None:
    def body(inner: Context) -> None:
        queue.done(inner.tx, EVENTS, job)
        _clear_pieces(inner.tx, event)

    ctx.transact(body)


def _clear_pieces(tx: Transaction, event: Event) -> None:
    for number in range(event.pieces):
        tx.clear(_piece_key(event.request_id, number))


def _give_up(
    ctx: Context, job: queue.Job, event: Event, payload: bytes, target: Target, config: EventConfig, condition: str,
    outcome: Outcome | None,
) -> None:  # fmt: skip
    if config.on_failure:
        record = _record(ctx, event, payload, target, outcome, condition)
        destinations.send(ctx, config.on_failure, record, event.function, target.version.role)
    if target.version.dead_letter_arn:
        message = _as_json(outcome.payload) if outcome is not None else None
        text = message.get("errorMessage", "") if isinstance(message, dict) else condition
        attributes = {"RequestID": event.request_id, "ErrorCode": "200", "ErrorMessage": str(text)[:1024]}
        destinations.send(ctx, target.version.dead_letter_arn, payload, event.function, target.version.role, attributes)
    if not config.on_failure and not target.version.dead_letter_arn:
        RUNTIME.reporter.metrics(ctx, reports.count("AsyncEventsDropped", event.function))
    _finish(ctx, job, event)


def _record(ctx: Context, event: Event, payload: bytes, target: Target, outcome: Outcome | None, condition: str) -> bytes:
    """AWS's invocation record."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": destinations.timestamp(ctx.clock.now()),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": naming.named_arn(event.name._replace(qualifier=event.qualifier or naming.LATEST)),
            "condition": condition,
            "approximateInvokeCount": event.failures + (outcome is not None and outcome.error is None),
        },
        "requestPayload": _as_json(payload),
    }
    if outcome is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": target.version.version}
        if outcome.error is not None:
            context["functionError"] = outcome.error
        record["responseContext"] = context
        record["responsePayload"] = _as_json(outcome.payload)
    return json.dumps(record, ensure_ascii=False).encode()


def _as_json(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else {}
    except ValueError:
        return payload.decode("utf-8", "replace")


def _piece_key(request_id: str, number: int) -> bytes:
    return tuples.pack(("lambda", "event-piece", request_id, number))
