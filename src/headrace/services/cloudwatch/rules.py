"""CloudWatch's decisions: which data are taken, and how a time is cut into periods."""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from headrace.services.cloudwatch import limits
from headrace.services.cloudwatch.engine import statistics
from headrace.services.cloudwatch.engine.statistics import Statistics
from headrace.services.cloudwatch.errors import (
    InvalidNextToken,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    MissingRequiredParameterException,
)

_PERCENTILE = re.compile(r"^p(?:100|\d{1,2}(?:\.\d{1,10})?)$")
PLAIN_STATISTICS = frozenset({"SampleCount", "Average", "Sum", "Minimum", "Maximum"})


class Series(NamedTuple):
    """What one row of numbers belongs to."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


class Slot(NamedTuple):
    """A minute of a series, in one unit."""

    series: Series
    minute: int
    unit: str


def dimensions(given: Iterable[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
    """Dimensions in the order of their names: a series is the same in whichever order they came."""
    pairs = [(one["Name"], one["Value"]) for one in given or ()]
    if len(pairs) > limits.DIMENSIONS_MAX:
        raise InvalidParameterValueException(f"A metric has at most {limits.DIMENSIONS_MAX} dimensions.")
    return tuple(sorted(dict(pairs).items()))


def read_datum(datum: Mapping[str, Any], where: str, now: float) -> tuple[int, str, Statistics]:
    """The minute, unit and statistics of a datum of PutMetricData."""
    at = datum.get("Timestamp")
    at = now if at is None else at
    if at < now - limits.PAST_MAX_SECONDS or at > now + limits.FUTURE_MAX_SECONDS:
        raise InvalidParameterValueException(
            f"The parameter {where}.Timestamp must specify a time no more than two weeks before the current date."
            if at < now
            else f"The parameter {where}.Timestamp must specify a time within two hours of now."
        )
    minute = int(at) // limits.BUCKET_SECONDS
    return minute, datum.get("Unit") or "None", _statistics(datum, where)


def _statistics(datum: Mapping[str, Any], where: str) -> Statistics:
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if not given:
        raise MissingRequiredParameterException(
            f"At least one of the parameters must be specified: {where}.Value, Values, StatisticValues."
        )
    if len(given) > 1:
        raise InvalidParameterCombinationException(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and you have specified both."
        )
    if given == ["Value"]:
        return statistics.of_value(_checked(datum["Value"], f"{where}.Value"))
    if given == ["StatisticValues"]:
        one = datum["StatisticValues"]
        names = ("SampleCount", "Sum", "Minimum", "Maximum")
        numbers = [_checked(one[name], f"{where}.StatisticValues.{name}") for name in names]
        if numbers[0] < 0 or numbers[2] > numbers[3]:
            raise InvalidParameterValueException(f"The parameter {where}.StatisticValues is contradictory.")
        return statistics.of_set(*numbers)
    values = [_checked(value, f"{where}.Values") for value in datum["Values"]]
    counts = datum.get("Counts") or [1.0] * len(values)
    if len(counts) != len(values):
        raise InvalidParameterValueException(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    if not 1 <= len(values) <= limits.VALUES_PER_METRIC_MAX:
        raise InvalidParameterValueException(f"The parameter {where}.Values must have 1 to 150 entries.")
    made = statistics.total(statistics.of_value(value, count) for value, count in zip(values, counts, strict=True))
    assert made is not None
    return made


def _checked(value: float, where: str) -> float:
    if not math.isfinite(value) or abs(value) > limits.VALUE_MAX:
        raise InvalidParameterValueException(f"The value {value} for parameter {where} is invalid.")
    return value


def check_statistic(name: str) -> str:
    """A statistic that is known here; InvalidParameterValue for any other."""
    if name not in PLAIN_STATISTICS and not _PERCENTILE.match(name):
        raise InvalidParameterValueException(
            f"The statistic {name} is not supported: Sum, Average, Minimum, Maximum, SampleCount and percentiles (p99) are."
        )
    return name


def check_period(seconds: int) -> int:
    """A period: whole minutes."""
    if seconds < limits.BUCKET_SECONDS or seconds % limits.BUCKET_SECONDS:
        raise InvalidParameterValueException("The parameter Period must be a multiple of 60: data are kept by the minute here.")
    return seconds


class Point(NamedTuple):
    """The statistics of one period."""

    at: float
    unit: str
    of: Statistics


def in_periods(buckets: Iterable[tuple[int, str, Statistics]], start: float, period: int) -> list[Point]:
    """Minutes put together to periods that begin at `start`, for each unit by itself."""
    groups: dict[tuple[int, str], list[Statistics]] = {}
    origin = int(start) // limits.BUCKET_SECONDS * limits.BUCKET_SECONDS
    for minute, unit, one in buckets:
        index = (minute * limits.BUCKET_SECONDS - origin) // period
        groups.setdefault((index, unit), []).append(one)
    points = []
    for (index, unit), parts in sorted(groups.items()):
        together = statistics.total(parts)
        assert together is not None
        points.append(Point(float(origin + index * period), unit, together))
    return points


def check_times(start: float, end: float) -> None:
    """Refuse an end that is not behind the start."""
    if start >= end:
        raise InvalidParameterCombinationException("The parameter StartTime must be less than the parameter EndTime.")


def check_datapoints(start: float, end: float, period: int) -> None:
    """Refuse to answer with more than 1,440 periods."""
    count = math.ceil((end - start) / period)
    if count > limits.DATAPOINTS_MAX:
        raise InvalidParameterCombinationException(
            f"You have requested up to {count} datapoints, which exceeds the limit of {limits.DATAPOINTS_MAX}. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )


def token(items: Sequence[Any]) -> str:
    """A listing's token that goes on behind a key."""
    return base64.urlsafe_b64encode(json.dumps(items).encode()).decode()


def read_token(text: str | None) -> tuple[str, str, tuple[tuple[str, str], ...]] | None:
    """The namespace, name and dimensions in a token."""
    if text is None:
        return None
    try:
        namespace, name, pairs = json.loads(base64.urlsafe_b64decode(text.encode()))
        return str(namespace), str(name), tuple((str(key), str(value)) for key, value in pairs)
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidNextToken("The token is not valid.") from error
