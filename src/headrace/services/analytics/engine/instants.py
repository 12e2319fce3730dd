"""Moments and spans as text: what literals, casts and records say, in milliseconds."""

import re
from datetime import UTC, date, datetime, time, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
FIRST_MS = -62_135_596_800_000  # 0001-01-01
LAST_MS = 253_402_300_799_999  # 9999-12-31
UNITS_MS = {"SECOND": 1000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": DAY_MS, "WEEK": 7 * DAY_MS, "MILLISECOND": 1}
UNITS_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
UNITS = {*UNITS_MS, *UNITS_MONTHS}

_INSTANT = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?\s*$"
)
_CLOCK = re.compile(r"\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?\s*$")


def parse_instant(text: str) -> int:
    """A timestamp or date as ISO 8601 or SQL writes it. ValueError when it is none."""
    found = _INSTANT.match(text)
    if not found:
        raise ValueError(f"Invalid timestamp '{text}'")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
    made = round((moment - EPOCH).total_seconds()) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    if zone and zone[0] in "+-":
        sign = 1 if zone[0] == "-" else -1
        made += sign * (int(zone[1:3]) * 3_600_000 + int(zone[-2:]) * 60_000)
    return made


def parse_clock(text: str) -> int:
    """A time of day. ValueError when it is none."""
    found = _CLOCK.match(text)
    if not found or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 59:
        raise ValueError(f"Invalid time '{text}'")
    return ((int(found[1]) * 60 + int(found[2])) * 60 + int(found[3] or 0)) * 1000 + int((found[4] or "0").ljust(3, "0")[:3])


def parse_interval(text: str, first: str, last: str) -> int:
    """A span, '1:30' MINUTE TO SECOND: milliseconds, or months for YEAR and MONTH. ValueError when it is none."""
    sign = -1 if text.strip().startswith("-") else 1
    numbers = [float(part) for part in re.split(r"[\s:-]+", text.strip().lstrip("+-"))]
    order = ["YEAR", "MONTH"] if first in UNITS_MONTHS else ["DAY", "HOUR", "MINUTE", "SECOND"]
    if first == last:
        units = [first]
    elif first in order and last in order and order.index(first) < order.index(last):
        units = order[order.index(first) : order.index(last) + 1]
    else:
        raise ValueError(f"INTERVAL {first} TO {last} is no interval")
    if len(units) != len(numbers):
        raise ValueError(f"Illegal interval literal format '{text}' for INTERVAL {first}")
    scale = UNITS_MONTHS if first in UNITS_MONTHS else UNITS_MS
    return sign * round(sum(number * scale[unit] for number, unit in zip(numbers, units, strict=True)))


def instant(ms: int) -> datetime:
    """A moment, without a zone."""
    return (EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None)


def timestamp_text(ms: int) -> str:
    """A timestamp as AWS writes it: 2018-08-01 20:17:20.797."""
    moment = EPOCH + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ms % 1000:03d}"


def date_text(ms: int) -> str:
    """A date."""
    return f"{EPOCH + timedelta(milliseconds=ms):%Y-%m-%d}"


def clock_text(ms: int) -> str:
    """A time of day."""
    seconds = ms // 1000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def as_date(ms: int) -> date:
    """The day of a moment."""
    return instant(ms).date()


def as_time(ms: int) -> time:
    """A time of day."""
    return instant(ms % DAY_MS).time()


def add_months(ms: int, months: int) -> int:
    """A moment some months later, on the last day of the month where the day is too high."""
    moment = EPOCH + timedelta(milliseconds=ms)
    place = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(place, 12)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    shifted = moment.replace(year=year, month=month + 1, day=min(moment.day, last))
    return round((shifted - EPOCH) / timedelta(milliseconds=1))
