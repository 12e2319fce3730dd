"""Bytes in and out: messages of the protocol on a blocking socket."""

import socket
import struct
from collections.abc import Iterable

from headrace.services.redshift.engine.failures import SqlError

MESSAGE_LIMIT_BYTES = 64 * 1024 * 1024
FLUSH_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST, PROTOCOL_3 = 80877103, 80877104, 80877102, 196608


class Gone(Exception):
    """The client is no longer there."""


class Wire:
    """One client's socket, with a buffer each way."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._in = bytearray()
        self._out = bytearray()

    def _need(self, count: int) -> None:
        while len(self._in) < count:
            try:
                data = self.socket.recv(_RECEIVE_BYTES)
            except TimeoutError:
                raise SqlError("57P05", "terminating connection due to idle timeout") from None
            except OSError:
                raise Gone from None
            if not data:
                raise Gone
            self._in += data

    def _take(self, count: int) -> bytes:
        self._need(count)
        data = bytes(self._in[:count])
        del self._in[:count]
        return data

    def startup(self) -> tuple[int, bytes]:
        """The first message, which has no type: (code, rest)."""
        (length,) = struct.unpack("!i", self._take(4))
        if not 8 <= length <= 10_000:
            raise Gone
        body = self._take(length - 4)
        return struct.unpack_from("!i", body)[0], body[4:]

    def message(self) -> tuple[bytes, bytes]:
        """The next message: (type, body)."""
        head = self._take(5)
        (length,) = struct.unpack_from("!i", head, 1)
        if not 4 <= length <= MESSAGE_LIMIT_BYTES:
            raise SqlError("54000", f"a message of {length} bytes is over the limit of {MESSAGE_LIMIT_BYTES}")
        return head[:1], self._take(length - 4)

    @property
    def next_is_sync(self) -> bool:
        """Whether a Sync has already arrived and comes next."""
        return self._in[:1] == b"S"

    def send(self, kind: bytes, body: bytes = b"") -> None:
        """Put a message into the buffer; it leaves when the buffer is full or at `flush`."""
        self._out += kind + struct.pack("!i", len(body) + 4) + body
        if len(self._out) > FLUSH_BYTES:
            self.flush()

    def send_raw(self, data: bytes) -> None:
        """Put finished messages into the buffer."""
        self._out += data
        if len(self._out) > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send the buffer."""
        if self._out:
            try:
                self.socket.sendall(self._out)
            except OSError:
                raise Gone from None
            self._out = bytearray()

    def error(self, error: SqlError, severity: str = "ERROR") -> None:
        """ErrorResponse, or NoticeResponse for a warning."""
        fields = [
            ("S", severity),
            ("V", severity),
            ("C", error.sqlstate),
            ("M", error.message),
            ("D", error.detail),
            ("H", error.hint),
        ]
        if error.position:
            fields.append(("P", str(error.position)))
        body = b"".join(key.encode() + text.encode() + b"\0" for key, text in fields if text) + b"\0"
        self.send(b"E" if severity in ("ERROR", "FATAL") else b"N", body)

    def close(self) -> None:
        """Let the socket go."""
        try:
            self.socket.close()
        except OSError:
            return


def strings(body: bytes) -> list[str]:
    """The zero-terminated strings of a message."""
    return [part.decode() for part in body.split(b"\0")]


def cstrings(values: Iterable[str]) -> bytes:
    """Zero-terminated strings."""
    return b"".join(value.encode() + b"\0" for value in values)
