"""Column definitions: types as Redshift declares them, and how DuckDB stores them.

What DuckDB has no place for (declared lengths, encodings, keys that Redshift does not enforce) is kept as a JSON comment on the
column: comments follow a table through every rename, and are changed in the same transaction.
"""

import json
from dataclasses import dataclass, field

from sqlglot import exp

from headrace.services.redshift.engine import dialect
from headrace.services.redshift.engine.failures import SqlError, unsupported
from headrace.services.redshift.engine.scan import identifier, literal
from headrace.services.redshift.engine.tokens import Reader

_TYPES: dict[str, tuple[str, str]] = {  # Redshift's spelling -> (Redshift's own name, DuckDB's type)
    "SMALLINT": ("smallint", "SMALLINT"), "INT2": ("smallint", "SMALLINT"),
    "INTEGER": ("integer", "INTEGER"), "INT": ("integer", "INTEGER"), "INT4": ("integer", "INTEGER"),
    "BIGINT": ("bigint", "BIGINT"), "INT8": ("bigint", "BIGINT"),
    "REAL": ("real", "REAL"), "FLOAT4": ("real", "REAL"),
    "DOUBLE PRECISION": ("double precision", "DOUBLE"), "FLOAT8": ("double precision", "DOUBLE"),
    "FLOAT": ("double precision", "DOUBLE"),
    "BOOLEAN": ("boolean", "BOOLEAN"), "BOOL": ("boolean", "BOOLEAN"),
    "DATE": ("date", "DATE"), "SUPER": ("super", "JSON"),
    "TIMESTAMP": ("timestamp without time zone", "TIMESTAMP"),
    "TIMESTAMP WITHOUT TIME ZONE": ("timestamp without time zone", "TIMESTAMP"),
    "TIMESTAMPTZ": ("timestamp with time zone", "TIMESTAMPTZ"),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", "TIMESTAMPTZ"),
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
        precision, scale = [*sizes, 0][:2] if sizes else (18, 0)
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
