"""The private line between the server and a warehouse process: calls in both directions over one Unix socket pair.

Only the two processes hold its ends, so nobody else can speak on it. When it ends, the other process is gone.
"""

import itertools
import logging
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

FRAME_LIMIT_BYTES = 256 * 1024 * 1024
CALLS_AT_ONCE = 32
log = logging.getLogger("headrace.redshift.control")


class RemoteError(Exception):
    """The other side refused or failed; `kind` is the name of its error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Channel:
    """One end of the line."""

    def __init__(self, connection: socket.socket, methods: Mapping[str, Callable[..., Any]], on_end: Callable[[], None]) -> None:
        self._socket = connection
        self._methods = methods
        self._on_end = on_end
        self._send_lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="redshift-control")
        self._ended = False

    def start(self) -> None:
        """Listen in the background."""
        threading.Thread(target=self._listen, name="redshift-control-in", daemon=True).start()

    def call(self, method: str, *, timeout_s: float | None = None, **arguments: Any) -> Any:
        """Call the other side. RemoteError when it fails there, ConnectionError when it is gone, TimeoutError."""
        number = next(self._numbers)
        future: Future[Any] = Future()
        self._waiting[number] = future
        try:
            self._send([number, True, method, arguments])
            return future.result(timeout_s)
        except OSError as error:
            raise ConnectionError("the other process is gone") from error
        finally:
            self._waiting.pop(number, None)

    def _send(self, message: list[Any]) -> None:
        body = msgspec.msgpack.encode(message)
        with self._send_lock:
            if self._ended:
                raise ConnectionError("the other process is gone")
            self._socket.sendall(struct.pack("!I", len(body)) + body)

    def _listen(self) -> None:
        reader = self._socket.makefile("rb", buffering=1 << 16)
        try:
            while head := reader.read(4):
                (size,) = struct.unpack("!I", head)
                if size > FRAME_LIMIT_BYTES:
                    break
                number, is_call, subject, content = msgspec.msgpack.decode(reader.read(size))
                if is_call:
                    self._pool.submit(self._serve, number, subject, content)
                elif future := self._waiting.get(number):
                    _settle(future, subject, content)
        except (OSError, ValueError, struct.error, msgspec.DecodeError):
            log.debug("the line was cut")
        self._end()

    def _end(self) -> None:
        self._ended = True
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(ConnectionError("the other process is gone"))
        self._pool.shutdown(wait=False)
        self._on_end()

    def _serve(self, number: int, method: str, arguments: dict[str, Any]) -> None:
        try:
            answer = [number, False, "", self._methods[method](**arguments)]
        except Exception as error:
            log.debug("a call failed", exc_info=error)
            kind = getattr(error, "sqlstate", type(error).__name__)
            answer = [number, False, kind, str(error) or kind]
        try:
            self._send(answer)
        except OSError:
            log.debug("the other process is gone")

    def close(self) -> None:
        """Cut the line."""
        self._ended = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the line was cut already")
        self._socket.close()


def _settle(future: "Future[Any]", kind: str, content: Any) -> None:
    if kind:
        future.set_exception(RemoteError(kind, content))
    else:
        future.set_result(content)
