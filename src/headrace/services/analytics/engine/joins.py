"""Joins: of two streams within windows, and of a stream with a reference table."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from typing import Any

import numpy as np

from headrace.services.analytics.engine.arithmetic import truth
from headrace.services.analytics.engine.casting import cast
from headrace.services.analytics.engine.evaluate import Compiled, Rows
from headrace.services.analytics.engine.expressions import compiled
from headrace.services.analytics.engine.lexer import Source
from headrace.services.analytics.engine.nodes import Field, Node, Pieces, passed
from headrace.services.analytics.engine.packing import decode, encode, wrapped
from headrace.services.analytics.engine.references import ReferenceTable
from headrace.services.analytics.engine.sqltypes import Batch, Vector, all_null, common_type, from_list
from headrace.services.analytics.engine.syntax import Call, Column, Expr, Frame, mapped, walk

CHUNK = 2048  # rows in a piece of the state
Pair = tuple[Compiled, Compiled]


def split_condition(on: Expr | None, offset: int, source: Source) -> tuple[list[Pair], Expr | None]:
    """Take the equalities between both sides out of a condition: (left, right) each over its own side; and what is left."""
    pairs: list[Pair] = []
    rest: list[Expr] = []
    for part in _conjuncts(on):
        pair = _pair(part, offset, source)
        if pair is None:
            rest.append(part)
        else:
            pairs.append(pair)
    made: Expr | None = None
    for part in rest:
        made = part if made is None else Call("AND", (made, part), at=part.at)
    return pairs, made


def _conjuncts(expression: Expr | None) -> list[Expr]:
    if expression is None:
        return []
    if isinstance(expression, Call) and expression.name == "AND":
        return [part for argument in expression.arguments for part in _conjuncts(argument)]
    return [expression]


def _pair(part: Expr, offset: int, source: Source) -> Pair | None:
    if not isinstance(part, Call) or part.name != "=":
        return None
    left, right = part.arguments
    if _side(left, offset) == 1 and _side(right, offset) == 0:
        left, right = right, left
    if _side(left, offset) != 0 or _side(right, offset) != 1:
        return None

    def shift(expression: Expr) -> Expr:
        if isinstance(expression, Column):
            return replace(expression, place=expression.place - offset)
        made: Expr = mapped(expression, shift)
        return made

    one, two = compiled(left, source), compiled(shift(right), source)
    kind = common_type(one.type, two.type)
    if kind is None:
        return None
    if kind.is_text:
        return one, two
    return cast(one, kind), cast(two, kind)


def _side(expression: Expr, offset: int) -> int | None:
    places = [one.place for one in walk(expression) if isinstance(one, Column)]
    if not places or min(places) < 0:
        return None
    if max(places) < offset:
        return 0
    return 1 if min(places) >= offset else None


@dataclass(frozen=True, slots=True)
class Side:
    """A side of a join: its rows, the window over it, and whether it is a join itself (then ROWTIMEs are among its columns)."""

    node: Node
    frame: Frame | None
    joined: bool


def side_columns(batch: Batch, joined: bool) -> list[Vector]:
    """A side's columns in a join's rows."""
    return batch.columns if joined else [*batch.columns, Vector(batch.times)]


def key_list(rows: Rows, runs: Sequence[Compiled]) -> list[tuple[Any, ...]]:
    """Plain keys of rows. One with a NULL among its parts equals nothing."""
    lists = [one.run(rows).to_list() for one in runs]
    return list(zip(*lists, strict=True)) if lists else [()] * len(rows)


@dataclass(slots=True)
class Held:
    """A row in a window; `parts` of its key, of which none may be NULL in a pair."""

    parts: tuple[Any, ...]
    values: tuple[Any, ...]
    time: int
    matched: bool = False
    chunk: int = 0

    @property
    def key(self) -> tuple[Any, ...] | None:
        """What it is found by."""
        return None if None in self.parts else self.parts


@dataclass
class Window:
    """The rows of a side that can still be joined."""

    frame: Frame | None
    rows: deque[Held] = field(default_factory=deque)
    by_key: dict[Any, deque[Held]] = field(default_factory=dict)
    added: int = 0
    dirty: set[int] = field(default_factory=set)
    saved: set[str] = field(default_factory=set)

    def add(self, row: Held) -> list[Held]:
        """Take a row; the rows that leave for it."""
        row.chunk = self.added // CHUNK
        self.added += 1
        self.dirty.add(row.chunk)
        self.rows.append(row)
        self.by_key.setdefault(row.key, deque()).append(row)
        if self.frame is None or self.frame.rows is None:
            return []
        return [self._pop() for _ in range(len(self.rows) - self.frame.rows - 1)]

    def expire(self, time: int) -> list[Held]:
        """The rows that have left by a time."""
        gone: list[Held] = []
        if self.frame is not None and self.frame.range_ms is not None:
            span = max(self.frame.range_ms, 1)
            while self.rows and self.rows[0].time + span <= time:
                gone.append(self._pop())
        return gone

    def _pop(self) -> Held:
        row = self.rows.popleft()
        self.dirty.add(row.chunk)
        same = self.by_key[row.key]
        same.popleft()
        if not same:
            del self.by_key[row.key]
        return row

    def matches(self, key: Any) -> Sequence[Held]:
        """The rows with a key."""
        return () if key is None else self.by_key.get(key, ())

    def save(self, everything: bool) -> Pieces:
        """A piece for each so many rows."""
        first = self.added - len(self.rows)
        present = range(first // CHUNK, -(-self.added // CHUNK)) if self.rows else range(0)
        pieces: Pieces = {}
        for chunk in present:
            if everything or chunk in self.dirty:
                start, stop = max(chunk * CHUNK, first) - first, min((chunk + 1) * CHUNK, self.added) - first
                rows = list(islice(self.rows, start, stop))
                keys = [wrapped(list(column)) for column in zip(*(row.parts for row in rows), strict=True)]
                values = [wrapped(list(column)) for column in zip(*(row.values for row in rows), strict=True)]
                matched = [row.matched for row in rows]
                pieces[str(chunk)] = encode([self.added, keys, values, [row.time for row in rows], matched])
        if everything:
            return pieces
        names = {str(chunk) for chunk in present}
        for gone in self.saved - names:
            pieces[gone] = None
        self.saved = names
        self.dirty.clear()
        return pieces

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the rows back."""
        self.saved = set(pieces)
        for name in sorted(pieces, key=int):
            self.added, keys, columns, times, matched = decode(pieces[name])
            parts = zip(*keys, strict=True) if keys else repeat((), len(times))
            for part, values, time, found in zip(parts, zip(*columns, strict=True), times, matched, strict=True):
                row = Held(part, values, time, found, int(name))
                self.rows.append(row)
                self.by_key.setdefault(row.key, deque()).append(row)


class Joined(Node):
    """Two streams: a row is paired, when it comes, with those that the other side's window then has.

    A side without a window is not kept: only its rows that come now are paired. A row of a kept side of an outer join that finds
    no partner is given out when it leaves its window, with that time; at once when its side has none.
    """

    def __init__(
        self, kind: str, sides: tuple[Side, Side], fields: Sequence[Field], pairs: Sequence[Pair], check: Compiled | None,
        offset: int,
    ) -> None:  # fmt: skip
        super().__init__([side.node for side in sides])
        self.fields = fields
        self._sides = sides
        self._runs = [[pair[place] for pair in pairs] for place in (0, 1)]
        self._check = check
        self._kept = (kind in ("LEFT", "FULL"), kind in ("RIGHT", "FULL"))
        self._widths = (offset, len(fields) - offset)
        self._windows = (Window(sides[0].frame), Window(sides[1].frame))

    def step(self, clock: int) -> Batch | None:
        """The pairs of this step, and the rows that found none."""
        events: list[tuple[int, int, int, Held]] = []
        for place, side in enumerate(self._sides):
            batch = self.children[place].step(clock)
            if batch is not None:
                events += [(row.time, number, place, row) for row, number in self._rows(place, batch, side)]
        events.sort(key=lambda event: event[:3])
        pairs: list[tuple[int, Held, Held]] = []
        alone: list[tuple[int, int, Held]] = []
        for time, _, place, row in events:
            own, other = self._windows[place], self._windows[1 - place]
            for number, window in enumerate(self._windows):
                alone += [(self._end(gone, number), number, gone) for gone in window.expire(time)]
            for match in other.matches(row.key):
                pairs.append((time, row, match) if place == 0 else (time, match, row))
            if own.frame is not None:
                alone += [(time, place, gone) for gone in own.add(row)]
            else:
                alone.append((time, place, row))
        for number, window in enumerate(self._windows):
            alone += [(self._end(gone, number), number, gone) for gone in window.expire(clock)]
        return self._given(pairs, alone)

    def _end(self, row: Held, place: int) -> int:
        frame = self._windows[place].frame
        assert frame is not None
        return row.time + max(frame.range_ms or 0, 1)

    def _rows(self, place: int, batch: Batch, side: Side) -> list[tuple[Held, int]]:
        rows = Rows(batch.columns if side.joined else [*batch.columns, Vector(batch.times)], batch.times)
        keys = key_list(rows, self._runs[place])
        kept = passed(self, batch, rows)
        columns = [column.to_list() for column in side_columns(batch, side.joined)]
        made = [
            Held(key, values, time)
            for key, values, time in zip(keys, zip(*columns, strict=True), batch.times.tolist(), strict=True)
        ]
        numbered = list(zip(made, batch.numbers().tolist(), strict=True))
        return numbered if kept is None else [row for row, fine in zip(numbered, kept.tolist(), strict=True) if fine]

    def _given(self, pairs: list[tuple[int, Held, Held]], alone: list[tuple[int, int, Held]]) -> Batch | None:
        found = self._batch([(time, left.values + right.values) for time, left, right in pairs])
        if found is not None and self._check is not None:
            rows = Rows(found.columns, found.times)
            holds = truth(self._check.run(rows))
            kept = passed(self, found, rows)
            holds = holds if kept is None else holds & kept
            pairs = [pair for pair, fine in zip(pairs, holds.tolist(), strict=True) if fine]
        for _, *both in pairs:
            for place, row in enumerate(both):
                if self._kept[place] and not row.matched:
                    row.matched = True
                    self._windows[place].dirty.add(row.chunk)
        given = [(time, left.values + right.values) for time, left, right in pairs]
        for time, place, row in alone:
            if self._kept[place] and not row.matched:
                nulls = (None,) * self._widths[1 - place]
                given.append((time, row.values + nulls if place == 0 else nulls + row.values))
        given.sort(key=lambda one: one[0])
        return self._batch(given)

    def _batch(self, given: list[tuple[int, tuple[Any, ...]]]) -> Batch | None:
        if not given:
            return None
        columns = zip(*(values for _, values in given), strict=True)
        vectors = [from_list(list(column), one.type) for column, one in zip(columns, self.fields, strict=True)]
        return Batch(vectors, np.array([time for time, _ in given], np.int64))

    def next_ms(self, clock: int) -> int | None:
        """When the first row leaves that may have found no partner."""
        ends = [
            self._end(window.rows[0], place)
            for place, window in enumerate(self._windows)
            if self._kept[place] and window.rows and window.frame is not None and window.frame.range_ms is not None
        ]
        return min(ends) if ends else None

    def save(self, everything: bool) -> Pieces:
        """The pieces of both windows."""
        return {
            f"{place}/{name}": piece
            for place, window in enumerate(self._windows)
            for name, piece in window.save(everything).items()
        }

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put both windows back."""
        for place, window in enumerate(self._windows):
            window.load({name[2:]: piece for name, piece in pieces.items() if name[:2] == f"{place}/"})


class TableJoined(Node):
    """A stream's rows with the rows of a reference table that go with them."""

    def __init__(
        self, child: Node, table: ReferenceTable, fields: Sequence[Field], pairs: Sequence[Pair], check: Compiled | None,
        outer: bool, swapped: bool, joined: bool,
    ) -> None:  # fmt: skip
        super().__init__([child])
        self.fields = fields
        self._table = table
        self._streamed = [pair[1 if swapped else 0] for pair in pairs]
        self._looked_up = [pair[0 if swapped else 1] for pair in pairs]
        self._check, self._outer, self._swapped, self._joined = check, outer, swapped, joined
        self._index: dict[Any, list[int]] = {}
        self._version = -1

    def _lookup(self) -> dict[Any, list[int]]:
        if self._version != self._table.version:
            rows = Rows(self._table.columns, np.zeros(self._table.size, np.int64))
            self._index = {}
            for place, key in enumerate(key_list(rows, self._looked_up)):
                if None not in key:
                    self._index.setdefault(key, []).append(place)
            self._version = self._table.version
        return self._index

    def step(self, clock: int) -> Batch | None:
        """The rows with their partners."""
        batch = self.children[0].step(clock)
        if batch is None:
            return None
        rows = Rows(side_columns(batch, self._joined), batch.times)
        found = map(self._lookup().get, key_list(rows, self._streamed))  # a NULL is in no key of the table
        kept = passed(self, batch, rows)
        left: list[int] = []
        right: list[int] = []
        for place, matches in enumerate(found):
            if matches and (kept is None or kept[place]):
                left += [place] * len(matches)
                right += matches
        paired = self._together(batch, left, right)
        if self._check is not None and len(paired):
            checked = Rows(paired.columns, paired.times)
            holds = truth(self._check.run(checked))
            fine = passed(self, paired, checked)
            holds = holds if fine is None else holds & fine
            paired = paired.take(holds)
            left = np.array(left, np.int64)[holds].tolist()
        if not self._outer:
            return paired if len(paired) else None
        missing = np.ones(len(batch), np.bool_) if kept is None else kept.copy()
        missing[left] = False
        alone = np.flatnonzero(missing).tolist()
        order = np.argsort(np.array([*left, *alone], np.int64), kind="stable")
        lonely = self._together(batch, alone, None)
        columns = [
            Vector(np.concatenate([a.values, b.values]), np.concatenate([a.null_mask(), b.null_mask()])).take(order)
            for a, b in zip(paired.columns, lonely.columns, strict=True)
        ]
        if not len(order):
            return None
        numbers = np.concatenate([paired.numbers(), lonely.numbers()])[order]
        return Batch(columns, np.concatenate([paired.times, lonely.times])[order], numbers)

    def _together(self, batch: Batch, left: list[int], right: list[int] | None) -> Batch:
        places = np.array(left, np.int64)
        streamed = [column.take(places) for column in side_columns(batch, self._joined)]
        if right is None:
            looked_up = [all_null(len(left), one.type) for one in self._table.fields]
        else:
            looked_up = [column.take(np.array(right, np.int64)) for column in self._table.columns]
        columns = [*looked_up, *streamed] if self._swapped else [*streamed, *looked_up]
        return Batch(columns, batch.times[places], batch.numbers()[places])
