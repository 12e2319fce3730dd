"""COPY: files that the server has fetched become rows, all of them or none.

The usual file is read by DuckDB directly. When a row is bad, or the options ask for it, the rows are read one by one into a
temporary table of texts, and each column is checked, so that every error is known with its file and line.
"""

import contextlib
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from headrace.services.redshift.engine import casting, reading, scan
from headrace.services.redshift.engine.casting import Target
from headrace.services.redshift.engine.control import Channel, RemoteError
from headrace.services.redshift.engine.copying import Copy, read_copy
from headrace.services.redshift.engine.failures import SqlError, translate
from headrace.services.redshift.engine.pg.types import wire_type
from headrace.services.redshift.engine.session import Result, Session

FETCH_TIMEOUT_S = 3600.0


@dataclass(slots=True)
class Fetched:
    """A file of the object store, here."""

    url: str
    path: str
    size_bytes: int


def clean_staging(folder: Path) -> None:
    """Remove what an earlier process left behind."""
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def staging_folder(staging: Path) -> Any:
    """A private folder for one statement's files."""
    folder = staging / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fetch(channel: Channel, copy: Copy, urls: list[dict[str, Any]], folder: Path) -> list[Fetched]:
    """Have the server bring objects into a folder, with the rights that the statement names."""
    try:
        found = channel.call(
            "fetch",
            urls=urls,
            role=copy.options.role,
            access_key=list(copy.options.access_key),
            folder=str(folder),
            timeout_s=FETCH_TIMEOUT_S,
        )
    except RemoteError as error:
        raise SqlError("XX000", f"S3ServiceException: {error}") from error
    return [Fetched(**entry) for entry in found]


def _sources(channel: Channel, copy: Copy, folder: Path) -> list[Fetched]:
    if "MANIFEST" not in copy.options.flags:
        files = fetch(channel, copy, [{"url": copy.source, "exact": False, "mandatory": False}], folder)
        if not files:
            raise SqlError("XX000", f"The specified S3 prefix '{copy.source.split('/', 3)[-1]}' does not exist")
        return files
    manifest = fetch(channel, copy, [{"url": copy.source, "exact": True, "mandatory": True}], folder)
    try:
        entries = json.loads(Path(manifest[0].path).read_bytes())["entries"]
        urls = [{"url": entry["url"], "exact": True, "mandatory": bool(entry.get("mandatory", False))} for entry in entries]
    except (ValueError, KeyError, TypeError):
        raise SqlError("XX000", f"The manifest {copy.source} is not valid") from None
    return fetch(channel, copy, urls, folder)


def _targets(session: Session, copy: Copy) -> list[Target]:
    rows = session.connection.execute(
        "select column_name, data_type, is_nullable, comment from duckdb_columns() where table_name = ?"
        " and (schema_name = ? or (? = '' and database_name = 'temp')) and database_name in (current_database(), 'temp')"
        " and schema_name <> 'headrace' order by database_name = 'temp' desc, column_index",
        [copy.table, copy.schema or session.schema, copy.schema],
    ).fetchall()
    if not rows:
        raise SqlError("42P01", f'relation "{copy.table}" does not exist')
    known = {
        name: casting.target(name, stored, nullable, json.loads(comment) if comment else {})
        for name, stored, nullable, comment in rows
    }
    if copy.columns:
        if missing := [name for name in copy.columns if name not in known]:
            raise SqlError("42703", f'column "{missing[0]}" of relation "{copy.table}" does not exist')
        return [known[name] for name in copy.columns]
    explicit = "EXPLICIT_IDS" in copy.options.flags
    return [entry for entry in known.values() if explicit or not entry.identity]


def copy(session: Session, text: str, staging: Path, channel: Channel) -> Result:
    """Run a COPY in the session's transaction or one of its own."""
    command = read_copy(text)
    query_id = _next_query(session)
    with staging_folder(staging) as folder:
        files = _sources(channel, command, folder)
        rows = _load(session, command, files, folder, channel, query_id, None)
    session.last_copy_count, session.last_copy_id = rows, query_id
    return Result("COPY", notices=[f"Load into table '{command.table}' completed, {rows} record(s) loaded successfully."])


def load_once(session: Session, text: str, manifest_id: str, staging: Path, channel: Channel) -> dict[str, Any]:
    """Run a COPY and remember the manifest id in the same commit; a known id loads nothing."""
    if found := _loaded(session.connection, manifest_id):
        return found
    pieces = scan.statements(text)
    statement = session.read(pieces[0]) if len(pieces) == 1 else None
    if statement is None or statement.kind != "copy":
        raise SqlError("42601", "a COPY statement is expected")
    command = read_copy(statement.text)
    query_id = _next_query(session)
    with staging_folder(staging) as folder:
        files = _sources(channel, command, folder)
        try:
            rows = _load(session, command, files, folder, channel, query_id, manifest_id)
        except Exception as error:
            # Somebody else may have loaded the same manifest between our look and our commit.
            if found := _loaded(session.connection, manifest_id):
                return found
            raise translate(error) from error
    return {"rows": rows, "repeated": False}


def _loaded(connection: duckdb.DuckDBPyConnection, manifest_id: str) -> dict[str, Any] | None:
    row = connection.execute("select row_count from headrace.loads where manifest_id = ?", [manifest_id]).fetchone()
    return {"rows": int(row[0]), "repeated": True} if row else None


def _next_query(session: Session) -> int:
    row = session.connection.execute("select nextval('headrace.query_numbers')").fetchone()
    session.last_query_id = int(row[0]) if row else -1
    return session.last_query_id


def _load(
    session: Session, command: Copy, files: list[Fetched], folder: Path, channel: Channel, query_id: int, manifest_id: str | None
) -> int:
    targets = _targets(session, command)
    present = [file for file in files if file.size_bytes]

    def attempt(source: str) -> int:
        with session.atomic():
            rows = _insert(session.connection, command, targets, source) if source else 0
            _remember(session.connection, files, rows, query_id, manifest_id)
        return rows

    if not present:
        return attempt("")
    if direct := reading.direct(command, targets, [file.path for file in present]):
        if session.open:
            # A failed attempt would end the client's transaction, so look before changing anything.
            return (
                attempt(direct)
                if _readable(session.connection, targets, command, direct)
                else _careful(session, command, targets, present, folder, channel, query_id, manifest_id)
            )
        try:
            return int(session.retrying(lambda: attempt(direct)))
        except duckdb.TransactionException:
            raise
        except duckdb.Error as error:
            if command.options.format == "PARQUET":
                raise SqlError("XX000", f"Spectrum Scan Error: {error}") from error
    return _careful(session, command, targets, present, folder, channel, query_id, manifest_id)


def _readable(connection: duckdb.DuckDBPyConnection, targets: list[Target], command: Copy, source: str) -> bool:
    selected = ", ".join(casting.strict(target, command.options) for target in targets)
    try:
        connection.cursor().execute(f"select count(*) from (select {selected} from {source}) x where hash(x) is null").fetchone()
    except duckdb.Error:
        return False
    return True


def _table(command: Copy) -> str:
    name = scan.identifier(command.table)
    return f"{scan.identifier(command.schema)}.{name}" if command.schema else name


def _insert(connection: duckdb.DuckDBPyConnection, command: Copy, targets: list[Target], source: str) -> int:
    names = ", ".join(scan.identifier(target.name) for target in targets)
    values = ", ".join(casting.strict(target, command.options) for target in targets)
    row = connection.execute(f"insert into {_table(command)} ({names}) select {values} from {source}").fetchone()
    return int(row[0]) if row else 0


def _remember(
    connection: duckdb.DuckDBPyConnection, files: list[Fetched], rows: int, query_id: int, manifest_id: str | None
) -> None:
    if manifest_id is not None:
        connection.execute("insert into headrace.loads values (?, ?, now() at time zone 'UTC')", [manifest_id, rows])
    connection.execute(
        "insert into headrace.load_commit_rows select ?, unnest(?::varchar[]), ?, now() at time zone 'UTC'",
        [query_id, [file.url for file in files], rows],
    )


def _careful(
    session: Session,
    command: Copy,
    targets: list[Target],
    files: list[Fetched],
    folder: Path,
    channel: Channel,
    query_id: int,
    manifest_id: str | None,
) -> int:
    """Read row by row, note every error, and load the good rows if the bad ones are not too many."""
    allowed = command.options.numbers.get("MAXERROR", 0)
    if "IGNOREALLERRORS" in command.options.flags:
        allowed = 1 << 60
    paths = []
    if command.options.format == "JSON" and command.options.json.startswith("s3://"):
        found = fetch(channel, command, [{"url": command.options.json, "exact": True, "mandatory": True}], folder)
        paths = reading.jsonpaths(Path(found[0].path).read_bytes())
    normal = folder / "rows.json"
    errors = reading.normalise(command, targets, [(file.url, file.path) for file in files], normal, paths)
    staged = f"headrace_stage_{secrets.token_hex(6)}"
    side = session.connection.cursor()
    try:
        if normal.stat().st_size:
            side.execute(f"create temp table {staged} as select * from {reading.normal_source(targets, str(normal))}")
            errors += casting.find_errors(side, staged, targets, command.options, allowed + 1)
        if len(errors) > allowed:
            _note(side, errors, command, session, query_id)
            raise SqlError(
                "XX000",
                f"Load into table '{command.table}' failed.  Check 'sys_load_error_detail' system table for details.",
                detail=f"{errors[0].message} (line {errors[0].line} of {errors[0].file}, column {errors[0].column})",
            )
        _note(side, errors, command, session, query_id)
        return _insert_good(
            session, side, command, targets, files, staged if normal.stat().st_size else "", errors, folder, query_id, manifest_id
        )
    finally:
        side.execute(f"drop table if exists {staged}")
        side.close()


def _insert_good(
    session: Session, side: duckdb.DuckDBPyConnection, command: Copy, targets: list[Target], files: list[Fetched],
    staged: str, errors: list["casting.RowError"], folder: Path, query_id: int, manifest_id: str | None,
) -> int:  # fmt: skip
    bad = {error.number for error in errors if error.number}
    source = ""
    if staged:
        # A temporary table is seen by its own connection only, so the good rows go through a file.
        good = folder / "good.parquet"
        where = f" where hr_number not in ({', '.join(map(str, bad))})" if bad else ""
        side.execute(f"copy (select * from {staged}{where} order by hr_number) to {scan.literal(str(good))} (format parquet)")
        source = f"read_parquet({scan.literal(str(good))})"
    with session.atomic():
        rows = _insert(session.connection, command, targets, source) if source else 0
        _remember(session.connection, files, rows, query_id, manifest_id)
    return rows


def _note(
    side: duckdb.DuckDBPyConnection, errors: list["casting.RowError"], command: Copy, session: Session, query_id: int
) -> None:
    if errors:
        side.executemany(
            "insert into headrace.load_error_rows values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, now() at time zone 'UTC')",
            [
                [query_id, command.table, command.schema or session.schema, error.file, error.line, error.column, error.declared,
                 error.raw_line[:1024], error.raw_value[:1024], error.code, error.message]
                for error in errors[:1000]
            ],
        )  # fmt: skip


# ---- the Data API -----------------------------------------------------------------------------------------------------


def execute_batch(session: Session, texts: list[str], parameters: list[list[str]], limit_bytes: int) -> list[dict[str, Any]]:
    """Run statements as one transaction; every answer holds its rows as texts."""
    answers: list[dict[str, Any]] = []
    several = len(texts) > 1
    if several:
        session.begin()
    try:
        for text, bound in zip(texts, parameters, strict=True):
            for piece in scan.statements(text):
                statement = session.read(piece)
                if several and statement.kind in ("begin", "commit", "rollback"):
                    raise SqlError("0A000", "a batch is one transaction already")
                answers.append(_answer(session, session.run(statement, bound), limit_bytes))
    except Exception as error:
        session.rollback()
        if isinstance(error, SqlError):
            error.detail = error.detail or str(len(answers))
        raise
    session.commit()
    return answers


def _answer(session: Session, result: Result, limit_bytes: int) -> dict[str, Any]:
    kinds = [wire_type(stored) for _, stored in result.columns]
    rows: list[list[str | None]] = []
    size = 0
    for batch in result.batches:
        for row in batch:
            cells = [None if value is None else kind.text(value).decode() for kind, value in zip(kinds, row, strict=True)]
            size += sum(len(cell) for cell in cells if cell)
            rows.append(cells)
        if size > limit_bytes:
            raise SqlError("54000", f"The result is larger than {limit_bytes} bytes")
    columns = [
        {"name": name, "type": kind.name, "stored": stored, "modifier": kind.modifier}
        for (name, stored), kind in zip(result.columns, kinds, strict=True)
    ]
    count = session.last_copy_count if result.tag == "COPY" else result.count
    return {
        "columns": columns,
        "rows": rows,
        "has_rows": result.has_rows,
        "count": len(rows) if result.has_rows else count,
        "size": size,
    }
