"""From a query to the nodes that run it."""

from collections.abc import Mapping
from dataclasses import replace

from headrace.services.analytics.engine.evaluate import Compiled
from headrace.services.analytics.engine.expressions import (
    Binder,
    Scope,
    condition,
)
from headrace.services.analytics.engine.joins import Joined, Side, TableJoined, split_condition
from headrace.services.analytics.engine.nodes import Field, Node, Together
from headrace.services.analytics.engine.plan_catalog import Catalog, Found, converted, joined_fields, parts_of
from headrace.services.analytics.engine.plan_select import SelectPlan
from headrace.services.analytics.engine.sqltypes import SqlType, common_type
from headrace.services.analytics.engine.syntax import (
    Call,
    Derived,
    Expr,
    Frame,
    Item,
    Join,
    Query,
    Relation,
    Select,
    Star,
    Table,
    TableFunction,
    With,
)
from headrace.services.analytics.engine.tablefunctions import table_function


class Planner:
    """Plans queries against a catalog. `used` gathers the streams that they read."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._source = catalog.source
        self._open_views: list[str] = []
        self.used: set[str] = set()

    def query(self, query: Query) -> Node:
        """The node that gives a query's rows."""
        if isinstance(query, With):
            outer = self._catalog.views
            self._catalog.views = {**outer, **{view.name: view for view in query.views}}
            made = self.query(query.query)
            self._catalog.views = outer
            return made
        if isinstance(query, Select):
            return SelectPlan(self, query, self._catalog).node()
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
        parts = [*parts_of(left, 0), *parts_of(right, offset)]
        scope = Scope(parts)
        on = self._on(join, left, right, scope)
        pairs, rest = split_condition(on, offset, self._source)
        fields = [*joined_fields(left), *joined_fields(right)]
        check = condition(rest, self._source, "ON") if rest is not None else None
        if left.table is not None or right.table is not None:
            return Found(self._with_table(join, left, right, fields, pairs, check), fields, "", parts=parts)
        assert left.node is not None
        assert right.node is not None
        if left.frame is None and right.frame is None:
            raise self._source.error("A join of two streams needs a window (OVER) on one of them at least", join.at)
        for side in (left, right):
            if side.frame is not None and side.frame.rows is not None and side.frame.partition:
                raise self._source.error("A join's window of ROWS cannot have PARTITION BY", join.at)
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
