"""What an application's code says: its statements, queries and expressions, as the parser reads them.

`at` is the place in the text; two expressions that differ in nothing else are equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from headrace.services.analytics.engine.sqltypes import SqlType


@dataclass(frozen=True)
class Expr:
    """An expression."""

    at: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Literal(Expr):
    """A constant: its value as its type stores it."""

    value: Any
    type: SqlType


@dataclass(frozen=True)
class Name(Expr):
    """A column, perhaps with its table before it, perhaps with a field behind it."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Column(Expr):
    """A column that was found: its place (-1 is ROWTIME) and its type."""

    place: int
    type: SqlType
    monotonic: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Star(Expr):
    """`*`, perhaps with a table before it."""

    table: str | None = None


@dataclass(frozen=True)
class Call(Expr):
    """A function or an operator, with its arguments; `words` are keywords that stand among them."""

    name: str
    arguments: tuple[Expr, ...]
    words: tuple[str, ...] = ()
    distinct: bool = False


@dataclass(frozen=True)
class Case(Expr):
    """CASE: pairs of condition and value, and the value without any."""

    whens: tuple[tuple[Expr, Expr], ...]
    default: Expr


@dataclass(frozen=True)
class Cast(Expr):
    """CAST, or a conversion that the compiler adds."""

    operand: Expr
    type: SqlType


@dataclass(frozen=True)
class Frame:
    """Which rows a function sees: by time (`range_ms`), by number (`rows`: how many before the current one), per partition."""

    partition: tuple[Expr, ...] = ()
    range_ms: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Over(Expr):
    """A function over the rows of a frame (or of a window that the query names)."""

    call: Call
    frame: Frame | str


@dataclass(frozen=True)
class Item:
    """An item of a SELECT list, and its name if it is given one."""

    expression: Expr
    name: str | None


@dataclass(frozen=True)
class Relation:
    """What stands in FROM."""

    at: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Table(Relation):
    """A stream, table or view, with a window over it when it is joined."""

    name: str
    alias: str
    over: Frame | str | None = None


@dataclass(frozen=True)
class Derived(Relation):
    """A query in FROM."""

    query: "Query"
    alias: str
    over: Frame | str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableFunction(Relation):
    """TABLE(f(CURSOR(query), …)): a function that makes rows of rows."""

    name: str
    query: "Query"
    arguments: tuple[Expr, ...]
    alias: str


@dataclass(frozen=True)
class Join(Relation):
    """Two relations joined: INNER, LEFT, RIGHT, FULL or CROSS."""

    kind: str
    left: Relation
    right: Relation
    condition: Expr | None
    using: tuple[str, ...] = ()


@dataclass(frozen=True)
class Select:
    """SELECT STREAM …"""

    items: tuple[Item, ...]
    source: Relation
    where: Expr | None = None
    group: tuple[Expr, ...] = ()
    stagger: Frame | None = None
    having: Expr | None = None
    windows: tuple[tuple[str, Frame], ...] = ()
    order: tuple[tuple[Expr, bool], ...] = ()
    distinct: bool = False
    grouped: bool = False
    within_ms: int | None = None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Union:
    """Two queries' rows together; `distinct` is refused later where it has no bounds."""

    left: "Query"
    right: "Query"
    all: bool
    order: tuple[tuple[Expr, bool], ...] = ()
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class With:
    """WITH name AS (query), …: views that only the query after them sees."""

    views: "tuple[CreateView, ...]"
    query: "Query"
    at: int = field(default=0, compare=False)


Query = Select | Union | With


@dataclass(frozen=True)
class CreateStream:
    """CREATE STREAM; its columns are those of the query when it has one."""

    name: str
    columns: tuple[tuple[str, SqlType], ...]
    at: int


@dataclass(frozen=True)
class CreatePump:
    """CREATE PUMP … AS INSERT INTO target (columns) query."""

    name: str
    started: bool
    target: str
    columns: tuple[str, ...]
    query: Query
    at: int


@dataclass(frozen=True)
class AlterPump:
    """ALTER PUMP … START or STOP."""

    name: str
    started: bool
    at: int


@dataclass(frozen=True)
class CreateView:
    """CREATE VIEW … AS query."""

    name: str
    columns: tuple[str, ...]
    query: Query
    at: int


@dataclass(frozen=True)
class CreateFunction:
    """CREATE FUNCTION … RETURN expression."""

    name: str
    parameters: tuple[tuple[str, SqlType], ...]
    returns: SqlType
    body: Expr
    at: int


@dataclass(frozen=True)
class Drop:
    """DROP STREAM, PUMP, VIEW or FUNCTION."""

    kind: str
    name: str
    at: int


@dataclass(frozen=True)
class Bare:
    """A query that stands alone: its rows go to a stream named OUTPUT."""

    query: Query
    at: int


Statement = CreateStream | CreatePump | AlterPump | CreateView | CreateFunction | Drop | Bare


def children(expression: Expr) -> Iterator[Expr]:
    """The expressions right below one."""
    if isinstance(expression, Call):
        yield from expression.arguments
    elif isinstance(expression, Case):
        for condition, value in expression.whens:
            yield condition
            yield value
        yield expression.default
    elif isinstance(expression, Cast):
        yield expression.operand
    elif isinstance(expression, Over):
        yield from expression.call.arguments
        if isinstance(expression.frame, Frame):
            yield from expression.frame.partition


def mapped(expression: Expr, change: Any) -> Expr:
    """The expression with each one right below it changed."""
    if isinstance(expression, Call):
        return replace(expression, arguments=tuple(change(one) for one in expression.arguments))
    if isinstance(expression, Case):
        whens = tuple((change(condition), change(value)) for condition, value in expression.whens)
        return replace(expression, whens=whens, default=change(expression.default))
    if isinstance(expression, Cast):
        return replace(expression, operand=change(expression.operand))
    if isinstance(expression, Over):
        call = replace(expression.call, arguments=tuple(change(one) for one in expression.call.arguments))
        frame = expression.frame
        if isinstance(frame, Frame):
            frame = replace(frame, partition=tuple(change(one) for one in frame.partition))
        return replace(expression, call=call, frame=frame)
    return expression


def walk(expression: Expr) -> Iterator[Expr]:
    """An expression and all below it."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def describe(node: Any) -> str:
    """A readable form, for messages about an expression that has no name."""
    if isinstance(node, Name):
        return ".".join(node.parts)
    return node.name if isinstance(node, Call) else ", ".join(str(getattr(node, one.name)) for one in fields(node)[1:])
