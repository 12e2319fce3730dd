"""CREATE, ALTER and DROP: read by our own reader, since Redshift's table options are in no common grammar.

What DuckDB has no place for (declared lengths, encodings, keys that Redshift does not enforce) is kept as a JSON comment on the
column: comments follow a table through every rename, and are changed in the same transaction.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.tokens import Token, TokenType

from headrace.services.redshift.engine import dialect, plan
from headrace.services.redshift.engine.failures import SqlError, syntax, unsupported
from headrace.services.redshift.engine.plan import Statement
from headrace.services.redshift.engine.scan import identifier, literal

_TYPES: dict[str, tuple[str, str]] = {  # Redshift's spelling -> (Redshift's own name, DuckDB's type)
    "SMALLINT": ("smallint", "SMALLINT"), "INT2": ("smallint", "SMALLINT"),
    "INTEGER": ("integer", "INTEGER"), "INT": ("integer", "INTEGER"), "INT4": ("integer", "INTEGER"),
    "BIGINT": ("bigint", "BIGINT"), "INT8": ("bigint", "BIGINT"),
    "REAL": ("real", "REAL"), "FLOAT4": ("real", "REAL"),
    "DOUBLE PRECISION": ("double precision", "DOUBLE"), "FLOAT8": ("double precision", "DOUBLE"), "FLOAT": ("double precision", "DOUBLE"),
    "BOOLEAN": ("boolean", "BOOLEAN"), "BOOL": ("boolean", "BOOLEAN"),
    "DATE": ("date", "DATE"), "SUPER": ("super", "JSON"),
    "TIMESTAMP": ("timestamp without time zone", "TIMESTAMP"), "TIMESTAMP WITHOUT TIME ZONE": ("timestamp without time zone", "TIMESTAMP"),
    "TIMESTAMPTZ": ("timestamp with time zone", "TIMESTAMPTZ"), "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", "TIMESTAMPTZ"),
    "TIME": ("time without time zone", "TIME"), "TIME WITHOUT TIME ZONE": ("time without time zone", "TIME"),
    "VARBYTE": ("binary varying", "BLOB"), "VARBINARY": ("binary varying", "BLOB"), "BINARY VARYING": ("binary varying", "BLOB"),
    "DECIMAL": ("numeric", "DECIMAL"), "NUMERIC": ("numeric", "DECIMAL"),
    "CHAR": ("character", "VARCHAR"), "CHARACTER": ("character", "VARCHAR"), "NCHAR": ("character", "VARCHAR"),
    "BPCHAR": ("character", "VARCHAR"),
    "VARCHAR": ("character varying", "VARCHAR"), "CHARACTER VARYING": ("character varying", "VARCHAR"),
    "NVARCHAR": ("character varying", "VARCHAR"), "TEXT": ("character varying", "VARCHAR"),
}  # fmt: skip
_TWO_WORDS = {"DOUBLE PRECISION", "CHARACTER VARYING", "BINARY VARYING"}
_ZONES = ("WITH TIME ZONE", "WITHOUT TIME ZONE")
VARCHAR_LIMIT_BYTES = 65535
VARCHAR_DEFAULT_BYTES = 256


class Reader:
    """A walk over the tokens of a statement."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = Redshift().tokenize(text)
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        """The next token in upper case; empty at the end."""
        at = self.at + ahead
        return self.tokens[at].text.upper() if at < len(self.tokens) else ""

    def take(self, *words: str) -> bool:
        """Go past these words if they come next."""
        if all(self.peek(n) == word for n, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def want(self, *words: str) -> None:
        """Go past these words, or fail."""
        if not self.take(*words):
            raise self.error()

    def error(self) -> SqlError:
        """A syntax error at this place."""
        if self.at >= len(self.tokens):
            return syntax("syntax error at end of input", len(self.text))
        token = self.tokens[self.at]
        return syntax(f'syntax error at or near "{token.text}"', token.start + 1)

    def name(self) -> str:
        """An identifier, folded as Redshift folds it."""
        if self.at >= len(self.tokens) or self.tokens[self.at].token_type in (
            TokenType.L_PAREN,
            TokenType.R_PAREN,
            TokenType.STRING,
            TokenType.NUMBER,
        ):
            raise self.error()
        self.at += 1
        return self.tokens[self.at - 1].text.lower().removeprefix("#").removeprefix(dialect.TEMPORARY)

    def table(self) -> tuple[str, str]:
        """(schema or '', name)."""
        first = self.name()
        if not self.take("."):
            _check_schema("")
            return "", first
        _check_schema(first)
        return first, self.name()

    def names(self) -> list[str]:
        """(a, b, …)"""
        self.want("(")
        found = [self.name()]
        while self.take(","):
            found.append(self.name())
        self.want(")")
        return found

    def group(self) -> str:
        """The text of a parenthesised group, without its parentheses."""
        self.want("(")
        start, depth = self.at, 1
        while depth:
            if self.at >= len(self.tokens):
                raise self.error()
            depth += {"(": 1, ")": -1}.get(self.peek(), 0)
            self.at += 1
        return self.text[self.tokens[start].start : self.tokens[self.at - 2].end + 1] if self.at - 1 > start else ""

    def rest(self) -> str:
        """The remaining text."""
        return self.text[self.tokens[self.at].start :] if self.at < len(self.tokens) else ""

    def until(self, *stops: str) -> str:
        """The text of an expression, up to a stop word, a comma or the closing parenthesis."""
        start, depth = self.at, 0
        while self.at < len(self.tokens):
            word = self.peek()
            if depth == 0 and (word in stops or word in (",", ")")) and self.at > start:
                break
            depth += {"(": 1, ")": -1}.get(word, 0)
            self.at += 1
        return self.text[self.tokens[start].start : self.tokens[self.at - 1].end + 1]


def _check_schema(schema: str) -> None:
    if schema in (dialect.INTERNAL_SCHEMA, "headrace_functions", "pg_catalog", "information_schema", "main", "temp", "system"):
        raise SqlError("42501", f"permission denied for schema {schema}")


@dataclass
class Column:
    """A column of a table to be made."""

    name: str
    declared: str
    stored: str
    limit_bytes: int | None = None
    default: str | None = None
    identity: tuple[int, int] | None = None
    facts: dict[str, object] = field(default_factory=dict)
    not_null: bool = False

    def sql(self, sequence: str) -> str:
        """The column in DuckDB's words."""
        words = [identifier(self.name), self.stored]
        if self.identity:
            words.append(f"default nextval({literal(sequence)})")
        elif self.default is not None:
            words.append(f"default {self.default}")
        if self.not_null:
            words.append("not null")
        if self.limit_bytes is not None and self.limit_bytes < VARCHAR_LIMIT_BYTES:
            words.append(f"check (strlen({identifier(self.name)}) <= {self.limit_bytes})")
        return " ".join(words)

    def comment(self) -> str:
        """What is kept beside the column."""
        return json.dumps({"type": self.declared, **self.facts})


def column_type(reader: Reader) -> tuple[str, str, int | None]:
    """(Redshift's name, DuckDB's type, limit in bytes) of the type that comes next."""
    word = reader.peek()
    two = f"{word} {reader.peek(1)}"
    if two in _TWO_WORDS:
        word = two
        reader.at += 1
    elif " " in word:
        word = " ".join(word.split())
    reader.at += 1
    if word not in _TYPES:
        reader.at -= 1
        raise unsupported(f"the type {word.lower()}")
    sizes = [int(size) if size.strip().isdigit() else -1 for size in reader.group().split(",")] if reader.peek() == "(" else []
    if sizes == [-1] and word in ("VARCHAR", "CHARACTER VARYING", "NVARCHAR"):
        sizes = [VARCHAR_LIMIT_BYTES]  # varchar(max)
    for zone in _ZONES:
        if reader.take(*zone.split()):
            word = f"{word} {zone}"
    if word not in _TYPES:
        raise unsupported(f"the type {word.lower()}")
    declared, stored = _TYPES[word]
    if stored == "DECIMAL":
        precision, scale = (sizes + [0])[:2] if sizes else (18, 0)
        if not 1 <= precision <= 38 or not 0 <= scale <= precision:
            raise SqlError("22023", f"DECIMAL precision {precision} must be between 1 and 38")
        return f"numeric({precision},{scale})", f"DECIMAL({precision},{scale})", None
    if stored == "VARCHAR":
        size = sizes[0] if sizes else (VARCHAR_DEFAULT_BYTES if declared == "character varying" or word == "BPCHAR" else 1)
        if not 1 <= size <= VARCHAR_LIMIT_BYTES:
            raise SqlError("22023", f"length for type {declared} cannot exceed {VARCHAR_LIMIT_BYTES}")
        return f"{declared}({size})", stored, size
    return declared, stored, None


def expression(text: str) -> str:
    """An expression (a default) in DuckDB's words."""
    tree = dialect.parse(f"select {text} as x")
    rewritten = dialect.rewrite(tree)
    generated = dialect.generate(rewritten.expressions[0].this)
    if dialect.SLOT in generated or rewritten.find(exp.Subquery, exp.Column):
        raise unsupported("a default of this form")
    return generated


_ATTRIBUTES = (
    "DEFAULT",
    "ENCODE",
    "NOT",
    "NULL",
    "DISTKEY",
    "SORTKEY",
    "PRIMARY",
    "UNIQUE",
    "REFERENCES",
    "IDENTITY",
    "GENERATED",
    "COLLATE",
)


def column(reader: Reader) -> Column:
    """One column definition."""
    name = reader.name()
    made = Column(name, *column_type(reader))
    while reader.peek() not in (",", ")", ""):
        if reader.take("NOT", "NULL"):
            made.not_null = True
        elif reader.take("NULL"):
            pass
        elif reader.take("DEFAULT"):
            made.default = expression(reader.until(*_ATTRIBUTES))
        elif reader.take("ENCODE"):
            made.facts["encode"] = reader.name()
        elif reader.take("DISTKEY"):
            made.facts["distkey"] = True
        elif reader.take("SORTKEY"):
            made.facts["sortkey"] = 1
        elif reader.take("PRIMARY", "KEY") or reader.take("PRIMARY KEY"):
            made.facts["primary_key"] = 1
            made.not_null = True
        elif reader.take("UNIQUE"):
            made.facts["unique"] = True
        elif reader.take("REFERENCES"):
            reader.table()
            if reader.peek() == "(":
                reader.group()
        elif reader.take("IDENTITY") or reader.take("GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"):
            seed, step = [int(part) for part in reader.group().split(",")] if reader.peek() == "(" else [1, 1]
            made.identity = (seed, step)
            made.not_null = True
            made.facts["identity"] = [seed, step]
        elif reader.take("COLLATE"):
            if not reader.take("CASE_SENSITIVE"):
                raise unsupported("COLLATE CASE_INSENSITIVE")
        else:
            raise reader.error()
    return made


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
    _check_schema(schema)
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
            _check_schema(schema)
        texts.append(
            f"drop {what} {'if exists ' if quiet else ''}{qualified(schema, name) if name else identifier(schema)}{tail}"
        )
    tag = f"DROP {'MATERIALIZED ' if materialized else ''}{kind}"
    return Statement("ddl", tag, (texts[0],), tuple(texts[1:]), values={"dropped": targets if materialized else []})


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
    "CREATE OR": lambda text: (
        create_view(text) if re.match(r"(?i)create\s+or\s+replace\s+view", text) else _refuse("this CREATE OR REPLACE")
    ),
    "CREATE SCHEMA": create_schema,
    "ALTER TABLE": alter_table,
    "DROP TABLE": drop,
    "DROP VIEW": drop,
    "DROP SCHEMA": drop,
    "TRUNCATE": truncate,
}


def _refuse(what: str) -> Statement:
    raise unsupported(what)
