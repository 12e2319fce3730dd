"""The REST API of a Flink cluster: as much of it as applications need. All calls block; each has a connection of its own."""

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from headrace.services.analytics import limits

_BOUNDARY = "headrace-7d1f0c9b5a"
_PART_BYTES = 1 << 20
_SAID_MAX = 2_000
# Lines around a stack trace that say nothing.
_EMPTY = ("End of exception", "<Exception on", "Internal server error")


class FlinkRefused(Exception):
    """The cluster said no; the text is the cause that it gave."""


class Unreachable(Exception):
    """The cluster does not answer."""


class Rest:
    """A Flink cluster at a URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._secure else 80)
        self._path = parts.path
        self._open: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Let nobody wait for an answer any more."""
        with self._lock:
            self._closed = True
            for connection in self._open:
                with contextlib.suppress(OSError):
                    if connection.sock is not None:
                        connection.sock.shutdown(2)

    @property
    def closed(self) -> bool:
        """Whether nobody is to wait for it any more."""
        return self._closed

    def overview(self) -> dict[str, Any]:
        """How many task managers and slots there are, and Flink's version."""
        return self._ask("GET", "/overview")

    def upload(self, jar: Path, name: str) -> str:
        """Hand a jar over; its id there."""
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="jarfile"; filename="{name}"\r\n'
            "Content-Type: application/x-java-archive\r\n\r\n"
        ).encode()
        tail = f"\r\n--{_BOUNDARY}--\r\n".encode()

        def parts() -> Iterator[bytes]:
            yield head
            with jar.open("rb") as file:
                while part := file.read(_PART_BYTES):
                    yield part
            yield tail

        length = len(head) + jar.stat().st_size + len(tail)
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "Content-Length": str(length)}
        answer = self._ask("POST", "/jars/upload", parts(), headers, limits.FLINK_SUBMIT_SECONDS_MAX)
        return str(answer["filename"]).rpartition("/")[2]

    def run(self, jar_id: str, job_id: str, **parameters: Any) -> None:
        """Run a jar's main method, which gives the job to the cluster. FlinkRefused with what it threw."""
        body = {"jobId": job_id, **{name: value for name, value in parameters.items() if value is not None}}
        self._ask("POST", f"/jars/{quote(jar_id)}/run", body, seconds=limits.FLINK_SUBMIT_SECONDS_MAX)

    def remove(self, jar_id: str) -> None:
        """Remove a jar; jobs that were made of it go on."""
        with contextlib.suppress(FlinkRefused, Unreachable):
            self._ask("DELETE", f"/jars/{quote(jar_id)}")

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A job with its state and its tasks; None when the cluster knows none of the id."""
        try:
            return self._ask("GET", f"/jobs/{job_id}")
        except _Missing:
            return None

    def checkpoints(self, job_id: str) -> dict[str, Any]:
        """Numbers of a job's checkpoints, and the newest."""
        return self._ask("GET", f"/jobs/{job_id}/checkpoints")

    def failures(self, job_id: str) -> list[str]:
        """Why a job failed, the last failure first: the innermost causes."""
        found = self._ask("GET", f"/jobs/{job_id}/exceptions")
        entries = (found.get("exceptionHistory") or {}).get("entries") or ()
        texts = [cause_of(str(one.get("stacktrace") or one.get("exceptionName") or "")) for one in entries]
        root = found.get("root-exception")
        return texts or ([cause_of(str(root))] if root else [])

    def cancel(self, job_id: str) -> None:
        """End a job at once, if it is there and has not ended: one that was stopped with a savepoint has."""
        with contextlib.suppress(_Missing, _Conflict):
            self._ask("PATCH", f"/jobs/{job_id}?mode=cancel")

    def stop(self, job_id: str, folder: str | None) -> str:
        """Begin to end a job with a savepoint; the id by which `savepoint` tells of it."""
        body = {"drain": False, **({"targetDirectory": folder} if folder else {})}
        return str(self._ask("POST", f"/jobs/{job_id}/stop", body)["request-id"])

    def begin_savepoint(self, job_id: str, folder: str | None) -> str:
        """Begin a savepoint of a job that goes on."""
        body = {"cancel-job": False, **({"target-directory": folder} if folder else {})}
        return str(self._ask("POST", f"/jobs/{job_id}/savepoints", body)["request-id"])

    def savepoint(self, job_id: str, trigger: str) -> str | None:
        """Where a savepoint lies; None while it is under way. FlinkRefused when it failed."""
        found = self._ask("GET", f"/jobs/{job_id}/savepoints/{trigger}")
        if found["status"]["id"] != "COMPLETED":
            return None
        operation = found.get("operation") or {}
        if operation.get("location"):
            return str(operation["location"])
        failed = operation.get("failure-cause") or {}
        raise FlinkRefused(cause_of(str(failed.get("stack-trace") or failed.get("class") or "the savepoint failed")))

    def dispose(self, path: str) -> None:
        """Remove a savepoint's files."""
        self._ask("POST", "/savepoint-disposal", {"savepoint-path": path})

    def _ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None,
        seconds: float = limits.FLINK_CALL_SECONDS_MAX,
    ) -> dict[str, Any]:  # fmt: skip
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        with self._lock:
            if self._closed:
                raise Unreachable("the server is stopping")
            self._open.add(connection)
        try:
            if body is not None and headers is None:
                body, headers = json.dumps(body), {"Content-Type": "application/json"}
            connection.request(method, self._path + path, body, dict(headers or {}))
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the Flink cluster at {self.url} does not answer: {error}") from error
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
        return _read(answer.status, said)


class _Missing(FlinkRefused):
    """404."""


class _Conflict(FlinkRefused):
    """409."""


def _read(status: int, said: bytes) -> dict[str, Any]:
    try:
        found = json.loads(said or b"{}")
    except ValueError:
        found = {"errors": [said[:_SAID_MAX].decode(errors="replace")]}
    if status < 400:
        return found if isinstance(found, dict) else {}
    text = cause_of("\n".join(str(one) for one in found.get("errors") or ()))
    raise {404: _Missing, 409: _Conflict}.get(status, FlinkRefused)(text or f"status {status}")


def cause_of(stack: str) -> str:
    """The innermost cause of a stack trace of Java's, in a line."""
    lines = [line.strip() for line in stack.splitlines() if line.strip() and not line.startswith(("\tat ", "\t..."))]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    named = causes or [line for line in lines if not line.startswith(_EMPTY)] or lines
    return (named[-1] if causes else named[0] if named else "")[:_SAID_MAX]
