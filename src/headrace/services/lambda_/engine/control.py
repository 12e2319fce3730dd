"""The server's end of the socket to an environment's attendant: what to do with processes, and which of them ended.

The attendant runs beside strangers' code: what it says is not trusted to be sound.
"""

import contextlib
import json
import socket
from typing import Any, NamedTuple

RUNTIME = ""
"""The attendant's name for the runtime among the processes."""
_HELD_BYTES_MAX = 64 * 1024


class Ended(NamedTuple):
    """A process that ended, or could not be started: then `launch_error` says why. `status` as subprocess gives it."""

    name: str
    status: int
    launch_error: str


class Control:
    """A conversation in lines of JSON."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._data = b""

    def run(self) -> None:
        """Start the runtime."""
        self._order({"run": True})

    def signal(self, number: int, *names: str) -> None:
        """Send a signal to processes."""
        self._order({"signal": number, "to": names})

    def read(self) -> list[Ended] | None:
        """What it says now; None when it says nothing more, or no sense."""
        try:
            data = self._socket.recv(_HELD_BYTES_MAX, socket.MSG_DONTWAIT)
            *lines, self._data = (self._data + data).split(b"\n")
            ended = [
                Ended(str(told["exited"]), int(told["status"]), str(told.get("launch_error", "")))
                for told in (json.loads(line) for line in lines)
            ]
        except BlockingIOError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return ended if data and len(self._data) <= _HELD_BYTES_MAX else None

    def _order(self, what: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it has ended: whoever waits for it sees that
            self._socket.sendall(json.dumps(what).encode() + b"\n")
