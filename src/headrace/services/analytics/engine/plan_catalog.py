"""What queries can refer to, and what is known of a relation that was planned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from headrace.services.analytics.engine.casting import assignable, cast
from headrace.services.analytics.engine.evaluate import Compiled
from headrace.services.analytics.engine.expressions import (
    Part,
)
from headrace.services.analytics.engine.lexer import Source
from headrace.services.analytics.engine.nodes import Entry, Field, Node, Project
from headrace.services.analytics.engine.references import ReferenceTable
from headrace.services.analytics.engine.sqltypes import TIMESTAMP, SqlType, Vector
from headrace.services.analytics.engine.syntax import (
    CreateFunction,
    CreateView,
    Frame,
    Relation,
)


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


class Relations(Protocol):
    """What the planning of a SELECT needs of the planner."""

    def relation(self, relation: Relation, windows: Mapping[str, Frame]) -> Found:
        """What stands in FROM."""


def joined_fields(found: Found) -> list[Field]:
    """A side's columns in a join's rows: its ROWTIME comes last, unless it is a table or a join itself."""
    fields = [replace(one, clocked=None) for one in found.fields]
    if found.table is None and found.parts is None:
        fields.append(Field("ROWTIME", TIMESTAMP))
    return fields


def parts_of(found: Found, offset: int) -> list[Part]:
    """What names can refer to in a side of a join, whose columns begin at a place."""
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
    runs = [cast(column_at(place, one.type), kind) for place, (one, kind) in enumerate(zip(node.fields, kinds, strict=True))]
    fields = [Field(name, kind, one.clocked) for name, kind, one in zip(names, kinds, node.fields, strict=True)]
    return Project(node, fields, runs)


def column_at(place: int, kind: SqlType) -> Compiled:
    """A column below, as it is."""
    return Compiled(kind, lambda rows: rows.column(place))


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
            runs.append(cast(column_at(place, node.fields[place].type), one.type))
        else:
            runs.append(cast(Compiled(SqlType("NULL"), lambda rows: Vector(rows.times), None, True), one.type))
    return Project(node, target.fields, runs)
