"""Once: an effect that an invocation had already, when the same invocation is repeated.

A function that reads a stream is invoked again with the same records after a crash, and calls other services again. Such an
invocation carries a trace id with a `Batch` field that names its records, and AWS's SDKs send the trace id on with every call.
A service that appends asks here first: the n-th append of the same bytes by the same batch is the one it already has.
It works for calls that repeat byte by byte; a function that adds the time of day makes new ones.

Layout: ("once", space…, batch, digest of the bytes) → `_Seen`, and a timer that forgets it.
"""

import hashlib
from collections.abc import Callable

import msgspec

from headrace.layers import timer
from headrace.layers.records import Records
from headrace.store.api import Transaction
from headrace.store.tuples import Item

# A stream keeps its records for a day, so nothing is repeated later than that.
KEPT_SECONDS = 24 * 3600.0
FORGET_COUNT_MAX = 500


class _Seen(msgspec.Struct, array_like=True):
    """The results of the appends so far; which attempt asked last, and how often it has asked."""

    results: list[int]
    attempt: str
    asked: int


_SEEN = Records(("once",), _Seen)
_TIMERS: tuple[Item, ...] = ("once",)


def trace_id(batch: str, attempt: str, began_at: float) -> str:
    """An X-Amzn-Trace-Id for one attempt (16 hexadecimal digits) at a batch (24 of them)."""
    return f"Root=1-{int(began_at):08x}-{batch};Parent={attempt};Sampled=0;Batch={batch}"


def append_once(tx: Transaction, space: tuple[Item, ...], trace: str, data: bytes, now: float, append: Callable[[], int]) -> int:
    """The result of append(), or the one it had when an earlier attempt of the same batch appended the same bytes."""
    fields = dict(part.split("=", 1) for part in trace.split(";") if "=" in part)
    batch, attempt = fields.get("Batch", ""), fields.get("Parent", "")
    if not batch or not attempt or len(trace) > 500:
        return append()
    key = (*space, batch, hashlib.blake2b(data, digest_size=16).digest())
    seen = _SEEN.get(tx, *key)
    if seen is None:
        seen = _Seen([], attempt, 0)
        timer.start(tx, _TIMERS, now + KEPT_SECONDS, key)
    if seen.attempt != attempt:
        seen.attempt, seen.asked = attempt, 0
    if seen.asked == len(seen.results):
        seen.results.append(append())
    result = seen.results[seen.asked]
    seen.asked += 1
    _SEEN.put(tx, seen, *key)
    return result


def forget(tx: Transaction, now: float) -> int:
    """Forget what can't be repeated any more; how many entries there were (at most 500 at a time)."""
    due = timer.due(tx, _TIMERS, now, FORGET_COUNT_MAX)
    for due_at, key, _ in due:
        timer.cancel(tx, _TIMERS, due_at, key)
        _SEEN.delete(tx, *key)
    return len(due)
