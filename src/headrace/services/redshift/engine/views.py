"""Materialized views, kept as tables with the query that fills them, and functions in SQL, kept as macros."""

import re

from headrace.services.redshift.engine import dialect, plan
from headrace.services.redshift.engine.columns import column_type
from headrace.services.redshift.engine.ddl import qualified
from headrace.services.redshift.engine.failures import SqlError, unsupported
from headrace.services.redshift.engine.plan import Statement
from headrace.services.redshift.engine.scan import PARAMETER, literal
from headrace.services.redshift.engine.tokens import Reader

_KNOWN = "select definition from headrace.materialized_views where schema_name = {schema} and view_name = {name}"
_BODY = re.compile(
    r"(?is)^(?P<head>.*?)\bas\s+(?:\$(?P<tag>\w*)\$(?P<body>.*?)\$(?P=tag)\$|'(?P<quoted>(?:[^']|'')*)')\s*(?P<tail>.*)$"
)


def create_materialized(text: str) -> Statement:
    """CREATE MATERIALIZED VIEW: a table with the query's rows, until REFRESH. AUTO REFRESH YES is refused."""
    reader = Reader(text)
    reader.want("CREATE", "MATERIALIZED")
    reader.want("VIEW")
    schema, name = reader.table()
    while reader.peek() not in ("AS", ""):
        if reader.take("AUTO", "REFRESH", "NO") or reader.take("BACKUP", "YES") or reader.take("BACKUP", "NO"):
            continue
        if reader.take("AUTO", "REFRESH", "YES"):
            raise unsupported("AUTO REFRESH YES")
        if reader.take("DISTSTYLE"):
            reader.name()
        elif reader.take("DISTKEY") or reader.take("SORTKEY"):
            reader.names()
        else:
            raise reader.error()
    reader.want("AS")
    query = plan.query(reader.rest())
    if dialect.SLOT in query:
        raise unsupported("a materialized view over a value of the session")
    schema = schema or "public"
    remember = f"insert into headrace.materialized_views values ({literal(schema)}, {literal(name)}, {literal(query)}, now())"
    return Statement("ddl", "CREATE MATERIALIZED VIEW", (f"create table {qualified(schema, name)} as {query}",), (remember,))


def refresh(text: str) -> Statement:
    """REFRESH MATERIALIZED VIEW name."""
    # "refresh" makes the tokenizer take the rest as one word.
    reader = Reader(re.sub(r"(?i)^refresh", "", text))
    reader.want("MATERIALIZED")
    reader.want("VIEW")
    schema, name = reader.table()
    schema = schema or "public"
    return Statement(
        "refresh", "REFRESH", (_KNOWN.format(schema=literal(schema), name=literal(name)),), values={"table": (schema, name)}
    )


def create_function(text: str) -> Statement:
    """CREATE [OR REPLACE] FUNCTION … LANGUAGE sql: one SELECT of one expression over $1, $2, …"""
    match = _BODY.match(text)
    if not match:
        raise SqlError("42601", "CREATE FUNCTION … AS $$ … $$ LANGUAGE sql is expected")
    if not re.fullmatch(r"(?is)language\s+'?sql'?", match["tail"].strip()):
        raise unsupported(f"a function in {match['tail'].split()[-1] if match['tail'].split() else 'no language'}")
    reader = Reader(match["head"])
    reader.want("CREATE")
    replace = reader.take("OR", "REPLACE")
    reader.want("FUNCTION")
    schema, name = reader.table()
    if schema not in ("", "public"):
        raise unsupported("a function outside of schema public")
    reader.want("(")
    types: list[str] = []
    while not reader.take(")"):
        types.append(column_type(reader)[1])
        reader.take(",")
    reader.want("RETURNS")
    returned = column_type(reader)[1]
    if reader.peek() not in ("STABLE", "IMMUTABLE", "VOLATILE"):
        raise reader.error()
    body = match["body"] if match["quoted"] is None else match["quoted"].replace("''", "'")
    names = [f"argument_{number}" for number in range(1, len(types) + 1)]
    expression = _expression(body, names)
    listed = ", ".join(f"{one} {kind}" for one, kind in zip(names, types, strict=True))
    create = "create or replace macro" if replace else "create macro"
    macro = f"{create} {dialect.USER_FUNCTIONS}.{dialect.USER_PREFIX}{name}({listed}) as cast({expression} as {returned})"
    return Statement("ddl", "CREATE FUNCTION", (macro,))


def _expression(body: str, names: list[str]) -> str:
    text = re.sub(r"\$(\d+)", rf" {PARAMETER}\1 ", body.strip().rstrip(";"))
    parts = plan.cut(plan.query(text))
    found = list(parts)
    for at in range(1, len(parts), 2):
        if not parts[at].isdigit() or not 0 < int(parts[at]) <= len(names):
            raise unsupported("a function over a value of the session")
        found[at] = names[int(parts[at]) - 1]
    query = "".join(found)
    if re.search(r"(?i)\bfrom\b", re.sub(r"'(?:[^']|'')*'", "", query)):
        raise unsupported("a function that reads tables")
    return f"({query})"


def drop_function(text: str) -> Statement:
    """DROP FUNCTION name(types)."""
    reader = Reader(text)
    reader.want("DROP", "FUNCTION")
    _, name = reader.table()
    return Statement("ddl", "DROP FUNCTION", (f"drop macro {dialect.USER_FUNCTIONS}.{dialect.USER_PREFIX}{name}",))
