"""A small client of an S3-compatible bucket: put, get, delete, list; signed with Signature Version 4."""

import hashlib
import hmac
import http.client
import re
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import BinaryIO, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_NAMESPACE = re.compile(r"\{[^}]*\}")
_TIMEOUT_SECONDS = 60.0
_ATTEMPTS_MAX = 4
_WAIT_MIN_SECONDS = 0.2
_IDLE_CONNECTIONS_MAX = 16


class BucketError(OSError):
    """The bucket answered what it should not have, or nothing, even when it was asked again."""


class Listed(NamedTuple):
    """An object in a list."""

    key: str
    modified_at: float


class Answer(NamedTuple):
    """An answer whose body was not read. Its connection can be used again once it was."""

    status: int
    headers: Mapping[str, str]
    body: "Body"


class Body:
    """The body of an answer. Its connection goes back to the others when the body was read to its end."""

    def __init__(self, bucket: "Bucket", connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._bucket, self._connection, self._response = bucket, connection, response

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; fewer only at the end. OSError when it breaks off."""
        try:
            return self._response.read(None if size < 0 else size)
        except http.client.HTTPException as error:
            raise BucketError(f"the bucket's answer broke off: {error!r}") from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._response.isclosed() and not self._response.will_close:
            self._bucket.give_back(self._connection)
        else:
            self._response.close()
            self._connection.close()


class Bucket:
    """A bucket, as https://KEY:SECRET@HOST/BUCKET[/PREFIX][?region=REGION]."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        bucket, _, prefix = parts.path.strip("/").partition("/")
        if parts.scheme not in ("http", "https") or not parts.hostname or not bucket or not parts.username or not parts.password:
            raise ValueError("a bucket is named as https://KEY:SECRET@HOST/BUCKET")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._host_header = parts.netloc.rpartition("@")[2]
        self._key_id, self._secret = unquote(parts.username), unquote(parts.password)
        self._region = parse_qs(parts.query).get("region", ["us-east-1"])[0]
        self._path = f"/{bucket}"
        self.prefix = f"{prefix}/" if prefix else ""
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def put(self, key: str, file: BinaryIO, size_bytes: int, sha256: str) -> None:
        """Write an object from a file's beginning; durable on return. BucketError."""
        headers = {"content-length": str(size_bytes)}
        answer = self._ask("PUT", key, headers=headers, file=file, sha256=sha256)
        self._finish(answer, 200)

    def get(self, key: str, span: str | None = None) -> Answer | None:
        """Read an object, or a part of it (a Range header's value); None when it is not there. BucketError."""
        answer = self._ask("GET", key, headers={"range": span} if span else {})
        if answer.status == 404:
            answer.body.read()
            answer.body.close()
            return None
        if answer.status not in (200, 206):
            self._finish(answer, 200)
        return answer

    def delete(self, key: str) -> None:
        """Remove an object, if it is there. BucketError."""
        self._finish(self._ask("DELETE", key), 204)

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin with the prefix. BucketError."""
        token = ""
        while True:
            query = {"list-type": "2", "prefix": self.prefix + prefix}
            if token:
                query["continuation-token"] = token
            document = ElementTree.fromstring(self._finish(self._ask("GET", None, query=query), 200))
            token = ""
            for node in document:
                name = _NAMESPACE.sub("", node.tag)
                if name == "NextContinuationToken":
                    token = node.text or ""
                if name == "Contents":
                    fields = {_NAMESPACE.sub("", child.tag): child.text or "" for child in node}
                    yield Listed(fields["Key"].removeprefix(self.prefix), _seconds(fields["LastModified"]))
            if not token:
                return

    def _finish(self, answer: Answer, wanted: int) -> bytes:
        body = answer.body.read()
        answer.body.close()
        if answer.status != wanted:
            raise BucketError(f"the bucket answered {answer.status}: {body[:500].decode(errors='replace')}")
        return body

    def _ask(
        self, method: str, key: str | None, *, query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, file: BinaryIO | None = None, sha256: str = _EMPTY_SHA256,
    ) -> Answer:  # fmt: skip
        """Ask until there is an answer that is not the bucket's own trouble; everything asked here can be asked again."""
        path = self._path if key is None else f"{self._path}/{quote(self.prefix + key, safe='/-_.~')}"
        failure = ""
        for attempt in range(_ATTEMPTS_MAX):
            # The first failure is most often a connection that lay idle for too long.
            if attempt > 1:
                time.sleep(_WAIT_MIN_SECONDS * 2**attempt)
            if file is not None:
                file.seek(0)
            connection = self._take(fresh=attempt > 0)
            try:
                response = self._send(connection, method, path, query or {}, dict(headers or {}), file, sha256)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                failure = repr(error)
                continue
            answer = Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()},
                Body(self, connection, response),
            )  # fmt: skip
            if response.status < 500:
                return answer
            failure = f"{response.status} {answer.body.read()[:500]!r}"
            answer.body.close()
        raise BucketError(f"the bucket does not answer: {failure}")

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, query: Mapping[str, str],
        headers: dict[str, str], file: BinaryIO | None, sha256: str,
    ) -> http.client.HTTPResponse:  # fmt: skip
        text = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query.items()))
        headers = {**headers, "host": self._host_header, "x-amz-content-sha256": sha256}
        self._sign(method, path, text, headers, sha256)
        connection.request(method, f"{path}?{text}" if text else path, body=file, headers=headers)
        return connection.getresponse()

    def _sign(self, method: str, path: str, query: str, headers: dict[str, str], sha256: str) -> None:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers["x-amz-date"] = now
        names = sorted(headers)
        lines = "".join(f"{name}:{headers[name]}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{sha256}"
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("AWS4" + self._secret).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._key_id}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
        )

    def _take(self, *, fresh: bool) -> http.client.HTTPConnection:
        with self._lock:
            if self._idle and not fresh:
                return self._idle.pop()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=_TIMEOUT_SECONDS)

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection for the next request."""
        with self._lock:
            if len(self._idle) < _IDLE_CONNECTIONS_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the connections that wait."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()


def _seconds(text: str) -> float:
    """A time as lists have it (ISO 8601, UTC), in seconds since 1970."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
