"""AWS's Lambda Runtime API, spoken with one execution environment.

There is no server loop: whoever holds the environment drives its sockets, so handing an event over and getting its answer back
costs two system calls and no change of thread. Between invocations nothing is driven: the runtime's pending `/next` lies in
the socket. It belongs to this environment alone, so that of a dead one can't swallow another's invocation.
"""

import base64
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from headrace.services.lambda_ import limits

_CHUNK_BYTES = 256 * 1024
_HEADERS_KEPT_MAX = 512
_HEADERS_KEPT_BYTES_MAX = 1024
_STREAMED_HELD_BYTES_MAX = 4 * 1024 * 1024
_INVOCATION = re.compile(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)\Z")
_NEXT = "/2018-06-01/runtime/invocation/next"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_OTHERS = ("/2020-01-01/extension/", "/2022-07-01/telemetry", "/2020-08-15/logs")
_REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
_ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """What the runtime said: kind is `next`, `response`, `error`, `init_error`, or `part` of a streamed response.

    `other` is a request to another API on the same address, with its method, target and headers.
    """

    kind: str
    request_id: str = ""
    body: bytes = b""
    too_large_bytes: int = 0
    content_type: str = ""
    method: str = ""
    target: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Connection:
    """One connection of the runtime, with what has come in on it so far."""

    socket: socket.socket
    data: bytearray = field(default_factory=bytearray)
    head_bytes: int = 0
    body_bytes: int = 0
    skipped_bytes: int = 0
    request: tuple[str, str] = ("", "")
    content_type: str = ""
    chunked: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def receive(self) -> bool:
        """Take in what is there; False when the other side is gone or breaks the bounds."""
        try:
            while True:
                chunk = self.socket.recv(_CHUNK_BYTES, socket.MSG_DONTWAIT)
                if not chunk:
                    return False
                self.data += chunk
                if not self.chunked:
                    self._drop_excess()
                if len(chunk) < _CHUNK_BYTES or (self.chunked and len(self.data) > _STREAMED_HELD_BYTES_MAX):
                    return True
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _drop_excess(self) -> None:
        """Forget what is over the largest response: it is counted and refused, not kept."""
        bound = limits.PAYLOAD_RESPONSE_BYTES_MAX + limits.HTTP_HEAD_BYTES_MAX
        if len(self.data) > bound:
            self.skipped_bytes += len(self.data) - bound
            del self.data[bound:]

    def message(self) -> Message | None:
        """The next whole request on this connection, if it is here; ValueError when it is no HTTP."""
        if not self.head_bytes and not self._head():
            return None
        if self.chunked:
            return self._whole() if self.request[1].startswith(_OTHERS) else self._part()
        whole = self.head_bytes + self.body_bytes
        if len(self.data) + self.skipped_bytes < whole:
            return None
        too_large = self.body_bytes if self.body_bytes > limits.PAYLOAD_RESPONSE_BYTES_MAX else 0
        body = b"" if too_large else bytes(self.data[self.head_bytes : whole])
        del self.data[:whole]
        self.skipped_bytes = self.head_bytes = 0
        method, target = self.request
        if target.startswith(_OTHERS):
            return Message("other", "", body, method=method, target=target, headers=self.headers)
        return _message(method, target, body, too_large, self.content_type)

    def _whole(self) -> Message | None:
        """A request to another API, whose body comes in chunks."""
        body, start = bytearray(), self.head_bytes
        while (end := self.data.find(b"\r\n", start)) >= 0:
            size = _chunk_size(self.data[start:end])
            if len(self.data) < end + 2 + size + 2:
                break
            body += self.data[end + 2 : end + 2 + size]
            start = end + 2 + size + 2
            if not size:
                del self.data[:start]
                self.head_bytes, self.chunked = 0, False
                method, target = self.request
                return Message("other", "", bytes(body), method=method, target=target, headers=self.headers)
        if len(self.data) > limits.HTTP_HEAD_BYTES_MAX * 2:
            raise ValueError("the body of a request is too long")
        return None

    def _part(self) -> Message | None:
        """What has come of a body in chunks: `part` while there is more, then the end, whose trailer may say an error."""
        if self.head_bytes > 1:
            del self.data[: self.head_bytes]
            self.head_bytes = 1  # the head is done with
        whole = bytearray()
        while (end := self.data.find(b"\r\n")) >= 0:
            size = _chunk_size(self.data[:end])
            if not size:
                if whole:
                    break
                return self._last(end + 2)
            if len(self.data) < end + 2 + size + 2:
                break
            whole += self.data[end + 2 : end + 2 + size]
            del self.data[: end + 2 + size + 2]
        if not whole:
            return None
        message = _message(*self.request, b"", 0)
        return Message("part", message.request_id, bytes(whole), 0, self.content_type)

    def _last(self, start: int) -> Message | None:
        trailer: dict[str, str] = {}
        while (end := self.data.find(b"\r\n", start)) >= 0:
            line, start = bytes(self.data[start:end]), end + 2
            if not line:
                del self.data[:start]
                self.head_bytes, self.chunked = 0, False
                message = _message(*self.request, b"", 0)
                if kind := trailer.get("lambda-runtime-function-error-type"):
                    body = base64.b64decode(trailer.get("lambda-runtime-function-error-body", "")) or b"{}"
                    return Message("error", message.request_id, body, 0, kind)
                return message
            name, _, value = line.decode("latin-1").partition(":")
            trailer[name.strip().lower()] = value.strip()
        return None

    def _head(self) -> bool:
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            if len(self.data) > limits.HTTP_HEAD_BYTES_MAX:
                raise ValueError("the head of a request is too long")
            return False
        first, _, rest = bytes(self.data[:end]).partition(b"\r\n")
        method, target, _ = first.decode("latin-1").split(" ", 2)
        headers = self.headers = _headers_seen(rest) if len(rest) <= _HEADERS_KEPT_BYTES_MAX else _headers(rest)
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.content_type = headers.get("content-type", "")
        self.request, self.head_bytes, self.body_bytes = (method, target), end + 4, int(headers.get("content-length", "0"))
        if headers.get("expect", "").lower() == "100-continue":
            self.socket.sendall(_CONTINUE)
        return True

    def accept(self) -> None:
        """Tell the runtime that its answer has come in."""
        self.socket.sendall(_ACCEPTED)

    def reply(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        body = json.dumps(value, separators=(",", ":")).encode()
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}"]
        lines += [f"{name}: {text}" for name, text in (headers or {}).items()]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def hand_over(self, headers: dict[str, str], event: bytes) -> None:
        """Answer a pending `/next` with an event."""
        lines = [f"{name}: {value}" for name, value in headers.items()]
        if "\n" in (said := "".join(lines)) or "\r" in said:
            lines = [line.replace("\r", " ").replace("\n", " ") for line in lines]
        text = "\r\n".join(lines)
        end = f"\r\nContent-Type: application/json\r\nContent-Length: {len(event)}\r\n\r\n"
        self.socket.sendall(b"".join([f"HTTP/1.1 200 OK\r\n{text}{end}".encode(), event]))


def _headers(lines: bytes) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in lines.decode("latin-1").split("\r\n") if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


# A runtime says the same with every invocation, but for the length of what it answers.
_headers_seen = lru_cache(_HEADERS_KEPT_MAX)(_headers)


def _chunk_size(line: bytearray) -> int:
    size = int(bytes(line).split(b";")[0], 16)
    if size < 0:
        raise ValueError("a chunk has a size")
    return size


def _message(method: str, target: str, body: bytes, too_large_bytes: int, content_type: str = "") -> Message:
    if method == "GET" and target == _NEXT:
        return Message("next")
    if method == "POST" and target == _INIT_ERROR:
        return Message("init_error", "", body)
    found = _INVOCATION.match(target)
    if method != "POST" or found is None:
        raise ValueError(f"the Runtime API has no {method} {target[:100]}")
    return Message(found[2], found[1], body, too_large_bytes, content_type)
