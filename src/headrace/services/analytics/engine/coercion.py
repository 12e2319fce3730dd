"""From the values that records have to columns: what JSON and CSV give, as the types of a schema.

A number for a time, a fraction for a whole number, a list for anything but text send their row to the error stream, as on AWS.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from headrace.services.analytics.engine import instants
from headrace.services.analytics.engine.casting import castable, convert
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
    """Values of one Python type, by the rules of the developer guide ("Mapping JSON Data Types to SQL Data Types")."""
    if found in (dict, list):
        values, found = [msgspec.json.encode(value).decode() for value in values], _Structure
    if found in (datetime, date, time) and (kind.is_instant or kind.kind == "TIME"):
        return Vector(np.array([_moment(value) for value in values], np.int64))
    if found is bool and kind.is_number:
        values, found = [int(value) for value in values], int
    elif found is bool and kind.is_text:
        values, found = ["true" if value else "false" for value in values], str
    if kind.kind == "BOOLEAN" and found in (int, float, str):
        truths = [value.lower() == "true" if found is str else value != 0 for value in values]
        return Vector(np.array(truths, np.bool_))
    if kind.kind == "VARBINARY" and found is str:
        values, found = [_binary(value) for value in values], bytes
    _refuse(rows, values, found, kind)
    source = VARCHAR if found is _Structure else _SOURCES.get(found)
    if source is None or not castable(source, kind):
        return Vector(np.full(len(values), None, object) if kind.is_object else np.zeros(len(values), kind.dtype))
    if found is int and any(not -(2**63) <= value < 2**63 for value in values):
        values, source = [Decimal(value) for value in values], SqlType("DECIMAL", 38, 0)
    array = objects(values)
    return convert(rows, Vector(array if source.is_object else array.astype(source.dtype)), source, kind)


class _Structure:
    """Stands for arrays and objects, which only texts can take."""


_FITS: dict[type, Callable[[SqlType], bool]] = {
    str: lambda kind: kind.kind != "VARBINARY",
    int: lambda kind: kind.is_number or kind.is_text or kind.is_interval,
    float: lambda kind: kind.is_number or kind.is_text,
    Decimal: lambda kind: kind.is_number or kind.is_text,
    bytes: lambda kind: kind.kind == "VARBINARY" or kind.is_text,
    _Structure: lambda kind: kind.is_text,
}


def _refuse(rows: Rows, values: list[Any], found: type, kind: SqlType) -> None:
    """Fail the rows whose value the type cannot take, or only with a loss."""
    fits = _FITS.get(found)
    if fits is None or not fits(kind):
        bad = [True] * len(values)
    elif found is float and kind.is_whole:
        bad = [value != value // 1 for value in values]
    elif found is float and kind.kind == "DECIMAL":
        bad = [-int(Decimal(repr(value)).normalize().as_tuple().exponent) > kind.scale for value in values]
    elif found is bytes:
        bad = [value is None for value in values]
    else:
        return
    for place, wrong in enumerate(bad):
        if wrong:
            mark(rows, place, f"Could not cast '{values[place]}' to {kind}")


def _binary(text: str) -> bytes | None:
    """The bytes of X'3F67'."""
    try:
        return bytes.fromhex(text[2:-1]) if text[:2] == "X'" and text[-1:] == "'" else None
    except ValueError:
        return None


_SOURCES: dict[type, SqlType] = {
    str: VARCHAR, int: BIGINT, float: DOUBLE, bool: BOOLEAN, Decimal: SqlType("DECIMAL", 38, 18), bytes: SqlType("VARBINARY"),
}  # fmt: skip


def _moment(value: datetime | date | time) -> int:
    if isinstance(value, datetime):
        return round((value.replace(tzinfo=value.tzinfo or instants.EPOCH.tzinfo) - instants.EPOCH).total_seconds() * 1000)
    if isinstance(value, date):
        return (value - instants.EPOCH.date()).days * instants.DAY_MS
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000 + value.microsecond // 1000
