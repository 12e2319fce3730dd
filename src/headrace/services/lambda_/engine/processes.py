"""The first process of an environment, as the server holds it: started by the server itself, or forked by the zygote."""

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import threading
from typing import Protocol

FORK_SECONDS_MAX = 10.0
WARM_UP_SECONDS_MAX = 30.0


class Process(Protocol):
    """A process. `fd` becomes readable when it ends."""

    pid: int
    fd: int

    def wait(self) -> int:
        """Its exit status as subprocess gives it; ends it if it does not end by itself within a second."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    def close(self) -> None:
        """Give the descriptors back."""


class Spawned:
    """A child of the server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.fd = os.pidfd_open(process.pid)

    def wait(self) -> int:
        """See Process."""
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def terminate(self) -> None:
        """See Process."""
        self._process.terminate()

    def kill(self) -> None:
        """See Process."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """See Process."""
        os.close(self.fd)


class Forked:
    """A child of the zygote, which reports its status."""

    def __init__(self, pid: int, fd: int, report: int) -> None:
        self.pid = pid
        self.fd = fd
        self._report = report
        self._status: int | None = None

    def wait(self) -> int:
        """See Process."""
        if self._status is None:
            if not select.select([self._report], [], [], 1.0)[0]:
                self.kill()
            said = os.read(self._report, 4)
            self._status = struct.unpack("i", said)[0] if said else -signal.SIGKILL
        return self._status

    def terminate(self) -> None:
        """See Process."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGTERM)

    def kill(self) -> None:
        """See Process. Whoever waits for its end waits for the zygote's report."""
        try:
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)
        except ProcessLookupError:
            return
        select.select([self._report], [], [], 1.0)

    def close(self) -> None:
        """See Process."""
        os.close(self.fd)
        os.close(self._report)


class Nursery:
    """The zygote, and how it is asked for children. Any thread may ask."""

    def __init__(self, process: subprocess.Popen[bytes], asking: socket.socket) -> None:
        self._process = process
        self._asking = asking
        self._lock = threading.Lock()
        asking.settimeout(WARM_UP_SECONDS_MAX)
        self._ready = False

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def fork(self, control: int, output: int) -> Forked:
        """A new child with these descriptors. OSError when the zygote is gone or does not answer."""
        report, theirs = os.pipe()
        try:
            with self._lock:
                if not self._ready:
                    if not self._asking.recv(1):
                        raise ConnectionError("the zygote ended while it was loading")
                    self._asking.settimeout(FORK_SECONDS_MAX)
                    self._ready = True
                socket.send_fds(self._asking, [b"f"], [control, output, theirs])
                answer, handles, _, _ = socket.recv_fds(self._asking, 4, 1)
            if len(answer) < 4 or not handles:
                raise ConnectionError("the zygote ended")
        except OSError:
            os.close(report)
            self._process.kill()
            raise
        finally:
            os.close(theirs)
        return Forked(struct.unpack("i", answer)[0], handles[0], report)

    def stop(self) -> None:
        """End it, and its children with it."""
        self._asking.close()
        self._process.kill()
        self._process.wait()
