"""The names that PostgreSQL gives to result columns that have none of their own."""

from sqlglot import exp

from headrace.services.redshift.engine import functions
from headrace.services.redshift.engine.scan import PARAMETER


def name_projections(tree: exp.Expression) -> None:
    """Give unnamed result columns the names that Redshift gives them."""
    for select in tree.find_all(exp.Select):
        if isinstance(select.parent, exp.Exists):
            continue
        select.set("expressions", [_named(item) for item in select.expressions])


def _named(item: exp.Expr) -> exp.Expr:
    if isinstance(item, exp.Alias | exp.Aliases | exp.Star) or (isinstance(item, exp.Column) and item.name == "*"):
        return item
    if isinstance(item, exp.Column) and not item.name.startswith(PARAMETER):
        return item if item.name.upper() not in functions.SESSION else exp.alias_(item, item.name.lower(), quoted=True)
    return exp.alias_(item, column_name(item), quoted=True)


def _function_name(kind: type[exp.Func]) -> str:
    own: str = kind.sql_name()
    name: str = _FUNCTION_NAMES.get(kind.__name__) or own.lower()
    return name


def column_name(item: exp.Expr) -> str:
    """PostgreSQL's name for a result column that has none of its own."""
    while isinstance(item, exp.Paren | exp.Cast | exp.Window | exp.WithinGroup | exp.Filter | exp.IgnoreNulls | exp.AtTimeZone):
        if isinstance(item, exp.Cast) and isinstance(item.this, exp.Literal | exp.Null):
            kind = str(getattr(item.to.this, "name", item.to.this))
            return _TYPE_NAMES.get(kind, kind.lower())
        item = item.this
    if isinstance(item, exp.Column | exp.Dot):
        return "?column?" if item.name.startswith(PARAMETER) else item.name.lower()
    if isinstance(item, exp.Bracket):
        return column_name(item.this)
    if isinstance(item, exp.Anonymous):
        return str(item.this).lower()
    if isinstance(item, exp.And | exp.Or | exp.Xor):
        return "?column?"
    if isinstance(item, exp.Func):
        return _function_name(type(item))
    if isinstance(item, exp.Boolean):
        return "bool"
    if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Select) and item.this.expressions:
        first = item.this.expressions[0]
        return str(first.alias_or_name) or column_name(first)
    return "?column?"


_TYPE_NAMES = {"VARCHAR": "varchar", "TEXT": "text", "INT": "int4", "BIGINT": "int8", "SMALLINT": "int2", "DOUBLE": "float8",
               "FLOAT": "float4", "DECIMAL": "numeric", "BOOLEAN": "bool"}  # fmt: skip
_FUNCTION_NAMES = {
    "Count": "count", "DateDiff": "date_diff", "GroupConcat": "listagg", "CurrentDate": "date", "TimeToStr": "to_char",
    "CurrentTimestamp": "timestamptz", "Extract": "date_part", "DateAdd": "date_add", "TsOrDsAdd": "date_add",
    "Rand": "random", "StrPosition": "strpos", "Pow": "?column?", "Case": "case", "If": "case", "DecodeCase": "case",
    "Stddev": "stddev_samp", "Variance": "var_samp", "ApproxDistinct": "count", "TimestampTrunc": "date_trunc",
    "RegexpLike": "?column?", "RegexpILike": "?column?", "BitwiseAndAgg": "bit_and", "BitwiseOrAgg": "bit_or",
    "LogicalAnd": "bool_and", "LogicalOr": "bool_or", "VariancePop": "var_pop", "DPipe": "?column?",
    "Trim": "btrim", "TsOrDsDiff": "date_diff", "StrToDate": "to_date",
}  # fmt: skip
