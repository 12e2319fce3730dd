"""ORDER BY and DISTINCT over streams: within the bounds that a monotonic column gives."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.services.analytics.engine.nodes import Field, Node, Pieces, first_above
from headrace.services.analytics.engine.packing import decode, encode, pack_batch, unpack_batch, wrapped
from headrace.services.analytics.engine.sqltypes import Array, Batch, concatenate


class Sorted(Node):
    """Rows in an order whose first key is monotonic: held back until that key can come no more, then given sorted by the rest.

    The keys are the last columns below; they are taken off. ROWTIME of the rows becomes the time at which they are given.
    """

    def __init__(self, child: Node, width: int, down: Sequence[bool]) -> None:
        super().__init__([child])
        self.fields: Sequence[Field] = child.fields[:width]
        self._width = width
        self._down = down
        self._clocked = child.fields[width].clocked
        self._held: list[Batch] = []
        self._changed = False

    def step(self, clock: int) -> Batch | None:
        """The rows whose turn has come."""
        batch = self.children[0].step(clock)
        if batch is not None:
            self._held.append(batch)
            self._changed = True
        if not self._held:
            return None
        assert self._clocked is not None
        bound = self._clocked(np.array([clock], np.int64)).values[0]
        if self._held[0].columns[self._width].values[0] >= bound:
            return None
        columns = [concatenate(parts) for parts in zip(*(one.columns for one in self._held), strict=True)]
        held = Batch(columns, np.concatenate([one.times for one in self._held]))
        ready = held.columns[self._width].values < bound
        rest = held.take(~ready)
        self._held = [rest] if len(rest) else []
        self._changed = True
        return self._ordered(held.take(ready), clock)

    def _ordered(self, batch: Batch, clock: int) -> Batch:
        keys = [column.to_list() for column in batch.columns[self._width :]]
        order = list(range(len(batch)))
        for key, down in reversed(list(zip(keys, self._down, strict=True))):
            # NULLs are lowest, as in SQL-1_0.
            order.sort(key=lambda place: (key[place] is not None, key[place] if key[place] is not None else 0), reverse=down)
        made = batch.take(np.array(order, np.int64))
        return Batch(made.columns[: self._width], self._times(made, clock))

    def _times(self, batch: Batch, clock: int) -> Array:
        """When each row's first key was passed."""
        keys = batch.columns[self._width].values
        times = np.empty(len(batch), np.int64)
        for key in np.unique(keys):
            where = keys == key
            end = first_above(self._key_at, key, int(batch.times[where].max()), clock)
            times[where] = clock if end is None else end
        return times

    def _key_at(self, time: int) -> int:
        assert self._clocked is not None
        return int(self._clocked(np.array([time], np.int64)).values[0])

    def save(self, everything: bool) -> Pieces:
        """The rows that are held."""
        if not (everything or self._changed):
            return {}
        self._changed = self._changed and everything
        return {"held": encode([pack_batch(one) for one in self._held])}

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the rows back."""
        if "held" in pieces:
            self._held = [unpack_batch(one) for one in decode(pieces["held"])]


class Resorted(Node):
    """Rows that come out of the order of a time of their own, put into it: ORDER BY time WITHIN span.

    A row is held until the clock is a span after its time, which becomes its ROWTIME; so those who read these rows have a clock
    that lies a span behind. A row that comes more than a span after its time is late: it is reported. One without a time is left
    out. The time is the last column below; it is taken off.
    """

    def __init__(self, child: Node, within_ms: int) -> None:
        super().__init__([child])
        self.fields = child.fields[:-1]
        self.within_ms = within_ms
        self._held: list[Batch] = []
        self._changed = False

    def step(self, clock: int) -> Batch | None:
        """The rows whose time is a span before the clock, in order."""
        batch = self.children[0].step(clock)
        if batch is not None:
            own = batch.columns[-1]
            known = ~own.null_mask()
            late = known & (own.values < batch.times - self.within_ms)
            if late.any():
                self.report(batch, dict.fromkeys(np.flatnonzero(late).tolist(), "The row is out of order: it came too late"))
            self._held.append(batch.take(known & ~late))
            self._changed = True
        if not self._held:
            return None
        columns = [concatenate(parts) for parts in zip(*(one.columns for one in self._held), strict=True)]
        held = Batch(columns[:-1], columns[-1].values)
        ready = held.times <= clock - self.within_ms
        if not ready.any():
            self._held = [Batch(columns, columns[-1].values)]
            return None
        rest = Batch(columns, columns[-1].values).take(~ready)
        self._held = [rest] if len(rest) else []
        self._changed = True
        given = held.take(ready)
        return given.take(np.argsort(given.times, kind="stable"))

    def next_ms(self, clock: int) -> int | None:
        """When the first row that is held is given."""
        times = [int(one.columns[-1].values.min()) for one in self._held if len(one)]
        return min(times) + self.within_ms if times else None

    def save(self, everything: bool) -> Pieces:
        """The rows that are held."""
        if not (everything or self._changed):
            return {}
        self._changed = self._changed and everything
        return {"held": encode([pack_batch(one) for one in self._held])}

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the rows back."""
        if "held" in pieces:
            self._held = [unpack_batch(one) for one in decode(pieces["held"])]


class Distinct(Node):
    """Rows that were not there before, within each value of a monotonic column."""

    def __init__(self, child: Node, window: int) -> None:
        super().__init__([child])
        self.fields = child.fields
        self._window = window
        self._clocked = child.fields[window].clocked
        self._seen: dict[Any, set[Any]] = {}
        self._dirty: set[Any] = set()
        self._saved: set[Any] = set()

    def step(self, clock: int) -> Batch | None:
        """The first of each."""
        batch = self.children[0].step(clock)
        made = None
        if batch is not None:
            windows = batch.columns[self._window].to_list()
            new: list[int] = []
            for place, row in enumerate(zip(*(column.to_list() for column in batch.columns), strict=True)):
                seen = self._seen.setdefault(windows[place], set())
                if row not in seen:
                    seen.add(row)
                    self._dirty.add(windows[place])
                    new.append(place)
            made = batch.take(np.array(new, np.int64)) if new else None
        assert self._clocked is not None
        if self._seen:
            bound = self._clocked(np.array([clock], np.int64)).values[0]
            for window in [one for one in self._seen if one < bound]:
                del self._seen[window]
        return made

    def save(self, everything: bool) -> Pieces:
        """A piece for each value of the monotonic column."""
        pieces: Pieces = {
            str(window): encode([window, wrapped(list(seen))])
            for window, seen in self._seen.items()
            if everything or window in self._dirty
        }
        if everything:
            return pieces
        for gone in self._saved - set(self._seen):
            pieces[str(gone)] = None
        self._saved = set(self._seen)
        self._dirty.clear()
        return pieces

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the rows back."""
        for data in pieces.values():
            window, rows = decode(data)
            self._seen[window] = set(rows)
        self._saved = set(self._seen)
