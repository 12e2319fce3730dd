"""CREATE, ALTER and DROP: read by our own reader, since Redshift's table options are in no common grammar.

What DuckDB has no place for (declared lengths, encodings, keys that Redshift does not enforce) is kept as a JSON comment on the
column: comments follow a table through every rename, and are changed in the same transaction.
"""

import re
from collections.abc import Callable

from sqlglot import exp

from headrace.services.redshift.engine import dialect, plan
from headrace.services.redshift.engine.columns import VARCHAR_LIMIT_BYTES, Column, column
from headrace.services.redshift.engine.failures import SqlError, unsupported
from headrace.services.redshift.engine.plan import Statement
from headrace.services.redshift.engine.scan import identifier, literal
from headrace.services.redshift.engine.tokens import Reader, check_schema


def _table_options(reader: Reader) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    while reader.peek() not in ("", "AS"):
        if reader.take("DISTSTYLE"):
            found["diststyle"] = [reader.name()]
        elif reader.take("DISTKEY"):
            found["distkey"] = reader.names()
        elif reader.take("SORTKEY", "AUTO") or reader.take("ENCODE", "AUTO"):
            pass
        elif reader.take("COMPOUND", "SORTKEY") or reader.take("SORTKEY") or reader.take("INTERLEAVED", "SORTKEY"):
            found["sortkey"] = reader.names()
        elif reader.take("BACKUP", "YES") or reader.take("BACKUP", "NO"):
            pass
        else:
            raise reader.error()
    return found


def _apply(columns: list[Column], options: dict[str, list[str]], primary_key: list[str]) -> None:
    named = {made.name: made for made in columns}
    for fact, names in (
        ("distkey", options.get("distkey", [])),
        ("sortkey", options.get("sortkey", [])),
        ("primary_key", primary_key),
    ):
        for number, name in enumerate(names, 1):
            if name not in named:
                raise SqlError("42703", f'column "{name}" named in key does not exist')
            named[name].facts[fact] = True if fact == "distkey" else number
            named[name].not_null |= fact == "primary_key"


def qualified(schema: str, name: str) -> str:
    """A table's quoted name."""
    return f"{identifier(schema)}.{identifier(name)}" if schema else identifier(name)


def create_table(text: str) -> Statement:
    """CREATE [TEMP] TABLE, by columns, LIKE or AS."""
    reader = Reader(text)
    reader.want("CREATE")
    temporary = (
        reader.take("TEMP") or reader.take("TEMPORARY") or reader.take("LOCAL", "TEMP") or reader.take("LOCAL", "TEMPORARY")
    )
    reader.want("TABLE")
    quiet = reader.take("IF", "NOT", "EXISTS")
    token = reader.tokens[reader.at].text if reader.at < len(reader.tokens) else ""
    temporary = temporary or token.lower().startswith(("#", dialect.TEMPORARY))
    schema, name = reader.table()
    head = f"create {'temp ' if temporary else ''}table {'if not exists ' if quiet else ''}{qualified(schema, name)}"
    if reader.peek() == "(" and reader.peek(1) == "LIKE":
        return _like(reader, head, schema, name)
    if reader.peek() == "(" and not _is_ctas(reader):
        return _by_columns(reader, head, schema, name, temporary)
    aliases = reader.names() if reader.peek() == "(" else []
    _table_options(reader)
    reader.want("AS")
    return _as_query(head, reader.rest(), aliases)


def _is_ctas(reader: Reader) -> bool:
    start = reader.at
    reader.group()
    inner = reader.tokens[start + 2].text if start + 2 < len(reader.tokens) else ""
    reader.at = start
    return inner in (",", ")")


def _as_query(head: str, text: str, aliases: list[str]) -> Statement:
    body = text.strip()
    if body.startswith("(") and body.endswith(")") and re.match(r"(?is)^\(\s*(select|with)\b", body):
        body = body[1:-1]
    generated = plan.query(body)
    listed = f"({', '.join(identifier(alias) for alias in aliases)})" if aliases else ""
    return Statement("ddl", "SELECT", plan.cut(f"{head}{listed} as {generated}"))


def _by_columns(reader: Reader, head: str, schema: str, name: str, temporary: bool) -> Statement:
    reader.want("(")
    columns: list[Column] = []
    primary_key: list[str] = []
    while True:
        if reader.take("CONSTRAINT"):
            reader.name()
        if reader.take("PRIMARY", "KEY") or reader.take("PRIMARY KEY"):
            primary_key = reader.names()
        elif reader.take("UNIQUE"):
            reader.names()
        elif reader.take("FOREIGN", "KEY") or reader.take("FOREIGN KEY"):
            reader.names()
            reader.want("REFERENCES")
            reader.table()
            if reader.peek() == "(":
                reader.group()
        else:
            columns.append(column(reader))
        if not reader.take(","):
            break
    reader.want(")")
    _apply(columns, _table_options(reader), primary_key)
    if reader.peek():
        raise reader.error()
    table = qualified(schema, name)
    before: list[str] = []
    sequences = {}
    for made in columns:
        if made.identity:
            sequence = f"{'temp_' if temporary else ''}{schema or 'public'}_{name}_{made.name}_seq"
            sequences[made.name] = f"headrace_functions.{identifier(sequence)}"
            before.append(
                f"create sequence if not exists {sequences[made.name]} start {made.identity[0]} increment {made.identity[1]}"
            )
    create = f"{head} ({', '.join(made.sql(sequences.get(made.name, '')) for made in columns)})"
    comments = [f"comment on column {table}.{identifier(made.name)} is {literal(made.comment())}" for made in columns]
    texts = [*before, create, *comments]
    return Statement(
        "ddl", "CREATE TABLE", (texts[0],), tuple(texts[1:]), values={"table": (schema, name), "quiet": "if not exists" in head}
    )


def _like(reader: Reader, head: str, schema: str, name: str) -> Statement:
    reader.want("(", "LIKE")
    source = reader.table()
    defaults = reader.take("INCLUDING", "DEFAULTS")
    reader.take("EXCLUDING", "DEFAULTS")
    reader.want(")")
    _table_options(reader)
    return Statement(
        "like", "CREATE TABLE", values={"head": head, "table": (schema, name), "source": source, "defaults": defaults}
    )


def select_into(tree: exp.Select, into: exp.Into) -> Statement:
    """SELECT … INTO [TEMP] table."""
    target = into.this
    schema, name = target.db.lower(), target.name.lower().removeprefix("#")
    check_schema(schema)
    temporary = bool(into.args.get("temporary")) or name.startswith(dialect.TEMPORARY) or target.name.startswith("#")
    head = f"create {'temp ' if temporary else ''}table {qualified(schema, name.removeprefix(dialect.TEMPORARY))}"
    return Statement("ddl", "SELECT", plan.cut(f"{head} as {dialect.generate(dialect.rewrite(tree))}"))


def create_view(text: str) -> Statement:
    """CREATE [OR REPLACE] VIEW … AS."""
    reader = Reader(text)
    reader.want("CREATE")
    replace = reader.take("OR", "REPLACE")
    reader.want("VIEW")
    schema, name = reader.table()
    aliases = reader.names() if reader.peek() == "(" else []
    reader.want("AS")
    body = re.sub(r"(?is)\s+with\s+no\s+schema\s+binding\s*$", "", reader.rest())
    listed = f"({', '.join(identifier(alias) for alias in aliases)})" if aliases else ""
    generated = plan.query(body)
    if dialect.SLOT in generated:
        raise unsupported("a view over a value of the session")
    return Statement(
        "ddl", "CREATE VIEW", (f"create {'or replace ' if replace else ''}view {qualified(schema, name)}{listed} as {generated}",)
    )


def create_schema(text: str) -> Statement:
    """CREATE SCHEMA [IF NOT EXISTS] name [AUTHORIZATION user]."""
    reader = Reader(text)
    reader.want("CREATE", "SCHEMA")
    quiet = reader.take("IF", "NOT", "EXISTS")
    name = reader.name()
    if name.startswith(("pg_", "headrace")) or name in ("main", "temp", "system", "information_schema"):
        raise SqlError("42939", f'unacceptable schema name "{name}"')
    if reader.take("AUTHORIZATION"):
        reader.name()
    if reader.take("QUOTA"):
        raise unsupported("QUOTA")
    if reader.peek():
        raise reader.error()
    return Statement("ddl", "CREATE SCHEMA", (f"create schema {'if not exists ' if quiet else ''}{identifier(name)}",))


def drop(text: str) -> Statement:
    """DROP TABLE, VIEW or SCHEMA."""
    reader = Reader(text)
    reader.want("DROP")
    materialized = reader.take("MATERIALIZED")
    kind = reader.name().upper()
    quiet = reader.take("IF", "EXISTS")
    targets = [reader.table() if kind != "SCHEMA" else (reader.name(), "")]
    while reader.take(","):
        targets.append(reader.table() if kind != "SCHEMA" else (reader.name(), ""))
    cascade = reader.take("CASCADE")
    reader.take("RESTRICT")
    if reader.peek():
        raise reader.error()
    tail = " cascade" if cascade else ""
    what = "table" if materialized else kind.lower()
    texts = []
    for schema, name in targets:
        if kind == "SCHEMA":
            check_schema(schema)
        texts.append(
            f"drop {what} {'if exists ' if quiet else ''}{qualified(schema, name) if name else identifier(schema)}{tail}"
        )
    for schema, name in targets if materialized else []:
        texts.append(
            "delete from headrace.materialized_views"
            f" where schema_name = {literal(schema or 'public')} and view_name = {literal(name)}"
        )
    tag = f"DROP {'MATERIALIZED ' if materialized else ''}{kind}"
    return Statement("ddl", tag, (texts[0],), tuple(texts[1:]))


def truncate(text: str) -> Statement:
    """TRUNCATE [TABLE] name."""
    reader = Reader(text)
    reader.want("TRUNCATE")
    reader.take("TABLE")
    schema, name = reader.table()
    if reader.peek():
        raise reader.error()
    return Statement("ddl", "TRUNCATE TABLE", (f"delete from {qualified(schema, name)}",))


def alter_table(text: str) -> Statement:
    """ALTER TABLE: add, drop and rename columns, rename, owner, keys."""
    reader = Reader(text)
    reader.want("ALTER", "TABLE")
    schema, name = reader.table()
    table = qualified(schema, name)
    if reader.take("ADD"):
        if reader.peek() in ("CONSTRAINT", "PRIMARY", "PRIMARY KEY", "UNIQUE", "FOREIGN", "FOREIGN KEY"):
            return Statement("nothing", "ALTER TABLE")
        reader.take("COLUMN")
        return _add_column(reader, table)
    if reader.take("DROP", "COLUMN") or reader.take("DROP"):
        name = reader.name()
        cascade = " cascade" if reader.take("CASCADE") else ""
        return Statement("ddl", "ALTER TABLE", (f"alter table {table} drop column {identifier(name)}{cascade}",))
    if reader.take("RENAME", "TO"):
        return Statement("ddl", "ALTER TABLE", (f"alter table {table} rename to {identifier(reader.name())}",))
    if reader.take("RENAME", "COLUMN") or reader.take("RENAME"):
        old = reader.name()
        reader.want("TO")
        return Statement(
            "ddl", "ALTER TABLE", (f"alter table {table} rename column {identifier(old)} to {identifier(reader.name())}",)
        )
    if reader.take("OWNER", "TO"):
        return Statement("nothing", "ALTER TABLE")
    if reader.take("ALTER") and reader.peek() in ("DISTKEY", "DISTSTYLE", "SORTKEY", "COMPOUND", "ENCODE"):
        return Statement("nothing", "ALTER TABLE")
    raise unsupported("this form of ALTER TABLE")


def _add_column(reader: Reader, table: str) -> Statement:
    made = column(reader)
    if made.identity or (made.not_null and made.default is None):
        raise SqlError("0A000", "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression")
    if made.limit_bytes is not None:
        # DuckDB adds no constraint to a table that exists, so the declared length could not be held.
        made = Column(
            made.name, f"character varying({VARCHAR_LIMIT_BYTES})", "VARCHAR", None, made.default, None, made.facts, made.not_null
        )
    made.not_null = False
    add = f"alter table {table} add column {made.sql('')}"
    comment = f"comment on column {table}.{identifier(made.name)} is {literal(made.comment())}"
    return Statement("ddl", "ALTER TABLE", (add,), (comment,))


READERS: dict[str, Callable[[str], Statement]] = {
    "CREATE TABLE": create_table,
    "CREATE TEMP": create_table,
    "CREATE TEMPORARY": create_table,
    "CREATE LOCAL": create_table,
    "CREATE VIEW": create_view,
    "CREATE SCHEMA": create_schema,
    "ALTER TABLE": alter_table,
    "DROP TABLE": drop,
    "DROP MATERIALIZED": drop,
    "DROP VIEW": drop,
    "DROP SCHEMA": drop,
    "TRUNCATE": truncate,
}


def _refuse(what: str) -> Statement:
    raise unsupported(what)
