"""The one door to the time of day. A test moves it instead of sleeping."""

import threading
import time


class Clock:
    """The time of day in seconds since 1970, UTC, plus an offset that only tests set."""

    def __init__(self, offset_seconds: float = 0.0) -> None:
        self._offset_seconds = offset_seconds
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time() + self._offset_seconds

    def now_ms(self) -> int:
        """Whole milliseconds since 1970, UTC."""
        return int((time.time() + self._offset_seconds) * 1000)

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Used by tests and by nothing else."""
        with self._lock:
            self._offset_seconds += seconds

    @property
    def offset_seconds(self) -> float:
        """How far the clock stands ahead of the machine's."""
        return self._offset_seconds
