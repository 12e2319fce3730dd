"""Request bodies: read whole within a bound, or handed to an operation while they arrive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from headrace.kit.errors import AwsError, RequestEntityTooLarge
from headrace.wire.body import BodyDecoder, IncompleteBody

# DynamoDB, Kinesis and Firehose take 16 MiB at most; Lambda's largest upload in a request is 50 MiB in base64.
BUFFERED_SIZE_MAX_BYTES = 70 << 20
# Smaller streamed bodies are read at once: most S3 objects, and it spares the thread's hops.
AT_ONCE_SIZE_MAX_BYTES = 1 << 20
# Bodies up to this size are counted before they arrive, larger ones piece by piece.
RESERVED_AT_ONCE_MAX_BYTES = 64 << 10
SILENCE_MAX_SECONDS = 60.0
# All bodies that are held at one time.
HELD_SIZE_MAX_BYTES = 512 << 20


class RequestTimeout(AwsError):
    """The sender of a body fell silent."""

    code = "RequestTimeout"


class SlowDown(AwsError):
    """All memory for request bodies is in use."""

    code = "SlowDown"
    status = 503


class Held:
    """Counts the bytes of all bodies in memory."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def reserve(self, size_bytes: int) -> None:
        """Count bytes in; SlowDown when it would be too many."""
        if self.size_bytes + size_bytes > HELD_SIZE_MAX_BYTES:
            raise SlowDown("Please reduce your request rate.")
        self.size_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Count bytes out."""
        self.size_bytes -= size_bytes


def declared_length(headers: Mapping[str, str]) -> int | None:
    """The Content-Length, or None without a sensible one."""
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 16 else None


class SilenceWatch:
    """Gives up on senders that fall silent: one look every few seconds at all bodies that are being read."""

    def __init__(self) -> None:
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch on this loop."""
        self._loop = loop
        self._look()

    def begin(self) -> asyncio.Task[Any]:
        """The running task begins to wait for a body."""
        task = asyncio.current_task()
        assert task is not None
        assert self._loop is not None
        self._reading[task] = self._loop.time()
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """The task has it."""
        self._reading.pop(task, None)

    def _look(self) -> None:
        assert self._loop is not None
        limit = self._loop.time() - SILENCE_MAX_SECONDS
        for task in [task for task, since in self._reading.items() if since < limit]:
            self._reading.pop(task, None)
            task.cancel()
        self._loop.call_later(SILENCE_MAX_SECONDS / 10, self._look)


async def read_small(protocol: Any, watch: SilenceWatch) -> bytes:
    """A body whose length is known and was counted; RequestTimeout when it stops arriving."""
    task = watch.begin()
    try:
        body: bytes = await protocol()
        return body
    except asyncio.CancelledError:
        raise _silent() from None
    finally:
        watch.end(task)


async def read_whole(
    protocol: Any, length: int | None, limit_bytes: int, watch: SilenceWatch, reserve: Callable[[int], None] = lambda _: None
) -> bytes:
    """The whole body; RequestEntityTooLarge above the limit, RequestTimeout when it stops arriving.

    `reserve` counts bytes before they are kept, as they come: or a few senders who announce much and send nothing would take
    the room of all.
    """
    if length == 0:
        return b""
    if length is not None and length > limit_bytes:
        raise RequestEntityTooLarge(f"The request body is larger than {limit_bytes} bytes.")
    task = watch.begin()
    try:
        parts = []
        size_bytes = 0
        async for part in protocol:
            size_bytes += len(part)
            if size_bytes > limit_bytes:
                raise RequestEntityTooLarge(f"The request body is larger than {limit_bytes} bytes.")
            reserve(len(part))
            parts.append(part)
        if length not in (None, size_bytes):
            raise IncompleteBody("You did not provide the number of bytes specified by the Content-Length HTTP header")
        return b"".join(parts)
    except asyncio.CancelledError:
        raise _silent() from None
    finally:
        watch.end(task)


def _silent() -> RequestTimeout:
    return RequestTimeout("Your socket connection to the server was not read from or written to in time.")


class WholeBody:
    """A `BodyReader` over bytes that are there."""

    def __init__(self, body: bytes) -> None:
        self.length: int | None = len(body)
        self._body = body
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all with -1."""
        end = len(self._body) if size < 0 else self._position + size
        part = self._body[self._position : end]
        self._position += len(part)
        return part

    def __iter__(self) -> Iterator[bytes]:
        """The rest in one piece."""
        if part := self.read():
            yield part


class ArrivingBody:
    """A `BodyReader` over a body that is still arriving. Read in a thread; each piece is fetched from the event loop."""

    def __init__(
        self, protocol: Any, loop: asyncio.AbstractEventLoop, decoder: BodyDecoder, length: int | None, limit_bytes: int
    ) -> None:
        self.length = length
        self._parts: AsyncIterator[bytes] = protocol.__aiter__()
        self._loop = loop
        self._decoder = decoder
        self._limit_bytes = limit_bytes
        self._received_bytes = 0
        self._left = b""
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all with -1. Empty only at the end."""
        if size < 0:
            return b"".join(self)
        while not self._left and not self._ended:
            self._left = self._next()
        part, self._left = self._left[:size], self._left[size:]
        return part

    def __iter__(self) -> Iterator[bytes]:
        """The rest, piece by piece."""
        if self._left:
            left, self._left = self._left, b""
            yield left
        while not self._ended:
            if part := self._next():
                yield part

    def _next(self) -> bytes:
        raw = asyncio.run_coroutine_threadsafe(self._fetch(), self._loop).result()
        if raw is None:
            self._ended = True
            self._decoder.finish()
            return b""
        self._received_bytes += len(raw)
        if self._received_bytes > self._limit_bytes:
            raise RequestEntityTooLarge(f"The request body is larger than {self._limit_bytes} bytes.")
        return self._decoder.feed(raw)

    async def _fetch(self) -> bytes | None:
        try:
            return await asyncio.wait_for(anext(self._parts), SILENCE_MAX_SECONDS)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise _silent() from None
