"""A session: statements run one after another on one DuckDB connection, in transactions as PostgreSQL has them."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import duckdb

from headrace.services.redshift.engine import history, scan, statements
from headrace.services.redshift.engine.failures import SqlError, translate, unsupported
from headrace.services.redshift.engine.history import History
from headrace.services.redshift.engine.plan import Statement

VERSION = (
    "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.117891"
)
BATCH_ROWS = 2000
CONFLICT_ATTEMPTS = 5


@dataclass(slots=True)
class Result:
    """What a statement gave: rows to fetch, or the number of rows that it changed."""

    tag: str
    columns: list[tuple[str, str]] = field(default_factory=list)
    batches: Iterator[list[tuple[Any, ...]]] = iter(())
    count: int | None = None
    notices: list[str] = field(default_factory=list)
    has_rows: bool = False

    def command_tag(self, rows: int | None = None) -> str:
        """The tag with its number of rows."""
        number = self.count if rows is None else rows
        if self.tag in ("SELECT", "INSERT 0", "UPDATE", "DELETE", "MERGE") and number is not None:
            return f"{self.tag} {number}"
        return self.tag


class Cluster(Protocol):
    """What a session needs of the process around it."""

    history: History

    def run_special(self, session: "Session", statement: Statement) -> Result | None:
        """Statements that reach beyond DuckDB: COPY, UNLOAD, users, databases. None when it is none of these."""


class Session:
    """One client's conversation. Not shared between threads; only `cancel` may come from another."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, cluster: Cluster, *, user: str, database: str, pid: int) -> None:
        self.connection = connection
        self.cluster = cluster
        self.user = user
        self.database = database
        self.pid = pid
        self.open = False  # in a transaction that the client began
        self.failed = False
        self.settings: dict[str, str] = {"search_path": '"$user", public', "timezone": "UTC", "application_name": ""}
        self.last_copy_count = 0
        self.last_copy_id = -1
        self.last_query_id = -1
        self.schema = "public"
        self._running = threading.Event()
        self._streaming: Result | None = (
            None  # rows that DuckDB still holds; the next statement on the connection would lose them
        )

    # ---- transactions -----------------------------------------------------------------------------------------------

    @property
    def status(self) -> bytes:
        """The transaction state as ReadyForQuery tells it."""
        return b"E" if self.failed else b"T" if self.open else b"I"

    def begin(self) -> None:
        """Open a transaction."""
        self.connection.execute("begin")
        self.open = True

    def commit(self) -> bool:
        """Close the transaction; False when it had failed and was rolled back."""
        if not self.open:
            return True
        failed = self.failed
        self.open = self.failed = False
        self.connection.execute("rollback" if failed else "commit")
        return not failed

    def rollback(self) -> None:
        """Close the transaction and undo it."""
        if self.open:
            self.open = self.failed = False
            with contextlib.suppress(duckdb.Error):
                self.connection.execute("rollback")

    def fail(self) -> None:
        """A statement failed: nothing more runs until the transaction ends."""
        if self.open:
            self.failed = True

    def cancel(self) -> None:
        """Stop the running statement, from another thread."""
        if self._running.is_set():
            self.connection.interrupt()

    def close(self) -> None:
        """Undo what is open and let the connection go."""
        self.rollback()
        with contextlib.suppress(duckdb.Error):
            self.connection.close()

    # ---- statements -------------------------------------------------------------------------------------------------

    def read(self, text: str) -> Statement:
        """Understand one statement."""
        return statements.read(text)

    def describe(self, statement: Statement, parameters: list[str]) -> list[tuple[str, str]]:
        """The columns that a statement will answer with, without running it."""
        if statement.kind == "select":
            self._settle()
            cursor = self._guarded(lambda: self.connection.execute("describe " + self.fill(statement.parts, parameters)))
            return [(row[0], row[1]) for row in cursor.fetchall()]
        if statement.kind == "show":
            return [(statement.values["name"], "VARCHAR")]
        if statement.kind == "explain":
            return [("QUERY PLAN", "VARCHAR")]
        return []

    def run(self, statement: Statement, parameters: list[str] | None = None) -> Result:
        """Run one statement. SqlError when it fails; the transaction, if one is open, has then failed."""
        if self.failed and statement.kind not in ("commit", "rollback"):
            raise SqlError("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        entry = self.cluster.history.begin(self.user, self.database, self.pid, statement.text or statement.parts[0])
        try:
            self._settle()
            result = self._dispatch(statement, parameters or [])
        except Exception as error:
            self.fail()
            told = translate(error)
            self.cluster.history.end(entry, told.message)
            raise told from error
        self.cluster.history.end(entry)
        return result

    def _settle(self) -> None:
        if self._streaming is not None:
            kept = list(self._streaming.batches)
            self._streaming.batches = iter(kept)
            self._streaming = None

    def _dispatch(self, statement: Statement, parameters: list[str]) -> Result:
        match statement.kind:
            case "select" | "explain":
                return self._rows(statement, parameters)
            case "change":
                return self._change(statement, parameters)
            case "ddl" | "like":
                return self._define(statement, parameters)
            case "refresh":
                return self._refresh(statement)
            case "begin":
                if self.open:
                    return Result("BEGIN", notices=["there is already a transaction in progress"])
                self.begin()
                return Result("BEGIN")
            case "commit":
                return Result("COMMIT" if self.commit() else "ROLLBACK")
            case "rollback":
                self.rollback()
                return Result("ROLLBACK")
            case "set":
                return self._set(statement)
            case "show":
                return self._show(statement)
            case "nothing":
                notices = ["every user may read and change everything: nothing was granted"] if statement.tag == "GRANT" else []
                return Result(statement.tag, notices=notices)
        special = self.cluster.run_special(self, statement)
        if special is None:
            raise unsupported(statement.tag)
        return special

    def fill(self, parts: tuple[str, ...], parameters: list[str]) -> str:
        """The text with its slots filled in."""
        if len(parts) == 1:
            return parts[0]
        filled = list(parts)
        for at in range(1, len(parts), 2):
            filled[at] = self._slot(parts[at], parameters)
        return "".join(filled)

    def _slot(self, name: str, parameters: list[str]) -> str:
        if name.isdigit():
            if not 0 < int(name) <= len(parameters):
                raise SqlError("42P02", f"there is no parameter ${name}")
            return parameters[int(name) - 1]
        if name.startswith("setting:"):
            return scan.literal(self.setting(name[8:]))
        if name == "user_id":
            return "100"
        if name in ("pid", "last_copy_count", "last_copy_id", "last_query_id"):
            return f"CAST({getattr(self, name)} AS INTEGER)"
        values = {"database": self.database, "schema": self.schema, "user": self.user, "version": VERSION}
        return scan.literal(values[name])

    def _guarded(self, work: Callable[[], Any]) -> Any:
        timeout_ms = int(self.settings.get("statement_timeout", "0") or 0)
        timer = threading.Timer(timeout_ms / 1000, self.cancel) if timeout_ms else None
        self._running.set()
        if timer is not None:
            timer.start()
        try:
            return work()
        finally:
            self._running.clear()
            if timer is not None:
                timer.cancel()

    def _rows(self, statement: Statement, parameters: list[str]) -> Result:
        text = self.fill(statement.parts, parameters)
        if history.looks(text):
            self.cluster.history.publish(self.connection)
        cursor = self._guarded(lambda: self.connection.execute(text))
        if statement.kind == "explain":
            lines = [(line,) for row in cursor.fetchall() for line in str(row[1]).split("\n")]
            return Result("EXPLAIN", [("QUERY PLAN", "VARCHAR")], iter([lines]), has_rows=True)
        columns = [(entry[0], str(entry[1])) for entry in cursor.description]
        self._streaming = Result("SELECT", columns, self._batches(), has_rows=True)
        return self._streaming

    def _batches(self) -> Iterator[list[tuple[Any, ...]]]:
        while batch := self._guarded(lambda: self.connection.fetchmany(BATCH_ROWS)):
            yield batch
        self._streaming = None

    def _change(self, statement: Statement, parameters: list[str]) -> Result:
        text = self.fill(statement.parts, parameters)
        row = self.retrying(lambda: self.connection.execute(text).fetchone())
        return Result(statement.tag, count=int(row[0]) if row else 0)

    def retrying(self, work: Callable[[], Any]) -> Any:
        """Run a change; outside of a transaction, a conflict with another session is tried again."""
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                return self._guarded(work)
            except duckdb.TransactionException as error:
                if self.open or attempt == CONFLICT_ATTEMPTS - 1 or "onflict" not in str(error):
                    raise
                time.sleep(0.005 * 2**attempt)
        raise AssertionError

    @contextlib.contextmanager
    def atomic(self) -> Iterator[None]:
        """Several DuckDB statements as one: in the client's transaction, or in one of their own."""
        if self.open:
            yield
            return
        self.connection.execute("begin")
        try:
            yield
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def _define(self, statement: Statement, parameters: list[str]) -> Result:
        from_like = statement.kind == "like"
        texts = self._like_texts(statement) if from_like else [self.fill(statement.parts, parameters), *statement.more]
        if statement.values.get("quiet") and self._exists(*statement.values["table"]):
            return Result(statement.tag, notices=["relation already exists, skipping"])
        count = None
        with self.atomic():
            for number, text in enumerate(texts):
                row = self._guarded(partial(self._once, text))
                if number == 0 and statement.tag == "SELECT" and row:
                    count = int(row[0])
        return Result(statement.tag, count=count)

    def _once(self, text: str) -> Any:
        return self.connection.execute(text).fetchone()

    def _refresh(self, statement: Statement) -> Result:
        row = self.connection.execute(statement.parts[0]).fetchone()
        schema, name = statement.values["table"]
        if row is None:
            raise SqlError("42P01", f'materialized view "{schema}.{name}" does not exist')
        table = f"{scan.identifier(schema)}.{scan.identifier(name)}"
        with self.atomic():
            self._guarded(partial(self._once, f"delete from {table}"))
            self._guarded(partial(self._once, f"insert into {table} {row[0]}"))
        return Result("REFRESH", notices=[f"Materialized view {name} was recomputed successfully."])

    def _exists(self, schema: str, name: str) -> bool:
        found = self.connection.execute(
            "select 1 from duckdb_tables() where table_name = ? and (schema_name = ? or temporary)", [name, schema or self.schema]
        ).fetchone()
        return found is not None

    def _like_texts(self, statement: Statement) -> list[str]:
        schema, name = statement.values["source"]
        rows = self.connection.execute(
            "select column_name, data_type, column_default, is_nullable, comment from duckdb_columns()"
            " where table_name = ? and (schema_name = ? or database_name = 'temp') order by column_index",
            [name, schema or self.schema],
        ).fetchall()
        if not rows:
            raise SqlError("42P01", f'relation "{name}" does not exist')
        target = ".".join(scan.identifier(part) for part in statement.values["table"] if part)
        columns, comments = [], []
        for column, stored, default, nullable, comment in rows:
            words = f"{scan.identifier(column)} {stored}"
            if statement.values["defaults"] and default and "nextval" not in default:
                words += f" default {default}"
            size = re.search(r'"character[ a-z]*\((\d+)\)"', (comment or "").replace('"type": ', ""))
            words += "" if nullable else " not null"
            words += f" check (strlen({scan.identifier(column)}) <= {size[1]})" if size and int(size[1]) < 65535 else ""
            columns.append(words)
            if comment:
                comments.append(f"comment on column {target}.{scan.identifier(column)} is {scan.literal(comment)}")
        return [f"{statement.values['head']} ({', '.join(columns)})", *comments]

    # ---- settings ---------------------------------------------------------------------------------------------------

    def _set(self, statement: Statement) -> Result:
        name, values = statement.values["name"], statement.values["values"]
        if name == "search_path":
            self._search_path(values or ["$user", "public"])
        elif (
            name in ("timezone", "time zone") and values and values[0].upper() not in ("UTC", "GMT", "DEFAULT", "UTC0", "ETC/UTC")
        ):
            raise unsupported("a time zone of the session other than UTC")
        elif name in ("enable_case_sensitive_identifier",) and values and values[0].lower() in ("on", "true"):
            raise unsupported("enable_case_sensitive_identifier")
        elif name in ("session authorization", "session_authorization", "role"):
            if values and values[0].lower() not in ("default", self.user.lower(), "none"):
                raise unsupported("SET SESSION AUTHORIZATION")
        elif name == "statement_timeout" and values and not values[0].isdigit():
            raise SqlError("22023", "statement_timeout takes a number of milliseconds")
        elif name == "query_group" or values is None or name in _KNOWN_SETTINGS or "." in name:
            self.settings[name] = ", ".join(values or [])
        else:
            raise SqlError("42704", f'unrecognized configuration parameter "{name}"')
        return Result(statement.tag)

    def _search_path(self, values: list[str]) -> None:
        known = {
            row[0] for row in self.connection.execute("select schema_name from duckdb_schemas() where not internal").fetchall()
        }
        path = [value for value in (value.lower() for value in values) if value in known and not value.startswith("headrace")]
        self.settings["search_path"] = ", ".join(values)
        self.schema = path[0] if path else "public"
        self.connection.execute("set search_path = ?", [",".join(scan.identifier(name) for name in path or ["public"])])

    def _show(self, statement: Statement) -> Result:
        name = statement.values["name"]
        return Result("SHOW", [(name, "VARCHAR")], iter([[(self.setting(name),)]]), has_rows=True)

    def setting(self, name: str) -> str:
        """A configuration parameter's value; SqlError 42704."""
        values = {"server_version": "8.0.2", "server_encoding": "UTF8", "client_encoding": "UTF8", "datestyle": "ISO, MDY",
                  "transaction isolation level": "serializable", "transaction_isolation": "serializable", "time zone": "UTC",
                  "standard_conforming_strings": "off", "enable_case_sensitive_identifier": "off", "query_group": "",
                  "statement_timeout": "0",
                  "max_identifier_length": "127", **self.settings}  # fmt: skip
        if name not in values:
            raise SqlError("42704", f'unrecognized configuration parameter "{name}"')
        return values[name]


_KNOWN_SETTINGS = frozenset(
    [
        "client_encoding",
        "datestyle",
        "application_name",
        "extra_float_digits",
        "client_min_messages",
        "statement_timeout",
        "standard_conforming_strings",
        "enable_result_cache_for_session",
        "wlm_query_slot_count",
        "autocommit",
        "intervalstyle",
        "describe_field_name_in_uppercase",
        "enable_case_sensitive_identifier",
        "json_parse_truncate_strings",
        "enable_numeric_rounding",
        "bytea_output",
        "default_transaction_isolation",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "row_security",
        "timezone",
        "transaction",
        "characteristics",
        "names",
    ]
)
