"""A producer: sends Matroska by PutMedia, and reads the acknowledgements that come back meanwhile.

No AWS SDK for Python has PutMedia, so this follows Amazon's description of it: one chunked POST, signed without its body.
"""

import contextlib
import http.client
import json
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PATH = "/putMedia"
CONNECT_SECONDS = 10.0


class PutMediaRefused(Exception):
    """The server did not take the request; the text is its answer."""


class Producer:
    """One connection to a stream: `send` Matroska in pieces of any size, then `finish`. Acknowledgements come meanwhile."""

    def __init__(
        self, endpoint: str, key: str, secret: str, region: str, stream: str, *,
        start: float | None = None, relative: bool = False, silence: float = 60.0,
    ) -> None:  # fmt: skip
        """Connect. With `start` (seconds since 1970) the timecodes count from it; relative without a start: from now."""
        address = urlsplit(endpoint)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(address.netloc, timeout=max(CONNECT_SECONDS, silence))
        # Where the server closes it, no other one is opened.
        self._connection.connect()
        self._connection.auto_open = 0
        self._connection.putrequest("POST", PATH, skip_host=True, skip_accept_encoding=True)
        for name, value in signed_headers(endpoint, key, secret, region, stream, start, relative or start is not None).items():
            self._connection.putheader(name, value)
        self._connection.putheader("Transfer-Encoding", "chunked")
        self._connection.endheaders()
        self._acknowledgements: queue.SimpleQueue[dict[str, Any] | None | BaseException] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, data: bytes) -> None:
        """Send a piece; waits where the server can't take it yet. OSError when it closed the connection."""
        if data:
            self._send(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        """Say that this was all."""
        self._send(b"0\r\n\r\n")

    def acknowledgements(self) -> Iterator[dict[str, Any]]:
        """What the server says, as it comes; the end after its last word. PutMediaRefused."""
        while (found := self._acknowledgements.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found

    def close(self) -> None:
        """Break the connection off, if it is still there."""
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._connection.close()

    def _send(self, raw: bytes) -> None:
        try:
            self._connection.send(raw)
        except http.client.NotConnected:
            raise BrokenPipeError("the server closed the connection") from None

    def _read(self) -> None:
        try:
            with self._connection.getresponse() as answer:
                if answer.status != 200:
                    raise PutMediaRefused(
                        f"{answer.status} {answer.headers.get('x-amzn-errortype', '')} {answer.read().decode()}"
                    )
                for line in answer:
                    if line.strip():
                        self._acknowledgements.put(json.loads(line))
            self._acknowledgements.put(None)
        except Exception as error:
            self._acknowledgements.put(error)


def signed_headers(
    endpoint: str, key: str, secret: str, region: str, stream: str, start: float | None, relative: bool,
    payload: str = "UNSIGNED-PAYLOAD",
) -> dict[str, str]:  # fmt: skip
    """The headers of a PutMedia request, signed without its body."""
    named = "x-amzn-stream-arn" if stream.startswith("arn:") else "x-amzn-stream-name"
    headers = {
        named: stream,
        "x-amzn-fragment-timecode-type": "RELATIVE" if relative else "ABSOLUTE",
        "x-amz-content-sha256": payload,
    }
    if start is not None:
        headers["x-amzn-producer-start-timestamp"] = f"{start:.3f}"
    request = AWSRequest("POST", endpoint.rstrip("/") + PATH, headers=headers)
    SigV4Auth(Credentials(key, secret), "kinesisvideo", region).add_auth(request)
    return {"Host": urlsplit(endpoint).netloc, **dict(request.headers.items())}
