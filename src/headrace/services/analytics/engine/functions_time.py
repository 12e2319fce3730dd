"""Functions of moments and spans."""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from headrace.services.analytics.engine import patterns
from headrace.services.analytics.engine.casting import cast, in_calendar
from headrace.services.analytics.engine.evaluate import Builder, Compiled, Invocation, Rows, TypeProblem, each, strict
from headrace.services.analytics.engine.instants import DAY_MS, UNITS_MONTHS, UNITS_MS, add_months
from headrace.services.analytics.engine.sqltypes import (
    BIGINT,
    DATE,
    INTERVAL,
    MONTHS,
    TIME,
    TIMESTAMP,
    VARCHAR,
    Array,
    SqlType,
    Vector,
)

_WEEK_SHIFT_MS = 4 * DAY_MS  # 1970-01-01 was a Thursday: weeks begin on Sunday, as Calcite's do


def _months_of(times: Array) -> Array:
    return times.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def _month_start(months: Array) -> Array:
    return months.astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)


def floor_times(times: Array, unit: str) -> Array:
    """Moments cut down to a unit."""
    if unit == "WEEK":
        return (times + _WEEK_SHIFT_MS) // UNITS_MS[unit] * UNITS_MS[unit] - _WEEK_SHIFT_MS
    if unit in UNITS_MS:
        return times // UNITS_MS[unit] * UNITS_MS[unit]
    size = UNITS_MONTHS[unit]
    return _month_start(_months_of(times) // size * size)


def _ceil_times(times: Array, unit: str) -> Array:
    low = floor_times(times, unit)
    if unit in UNITS_MS:
        high = low + UNITS_MS[unit]
    else:
        high = _month_start(_months_of(low) + UNITS_MONTHS[unit])
    return np.where(low == times, times, high)


def rounding(invocation: Invocation) -> Compiled:
    """FLOOR and CEIL: of a number, or of a moment TO a unit."""
    invocation.need(1)
    (operand,) = invocation.arguments
    kind = operand.type
    down = invocation.name == "FLOOR"
    if not invocation.words:
        if not kind.is_number:
            raise invocation.refuse()
        if kind.is_whole:
            return operand
        if kind.kind == "DECIMAL":
            whole = ROUND_FLOOR if down else ROUND_CEILING
            return strict(each(lambda value: value.to_integral_value(whole), kind), (operand,), kind)
        return strict(lambda rows, a: np.floor(a) if down else np.ceil(a), (operand,), kind)
    unit = invocation.words[0]
    cut: Callable[[Array, str], Array] = floor_times if down else _ceil_times
    if kind.is_instant or kind.kind == "TIME":
        return strict(lambda rows, a: cut(a, unit), (operand,), kind)
    if kind.kind == "INTERVAL" and unit in UNITS_MS:
        size = UNITS_MS[unit]
        return strict(lambda rows, a: a // size * size if down else -(-a // size) * size, (operand,), kind)
    raise invocation.refuse()


def _decimal_step(value: Decimal, size: Decimal) -> Decimal:
    """Down to a multiple. Decimals are divided towards zero."""
    made = value // size * size
    return made - size if made > value else made


def step(invocation: Invocation) -> Compiled:
    """STEP: down to a multiple of an interval (from 1970 on), or of a number."""
    invocation.need(2)
    operand, size = invocation.arguments
    if not size.is_constant or not size.constant or size.constant < 0:
        raise TypeProblem("STEP takes a constant above zero")
    if operand.type.is_instant or operand.type.kind in ("TIME", "INTERVAL"):
        if size.type == INTERVAL:
            return strict(lambda rows, a: a // size.constant * size.constant, (operand,), operand.type)
        if size.type == MONTHS and operand.type.is_instant:
            months = size.constant
            return strict(lambda rows, a: _month_start(_months_of(a) // months * months), (operand,), operand.type)
    if operand.type.is_number and size.type.is_number:
        kind = operand.type
        by = cast(size, kind)
        if kind.is_approximate:
            return strict(lambda rows, a, b: np.floor(a / b) * b, (operand, by), kind)
        if kind.kind == "DECIMAL":
            return strict(each(_decimal_step, kind), (operand, by), kind)
        return strict(lambda rows, a, b: a // b * b, (operand, by), kind)
    raise invocation.refuse()


def _part(unit: str) -> Callable[[Array], Array]:
    if unit == "YEAR":
        return lambda times: _months_of(times) // 12 + 1970
    if unit == "QUARTER":
        return lambda times: _months_of(times) % 12 // 3 + 1
    if unit == "MONTH":
        return lambda times: _months_of(times) % 12 + 1
    if unit == "DAY":
        return lambda times: (times // DAY_MS) - (_month_start(_months_of(times)) // DAY_MS) + 1
    if unit == "DOW":
        return lambda times: (times // DAY_MS + 4) % 7 + 1
    if unit == "DOY":
        return lambda times: times // DAY_MS - _month_start(_months_of(times) // 12 * 12) // DAY_MS + 1
    if unit == "WEEK":
        return _iso_week
    if unit == "EPOCH":
        return lambda times: times // 1000
    if unit == "MILLISECOND":
        return lambda times: times % 60_000
    if unit in ("HOUR", "MINUTE", "SECOND"):
        size, of = {"HOUR": (3_600_000, 24), "MINUTE": (60_000, 60), "SECOND": (1000, 60)}[unit]
        return lambda times: times // size % of
    raise TypeProblem(f"EXTRACT knows no unit {unit}")


def _iso_week(times: Array) -> Array:
    days = times // DAY_MS
    thursday = days - (days + 3) % 7 + 3
    january = _month_start(_months_of(thursday * DAY_MS) // 12 * 12) // DAY_MS
    made: Array = (thursday - january) // 7 + 1
    return made


def extract(invocation: Invocation) -> Compiled:
    """EXTRACT(unit FROM moment or span)."""
    (operand,) = invocation.arguments
    kind, unit = operand.type, invocation.words[0]
    if kind == MONTHS:
        function = {"YEAR": lambda a: a // 12, "MONTH": lambda a: a % 12}.get(unit)
        if function is None:
            raise invocation.refuse()
        return strict(lambda rows, a: function(a), (operand,), BIGINT)
    if kind.kind == "INTERVAL" and unit == "DAY":
        return strict(lambda rows, a: a // DAY_MS, (operand,), BIGINT)
    if not (kind.is_instant or kind.kind in ("TIME", "INTERVAL")):
        raise invocation.refuse()
    part = _part(unit)
    return strict(lambda rows, a: part(a), (operand,), BIGINT)


def interval_of(invocation: Invocation) -> Compiled:
    """(moment - moment) UNIT: a span in a unit, which a cast to a number counts."""
    (operand,) = invocation.arguments
    unit = invocation.words[0]
    if operand.type.kind != "INTERVAL" or unit not in UNITS_MS:
        raise TypeProblem(f"({operand.type}) {unit} is no interval: two timestamps must be subtracted")
    size = UNITS_MS[unit]
    kind = SqlType("INTERVAL", 0, size)
    if unit == "SECOND":
        return Compiled(kind, operand.run)
    return strict(lambda rows, a: np.trunc(a / size).astype(np.int64) * size, (operand,), kind)


def current(kind: SqlType) -> Builder:
    """CURRENT_TIMESTAMP and the like: the time of the row, so that a repetition gives the same."""

    def build(invocation: Invocation) -> Compiled:
        def run(rows: Rows) -> Vector:
            if kind == DATE:
                return Vector(rows.times // DAY_MS * DAY_MS)
            return Vector(rows.times % DAY_MS if kind == TIME else rows.times.copy())

        return Compiled(kind, run)

    return build


def tsdiff(invocation: Invocation) -> Compiled:
    """TSDIFF: milliseconds from the first moment to the second."""
    invocation.need(2)
    if not all(argument.type.is_instant for argument in invocation.arguments):
        raise invocation.refuse()
    return strict(lambda rows, a, b: b - a, invocation.arguments, BIGINT)


def timestamp_diff(invocation: Invocation) -> Compiled:
    """TIMESTAMPDIFF(unit, from, to)."""
    invocation.need(3)
    unit = invocation.text(0).removeprefix("SQL_TSI_")
    if unit in UNITS_MONTHS:
        size = UNITS_MONTHS[unit]
        return strict(lambda rows, a, b: (_months_of(b) - _months_of(a)) // size, invocation.arguments[1:], BIGINT)
    if unit not in UNITS_MS:
        raise TypeProblem(f"TIMESTAMPDIFF knows no unit {unit}")
    return strict(
        lambda rows, a, b: np.trunc((b - a) / UNITS_MS[unit]).astype(np.int64), invocation.arguments[1:], BIGINT
    )  # fmt: skip


def timestamp_add(invocation: Invocation) -> Compiled:
    """TIMESTAMPADD(unit, number, moment)."""
    invocation.need(3)
    unit = invocation.text(0).removeprefix("SQL_TSI_")
    if unit in UNITS_MONTHS:
        function = each(lambda count, ms: add_months(ms, count * UNITS_MONTHS[unit]), TIMESTAMP)
        return strict(function, invocation.arguments[1:], TIMESTAMP)
    if unit not in UNITS_MS:
        raise TypeProblem(f"TIMESTAMPADD knows no unit {unit}")
    return strict(lambda rows, count, ms: in_calendar(rows, ms + count * UNITS_MS[unit]), invocation.arguments[1:], TIMESTAMP)


def from_char(kind: SqlType) -> Builder:
    """CHAR_TO_TIMESTAMP, CHAR_TO_DATE, CHAR_TO_TIME: a text read by a pattern."""

    def build(invocation: Invocation) -> Compiled:
        invocation.need(2)
        pattern, operand = invocation.arguments
        if not (pattern.type.is_text and operand.type.is_text):
            raise invocation.refuse()

        def read(form: str, text: str) -> int:
            ms = patterns.reader(form)(text)
            return ms if kind == TIMESTAMP else ms // DAY_MS * DAY_MS if kind == DATE else ms % DAY_MS

        return strict(each(read, kind), (pattern, operand), kind)

    return build


def to_char(invocation: Invocation) -> Compiled:
    """TIMESTAMP_TO_CHAR, DATE_TO_CHAR, TIME_TO_CHAR: a moment written by a pattern."""
    invocation.need(2)
    pattern, operand = invocation.arguments
    if not pattern.type.is_text or not (operand.type.is_instant or operand.type.kind == "TIME"):
        raise invocation.refuse()

    return strict(each(lambda form, ms: patterns.writer(form)(ms), VARCHAR), (pattern, operand), VARCHAR)


def to_timestamp(invocation: Invocation) -> Compiled:
    """TO_TIMESTAMP: milliseconds since 1970 as a moment."""
    invocation.need(1)
    (operand,) = invocation.arguments
    if not operand.type.is_number:
        raise invocation.refuse()
    return strict(lambda rows, a: in_calendar(rows, a.copy()), (cast(operand, BIGINT),), TIMESTAMP)


def unix_timestamp(invocation: Invocation) -> Compiled:
    """UNIX_TIMESTAMP: a moment as milliseconds since 1970."""
    invocation.need(1)
    (operand,) = invocation.arguments
    if not operand.type.is_instant:
        raise invocation.refuse()
    return strict(lambda rows, a: a.copy(), (operand,), BIGINT)


TIME_FUNCTIONS: dict[str, Builder] = {
    "FLOOR": rounding, "CEIL": rounding, "CEILING": rounding, "STEP": step, "EXTRACT": extract, "INTERVAL OF": interval_of,
    "CURRENT_TIMESTAMP": current(TIMESTAMP), "LOCALTIMESTAMP": current(TIMESTAMP), "CURRENT_ROW_TIMESTAMP": current(TIMESTAMP),
    "CURRENT_DATE": current(DATE), "CURRENT_TIME": current(TIME), "LOCALTIME": current(TIME), "TSDIFF": tsdiff,
    "TIMESTAMPDIFF": timestamp_diff, "TIMESTAMPADD": timestamp_add, "CHAR_TO_TIMESTAMP": from_char(TIMESTAMP),
    "CHAR_TO_DATE": from_char(DATE), "CHAR_TO_TIME": from_char(TIME), "TIMESTAMP_TO_CHAR": to_char, "DATE_TO_CHAR": to_char,
    "TIME_TO_CHAR": to_char, "TO_TIMESTAMP": to_timestamp, "UNIX_TIMESTAMP": unix_timestamp,
}  # fmt: skip
