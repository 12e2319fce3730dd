"""Tumbling windows of event source mappings: what a function makes of a window's records goes from one invocation to the next.

A record belongs to the window in which it came into the stream. The state that the function returns is kept with the number
of the last record that is in it, so a batch that is handed over again after a crash does not count twice. A window is over when a
record of a later one is read, or when its time is over and the shard has no more: then the function is invoked a last time.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from headrace.consumer import NotNow, Outcome
from headrace.operation import Context
from headrace.ports import SourceRecord
from headrace.services.lambda_ import limits, state
from headrace.services.lambda_.state import Mapping, Window

# A record that has its time may be visible a moment later.
LATE_SECONDS = 0.5
RETRY_WAIT_MIN_SECONDS = 0.1
RETRY_WAIT_MAX_SECONDS = 60.0
_encode = msgspec.json.Encoder().encode

# Invokes the function with a payload; what the records are, and what names the invocation when it is repeated.
Invoke = Callable[[Sequence[SourceRecord], bytes, str], tuple[Outcome, bytes]]


class Windows:
    """Hands records to functions window by window."""

    def __init__(self) -> None:
        # How often a window's last invocation failed, and when it may be made again.
        self._failed: dict[tuple[str, str], tuple[int, float]] = {}

    def handle(self, ctx: Context, mapping: Mapping, shard_id: str, records: Sequence[SourceRecord], invoke: Invoke) -> Outcome:
        """Invoke with each window's part of a batch, in order."""
        key = (mapping.id, shard_id)
        window = ctx.snapshot(lambda inner: state.WINDOWS.get(inner.tx, *key))
        left = _new(records, window)
        while left:
            first = left[0]
            if window is not None and first.arrived_at >= window.end:
                self._finish(ctx, mapping, shard_id, window, invoke)
                window = None
            elif window is not None and len(window.state) > limits.WINDOW_STATE_BYTES_MAX:
                window = self._finish(ctx, mapping, shard_id, window, invoke, early=True)
            if window is None:
                start = int(first.arrived_at) // mapping.tumbling_seconds * mapping.tumbling_seconds
                window = Window(start, start + mapping.tumbling_seconds)
            part, payload = _fitting(mapping, shard_id, window, left)
            outcome, answer = invoke(part, payload, "")
            new = _state_of(answer)
            if outcome.error is None and new is None:
                outcome = Outcome("the function's answer has no state")
            numbers = [record.sequence_number for record in part]
            done = len(part) if outcome.error is None else 0
            if outcome.failed_from in numbers:
                done = numbers.index(outcome.failed_from)
            if new is not None and done:
                window = Window(window.start, window.end, new, numbers[done - 1])
                _keep(ctx, key, window)
            if outcome.error is not None:
                place = left[done].sequence_number
                return outcome if place == records[0].sequence_number else Outcome(outcome.error, place)
            left = left[done:]
        return Outcome()

    def quiet(self, ctx: Context, mapping: Mapping, shard_id: str, invoke: Invoke, *, ended: bool) -> float | None:
        """Nothing waits in the shard: end the window whose time is over. In how many seconds to ask again."""
        window = ctx.snapshot(lambda inner: state.WINDOWS.get(inner.tx, mapping.id, shard_id))
        if window is None:
            return None
        left_seconds = window.end + LATE_SECONDS - ctx.clock.now()
        if left_seconds > 0 and not ended:
            return left_seconds
        self._finish(ctx, mapping, shard_id, window, invoke)
        return None

    def _finish(
        self, ctx: Context, mapping: Mapping, shard_id: str, window: Window, invoke: Invoke, *, early: bool = False
    ) -> Window:
        """The last invocation with a window's state. While it fails, the shard waits."""
        key = (mapping.id, shard_id)
        failures, not_before = self._failed.get(key, (0, 0.0))
        if ctx.clock.now() < not_before:
            raise NotNow
        name = f"{mapping.id} {shard_id} {window.start} {window.upto} {early}"
        payload = _event(mapping, shard_id, window, (), final=not early, early=early)
        outcome, _ = invoke((), payload, hashlib.sha256(name.encode()).hexdigest()[:24])
        if outcome.error is not None:
            wait = min(RETRY_WAIT_MIN_SECONDS * 2**failures, RETRY_WAIT_MAX_SECONDS)
            self._failed[key] = failures + 1, ctx.clock.now() + wait
            raise NotNow
        self._failed.pop(key, None)
        fresh = Window(window.start, window.end, upto=window.upto)
        if early:
            _keep(ctx, key, fresh)
        else:
            ctx.transact(lambda inner: state.WINDOWS.delete(inner.tx, *key))
        return fresh


def _keep(ctx: Context, key: tuple[str, str], window: Window) -> None:
    def body(inner: Context) -> None:
        if state.MAPPINGS.get(inner.tx, key[0]) is not None:
            state.WINDOWS.put(inner.tx, window, *key)

    ctx.transact(body)


def _new(records: Sequence[SourceRecord], window: Window | None) -> Sequence[SourceRecord]:
    """The records that are not in the window's state already."""
    for number, record in enumerate(records):
        if window is not None and record.sequence_number == window.upto:
            return records[number + 1 :]
    return records


def _fitting(
    mapping: Mapping, shard_id: str, window: Window, records: Sequence[SourceRecord]
) -> tuple[Sequence[SourceRecord], bytes]:
    """The first records that are the window's and small enough for an event, and the event."""
    count = next((n for n, record in enumerate(records) if record.arrived_at >= window.end), len(records))
    while True:
        payload = _event(mapping, shard_id, window, records[:count])
        if len(payload) <= limits.PAYLOAD_REQUEST_BYTES_MAX or count == 1:
            return records[:count], payload
        count //= 2


def _event(
    mapping: Mapping, shard_id: str, window: Window, records: Sequence[SourceRecord], *, final: bool = False, early: bool = False
) -> bytes:
    return _encode(
        {
            "Records": [record.event for record in records],
            "window": {"start": _timestamp(window.start), "end": _timestamp(window.end)},
            "state": msgspec.Raw(window.state),
            "shardId": shard_id,
            "eventSourceARN": mapping.source_arn,
            "isFinalInvokeForWindow": final,
            "isWindowTerminatedEarly": early,
        }
    )


def _state_of(answer: bytes) -> bytes | None:
    """The state in a function's answer."""
    try:
        said: Any = json.loads(answer)
    except ValueError:
        return None
    return _encode(said["state"]) if isinstance(said, dict) and isinstance(said.get("state"), dict) else None


def _timestamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
