"""One execution environment: a function's process in its sandbox, from its start to its end.

Whoever holds an environment drives it (`start`, `run`); nobody else touches it meanwhile.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine import freezing, starting
from headrace.services.lambda_.engine.control import RUNTIME, Control
from headrace.services.lambda_.engine.extensions import ExtensionFailed, Extensions, deadline_ms
from headrace.services.lambda_.engine.function import Function
from headrace.services.lambda_.engine.journal import EXTENSION, FUNCTION, Journal
from headrace.services.lambda_.engine.memory import Group, peak_bytes, resident_peak_bytes
from headrace.services.lambda_.engine.processes import Nursery, Process
from headrace.services.lambda_.engine.runtime_api import Connection, Message
from headrace.services.lambda_.engine.sandbox import Sandbox
from headrace.services.lambda_.engine.telemetry import Telemetry

_OUTPUT_BYTES = 64 * 1024
_DESCRIPTORS_MAX = 16
SPINDOWN, TIMEOUT, FAILURE = "spindown", "timeout", "failure"
_RUNTIME_SHARE = 0.3
_LOOK_SECONDS = 0.01


class Exited(Exception):
    """The function's process ended; `status` as subprocess gives it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Environment:
    """A process, its sockets and its log."""

    def __init__(self, function: Function, slot: int, stream: str, now_ms: Callable[[], int]) -> None:
        self.function = function
        self.slot = slot
        self.stream = stream
        self.journal = Journal(now_ms, function.logs)
        self.started_at = time.monotonic()
        self.used_at = self.started_at
        self.expires_at = self.started_at + limits.ENVIRONMENT_AGE_SECONDS_MAX
        self.init_ms: float | None = None
        self.alive = False
        self.group: Group | None = None
        self._process: Process | None = None
        self._control: socket.socket | None = None
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._connections: dict[int, Connection] = {}
        self._messages: list[tuple[Connection, Message]] = []
        self._listener: socket.socket | None = None
        self.endpoint: socket.socket | None = None
        self._output = self._peak = -1
        self.telemetry = Telemetry(function.logs.format == "JSON")
        self.journal.hear = self.telemetry.hear
        self.extensions = Extensions(function, self.journal, self.telemetry)
        self.ending = SPINDOWN
        """Why it ends, as extensions are told."""
        self._attendant: Control | None = None
        self._endpoint_wanted = False
        self._runtime_status: int | None = None
        self._extensions_output = -1
        self.frozen = False
        self.provided = False
        self._folder: Path | None = None
        self._next: Connection | None = None

    def spawn(
        self, sandbox: Sandbox, folder: Path, group: Group | None, credentials: Mapping[str, str], nursery: Nursery | None
    ) -> None:
        """Start the process: the nursery's zygote forks it, or the server starts it. Then it dies with the thread that calls
        this: call it from one that lives as long as the server.
        """
        self._folder = folder
        self.group = group
        if group is not None:
            group.limit(self.function.memory_mib * 1024 * 1024)
            self._peak = group.open_peak()
        control, theirs = socket.socketpair()
        self._output, output = os.pipe()
        self._control = control
        try:
            self._process, place = starting.begin(
                sandbox, nursery, self.function, self.slot, group, folder, theirs.fileno(), output
            )
        finally:
            theirs.close()
            os.close(output)
        self.alive = True
        os.set_blocking(self._output, False)
        self._register(self._output, self._read_output)
        self._poll.register(self._process.fd, select.POLLIN)
        # What the process still needs is sent at once: so the sender need not wait for it.
        extensions = sandbox.extensions(self.function)
        self.extensions.launch([os.path.basename(path) for path in extensions])
        environment = {**self.function.environment, **credentials, **place.environment, "LAMBDA_TASK_ROOT": place.task}
        endpoint_port = starting.endpoint_port(sandbox, environment)
        self._endpoint_wanted = endpoint_port > 0
        orders = starting.orders(sandbox, self.function, place, group, environment, extensions, endpoint_port)
        with contextlib.suppress(OSError):  # it has ended already: `start` says how
            control.sendall(orders)

    @property
    def initialisation(self) -> str:
        """AWS's name for why it was initialised."""
        return "provisioned-concurrency" if self.provided else "on-demand"

    def freeze(self) -> None:
        """Let it stand still until `thaw`: it is idle."""
        # A debugger speaks to its program at any time.
        if self._process is not None and not self.frozen and not self.function.debug_port:
            self.frozen = True
            freezing.freeze(self.group, self._process.pid)

    def thaw(self) -> None:
        """Let it run again."""
        if self._process is not None and self.frozen:
            self.frozen = False
            freezing.thaw(self.group, self._process.pid)

    def start(self, opened: Callable[[], None], seconds: float = limits.INITIALISATION_SECONDS_MAX) -> Message:
        """Wait until the runtime and all extensions ask for their first events; the message is `next` or `init_error`.

        Exited, ExtensionFailed, TimeoutError.

        `opened` is called when there are sockets: what is loaded may call the server already. It may take so many seconds, or the
        function's timeout, whichever is longer.
        """
        begun = time.monotonic()
        self._take_sockets(begun + limits.START_SECONDS_MAX)
        opened()
        deadline = begun + max(seconds, self.function.timeout_seconds)
        if self._attendant is not None:
            while not self.extensions.registered():
                self._ready(deadline)
            self._attendant.run()
        message = self._wait(deadline)
        if message.kind == "next":
            told = {"initializationType": self.initialisation, "phase": "init", "status": "success"}
            self.journal.event("platform.initRuntimeDone", told)
            while not self.extensions.ready():
                self._ready(deadline)
            self.init_ms = (time.monotonic() - begun) * 1000
            self.extensions.settle()
            self.journal.event("platform.initReport", {**told, "metrics": {"durationMs": round(self.init_ms, 3)}})
            if not self.telemetry.heard:
                self.journal.hear = None
        return message

    def _take_sockets(self, deadline: float) -> None:
        control = self._control
        assert control is not None
        self._poll.register(control, select.POLLIN)
        received: list[int] = []
        while not received:
            if control.fileno() in self._ready(deadline):
                _, received, _, _ = socket.recv_fds(control, 5, _DESCRIPTORS_MAX)
                if not received:
                    raise Exited(self._status())
        self._poll.unregister(control)
        if self.extensions.launched:
            self._attendant = Control(control)
            self._register(control.fileno(), self._read_control)
            self._extensions_output = received.pop()
            os.set_blocking(self._extensions_output, False)
            self._register(self._extensions_output, self._read_extensions)
        else:
            control.close()
        sockets = [socket.socket(fileno=fd) for fd in received]
        self._listener = sockets.pop(0)
        self._listener.setblocking(False)
        self._register(self._listener.fileno(), self._accept)
        if self._endpoint_wanted:
            self.endpoint = sockets.pop(0)
        self.telemetry.take(sockets)

    def run(self, headers: dict[str, str], event: bytes, deadline: float, parts: Callable[[str, bytes], None]) -> Message:
        """Hand an event over and wait for its outcome: a `response` or `error`. Exited, ExtensionFailed, TimeoutError.

        `parts` gets the content type and the bytes of a response that is streamed, as they come.
        """
        if self._next is None:
            self._wait(deadline)
        connection, self._next = self._next, None
        assert connection is not None
        if self.extensions.any:
            self.extensions.invoke(headers, deadline_ms(deadline - time.monotonic()))
        connection.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            connection.hand_over(headers, event)
        except TimeoutError:
            raise
        except OSError:
            raise Exited(self._status()) from None
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        while True:
            message = self._wait(deadline)
            if message.kind == "part" and message.request_id == request_id:
                parts(message.content_type, message.body)
            elif message.kind != "next" and message.request_id == request_id:
                self._drain()
                return message

    @property
    def resting(self) -> bool:
        """Whether runtime and extensions have done with the last event; without extensions nobody looks at the runtime."""
        return not self.extensions.any or not (self.extensions.busy() or self._next is None)

    def rest(self, deadline: float) -> None:
        """Wait until runtime and extensions have asked for their next events. Exited, ExtensionFailed, TimeoutError."""
        while not self.resting:
            self._take_next()
            if not self.resting:
                self._ready(deadline)

    def _take_next(self) -> None:
        for connection, message in self._messages:
            if message.kind == "next":
                self._next = connection
        self._messages.clear()

    def check(self) -> bool:
        """Whether it can still be used: looks at what happened meanwhile, without waiting."""
        if not self.alive:
            return False
        try:
            while self._ready(0.0):
                pass
        except TimeoutError:
            return True
        except (Exited, ExtensionFailed):
            return False
        return True

    def _wait(self, deadline: float) -> Message:
        """Drive the sockets until the runtime says something."""
        while True:
            while self._messages:
                connection, message = self._messages.pop(0)
                if message.kind == "next":
                    self._next = connection
                elif message.kind != "part":
                    with contextlib.suppress(OSError):
                        connection.accept()
                return message
            self._ready(deadline)

    def _ready(self, deadline: float) -> list[int]:
        """Serve what is ready; the file descriptors. Exited when nothing is left to read and the process is gone."""
        wait_ms = max(0.0, deadline - time.monotonic()) * 1000 if self._runtime_status is None else 0.0
        ready = self._serve(wait_ms + 0.5 if wait_ms else 0)
        if not ready:
            if self._runtime_status is not None:
                self._drain()
                self.alive = False
                raise Exited(self._runtime_status)
            raise TimeoutError
        if self.extensions.failure is not None:
            self._drain()
            self.alive = False
            raise self.extensions.failure
        if self._process is not None and ready == [self._process.fd]:
            raise Exited(self._status())
        return ready

    def _serve(self, wait_ms: float) -> list[int]:
        ready = [fd for fd, _ in self._poll.poll(wait_ms)]
        for fd in ready:
            reader = self._readers.get(fd)
            if reader is not None:
                reader()
        return ready

    def _status(self) -> int:
        assert self._process is not None
        self._drain()
        self.alive = False
        return self._process.wait()

    def _register(self, fd: int, reader: Callable[[], None]) -> None:
        self._readers[fd] = reader
        self._poll.register(fd, select.POLLIN)

    def _forget(self, fd: int) -> None:
        self._readers.pop(fd, None)
        with contextlib.suppress(KeyError):
            self._poll.unregister(fd)

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(BlockingIOError):
            accepted = self._listener.accept()[0]
            accepted.settimeout(5)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            fd = accepted.fileno()
            self._connections[fd] = Connection(accepted)
            self._register(fd, lambda: self._read(fd))

    def _read(self, fd: int) -> None:
        connection = self._connections[fd]
        whole = connection.receive()
        try:
            while (message := connection.message()) is not None:
                if message.kind == "other":
                    self.extensions.answer(connection, message)
                else:
                    self._messages.append((connection, message))
        except (ValueError, OSError):
            whole = False
        if not whole:
            self._forget(fd)
            del self._connections[fd]
            connection.socket.close()
            self.extensions.forget(connection)
            if self._next is connection:
                self._next = None

    def _read_output(self) -> None:
        self._take_output(self._output, FUNCTION)

    def _read_extensions(self) -> None:
        self._take_output(self._extensions_output, EXTENSION)

    def _take_output(self, fd: int, source: str) -> bool:
        """Take in some of what was written; whether there may be more."""
        try:
            data = os.read(fd, _OUTPUT_BYTES)
        except BlockingIOError:
            return False
        if data:
            self.journal.feed(data, source)
        else:
            self._forget(fd)
        return bool(data)

    def _drain(self) -> None:
        """Take in all that the function and its extensions have written so far."""
        for fd, source in ((self._output, FUNCTION), (self._extensions_output, EXTENSION)):
            while fd in self._readers and self._take_output(fd, source):
                pass

    def _read_control(self) -> None:
        assert self._control is not None
        assert self._attendant is not None
        ended = self._attendant.read()
        if ended is None:
            self._forget(self._control.fileno())
        for name, status, launch_error in ended or ():
            if name == RUNTIME:
                self._runtime_status = status
            else:
                self.extensions.ended(name, status, launch_error)

    def shut_down(self) -> None:
        """Let runtime and extensions end by themselves: all in AWS's time. Nothing is waited for where nobody wants to know."""
        seconds = self.extensions.shutdown_seconds()
        if not seconds or self._process is None or self._listener is None:
            return
        self.thaw()
        self.extensions.closing = True
        begun = time.monotonic()
        number = signal.SIGTERM if self.ending == SPINDOWN else signal.SIGKILL
        attendant = self._attendant
        if attendant is None:
            if number == signal.SIGTERM and self.alive:
                self._process.terminate()
                self._serve_until(lambda: False, begun + seconds)
            return
        attendant.signal(number, RUNTIME)
        self.telemetry.hurry()
        runtime_until = begun + _RUNTIME_SHARE * seconds
        self._serve_until(lambda: self._runtime_status is not None, runtime_until)
        self._serve_until(lambda: self.telemetry.idle, runtime_until)
        deadline = begun + seconds
        silent = self.extensions.shut_down(self.ending, deadline_ms(deadline - time.monotonic()))
        attendant.signal(signal.SIGKILL, RUNTIME, *silent)
        self._serve_until(self.extensions.gone, deadline)
        self._drain()

    def _serve_until(self, done: Callable[[], bool], deadline: float) -> None:
        """Serve until something is so, or the process has ended, or time is up."""
        assert self._process is not None
        while not done() and (left := deadline - time.monotonic()) > 0:
            if self._serve(min(left, _LOOK_SECONDS) * 1000 + 0.5) == [self._process.fd]:
                return

    def peak_mib(self) -> int:
        """The most memory that it used at one time, rounded up."""
        assert self._process is not None
        size_bytes = peak_bytes(self._peak) if self.group is not None else resident_peak_bytes(self._process.pid)
        return min(self.function.memory_mib, -(-size_bytes // (1024 * 1024)))

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed something in it for that."""
        return self.group is not None and self.group.kills() > 0

    def stop(self) -> None:
        """End the process and give everything back."""
        self.alive = False
        if self._process is not None:
            self._process.kill()
        self.journal.end()
        self.journal.hear = None
        self.telemetry.stop()
        for connection in self._connections.values():
            connection.socket.close()
        for opened in (self._listener, self._control, self.endpoint):
            if opened is not None:
                opened.close()
        if self._process is not None:
            self._process.close()
            self._process = None
        for fd in (self._output, self._extensions_output, self._peak):
            if fd >= 0:
                os.close(fd)
        self._output = self._extensions_output = self._peak = -1
        self._connections.clear()
        self._readers.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
