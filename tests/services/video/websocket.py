"""A WebSocket client of a few lines, and URLs signed as Amazon's SDKs sign them."""

import base64
import hashlib
import hmac
import json
import os
import socket
import struct
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from tests.conftest import REGION


class Refused(Exception):
    """The server did not open the WebSocket; `status` is that of its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def signed(endpoint: str, key: str, secret: str, service: str = "kinesisvideo", **query: str) -> str:
    """The endpoint's URL for a query, presigned for five minutes. Underscores in names stand for dashes."""
    now = datetime.now(UTC)
    scope = f"{now:%Y%m%d}/{REGION}/{service}/aws4_request"
    values = {
        **{name.replace("_", "-"): value for name, value in query.items()},
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{key}/{scope}", "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": "299", "X-Amz-SignedHeaders": "host",
    }  # fmt: skip
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='~')}" for name, value in sorted(values.items()))
    empty = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/\n{text}\nhost:{urlsplit(endpoint).netloc}\n\nhost\n{empty}"
    to_sign = f"AWS4-HMAC-SHA256\n{now:%Y%m%dT%H%M%SZ}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    return f"{endpoint}/?{text}&X-Amz-Signature={hmac.digest(signing, to_sign.encode(), 'sha256').hex()}"


class WebSocket:
    """One connection."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=10)
        nonce = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass
        if status != 101:
            self.close()
            raise Refused(status)

    def send(self, text: str) -> None:
        self._frame(1, text.encode())

    def say(self, **message: str) -> None:
        self.send(json.dumps(message))

    def _frame(self, kind: int, data: bytes) -> None:
        mask = os.urandom(4)
        length = len(data)
        head = bytes([0x80 | kind])
        head += (
            bytes([0x80 | length])
            if length < 126
            else struct.pack("!BH" if length < 65536 else "!BQ", 0x80 | (126 if length < 65536 else 127), length)
        )
        self._socket.sendall(head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))

    def receive(self) -> Any:
        """The next message; None when the server hung up."""
        while True:
            head = self._file.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                return None
            length = head[1] & 127
            if length > 125:
                length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
            data = self._file.read(length)
            if head[0] & 15 == 1:
                return json.loads(data)
            if head[0] & 15 == 9:
                self._frame(10, data)

    def silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        self._socket.settimeout(seconds)
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(10)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> "WebSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
