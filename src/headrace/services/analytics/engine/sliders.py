"""Functions over a window that slides: rows come in at one end and leave at the other, each touched once."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from headrace.services.analytics.engine.aggregates import needs_double
from headrace.services.analytics.engine.evaluate import Compiled, TypeProblem
from headrace.services.analytics.engine.sqltypes import BIGINT, BOOLEAN, DOUBLE, INTERVAL, SqlType
from headrace.services.analytics.engine.syntax import Call

Columns = Sequence[Sequence[Any]]


class Slider:
    """One function over one window of one partition.

    `extend` is what runs for each batch: before each row so many leave (`pops`), then the row comes in, and the value is taken.
    Where a tight loop pays, a function has its own; the others go row by row.
    """

    def extend(self, columns: Columns, pops: Sequence[int], times: Sequence[int]) -> list[Any]:
        """Rows come in; the function's value after each, None for NULL."""
        out: list[Any] = []
        for place, pop in enumerate(pops):
            for _ in range(pop):
                self.pop()
            self.push([column[place] for column in columns], times[place])
            out.append(self.value())
        return out

    def push(self, values: Sequence[Any], time: int) -> None:
        """A row comes in."""
        raise NotImplementedError

    def pop(self) -> None:
        """The oldest row leaves."""
        raise NotImplementedError

    def value(self) -> Any:
        """The function's value, None for NULL."""
        raise NotImplementedError


class CountSlider(Slider):
    """COUNT: of rows, or of values that are not NULL."""

    def __init__(self, everything: bool) -> None:
        self._everything = everything
        self._counted: deque[bool] = deque()
        self._count = 0

    def extend(self, columns: Columns, pops: Sequence[int], times: Sequence[int]) -> list[Any]:
        """Count in and out."""
        out: list[Any] = []
        count = self._count
        if self._everything:
            for pop in pops:
                count += 1 - pop
                out.append(count)
            self._count = count
            return out
        counted = self._counted
        for value, pop in zip(columns[0], pops, strict=True):
            for _ in range(pop):
                count -= counted.popleft()
            known = value is not None
            counted.append(known)
            count += known
            out.append(count)
        self._count = count
        return out

    def pop(self) -> None:
        """Count it out."""
        self._count -= 1 if self._everything else self._counted.popleft()


class ExactSum(Slider):
    """SUM and AVG of whole numbers and decimals: what leaves is subtracted."""

    def __init__(self, mean: bool, whole: bool) -> None:
        self._mean, self._whole = mean, whole
        self._values: deque[Any] = deque()
        self._total: Any = 0
        self._count = 0

    def extend(self, columns: Columns, pops: Sequence[int], times: Sequence[int]) -> list[Any]:
        """Add and subtract."""
        out: list[Any] = []
        values = self._values
        for value, pop in zip(columns[0], pops, strict=True):
            for _ in range(pop):
                self.pop()
            values.append(value)
            if value is not None:
                self._total += value
                self._count += 1
            out.append(self.value())
        return out

    def pop(self) -> None:
        """Subtract it."""
        value = self._values.popleft()
        if value is not None:
            self._total -= value
            self._count -= 1

    def value(self) -> Any:
        """The total, or the mean."""
        if not self._count:
            return None
        if not self._mean:
            return self._total
        if self._whole:
            return -(-self._total // self._count) if self._total < 0 else self._total // self._count
        return self._total / self._count


class FloatSum(Slider):
    """SUM and AVG of floats, without subtraction: its errors would stay.

    What came in lies in a list with one running total; what leaves is taken from a list of totals from each place to its end.
    """

    def __init__(self, mean: bool) -> None:
        self._mean = mean
        self._front: list[tuple[float, int]] = []
        self._back: list[float | None] = []
        self._total = 0.0
        self._count = 0

    def extend(self, columns: Columns, pops: Sequence[int], times: Sequence[int]) -> list[Any]:
        """Add; when the older half is used up, the newer becomes it."""
        out: list[Any] = []
        mean, back = self._mean, self._back
        for value, pop in zip(columns[0], pops, strict=True):
            for _ in range(pop):
                self.pop()
            back.append(value)
            if value is not None:
                self._total += value
                self._count += 1
            total, count = self._total, self._count
            if self._front:
                older, more = self._front[-1]
                total += older
                count += more
            out.append(None if not count else total / count if mean else total)
        return out

    def pop(self) -> None:
        """Take the oldest."""
        if not self._front:
            total, count = 0.0, 0
            for value in reversed(self._back):
                if value is not None:
                    total += value
                    count += 1
                self._front.append((total, count))
            self._back.clear()
            self._total, self._count = 0.0, 0
        self._front.pop()


class TwoStacks(Slider):
    """Any aggregate whose parts can be combined, as `FloatSum` does: what the spread of values is."""

    def __init__(self, one: Callable[[Any], Any], combine: Callable[[Any, Any], Any], finish: Callable[[Any], Any]) -> None:
        self._one, self._combine, self._finish = one, combine, finish
        self._front: list[Any] = []
        self._back: list[Any] = []
        self._total: Any = None

    def push(self, values: Sequence[Any], time: int) -> None:
        """Combine it with the newer ones."""
        part = None if values[0] is None else self._one(values[0])
        self._back.append(part)
        self._total = self._joined(self._total, part)

    def pop(self) -> None:
        """Take the oldest; when the older half is used up, the newer becomes it."""
        if not self._front:
            total = None
            for part in reversed(self._back):
                total = self._joined(part, total)
                self._front.append(total)
            self._back, self._total = [], None
        self._front.pop()

    def _joined(self, left: Any, right: Any) -> Any:
        if left is None:
            return right
        return left if right is None else self._combine(left, right)

    def value(self) -> Any:
        """The aggregate of all."""
        total = self._joined(self._front[-1] if self._front else None, self._total)
        return None if total is None else self._finish(total)


class ExtremeSlider(Slider):
    """MIN and MAX: only those are kept that can become the extreme."""

    def __init__(self, lowest: bool) -> None:
        self._lowest = lowest
        self._kept: deque[tuple[int, Any]] = deque()
        self._first = self._next = 0

    def extend(self, columns: Columns, pops: Sequence[int], times: Sequence[int]) -> list[Any]:
        """Row by row."""
        out: list[Any] = []
        kept = self._kept
        for value, pop in zip(columns[0], pops, strict=True):
            self._first += pop
            while kept and kept[0][0] < self._first:
                kept.popleft()
            self.push((value,), 0)
            out.append(kept[0][1] if kept else None)
        return out

    def push(self, values: Sequence[Any], time: int) -> None:
        """Drop those that it outdoes."""
        value, kept = values[0], self._kept
        if value is not None:
            if self._lowest:
                while kept and kept[-1][1] >= value:
                    kept.pop()
            else:
                while kept and kept[-1][1] <= value:
                    kept.pop()
            kept.append((self._next, value))
        self._next += 1

    def pop(self) -> None:
        """Drop the first if it is the one that leaves."""
        self._first += 1
        if self._kept and self._kept[0][0] < self._first:
            self._kept.popleft()


class PlaceSlider(Slider):
    """FIRST_VALUE, LAST_VALUE, NTH_VALUE and LAG: the value at a place of the window, counted from its begin or its end."""

    def __init__(self, place: int, ignore_nulls: bool, behind: bool = False) -> None:
        self._place, self._ignore, self._behind = place, ignore_nulls, behind
        self._values: deque[Any] = deque()
        self._default: Any = None

    def push(self, values: Sequence[Any], time: int) -> None:
        """Keep it."""
        self._values.append(values[0])
        self._default = values[1] if len(values) > 1 else None

    def pop(self) -> None:
        """Forget the oldest."""
        self._values.popleft()

    def value(self) -> Any:
        """The value at the place."""
        place = self._place
        if self._ignore:
            # LAG counts from the row before the current one.
            left = place + 1 if place >= 0 else -place - self._behind
            ordered = iter(self._values) if place >= 0 else reversed(self._values)
            for value in islice(ordered, int(self._behind), None):
                left -= value is not None
                if not left:
                    return value
            return self._default
        if -len(self._values) <= place < len(self._values):
            return self._values[place]
        return self._default


class DistinctSlider(Slider):
    """COUNT, SUM and AVG of the distinct values."""

    def __init__(self, finish: Callable[[Counter[Any]], Any]) -> None:
        self._values: deque[Any] = deque()
        self._counts: Counter[Any] = Counter()
        self._finish = finish

    def push(self, values: Sequence[Any], time: int) -> None:
        """Count it."""
        self._values.append(values[0])
        if values[0] is not None:
            self._counts[values[0]] += 1

    def pop(self) -> None:
        """Count it out."""
        value = self._values.popleft()
        if value is not None:
            self._counts[value] -= 1
            if not self._counts[value]:
                del self._counts[value]

    def value(self) -> Any:
        """The aggregate."""
        return self._finish(self._counts)


class FadingMean(Slider):
    """EXP_AVG: a mean in which each interval back in time weighs half of the one after it."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._rows: deque[tuple[int, Any]] = deque()

    def push(self, values: Sequence[Any], time: int) -> None:
        """Keep it."""
        self._rows.append((time, values[0]))

    def pop(self) -> None:
        """Forget the oldest."""
        self._rows.popleft()

    def value(self) -> Any:
        """The weighted mean."""
        now = self._rows[-1][0]
        total = weight = 0.0
        for time, value in self._rows:
            if value is not None:
                share = 0.5 ** ((now - time) // self._interval_ms)
                total += share * value
                weight += share
        return total / weight if weight else None


class QuantorSlider(Slider):
    """ANY and EVERY."""

    def __init__(self, every: bool) -> None:
        self._every = every
        self._values: deque[Any] = deque()
        self._counts = {True: 0, False: 0, None: 0}

    def push(self, values: Sequence[Any], time: int) -> None:
        """Count it."""
        self._values.append(values[0])
        self._counts[values[0]] += 1

    def pop(self) -> None:
        """Count it out."""
        self._counts[self._values.popleft()] -= 1

    def value(self) -> Any:
        """Whether any, or every one, holds."""
        if not self._counts[True] and not self._counts[False]:
            return None
        return not self._counts[False] if self._every else self._counts[True] > 0


def _merge(left: tuple[int, float, float], right: tuple[int, float, float]) -> tuple[int, float, float]:
    count = left[0] + right[0]
    delta = right[1] - left[1]
    mean = left[1] + delta * right[0] / count
    return count, mean, left[2] + right[2] + delta * delta * left[0] * right[0] / count


def _spread(sample: bool, root: bool) -> Callable[[], Slider]:
    def finish(parts: tuple[int, float, float]) -> float | None:
        divisor = parts[0] - 1 if sample else parts[0]
        if divisor <= 0:
            return None
        variance: float = parts[2] / divisor
        return variance**0.5 if root else variance

    return lambda: TwoStacks(lambda value: (1, value, 0.0), _merge, finish)


def _distinct(name: str) -> Callable[[], Slider]:
    if name == "COUNT":
        return lambda: DistinctSlider(len)
    if name == "SUM":
        return lambda: DistinctSlider(lambda counts: sum(sorted(counts)) if counts else None)
    return lambda: DistinctSlider(lambda counts: sum(sorted(counts)) / len(counts) if counts else None)


def slider(call: Call, arguments: list[Compiled]) -> tuple[SqlType, Callable[[], Slider], int]:
    """The type of a function over a window, how its state is made, and how many of its arguments change by row."""
    name = call.name
    ignore = "IGNORE NULLS" in call.words
    if name == "COUNT" and not arguments:
        return BIGINT, lambda: CountSlider(True), 0
    kind = arguments[0].type if arguments else BIGINT
    if call.distinct and name in ("COUNT", "SUM", "AVG"):
        return BIGINT if name == "COUNT" else kind, _distinct(name), 1
    if name in ("COUNT", "MIN", "MAX", "SUM", "AVG", "FIRST_VALUE", "LAST_VALUE", "ANY", "EVERY") or needs_double(name):
        return *_plain(name, kind, ignore), 1
    if name == "EXP_AVG":
        if len(arguments) != 2 or arguments[1].type != INTERVAL or not arguments[1].constant:
            raise TypeProblem("EXP_AVG takes a number and an INTERVAL")
        interval_ms = arguments[1].constant
        return DOUBLE, lambda: FadingMean(interval_ms), 1
    if name in ("NTH_VALUE", "LAG"):
        number = arguments[1].constant if len(arguments) > 1 else 1
        if not isinstance(number, int) or number < 0:
            raise TypeProblem(f"'{name}' takes a constant number of rows")
        if name == "LAG":
            return kind, lambda: PlaceSlider(-1 - number, ignore, True), 1 if len(arguments) < 3 else 3
        place = -number if "FROM LAST" in call.words else number - 1
        return kind, lambda: PlaceSlider(place, ignore), 1
    raise TypeProblem(f"'{name}' is no function over a window")


def _plain(name: str, kind: SqlType, ignore: bool) -> tuple[SqlType, Callable[[], Slider]]:
    if name == "COUNT":
        return BIGINT, lambda: CountSlider(False)
    if name in ("MIN", "MAX"):
        return kind, lambda: ExtremeSlider(name == "MIN")
    if name in ("ANY", "EVERY"):
        return BOOLEAN, lambda: QuantorSlider(name == "EVERY")
    if name in ("FIRST_VALUE", "LAST_VALUE"):
        return kind, lambda: PlaceSlider(0 if name == "FIRST_VALUE" else -1, ignore)
    if name in ("SUM", "AVG"):
        mean = name == "AVG"
        if kind.is_approximate:
            return DOUBLE, lambda: FloatSum(mean)
        return kind if mean or not kind.is_whole else BIGINT, lambda: ExactSum(mean, kind.is_whole or kind.is_interval)
    return DOUBLE, _spread("SAMP" in name or name in ("STDDEV", "VARIANCE"), name.startswith("STDDEV"))
