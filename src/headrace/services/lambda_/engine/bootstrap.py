"""The first thing that runs inside an execution environment. A script of its own: it sees the standard library alone.

The server passes one connected socket (its number is the first argument) and sends one line of JSON on it. The script opens
the listening sockets that the function needs *inside* the sandbox's network, hands them out to the server, gives up every
privilege, and becomes the function's runtime. So the server answers in a network that it is not part of, and no relay process
is needed: a socket belongs to the network it was made in.

`zygote.py` does the same for many environments, one after another, without starting Python anew.
"""

import importlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any

attendant: Any = importlib.import_module("attendant")
confine: Any = importlib.import_module("confine")
_WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
_EXTENSIONS_MAX = 10


def main() -> None:
    """Take the orders, hand out the sockets, drop privileges, run the function's runtime."""
    control = socket.socket(fileno=int(sys.argv[1]))
    orders = receive(control)
    output = prepare(control, orders)
    if orders["extensions"]:
        attendant.attend(control, orders["extensions"], output)
    become(orders)


def receive(control: socket.socket) -> dict[str, Any]:
    """The orders: one line of JSON."""
    with control.makefile("rb") as stream:
        orders: dict[str, Any] = json.loads(stream.readline())
    return orders


def prepare(control: socket.socket, orders: dict[str, Any], *, dies_with_parent: bool = False) -> int:
    """Open the sockets, hand them to the server, and give up every right.

    With extensions, the control socket stays open, and the pipe for what they write is given back.
    """
    runtime = _listen(orders["runtime_port"])
    handed = [runtime]
    if orders["endpoint_port"]:
        handed.append(_listen(orders["endpoint_port"]))
    # Not connected: the server connects them to where extensions listen for telemetry.
    handed += [socket.socket() for _ in range(min(len(orders["extensions"]), _EXTENSIONS_MAX) + 1)]
    confine.bound(orders["limits"], orders["user_id"])
    # Made by the function's user: so an extension can open /dev/stdout.
    read, output = os.pipe() if orders["extensions"] else (-1, -1)
    confine.give_up(dies_with_parent=dies_with_parent)
    given = [one.fileno() for one in handed]
    socket.send_fds(control, [b"ready"], [*given, read] if orders["extensions"] else given)
    orders["environment"]["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{runtime.getsockname()[1]}"
    for opened in handed if orders["extensions"] else (*handed, control):
        opened.close()
    if orders["extensions"]:
        os.close(read)
    os.environ.clear()
    os.environ.update(orders["environment"])
    time.tzset()
    os.chdir(orders["environment"]["LAMBDA_TASK_ROOT"])
    return output


def become(orders: dict[str, Any]) -> None:
    """Run the runtime: another program, or AWS's Python client in this process."""
    command = orders["command"]
    if not command:
        if _WRAPPER not in orders["environment"]:
            sys.path[:1] = []
            sys.path[:0] = orders["path"]
            # It is found only now that the path is set.
            importlib.import_module("awslambdaric.__main__").main(["bootstrap", orders["handler"]])
            return
        os.environ["PYTHONPATH"] = ":".join(orders["path"])
        command = [sys.executable, "-s", "-B", "-m", "awslambdaric", orders["handler"]]
    if _WRAPPER in orders["environment"]:
        command = [orders["environment"][_WRAPPER], *command]
    # Python ignores this one, and programs inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execve(command[0], command, os.environ)
    except OSError as error:
        os.write(2, f"Couldn't start {command[0]}: {error.strerror}\n".encode())
        os.write(2, b"Runtime.InvalidEntrypoint\n")
        sys.exit(127)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


if __name__ == "__main__":
    main()
