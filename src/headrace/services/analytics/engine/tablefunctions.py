"""Functions that stand in FROM: TABLE(f(CURSOR(query), …))."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.services.analytics.engine import aggregates
from headrace.services.analytics.engine.casting import cast
from headrace.services.analytics.engine.evaluate import Compiled, TypeProblem
from headrace.services.analytics.engine.expressions import compiled
from headrace.services.analytics.engine.forest import Forest
from headrace.services.analytics.engine.grouping import Aggregate, Tumbling
from headrace.services.analytics.engine.hotspots import Hotspots
from headrace.services.analytics.engine.lexer import Source
from headrace.services.analytics.engine.nodes import Clock, Field, Node, Project
from headrace.services.analytics.engine.ordering import Sorted
from headrace.services.analytics.engine.sqltypes import BIGINT, DOUBLE, INTEGER, TIMESTAMP, Batch, SqlType, Vector
from headrace.services.analytics.engine.syntax import TableFunction

_ITEM = SqlType("VARCHAR", 1024)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The constants that follow the cursor."""

    name: str
    values: Sequence[Any]

    def get(self, place: int, kind: type, default: Any = None) -> Any:
        """An argument of a type."""
        if place >= len(self.values) and default is not None:
            return default
        value = self.values[place] if place < len(self.values) else None
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeProblem(f"Argument {place + 2} of '{self.name}' must be a constant {kind.__name__}")
        return value

    def column(self, place: int, child: Node) -> int:
        """The place of the column that an argument names."""
        name = self.get(place, str)
        for wanted in (name, name.strip('"'), name.upper()):
            for number, field in enumerate(child.fields):
                if field.name == wanted:
                    return number
        raise TypeProblem(f"Column '{name}' not found in the cursor of '{self.name}'")


def _at(place: int, kind: SqlType) -> Compiled:
    return Compiled(kind, lambda rows: rows.column(place))


def _windowed(child: Node, seconds: int, keys: Sequence[Compiled], measures: Sequence[Aggregate]) -> Tumbling:
    """Groups in windows of so many seconds; the window is the last key."""
    if seconds <= 0:
        raise TypeProblem("The size of a window must be above zero")
    size = seconds * 1000
    step = Compiled(TIMESTAMP, lambda rows: Vector(rows.times // size * size))
    runs = [*keys, step]
    kinds = [*(run.type for run in runs), *(measure.make().type for measure in measures)]
    fields = [Field(f"${place}", kind) for place, kind in enumerate(kinds)]
    return Tumbling(child, fields, runs, len(keys), Clock(step, [], []), measures)


def _count_distinct(child: Node, arguments: Arguments) -> Node:
    """COUNT_DISTINCT_ITEMS_TUMBLING(cursor, column, seconds): exact here, where AWS estimates."""
    column = arguments.column(0, child)
    kind = child.fields[column].type
    measure = Aggregate(lambda: aggregates.accumulator("COUNT", kind, True, ()), _at(column, kind))
    grouped = _windowed(child, arguments.get(1, int), [], [measure])
    return Project(grouped, [Field("NUMBER_OF_DISTINCT_ITEMS", BIGINT)], [_at(1, BIGINT)])


def _top_k(child: Node, arguments: Arguments) -> Node:
    """TOP_K_ITEMS_TUMBLING(cursor, column, k, seconds): the most frequent items of each window, exact here."""
    column = arguments.column(0, child)
    measure = Aggregate(lambda: aggregates.accumulator("COUNT", BIGINT, False, ()), None)
    item = cast(_at(column, child.fields[column].type), _ITEM)
    grouped = _windowed(child, arguments.get(2, int), [item], [measure])
    fields = [Field("ITEM", _ITEM), Field("ITEM_COUNT", DOUBLE)]
    counted = Project(grouped, fields, [_at(0, _ITEM), cast(_at(2, BIGINT), DOUBLE)])
    return Top(counted, arguments.get(1, int))


class Top(Node):
    """The rows of each window with the highest last column, first those that are highest, then by the first column."""

    def __init__(self, child: Node, count: int) -> None:
        super().__init__([child])
        self.fields = child.fields
        self._count = count

    def step(self, clock: int) -> Batch | None:
        """The highest of each window that closed."""
        batch = self.children[0].step(clock)
        if batch is None:
            return None
        items, counts = batch.columns[0].to_list(), batch.columns[-1].to_list()
        times = batch.times.tolist()
        order = sorted(range(len(batch)), key=lambda place: (times[place], -counts[place], items[place] or ""))
        kept: list[int] = []
        taken: dict[int, int] = {}
        for place in order:
            taken[times[place]] = taken.get(times[place], 0) + 1
            if items[place] is not None and taken[times[place]] <= self._count:
                kept.append(place)
        return batch.take(np.array(kept, np.int64)) if kept else None


def _group_rank(child: Node, arguments: Arguments) -> Node:
    """GROUP_RANK(cursor, column, rank column, sort order, output order, idle time, most rows): ranks rows of the same ROWTIME.

    A group is complete when the clock has passed its ROWTIME, so the idle time is of no use here.
    """
    column = arguments.column(0, child)
    out = arguments.get(1, str)
    down, reverse = (arguments.get(place, str).lower() for place in (2, 3))
    if down not in ("asc", "desc") or reverse not in ("asc", "desc"):
        raise TypeProblem("GROUP_RANK sorts 'asc' or 'desc'")
    kind = child.fields[column].type
    width = len(child.fields)
    time = Field("$time", TIMESTAMP, Vector)
    fields = [*child.fields, time, Field("$key", kind)]
    runs = [*(_at(place, field.type) for place, field in enumerate(child.fields)), _at(-1, TIMESTAMP), _at(column, kind)]
    ordered = Sorted(Project(child, fields, runs), width, [False, down == "desc"])
    arguments.get(4, int, 0)
    return Ranked(ordered, column, out, reverse == "desc", arguments.get(5, int, 0))


class Ranked(Node):
    """Groups of rows of the same ROWTIME, which come sorted, with their ranks; equal values have the same."""

    def __init__(self, child: Node, column: int, name: str, reverse: bool, most: int) -> None:
        super().__init__([child])
        self.fields = [*child.fields, Field(name, INTEGER)]
        self._column, self._reverse, self._most = column, reverse, most

    def step(self, clock: int) -> Batch | None:
        """The groups that are complete."""
        batch = self.children[0].step(clock)
        if batch is None:
            return None
        values = batch.columns[self._column].to_list()
        times = batch.times.tolist()
        ranks: list[int] = []
        kept: list[int] = []
        start = 0
        for stop in [place for place in range(1, len(times)) if times[place] != times[place - 1]] + [len(times)]:
            for place in range(start, stop):
                same = place > start and values[place] == values[place - 1]
                ranks.append(ranks[-1] if same else place - start + 1)
            group = list(range(start, stop if not self._most else min(stop, start + self._most)))
            kept += reversed(group) if self._reverse else group
            start = stop
        made = Batch([*batch.columns, Vector(np.array(ranks, np.int64))], batch.times)
        return made.take(np.array(kept, np.int64))


def _forest(explained: bool) -> Callable[[Node, Arguments], Node]:
    def build(child: Node, arguments: Arguments) -> Node:
        trees, sample = arguments.get(0, int, 100), arguments.get(1, int, 256)
        decay, shingle = arguments.get(2, int, 100_000), arguments.get(3, int, 1)
        directed = bool(arguments.get(4, bool, True)) if explained and len(arguments.values) > 4 else True
        for name, value, low, high in (
            ("numberOfTrees", trees, 1, 1000),
            ("subSampleSize", sample, 10, 1000),
            ("timeDecay", decay, 1, 2**31 - 1),
            ("shingleSize", shingle, 1, 30),
        ):
            if not low <= value <= high:
                raise TypeProblem(f"{name} of '{arguments.name}' must be from {low} to {high}")
        return Forest(child, _numbers(child, arguments), trees, sample, decay, shingle, explained, directed)

    return build


def _numbers(child: Node, arguments: Arguments) -> list[int]:
    """The places of the columns that are numbers: the others only pass."""
    found = [place for place, field in enumerate(child.fields) if field.type.is_number]
    if not found:
        raise TypeProblem(f"The cursor of '{arguments.name}' has no numeric column")
    return found


def _hotspots(child: Node, arguments: Arguments) -> Node:
    """HOTSPOTS(cursor, window of rows, radius, fewest points)."""
    window, radius, fewest = arguments.get(0, int), arguments.get(1, float), arguments.get(2, int)
    if not 100 <= window <= 1000 or radius <= 0 or fewest < 2:
        raise TypeProblem("HOTSPOTS takes a window of 100 to 1000 rows, a radius above zero, and at least 2 points")
    return Hotspots(child, _numbers(child, arguments), window, radius, fewest)


_FUNCTIONS: dict[str, Callable[[Node, Arguments], Node]] = {
    "COUNT_DISTINCT_ITEMS_TUMBLING": _count_distinct,
    "TOP_K_ITEMS_TUMBLING": _top_k,
    "GROUP_RANK": _group_rank,
    "RANDOM_CUT_FOREST": _forest(False),
    "RANDOM_CUT_FOREST_WITH_EXPLANATION": _forest(True),
    "HOTSPOTS": _hotspots,
}


def table_function(relation: TableFunction, child: Node, source: Source) -> Node:
    """The node of a function over the rows of a query. SqlError where there is no such function, or its arguments do not fit."""
    builder = _FUNCTIONS.get(relation.name)
    if builder is None:
        raise source.error(f"No match found for function signature {relation.name}(<CURSOR>)", relation.at)
    constants = [compiled(argument, source) for argument in relation.arguments]
    values = [cast(one, DOUBLE).constant if one.type.kind == "DECIMAL" else one.constant for one in constants]
    try:
        return builder(child, Arguments(relation.name, values))
    except TypeProblem as problem:
        raise source.error(problem.message, relation.at) from problem
