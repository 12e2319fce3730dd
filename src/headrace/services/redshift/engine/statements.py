"""A statement's text into what a session runs: its kind, DuckDB's text, and the tag that the client is told."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from sqlglot import exp

from headrace.services.redshift.engine import ddl, dialect, scan, views
from headrace.services.redshift.engine.failures import SqlError, syntax, unsupported
from headrace.services.redshift.engine.plan import Statement, check_query, cut

STATEMENT_LIMIT_BYTES = 16 * 1024 * 1024


@lru_cache(maxsize=2048)
def read(text: str) -> Statement:
    """Understand one statement (already cut out and marked by `scan.statements`)."""
    try:
        found = _read(text)
    except RecursionError:
        raise SqlError("54001", "stack depth limit exceeded") from None
    return found if found.text else replace(found, text=text)


def _read(text: str) -> Statement:
    words = scan.first_words(text)
    if not words and not text.startswith("("):
        raise syntax(f'syntax error at or near "{text[:20]}"', 1)
    first = words[0] if words and not text.startswith("(") else "SELECT"
    if len(words) > 1 and (reader := _OWN.get(f"{first} {words[1]}")):
        return reader(text, words)
    if reader := _OWN.get(first):
        return reader(text, words)
    raise syntax(f'syntax error at or near "{first.lower()}"', 1)


def _query(text: str, words: list[str]) -> Statement:
    if "pg_catalog" in text.lower():
        text = scan.catalog_query(text)
    tree = dialect.parse(text)
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery | exp.Values):
        if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
            return _change(text, words)
        raise syntax("a query is expected")
    check_query(tree)
    if isinstance(tree, exp.Select) and (into := tree.args.get("into")):
        tree.set("into", None)
        return ddl.select_into(tree, into)
    return Statement("select", "SELECT", cut(dialect.generate(dialect.rewrite(tree))))


_CHANGES: dict[type[exp.Expression], tuple[str, str]] = {
    exp.Insert: ("change", "INSERT 0"),
    exp.Update: ("change", "UPDATE"),
    exp.Delete: ("change", "DELETE"),
    exp.Merge: ("change", "MERGE"),
}


def _change(text: str, words: list[str]) -> Statement:
    text = re.sub(r"(?i)^delete\s+(?!from\b)", "delete from ", text)
    tree = dialect.parse(text)
    if type(tree) not in _CHANGES:
        raise syntax(f'syntax error at or near "{words[0].lower()}"', 1)
    if tree.args.get("returning") or tree.args.get("conflict"):
        raise unsupported("RETURNING or ON CONFLICT")
    check_query(tree)
    _own_tables_only(tree)
    kind, tag = _CHANGES[type(tree)]
    if isinstance(tree, exp.Merge):
        _merge_values(tree)
    return Statement(kind, tag, cut(dialect.generate(dialect.rewrite(tree))))


def _merge_values(tree: exp.Merge) -> None:
    # The Redshift parser takes `VALUES (…)` of MERGE for a call.
    for call in list(tree.find_all(exp.Anonymous)):
        if str(call.this).upper() == "VALUES" and (insert := call.find_ancestor(exp.Insert)) is not None:
            insert.set("expression", exp.Tuple(expressions=call.expressions))
            insert.set("this", None)


def _own_tables_only(tree: exp.Expression) -> None:
    target = tree.this.find(exp.Table) if tree.this else None
    if target is not None and (target.db.lower() in ("pg_catalog", "information_schema") or dialect.is_system(target)):
        raise SqlError("42501", f"permission denied for relation {target.name}")


def _transaction(kind: str, tag: str) -> Callable[[str, list[str]], Statement]:
    def build(text: str, words: list[str]) -> Statement:
        if re.search(r"\bread\s+only\b", text, re.I):
            raise unsupported("READ ONLY")
        return Statement(kind, tag)

    return build


def _nothing(tag: str) -> Callable[[str, list[str]], Statement]:
    return lambda text, words: Statement("nothing", tag)


def _refused(what: str) -> Callable[[str, list[str]], Statement]:
    def refuse(text: str, words: list[str]) -> Statement:
        raise unsupported(what)

    return refuse


def _explain(text: str, words: list[str]) -> Statement:
    inner = read(re.sub(r"(?is)^explain\s+(verbose\s+)?", "", text))
    if inner.kind not in ("select", "change"):
        raise syntax("EXPLAIN of this statement")
    return Statement("explain", "EXPLAIN", ("explain " + inner.parts[0], *inner.parts[1:]))


_SET = re.compile(
    r"(?is)^set\s+(?:session\s+|local\s+)?(?P<name>[\w.]+|session\s+authorization|time\s+zone)(?:\s*=\s*|\s+to\s+|\s+)(?P<value>.+)$"
)


def _set(text: str, words: list[str]) -> Statement:
    match = _SET.match(text)
    if not match:
        raise syntax("SET name TO value is expected")
    name = " ".join(match["name"].lower().split())
    values = [value.strip().strip("'\"") for value in match["value"].split(",")]
    return Statement("set", "SET", values={"name": name, "values": values})


def _show(text: str, words: list[str]) -> Statement:
    name = " ".join(text.split()[1:]).strip("\"'").lower()
    if name.split()[0:1] in (
        ["tables"],
        ["columns"],
        ["schemas"],
        ["databases"],
        ["table"],
        ["view"],
        ["grants"],
        ["procedures"],
    ):
        raise unsupported("SHOW " + name.split()[0].upper())
    return Statement("show", "SHOW", values={"name": name})


def _reset(text: str, words: list[str]) -> Statement:
    return Statement("set", "RESET", values={"name": " ".join(text.split()[1:]).lower(), "values": None})


def _raw(kind: str, tag: str) -> Callable[[str, list[str]], Statement]:
    return lambda text, words: Statement(kind, tag, text=text)


def _defining(build: Callable[[str], Statement]) -> Callable[[str, list[str]], Statement]:
    return lambda text, words: build(text)


def _replacing(text: str, words: list[str]) -> Statement:
    if re.match(r"(?i)create\s+or\s+replace\s+function\b", text):
        return views.create_function(text)
    if re.match(r"(?i)create\s+or\s+replace\s+view\b", text):
        return ddl.create_view(text)
    raise unsupported("this CREATE OR REPLACE")


_OWN: dict[str, Callable[[str, list[str]], Statement]] = {
    "SELECT": _query,
    "WITH": _query,
    "VALUES": _refused("VALUES as a statement"),
    "INSERT": _change,
    "UPDATE": _change,
    "DELETE": _change,
    "MERGE": _change,
    "BEGIN": _transaction("begin", "BEGIN"),
    "START": _transaction("begin", "BEGIN"),
    "COMMIT": _transaction("commit", "COMMIT"),
    "END": _transaction("commit", "COMMIT"),
    "ROLLBACK": _transaction("rollback", "ROLLBACK"),
    "ABORT": _transaction("rollback", "ROLLBACK"),
    "SET": _set,
    "RESET": _reset,
    "SHOW": _show,
    "EXPLAIN": _explain,
    "ANALYZE": _nothing("ANALYZE"),
    "VACUUM": _nothing("VACUUM"),
    "DISCARD": _nothing("DISCARD"),
    "COPY": _raw("copy", "COPY"),
    "UNLOAD": _raw("unload", "UNLOAD"),
    "CREATE USER": _raw("user", "CREATE USER"),
    "ALTER USER": _raw("user", "ALTER USER"),
    "DROP USER": _raw("user", "DROP USER"),
    "CREATE DATABASE": _raw("database", "CREATE DATABASE"),
    "DROP DATABASE": _raw("database", "DROP DATABASE"),
    "REVOKE": _refused("REVOKE (every user may read and change everything)"),
    "LOCK": _refused("LOCK"),
    "DECLARE": _refused("a cursor"),
    "FETCH": _refused("a cursor"),
    "CLOSE": _refused("a cursor"),
    "PREPARE": _refused("PREPARE as a statement"),
    "EXECUTE": _refused("EXECUTE as a statement"),
    "DEALLOCATE": _nothing("DEALLOCATE"),
    "CALL": _refused("a stored procedure"),
    "CANCEL": _refused("CANCEL"),
    "USE": _refused("USE"),
    "GRANT": _nothing("GRANT"),
    "CREATE MATERIALIZED": _defining(views.create_materialized),
    "REFRESH": _defining(views.refresh),
    "CREATE OR": _replacing,
    "CREATE FUNCTION": _defining(views.create_function),
    "DROP FUNCTION": _defining(views.drop_function),
    "CREATE PROCEDURE": _refused("a stored procedure"),
    "CREATE EXTERNAL": _refused("an external schema or table"),
    "CREATE GROUP": _refused("a group of users"),
    "CREATE ROLE": _refused("a role"),
    "CREATE MODEL": _refused("a model"),
    "CREATE DATASHARE": _refused("a datashare"),
    "COMMENT": _refused("COMMENT"),
    "ALTER DATABASE": _refused("ALTER DATABASE"),
    "ALTER SCHEMA": _refused("ALTER SCHEMA"),
    "ALTER DEFAULT": _refused("ALTER DEFAULT PRIVILEGES"),
    "ALTER MATERIALIZED": _refused("ALTER MATERIALIZED VIEW"),
    **{words: _defining(build) for words, build in ddl.READERS.items()},
}
