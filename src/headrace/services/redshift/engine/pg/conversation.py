"""One client's conversation: start-up, authentication, the simple and the extended query protocol."""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.services.redshift.engine import scan
from headrace.services.redshift.engine.failures import SqlError, translate
from headrace.services.redshift.engine.pg.types import WireType, adapted, parameter_sql, rows_encoder, wire_type
from headrace.services.redshift.engine.pg.wire import Gone, Wire, cstrings
from headrace.services.redshift.engine.plan import Statement
from headrace.services.redshift.engine.session import Result, Session

STATEMENT_LIMIT_BYTES = 16 * 1024 * 1024
PREPARED_LIMIT = 1000
PARAMETER_STATUS = {
    "server_version": "8.0.2",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "is_superuser": "on",
    "standard_conforming_strings": "off",
}


@dataclass(slots=True)
class Prepared:
    """A parsed statement and the types that the client gave its parameters."""

    statement: Statement | None
    oids: list[int]
    columns: list[tuple[str, str]] | None = None


@dataclass(slots=True)
class Portal:
    """A statement bound to parameters; its rows may be taken in several pieces."""

    prepared: Prepared
    parameters: list[str]
    formats: list[int]
    result: Result | None = None
    pending: list[tuple[Any, ...]] = field(default_factory=list)
    rows: int = 0
    done: bool = False

    def batches(self) -> Iterator[list[tuple[Any, ...]]]:
        """What is left, piece by piece."""
        assert self.result is not None
        if self.pending:
            kept, self.pending = self.pending, []
            yield kept
        yield from self.result.batches


def formats_for(count: int, asked: list[int]) -> list[int]:
    """The format of every column: none asked is text, one is for all."""
    if len(asked) == count:
        return asked
    return (asked or [0])[:1] * count if len(asked) <= 1 else (asked + [0] * count)[:count]


def row_description(columns: list[tuple[str, str]], formats: list[int]) -> bytes:
    """The body of RowDescription."""
    body = [struct.pack("!h", len(columns))]
    for (name, stored), form in zip(columns, formats, strict=True):
        kind = wire_type(stored)
        body.append(name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, kind.oid, kind.size, kind.modifier, form))
    return b"".join(body)


class Conversation:
    """Reads the client's messages and answers them, on a thread of its own."""

    def __init__(self, wire: Wire, session: Session) -> None:
        self.wire = wire
        self.session = session
        self._prepared: dict[str, Prepared] = {}
        self._portals: dict[str, Portal] = {}
        self._skipping = False  # after an error, everything up to Sync is passed over
        self._implicit = False  # a transaction of ours around several Executes before one Sync
        self._handlers: dict[bytes, Callable[[bytes], None]] = {
            b"Q": self._query,
            b"P": self._parse,
            b"B": self._bind,
            b"D": self._describe,
            b"E": self._execute,
            b"C": self._close,
            b"S": self._sync,
            b"H": lambda body: self.wire.flush(),
            b"F": self._function_call,
        }

    def run(self) -> None:
        """Answer until the client goes."""
        self.ready()
        while True:
            kind, body = self.wire.message()
            if kind == b"X":
                return
            handler = self._handlers.get(kind)
            if self._skipping and kind not in (b"S", b"H"):
                continue
            try:
                if handler is None:
                    raise SqlError("08P01", f"unknown message type {kind!r}")
                handler(body)
            except Gone:
                raise
            except Exception as error:
                self.session.fail()
                self.wire.error(translate(error))
                if kind == b"Q":
                    self._end_implicit(failed=True)
                    self.ready()
                else:
                    self._skipping = True

    def ready(self) -> None:
        """ReadyForQuery, and everything before it leaves."""
        self.wire.send(b"Z", self.session.status)
        self.wire.flush()

    # ---- simple protocol --------------------------------------------------------------------------------------------

    def _query(self, body: bytes) -> None:
        text = _text(body[:-1])
        pieces = scan.statements(text)
        if not pieces:
            self.wire.send(b"I")
            return self.ready()
        several = len(pieces) > 1
        for piece in pieces:
            try:
                statement = self.session.read(piece)
            except SqlError as error:
                raise _placed(error, text, piece) from None
            if several and not self.session.open and statement.kind not in ("begin", "commit", "rollback"):
                self.session.begin()
                self._implicit = True
            elif self._implicit and statement.kind in ("begin", "commit", "rollback"):
                # The client's own word ends or takes over our transaction.
                self._implicit = False
                if statement.kind == "begin":
                    self.wire.send(b"C", b"BEGIN\0")
                    continue
            result = self.session.run(statement)
            self._notices(result)
            if result.has_rows:
                self._send_rows(result)
            else:
                self.wire.send(b"C", result.command_tag().encode() + b"\0")
        self._end_implicit(failed=False)
        self.ready()

    def _send_rows(self, result: Result) -> None:
        formats = [0] * len(result.columns)
        self.wire.send(b"T", row_description(result.columns, formats))
        encode = rows_encoder(_types(result), formats)
        count = 0
        for batch in result.batches:
            count += len(batch)
            self.wire.send_raw(encode(batch))
        self.wire.send(b"C", result.command_tag(count).encode() + b"\0")

    def _notices(self, result: Result) -> None:
        for notice in result.notices:
            self.wire.error(SqlError("00000", notice), "NOTICE")

    def _end_implicit(self, *, failed: bool) -> None:
        if self._implicit:
            self._implicit = False
            if failed:
                self.session.rollback()
            else:
                self.session.commit()

    # ---- extended protocol ------------------------------------------------------------------------------------------

    def _parse(self, body: bytes) -> None:
        name, text, rest = body.split(b"\0", 2)
        (count,) = struct.unpack_from("!h", rest)
        oids = list(struct.unpack_from(f"!{count}i", rest, 2))
        if len(self._prepared) >= PREPARED_LIMIT:
            raise SqlError("53000", f"more than {PREPARED_LIMIT} prepared statements")
        source = _text(text)
        pieces = scan.statements(source)
        if len(pieces) > 1:
            raise SqlError("42601", "cannot insert multiple commands into a prepared statement")
        try:
            statement = self.session.read(pieces[0]) if pieces else None
        except SqlError as error:
            raise _placed(error, source, pieces[0]) from None
        needed = statement.parameters if statement else 0
        self._prepared[_text(name)] = Prepared(statement, (oids + [0] * needed)[: max(needed, len(oids))])
        self.wire.send(b"1")

    def _bind(self, body: bytes) -> None:
        portal_name, statement_name, rest = body.split(b"\0", 2)
        prepared = self._prepared.get(_text(statement_name))
        if prepared is None:
            raise SqlError("26000", f'prepared statement "{_text(statement_name)}" does not exist')
        at = 0

        def shorts() -> list[int]:
            nonlocal at
            (count,) = struct.unpack_from("!h", rest, at)
            values = list(struct.unpack_from(f"!{count}h", rest, at + 2))
            at += 2 + 2 * count
            return values

        forms = shorts()
        (count,) = struct.unpack_from("!h", rest, at)
        at += 2
        forms = formats_for(count, forms)
        if prepared.statement is not None and count < prepared.statement.parameters:
            raise SqlError("08P01", f"bind message supplies {count} parameters, but {prepared.statement.parameters} are needed")
        parameters = []
        for number in range(count):
            (size,) = struct.unpack_from("!i", rest, at)
            at += 4
            data = None if size < 0 else rest[at : at + size]
            at += max(size, 0)
            oid = prepared.oids[number] if number < len(prepared.oids) else 0
            parameters.append(parameter_sql(data, oid, bool(forms[number])))
        if len(self._portals) >= PREPARED_LIMIT:
            raise SqlError("53000", f"more than {PREPARED_LIMIT} portals")
        self._portals[_text(portal_name)] = Portal(prepared, parameters, shorts())
        self.wire.send(b"2")

    def _describe(self, body: bytes) -> None:
        name = _text(body[1:-1])
        if body[:1] == b"S":
            prepared = self._prepared.get(name)
            if prepared is None:
                raise SqlError("26000", f'prepared statement "{name}" does not exist')
            self.wire.send(
                b"t", struct.pack(f"!h{len(prepared.oids)}i", len(prepared.oids), *[oid or 1043 for oid in prepared.oids])
            )
            columns = self._columns(prepared, [parameter_sql(None, oid, False) for oid in prepared.oids])
            if columns:
                self.wire.send(b"T", row_description(columns, [0] * len(columns)))
            else:
                self.wire.send(b"n")
            return
        portal = self._portal(name)
        if portal.prepared.statement is None or not portal.prepared.statement.returns_rows:
            self.wire.send(b"n")
            return
        if portal.result is None and not self.wire.next_is_sync:
            self._start(portal)  # it will be executed at once: its own description is exact, and needs no second look
        columns = portal.result.columns if portal.result else self._columns(portal.prepared, portal.parameters)
        self.wire.send(b"T", row_description(columns, formats_for(len(columns), portal.formats)))

    def _columns(self, prepared: Prepared, parameters: list[str]) -> list[tuple[str, str]]:
        if prepared.statement is None or not prepared.statement.returns_rows:
            return []
        if self.session.failed:
            raise SqlError("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        if prepared.columns is None:
            prepared.columns = self.session.describe(prepared.statement, parameters)
        return prepared.columns

    def _portal(self, name: str) -> Portal:
        portal = self._portals.get(name)
        if portal is None:
            raise SqlError("34000", f'portal "{name}" does not exist')
        return portal

    def _start(self, portal: Portal) -> None:
        assert portal.prepared.statement is not None
        portal.result = self.session.run(portal.prepared.statement, portal.parameters)
        self._notices(portal.result)

    def _execute(self, body: bytes) -> None:
        name, rest = body.split(b"\0", 1)
        (limit,) = struct.unpack("!i", rest)
        portal = self._portal(_text(name))
        statement = portal.prepared.statement
        if statement is None:
            return self.wire.send(b"I")
        if portal.result is None:
            own = statement.kind in ("begin", "commit", "rollback")
            if own and self._implicit:
                self._end_implicit(failed=False)
            if not own and not self.session.open and not self.wire.next_is_sync and statement.kind == "change":
                self.session.begin()
                self._implicit = True
            self._start(portal)
        assert portal.result is not None
        if not portal.result.has_rows:
            return self.wire.send(b"C", portal.result.command_tag().encode() + b"\0")
        self._rows(portal, limit)

    def _rows(self, portal: Portal, limit: int) -> None:
        assert portal.result is not None
        formats = formats_for(len(portal.result.columns), portal.formats)
        types = _types(portal.result)
        if portal.prepared.columns:
            told = [wire_type(stored) for _, stored in portal.prepared.columns]
            types = [adapted(described, actual) for described, actual in zip(told, types, strict=True)]
        encode = rows_encoder(types, formats)
        sent = 0
        for batch in portal.batches():
            rows = batch
            if limit and sent + len(rows) >= limit:
                rows, portal.pending = rows[: limit - sent], rows[limit - sent :]
            sent += len(rows)
            self.wire.send_raw(encode(rows))
            if limit and sent >= limit:
                portal.rows += sent
                return self.wire.send(b"s")
        portal.rows += sent
        self.wire.send(b"C", portal.result.command_tag(portal.rows).encode() + b"\0")

    def _close(self, body: bytes) -> None:
        name = _text(body[1:-1])
        (self._prepared if body[:1] == b"S" else self._portals).pop(name, None)
        self.wire.send(b"3")

    def _sync(self, body: bytes) -> None:
        failed, self._skipping = self._skipping, False
        try:
            self._end_implicit(failed=failed)
        except Exception as error:
            self.wire.error(translate(error))
        if not self.session.open:
            self._portals.clear()
        self.ready()

    def _function_call(self, body: bytes) -> None:
        raise SqlError("0A000", "the function call message is not supported")


def _types(result: Result) -> list[WireType]:
    return [wire_type(stored) for _, stored in result.columns]


def _text(data: bytes) -> str:
    if len(data) > STATEMENT_LIMIT_BYTES:
        raise SqlError("54001", f"a statement may have {STATEMENT_LIMIT_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SqlError("22021", "invalid byte sequence for encoding UTF8") from None


def _placed(error: SqlError, text: str, piece: str) -> SqlError:
    """The error with its place in the client's whole text, where the piece stands in it unchanged."""
    if error.position and (start := text.find(piece)) >= 0:
        error.position += start
    elif error.position:
        error.position = 0
    return error


# ---- authentication ---------------------------------------------------------------------------------------------------


def authenticate(wire: Wire, user: str, known: Callable[[str], list[str]]) -> None:
    """Ask for the password with a salt and compare. SqlError 28000 when it is wrong."""
    salt = os.urandom(4)
    wire.send(b"R", struct.pack("!i", 5) + salt)
    wire.flush()
    kind, body = wire.message()
    given = body.rstrip(b"\0")
    hashes = known(user)
    expected = [b"md5" + hashlib.md5(one.encode() + salt).hexdigest().encode() for one in hashes]
    if kind != b"p" or given not in expected:
        raise SqlError("28000", f'password authentication failed for user "{user}"')


def greet(wire: Wire, pid: int, secret: int, user: str) -> None:
    """AuthenticationOk, the parameters of the server, and the key to cancel with."""
    wire.send(b"R", struct.pack("!i", 0))
    for name, value in {**PARAMETER_STATUS, "session_authorization": user}.items():
        wire.send(b"S", cstrings((name, value)))
    wire.send(b"K", struct.pack("!iI", pid, secret))
