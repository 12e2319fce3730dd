"""Lets the event loop hold still while the committing thread runs transactions.

Both need the interpreter's lock, so they can't run side by side anyway; but LMDB's binding gives the lock away at every call, and
a thread that competes for it gets it back late. Handing it over once for a whole group of transactions tripled the rate of
PutRecord (see docs/decisions/0007). The fsync that follows runs beside the loop.
"""

import asyncio
import threading
from collections.abc import Callable

# The loop may be busy, but not for so long; then the work is done beside it.
GRANT_WAIT_SECONDS = 0.25


class LoopPause:
    """Stops one event loop for the length of a piece of work of another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended = False

    def run(self, work: Callable[[], None]) -> None:
        """Run the work on this thread while the loop holds still."""
        if self._ended:
            work()
            return
        visit = _Visit()
        try:
            self._loop.call_soon_threadsafe(visit.hold)
        except RuntimeError:
            work()
            return
        visit.granted.acquire(timeout=GRANT_WAIT_SECONDS)
        try:
            work()
        finally:
            visit.done.release()

    def end(self) -> None:
        """Pause no more: the loop is about to stop."""
        self._ended = True


class _Visit:
    """One pause: the loop grants it, and waits until it is done. One that comes too late finds it done already."""

    __slots__ = ("done", "granted")

    def __init__(self) -> None:
        self.granted = threading.Lock()
        self.granted.acquire()
        self.done = threading.Lock()
        self.done.acquire()

    def hold(self) -> None:
        self.granted.release()
        self.done.acquire()
