"""Statistics of many values in little room: count, sum, extremes, and a histogram from which percentiles are read.

The histogram's bins grow by 2 %, so a percentile is exact to one percent. Two statistics add up to that of all their values.
"""

import math
from collections.abc import Iterable

import msgspec

from headrace.services.cloudwatch import limits

_GROWTH = math.log(1.02)
_ZERO = 0
_SHIFT = 40_000  # keeps the bins of positive numbers positive and those of negative ones negative: 1.02**40000 is out of reach


class Statistics(msgspec.Struct, array_like=True):
    """The sum of some values. Without bins (values that came as statistics already) there are no percentiles."""

    count: float
    sum: float
    least: float
    most: float
    bins: dict[int, float] | None


def of_value(value: float, count: float = 1.0) -> Statistics:
    """The statistics of one value that was seen `count` times."""
    return Statistics(count, value * count, value, value, {bin_of(value): count})


def of_set(count: float, total: float, least: float, most: float) -> Statistics:
    """The statistics that somebody else made."""
    bins = {bin_of(least): count} if least == most else None
    return Statistics(count, total, least, most, bins)


def add(into: Statistics, other: Statistics) -> Statistics:
    """Both together, in `into`."""
    into.count += other.count
    into.sum += other.sum
    into.least = min(into.least, other.least)
    into.most = max(into.most, other.most)
    if into.bins is None or other.bins is None:
        into.bins = None
    else:
        for key, count in other.bins.items():
            into.bins[key] = into.bins.get(key, 0.0) + count
        if len(into.bins) > limits.BINS_MAX:
            into.bins = None
    return into


def total(parts: Iterable[Statistics]) -> Statistics | None:
    """All together, or None of nothing; the parts stay as they are."""
    result: Statistics | None = None
    for part in parts:
        if result is None:
            bins = None if part.bins is None else dict(part.bins)
            result = Statistics(part.count, part.sum, part.least, part.most, bins)
        else:
            add(result, part)
    return result


def bin_of(value: float) -> int:
    """The bin that a value belongs to; bins are in the order of their values."""
    if value == 0:
        return _ZERO
    place = math.ceil(math.log(abs(value)) / _GROWTH) + _SHIFT
    return place if value > 0 else -place


def value_of(key: int) -> float:
    """The middle of a bin."""
    if key == _ZERO:
        return 0.0
    size = math.exp((abs(key) - _SHIFT - 0.5) * _GROWTH)
    return size if key > 0 else -size


def percentile(of: Statistics, percent: float) -> float | None:
    """The value below which so many percent lie; None when only sums are known."""
    if of.least == of.most:
        return of.least
    if of.bins is None:
        return None
    wanted = of.count * percent / 100
    seen = 0.0
    for key in sorted(of.bins):
        seen += of.bins[key]
        if seen >= wanted:
            return min(max(value_of(key), of.least), of.most)
    return of.most


def statistic(of: Statistics, name: str) -> float | None:
    """A statistic by CloudWatch's name: Sum, Average, Minimum, Maximum, SampleCount or p99.9."""
    if name == "Average":
        return of.sum / of.count if of.count else None
    if name.startswith("p"):
        return percentile(of, float(name[1:]))
    return {"Sum": of.sum, "Minimum": of.least, "Maximum": of.most, "SampleCount": of.count}[name]
