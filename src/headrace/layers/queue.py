"""A queue of jobs: taken under a time limit, and taken again when they were not done by then.

Each job has a number and a time from which it may be taken. `take` moves that time into the future, so a job whose taker died
comes back by itself; `done` removes it. The order is that of the times, then of the numbers.
"""

from typing import NamedTuple

import msgspec

from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction
from headrace.store.tuples import Item


class Job(NamedTuple):
    """A job that was taken: its number, how often it was taken (this time included), since when it waits, its body."""

    number: int
    attempts: int
    queued_at: float
    body: bytes
    visible_at: float


class _Row(msgspec.Struct, array_like=True):
    attempts: int
    queued_at: float
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Row).decode


def put(tx: Transaction, queue: tuple[Item, ...], body: bytes, now: float, *, visible_at: float | None = None) -> int:
    """Add a job that may be taken at once, or from a time on; its number."""
    counter = tuples.pack(("queue", *queue, 0))
    raw = tx.get(counter)
    number = (int.from_bytes(raw, "big") if raw else 0) + 1
    tx.set(counter, number.to_bytes(8, "big"))
    tx.set(_key(queue, now if visible_at is None else visible_at, number), _encode(_Row(0, now, body)))
    tx.announce(topic(queue))
    return number


def take(tx: Transaction, queue: tuple[Item, ...], now: float, hold_seconds: float, limit: int = 1) -> list[Job]:
    """Jobs that may be taken now; each comes back after `hold_seconds` unless it is done by then."""
    begin = tuples.range_of(("queue", *queue, 1))[0]
    end = tuples.pack(("queue", *queue, 1, now)) + b"\xff"
    jobs = []
    for key, raw in list(tx.range(begin, end, limit=limit)):
        row = _decode(raw)
        number = tuples.unpack(key)[-1]
        assert isinstance(number, int)
        tx.clear(key)
        row.attempts += 1
        tx.set(_key(queue, now + hold_seconds, number), _encode(row))
        jobs.append(Job(number, row.attempts, row.queued_at, row.body, now + hold_seconds))
    return jobs


def done(tx: Transaction, queue: tuple[Item, ...], job: Job) -> None:
    """Remove a job that was taken."""
    tx.clear(_key(queue, job.visible_at, job.number))


def put_back(tx: Transaction, queue: tuple[Item, ...], job: Job, visible_at: float) -> None:
    """Let a job that was taken come back at a time of its own."""
    if tx.get(_key(queue, job.visible_at, job.number)) is None:
        return
    tx.clear(_key(queue, job.visible_at, job.number))
    tx.set(_key(queue, visible_at, job.number), _encode(_Row(job.attempts, job.queued_at, job.body)))
    tx.announce(topic(queue))


def next_at(tx: ReadTransaction, queue: tuple[Item, ...]) -> float | None:
    """When the next job may be taken, or None when there is none."""
    for key, _ in tx.range(*tuples.range_of(("queue", *queue, 1)), limit=1):
        visible_at = tuples.unpack(key)[-2]
        assert isinstance(visible_at, float)
        return visible_at
    return None


def topic(queue: tuple[Item, ...]) -> bytes:
    """The topic that is announced when a job is added."""
    return b"queue:" + tuples.pack(queue)


def _key(queue: tuple[Item, ...], visible_at: float, number: int) -> bytes:
    return tuples.pack(("queue", *queue, 1, float(visible_at), number))
