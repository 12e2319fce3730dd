"""What runs by itself: steps of work, repeated, each woken by its topics or by the time.

A worker's step does what work is there, at most a bounded piece, and says when it wants to run again. It runs in a thread, and
never twice at the same time in one process; which *process* does the work is decided by leases in the store.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from headrace.store.signals import Signals

# Another process may have written what nobody announces here, so everybody looks now and then.
LOOK_AGAIN_SECONDS = 5.0
FAILURE_WAIT_MIN_SECONDS = 0.1
FAILURE_WAIT_MAX_SECONDS = 30.0
THREADS_MAX = 128

log = logging.getLogger(__name__)


class Worker(msgspec.Struct, frozen=True):
    """Something that runs by itself.

    `step(ctx)` returns the seconds until it wants to run again (0: at once), or None: when one of its topics is announced,
    and every five seconds anyway. An exception is logged, and the step is tried again after a growing wait.
    """

    name: str
    step: Callable[[Any], float | None]
    topics: tuple[bytes, ...] = ()


class _Job:
    """A worker in a runner. `wakes` counts announcements, so that one that comes while the step runs is not lost."""

    __slots__ = ("due_at", "failures", "removed", "running", "stops", "wakes", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.due_at = 0.0
        self.running = False
        self.removed = False
        self.wakes = 0
        self.failures = 0
        self.stops: list[Callable[[], None]] = []


class Runner:
    """Runs workers on threads. `context()` makes the context that each step gets."""

    def __init__(self, context: Callable[[str], Any], signals: Signals) -> None:
        self._context = context
        self._signals = signals
        self._jobs: dict[str, _Job] = {}
        self._due: list[tuple[float, int, _Job]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="worker")
        self._scheduler = threading.Thread(target=self._schedule, name="workers", daemon=True)
        self._scheduler.start()

    def add(self, worker: Worker) -> None:
        """Start a worker, unless one of its name runs already."""
        with self._changed:
            if worker.name in self._jobs or self._stopping:
                return
            job = self._jobs[worker.name] = _Job(worker)
            job.stops = [self._signals.listen(topic, lambda: self._wake(job)) for topic in worker.topics]
            self._push(job, 0.0)

    def remove(self, name: str) -> None:
        """Stop a worker after the step that it is in, if any."""
        with self._changed:
            job = self._jobs.pop(name, None)
            if job is not None:
                self._drop(job)

    def names(self) -> list[str]:
        """The workers that run."""
        return list(self._jobs)

    def wake(self, names: Iterable[str]) -> None:
        """Let workers look at once."""
        for name in names:
            job = self._jobs.get(name)
            if job is not None:
                self._wake(job)

    def wake_all(self) -> None:
        """Let everybody look at once: the clock was moved."""
        self.wake(list(self._jobs))

    def stop(self) -> None:
        """Begin no further step, and wait for those that run."""
        with self._changed:
            self._stopping = True
            for job in self._jobs.values():
                self._drop(job)
            self._jobs.clear()
            self._changed.notify()
        self._scheduler.join()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _drop(self, job: _Job) -> None:
        job.removed = True
        for stop in job.stops:
            stop()

    def _wake(self, job: _Job) -> None:
        with self._changed:
            job.wakes += 1
            if not job.running and not job.removed and job.due_at > 0.0:
                self._push(job, 0.0)

    def _push(self, job: _Job, due_at: float) -> None:
        job.due_at = due_at
        heapq.heappush(self._due, (due_at, next(self._order), job))
        if self._due[0][2] is job:
            self._changed.notify()

    def _schedule(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(None if not self._due else self._due[0][0] - time.monotonic())
                if self._stopping:
                    return
                due_at, _, job = heapq.heappop(self._due)
                # A job that was woken stands in the heap twice; only its newest place counts.
                if job.running or job.removed or due_at != job.due_at:
                    continue
                job.running = True
                wakes = job.wakes
            self._threads.submit(self._step, job, wakes)

    def _step(self, job: _Job, wakes: int) -> None:
        try:
            wait = job.worker.step(self._context(job.worker.name))
            job.failures = 0
        except Exception:
            wait = min(FAILURE_WAIT_MIN_SECONDS * 2**job.failures, FAILURE_WAIT_MAX_SECONDS)
            job.failures = min(job.failures + 1, 10)
            if not self._stopping:
                log.exception("worker %s failed; it is tried again in %.1f s", job.worker.name, wait)
        with self._changed:
            job.running = False
            if job.removed:
                return
            woken = job.wakes != wakes and not job.failures
            wait = 0.0 if woken else LOOK_AGAIN_SECONDS if wait is None else min(wait, LOOK_AGAIN_SECONDS)
            self._push(job, time.monotonic() + wait)
