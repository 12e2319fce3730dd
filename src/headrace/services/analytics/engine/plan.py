"""From a query to the nodes that run it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headrace.services.analytics.engine import aggregates
from headrace.services.analytics.engine.casting import assignable, cast
from headrace.services.analytics.engine.evaluate import Compiled, TypeProblem
from headrace.services.analytics.engine.expressions import (
    Binder,
    Part,
    Scope,
    compiled,
    condition,
    declared_monotonic,
    follows_time,
    has_aggregate,
    has_over,
    is_aggregate,
)
from headrace.services.analytics.engine.grouping import Aggregate, Stagger, Tumbling
from headrace.services.analytics.engine.joins import Joined, Side, TableJoined, split_condition
from headrace.services.analytics.engine.lexer import Source
from headrace.services.analytics.engine.nodes import Clock, Entry, Field, Filter, Node, Project, Together
from headrace.services.analytics.engine.ordering import Distinct, Sorted
from headrace.services.analytics.engine.references import ReferenceTable
from headrace.services.analytics.engine.sliding import Measure, Sliding, measured
from headrace.services.analytics.engine.sqltypes import DOUBLE, TIMESTAMP, SqlType, Vector, common_type
from headrace.services.analytics.engine.syntax import (
    Bare,
    Call,
    Column,
    CreateFunction,
    CreateView,
    Derived,
    Expr,
    Frame,
    Item,
    Join,
    Literal,
    Name,
    Over,
    Query,
    Relation,
    Select,
    Star,
    Table,
    TableFunction,
    mapped,
)
from headrace.services.analytics.engine.tablefunctions import table_function


@dataclass
class Catalog:
    """What queries can refer to."""

    source: Source
    streams: dict[str, Entry] = field(default_factory=dict)
    tables: dict[str, ReferenceTable] = field(default_factory=dict)
    views: dict[str, CreateView] = field(default_factory=dict)
    functions: dict[str, CreateFunction] = field(default_factory=dict)


@dataclass
class Found:
    """A relation that was planned: its node, or the table that it is; and the window over it."""

    node: Node | None
    fields: Sequence[Field]
    alias: str
    frame: Frame | None = None
    table: ReferenceTable | None = None
    parts: Sequence[Part] | None = None


class Planner:
    """Plans queries against a catalog. `used` gathers the streams that they read."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._source = catalog.source
        self._open_views: list[str] = []
        self.used: set[str] = set()

    def query(self, query: Query) -> Node:
        """The node that gives a query's rows."""
        if isinstance(query, Select):
            return _SelectPlan(self, query, self._catalog).node()
        if not query.all:
            raise self._source.error("UNION without ALL is not supported over streams: it has no bounds", query.at)
        if query.order:
            whole = Derived(replace(query, order=()), "", at=query.at)
            return self.query(Select((Item(Star(), None),), whole, order=query.order, at=query.at))
        left, right = self.query(query.left), self.query(query.right)
        if len(left.fields) != len(right.fields):
            raise self._source.error("Column count mismatch in UNION", query.at)
        kinds: list[SqlType] = []
        for one, two in zip(left.fields, right.fields, strict=True):
            kind = common_type(one.type, two.type)
            if kind is None:
                raise self._source.error(f"Type mismatch in column '{one.name}' of UNION: {one.type} and {two.type}", query.at)
            kinds.append(kind)
        names = [field.name for field in left.fields]
        return Together([converted(left, names, kinds), converted(right, names, kinds)])

    def relation(self, relation: Relation, windows: Mapping[str, Frame]) -> Found:
        """What stands in FROM."""
        if isinstance(relation, Table):
            return self._table(relation, windows)
        if isinstance(relation, Derived):
            node = self.query(relation.query)
            fields = list(node.fields)
            if relation.columns:
                if len(relation.columns) != len(fields):
                    raise self._source.error("The list of column aliases has not the length of the query's", relation.at)
                fields = [replace(one, name=name) for one, name in zip(fields, relation.columns, strict=True)]
            return Found(node, fields, relation.alias, self._frame(relation.over, windows, relation.at))
        if isinstance(relation, TableFunction):
            node = table_function(relation, self.query(relation.query), self._source)
            return Found(node, node.fields, relation.alias)
        assert isinstance(relation, Join)
        return self._join(relation, windows)

    def _frame(self, over: Frame | str | None, windows: Mapping[str, Frame], at: int) -> Frame | None:
        if isinstance(over, str):
            if over not in windows:
                raise self._source.error(f"Window '{over}' not found", at)
            return windows[over]
        return over

    def _table(self, table: Table, windows: Mapping[str, Frame]) -> Found:
        frame = self._frame(table.over, windows, table.at)
        catalog = self._catalog
        if table.name in catalog.streams:
            self.used.add(table.name)
            entry = catalog.streams[table.name]
            return Found(entry, entry.fields, table.alias, frame)
        if table.name in catalog.tables:
            reference = catalog.tables[table.name]
            return Found(None, reference.fields, table.alias, table=reference)
        if table.name in catalog.views:
            view = catalog.views[table.name]
            if table.name in self._open_views:
                raise self._source.error(f"View '{table.name}' refers to itself", table.at)
            self._open_views.append(table.name)
            node = self.query(view.query)
            self._open_views.pop()
            fields = list(node.fields)
            if view.columns:
                if len(view.columns) != len(fields):
                    raise self._source.error(f"View '{table.name}' names {len(view.columns)} columns of {len(fields)}", view.at)
                fields = [replace(one, name=name) for one, name in zip(fields, view.columns, strict=True)]
            return Found(node, fields, table.alias, frame)
        raise self._source.error(f"Table '{table.name}' not found", table.at)

    def _join(self, join: Join, windows: Mapping[str, Frame]) -> Found:
        left, right = self.relation(join.left, windows), self.relation(join.right, windows)
        if left.node is None:
            if right.node is None:
                raise self._source.error("A query over streams needs a stream", join.at)
            if join.kind not in ("INNER", "CROSS", "RIGHT"):
                raise self._source.error("A reference table cannot be the side of an outer join that is kept", join.at)
        offset = len(left.fields) + 1 if left.parts is None and left.table is None else len(left.fields)
        parts = [*_parts(left, 0), *_parts(right, offset)]
        scope = Scope(parts)
        on = self._on(join, left, right, scope)
        pairs, rest = split_condition(on, offset, self._source)
        fields = [*_joined_fields(left), *_joined_fields(right)]
        check = condition(rest, self._source, "ON") if rest is not None else None
        if left.table is not None or right.table is not None:
            return Found(self._with_table(join, left, right, fields, pairs, check), fields, "", parts=parts)
        assert left.node is not None
        assert right.node is not None
        if left.frame is None and right.frame is None:
            raise self._source.error("A join of two streams needs a window (OVER) on one of them at least", join.at)
        sides = (Side(left.node, left.frame, left.parts is not None), Side(right.node, right.frame, right.parts is not None))
        return Found(Joined(join.kind, sides, fields, pairs, check, offset), fields, "", parts=parts)

    def _with_table(
        self, join: Join, left: Found, right: Found, fields: list[Field], pairs: list[tuple[Compiled, Compiled]],
        check: Compiled | None,
    ) -> Node:  # fmt: skip
        if join.kind == "FULL" or (right.table is not None and join.kind == "RIGHT"):
            raise self._source.error("A reference table cannot be the side of an outer join that is kept", join.at)
        stream, table, swapped = (left, right.table, False) if right.table is not None else (right, left.table, True)
        assert stream.node is not None
        assert table is not None
        outer = join.kind in ("LEFT", "RIGHT")
        return TableJoined(stream.node, table, fields, pairs, check, outer, swapped, stream.parts is not None)

    def _on(self, join: Join, left: Found, right: Found, scope: Scope) -> Expr | None:
        if join.using:
            made: Expr | None = None
            for name in join.using:
                found = scope.find((name,))[0]
                if len(found) != 2:
                    raise self._source.error(f"Column '{name}' of USING is not in both sides", join.at)
                equal = Call("=", (found[0], found[1]), at=join.at)
                made = equal if made is None else Call("AND", (made, equal), at=join.at)
            return made
        if join.condition is None:
            return None
        return Binder(self._source, scope, self._catalog.functions).bind(join.condition)


def _joined_fields(found: Found) -> list[Field]:
    """A side's columns in a join's rows: its ROWTIME comes last, unless it is a table or a join itself."""
    fields = [replace(one, clocked=None) for one in found.fields]
    if found.table is None and found.parts is None:
        fields.append(Field("ROWTIME", TIMESTAMP))
    return fields


def _parts(found: Found, offset: int) -> list[Part]:
    if found.parts is not None:
        return [
            replace(part, offset=part.offset + offset, rowtime=part.rowtime + offset if part.rowtime >= 0 else -1)
            for part in found.parts
        ]
    fields = [replace(one, clocked=None) for one in found.fields]
    if found.table is not None:
        return [Part(found.alias, fields, offset)]
    return [Part(found.alias, fields, offset, offset + len(fields))]


def converted(node: Node, names: Sequence[str], kinds: Sequence[SqlType]) -> Node:
    """A node whose columns have other types."""
    if all(one.type == kind and one.name == name for one, name, kind in zip(node.fields, names, kinds, strict=True)):
        return node
    runs = [cast(_column(place, one.type), kind) for place, (one, kind) in enumerate(zip(node.fields, kinds, strict=True))]
    fields = [Field(name, kind, one.clocked) for name, kind, one in zip(names, kinds, node.fields, strict=True)]
    return Project(node, fields, runs)


def _column(place: int, kind: SqlType) -> Compiled:
    return Compiled(kind, lambda rows: rows.column(place))


class _SelectPlan:
    """The planning of one SELECT, from FROM to ORDER BY."""

    def __init__(self, planner: Planner, select: Select, catalog: Catalog) -> None:
        self._planner = planner
        self._select = select
        self._catalog = catalog
        self._source = catalog.source
        self._windows = dict(select.windows)

    def node(self) -> Node:
        """The node that gives the rows."""
        select = self._select
        found = self._planner.relation(select.source, self._windows)
        if found.node is None:
            raise self._source.error("A query over streams needs a stream: a reference table can only be joined", select.at)
        if found.frame is not None:
            raise self._source.error("A window over a stream in FROM needs a join", select.source.at)
        node, parts = found.node, found.parts
        scope = Scope(parts if parts is not None else [Part(found.alias, found.fields, 0)])
        items = self._items(scope)
        binder = Binder(self._source, scope, self._catalog.functions)
        if select.where is not None:
            if has_aggregate(select.where):
                raise self._source.error("Aggregate expression is illegal in WHERE clause", select.where.at)
            node = Filter(node, condition(binder.bind(select.where), self._source, "WHERE"))
        bound = [(name, binder.bind(expression)) for name, expression in items]
        having = binder.bind(select.having) if select.having is not None else None
        order = [(self._order_key(key, items, binder), down) for key, down in select.order]
        fields = scope.fields()
        if select.grouped or select.stagger or any(has_aggregate(one) for _, one in bound):
            node, fields, rewrite = self._grouped(node, binder, fields, bound, having)
            bound = [(name, rewrite(one)) for name, one in bound]
            having = rewrite(having) if having is not None else None
            order = [(rewrite(one), down) for one, down in order]
        if having is not None:
            node = Filter(node, condition(having, self._source, "HAVING"))
        if any(has_over(one) for _, one in bound):
            node, fields, bound = self._measured(node, fields, bound)
        made = self._projected(node, fields, [*bound, *(("", key) for key, _ in order)])
        if order:
            made = self._sorted(made, len(bound), [down for _, down in order])
        if select.distinct:
            made = self._distinct(made)
        return made

    def _items(self, scope: Scope) -> list[tuple[str, Expr]]:
        made: list[tuple[str, Expr]] = []
        for place, item in enumerate(self._select.items):
            if isinstance(item.expression, Star):
                columns = scope.star(item.expression.table)
                if columns is None:
                    raise self._source.error(f"Table '{item.expression.table}' not found", item.expression.at)
                made += columns
            else:
                made.append((_name(item, place), self._framed(item.expression)))
        return made

    def _framed(self, expression: Expr) -> Expr:
        """Windows in the place of their names."""
        made: Expr = mapped(expression, self._framed)
        if isinstance(made, Over) and isinstance(made.frame, str):
            if made.frame not in self._windows:
                raise self._source.error(f"Window '{made.frame}' not found", expression.at)
            return replace(made, frame=self._windows[made.frame])
        return made

    def _order_key(self, key: Expr, items: list[tuple[str, Expr]], binder: Binder) -> Expr:
        if isinstance(key, Literal) and isinstance(key.value, int) and 1 <= key.value <= len(items):
            return binder.bind(items[key.value - 1][1])
        if isinstance(key, Name) and len(key.parts) == 1:
            for name, expression in items:
                if name == key.parts[0]:
                    return binder.bind(expression)
        return binder.bind(key)

    def _group_key(self, key: Expr, binder: Binder) -> Expr:
        if isinstance(key, Name) and len(key.parts) == 1 and not binder.scope.find(key.parts)[0]:
            for place, item in enumerate(self._select.items):
                if _name(item, place) == key.parts[0]:
                    return binder.bind(item.expression)
        return binder.bind(key)

    def _grouped(
        self, node: Node, binder: Binder, fields: list[Field], bound: list[tuple[str, Expr]], having: Expr | None
    ) -> tuple[Node, list[Field], Callable[[Expr], Expr]]:
        select = self._select
        stagger = select.stagger
        keys = [self._group_key(key, binder) for key in (stagger.partition if stagger else select.group)]
        calls: list[Call] = []
        for expression in [*(one for _, one in bound), *([having] if having is not None else [])]:
            _gather(expression, calls, keys)
        runs = [compiled(key, self._source) for key in keys]
        measures = [self._aggregate(call) for call in calls]
        out = [Field(f"${place}", run.type) for place, run in enumerate(runs)]
        out += [Field(f"${len(keys) + place}", one.make().type) for place, one in enumerate(measures)]
        if stagger is not None:
            assert stagger.range_ms is not None
            made: Node = Stagger(node, out, runs, stagger.range_ms, measures)
        else:
            window = next((place for place, key in enumerate(keys) if follows_time(key)), None)
            clock = None
            if window is not None:
                clock = Clock(runs[window], [one.clocked for one in fields], [one.type for one in fields])
                out[window] = replace(out[window], clocked=_clocked(clock))
            else:
                window = next((place for place, key in enumerate(keys) if declared_monotonic(key)), None)
            if window is None:
                message = "Streaming aggregation query must have at least one monotonic expression in GROUP BY clause"
                raise self._source.error(message, select.at)
            made = Tumbling(node, out, runs, window, clock, measures)
        return made, out, self._regrouped(keys, calls, out)

    def _aggregate(self, call: Call) -> Aggregate:
        arguments = [compiled(argument, self._source) for argument in call.arguments]
        try:
            aggregates.check(call.name, arguments)
        except TypeProblem as problem:
            raise self._source.error(problem.message, call.at) from problem
        argument = arguments[0] if arguments else None
        if argument is not None and aggregates.needs_double(call.name):
            argument = cast(argument, DOUBLE)
        kind = argument.type if argument is not None else DOUBLE
        return Aggregate(lambda: aggregates.accumulator(call.name, kind, call.distinct, call.words), argument)

    def _regrouped(self, keys: list[Expr], calls: list[Call], out: list[Field]) -> Callable[[Expr], Expr]:
        def rewrite(expression: Expr) -> Expr:
            for place, key in enumerate(keys):
                if expression == key:
                    return Column(place, out[place].type, out[place].clocked is not None, at=expression.at)
            if isinstance(expression, Call) and is_aggregate(expression):
                place = len(keys) + calls.index(expression)
                return Column(place, out[place].type, at=expression.at)
            if isinstance(expression, Column):
                raise self._source.error(f"Expression '{self._text(expression)}' is not being grouped", expression.at)
            made: Expr = mapped(expression, rewrite)
            return made

        def outer(expression: Expr) -> Expr:
            # ROWTIME that stands alone is that of the result.
            if isinstance(expression, Column) and expression.place == -1 and expression not in keys:
                return expression
            return rewrite(expression)

        return outer

    def _text(self, expression: Expr) -> str:
        text = self._source.text[expression.at :].split("\n")[0]
        for stop, letter in enumerate(text):
            if not (letter.isalnum() or letter in '_."$'):
                return text[:stop]
        return text

    def _measured(
        self, node: Node, fields: list[Field], bound: list[tuple[str, Expr]]
    ) -> tuple[Node, list[Field], list[tuple[str, Expr]]]:
        """Functions OVER windows become columns of a node below."""
        overs: list[Over] = []

        def gather(expression: Expr) -> Expr:
            if isinstance(expression, Over):
                if expression not in overs:
                    overs.append(expression)
                return Column(len(fields) + overs.index(expression), self._measure(expression).type, at=expression.at)
            made: Expr = mapped(expression, gather)
            return made

        rewritten = [(name, gather(one)) for name, one in bound]
        measures = [self._measure(over) for over in overs]
        out = [*fields, *(Field(f"${place}", one.type) for place, one in enumerate(measures))]
        return Sliding(node, out, measures), out, rewritten

    def _measure(self, over: Over) -> Measure:
        assert isinstance(over.frame, Frame)
        arguments = [compiled(argument, self._source) for argument in over.call.arguments]
        partition = [compiled(one, self._source) for one in over.frame.partition]
        try:
            return measured(over.call, over.frame, arguments, partition)
        except TypeProblem as problem:
            raise self._source.error(problem.message, over.at) from problem

    def _projected(self, node: Node, fields: list[Field], bound: list[tuple[str, Expr]]) -> Node:
        runs = [compiled(expression, self._source) for _, expression in bound]
        out: list[Field] = []
        for (name, expression), run in zip(bound, runs, strict=True):
            clocked = None
            if follows_time(expression):
                clocked = _clocked(Clock(run, [one.clocked for one in fields], [one.type for one in fields]))
            out.append(Field(name, run.type, clocked))
        same = len(runs) == len(node.fields) and all(
            isinstance(expression, Column) and expression.place == place for place, (_, expression) in enumerate(bound)
        )
        if same and [one.name for one in node.fields] == [one.name for one in out]:
            return node
        return Project(node, out, runs)

    def _sorted(self, node: Node, width: int, down: list[bool]) -> Node:
        first = node.fields[width]
        if first.clocked is None or down[0]:
            message = "ORDER BY over a stream must begin with a monotonic expression, ascending"
            raise self._source.error(message, self._select.order[0][0].at)
        return Sorted(node, width, down)

    def _distinct(self, node: Node) -> Node:
        window = next((place for place, one in enumerate(node.fields) if one.clocked is not None), None)
        if window is None:
            raise self._source.error("SELECT DISTINCT over a stream must have a monotonic expression", self._select.at)
        return Distinct(node, window)


def _clocked(clock: Clock) -> Callable[..., Vector]:
    return lambda times: Vector(clock.values(times))


def _gather(expression: Expr, calls: list[Call], keys: list[Expr]) -> None:
    """The aggregates of an expression, outside of keys."""
    if expression in keys:
        return
    if isinstance(expression, Call) and is_aggregate(expression):
        if expression not in calls:
            calls.append(expression)
        return

    def look(one: Expr) -> Expr:
        _gather(one, calls, keys)
        return one

    mapped(expression, look)


def _name(item: Item, place: int) -> str:
    if item.name is not None:
        return item.name
    return item.expression.parts[-1] if isinstance(item.expression, Name) else f"EXPR${place}"


def inserted(node: Node, names: Sequence[str], target: Entry, source: Source, at: int) -> Node:
    """A query's rows as a stream takes them: in its columns, as their types; columns that are not named are NULL."""
    wanted = list(names) or [one.name for one in target.fields]
    if len(wanted) != len(node.fields):
        message = f"Number of INSERT target columns ({len(wanted)}) does not equal number of source items ({len(node.fields)})"
        raise source.error(message, at)
    known = {one.name: one for one in target.fields}
    for name, given in zip(wanted, node.fields, strict=True):
        if name not in known:
            raise source.error(f"Unknown target column '{name}'", at)
        if not assignable(given.type, known[name].type):
            message = f"Cannot assign to target field '{name}' of type {known[name].type} from source field of type {given.type}"
            raise source.error(message, at)
    runs: list[Compiled] = []
    for one in target.fields:
        if one.name in wanted:
            place = wanted.index(one.name)
            runs.append(cast(_column(place, node.fields[place].type), one.type))
        else:
            runs.append(cast(Compiled(SqlType("NULL"), lambda rows: Vector(rows.times), None, True), one.type))
    return Project(node, target.fields, runs)


def output_fields(bare: Bare, node: Node) -> list[Field]:
    """The columns of the stream that takes a query that stands alone."""
    return [Field(one.name, one.type) for one in node.fields]
