"""SQL types, and columns of values of a type (`Vector`): numpy arrays and the places that are NULL.

Stored: BOOLEAN as bool; whole numbers as int64; REAL and DOUBLE as float64; TIMESTAMP as milliseconds since 1970, DATE as those
of its midnight, TIME as those since midnight, day-time intervals as milliseconds and year-month intervals as months, all int64;
VARCHAR as str, DECIMAL as decimal.Decimal, VARBINARY as bytes and ROW as tuples, in arrays of objects that hold None for NULL.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.services.analytics.engine.schema import SqlError

Array = NDArray[Any]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type: its kind, and what the kind has of length, precision, scale and fields."""

    kind: str
    length: int = 0
    scale: int = 0
    fields: tuple[tuple[str, "SqlType"], ...] = ()

    @property
    def dtype(self) -> Any:
        """How numpy stores it."""
        return _DTYPES.get(self.kind, np.dtype(object))

    @property
    def is_object(self) -> bool:
        """Whether values are Python objects."""
        return self.kind not in _DTYPES

    @property
    def is_number(self) -> bool:
        """Whether it can be counted with."""
        return self.kind in RANKS

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number."""
        return self.kind in WHOLE

    @property
    def is_approximate(self) -> bool:
        """Whether it is a float."""
        return self.kind in ("REAL", "DOUBLE")

    @property
    def is_text(self) -> bool:
        """Whether it is VARCHAR or CHAR."""
        return self.kind in ("VARCHAR", "CHAR")

    @property
    def is_instant(self) -> bool:
        """Whether it is TIMESTAMP or DATE."""
        return self.kind in ("TIMESTAMP", "DATE")

    @property
    def is_interval(self) -> bool:
        """Whether it is an interval."""
        return self.kind in ("INTERVAL", "MONTHS")

    def __str__(self) -> str:
        if self.kind == "DECIMAL":
            return f"DECIMAL({self.length},{self.scale})"
        return f"{self.kind}({self.length})" if self.length else _SPELLED.get(self.kind, self.kind)


_SPELLED = {"INTERVAL": "INTERVAL DAY TO SECOND", "MONTHS": "INTERVAL YEAR TO MONTH"}
_DTYPES: dict[str, Any] = {
    "BOOLEAN": np.dtype(np.bool_),
    **{kind: np.dtype(np.int64) for kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")},
    **{kind: np.dtype(np.float64) for kind in ("REAL", "DOUBLE")},
    **{kind: np.dtype(np.int64) for kind in ("TIMESTAMP", "DATE", "TIME", "INTERVAL", "MONTHS")},
}
RANGES = {"TINYINT": 2**7, "SMALLINT": 2**15, "INTEGER": 2**31, "BIGINT": 2**63}
WHOLE = frozenset(RANGES)
RANKS = {"TINYINT": 0, "SMALLINT": 1, "INTEGER": 2, "BIGINT": 3, "DECIMAL": 4, "REAL": 5, "DOUBLE": 6}

BOOLEAN = SqlType("BOOLEAN")
INTEGER = SqlType("INTEGER")
BIGINT = SqlType("BIGINT")
DECIMAL = SqlType("DECIMAL", 18, 9)
DOUBLE = SqlType("DOUBLE")
VARCHAR = SqlType("VARCHAR", 0)
TIMESTAMP = SqlType("TIMESTAMP")
DATE = SqlType("DATE")
TIME = SqlType("TIME")
INTERVAL = SqlType("INTERVAL")
MONTHS = SqlType("MONTHS")
NULL = SqlType("NULL")

_SYNONYMS = {
    "INT": "INTEGER", "DEC": "DECIMAL", "NUMERIC": "DECIMAL", "FLOAT": "DOUBLE", "DOUBLE PRECISION": "DOUBLE",
    "CHARACTER": "CHAR",
    "CHARACTER VARYING": "VARCHAR", "CHAR VARYING": "VARCHAR", "BINARY VARYING": "VARBINARY", "BINARY": "VARBINARY",
    "BOOL": "BOOLEAN",
    "STRING": "VARCHAR", "TEXT": "VARCHAR",
}  # fmt: skip
_KINDS = {*_DTYPES, "DECIMAL", "VARCHAR", "CHAR", "VARBINARY"} - {"INTERVAL", "MONTHS"}
_FORM = re.compile(r"\s*([A-Za-z]+(?:\s+[A-Za-z]+)?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$")
DECIMAL_DIGITS_MAX = 38


def type_named(words: str, length: int | None, scale: int | None) -> SqlType:
    """The type with a name, and a length and scale if they are given. SqlError when there is none."""
    upper = " ".join(words.upper().split())
    kind = _SYNONYMS.get(upper, upper)
    if kind not in _KINDS:
        raise SqlError(f"Unknown datatype name '{words}'")
    if kind == "DECIMAL":
        precision = 18 if length is None else length
        if not 1 <= precision <= DECIMAL_DIGITS_MAX or (scale or 0) > precision:
            raise SqlError(f"Precision {precision} and scale {scale or 0} are no DECIMAL's")
        return SqlType(kind, precision, scale or 0)
    if kind in ("VARCHAR", "VARBINARY", "CHAR"):
        return SqlType(kind, length if length is not None else 1)
    return SqlType(kind)


def parse_type(text: str) -> SqlType:
    """A type as a schema writes it."""
    found = _FORM.match(text)
    if not found:
        raise SqlError(f"Unknown datatype name '{text}'")
    return type_named(found[1], int(found[2]) if found[2] else None, int(found[3]) if found[3] else None)


class Vector:
    """A column of values; `nulls` marks those that are NULL, None when none is."""

    __slots__ = ("nulls", "values")

    def __init__(self, values: Array, nulls: Mask | None = None) -> None:
        self.values = values
        self.nulls = nulls

    def __len__(self) -> int:
        return len(self.values)

    def take(self, where: Array | slice) -> "Vector":
        """The values at places, in a mask, or in a slice."""
        return Vector(self.values[where], None if self.nulls is None else self.nulls[where])

    def null_mask(self) -> Mask:
        """A mask of the NULLs, always an array."""
        return np.zeros(len(self.values), np.bool_) if self.nulls is None else self.nulls

    def to_list(self) -> list[Any]:
        """Plain values, None for NULL."""
        values: list[Any] = self.values.tolist()
        if self.nulls is None or self.values.dtype == object:
            return values
        return [None if null else value for value, null in zip(values, self.nulls.tolist(), strict=True)]


def objects(values: Iterable[Any]) -> Array:
    """An array of objects, whatever they are."""
    listed = values if isinstance(values, list) else list(values)
    made = np.empty(len(listed), object)
    made[:] = listed
    return made


def from_objects(array: Array) -> Vector:
    """A column of objects, with None for NULL."""
    nulls: Mask = np.equal(array, None)  # type: ignore[call-overload]
    return Vector(array, nulls if nulls.any() else None)


def from_list(values: Sequence[Any], kind: SqlType) -> Vector:
    """A column of plain values that are stored as the type stores them, None for NULL."""
    if kind.is_object:
        return from_objects(objects(values))
    if None in values:
        nulls = np.fromiter((value is None for value in values), np.bool_, len(values))
        return Vector(np.array([0 if value is None else value for value in values], kind.dtype), nulls)
    return Vector(np.array(values, kind.dtype))


def all_null(size: int, kind: SqlType) -> Vector:
    """A column of NULLs."""
    return Vector(np.full(size, None, object) if kind.is_object else np.zeros(size, kind.dtype), np.ones(size, np.bool_))


def constant(value: Any, size: int, kind: SqlType) -> Vector:
    """A column that has one value everywhere."""
    if value is None:
        return all_null(size, kind)
    made = np.empty(size, kind.dtype)
    made[:] = [value] * size if isinstance(value, tuple) else value
    return Vector(made)


def concatenate(parts: Sequence[Vector]) -> Vector:
    """Columns of one type, one below the other."""
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([part.values for part in parts])
    if all(part.nulls is None for part in parts):
        return Vector(values)
    return Vector(values, np.concatenate([part.null_mask() for part in parts]))


def either(left: Mask | None, right: Mask | None) -> Mask | None:
    """The places that are NULL in one or the other."""
    if left is None:
        return right
    return left if right is None else left | right


@dataclass(slots=True)
class Batch:
    """Rows of a stream, in columns, in the order of their ROWTIMEs (`times`).

    `order` numbers rows as they came in, so that rows of one ROWTIME that went different ways meet in that order again. Rows that
    a window gave have none: they come before those of their time.
    """

    columns: list[Vector]
    times: NDArray[np.int64]
    order: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def numbers(self) -> NDArray[np.int64]:
        """The order, -1 for rows that have none."""
        return np.full(len(self.times), -1, np.int64) if self.order is None else self.order

    def take(self, where: Array | slice) -> "Batch":
        """Some of the rows."""
        order = None if self.order is None else self.order[where]
        return Batch([column.take(where) for column in self.columns], self.times[where], order)


def merge(batches: Sequence[Batch]) -> Batch:
    """Rows of several batches of the same columns by their times; those of one time as they came, else as the batches stand."""
    if len(batches) == 1:
        return batches[0]
    columns = [concatenate([batch.columns[place] for batch in batches]) for place in range(len(batches[0].columns))]
    order: NDArray[np.int64] | None = None
    if any(batch.order is not None for batch in batches):
        order = np.concatenate([batch.numbers() for batch in batches])
    joined = Batch(columns, np.concatenate([batch.times for batch in batches]), order)
    if order is not None:
        return joined.take(np.lexsort((order, joined.times)))
    if len(joined) > 1 and (np.diff(joined.times) < 0).any():
        return joined.take(np.argsort(joined.times, kind="stable"))
    return joined


def common_type(left: SqlType, right: SqlType) -> SqlType | None:
    """The type that holds values of both, or None."""
    if left == right or right.kind == "NULL":
        return left
    if left.kind == "NULL":
        return right
    if left.is_number and right.is_number:
        if left.is_approximate or right.is_approximate:
            return DOUBLE
        higher = left if RANKS[left.kind] >= RANKS[right.kind] else right
        if higher.kind != "DECIMAL":
            return higher
        scale = max(left.scale, right.scale)
        return SqlType("DECIMAL", DECIMAL_DIGITS_MAX, scale)
    if left.is_text and right.is_text:
        return SqlType("VARCHAR", 0 if 0 in (left.length, right.length) else max(left.length, right.length))
    if left.is_instant and right.is_instant:
        return TIMESTAMP
    return left if left.kind == right.kind else None


def plain(value: Any) -> Any:
    """A value as it is kept in the state: decimals as text."""
    return str(value) if isinstance(value, Decimal) else value
