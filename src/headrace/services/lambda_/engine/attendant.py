"""The first process of an environment with external extensions: it starts them, and the runtime when it is told to.

It runs inside the sandbox, without any right, and with the standard library alone. The server tells it on the control socket,
one line of JSON at a time, to `run` the runtime or to send a `signal`; it answers with each process that ended. When it ends,
all end with it.
"""

import importlib
import json
import os
import select
import signal
import socket
import subprocess
from typing import Any

confine: Any = importlib.import_module("confine")
RUNTIME = ""
"""The name of the runtime among the processes."""
# These belong to the runtime's process.
_RUNTIME_ONLY = (
    "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "_AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
)  # fmt: skip


def attend(control: socket.socket, extensions: list[str], output: int) -> None:
    """Start the extensions and stay with them; returns in the process that is to become the runtime."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    environment = {name: value for name, value in os.environ.items() if name not in _RUNTIME_ONLY}
    names: dict[int, str] = {}
    # Kept: a Popen that is forgotten looks after its process itself.
    kept = [_start(path, environment, output, names, control) for path in extensions]
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wake, select.POLLIN)
    data = b""
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if wake in ready:
            os.read(wake, 4096)
            _reap(names, control)
        if control.fileno() not in ready:
            continue
        more = control.recv(65_536)
        if not more:
            os._exit(0)
        *lines, data = (data + more).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "signal" in told:
                _signal(names, told["signal"], told["to"])
                continue
            pid = os.fork()
            if pid:
                names[pid] = RUNTIME
                continue
            confine.die_with_parent()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for one in kept:
                if one is not None:
                    one.returncode = 0  # not this process's child
            for opened in (output, wake, woken):
                os.close(opened)
            control.close()
            return


def _start(
    path: str, environment: dict[str, str], output: int, names: dict[int, str], control: socket.socket
) -> subprocess.Popen[bytes] | None:
    name = os.path.basename(path)
    try:
        started = subprocess.Popen(
            [path], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd="/",
            preexec_fn=confine.die_with_parent,  # noqa: PLW1509 -- there are no threads here
        )  # fmt: skip
    except OSError as error:
        why = f"fork/exec {path}: {(error.strerror or '').lower()}"
        _tell(control, {"exited": name, "status": 1, "launch_error": why})
        return None
    names[started.pid] = name
    return started


def _reap(names: dict[int, str], control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if pid in names:
            _tell(control, {"exited": names.pop(pid), "status": os.waitstatus_to_exitcode(status)})


def _signal(names: dict[int, str], number: int, to: list[str]) -> None:
    for pid, name in names.items():
        if name in to:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _tell(control: socket.socket, what: dict[str, Any]) -> None:
    control.sendall(json.dumps(what).encode() + b"\n")
