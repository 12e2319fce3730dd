"""The listener: one thread per client, TLS when asked for, cancel requests."""

import logging
import secrets
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Protocol

from headrace.services.redshift.engine.failures import SqlError, translate
from headrace.services.redshift.engine.pg import conversation
from headrace.services.redshift.engine.pg.wire import CANCEL_REQUEST, GSS_REQUEST, PROTOCOL_3, SSL_REQUEST, Gone, Wire, strings
from headrace.services.redshift.engine.session import Session

CONNECTIONS_MAX = 500
STARTUP_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 4 * 3600.0
log = logging.getLogger("headrace.redshift.pg")


class Host(Protocol):
    """What the listener needs of the cluster."""

    def password_hashes(self, user: str) -> list[str]:
        """The md5 hashes with which this user may come in now."""

    def open_session(self, user: str, database: str, pid: int) -> Session:
        """A session in a database."""

    def tls(self) -> ssl.SSLContext:
        """The certificate, made when first needed."""


class Listener:
    """Accepts PostgreSQL clients on one port."""

    def __init__(self, host: Host, address: tuple[str, int]) -> None:
        self.host = host
        self._socket = socket.create_server(address, backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._sessions: dict[int, tuple[int, Session]] = {}
        self._lock = threading.Lock()
        self._next_pid = 1000

    def start(self) -> None:
        """Accept in the background."""
        threading.Thread(target=self._accept, name="redshift-accept", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), name="redshift-session", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(STARTUP_TIMEOUT_S)
        wire = Wire(connection)
        pid = 0
        session: Session | None = None
        try:
            wire, startup = self._negotiate(wire)
            if startup is None:
                return
            pid, session = self._enter(wire, startup)
            wire.socket.settimeout(IDLE_TIMEOUT_S)
            conversation.Conversation(wire, session).run()
        except Gone:
            log.debug("a client has gone")
        except Exception as error:
            self._farewell(wire, error)
        finally:
            with self._lock:
                self._sessions.pop(pid, None)
            if session is not None:
                session.close()
            wire.close()

    @staticmethod
    def _farewell(wire: Wire, error: Exception) -> None:
        try:
            wire.error(translate(error), "FATAL")
            wire.flush()
        except Gone:
            log.debug("a client has gone")

    def _negotiate(self, wire: Wire) -> tuple[Wire, dict[str, str] | None]:
        while True:
            code, body = wire.startup()
            if code == SSL_REQUEST:
                wire.socket.sendall(b"S")
                wire = Wire(self.host.tls().wrap_socket(wire.socket, server_side=True))
            elif code == GSS_REQUEST:
                wire.socket.sendall(b"N")
            elif code == CANCEL_REQUEST:
                self._cancel(*struct.unpack("!iI", body[:8]))
                return wire, None
            elif code == PROTOCOL_3 or code >> 16 == 3:
                values = strings(body)
                return wire, dict(zip(values[::2], values[1::2], strict=False))
            else:
                raise SqlError("08P01", f"unsupported protocol version {code >> 16}.{code & 65535}")

    def _enter(self, wire: Wire, startup: dict[str, str]) -> tuple[int, Session]:
        user = startup.get("user", "")
        conversation.authenticate(wire, user, self.host.password_hashes)
        with self._lock:
            if len(self._sessions) >= CONNECTIONS_MAX:
                raise SqlError("53300", f'connection limit "{CONNECTIONS_MAX}" exceeded for user "{user}"')
            self._next_pid += 1
            pid = self._next_pid
        session = self.host.open_session(user, startup.get("database") or user, pid)
        session.settings["application_name"] = startup.get("application_name", "")
        secret = secrets.randbits(32)
        with self._lock:
            self._sessions[pid] = (secret, session)
        conversation.greet(wire, pid, secret, user)
        return pid, session

    def _cancel(self, pid: int, secret: int) -> None:
        with self._lock:
            found = self._sessions.get(pid)
        if found and found[0] == secret:
            found[1].cancel()

    def close(self) -> None:
        """Stop accepting."""
        self._socket.close()

    def sessions(self) -> list[Session]:
        """Who is connected."""
        with self._lock:
            return [session for _, session in self._sessions.values()]


HashesOf = Callable[[str], list[str]]
