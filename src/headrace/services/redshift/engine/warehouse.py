"""The warehouse process of one cluster: `python -m headrace.services.redshift.engine.warehouse FD`.

FD is its end of the private line. The first call on it, `open`, says where the files lie and how to listen. The process ends
when the line does, so it never outlives the server.
"""

import logging
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

from headrace.services.redshift.engine import loading, tls, unloading, users
from headrace.services.redshift.engine.control import Channel
from headrace.services.redshift.engine.database import Database
from headrace.services.redshift.engine.failures import SqlError
from headrace.services.redshift.engine.history import History
from headrace.services.redshift.engine.passwords import md5_hash
from headrace.services.redshift.engine.pg.server import Listener
from headrace.services.redshift.engine.plan import Statement
from headrace.services.redshift.engine.session import Result, Session

THREADS = max(2, os.cpu_count() or 2)
RECURSION_MAX = 8000
STACK_BYTES = 32 * 1024 * 1024
log = logging.getLogger("headrace.redshift")


class Warehouse:
    """All databases of one cluster, its users, and its listener."""

    def __init__(self, connection: socket.socket) -> None:
        self._databases: dict[str, Database] = {}
        self._lock = threading.RLock()
        self._idle: list[Session] = []
        self.folder = Path()
        self.users = users.Users(Path())
        self.history = History()
        self.listener: Listener | None = None
        self.memory_limit_mb = 1024
        self.channel = Channel(
            connection,
            {
                "open": self.open,
                "ping": lambda: {"pid": os.getpid()},
                "set_master": self.set_master,
                "load": self.load,
                "execute": self.execute,
                "cancel": self.cancel,
                "databases": self.database_names,
                "close": self.close,
            },
            lambda: os._exit(0),
        )
        self._running: dict[str, Session] = {}

    # ---- life -------------------------------------------------------------------------------------------------------

    def open(
        self, *, folder: str, host: str, port: int, database: str, master: str, master_hash: str, memory_limit_mb: int
    ) -> dict[str, Any]:
        """Open the files and listen; returns the port."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.memory_limit_mb = memory_limit_mb
        loading.clean_staging(self.folder / "staging")
        self.users = users.Users(self.folder / "users.json")
        self.users.set_master(master, master_hash)
        self.database(database, create=True)
        self.listener = Listener(self, (host, port))
        self.listener.start()
        return {"port": self.listener.port, "pid": os.getpid()}

    def close(self) -> None:
        """Write everything into the files and end."""
        if self.listener:
            self.listener.close()
            for session in self.listener.sessions():
                session.cancel()
        with self._lock:
            for database in self._databases.values():
                database.close()
            self._databases.clear()

    def set_master(self, *, master: str, master_hash: str) -> None:
        """The master user's password has changed."""
        self.users.set_master(master, master_hash)

    # ---- databases --------------------------------------------------------------------------------------------------

    def database_names(self) -> list[str]:
        """The databases of the cluster."""
        return sorted(path.stem for path in self.folder.glob("*.duckdb"))

    def database(self, name: str, *, create: bool = False) -> Database:
        """An open database. SqlError 3D000 when there is none of this name."""
        with self._lock:
            if found := self._databases.get(name):
                return found
            path = self.folder / f"{name}.duckdb"
            if not re.fullmatch(r"[a-z_][a-z0-9_$-]{0,126}", name) or (not create and not path.exists()):
                raise SqlError("3D000", f'database "{name}" does not exist')
            opened = Database(path, self.folder / "staging" / name, memory_limit_mb=self.memory_limit_mb, threads=THREADS)
            self._databases[name] = opened
            for known in self._databases.values() if create else [opened]:
                self._tell(known)
            return opened

    def _tell(self, database: Database) -> None:
        database.tell(self.users.names(), self.users.master, self.database_names())

    def _change_database(self, session: Session, statement: Statement) -> Result:
        match = re.match(r'(?is)^(create|drop)\s+database\s+(if\s+exists\s+)?"?([\w$-]+)"?\s*(.*)$', statement.text)
        if not match:
            raise SqlError("42601", "syntax error in CREATE or DROP DATABASE")
        name = match[3].lower()
        if match[1].lower() == "create":
            if name in self.database_names():
                raise SqlError("42P04", f'database "{name}" already exists')
            self.database(name, create=True)
            return Result("CREATE DATABASE")
        if name == session.database:
            raise SqlError("55006", "cannot drop the currently open database")
        with self._lock:
            if name not in self.database_names():
                raise SqlError("3D000", f'database "{name}" does not exist')
            if opened := self._databases.pop(name, None):
                opened.close()
            (self.folder / f"{name}.duckdb").unlink()
            for known in self._databases.values():
                self._tell(known)
        return Result("DROP DATABASE")

    # ---- what a session needs ---------------------------------------------------------------------------------------

    def password_hashes(self, user: str) -> list[str]:
        """The md5 hashes with which this user may come in now: its own, and temporary ones that the server gave out."""
        temporary: list[str] = self.channel.call("credentials", user=user, timeout_s=10.0)
        return [*self.users.hashes(user), *temporary]

    def open_session(self, user: str, database: str, pid: int) -> Session:
        """A session in a database."""
        return Session(self.database(database).cursor(), self, user=user, database=database, pid=pid)

    def tls(self) -> ssl.SSLContext:
        """The certificate of this cluster, made when first asked for."""
        return tls.context(self.folder / "tls.pem")

    def run_special(self, session: Session, statement: Statement) -> Result | None:
        """COPY, UNLOAD, users and databases."""
        staging = self.database(session.database).staging
        match statement.kind:
            case "copy":
                return loading.copy(session, statement.text, staging, self.channel)
            case "unload":
                return unloading.unload(session, statement.text, staging, self.channel)
            case "user":
                result = self.users.run(statement.text)
                for database in list(self._databases.values()):
                    self._tell(database)
                return result
            case "database":
                return self._change_database(session, statement)
        return None

    # ---- calls from the server --------------------------------------------------------------------------------------

    def _borrow(self, user: str, database: str) -> Session:
        with self._lock:
            for at, session in enumerate(self._idle):
                if (session.user, session.database) == (user, database):
                    return self._idle.pop(at)
        return self.open_session(user, database, 0)

    def _give_back(self, session: Session) -> None:
        session.rollback()
        with self._lock:
            if len(self._idle) < 8:
                return self._idle.append(session)
        session.close()

    def load(self, *, database: str, user: str, password: str, statement: str, manifest_id: str) -> dict[str, Any]:
        """Run a COPY and remember its manifest id in the same commit."""
        if md5_hash(user, password) not in self.password_hashes(user):
            raise SqlError("28000", f'password authentication failed for user "{user}"')
        session = self._borrow(user, database)
        try:
            return loading.load_once(session, statement, manifest_id, self.database(database).staging, self.channel)
        finally:
            self._give_back(session)

    def execute(
        self, *, run_id: str, database: str, user: str, statements: list[str], parameters: list[list[str]], limit_bytes: int
    ) -> dict[str, Any]:
        """Run statements of the Data API as one transaction; rows come back whole, up to a limit."""
        session = self._borrow(user, database)
        self._running[run_id] = session
        started = time.monotonic()
        try:
            answers = loading.execute_batch(session, statements, parameters, limit_bytes)
        finally:
            self._running.pop(run_id, None)
            self._give_back(session)
        return {"results": answers, "seconds": time.monotonic() - started}

    def cancel(self, *, run_id: str) -> bool:
        """Stop a running statement."""
        session = self._running.get(run_id)
        if session is None:
            return False
        session.cancel()
        return True


def main() -> None:
    """Serve until the line ends."""
    logging.basicConfig(level=os.environ.get("HEADRACE_LOG", "WARNING"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends us in order
    # A parser calls itself for every parenthesis: room for some hundreds of them.
    sys.setrecursionlimit(RECURSION_MAX)
    threading.stack_size(STACK_BYTES)
    connection = socket.socket(fileno=int(sys.argv[1]))
    Warehouse(connection).channel.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
