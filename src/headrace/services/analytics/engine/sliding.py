"""Functions OVER sliding windows: each row is given out at once, with what its window holds when it comes."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headrace.services.analytics.engine import aggregates
from headrace.services.analytics.engine.casting import cast
from headrace.services.analytics.engine.evaluate import Compiled, Rows, TypeProblem
from headrace.services.analytics.engine.nodes import Field, Node, Pieces, passed
from headrace.services.analytics.engine.packing import decode, encode, wrapped
from headrace.services.analytics.engine.sliders import Slider, slider
from headrace.services.analytics.engine.sqltypes import DOUBLE, Array, Batch, SqlType, from_list
from headrace.services.analytics.engine.syntax import Call, Frame

CHUNK = 2048  # rows in a piece of the state of a time-based window
BUCKETS = 64  # pieces of the state of a row-based window


@dataclass(frozen=True, slots=True)
class Measure:
    """A function over a window: its type, its arguments, and the window."""

    type: SqlType
    make: Callable[[], Slider]
    arguments: Sequence[Compiled]
    frame: Frame
    partition: Sequence[Compiled]


def measured(call: Call, frame: Frame, arguments: list[Compiled], partition: list[Compiled]) -> Measure:
    """A function over a window. TypeProblem where it cannot be."""
    if call.name in aggregates.NAMES:
        aggregates.check(call.name, arguments)
    if aggregates.needs_double(call.name) or call.name == "EXP_AVG":
        arguments = [cast(arguments[0], DOUBLE), *arguments[1:]]
    kind, make, varying = slider(call, arguments)
    if frame.range_ms is None and frame.rows is None:
        if call.name != "LAG":
            raise TypeProblem("A window over a stream needs RANGE or ROWS")
        offset = arguments[1].constant if len(arguments) > 1 else 1
        frame = Frame(frame.partition, None, offset)
    used = arguments[:1] if varying == 1 else [arguments[0], arguments[2]] if varying == 3 else []
    return Measure(kind, make, used, frame, partition)


@dataclass(slots=True)
class Partition:
    """The window of one partition: when its rows came, and a state for each function."""

    bucket: int
    sliders: list[Slider]
    times: deque[int] = field(default_factory=deque)
    rows: deque[tuple[Any, ...]] = field(default_factory=deque)

    def drop(self, limit: int) -> None:
        """Rows that are not after a time leave."""
        while self.times and self.times[0] <= limit:
            self.times.popleft()
            for one in self.sliders:
                one.pop()


@dataclass(slots=True)
class Chunk:
    """Rows in the order in which they came: what a time-based window is made of again."""

    times: list[int]
    keys: list[Any]
    columns: list[list[Any]]


class FrameState:
    """All functions over one window, for all partitions."""

    def __init__(self, frame: Frame, partition: Sequence[Compiled], measures: Sequence[tuple[int, Measure]]) -> None:
        self._range_ms, self._count = frame.range_ms, frame.rows
        self.partition = partition
        self.measures = measures
        widths = [len(measure.arguments) for _, measure in measures]
        self._spans = [(sum(widths[:place]), sum(widths[: place + 1])) for place in range(len(widths))]
        self._partitions: dict[Any, Partition] = {}
        self._made = 0
        self._members: dict[int, list[Any]] = {}  # of a bucket: its keys, for windows of rows
        self._chunks: deque[tuple[int, Chunk]] = deque()
        self._next_chunk = 0
        self._dirty: set[int] = set()
        self._saved: set[str] = set()

    def run(self, keys: list[Any], columns: list[list[Any]], times: list[int]) -> list[list[Any]]:
        """Take rows; the values of each function, row by row."""
        if self._range_ms is not None:
            self._remember(keys, columns, times)
        return self._extend(keys, columns, times)

    def _extend(self, keys: list[Any], columns: list[list[Any]], times: list[int]) -> list[list[Any]]:
        out: list[list[Any]] = [[None] * len(times) for _ in self.measures]
        places: dict[Any, list[int]] = {}
        for place, key in enumerate(keys):
            if key in places:
                places[key].append(place)
            else:
                places[key] = [place]
        for key, where in places.items():
            found = self._partitions.get(key)
            if found is None:
                found = self._partitions[key] = self._partition(key)
            own_times = [times[place] for place in where]
            own = [[column[place] for place in where] for column in columns]
            pops = self._pops(found, own_times, own)
            for number, one in enumerate(found.sliders):
                start, stop = self._spans[number]
                target = out[number]
                for place, value in zip(where, one.extend(own[start:stop], pops, own_times), strict=True):
                    target[place] = value
        return out

    def _partition(self, key: Any) -> Partition:
        made = Partition(self._made % BUCKETS, [measure.make() for _, measure in self.measures])
        self._made += 1
        if self._range_ms is None:
            self._members.setdefault(made.bucket, []).append(key)
        return made

    def _pops(self, found: Partition, times: list[int], columns: list[list[Any]]) -> list[int]:
        """How many rows leave the window before each row comes in."""
        pops: list[int] = []
        window = found.times
        if self._range_ms is None:
            assert self._count is not None
            most = self._count
            self._dirty.add(found.bucket)
            found.rows.extend(zip(*columns, strict=True) if columns else [()] * len(times))
            for time in times:
                pop = max(len(window) - most, 0)
                for _ in range(pop):
                    window.popleft()
                    found.rows.popleft()
                window.append(time)
                pops.append(pop)
            return pops
        # Without a span the window has the rows of the same moment.
        span = self._range_ms or 1
        for time in times:
            limit = time - span
            pop = 0
            while window and window[0] <= limit:
                window.popleft()
                pop += 1
            window.append(time)
            pops.append(pop)
        return pops

    def _remember(self, keys: list[Any], columns: list[list[Any]], times: list[int]) -> None:
        start = 0
        while start < len(times):
            if not self._chunks or len(self._chunks[-1][1].times) >= CHUNK:
                self._chunks.append((self._next_chunk, Chunk([], [], [[] for _ in columns])))
                self._next_chunk += 1
            number, chunk = self._chunks[-1]
            stop = start + CHUNK - len(chunk.times)
            chunk.times += times[start:stop]
            chunk.keys += keys[start:stop]
            for kept, column in zip(chunk.columns, columns, strict=True):
                kept.extend(column[start:stop])
            self._dirty.add(number)
            start = stop

    def expire(self, clock: int) -> None:
        """Forget what no later window has."""
        if self._range_ms is None:
            return
        limit = clock - (self._range_ms or 1)
        while self._chunks and self._chunks[0][1].times[-1] <= limit:
            _, chunk = self._chunks.popleft()
            for key in set(chunk.keys):
                found = self._partitions.get(key)
                if found is not None:
                    found.drop(limit)
                    if not found.times:
                        del self._partitions[key]

    def save(self, everything: bool) -> Pieces:
        """Chunks of rows for time-based windows; buckets of partitions for row-based ones."""
        pieces: Pieces = {}
        if self._range_ms is not None:
            present = {str(number) for number, _ in self._chunks}
            for number, chunk in self._chunks:
                if everything or number in self._dirty:
                    pieces[str(number)] = encode([chunk.times, wrapped(chunk.keys), [wrapped(one) for one in chunk.columns]])
        else:
            for bucket in self._members if everything else self._dirty:
                partitions = [(key, self._partitions[key]) for key in self._members[bucket]]
                pieces[str(bucket)] = encode(
                    [[wrapped([key])[0], list(one.times), [wrapped(list(row)) for row in one.rows]] for key, one in partitions]
                )
            present = self._saved | set(pieces)
        if everything:
            return pieces
        for gone in self._saved - present:
            pieces[gone] = None
        self._saved = present
        self._dirty.clear()
        return pieces

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the windows back."""
        self._saved = set(pieces)
        for name in sorted(pieces, key=int):
            if self._range_ms is None:
                for key, times, rows in decode(pieces[name]):
                    self._made = int(name)  # the partition goes to its bucket again
                    self._extend([key] * len(times), [list(column) for column in zip(*rows, strict=True)], times)
                continue
            times, keys, columns = decode(pieces[name])
            self._chunks.append((int(name), Chunk(times, keys, columns)))
            self._next_chunk = int(name) + 1
            self._extend(keys, columns, times)
        self._made = len(self._partitions)
        self._dirty.clear()


class Sliding(Node):
    """The columns of the rows below, and a column for each function over a window."""

    def __init__(self, child: Node, fields: Sequence[Field], measures: Sequence[Measure]) -> None:
        super().__init__([child])
        self.fields = fields
        self._measures = measures
        frames: dict[Frame, list[tuple[int, Measure]]] = {}
        for place, measure in enumerate(measures):
            frames.setdefault(measure.frame, []).append((place, measure))
        self._frames = [FrameState(frame, ones[0][1].partition, ones) for frame, ones in frames.items()]

    def step(self, clock: int) -> Batch | None:
        """The rows, each with its functions' values."""
        batch = self.children[0].step(clock)
        if batch is not None:
            batch = self._extended(batch)
        for state in self._frames:
            state.expire(clock)
        return batch

    def _extended(self, batch: Batch) -> Batch | None:
        rows = Rows(batch.columns, batch.times)
        prepared: list[tuple[FrameState, list[Any], list[Any]]] = []
        for state in self._frames:
            keys = [one.run(rows) for one in state.partition]
            arguments = [one.run(rows) for _, measure in state.measures for one in measure.arguments]
            prepared.append((state, keys, arguments))
        kept = passed(self, batch, rows)
        where: Array | slice = slice(None) if kept is None else np.flatnonzero(kept)
        batch = batch if kept is None else batch.take(where)
        if not len(batch):
            return None
        times = batch.times.tolist()
        columns: list[Any] = [None] * len(self._measures)
        for state, key_vectors, argument_vectors in prepared:
            lists = [one.take(where).to_list() for one in key_vectors]
            keys_of = lists[0] if len(lists) == 1 else list(zip(*lists, strict=True)) if lists else [()] * len(times)
            values = state.run(keys_of, [one.take(where).to_list() for one in argument_vectors], times)
            for (place, measure), found in zip(state.measures, values, strict=True):
                columns[place] = from_list(found, measure.type)
        return Batch([*batch.columns, *columns], batch.times, batch.order)

    def save(self, everything: bool) -> Pieces:
        """The pieces of each window."""
        return {
            f"{place}/{name}": one for place, state in enumerate(self._frames) for name, one in state.save(everything).items()
        }

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the windows back."""
        for place, state in enumerate(self._frames):
            start = f"{place}/"
            state.load({name[len(start) :]: one for name, one in pieces.items() if name.startswith(start)})
