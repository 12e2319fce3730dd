"""How a value of one type becomes one of another: CAST, what is put into a stream's columns, and what is read from records."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import numpy as np

from headrace.services.analytics.engine import instants
from headrace.services.analytics.engine.evaluate import Compiled, Rows, TypeProblem, mark
from headrace.services.analytics.engine.sqltypes import (
    RANGES,
    Array,
    SqlType,
    Vector,
    all_null,
    constant,
    from_objects,
)

_TRUE = {"true", "t", "yes", "y", "1", "on"}
_FALSE = {"false", "f", "no", "n", "0", "off"}


def float_text(value: float) -> str:
    """A float as text: whole ones keep a digit behind the point."""
    return repr(value)


def _boolean(text: str) -> bool:
    low = text.strip().lower()
    if low in _TRUE:
        return True
    if low in _FALSE:
        return False
    raise ValueError(text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(Decimal(text.strip()).quantize(Decimal(1), ROUND_HALF_UP))


def decimal_of(scale: int, precision: int) -> Callable[[Any], Decimal]:
    """A function that makes decimals of a scale."""
    unit = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (precision - scale)

    def make(value: Any) -> Decimal:
        made = (Decimal(repr(value)) if isinstance(value, float) else Decimal(value)).quantize(unit, ROUND_HALF_UP)
        if abs(made) >= limit:
            raise ValueError("overflow")
        return made

    return make


def _from_text(kind: SqlType) -> Callable[[str], Any] | None:
    if kind.is_whole:
        return _whole
    if kind.is_approximate:
        return float
    return {
        "BOOLEAN": _boolean,
        "DECIMAL": decimal_of(kind.scale, kind.length),
        "TIMESTAMP": instants.parse_instant,
        "DATE": lambda text: instants.parse_instant(text) // instants.DAY_MS * instants.DAY_MS,
        "TIME": instants.parse_clock,
        "VARBINARY": lambda text: text.encode(),
    }.get(kind.kind)


def to_text(kind: SqlType) -> Callable[[Any], str]:
    """How values of a type are written."""
    return {
        "BOOLEAN": lambda value: "TRUE" if value else "FALSE",
        "REAL": float_text,
        "DOUBLE": float_text,
        "TIMESTAMP": instants.timestamp_text,
        "DATE": instants.date_text,
        "TIME": instants.clock_text,
        "VARBINARY": lambda value: value.decode("utf-8", "replace"),
    }.get(kind.kind, str)


def _by_value(rows: Rows, column: Vector, kind: SqlType, function: Callable[[Any], Any]) -> Vector:
    """A function for each value that is not NULL; a row where it raises fails."""
    values = column.to_list()
    made: list[Any] = [None] * len(values)
    empty: Any = None if kind.is_object else 0
    try:
        made = [empty if value is None else function(value) for value in values]
    except (ValueError, InvalidOperation, OverflowError, ArithmeticError):
        for place, value in enumerate(values):
            try:
                made[place] = empty if value is None else function(value)
            except (ValueError, InvalidOperation, OverflowError, ArithmeticError):
                made[place] = empty
                mark(rows, place, f"Could not cast '{value}' to {kind}")
    array: Array = np.empty(len(made), object)
    array[:] = made
    if kind.is_object:
        return from_objects(array)
    try:
        return Vector(array.astype(kind.dtype), column.nulls)
    except OverflowError:
        for place, value in enumerate(made):
            if not -(2**63) <= value < 2**63:
                made[place] = 0
                mark(rows, place, f"Value out of range for {kind}")
        return Vector(np.array(made, kind.dtype), column.nulls)


def _in_range(rows: Rows, column: Vector, kind: SqlType) -> Vector:
    limit = RANGES[kind.kind]
    if limit < 2**63:
        outside = (column.values >= limit) | (column.values < -limit)
        if column.nulls is not None:
            outside &= ~column.nulls
        rows.fail(outside, lambda place: f"Value {column.values[place]} out of range for {kind}")
    return column


def _cut(column: Vector, length: int) -> Vector:
    texts = column.values.tolist()
    if column.nulls is None:
        if max(map(len, texts), default=0) <= length:
            return column
        return Vector(_array([text[:length] for text in texts]))
    return Vector(_array([None if text is None else text[:length] for text in texts]), column.nulls)


def _array(values: list[Any]) -> Array:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _to_whole(rows: Rows, column: Vector, source: SqlType, target: SqlType) -> Vector:
    if source.is_whole:
        return column if RANGES[source.kind] <= RANGES[target.kind] else _in_range(rows, column, target)
    if source.is_approximate:
        bad = ~np.isfinite(column.values) | (np.abs(column.values) >= 2.0**63)
        if column.nulls is not None:
            bad &= ~column.nulls
        rows.fail(bad, f"Value out of range for {target}")
        safe = np.where(~np.isfinite(column.values) | (np.abs(column.values) >= 2.0**63), 0.0, column.values)
        # SQL rounds half away from zero, numpy half to even.
        return _in_range(rows, Vector((np.sign(safe) * np.floor(np.abs(safe) + 0.5)).astype(np.int64), column.nulls), target)
    if source.is_interval:
        unit = source.scale or 1
        return _in_range(rows, Vector(np.trunc(column.values / unit).astype(np.int64), column.nulls), target)
    if source.kind == "DECIMAL":
        rounded = _by_value(rows, column, target, lambda value: int(value.quantize(Decimal(1), ROUND_HALF_UP)))
        return _in_range(rows, rounded, target)
    return _in_range(rows, Vector(column.values.astype(np.int64), column.nulls), target)


def convert(rows: Rows, column: Vector, source: SqlType, target: SqlType) -> Vector:
    """A column as another type; rows whose value cannot be it fail. The types must be `castable`."""
    if source.kind == "NULL":
        return all_null(len(rows), target)
    if target.is_text:
        if source.kind == "ROW":
            return _by_value(rows, column, target, lambda value: ", ".join(str(one) for one in value))
        text = column if source.is_text else _by_value(rows, column, target, to_text(source))
        longer = target.length and not 0 < source.length <= target.length
        return _cut(text, target.length) if longer else text
    if source.is_text:
        function = _from_text(target)
        assert function is not None
        made = _by_value(rows, column, target, function)
        return _in_range(rows, made, target) if target.is_whole else made
    if target.is_whole:
        return _to_whole(rows, column, source, target)
    if target.is_approximate:
        return column if source.is_approximate else Vector(_floats(column), column.nulls)
    if target.kind == "DECIMAL":
        if source.kind == "DECIMAL" and source.scale <= target.scale and source.length <= target.length:
            return column
        return _by_value(rows, column, target, decimal_of(target.scale, target.length))
    if target.kind == "DATE" and source.kind == "TIMESTAMP":
        return Vector(column.values // instants.DAY_MS * instants.DAY_MS, column.nulls)
    if target.kind == "TIME" and source.kind == "TIMESTAMP":
        return Vector(column.values % instants.DAY_MS, column.nulls)
    if target.is_interval and source.is_number:
        unit = target.scale or 1000
        return Vector((_floats(column) * unit).astype(np.int64), column.nulls)
    if target.kind == "BOOLEAN" and source.is_whole:
        return Vector(column.values != 0, column.nulls)
    return column


def _floats(column: Vector) -> Array:
    if column.values.dtype != object:
        return column.values.astype(np.float64)
    return np.array([0.0 if value is None else float(value) for value in column.values.tolist()], np.float64)


def in_calendar(rows: Rows, times: Array) -> Array:
    """Moments, of which those that no calendar has fail their rows."""
    if len(times) and (times.min() < instants.FIRST_MS or times.max() > instants.LAST_MS):
        outside = (times < instants.FIRST_MS) | (times > instants.LAST_MS)
        rows.fail(outside, "Timestamp out of range")
        return np.where(outside, 0, times)
    return times


def castable(source: SqlType, target: SqlType) -> bool:
    """Whether `convert` knows the way."""
    if source.kind in ("NULL", target.kind) or target.is_text:
        return True
    if source.is_text:
        return _from_text(target) is not None
    if source.is_number and target.is_number:
        return True
    if source.is_instant and (target.is_instant or target.kind == "TIME"):
        return True
    if source.is_interval:
        return target.is_whole or target.is_interval
    if target.is_interval:
        return source.is_number
    return {source.kind, target.kind} <= {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}


def assignable(source: SqlType, target: SqlType) -> bool:
    """Whether a value may be put into a column without a CAST being written."""
    if source.kind in ("NULL", target.kind) or (source.is_text and target.is_text):
        return True
    if source.is_number and target.is_number:
        return True
    return (source.is_instant and target.is_instant) or (source.is_interval and target.is_interval)


def cast(operand: Compiled, target: SqlType) -> Compiled:
    """An expression as another type."""
    source = operand.type
    if source == target or (source.kind == target.kind and not target.length and not source.fields and source.kind != "DECIMAL"):
        return operand if source == target else Compiled(target, operand.run, operand.constant, operand.is_constant)
    if not castable(source, target):
        raise TypeProblem(f"Cast function cannot convert value of type {source} to type {target}")
    run = operand.run
    if operand.is_constant:
        rows = Rows([], np.zeros(1, np.int64))
        made = convert(rows, constant(operand.constant, 1, source), source, target)
        if rows.failed is None:
            value = made.to_list()[0]
            return Compiled(target, lambda rows: constant(value, len(rows), target), value, True)
    return Compiled(target, lambda rows: convert(rows, run(rows), source, target))
