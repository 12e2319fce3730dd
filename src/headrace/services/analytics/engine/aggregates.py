"""Aggregate functions over groups: each takes a batch's values with their groups' numbers, and keeps arrays by group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np

from headrace.services.analytics.engine.evaluate import Compiled, TypeProblem
from headrace.services.analytics.engine.packing import pack_array, unpack_array
from headrace.services.analytics.engine.sqltypes import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    Array,
    SqlType,
    Vector,
    from_objects,
)


@dataclass(frozen=True, slots=True)
class Slots:
    """Which groups a batch's rows belong to: their numbers (`groups`), and the same among those in the batch (`local`).

    `where` gives the groups of the batch in the order of their local numbers, of which there are `size`.
    """

    groups: Array
    local: Array
    where: Array | slice
    size: int

    def known(self, column: Vector) -> tuple["Slots", Array]:
        """The slots and values of the rows that are not NULL."""
        if column.nulls is None:
            return self, column.values
        kept = ~column.nulls
        return Slots(self.groups[kept], self.local[kept], self.where, self.size), column.values[kept]


def slots_of(groups: Array, size: int) -> Slots:
    """The slots of rows, whose groups are among `size` groups."""
    if size <= 4 * len(groups) + 64:
        return Slots(groups, groups, slice(0, size), size)
    present, local = np.unique(groups, return_inverse=True)
    return Slots(groups, local, present, len(present))


class Accumulator:
    """The state of one aggregate for all groups: arrays, a place for each group."""

    type: SqlType
    fills: ClassVar[tuple[tuple[Any, Any], ...]] = ()

    def __init__(self, fills: Sequence[tuple[Any, Any]] | None = None) -> None:
        self._fills = self.fills if fills is None else fills
        self.arrays: list[Array] = [np.empty(0, dtype) for dtype, _ in self._fills]

    def grow(self, size: int) -> None:
        """Make room for so many groups."""
        for place, (dtype, fill) in enumerate(self._fills):
            old = self.arrays[place]
            if len(old) < size:
                new = np.full(max(size, 2 * len(old)), fill, dtype)
                new[: len(old)] = old
                self.arrays[place] = new

    def drop(self, count: int) -> None:
        """Forget the first groups."""
        self.arrays = [array[count:].copy() for array in self.arrays]

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Take rows: where their groups are, and the argument's values."""
        raise NotImplementedError

    def result(self, where: Array | slice) -> Vector:
        """The aggregate of some groups."""
        raise NotImplementedError

    def save(self, start: int, stop: int) -> list[Any]:
        """The state of some groups, packed."""
        return [pack_array(array[start:stop]) for array in self.arrays]

    def load(self, start: int, stop: int, packed: list[Any]) -> None:
        """Put back what `save` gave."""
        self.grow(stop)
        for array, one in zip(self.arrays, packed, strict=True):
            array[start:stop] = unpack_array(one)


class Count(Accumulator):
    """COUNT: of rows, or of values that are not NULL."""

    type = BIGINT
    fills = ((np.int64, 0),)

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Count."""
        chosen = slots if not columns else slots.known(columns[0])[0]
        self.arrays[0][slots.where] += np.bincount(chosen.local, minlength=slots.size)

    def result(self, where: Array | slice) -> Vector:
        """The counts."""
        return Vector(self.arrays[0][where])


class Sum(Accumulator):
    """SUM and AVG: a total and how many values it has."""

    def __init__(self, kind: SqlType, mean: bool) -> None:
        self._mean = mean
        self._decimal = kind.kind == "DECIMAL"
        self._floating = kind.is_approximate
        self.type = kind if mean else BIGINT if kind.is_whole else DOUBLE if self._floating else kind
        if self._decimal and not mean:
            self.type = SqlType("DECIMAL", 38, kind.scale)
        zero: Any = Decimal(0) if self._decimal else 0
        super().__init__(((object if self._decimal else np.float64 if self._floating else np.int64, zero), (np.int64, 0)))

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Add."""
        chosen, values = slots.known(columns[0])
        if self._floating:
            self.arrays[0][slots.where] += np.bincount(chosen.local, values, minlength=slots.size)
        else:
            np.add.at(self.arrays[0], chosen.groups, values)
        self.arrays[1][slots.where] += np.bincount(chosen.local, minlength=slots.size)

    def result(self, where: Array | slice) -> Vector:
        """The totals, or the means."""
        totals, counts = self.arrays[0][where], self.arrays[1][where]
        none = counts == 0
        if self._mean:
            safe = np.maximum(counts, 1)
            if self._decimal:
                totals = np.array([total / int(count) for total, count in zip(totals, safe, strict=True)] or [], object)
            elif self._floating:
                totals = totals / safe
            else:
                totals = np.where((totals < 0), -(-totals // safe), totals // safe)
        if self._decimal:
            totals = totals.copy()
            totals[none] = None
        return Vector(totals, none if none.any() else None)


class Extreme(Accumulator):
    """MIN and MAX."""

    def __init__(self, kind: SqlType, lowest: bool) -> None:
        self.type = kind
        self._lowest = lowest
        self._object = kind.is_object
        first: Any = None
        if kind.is_approximate:
            first = np.inf if lowest else -np.inf
        elif kind == BOOLEAN:
            first = lowest
        elif not self._object:
            first = np.iinfo(np.int64).max if lowest else np.iinfo(np.int64).min
        super().__init__(((kind.dtype, first), (np.bool_, False)))

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Compare."""
        found, values = slots.known(columns[0])
        chosen = found.groups
        best, seen = self.arrays
        if self._object:
            for group, value in zip(chosen.tolist(), values.tolist(), strict=True):
                old = best[group]
                if old is None or (value < old if self._lowest else value > old):
                    best[group] = value
        else:
            (np.minimum if self._lowest else np.maximum).at(best, chosen, values)
        seen[chosen] = True

    def result(self, where: Array | slice) -> Vector:
        """The extremes."""
        none = ~self.arrays[1][where]
        return Vector(self.arrays[0][where], none if none.any() else None)


class Spread(Accumulator):
    """VAR_POP, VAR_SAMP, STDDEV_POP, STDDEV_SAMP: number, mean and squared distances, merged batch by batch."""

    type = DOUBLE
    fills = ((np.float64, 0), (np.float64, 0), (np.float64, 0))

    def __init__(self, sample: bool, root: bool) -> None:
        super().__init__()
        self._sample, self._root = sample, root

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Merge the batch's number, mean and distances into each group's."""
        found, values = slots.known(columns[0])
        chosen, size, where = found.local, slots.size, slots.where
        count = np.bincount(chosen, minlength=size).astype(np.float64)
        safe = np.maximum(count, 1)
        mean = np.bincount(chosen, values, minlength=size) / safe
        squares = np.bincount(chosen, (values - mean[chosen]) ** 2, minlength=size)
        numbers, means, distances = self.arrays
        n, old = numbers[where], means[where]
        total = np.maximum(n + count, 1)
        delta = mean - old
        distances[where] += squares + delta**2 * n * count / total
        means[where] += delta * count / total
        numbers[where] += count

    def result(self, where: Array | slice) -> Vector:
        """Variances or deviations; NULL of too few values."""
        n, _, m2 = (array[where] for array in self.arrays)
        divisor = n - 1 if self._sample else n
        none = divisor <= 0
        variance = m2 / np.where(none, 1, divisor)
        return Vector(np.sqrt(variance) if self._root else variance, none if none.any() else None)


class Edge(Accumulator):
    """FIRST_VALUE and LAST_VALUE of a group, in the order of arrival."""

    def __init__(self, kind: SqlType, first: bool, ignore_nulls: bool) -> None:
        self.type = kind
        self._first, self._ignore = first, ignore_nulls
        super().__init__(((object, None), (np.bool_, False)))

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Keep the first or the last."""
        (column,) = columns
        groups = slots.groups
        if self._ignore:
            found, values = slots.known(column)
            groups, column = found.groups, Vector(values)
        plain = np.empty(len(column), object)
        plain[:] = column.to_list()
        kept, seen = self.arrays
        if self._first:
            new = ~seen[groups]
            groups, plain = groups[new][::-1], plain[new][::-1]  # of several, the last that is written stays
        kept[groups] = plain
        seen[groups] = True

    def result(self, where: Array | slice) -> Vector:
        """The values."""
        return typed(self.arrays[0][where], self.type)


class Distinct(Accumulator):
    """An aggregate of the distinct values: a set for each group."""

    def __init__(self, kind: SqlType, make: Callable[[set[Any]], Any]) -> None:
        self.type = kind
        self._make = make
        super().__init__(((object, None),))

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Add to the sets."""
        chosen, values = slots.known(columns[0])
        sets = self.arrays[0]
        for group, value in zip(chosen.groups.tolist(), values.tolist(), strict=True):
            found = sets[group]
            if found is None:
                sets[group] = {value}
            else:
                found.add(value)

    def result(self, where: Array | slice) -> Vector:
        """The aggregates."""
        made = np.empty(len(self.arrays[0][where]), object)
        made[:] = [self._make(found or set()) for found in self.arrays[0][where].tolist()]
        return typed(made, self.type)


class Quantor(Accumulator):
    """ANY and EVERY of conditions."""

    type = BOOLEAN

    def __init__(self, every: bool) -> None:
        super().__init__(((np.bool_, every), (np.bool_, False)))
        self._every = every

    def add(self, slots: Slots, columns: Sequence[Vector]) -> None:
        """Combine."""
        chosen, values = slots.known(columns[0])
        (np.logical_and if self._every else np.logical_or).at(self.arrays[0], chosen.groups, values)
        self.arrays[1][chosen.groups] = True

    def result(self, where: Array | slice) -> Vector:
        """Whether any, or every one, holds."""
        none = ~self.arrays[1][where]
        return Vector(self.arrays[0][where], none if none.any() else None)


def typed(values: Array, kind: SqlType) -> Vector:
    """An array of plain values, None for NULL, as its type stores it."""
    found = from_objects(values)
    if kind.is_object:
        return found
    if found.nulls is None:
        return Vector(values.astype(kind.dtype))
    return Vector(np.where(found.nulls, 0, values).astype(kind.dtype), found.nulls)


NAMES = {"COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "STDDEV_POP", "STDDEV_SAMP", "STDDEV", "VAR_POP",
         "VAR_SAMP", "VARIANCE", "ANY", "EVERY"}  # fmt: skip
_SPREADS = {
    "STDDEV_POP": (False, True), "STDDEV_SAMP": (True, True), "STDDEV": (True, True),
    "VAR_POP": (False, False), "VAR_SAMP": (True, False), "VARIANCE": (True, False),
}  # fmt: skip


def needs_double(name: str) -> bool:
    """Whether the function counts with floats whatever its argument is."""
    return name in _SPREADS


def check(name: str, arguments: Sequence[Compiled]) -> None:
    """Refuse arguments that a function cannot take."""
    count = len(arguments)
    if count != 1 and not (name == "COUNT" and count == 0):
        raise TypeProblem(f"Invalid number of arguments to function '{name}'")
    kind = arguments[0].type if arguments else BIGINT
    numeric = name in ("SUM", "AVG") or name in _SPREADS
    if (numeric and not (kind.is_number or kind.is_interval)) or (name in ("ANY", "EVERY") and kind != BOOLEAN):
        raise TypeProblem(f"Cannot apply '{name}' to arguments of type '{name}(<{kind}>)'")


def accumulator(name: str, kind: SqlType, distinct: bool, words: tuple[str, ...]) -> Accumulator:
    """The state of an aggregate function over values of a type."""
    if distinct and name in ("COUNT", "SUM", "AVG"):
        if name == "COUNT":
            return Distinct(BIGINT, len)
        single = Sum(kind, name == "AVG").type
        if name == "SUM":
            return Distinct(single, lambda found: sum(sorted(found)) if found else None)
        return Distinct(single, lambda found: _mean(found, single))
    if name == "COUNT":
        return Count()
    if name in ("SUM", "AVG"):
        return Sum(kind, name == "AVG")
    if name in ("MIN", "MAX"):
        return Extreme(kind, name == "MIN")
    if name in ("FIRST_VALUE", "LAST_VALUE"):
        return Edge(kind, name == "FIRST_VALUE", "IGNORE NULLS" in words)
    if name in ("ANY", "EVERY"):
        return Quantor(name == "EVERY")
    return Spread(*_SPREADS[name])


def _mean(found: set[Any], kind: SqlType) -> Any:
    if not found:
        return None
    total = sum(sorted(found))
    return int(total / len(found)) if kind.is_whole else total / len(found)
