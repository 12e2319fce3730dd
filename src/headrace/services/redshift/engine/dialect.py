"""Redshift's SQL into DuckDB's: a parser and a generator with our corrections, and the rules in between.

Every rule is here for one reason: without it a statement would run and mean something else.
"""

import re
from collections.abc import Callable
from typing import Any, ClassVar, cast

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import ErrorLevel, ParseError, TokenError, UnsupportedError
from sqlglot.generators.duckdb import DuckDBGenerator
from sqlglot.parsers.redshift import RedshiftParser

from headrace.services.redshift.engine import catalog_names, column_names, formats, functions
from headrace.services.redshift.engine.failures import SqlError, syntax, unsupported
from headrace.services.redshift.engine.scan import PARAMETER

SLOT = "\x00"  # generated text is cut here: between two stands the number of a parameter, or the name of a session value
INTERNAL_SCHEMA = "headrace"
USER_FUNCTIONS = "headrace_functions"
USER_PREFIX = "udf_"
TEMPORARY = "hr_temp_"


class SourceDialect(Redshift):
    """Redshift as users write it; the functions that we translate ourselves are left alone by the parser."""

    class Parser(RedshiftParser):
        """The Redshift parser without its guesses about our own functions."""

        FUNCTIONS: ClassVar = {
            name: build
            for name, build in RedshiftParser.FUNCTIONS.items()
            if name not in functions.OWN
            and name not in functions.MACROS
            and name not in functions.RENAMED
            and name not in functions.SESSION
        }
        FUNCTION_PARSERS: ClassVar = {
            name: parse
            for name, parse in RedshiftParser.FUNCTION_PARSERS.items()
            if name not in functions.OWN and name not in functions.MACROS and name not in functions.RENAMED
        }


class TargetDialect(DuckDB):
    """DuckDB, with arrays counted from 0: the only arrays that a statement can hold are JSON."""

    INDEX_OFFSET = 0

    class Generator(DuckDBGenerator):
        """The DuckDB generator with Redshift's meaning of an operator."""

        TRANSFORMS: ClassVar = {
            **DuckDBGenerator.TRANSFORMS,
            exp.Div: lambda self, node: self.binary(node, "//"),
            exp.RegexpLike: lambda self, node: self.func("regexp_matches", node.this, node.expression),
        }


def parse(text: str) -> exp.Expression:
    """One statement as a tree. SqlError 42601 with the place when it cannot be read."""
    try:
        trees = SourceDialect().parse(text)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        near = str(first.get("highlight") or "end of input")
        place = text.find(near) + 1 if first.get("highlight") else len(text)
        raise syntax(f'syntax error at or near "{near}"', place) from None
    except TokenError as error:
        raise syntax(f"the statement cannot be read: {str(error)[:200]}") from None
    found = [tree for tree in trees if tree is not None]
    if len(found) != 1:
        raise syntax("expected one statement")
    return cast(exp.Expression, found[0])


def generate(tree: exp.Expression) -> str:
    """DuckDB's text of a rewritten tree."""
    try:
        return str(TargetDialect().generate(tree, copy=False, identify=True, unsupported_level=ErrorLevel.RAISE))
    except UnsupportedError as error:
        raise unsupported(str(error)[:200]) from None


def _macro(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=f"{INTERNAL_SCHEMA}.{name}", expressions=list(arguments))


def slot(name: str) -> exp.Var:
    """A place in the generated text that is filled in when the statement runs."""
    return exp.Var(this=f"{SLOT}{name}{SLOT}")


# ---- names ----------------------------------------------------------------------------------------------------------


def is_system(node: exp.Table) -> bool:
    """Whether a table's name is a system table's."""
    return catalog_names.internal(node.db.lower(), node.name.lower()) is not None


def _fold_identifier(node: exp.Identifier) -> exp.Expression:
    # Redshift folds every identifier, quoted ones too, unless enable_case_sensitive_identifier is on.
    name = node.name.lower().removeprefix("#")
    node.set("this", name.removeprefix(TEMPORARY))
    node.set("quoted", True)
    return node


def _column(node: exp.Column) -> exp.Expression:
    name = node.name
    if name.startswith(PARAMETER) and name[len(PARAMETER) :].isdigit() and not node.table:
        return slot(name[len(PARAMETER) :])
    if not node.table and name.upper() in functions.SESSION and not node.this.args.get("quoted"):
        return slot(functions.SESSION[name.upper()])
    return node


def _table(node: exp.Table) -> exp.Expression:
    if isinstance(node.this, exp.Anonymous):
        name = node.this.name.upper()
        if name != "GENERATE_SERIES":
            raise SqlError("42883", f"function {name.lower()} does not exist as a table")
        return node
    if isinstance(node.this, exp.GenerateSeries | exp.Dot):
        return node
    if not isinstance(node.this, exp.Identifier):
        raise syntax("a table name is expected")
    schema, name = node.db.lower(), node.name.lower()
    if schema == INTERNAL_SCHEMA or node.catalog:
        if node.catalog:
            raise unsupported("a reference to another database")
        raise SqlError("42501", f"permission denied for schema {schema}")
    if target := catalog_names.internal(schema, name):
        if not node.alias:
            node.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
        node.set("db", exp.to_identifier(INTERNAL_SCHEMA, quoted=True))
        node.set("this", exp.to_identifier(target, quoted=True))
    elif schema in ("pg_catalog", "information_schema") or (not schema and name.startswith(catalog_names.PREFIXES)):
        raise SqlError("42P01", f'relation "{schema + "." if schema else ""}{name}" does not exist')
    elif not schema and name.startswith(catalog_names.FOREIGN):
        raise SqlError("42P01", f'relation "{name}" does not exist')
    elif schema in ("main", "temp", "system"):
        raise SqlError("3F000", f'schema "{schema}" does not exist')
    return node


# ---- functions ------------------------------------------------------------------------------------------------------


def _anonymous(node: exp.Anonymous) -> exp.Expression:
    name = str(node.this).upper()
    arguments = node.expressions
    if name.startswith(INTERNAL_SCHEMA.upper()) and "." in name:
        return node
    if name in functions.TEXTUAL:
        both = name in ("CONCAT", "CHARINDEX")
        arguments = [_text(one) if number == 0 or (both and number == 1) else one for number, one in enumerate(arguments)]
    if name == "TRUNC" and any(one.find(exp.AggFunc) for one in arguments):
        return exp.Anonymous(this="trunc", expressions=arguments)
    if name in functions.MACROS:
        return _macro(functions.MACROS[name], *arguments)
    if name in functions.SESSION and not arguments:
        return slot(functions.SESSION[name])
    if name in functions.RENAMED:
        textual = name not in functions.NOT_TEXTUAL
        arguments = [_text(arguments[0]), *arguments[1:]] if textual and arguments else arguments
        return exp.Anonymous(this=functions.RENAMED[name], expressions=arguments)
    if name in formats.FUNCTIONS:
        return cast(exp.Expression, formats.FUNCTIONS[name](arguments))
    if name == "JSON_EXTRACT_PATH_TEXT":
        return _json_path(arguments)
    if name == "RATIO_TO_REPORT":
        return node  # its window gives it its meaning
    if re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) and name not in functions.OWN:
        # Maybe a function that the user made; no function of DuckDB's own has such a name.
        return exp.Anonymous(this=f"{USER_FUNCTIONS}.{USER_PREFIX}{name.lower()}", expressions=arguments)
    if name == "CURRENT_SETTING" and len(arguments) == 1 and isinstance(arguments[0], exp.Literal):
        return slot("setting:" + arguments[0].name.lower())
    raise SqlError("42883", f"function {name.lower()} does not exist")


def _json_path(arguments: list[exp.Expression]) -> exp.Expression:
    """JSON_EXTRACT_PATH_TEXT(text, 'key', … [, null_if_invalid])."""
    text, *steps = arguments
    or_null = bool(steps) and isinstance(steps[-1], exp.Boolean) and bool(steps.pop().this)
    if not steps or not all(isinstance(step, exp.Literal) and step.is_string for step in steps):
        raise unsupported("JSON_EXTRACT_PATH_TEXT with a path that is no literal")
    quoted = "".join('."' + step.name.replace('"', '\\"') + '"' for step in steps)
    return _macro("hr_json_text_or_null" if or_null else "hr_json_text", text, exp.Literal.string("$" + quoted))


def _window(node: exp.Window) -> exp.Expression:
    inner = node.this
    if isinstance(inner, exp.Anonymous) and str(inner.this).upper() == "RATIO_TO_REPORT":
        value = inner.expressions[0]
        total = node.copy()
        total.set("this", exp.Sum(this=value.copy()))
        return exp.Paren(this=exp.Div(this=exp.cast(value.copy(), "double"), expression=_macro("hr_nonzero", total)))
    return node


def _average(node: exp.Avg) -> exp.Expression:
    """AVG of integers is an integer, cut off; of a decimal it keeps the scale."""
    if isinstance(node.parent, exp.Filter):
        raise unsupported("FILTER on AVG")
    window = node.parent if isinstance(node.parent, exp.Window) and node.arg_key == "this" else None

    def part(aggregate: exp.Expression) -> exp.Expression:
        if window is None:
            return aggregate
        copied = window.copy()
        copied.set("this", aggregate)
        return copied

    total = part(exp.Sum(this=node.this.copy()))
    count = part(exp.Count(this=node.this.copy()))
    average = part(exp.Anonymous(this="avg", expressions=[node.this.copy()]))
    integral = exp.EQ(this=exp.Anonymous(this="typeof", expressions=[total.copy()]), expression=exp.Literal.string("HUGEINT"))
    quotient = exp.Div(this=exp.cast(total.copy(), "hugeint"), expression=exp.func("nullif", count, exp.Literal.number(0)))
    exact = exp.Case(ifs=[exp.If(this=integral, true=exp.cast(quotient, "text"))], default=exp.cast(average, "text"))
    typed = exp.Anonymous(this="cast_to_type", expressions=[exact, total])
    if window is None:
        return typed
    window.replace(typed)
    return typed


def _listagg(node: exp.GroupConcat) -> exp.Expression:
    value, order, distinct = node.this, None, False
    separator = node.args.get("separator") or exp.Literal.string("")
    if isinstance(value, exp.Order):
        value, order = value.this, value.args["expressions"]
    if isinstance(value, exp.Distinct):
        distinct = True
        separator = value.expressions[1] if len(value.expressions) > 1 else separator
        value = value.expressions[0]
    parent = node.parent
    if isinstance(parent, exp.WithinGroup) and isinstance(parent.expression, exp.Order):
        order = parent.expression.expressions
    text = _macro("hr_text", value.copy())
    inner: exp.Expression = exp.Distinct(expressions=[text]) if distinct else text
    result = exp.Anonymous(this="string_agg", expressions=[inner, separator.copy()])
    if order:
        ordered = [item.copy() for item in order]
        if distinct and any(item.this.sql() != value.sql() for item in ordered):
            raise unsupported("LISTAGG(DISTINCT …) ordered by another expression")
        if distinct:
            for item in ordered:
                item.set("this", text.copy())
        result.set("expressions", [inner, exp.Order(this=separator.copy(), expressions=ordered)])
    if isinstance(parent, exp.WithinGroup):
        parent.replace(result)
    return result


def _cast(node: exp.Cast) -> exp.Expression:
    """CAST to a text cuts it at the length; DECIMAL alone is DECIMAL(18,0); SUPER is JSON."""
    kind = node.to
    if not isinstance(kind, exp.DataType):
        raise unsupported("this type in a cast")
    if kind.this in exp.DataType.TEXT_TYPES and kind.this != exp.DataType.Type.NAME:
        text = _macro("hr_text", node.this)
        if not kind.expressions:
            return text if not isinstance(node, exp.TryCast) else node
        return exp.Anonymous(this="left", expressions=[text, kind.expressions[0].this])
    node.set("to", data_type(kind))
    if kind.is_type(exp.DataType.Type.JSON) and isinstance(node.this, exp.Literal):
        return exp.Anonymous(this="to_json", expressions=[node.this])
    return node


def data_type(kind: exp.Expr) -> exp.DataType:
    """The type in DuckDB that holds a Redshift type."""
    types = exp.DataType.Type
    if not isinstance(kind, exp.DataType):
        raise unsupported("this type in a cast")
    if kind.this == types.DECIMAL and not kind.expressions:
        return exp.DataType.build("decimal(18,0)")
    if kind.this == types.DECIMAL and len(kind.expressions) == 1:
        return exp.DataType.build(f"decimal({kind.expressions[0].name},0)")
    if kind.this == types.SUPER:
        return exp.DataType.build("json", dialect="duckdb")
    if kind.this in exp.DataType.TEXT_TYPES:
        return exp.DataType.build("text")
    if kind.this not in _TYPES:
        raise unsupported(f"the type {kind.sql().lower()}")
    return kind


_TYPES = frozenset(
    getattr(exp.DataType.Type, name)
    for name in (
        "BOOLEAN", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ",
        "INTERVAL", "VARBINARY",
    )
)  # fmt: skip


def _division(node: exp.Div | exp.Mod) -> exp.Expression:
    divisor = node.expression
    if isinstance(divisor, exp.Literal) and not divisor.is_string and float(divisor.this) != 0:
        return node
    node.set("expression", _macro("hr_nonzero", divisor))
    return node


def _like(node: exp.Like | exp.ILike) -> exp.Expression:
    # Redshift's LIKE has the backslash as its escape; DuckDB's has none.
    pattern = node.expression
    node.set("this", _text(node.this))
    if isinstance(node.parent, exp.Escape) or (isinstance(pattern, exp.Literal) and "\\" not in pattern.this):
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def _text(node: exp.Expr) -> exp.Expr:
    """A value as text: a string in a SUPER has its quotes only while it stays a SUPER."""
    return node if isinstance(node, exp.Literal | exp.Var | exp.Null) else _macro("hr_text", node)


def _text_argument(node: exp.Expression) -> exp.Expression:
    node.set("this", _text(node.this))
    if isinstance(node, exp.DPipe):
        node.set("expression", _text(node.expression))
    return node


_PATHS = (exp.Dot, exp.Bracket)


def _may_be_path(node: exp.Expr) -> bool:
    return isinstance(node, _PATHS) or (isinstance(node, exp.Column) and bool(node.table))


def _literal_beside(literal: exp.Expr, other: exp.Expr) -> exp.Expr:
    """A quoted text as the type of what it is compared with; beside a SUPER it becomes a SUPER's string."""
    if isinstance(literal, exp.Literal) and literal.is_string and _may_be_path(other):
        return _macro("hr_literal", literal, other.copy())
    return literal


def _compare(node: exp.Expression) -> exp.Expression:
    left, right = node.this, node.expression
    node.set("this", _literal_beside(left, right))
    node.set("expression", _literal_beside(right, left))
    return node


def _in(node: exp.In) -> exp.Expression:
    if node.expressions and len(node.expressions) <= 100:
        node.set("expressions", [_literal_beside(item, node.this) for item in node.expressions])
    return node


def _between(node: exp.Between) -> exp.Expression:
    for side in ("low", "high"):
        node.set(side, _literal_beside(node.args[side], node.this))
    return node


def _is(node: exp.Is) -> exp.Expression:
    # A null inside of a SUPER is a null.
    if isinstance(node.expression, exp.Null) and isinstance(node.this, exp.Column | exp.Dot | exp.Bracket):
        node.set("this", _macro("hr_value", node.this))
    return node


def _unnest(node: exp.Unnest) -> exp.Expression:
    """FROM t, t.path AS x: the elements of an array in a SUPER."""
    path = node.expressions[0]
    if len(node.expressions) != 1 or not isinstance(path, exp.Column | exp.Dot | exp.Bracket) or node.args.get("offset"):
        raise unsupported("UNNEST of anything but a path into a SUPER")
    node.set("expressions", [exp.Anonymous(this="json_extract", expressions=[path, exp.Literal.string("$[*]")])])
    return node


def _refuse(what: str) -> Callable[[Any], exp.Expression]:
    def refuse(node: exp.Expression) -> exp.Expression:
        raise unsupported(what)

    return refuse


RULES: dict[type[exp.Expr], Callable[[Any], exp.Expression]] = {
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), _compare),
    **dict.fromkeys(
        (
            exp.DPipe,
            exp.Upper,
            exp.Lower,
            exp.Trim,
            exp.Replace,
            exp.Left,
            exp.Right,
            exp.Reverse,
            exp.Repeat,
            exp.StartsWith,
            exp.RegexpLike,
            exp.RegexpILike,
            exp.MD5,
            exp.SHA,
            exp.StrPosition,
        ),
        _text_argument,
    ),
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is,
    exp.Unnest: _unnest,
    exp.Anonymous: _anonymous,
    exp.ApproxDistinct: lambda node: exp.Count(this=exp.Distinct(expressions=[node.this])),
    exp.Avg: _average,
    exp.Cast: _cast,
    exp.Column: _column,
    exp.Concat: lambda node: _chain(node.expressions),
    exp.CurrentCatalog: lambda node: slot("database"),
    exp.CurrentDatabase: lambda node: slot("database"),
    exp.CurrentSchema: lambda node: slot("schema"),
    exp.CurrentUser: lambda node: slot("user"),
    exp.CurrentUserId: lambda node: slot("user_id"),
    exp.CurrentVersion: lambda node: slot("version"),
    exp.SessionUser: lambda node: slot("user"),
    exp.CurrentTimestamp: lambda node: exp.Anonymous(this="now"),
    exp.Div: _division,
    exp.GroupConcat: _listagg,
    exp.ILike: _like,
    exp.Identifier: _fold_identifier,
    exp.IntDiv: _division,
    exp.Length: lambda node: _macro("hr_length", _text(node.this)),
    exp.Like: _like,
    exp.Mod: _division,
    exp.SimilarTo: _refuse("SIMILAR TO"),
    exp.Substring: lambda node: _macro(
        "hr_substring", _text(node.this), *(node.args[k] for k in ("start", "length") if node.args.get(k))
    ),
    exp.Table: _table,
    exp.TryCast: _cast,
    exp.Window: _window,
}


def _chain(parts: list[exp.Expression]) -> exp.Expression:
    result = parts[0]
    for part in parts[1:]:
        result = exp.DPipe(this=result, expression=part)
    return result


def _check_function(node: exp.Expr) -> None:
    name = type(node).__name__
    if (
        isinstance(node, exp.Func)
        and not isinstance(node, exp.Anonymous)
        and name not in functions.NODES
        and type(node) not in RULES
    ):
        raise SqlError("42883", f"function {node.sql_name().lower()} is not supported by this warehouse")


def rewrite(tree: exp.Expression) -> exp.Expression:
    """Apply every rule to a parsed query or change, children first."""
    column_names.name_projections(tree)
    nodes = list(tree.walk(bfs=False))
    for node in reversed(nodes):
        if node is not tree and node.parent is None:
            continue  # its place was taken by the rewriting of something around it
        _check_function(node)
        rule = RULES.get(type(node))
        if rule is None:
            continue
        parent = node.parent
        new = rule(node)
        if new is not node and new.parent is None and parent is not None and node.parent is parent:
            node.replace(new)
        if node is tree:
            tree = new
    return tree
