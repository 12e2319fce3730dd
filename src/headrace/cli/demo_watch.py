"""Watches the far end: the mailbox, and the rows that a SELECT sees."""

import re
import threading
import time
from typing import Any

import psycopg

from headrace.cli.demo_deploy import Stack
from headrace.cli.server_process import ServerProcess

LOOK_AT_ROWS_SECONDS = 0.02
LOOK_AT_MAILS_SECONDS = 0.2
CONNECT_SECONDS_MAX = 30.0
MAILS_A_PAGE = 100
_SUBJECT = re.compile(r"Your account is overdrawn \((.+)\)")


class Watcher:
    """Notes when each overdrawn transaction's mail came, and when its row was first seen. Times are seconds since 1970."""

    def __init__(self, server: ServerProcess, stack: Stack) -> None:
        self._server = server
        self._stack = stack
        self.visible_at: dict[str, float] = {}
        self.mailed_at: dict[str, float] = {}
        self.mails: list[dict[str, Any]] = []
        self._seen: set[str] = set()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def mail_count(self) -> int:
        """How many mails there are, repeated ones included."""
        return len(self._seen)

    def connect(self) -> psycopg.Connection[Any]:
        """A session of the warehouse; tried again while the server is down."""
        deadline = time.monotonic() + CONNECT_SECONDS_MAX
        while True:
            try:
                return psycopg.connect(
                    host="127.0.0.1", port=self._stack.warehouse_port, user="bank", password=self._stack.password,
                    dbname="bank", autocommit=True, connect_timeout=5,
                )  # fmt: skip
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def prepare(self, statements: str) -> None:
        """Create the warehouse's table."""
        with self.connect() as session:
            session.execute(statements.encode())

    def start(self) -> None:
        """Begin to watch."""
        self._threads = [threading.Thread(target=watch, daemon=True) for watch in (self._watch_rows, self._watch_mails)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look once more, and end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)
        self._read_mails()

    def _watch_rows(self) -> None:
        session = self.connect()
        while not self._stopping.is_set():
            try:
                count = session.execute("SELECT COUNT(*) FROM overdrafts").fetchone()
                if count is not None and count[0] > len(self.visible_at):
                    rows = session.execute("SELECT transaction_id FROM overdrafts").fetchall()
                    now = time.time()
                    for (transaction_id,) in rows:
                        self.visible_at.setdefault(transaction_id, now)
            except psycopg.Error:
                session.close()
                session = self.connect()
            self._stopping.wait(LOOK_AT_ROWS_SECONDS)
        session.close()

    def _watch_mails(self) -> None:
        while not self._stopping.wait(LOOK_AT_MAILS_SECONDS):
            try:
                self._read_mails()
            except OSError:
                continue

    def _read_mails(self) -> None:
        """Read what came into the mailbox since the last look: the newest mails first, until one that is known."""
        after = ""
        while True:
            page = self._server.page(f"/_headrace/mail?limit={MAILS_A_PAGE}&after={after}")
            fresh = [mail for mail in page["messages"] if mail["id"] not in self._seen]
            for mail in fresh:
                self._note(mail)
            if page["next"] is None or len(fresh) < len(page["messages"]):
                return
            after = page["next"]

    def _note(self, mail: dict[str, Any]) -> None:
        self._seen.add(mail["id"])
        if len(self.mails) < 3:
            self.mails.append(mail)
        found = _SUBJECT.fullmatch(mail["subject"])
        if found is not None:
            transaction_id, sent_at = found[1], mail["sent_at"]
            self.mailed_at[transaction_id] = min(sent_at, self.mailed_at.get(transaction_id, sent_at))
