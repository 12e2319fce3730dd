"""The warmed parent of execution environments: Python with AWS's runtime client and SDK loaded, forked for each of them.

It runs inside the root filesystem that bubblewrap built, and is one thread that never runs strangers' code. The server sends
one byte and three descriptors on the socket whose number is the first argument: a control socket (see `bootstrap.py`), the
pipe of the function's output, and a pipe on which the child's exit status is reported. The answer is the child's process id
and a descriptor of the process. The child takes its orders from the control socket, confines itself, and becomes the runtime.
"""

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import warnings
from typing import Any

attendant: Any = importlib.import_module("attendant")
bootstrap: Any = importlib.import_module("bootstrap")
confine: Any = importlib.import_module("confine")

_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six", "certifi")
_RUNTIME = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
# These read the environment when they are loaded.
_LOADED_AGAIN = ("awslambdaric.bootstrap", "awslambdaric.lambda_literals", "awslambdaric.__main__")


def main() -> None:
    """Load, serve, and in each child run a function."""
    server = socket.socket(fileno=int(sys.argv[1]))
    before = set(sys.modules)
    _load()
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before} | set(_SDK)
    gc.collect()
    gc.freeze()
    server.sendall(b"r")
    control = _serve(server)
    # Only a child comes here.
    orders = bootstrap.receive(control)
    inside = orders["confine"]
    confine.isolate(inside["task"], inside["layers"], inside["temporary_bytes"], inside["network"])
    output = bootstrap.prepare(control, orders, dies_with_parent=True)
    if orders["extensions"]:
        attendant.attend(control, orders["extensions"], output)
    else:
        _be_init()
    if not orders["command"]:
        _forget_shadowed(orders["path"], loaded)
    bootstrap.become(orders)


def _load() -> None:
    importlib.import_module("awslambdaric.__main__")
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Making a client loads what the SDK loads late. Nothing is sent, and the session is thrown away.
        session = importlib.import_module("boto3").session.Session("none", "none", region_name="us-east-1")
        session.client("dynamodb")
        session.resource("dynamodb")
    for name in ("concurrent.futures", "asyncio", "decimal", "uuid", "queue", "base64", "http.client", "typing", "dataclasses"):
        importlib.import_module(name)


def _serve(server: socket.socket) -> socket.socket:
    """Fork on demand; ends with the server. In a child it returns its control socket."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    poll = select.poll()
    poll.register(server, select.POLLIN)
    poll.register(wake, select.POLLIN)
    reports: dict[int, int] = {}
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            _reap(reports)
        if server.fileno() in ready:
            asked, given, _, _ = socket.recv_fds(server, 1, 3)
            if not asked:
                os._exit(0)
            control, output, report = given
            confine.begin_process_namespace()
            pid = os.fork()
            if not pid:
                confine.die_with_parent()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setsid()
                os.dup2(output, 1)
                os.dup2(output, 2)
                kept = os.dup2(control, 3, inheritable=False) if control != 3 else 3
                os.closerange(4, 65_536)
                server.detach()
                return socket.socket(fileno=kept)
            reports[pid] = report
            handle = os.pidfd_open(pid)
            confine.end_process_namespace(own)
            socket.send_fds(server, [struct.pack("i", pid)], [handle])
            for opened in (control, output, handle):
                os.close(opened)


def _reap(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        report = reports.pop(pid)
        with contextlib.suppress(OSError):
            os.write(report, struct.pack("i", os.waitstatus_to_exitcode(status)))
        os.close(report)


def _be_init() -> None:
    """Go on in a child: the first process of a namespace can't be killed from inside, and inherits orphans."""
    main = os.fork()
    if not main:
        return
    # The runtime of a function with extensions is asked to end before it is killed.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(main, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            os._exit(128 - code if code < 0 else code)


def _forget_shadowed(path: list[str], loaded: set[str]) -> None:
    """A function that brings its own copy of something that is loaded gets its own copy."""
    brought: set[str] = set()
    for folder in path[:-1]:
        with contextlib.suppress(OSError):
            brought.update(name.partition(".")[0] for name in os.listdir(folder))
    gone = (brought & loaded) - set(_RUNTIME)
    if gone & set(_SDK):
        gone.update(_SDK)
    for name in list(sys.modules):
        if name.partition(".")[0] in gone or name in _LOADED_AGAIN:
            del sys.modules[name]
    package = sys.modules["awslambdaric"]
    for name in _LOADED_AGAIN:
        vars(package).pop(name.partition(".")[2], None)


if __name__ == "__main__":
    main()
