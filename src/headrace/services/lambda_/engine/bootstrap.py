"""The first thing that runs inside an execution environment. A script of its own: it sees the standard library alone.

The server passes one connected socket (its number is the first argument) and sends one line of JSON on it. The script opens
the listening sockets that the function needs *inside* the sandbox's network, hands them out to the server, gives up every
privilege, and becomes AWS's runtime client. So the server answers in a network that it is not part of, and no relay process is
needed: a socket belongs to the network it was made in.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import socket
import sys
from typing import Any

_DUMPABLE = 4
_NO_NEW_PRIVILEGES = 38


def main() -> None:
    """Take the orders, hand out the sockets, drop privileges, run the function's runtime."""
    control = socket.socket(fileno=int(sys.argv[1]))
    orders = _receive(control)
    runtime = _listen(orders["runtime_port"])
    handed = [runtime]
    if orders["endpoint_port"]:
        handed.append(_listen(orders["endpoint_port"]))
    _bound(orders)
    socket.send_fds(control, [b"ready"], [listener.fileno() for listener in handed])
    port = runtime.getsockname()[1]
    for opened in (*handed, control):
        opened.close()
    os.environ.clear()
    os.environ.update(orders["environment"])
    os.environ["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{port}"
    sys.path[:1] = []
    sys.path[:0] = orders["path"]
    os.chdir(orders["environment"]["LAMBDA_TASK_ROOT"])
    # It is found only now that the path is set.
    importlib.import_module("awslambdaric.__main__").main(["bootstrap", orders["handler"]])


def _receive(control: socket.socket) -> dict[str, Any]:
    with control.makefile("rb") as stream:
        orders: dict[str, Any] = json.loads(stream.readline())
    return orders


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def _bound(orders: dict[str, Any]) -> None:
    for name, value in orders["limits"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)  # noqa: PLW2901
        resource.setrlimit(kind, (value, value))
    user_id = orders["user_id"]
    if user_id:
        os.setgroups([])
        os.setresgid(user_id, user_id, user_id)
        os.setresuid(user_id, user_id, user_id)
    with contextlib.suppress(OSError, AttributeError):
        control = ctypes.CDLL(None).prctl
        control(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        control(_DUMPABLE, 1, 0, 0, 0)  # changing the user took /proc/self away


if __name__ == "__main__":
    main()
