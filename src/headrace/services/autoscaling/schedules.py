"""Schedules of actions: at(time), rate(every so often) and cron(fields), as AWS writes them, and when one falls due next."""

import re
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from headrace.kit.errors import ValidationException
from headrace.services.autoscaling import limits

_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)").fullmatch
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)").fullmatch
_CRON = re.compile(r"cron\(([^()]*)\)").fullmatch
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_YEARS = (1970, 2199)
_DayRule = Callable[[date], bool]


def zone_of(name: str | None) -> tzinfo:
    """The time zone of a name; ValidationException."""
    # UTC without a look at the system's zone files, which a small image may not have.
    if name in (None, "UTC", "Etc/UTC"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValidationException(f"Timezone is not known: {name}") from None


def next_at(schedule: str, zone: tzinfo, base: float, after: float) -> float | None:
    """When a schedule falls due next behind a time, or None: never again. A rate counts from `base`.

    ValidationException when it is no schedule.
    """
    if found := _AT(schedule):
        try:
            due = datetime.fromisoformat(found[1]).replace(tzinfo=zone).timestamp()
        except (ValueError, OverflowError):
            raise _wrong(schedule) from None
        return due if due > after else None
    if found := _RATE(schedule):
        step = int(found[1]) * _UNIT_SECONDS[found[2]]
        if not 0 < step <= limits.RATE_MAX_SECONDS:
            raise _wrong(schedule)
        return base if after < base else base + (int((after - base) // step) + 1) * step
    if found := _CRON(schedule):
        return Cron(schedule, found[1].split()).next_at(zone, after)
    raise _wrong(schedule)


def _wrong(schedule: str) -> ValidationException:
    return ValidationException(f"Schedule expression is not valid: {schedule}")


class Cron:
    """A cron expression of AWS's six fields: minutes, hours, day of the month, month, day of the week (1 is Sunday), year."""

    def __init__(self, schedule: str, fields: list[str]) -> None:
        if len(fields) != 6:
            raise _wrong(schedule)
        minutes, hours, days, months, weekdays, years = (field.upper() for field in fields)
        if (days == "?") == (weekdays == "?"):
            # One of the two says it, and the other one nothing.
            raise _wrong(schedule)
        try:
            self._minutes = sorted(_set(minutes, 0, 59))
            self._hours = sorted(_set(hours, 0, 23))
            self._months = _set(months, 1, 12, _MONTHS)
            self._years = _set(years, *_YEARS)
            self._fits = _weekday_rule(weekdays) if days == "?" else _day_rule(days)
        except ValueError:
            raise _wrong(schedule) from None

    def next_at(self, zone: tzinfo, after: float) -> float | None:
        """The first time behind another. What a change of the clocks leaves out comes at the time that it becomes."""
        for day in self._days(datetime.fromtimestamp(after, zone).date()):
            for hour in self._hours:
                for minute in self._minutes:
                    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp()
                    if due > after:
                        return due
        return None

    def _days(self, day: date) -> Iterator[date]:
        """The days that fit, from one on."""
        while day.year <= _YEARS[1]:
            if day.year not in self._years:
                later = [year for year in self._years if year > day.year]
                if not later:
                    return
                day = date(min(later), 1, 1)
            elif day.month not in self._months:
                day = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
            else:
                if self._fits(day):
                    yield day
                day += timedelta(days=1)


def _set(field: str, least: int, most: int, names: list[str] | None = None) -> set[int]:
    """The numbers of a field: `*`, `5`, `1-5`, `0/15`, `1-30/2`, and those with commas between."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        step = int(step_text) if slash else 1
        if span == "*":
            first, last = least, most
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, least, names)
            last = _number(end, least, names) if dash else most if slash else first
        if not (least <= first <= last <= most and step > 0):
            raise ValueError(field)
        found.update(range(first, last + 1, step))
    return found


def _number(text: str, least: int, names: list[str] | None) -> int:
    return names.index(text) + least if names is not None and text in names else int(text)


def _last_of(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _day_rule(field: str) -> _DayRule:
    """`L`: the last day of the month. `15W`: the weekday nearest to the 15th, in the same month."""
    if field == "L":
        return lambda day: day == _last_of(day)
    if field in ("LW", "WL"):
        return lambda day: day == _near(_last_of(day))
    if field.endswith("W"):
        number = int(field[:-1])
        if not 1 <= number <= 31:
            raise ValueError(field)
        return lambda day: number <= _last_of(day).day and day == _near(day.replace(day=number))
    numbers = _set(field, 1, 31)
    return lambda day: day.day in numbers


def _near(day: date) -> date:
    if day.weekday() == 5:
        return day - timedelta(days=1) if day.day > 1 else day + timedelta(days=2)
    if day.weekday() == 6:
        return day + timedelta(days=1) if day != _last_of(day) else day - timedelta(days=2)
    return day


def _weekday_rule(field: str) -> _DayRule:
    """`5L`: the last Thursday of the month. `3#2`: the second Tuesday. Otherwise a set of days, of which 1 is Sunday."""
    if field == "L":
        field = "SAT"
    number, hash_sign, nth = field.partition("#")
    if hash_sign:
        (wanted,) = _set(number, 1, 7, _DAYS)
        week = int(nth)
        if not 1 <= week <= 5:
            raise ValueError(field)
        return lambda day: _weekday(day) == wanted and (day.day - 1) // 7 == week - 1
    if field.endswith("L"):
        (wanted,) = _set(field[:-1], 1, 7, _DAYS)
        return lambda day: _weekday(day) == wanted and day.day > _last_of(day).day - 7
    numbers = _set(field, 1, 7, _DAYS)
    return lambda day: _weekday(day) in numbers


def _weekday(day: date) -> int:
    return day.isoweekday() % 7 + 1
