"""A body without an end, read while it is answered: what a video producer sends for hours."""

import asyncio
import collections
import contextlib
import logging
import threading
from typing import Any

from headrace.gateway.body import ArrivingBody

# What has come and was not taken yet; then the sender waits.
WAITING_SIZE_MAX_BYTES = 512 << 10
# A connection that breaks over HTTP/2 ends the body first, and is known to be broken a moment later.
BROKEN_WAIT_SECONDS = 0.02


log = logging.getLogger(__name__)


class EndlessBody(ArrivingBody):
    """A `BodyReader` that also gives what has come so far. A task takes it from the network, a bounded way ahead."""

    def __init__(
        self, protocol: Any, loop: asyncio.AbstractEventLoop, decoder: Any, length: int | None, *, chunked: bool
    ) -> None:
        super().__init__(protocol, loop, decoder, length, 0)
        self._protocol = protocol
        self._chunked = chunked
        self._changed = threading.Condition()
        self._waiting: collections.deque[bytes] = collections.deque()
        self._waiting_bytes = 0
        self._finished = False
        self._broken = False
        self._room = asyncio.Event()
        self._started = False
        self._taking: asyncio.Task[None] | None = None

    def receive(self, timeout_seconds: float) -> bytes | None:
        """What has come: None when nothing did within the time, empty at the end. ConnectionError when it was cut off."""
        if not self._started:
            self._started = True
            self._loop.call_soon_threadsafe(self._start)
        with self._changed:
            if not self._waiting and not self._finished:
                self._changed.wait(timeout_seconds)
            if self._waiting:
                raw = b"".join(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
            elif not self._finished:
                return None
            elif self._broken:
                raise ConnectionAbortedError("the sender went away")
            else:
                return b""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._room.set)
        # As it is, whatever was declared: AWS's Java producer signs chunks that it does not make.
        return raw

    def _next(self) -> bytes:
        part = self.receive(60.0)
        self._ended = part == b""
        return part or b""

    def close(self) -> None:
        """Take nothing more. Called on the event loop."""
        if self._taking is not None:
            self._taking.cancel()
        self._end(broken=True)

    def _start(self) -> None:
        if not self._finished:
            self._taking = self._loop.create_task(self._take_in())

    async def _take_in(self) -> None:
        received_bytes = empty = 0
        try:
            # Not `anext` with a default: CPython 3.11 crashes on it with the server's own awaitables.
            while True:
                part = await anext(self._parts)
                # The server gives an empty part at the end of a body; and one more before it if the body was cut off.
                empty = 0 if part else empty + 1
                received_bytes += len(part)
                await self._keep(part)
        except StopAsyncIteration:
            self._end(broken=await self._was_cut(received_bytes, empty))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.debug("a body broke off", exc_info=True)
            self._end(broken=True)

    async def _keep(self, part: bytes) -> None:
        if not part:
            return
        with self._changed:
            self._waiting.append(part)
            self._waiting_bytes += len(part)
            full = self._waiting_bytes >= WAITING_SIZE_MAX_BYTES
            self._room.clear()
            self._changed.notify()
        if full:
            await self._room.wait()

    async def _was_cut(self, received_bytes: int, empty: int) -> bool:
        if self.length is not None:
            return received_bytes < self.length
        if self._chunked:
            return empty > 1
        gone = asyncio.ensure_future(_disconnected(self._protocol))
        done, _ = await asyncio.wait({gone}, timeout=BROKEN_WAIT_SECONDS)
        gone.cancel()
        return bool(done)

    def _end(self, *, broken: bool) -> None:
        with self._changed:
            if not self._finished:
                self._finished, self._broken = True, broken
            self._changed.notify()


async def _disconnected(protocol: Any) -> None:
    await protocol.client_disconnect()
