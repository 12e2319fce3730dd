"""Carries outcomes from the committing thread back to the event loop: one wake-up for a whole group of them."""

import asyncio
import collections
from typing import Any


class Mailback:
    """Sets futures of one event loop from other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: collections.deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = collections.deque()
        self._scheduled = False

    def deliver(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Set the future's outcome. Called on any thread."""
        self._ready.append((future, result, error))
        # Read and written without a lock: at worst two drains are scheduled, and the second one finds nothing.
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        ready = self._ready
        while ready:
            future, result, error = ready.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
