"""The planning of one SELECT, from FROM to ORDER BY."""

from collections.abc import Callable
from dataclasses import replace

from headrace.services.analytics.engine import aggregates
from headrace.services.analytics.engine.casting import cast
from headrace.services.analytics.engine.evaluate import TypeProblem
from headrace.services.analytics.engine.expressions import (
    ROWTIME,
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
from headrace.services.analytics.engine.nodes import Clock, Field, Filter, Node, Project
from headrace.services.analytics.engine.ordering import Distinct, Resorted, Sorted
from headrace.services.analytics.engine.plan_catalog import Catalog, Relations
from headrace.services.analytics.engine.sliding import Measure, Sliding, measured
from headrace.services.analytics.engine.sqltypes import DOUBLE, Vector
from headrace.services.analytics.engine.syntax import (
    Call,
    Column,
    Expr,
    Frame,
    Item,
    Literal,
    Name,
    Over,
    Select,
    Star,
    mapped,
)


class SelectPlan:
    """The planning of one SELECT, from FROM to ORDER BY."""

    def __init__(self, planner: Relations, select: Select, catalog: Catalog) -> None:
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
        if select.within_ms is not None:
            return self._resorted(node, fields, bound, order, select.within_ms)
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

    def _resorted(
        self, node: Node, fields: list[Field], bound: list[tuple[str, Expr]], order: list[tuple[Expr, bool]], within_ms: int
    ) -> Node:
        """ORDER BY a time WITHIN a span: that time, which the items give as ROWTIME, becomes the rows' ROWTIME."""
        at = self._select.order[0][0].at
        key, down = order[0]
        if len(order) != 1 or down or follows_time(key) or compiled(key, self._source).type.kind != "TIMESTAMP":
            raise self._source.error("ORDER BY … WITHIN takes one TIMESTAMP, ascending, that is not ROWTIME", at)
        if not any(name == ROWTIME and expression == key for name, expression in bound):
            raise self._source.error("The expression of ORDER BY … WITHIN must be among the items, AS ROWTIME", at)
        kept = [(name, expression) for name, expression in bound if name != ROWTIME]
        return Resorted(self._projected(node, fields, [*kept, ("", key)]), within_ms)

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
