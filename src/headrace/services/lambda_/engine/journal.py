"""One environment's log: what the function and its extensions write, cut into lines, and what the platform says between."""

from collections.abc import Callable, Sequence
from typing import Any

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine import platform_events
from headrace.services.lambda_.engine.function import Line, LogSettings
from headrace.services.lambda_.engine.platform_events import LEVELS

FUNCTION, EXTENSION = "function", "extension"


class Journal:
    """Gathers lines: gives them away in batches, and keeps the tail of the current invocation. `hear` gets every event too."""

    def __init__(self, now_ms: Callable[[], int], settings: LogSettings) -> None:
        self._now_ms = now_ms
        self._json = settings.format == "JSON"
        self._system_level = LEVELS[settings.system_level] if self._json else 0
        self._application_level = LEVELS[settings.application_level] if self._json else 0
        self._partial = {FUNCTION: bytearray(), EXTENSION: bytearray()}
        self._held: list[Line] = []
        self._tail = bytearray()
        self.give: Callable[[Sequence[Line]], None] | None = None
        self.hear: Callable[[int, str, Any], None] | None = None

    def begin(self, give: Callable[[Sequence[Line]], None] | None) -> None:
        """A new invocation begins; its lines go to `give`."""
        self.give = give
        self._tail.clear()

    def feed(self, data: bytes, source: str = FUNCTION) -> None:
        """Take bytes that the function, or an extension, wrote."""
        partial = self._partial[source]
        partial += data
        *whole, rest = partial.split(b"\n")
        for line in whole:
            self._written(bytes(line), source)
        partial[:] = rest
        while len(partial) > limits.LOG_LINE_BYTES_MAX:
            self._written(bytes(partial[: limits.LOG_LINE_BYTES_MAX]), source)
            del partial[: limits.LOG_LINE_BYTES_MAX]

    @property
    def detailed(self) -> bool:
        """Whether anybody sees the events that logs of plain text go without."""
        return self._json or self.hear is not None

    def event(self, kind: str, record: dict[str, Any]) -> None:
        """An event of the platform, behind all that the function has written; an extension may be in the middle of a line."""
        self._finish_line(FUNCTION)
        now_ms = self._now_ms()
        if self.hear is not None:
            self.hear(now_ms, kind, record)
        if not self._json:
            for text in platform_events.as_text(kind, record):
                self._add(text.encode())
        elif LEVELS[platform_events.level(kind, record)] >= self._system_level:
            self._add(platform_events.as_json(now_ms, kind, record).encode())

    def say(self, text: str) -> None:
        """A line of the platform that is no event: logs of the format JSON go without it."""
        self._finish_line(FUNCTION)
        if not self._json:
            self._add(text.encode())

    def end(self) -> None:
        """Nothing more will be written."""
        self._finish_line(FUNCTION)
        self._finish_line(EXTENSION)
        self.flush()

    def _finish_line(self, source: str) -> None:
        partial = self._partial[source]
        if partial:
            self._written(bytes(partial), source)
            partial.clear()

    def _written(self, line: bytes, source: str) -> None:
        if self.hear is not None:
            self.hear(self._now_ms(), source, line.decode("utf-8", "replace"))
        if self._application_level and source == FUNCTION:
            level = platform_events.level_of_line(line)
            if level and LEVELS[level] < self._application_level:
                return
        self._add(line)

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
