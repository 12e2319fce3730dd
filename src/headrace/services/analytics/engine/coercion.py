"""From the values that records have to columns: what JSON and CSV give, as the types of a schema."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from headrace.services.analytics.engine import instants
from headrace.services.analytics.engine.casting import castable, convert, in_calendar
from headrace.services.analytics.engine.evaluate import Rows, mark
from headrace.services.analytics.engine.sqltypes import BIGINT, BOOLEAN, DOUBLE, VARCHAR, SqlType, Vector, from_objects, objects


def coerce(rows: Rows, values: Sequence[Any] | np.ndarray[Any, Any], kind: SqlType) -> Vector:
    """A column of a type from plain values; rows whose value cannot be it fail."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return _from_array(rows, values, kind)
    listed = values if isinstance(values, list) else list(values)
    found = set(map(type, listed))
    if kind.is_text and found <= {str, type(None)}:
        vector = Vector(objects(listed)) if type(None) not in found else from_objects(objects(listed))
        return convert(rows, vector, VARCHAR, kind) if kind.length else vector
    single = _SIMPLE.get(kind.kind)
    if (single is not None and found == {single}) or (kind.is_approximate and found <= {int, float} and found):
        try:
            column = Vector(np.array(listed, DOUBLE.dtype if kind.is_approximate else kind.dtype))
        except OverflowError:
            return _one_by_one(rows, listed, kind)
        return convert(rows, column, BIGINT, kind) if kind.is_whole and kind.kind != "BIGINT" else column
    return _one_by_one(rows, listed, kind)


_SIMPLE: dict[str, type] = {
    "INTEGER": int,
    "BIGINT": int,
    "SMALLINT": int,
    "TINYINT": int,
    "DOUBLE": float,
    "REAL": float,
    "BOOLEAN": bool,
}


def _from_array(rows: Rows, values: np.ndarray[Any, Any], kind: SqlType) -> Vector:
    if kind.is_instant and values.dtype.kind == "M":
        return Vector(values.astype("datetime64[ms]").astype(np.int64))
    source = {"f": DOUBLE, "b": BOOLEAN}.get(values.dtype.kind, BIGINT)
    column = Vector(values.astype(source.dtype, copy=False))
    if kind.is_instant or kind.kind == "TIME":
        return column
    return convert(rows, column, source, kind)


def _one_by_one(rows: Rows, values: list[Any], kind: SqlType) -> Vector:
    """Values of several types: each by its own."""
    places: dict[type, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(type(value), []).append(place)
    made = np.full(len(values), None, object) if kind.is_object else np.zeros(len(values), kind.dtype)
    nulls = np.zeros(len(values), np.bool_)
    for found, where in places.items():
        chosen = np.array(where, np.int64)
        if found is type(None):
            nulls[chosen] = True
            continue
        below = rows.narrowed(chosen)
        column = _of_type(below, [values[place] for place in where], found, kind)
        rows.adopt(below, chosen)
        made[chosen] = column.values
        nulls[chosen] = column.null_mask()
    return Vector(made, nulls if nulls.any() else None)


def _of_type(rows: Rows, values: list[Any], found: type, kind: SqlType) -> Vector:
    if found in (dict, list) and kind.is_text:
        values, found = [msgspec.json.encode(value).decode() for value in values], str
    if found in (datetime, date, time) and (kind.is_instant or kind.kind == "TIME"):
        return Vector(np.array([_moment(value) for value in values], np.int64))
    if found is str and not kind.is_text:
        # Empty fields are NULL where they are not text.
        empty = np.array([not value.strip() for value in values], np.bool_)
        texts = objects([None if none else value for value, none in zip(values, empty.tolist(), strict=True)])
        return convert(rows, Vector(texts, empty if empty.any() else None), VARCHAR, kind)
    if kind.is_instant and found is int:
        bounded = [max(min(value, instants.LAST_MS + 1), instants.FIRST_MS - 1) for value in values]
        return Vector(in_calendar(rows, np.array(bounded, np.int64)))  # milliseconds since 1970
    source = _SOURCES.get(found)
    if source is None:
        for place in range(len(values)):
            mark(rows, place, f"Could not cast '{values[place]}' to {kind}")
        return Vector(np.full(len(values), None, object) if kind.is_object else np.zeros(len(values), kind.dtype))
    make: Callable[[Any], Any] | None = None
    if found is int and any(not -(2**63) <= value < 2**63 for value in values):
        make, source = Decimal, SqlType("DECIMAL", 38, 0)
    array = objects([make(value) for value in values] if make else values)
    column = Vector(array if source.is_object else array.astype(source.dtype))
    if not castable(source, kind) or (kind.is_number and found is bool):
        for place in range(len(values)):
            mark(rows, place, f"Could not cast '{values[place]}' to {kind}")
        return Vector(np.zeros(len(values), object if kind.is_object else kind.dtype))
    return convert(rows, column, source, kind)


_SOURCES: dict[type, SqlType] = {
    str: VARCHAR, int: BIGINT, float: DOUBLE, bool: BOOLEAN, Decimal: SqlType("DECIMAL", 38, 18), bytes: SqlType("VARBINARY"),
}  # fmt: skip


def _moment(value: datetime | date | time) -> int:
    if isinstance(value, datetime):
        return round((value.replace(tzinfo=value.tzinfo or instants.EPOCH.tzinfo) - instants.EPOCH).total_seconds() * 1000)
    if isinstance(value, date):
        return (value - instants.EPOCH.date()).days * instants.DAY_MS
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000 + value.microsecond // 1000
