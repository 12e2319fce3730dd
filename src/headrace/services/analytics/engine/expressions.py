"""From what an expression says to how it is computed: names are found, types are checked, functions are looked up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headrace.services.analytics.engine import aggregates, arithmetic, casting
from headrace.services.analytics.engine.arithmetic import OPERATORS
from headrace.services.analytics.engine.evaluate import Builder, Compiled, Invocation, Rows, TypeProblem
from headrace.services.analytics.engine.functions_text import TEXT_FUNCTIONS, field_of
from headrace.services.analytics.engine.functions_time import TIME_FUNCTIONS
from headrace.services.analytics.engine.lexer import Source
from headrace.services.analytics.engine.logparsing import LOG_FUNCTIONS
from headrace.services.analytics.engine.nodes import Field
from headrace.services.analytics.engine.schema import SqlError
from headrace.services.analytics.engine.sqltypes import BOOLEAN, TIMESTAMP, SqlType, Vector, constant
from headrace.services.analytics.engine.syntax import (
    Call,
    Case,
    Cast,
    Column,
    CreateFunction,
    Expr,
    Frame,
    Literal,
    Name,
    Over,
    Star,
    describe,
    mapped,
    walk,
)

FUNCTIONS: dict[str, Builder] = {**OPERATORS, **TIME_FUNCTIONS, **TEXT_FUNCTIONS, **LOG_FUNCTIONS}
ROWTIME = "ROWTIME"
WINDOWED = {"LAG", "NTH_VALUE", "EXP_AVG"}
_FOLLOWS = {"FLOOR", "CEIL", "CEILING", "INTERVAL OF", "UNIX_TIMESTAMP", "TO_TIMESTAMP"}


@dataclass(frozen=True, slots=True)
class Part:
    """A relation that names can refer to: alias, columns, where they begin, and where its ROWTIME is (-1: the row's own)."""

    alias: str
    fields: Sequence[Field]
    offset: int
    rowtime: int = -1


class Scope:
    """The columns that the expressions of a query see."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts

    def fields(self) -> list[Field]:
        """All columns in their order."""
        return [field for part in self.parts for field in part.fields]

    def star(self, table: str | None) -> list[tuple[str, Column]] | None:
        """The columns that `*` stands for; None when there is no such table."""
        parts = [part for part in self.parts if table is None or part.alias == table]
        if not parts:
            return None
        return [
            (field.name, Column(part.offset + place, field.type, field.clocked is not None))
            for part in parts
            for place, field in enumerate(part.fields)
            if part.offset + place != part.rowtime and not field.hidden
        ]

    def find(self, parts: tuple[str, ...]) -> tuple[list[Column], int]:
        """The columns that a name can mean, and how many of its words name the column."""
        if len(parts) >= 2:
            for part in self.parts:
                if part.alias == parts[0]:
                    if parts[1] == ROWTIME:
                        return [Column(part.rowtime, TIMESTAMP, part.rowtime < 0)], 2
                    return self._in(part, parts[1]), 2
        if parts[0] == ROWTIME:
            return [Column(-1, TIMESTAMP, True)], 1
        return [column for part in self.parts for column in self._in(part, parts[0])], 1

    @staticmethod
    def _in(part: Part, name: str) -> list[Column]:
        return [
            Column(part.offset + place, field.type, field.clocked is not None)
            for place, field in enumerate(part.fields)
            if field.name == name and part.offset + place != part.rowtime
        ]


class Binder:
    """Finds what the names of an expression mean, and puts in the bodies of the application's own functions."""

    def __init__(self, source: Source, scope: Scope, functions: Mapping[str, CreateFunction]) -> None:
        self.source = source
        self.scope = scope
        self._functions = functions

    def bind(self, expression: Expr) -> Expr:
        """The expression with columns for names."""
        if isinstance(expression, Name):
            return self._name(expression)
        if isinstance(expression, Star):
            raise self.source.error('Encountered "*" where an expression is expected', expression.at)
        if isinstance(expression, Call) and expression.name == "COUNT" and any(isinstance(a, Star) for a in expression.arguments):
            return replace(expression, arguments=())
        if isinstance(expression, Over) and any(isinstance(one, Star) for one in expression.call.arguments):
            call = replace(expression.call, arguments=())
            return replace(expression, call=call, frame=self._frame(expression.frame))
        bound: Expr = mapped(expression, self.bind)
        if isinstance(bound, Call) and bound.name in self._functions:
            return self._inlined(bound, self._functions[bound.name])
        return bound

    def _frame(self, frame: Frame | str) -> Frame | str:
        return frame if isinstance(frame, str) else replace(frame, partition=tuple(map(self.bind, frame.partition)))

    def _name(self, name: Name) -> Expr:
        found, used = self.scope.find(name.parts)
        if not found:
            if len(name.parts) > 1 and used == 1:
                raise self.source.error(f"Table '{name.parts[0]}' not found", name.at)
            raise self.source.error(f"Column '{name.parts[used - 1]}' not found in any table", name.at)
        if len(found) > 1:
            raise self.source.error(f"Column '{name.parts[used - 1]}' is ambiguous", name.at)
        made: Expr = replace(found[0], at=name.at)
        for field in name.parts[used:]:
            made = Call("FIELD", (made,), (field,), at=name.at)
        return made

    def _inlined(self, call: Call, function: CreateFunction) -> Expr:
        if len(call.arguments) != len(function.parameters):
            raise self.source.error(f"Invalid number of arguments to function '{call.name}'", call.at)
        given = {
            name: Cast(argument, kind, at=call.at)
            for (name, kind), argument in zip(function.parameters, call.arguments, strict=True)
        }

        def put(expression: Expr) -> Expr:
            if isinstance(expression, Name):
                if len(expression.parts) != 1 or expression.parts[0] not in given:
                    raise self.source.error(f"Column '{describe(expression)}' not found in any table", expression.at)
                return given[expression.parts[0]]
            made: Expr = mapped(expression, put)
            if isinstance(made, Call) and made.name in self._functions and made.name != function.name:
                return self._inlined(made, self._functions[made.name])
            return made

        return Cast(put(function.body), function.returns, at=call.at)


def compiled(expression: Expr, source: Source) -> Compiled:
    """How a bound expression is computed. SqlError, with the place, where its types do not fit."""
    try:
        return _compiled(expression, source)
    except TypeProblem as problem:
        raise source.error(problem.message, expression.at) from problem


def _compiled(expression: Expr, source: Source) -> Compiled:
    if isinstance(expression, Literal):
        value, kind = expression.value, expression.type
        return Compiled(kind, lambda rows: constant(value, len(rows), kind), value, True)
    if isinstance(expression, Column):
        place = expression.place
        return Compiled(expression.type, lambda rows: rows.column(place))
    if isinstance(expression, Cast):
        return casting.cast(compiled(expression.operand, source), expression.type)
    if isinstance(expression, Case):
        whens = [(compiled(condition, source), compiled(value, source)) for condition, value in expression.whens]
        for condition, _ in whens:
            if condition.type.kind not in ("BOOLEAN", "NULL"):
                raise TypeProblem("Expected a boolean type")
        default = compiled(expression.default, source)
        values = (*(value for _, value in whens), default)
        return arithmetic.choose(Invocation(expression, "CASE", (), values), whens, default)
    if isinstance(expression, Over):
        raise TypeProblem(f"'{expression.call.name}' OVER a window cannot stand here")
    assert isinstance(expression, Call)
    return _call(expression, source)


def _call(call: Call, source: Source) -> Compiled:
    arguments = tuple(compiled(argument, source) for argument in call.arguments)
    if call.name == "FIELD":
        return field_of(arguments[0], call.words[0])
    if call.name == "MONOTONIC":
        if len(arguments) != 1:
            raise TypeProblem("Invalid number of arguments to function 'MONOTONIC'")
        return arguments[0]
    if call.name in aggregates.NAMES:
        raise TypeProblem(f"Aggregate expression '{call.name}' is illegal here: it needs GROUP BY, WINDOWED BY or OVER")
    if call.name in WINDOWED:
        raise TypeProblem(f"'{call.name}' needs OVER and a window")
    builder = FUNCTIONS.get(call.name)
    if builder is None:
        kinds = ", ".join(f"<{argument.type}>" for argument in arguments)
        raise TypeProblem(f"No match found for function signature {call.name}({kinds})")
    made = builder(Invocation(call, call.name, call.words, arguments))
    if arguments and all(argument.is_constant for argument in arguments) and not made.is_constant:
        return _folded(made)
    return made


def _folded(made: Compiled) -> Compiled:
    """A call of constants, computed once if it can be."""
    rows = Rows([], np.zeros(1, np.int64))
    column: Vector = made.run(rows)
    if rows.failed is not None:
        return made
    value, kind = column.to_list()[0], made.type
    return Compiled(kind, lambda rows: constant(value, len(rows), kind), value, True)


def follows_time(expression: Expr) -> bool:
    """Whether an expression only goes up as ROWTIME goes up, and depends on nothing else."""
    if isinstance(expression, Column):
        return expression.monotonic
    if isinstance(expression, Cast):
        return follows_time(expression.operand) and expression.type.kind in ("TIMESTAMP", "DATE", "BIGINT", "INTEGER", "INTERVAL")
    if not isinstance(expression, Call) or not expression.arguments:
        return False
    first, *rest = expression.arguments
    if any(not isinstance(one, Literal) for one in rest):
        return False
    if expression.name in _FOLLOWS or expression.name in ("STEP", "-", "+"):
        return follows_time(first)
    if expression.name in ("/", "*"):
        value = getattr(rest[0], "value", None)
        return follows_time(first) and value is not None and value > 0
    return False


def declared_monotonic(expression: Expr) -> bool:
    """Whether the application says MONOTONIC."""
    return isinstance(expression, Call) and expression.name == "MONOTONIC"


def is_aggregate(expression: Expr) -> bool:
    """Whether it is a call of an aggregate function."""
    return isinstance(expression, Call) and expression.name in aggregates.NAMES


def has_aggregate(expression: Expr) -> bool:
    """Whether an aggregate is among it, outside of OVER."""
    if isinstance(expression, Over):
        return any(has_aggregate(argument) for argument in expression.call.arguments)
    if is_aggregate(expression):
        return True
    found = False

    def look(one: Expr) -> Expr:
        nonlocal found
        found = found or has_aggregate(one)
        return one

    mapped(expression, look)
    return found


def has_over(expression: Expr) -> bool:
    """Whether a function OVER a window is among it."""
    return any(isinstance(one, Over) for one in walk(expression))


def condition(expression: Expr, source: Source, what: str) -> Compiled:
    """A bound expression that must be a condition."""
    made = compiled(expression, source)
    if made.type.kind not in ("BOOLEAN", "NULL"):
        raise source.error(f"{what} clause must be a condition", expression.at)
    return casting.cast(made, BOOLEAN)


def coerced(made: Compiled, target: SqlType, name: str) -> Compiled:
    """An expression as a stream's column takes it."""
    if not casting.assignable(made.type, target):
        raise SqlError(f"Cannot assign to target field '{name}' of type {target} from source field of type {made.type}")
    return casting.cast(made, target)
