"""How an expression is computed over the rows of a batch, and what becomes of rows where it cannot be."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.services.analytics.engine.schema import SqlError
from headrace.services.analytics.engine.sqltypes import Array, Mask, SqlType, Vector, either
from headrace.services.analytics.engine.syntax import Expr


class Rows:
    """The rows that expressions are computed over. A row where one fails is marked, with the reason; the others go on."""

    __slots__ = ("_base", "_columns", "_where", "failed", "reasons", "times")

    def __init__(self, columns: Sequence[Vector | None], times: Array) -> None:
        self._columns = list(columns)
        self.times = times
        self._base: Rows | None = None
        self._where: Array | None = None
        self.failed: Mask | None = None
        self.reasons: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.times)

    def column(self, place: int) -> Vector:
        """A column; -1 is ROWTIME."""
        if place < 0:
            return Vector(self.times)
        found = self._columns[place]
        if found is None:
            assert self._base is not None
            assert self._where is not None
            found = self._columns[place] = self._base.column(place).take(self._where)
        return found

    def fail(self, where: Mask, reason: str | Callable[[int], str]) -> None:
        """Mark rows as failed; the first reason of a row is kept."""
        if not where.any():
            return
        for place in np.flatnonzero(where).tolist():
            if place not in self.reasons:
                self.reasons[place] = reason if isinstance(reason, str) else reason(place)
        self.failed = where.copy() if self.failed is None else self.failed | where

    def narrowed(self, where: Array) -> "Rows":
        """Some of the rows (places), for what is computed only there."""
        made = Rows([None] * len(self._columns), self.times[where])
        made._base, made._where = self, where
        return made

    def shadow(self) -> "Rows":
        """The same rows, with failures of their own."""
        made = Rows(self._columns, self.times)
        made._base, made._where = self._base, self._where
        return made

    def adopt(self, other: "Rows", where: Array) -> None:
        """Take over the failures of narrowed rows that stand at these places."""
        for place, reason in other.reasons.items():
            self.reasons.setdefault(int(where[place]), reason)
        if other.failed is not None:
            mask = np.zeros(len(self), np.bool_)
            mask[where[other.failed]] = True
            self.failed = mask if self.failed is None else self.failed | mask

    def adopt_shadow(self, other: "Rows", keep: Mask) -> None:
        """Take over a shadow's failures where they count."""
        if other.failed is not None:
            places = np.flatnonzero(keep)
            failing = places[other.failed[places]]
            if len(failing):
                mask = np.zeros(len(self), np.bool_)
                mask[failing] = True
                self.fail(mask, other.reasons.__getitem__)


Run = Callable[[Rows], Vector]


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression that can be computed: its type, how, and the constant that it is if it is one."""

    type: SqlType
    run: Run
    constant: Any = None
    is_constant: bool = False


class TypeProblem(SqlError):
    """An expression has operands that do not fit; its place is known above."""


Kernel = Callable[..., Array]


def strict(kernel: Kernel, arguments: Sequence[Compiled], kind: SqlType) -> Compiled:
    """A function of arrays that is NULL where an argument is. Of objects, the kernel sees only rows without NULLs."""
    runs = [argument.run for argument in arguments]
    by_object = kind.is_object or any(argument.type.is_object for argument in arguments)

    def run(rows: Rows) -> Vector:
        columns = [one(rows) for one in runs]
        nulls: Mask | None = None
        for column in columns:
            nulls = either(nulls, column.nulls)
        if nulls is None:
            return Vector(kernel(rows, *(column.values for column in columns)))
        if not by_object:
            return Vector(kernel(rows, *(column.values for column in columns)), nulls)
        where = np.flatnonzero(~nulls)
        below = rows.narrowed(where)
        values = np.full(len(rows), None, object) if kind.is_object else np.zeros(len(rows), kind.dtype)
        values[where] = kernel(below, *(column.values[where] for column in columns))
        rows.adopt(below, where)
        return Vector(values, nulls)

    return Compiled(kind, run)


_CAUGHT = (ValueError, ArithmeticError, re.error)


def each(function: Callable[..., Any], kind: SqlType, caught: tuple[type[Exception], ...] = _CAUGHT) -> Kernel:
    """A kernel that calls a function of plain values for each row; exceptions of the kinds `caught` fail the row."""

    def kernel(rows: Rows, *columns: Array) -> Array:
        lists = [column.tolist() for column in columns]
        try:
            made: list[Any] = [function(*values) for values in zip(*lists, strict=True)]
        except caught:
            made = one_by_one(rows, lists)
        values = np.empty(len(made), kind.dtype)
        values[:] = made
        return values

    def one_by_one(rows: Rows, lists: list[list[Any]]) -> list[Any]:
        made: list[Any] = []
        for place, values in enumerate(zip(*lists, strict=True)):
            try:
                made.append(function(*values))
            except caught as error:
                mark(rows, place, str(error))
                made.append(None if kind.is_object else 0)
        return made

    return kernel


def mark(rows: Rows, place: int, reason: str) -> None:
    """Fail one row."""
    mask = np.zeros(len(rows), np.bool_)
    mask[place] = True
    rows.fail(mask, reason)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call that is being compiled."""

    call: Expr
    name: str
    words: tuple[str, ...]
    arguments: tuple[Compiled, ...]

    def need(self, low: int, high: int | None = None) -> None:
        """Refuse another number of arguments."""
        if not low <= len(self.arguments) <= (low if high is None else high):
            raise TypeProblem(f"Invalid number of arguments to function '{self.name}'")

    def refuse(self) -> TypeProblem:
        """The arguments' types do not fit."""
        kinds = ", ".join(f"<{argument.type}>" for argument in self.arguments)
        return TypeProblem(f"Cannot apply '{self.name}' to arguments of type '{self.name}({kinds})'")

    def text(self, place: int) -> str:
        """A constant text."""
        value = self.arguments[place].constant
        if not isinstance(value, str):
            raise TypeProblem(f"Argument {place + 1} of '{self.name}' must be a string literal")
        return value

    def whole(self, place: int) -> int:
        """A constant whole number."""
        value = self.arguments[place].constant
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeProblem(f"Argument {place + 1} of '{self.name}' must be an integer literal")
        return value


Builder = Callable[[Invocation], Compiled]
