"""What ran lately: kept in memory, and written to a table when somebody looks at a system table that shows it."""

import datetime
import itertools
import re
import threading
from collections import deque
from dataclasses import dataclass

import duckdb

KEPT = 300
TEXT_LIMIT = 4000
_LOOKS = re.compile(r'"(sys_query_history|stl_query|stv_recents)"')
_SECRET = re.compile(r"(?is)((?:secret_access_key|password|session_token|credentials)\s+(?:as\s+)?)'(?:[^']|'')*'")


@dataclass(slots=True)
class Entry:
    """One statement."""

    number: int
    user: str
    database: str
    pid: int
    text: str
    started_at: datetime.datetime
    ended_at: datetime.datetime | None = None
    status: str = "running"
    error: str = ""


class History:
    """The last statements of a cluster."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def begin(self, user: str, database: str, pid: int, text: str) -> Entry:
        """A statement starts. Secrets in its text are not kept."""
        entry = Entry(next(self._numbers), user, database, pid, redact(text[:TEXT_LIMIT]), _now())
        with self._lock:
            self._entries.append(entry)
        return entry

    @staticmethod
    def end(entry: Entry, error: str = "") -> None:
        """A statement has ended."""
        entry.ended_at = _now()
        entry.status, entry.error = ("failed", error[:TEXT_LIMIT]) if error else ("success", "")

    def publish(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Write what is kept to the table behind the system tables."""
        with self._lock:
            rows = [
                [e.number, e.user, e.database, e.pid, e.text, e.started_at, e.ended_at, e.status, e.error] for e in self._entries
            ]
        with connection.cursor() as side:
            side.execute("begin")
            side.execute("delete from headrace.history")
            side.executemany("insert into headrace.history values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            side.execute("commit")


def looks(text: str) -> bool:
    """Whether a statement reads a system table of what ran."""
    return _LOOKS.search(text) is not None


def redact(text: str) -> str:
    """A statement without the secrets that COPY and CREATE USER may hold."""
    return _SECRET.sub(r"\1'***'", text)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
