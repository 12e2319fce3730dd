"""The parts of a running query. Each is asked once a step for the rows that it has to give, and asks those below it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from headrace.services.analytics.engine.arithmetic import truth
from headrace.services.analytics.engine.evaluate import Compiled, Rows
from headrace.services.analytics.engine.sqltypes import Array, Batch, SqlType, Vector, all_null, merge

_YEAR_MS = 366 * 86_400_000
Pieces = dict[str, bytes | None]
Clocked = Callable[[Array], Vector]
"""What a column that only depends on ROWTIME is at given times."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column that a node gives: name, type, how it follows from ROWTIME if it is monotonic, and whether `*` leaves it out."""

    name: str
    type: SqlType
    clocked: Clocked | None = None
    hidden: bool = False


Report = Callable[[Batch, dict[int, str]], None]
"""Takes rows that failed, by their places, with the reasons."""


class Node:
    """A part of a query. `fields` says what its rows have."""

    fields: Sequence[Field]

    def __init__(self, children: Sequence["Node"] = ()) -> None:
        self.children = tuple(children)
        self.report: Report = lambda batch, reasons: None

    def step(self, clock: int) -> Batch | None:
        """The rows of this step, whose end is at `clock`; None for none."""
        raise NotImplementedError

    def save(self, everything: bool) -> Pieces:
        """Pieces of the state: all, or those that changed since this was last asked (None: gone)."""
        return {}

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put back the pieces that `save` gave."""

    def next_ms(self, clock: int) -> int | None:
        """When this part next has something to give without new rows, if that is known."""
        return None

    def tell(self, report: Report) -> None:
        """Where failed rows are reported, here and below."""
        self.report = report
        for child in self.children:
            child.tell(report)


def passed(node: Node, batch: Batch, rows: Rows) -> Array | None:
    """Report the rows that failed; the mask of the others, None when all passed."""
    if rows.failed is None:
        return None
    node.report(batch, rows.reasons)
    kept: Array = ~rows.failed
    return kept


class Entry(Node):
    """Where a stream's rows of this step lie until they are asked for."""

    def __init__(self, fields: Sequence[Field]) -> None:
        super().__init__()
        self.fields = fields
        self.batch: Batch | None = None
        self.lag_ms = 0  # how far the clock of those who read it lies behind

    def step(self, clock: int) -> Batch | None:
        """The rows that were put here."""
        return self.batch


class Filter(Node):
    """Rows where a condition is true."""

    def __init__(self, child: Node, condition: Compiled) -> None:
        super().__init__([child])
        self.fields = child.fields
        self._run = condition.run

    def step(self, clock: int) -> Batch | None:
        """The rows that pass."""
        batch = self.children[0].step(clock)
        if batch is None:
            return None
        rows = Rows(batch.columns, batch.times)
        holds = truth(self._run(rows))
        kept = passed(self, batch, rows)
        if kept is not None:
            holds = holds & kept
        if holds.all():
            return batch
        return batch.take(holds) if holds.any() else None


class Project(Node):
    """Columns computed from each row."""

    def __init__(self, child: Node, fields: Sequence[Field], expressions: Sequence[Compiled]) -> None:
        super().__init__([child])
        self.fields = fields
        self._runs = [expression.run for expression in expressions]

    def step(self, clock: int) -> Batch | None:
        """The rows with their new columns."""
        batch = self.children[0].step(clock)
        if batch is None:
            return None
        rows = Rows(batch.columns, batch.times)
        columns = [run(rows) for run in self._runs]
        made = Batch(columns, batch.times, batch.order)
        kept = passed(self, batch, rows)
        if kept is None:
            return made
        return made.take(kept) if kept.any() else None


class Together(Node):
    """UNION ALL: the rows of several, in the order of their times."""

    def __init__(self, children: Sequence[Node]) -> None:
        super().__init__(children)
        self.fields = [Field(one.name, one.type) for one in children[0].fields]

    def step(self, clock: int) -> Batch | None:
        """The rows of all."""
        found = [batch for child in self.children if (batch := child.step(clock)) is not None]
        return merge(found) if found else None


@dataclass(slots=True)
class Clock:
    """How a monotonic key follows from ROWTIME: its value at given times, below the node that groups by it."""

    expression: Compiled
    clocked: Sequence[Clocked | None]
    kinds: Sequence[SqlType]
    memory: dict[int, int] = field(default_factory=dict)

    def values(self, times: Array) -> Array:
        """The key at times."""
        columns = [
            clocked(times) if clocked is not None else all_null(len(times), kind)
            for clocked, kind in zip(self.clocked, self.kinds, strict=True)
        ]
        return self.expression.run(Rows(columns, times)).values

    def at(self, time: int) -> int:
        """The key at one time."""
        if time not in self.memory:
            if len(self.memory) > 1000:
                self.memory.clear()
            self.memory[time] = self.values(np.array([time], np.int64))[0].item()
        return self.memory[time]

    def end(self, key: int, low: int, high: int | None = None) -> int | None:
        """The first time after `low` at which the key is above `key`; None when it is not until `high`, or a year later."""
        return first_above(self.at, key, low, high)


def first_above(at: Callable[[int], int], key: int, low: int, high: int | None) -> int | None:
    """The first time after `low` at which something that only goes up is above `key`; None when it is not until `high`."""
    distance = 1
    if high is None:
        while at(low + distance) <= key:
            distance *= 4
            if distance > _YEAR_MS:
                return None
        high = low + distance
    elif at(high) <= key:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if at(middle) > key:
            high = middle
        else:
            low = middle
    return high
