"""A function's output, cut into lines, and the lines that the platform adds."""

from collections.abc import Callable, Sequence

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine.function import Line


class LogLines:
    """Gathers one environment's lines: gives them away in batches, and keeps the tail of the current invocation."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._partial = bytearray()
        self._held: list[Line] = []
        self._tail = bytearray()
        self.give: Callable[[Sequence[Line]], None] | None = None

    def begin(self, give: Callable[[Sequence[Line]], None] | None) -> None:
        """A new invocation begins; its lines go to `give`."""
        self.give = give
        self._tail.clear()

    def feed(self, data: bytes) -> None:
        """Take bytes that the function wrote."""
        self._partial += data
        *whole, rest = self._partial.split(b"\n")
        for line in whole:
            self._add(bytes(line))
        self._partial = rest
        while len(self._partial) > limits.LOG_LINE_BYTES_MAX:
            self._add(bytes(self._partial[: limits.LOG_LINE_BYTES_MAX]))
            del self._partial[: limits.LOG_LINE_BYTES_MAX]

    def say(self, text: str) -> None:
        """Add a line of the platform's own, behind all that the function has written."""
        if self._partial:
            self._add(bytes(self._partial))
            self._partial = bytearray()
        self._add(text.encode("utf-8"))

    def _add(self, line: bytes) -> None:
        self._tail += line + b"\n"
        if len(self._tail) > 4 * limits.LOG_TAIL_BYTES:
            del self._tail[: -limits.LOG_TAIL_BYTES]
        # Python's runtime ends the lines of a traceback with \r, so that they stay one log event.
        self._held.append((self._now_ms(), line.decode("utf-8", "replace") + "\n"))
        if len(self._held) >= limits.LOG_LINES_HELD_MAX:
            self.flush()

    def flush(self) -> None:
        """Give away what is held."""
        if self._held and self.give is not None:
            self.give(self._held)
        self._held = []

    def tail(self) -> bytes:
        """The last 4 KiB of the current invocation's log."""
        return bytes(self._tail[-limits.LOG_TAIL_BYTES :])


def start_line(request_id: str, version: str) -> str:
    """The line before a function runs."""
    return f"START RequestId: {request_id} Version: {version}"


def end_line(request_id: str) -> str:
    """The line after a function ran."""
    return f"END RequestId: {request_id}"


def report_line(
    request_id: str, duration_ms: float, billed_ms: int, memory_mib: int, used_mib: int, init_ms: float | None, status: str
) -> str:
    """What an invocation used. `status` is empty, "timeout" or "error\\tError Type: …"."""
    parts = [f"REPORT RequestId: {request_id}", f"Duration: {duration_ms:.2f} ms", f"Billed Duration: {billed_ms} ms"]
    parts += [f"Memory Size: {memory_mib} MB", f"Max Memory Used: {used_mib} MB"]
    if init_ms is not None:
        parts.append(f"Init Duration: {init_ms:.2f} ms")
    if status:
        parts.append(f"Status: {status}")
    return "\t".join(parts) + "\t"
