"""Aggregates over tumbling and stagger windows: groups with a place in arrays, closed by time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from headrace.services.analytics.engine.aggregates import Accumulator, slots_of
from headrace.services.analytics.engine.evaluate import Compiled, Rows
from headrace.services.analytics.engine.nodes import Clock, Field, Node, Pieces, passed
from headrace.services.analytics.engine.packing import decode, encode, pack_array, unpack_array, wrapped
from headrace.services.analytics.engine.sqltypes import (
    Array,
    Batch,
    SqlType,
    Vector,
    from_list,
    merge,
)

BLOCK = 4096  # groups in a piece of the state


class Numbers(dict[Any, int]):
    """Numbers keys in the order in which they are first seen."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_in_order: list[Any] = []

    def __missing__(self, key: Any) -> int:
        number = self[key] = len(self.keys_in_order)
        self.keys_in_order.append(key)
        return number


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate of a query: how its state is made, and its argument."""

    make: Callable[[], Accumulator]
    argument: Compiled | None


@dataclass(slots=True)
class Prepared:
    """A batch's keys and arguments, computed."""

    keys: list[Vector]
    arguments: list[list[Vector]]
    times: Array

    def take(self, where: Array | slice) -> "Prepared":
        """Some of the rows."""
        arguments = [[column.take(where) for column in columns] for columns in self.arguments]
        return Prepared([key.take(where) for key in self.keys], arguments, self.times[where])

    def key_list(self, size: int) -> list[Any]:
        """The keys as plain values: the value itself for one column, tuples for several."""
        if not self.keys:
            return [()] * size
        if len(self.keys) == 1:
            return self.keys[0].to_list()
        return list(zip(*(key.to_list() for key in self.keys), strict=True))


def prepare(node: Node, batch: Batch, keys: Sequence[Compiled], aggregates: Sequence[Aggregate]) -> Prepared | None:
    """Compute keys and arguments; rows that fail are reported and left out."""
    rows = Rows(batch.columns, batch.times)
    key_columns = [key.run(rows) for key in keys]
    arguments = [[one.argument.run(rows)] if one.argument is not None else [] for one in aggregates]
    made = Prepared(key_columns, arguments, batch.times)
    kept = passed(node, batch, rows)
    if kept is None:
        return made
    return made.take(kept) if kept.any() else None


def key_columns(keys: list[Any], kinds: Sequence[SqlType]) -> list[Vector]:
    """Plain keys as columns again."""
    if len(kinds) == 1:
        return [from_list(keys, kinds[0])]
    columns = zip(*keys, strict=True) if keys else [()] * len(kinds)
    return [from_list(list(column), kind) for column, kind in zip(columns, kinds, strict=False)]


class Groups:
    """The groups of one window."""

    def __init__(self, kinds: Sequence[SqlType], aggregates: Sequence[Aggregate]) -> None:
        self._kinds = kinds
        self.numbers = Numbers()
        self.accumulators = [one.make() for one in aggregates]
        self.dirty: set[int] = set()
        self.first_ms = 0

    def add(self, prepared: Prepared) -> None:
        """Take rows."""
        count = len(prepared.times)
        if not self.numbers.keys_in_order:
            self.first_ms = int(prepared.times[0])
        keys = prepared.key_list(count)
        groups = np.fromiter(map(self.numbers.__getitem__, keys), np.int64, count)
        size = len(self.numbers.keys_in_order)
        slots = slots_of(groups, size)
        for accumulator, columns in zip(self.accumulators, prepared.arguments, strict=True):
            accumulator.grow(size)
            accumulator.add(slots, columns)
        self.dirty.update(np.unique(groups // BLOCK).tolist() if size > BLOCK else (0,))

    def result(self) -> list[Vector]:
        """Keys, then aggregates, of all groups."""
        size = len(self.numbers.keys_in_order)
        keys = key_columns(self.numbers.keys_in_order, self._kinds) if self._kinds else []
        return [*keys, *(accumulator.result(slice(0, size)) for accumulator in self.accumulators)]

    def blocks(self) -> int:
        """How many pieces its state has."""
        return -(-len(self.numbers.keys_in_order) // BLOCK)

    def save(self, block: int) -> bytes:
        """A piece of the state."""
        start = block * BLOCK
        keys = self.numbers.keys_in_order[start : start + BLOCK]
        stop = start + len(keys)
        return encode([self.first_ms, wrapped(keys), [one.save(start, stop) for one in self.accumulators]])

    def load(self, block: int, data: bytes) -> None:
        """Put back a piece; pieces come in their order."""
        self.first_ms, keys, packed = decode(data)
        start = block * BLOCK
        for key in keys:
            self.numbers[key]
        for accumulator, one in zip(self.accumulators, packed, strict=True):
            accumulator.load(start, start + len(keys), one)


class Tumbling(Node):
    """GROUP BY with a key that follows from time: a window for each value of that key, closed when the clock has passed it.

    Rows that it gives: keys in the order of the query, then aggregates. Their ROWTIME is the end of the window.
    Without a `clock` the key is said to be MONOTONIC: a window closes when a higher key comes.
    """

    def __init__(
        self, child: Node, fields: Sequence[Field], keys: Sequence[Compiled], window: int, clock: Clock | None,
        aggregates: Sequence[Aggregate],
    ) -> None:  # fmt: skip
        super().__init__([child])
        self.fields = fields
        self._keys = keys
        self._window = window
        self._clock = clock
        self._aggregates = aggregates
        self._other_kinds = [key.type for place, key in enumerate(keys) if place != window]
        self._windows: dict[int, Groups] = {}
        self._saved: set[str] = set()

    def step(self, clock: int) -> Batch | None:
        """The windows that closed."""
        batch = self.children[0].step(clock)
        prepared = prepare(self, batch, self._keys, self._aggregates) if batch is not None else None
        if self._clock is None:
            return self._declared(prepared)
        if prepared is not None:
            self._take(prepared)
        bound = self._clock.at(clock) if self._windows else 0
        closed = []
        for window in sorted(self._windows):
            if window >= bound:
                break
            groups = self._windows.pop(window)
            end = self._clock.end(window, groups.first_ms, clock)
            closed.append(self._emit(window, groups, clock if end is None else end))
        return merge(closed) if closed else None

    def _take(self, prepared: Prepared) -> None:
        windows = prepared.keys[self._window].values
        others = [key for place, key in enumerate(prepared.keys) if place != self._window]
        rest = Prepared(others, prepared.arguments, prepared.times)
        edges = np.flatnonzero(windows[1:] != windows[:-1]) + 1
        bounds = [0, *edges.tolist(), len(windows)]
        for start, stop in pairwise(bounds):
            window = windows[start].item()
            if window not in self._windows:
                self._windows[window] = Groups(self._other_kinds, self._aggregates)
            part = rest if stop - start == len(windows) else rest.take(slice(start, stop))
            self._windows[window].add(part)

    def _declared(self, prepared: Prepared | None) -> Batch | None:
        """Windows of a MONOTONIC key: the first row with a higher key closes those below it."""
        if prepared is None:
            return None
        windows, times = prepared.keys[self._window].values, prepared.times
        self._take(prepared)
        bound = max(self._windows)
        closed = []
        for window in sorted(self._windows):
            if window < bound:
                later = np.flatnonzero(windows > window)
                groups = self._windows.pop(window)
                closed.append(self._emit(window, groups, int(times[later[0]] if len(later) else times[-1])))
        return merge(closed) if closed else None

    def _emit(self, window: int, groups: Groups, time: int) -> Batch:
        columns = groups.result()
        size = len(groups.numbers.keys_in_order)
        kind = self._keys[self._window].type
        columns.insert(self._window, Vector(np.full(size, window, kind.dtype)))
        return Batch(columns, np.full(size, time, np.int64))

    def next_ms(self, clock: int) -> int | None:
        """The end of the first window that is open."""
        if self._clock is None or not self._windows:
            return None
        first = min(self._windows)
        return self._clock.end(first, self._windows[first].first_ms)

    def save(self, everything: bool) -> Pieces:
        """A piece for each block of groups of each window."""
        pieces: Pieces = {}
        present: set[str] = set()
        for window, groups in self._windows.items():
            for block in range(groups.blocks()):
                name = f"{window}/{block}"
                present.add(name)
                if everything or block in groups.dirty:
                    pieces[name] = groups.save(block)
            if not everything:
                groups.dirty.clear()
        if everything:
            return pieces
        for gone in self._saved - present:
            pieces[gone] = None
        self._saved = present
        return pieces

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the windows back."""
        for name in sorted(pieces, key=lambda name: int(name.split("/")[1])):
            window, block = name.split("/")
            number = float(window) if "." in window or "e" in window else int(window)
            groups = self._windows.setdefault(number, Groups(self._other_kinds, self._aggregates))  # type: ignore[arg-type]
            groups.load(int(block), pieces[name])
        self._saved = set(pieces)


class Stagger(Node):
    """WINDOWED BY STAGGER: each key opens a window with its first row, which closes a fixed time later.

    A window has a place in the arrays as long as it, or one that opened before it, is open.
    """

    def __init__(
        self, child: Node, fields: Sequence[Field], keys: Sequence[Compiled], range_ms: int, aggregates: Sequence[Aggregate]
    ) -> None:
        super().__init__([child])
        self.fields = fields
        self._keys = keys
        self._range_ms = range_ms
        self._aggregates = aggregates
        self._kinds = [key.type for key in keys]
        self._open: dict[Any, int] = {}
        self._names: list[Any] = []
        self._closes = np.empty(0, np.int64)
        self._first = 0  # the number of the window that has the first place
        self._accumulators = [one.make() for one in aggregates]
        self._dirty: set[int] = set()
        self._saved: set[str] = set()

    def step(self, clock: int) -> Batch | None:
        """The windows that closed, in the order in which they did."""
        batch = self.children[0].step(clock)
        prepared = prepare(self, batch, self._keys, self._aggregates) if batch is not None else None
        while prepared is not None:
            prepared = self._take(prepared)
        closing = np.flatnonzero(self._closes <= clock)
        return self._close(closing) if len(closing) else None

    def _take(self, prepared: Prepared) -> Prepared | None:
        """Add the rows whose windows are open or can be opened; those that come after their window closed are left over."""
        count = len(prepared.times)
        keys = prepared.key_list(count)
        current = self._open
        before = len(self._names)
        times = prepared.times.tolist()
        numbers = np.empty(count, np.int64)
        opened: list[int] = []
        for place, key in enumerate(keys):
            found = current.get(key)
            if found is None:
                found = current[key] = self._first + len(self._names)
                self._names.append(key)
                opened.append(times[place] + self._range_ms)
            numbers[place] = found
        if opened:
            self._closes = np.concatenate([self._closes[:before], np.array(opened, np.int64)])
        places = numbers - self._first
        late = prepared.times >= self._closes[places]
        if late.any():
            for place in np.flatnonzero(late).tolist():
                key = keys[place]
                if current.get(key) == int(numbers[place]):
                    del current[key]
            self._add(places[~late], prepared.take(~late))
            return prepared.take(late)
        self._add(places, prepared)
        return None

    def _add(self, places: Array, prepared: Prepared) -> None:
        if not len(places):
            return
        size = len(self._names)
        slots = slots_of(places, size)
        for accumulator, columns in zip(self._accumulators, prepared.arguments, strict=True):
            accumulator.grow(size)
            accumulator.add(slots, columns)
        self._dirty.update(np.unique((places + self._first) // BLOCK).tolist())

    def _close(self, closing: Array) -> Batch:
        order = closing[np.argsort(self._closes[closing], kind="stable")]
        keys = [self._names[place] for place in order.tolist()]
        columns = key_columns(keys, self._kinds) if self._kinds else []
        columns += [accumulator.result(order) for accumulator in self._accumulators]
        made = Batch(columns, self._closes[order])
        for place, key in zip(order.tolist(), keys, strict=True):
            if self._open.get(key) == self._first + place:
                del self._open[key]
        self._closes[closing] = np.iinfo(np.int64).max
        self._dirty.update(np.unique((closing + self._first) // BLOCK).tolist())
        self._compact()
        return made

    def _compact(self) -> None:
        """Forget the blocks at the beginning in which no window is open."""
        alive = np.flatnonzero(self._closes != np.iinfo(np.int64).max)
        first = int(alive[0]) if len(alive) else len(self._names)
        drop = (self._first + first) // BLOCK * BLOCK - self._first
        if drop > 0 and (drop * 2 >= len(self._names) or not len(alive)):
            del self._names[:drop]
            self._closes = self._closes[drop:].copy()
            for accumulator in self._accumulators:
                accumulator.drop(drop)
            self._first += drop

    def next_ms(self, clock: int) -> int | None:
        """When the first window closes."""
        first = int(self._closes.min()) if len(self._closes) else np.iinfo(np.int64).max
        return None if first == np.iinfo(np.int64).max else first

    def save(self, everything: bool) -> Pieces:
        """A piece for each block of windows."""
        pieces: Pieces = {}
        low, high = self._first // BLOCK, -(-(self._first + len(self._names)) // BLOCK)
        present = {str(block) for block in range(low, high)}
        for block in range(low, high):
            if everything or block in self._dirty:
                start = max(block * BLOCK - self._first, 0)
                stop = min((block + 1) * BLOCK - self._first, len(self._names))
                saved = [one.save(start, stop) for one in self._accumulators]
                closes = pack_array(self._closes[start:stop])
                pieces[str(block)] = encode([self._first + start, wrapped(self._names[start:stop]), closes, saved])
        if everything:
            return pieces
        self._dirty.clear()
        for gone in self._saved - present:
            pieces[gone] = None
        self._saved = present
        return pieces

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the windows back."""
        self._saved = set(pieces)
        closes = []
        for number, name in enumerate(sorted(pieces, key=int)):
            first, names, packed, saved = decode(pieces[name])
            if not number:
                self._first = first
            start = len(self._names)
            self._names += names
            closes.append(unpack_array(packed))
            for accumulator, one in zip(self._accumulators, saved, strict=True):
                accumulator.load(start, start + len(names), one)
        if closes:
            self._closes = np.concatenate(closes)
        for place, key in enumerate(self._names):
            if self._closes[place] != np.iinfo(np.int64).max:
                self._open[key] = self._first + place
