"""The remuxing processes as the server sees them: started when needed, a few at most, ended when they fail or are idle."""

import contextlib
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from headrace.kit.errors import AwsError

PROCESSES_MAX = max(1, min(4, os.cpu_count() or 1))
JOB_SECONDS_MAX = 20.0
START_SECONDS_MAX = 30.0
WAIT_SECONDS_MAX = 20.0
IDLE_SECONDS_MAX = 60.0
_PROGRAM = "headrace.services.video.engine.remux"
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")

log = logging.getLogger(__name__)


class BadMedia(Exception):
    """The media can't be used; `kind` is unsupported, missing, invalid or frame."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Busy(Exception):
    """All remuxing processes are at work, and none got free in time."""


class Remuxer:
    """One process, used by one thread at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
        self._socket = ours
        self._reader: Any = ours.makefile("rb", buffering=1 << 16)
        self.used_at = time.monotonic()
        try:
            self.confinement = str(self._receive(time.monotonic() + START_SECONDS_MAX))
        except ConnectionError:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def call(self, job: str, seconds_max: float = JOB_SECONDS_MAX, **arguments: Any) -> Any:
        """Do one job. BadMedia; ConnectionError when the process died or took too long (it is ended then)."""
        deadline = time.monotonic() + seconds_max
        body = msgspec.msgpack.encode({"job": job, **arguments})
        try:
            self._socket.settimeout(seconds_max)
            self._socket.sendall(struct.pack("!I", len(body)))
            self._socket.sendall(body)
        except OSError as error:
            raise ConnectionError("the remuxing process has ended") from error
        return self._receive(deadline)

    def more(self) -> Any:
        """The next piece of an answer that comes in several."""
        return self._receive(time.monotonic() + JOB_SECONDS_MAX)

    def _receive(self, deadline: float) -> Any:
        try:
            (size,) = struct.unpack("!I", self._read(4, deadline))
            kind, content = msgspec.msgpack.decode(self._read(size, deadline))
        except (OSError, struct.error, msgspec.DecodeError) as error:
            raise ConnectionError("the remuxing process has ended, or took too long") from error
        if kind == "failed":
            raise RuntimeError(f"the remuxing process failed:\n{content}")
        if kind not in ("ok", "ready"):
            raise BadMedia(kind, content)
        return content

    def _read(self, size: int, deadline: float) -> bytes:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        data: bytes = self._reader.read(size)
        return data

    def end(self) -> None:
        """End the process now: it keeps nothing."""
        self._reader.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()


class Pool:
    """All remuxing processes of this server."""

    def __init__(self) -> None:
        self._idle: list[Remuxer] = []
        self._lock = threading.Lock()
        self._free = threading.Semaphore(PROCESSES_MAX)
        self._stopping = False
        self.started = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[Remuxer]:
        """A process for the length of the block; it is ended when the block fails by anything but the caller's errors. Busy."""
        with self._turn(), self._process() as remuxer:
            yield remuxer

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._free.acquire(timeout=WAIT_SECONDS_MAX):
            raise Busy("every remuxing process is at work")
        try:
            yield
        finally:
            self._free.release()

    @contextlib.contextmanager
    def _process(self) -> Iterator[Remuxer]:
        remuxer = self._take()
        try:
            yield remuxer
        except (BadMedia, AwsError):
            self._put_back(remuxer)
            raise
        except BaseException:
            remuxer.end()
            raise
        self._put_back(remuxer)

    def call(
        self, job: str, *, media: bytes | Callable[[], bytes], seconds_max: float = JOB_SECONDS_MAX, **arguments: Any
    ) -> Any:
        """Do one job. BadMedia: the media's fault, or twice a process died of it. Busy.

        Media that is a function is read when it is this job's turn: so no more of it is in memory than there are processes.
        """
        with self._turn():
            data = media if isinstance(media, bytes) else media()
            for attempt in (1, 2):
                try:
                    with self._process() as remuxer:
                        return remuxer.call(job, seconds_max, media=data, **arguments)
                except ConnectionError as error:
                    log.warning("a remuxing process ended at %s (attempt %d): %s", job, attempt, error)
        raise BadMedia("frame", "the media could not be read")

    def _take(self) -> Remuxer:
        with self._lock:
            if self._stopping:
                raise Busy("the server is stopping")
            if self._idle:
                return self._idle.pop()
            self.started += 1
        return Remuxer()

    def _put_back(self, remuxer: Remuxer) -> None:
        remuxer.used_at = time.monotonic()
        with self._lock:
            if not self._stopping:
                self._idle.append(remuxer)
                return
        remuxer.end()

    def end_idle(self, idle_seconds: float = IDLE_SECONDS_MAX) -> None:
        """End processes that were idle for so long."""
        limit = time.monotonic() - idle_seconds
        with self._lock:
            old = [remuxer for remuxer in self._idle if remuxer.used_at <= limit]
            self._idle = [remuxer for remuxer in self._idle if remuxer.used_at > limit]
        for remuxer in old:
            remuxer.end()

    def start(self) -> None:
        """The server has started (again, in tests that start several in one process)."""
        self._stopping = False

    def stop(self) -> None:
        """End every process."""
        self._stopping = True
        self.end_idle(0.0)


POOL = Pool()
