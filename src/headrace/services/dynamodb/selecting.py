"""SELECT: what of a table or an index a condition can be found in, and a page of it.

A condition that gives the partition key (by `=` or `IN`, alone or in each branch of an OR) is looked up in these partitions; any
other is a scan. The whole condition is the filter in either case.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from headrace.kit.errors import ValidationException
from headrace.operation import Context
from headrace.services.dynamodb import items, reading, state
from headrace.services.dynamodb.engine import binding as bindings
from headrace.services.dynamodb.engine import conditions, ranges, syntax, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.keys import Schema
from headrace.services.dynamodb.engine.partiql.syntax import Select
from headrace.services.dynamodb.engine.ranges import Range, Term
from headrace.services.dynamodb.engine.values import Item, Value
from headrace.services.dynamodb.reading import Look, Page
from headrace.services.dynamodb.state import Index, Table
from headrace.services.dynamodb.statements import Bound, conjuncts, equality
from headrace.store.api import ReadTransaction

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Selected(NamedTuple):
    """A page of a SELECT: what it gives, what it read, and how to go on."""

    table: Table
    source: Index | None
    items: list[Any]
    page: Page
    next_token: str | None


class Token(msgspec.Struct, array_like=True):
    """A NextToken: of which statement, and behind which key it goes on."""

    digest: bytes
    key: Item


def select(ctx: Context, bound: Bound, text: str, *, consistent: bool, limit: int | None, next_token: str | None) -> Selected:
    """Read a page of a SELECT."""
    statement = bound.statement
    assert isinstance(statement, Select)
    table = state.table_of(ctx, statement.table)
    index = _index(table, statement.index, consistent=consistent)
    schema = table.schema if index is None else key_of_index(index)
    partitions = _partitions(schema, statement.where, bound.binding, in_index=index is not None)
    reverse = _check_order(statement, schema, keyed=partitions is not None)
    if partitions is None:
        places = [Range(*reading.segment(0, 1))]
    else:
        if index is not None:
            _refuse_unprojected(index, statement.where)
        places = _ordered(partitions, statement, schema)
    digest = hashlib.sha256(msgspec.json.encode((text, bound.parameters))).digest()
    if next_token is not None:
        start = reading.place_of_start(table, index, _opened(next_token, digest))
        places = _behind(places, start, reverse=reverse)
    look = _look(table, index, statement, bound.binding)
    page = reading.read_page(_stored(ctx.tx, table, index, places, reverse=reverse), table, index, look, limit)
    token = None
    if page.last_key is not None:
        token = base64.b64encode(msgspec.msgpack.encode(Token(digest, page.last_key))).decode()
    return Selected(table, index, _shown(statement, page.items), page, token)


def key_of_index(index: Index) -> Schema:
    """The key of an index that statements read; ValidationException of one with several attributes of a kind, as on AWS."""
    single = index.schema.single
    if single is None:
        raise ValidationException(
            "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
        )
    return single


def _stored(tx: ReadTransaction, table: Table, index: Index | None, places: list[Range], *, reverse: bool) -> Iterator[bytes]:
    for begin, end in places:
        yield from reading.stored_items(tx, table, index, begin, end, reverse=reverse)


def _index(table: Table, name: str | None, *, consistent: bool) -> Index | None:
    if name is None:
        return None
    index = table.index(name)
    if index is None:
        if table.vector(name) is not None:
            raise ValidationException("Scan operation not supported on this index type")
        raise ValidationException("The table does not have the specified index")
    key_of_index(index)
    if consistent and not index.row.local:
        raise ValidationException("Strongly consistent read is not supported on Global Secondary Indexes")
    if index.row.filling:
        raise ValidationException(f"Cannot read from backfilling global secondary index: {name}")
    return index


# Where to look


def _partitions(
    schema: Schema, where: syntax.Condition | None, binding: Binding, *, in_index: bool
) -> list[tuple[Value, list[Range]]] | None:
    """The partitions that a condition names, with the ranges in them; None when it does not name all."""
    branches = where.terms if isinstance(where, syntax.Both) and where.operator == "OR" else (where,)
    found: dict[str, tuple[Value, list[Range]]] = {}
    for branch in branches:
        terms = conjuncts(branch)
        names = _partition_values(schema, terms, binding)
        if names is None:
            return None
        sort_terms = _sort_terms(schema, terms, binding)
        for value in names:
            kept = found.setdefault(repr(value), (value, []))[1]
            for sort_term in sort_terms:
                asked = {schema.partition.name: Term("=", (value,))}
                if sort_term is not None and schema.sort is not None:
                    asked[schema.sort.name] = sort_term
                kept.append(ranges.range_of(schema, asked, in_index=in_index))
    return [(value, _merged(kept)) for value, kept in found.values()]


def _partition_values(schema: Schema, terms: list[syntax.Condition], binding: Binding) -> list[Value] | None:
    name = schema.partition.name
    for term in terms:
        found = equality(term, binding)
        if found is not None and found[0] == name:
            return [found[1]]
        options = _options(term, name, binding)
        if options is not None:
            return options
    return None


def _options(term: syntax.Condition, name: str, binding: Binding) -> list[Value] | None:
    """The values of `name IN [...]`, or None."""
    if not isinstance(term, syntax.In) or not isinstance(term.operand, syntax.Path) or term.operand.parts != (name,):
        return None
    if not all(isinstance(option, syntax.Placeholder) for option in term.options):
        return None
    return [binding.values[option.name] for option in term.options if isinstance(option, syntax.Placeholder)]


def _sort_terms(schema: Schema, terms: list[syntax.Condition], binding: Binding) -> list[Term | None]:
    """What is asked of the sort key: one term of which any must hold. None: nothing that narrows the range."""
    if schema.sort is None:
        return [None]
    name = schema.sort.name
    for term in terms:
        options = _options(term, name, binding)
        if options is not None:
            return [Term("=", (option,)) for option in options]
        found = _sort_term(term, name, binding)
        if found is not None:
            return [found]
    return [None]


def _sort_term(term: syntax.Condition, name: str, binding: Binding) -> Term | None:
    if isinstance(term, syntax.Compare) and term.operator in _MIRRORED:
        operator, operand, given = term.operator, term.left, (term.right,)
        if isinstance(operand, syntax.Placeholder):
            operator, operand, given = _MIRRORED[operator], term.right, (term.left,)
    elif isinstance(term, syntax.Between):
        operator, operand, given = "BETWEEN", term.operand, (term.low, term.high)  # type: ignore[assignment]
    elif isinstance(term, syntax.Function) and term.name == "begins_with":
        operator, operand, given = "begins_with", term.operands[0], (term.operands[1],)
    else:
        return None
    if not isinstance(operand, syntax.Path) or operand.parts != (name,):
        return None
    if not all(isinstance(one, syntax.Placeholder) for one in given):
        return None
    return Term(operator, tuple(binding.values[one.name] for one in given if isinstance(one, syntax.Placeholder)))


def _merged(kept: list[Range]) -> list[Range]:
    """The ranges in order, overlapping ones as one, so that no item is given twice."""
    merged: list[Range] = []
    for begin, end in sorted(kept):
        if merged and begin <= merged[-1].end:
            merged[-1] = Range(merged[-1].begin, max(end, merged[-1].end))
        elif begin < end:
            merged.append(Range(begin, end))
    return merged


def _check_order(statement: Select, schema: Schema, *, keyed: bool) -> bool:
    """Whether to read backwards; ValidationException when the order is none that can be had."""
    if not statement.order:
        return False
    if statement.where is None:
        raise ValidationException("Must have WHERE clause in the statement when using ORDER BY clause.")
    if not keyed:
        raise ValidationException(
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
        )
    for name, _ in statement.order:
        if name not in schema.names:
            raise ValidationException(f"Variable reference {name} in ORDER BY clause must be part of the primary key")
    return any(down for name, down in statement.order if schema.sort is not None and name == schema.sort.name)


def _ordered(partitions: list[tuple[Value, list[Range]]], statement: Select, schema: Schema) -> list[Range]:
    down_by_name = dict(statement.order)
    if schema.partition.name in down_by_name:
        partitions = sorted(
            partitions,
            key=lambda one: values.order_of(one[0]),  # type: ignore[arg-type, return-value]
            reverse=down_by_name[schema.partition.name],
        )
    reverse = schema.sort is not None and down_by_name.get(schema.sort.name, False)
    return [one for _, kept in partitions for one in (reversed(kept) if reverse else kept)]


def _behind(places: list[Range], start: bytes, *, reverse: bool) -> list[Range]:
    for number, (begin, end) in enumerate(places):
        if begin <= start < end:
            left = Range(begin, start) if reverse else Range(start + b"\x00", end)
            return [left, *places[number + 1 :]]
    raise ValidationException("The provided NextToken is invalid")


def _opened(token: str, digest: bytes) -> Item:
    try:
        found = msgspec.msgpack.decode(base64.b64decode(token, validate=True), type=Token)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise ValidationException("The provided NextToken is invalid") from None
    if found.digest != digest:
        raise ValidationException("The provided NextToken does not belong to this statement")
    return found.key


# What to give


def _refuse_unprojected(index: Index, where: syntax.Condition | None) -> None:
    """Beside a key condition, an index can't be asked for what it lacks."""
    if index.projected is None:
        return
    lacking = [
        str(path.parts[0])
        for term in conjuncts(where)
        if not (isinstance(term, syntax.Both) and term.operator == "OR")
        for path in syntax.paths_in(term)
        if path.parts[0] not in index.projected
    ]
    if lacking:
        raise ValidationException(
            f"One or more parameter values were invalid: Secondary index {index.row.name} does not project one or more filter "
            f"attributes: [{', '.join(dict.fromkeys(lacking))}]"
        )


def _look(table: Table, index: Index | None, statement: Select, binding: Binding) -> Look:
    projected = None if index is None else index.projected
    lacking = [str(path.parts[0]) for path in statement.paths or () if projected is not None and path.parts[0] not in projected]
    if lacking and index is not None:
        if not index.row.local:
            raise ValidationException(
                f"One or more parameter values were invalid: Global secondary index {index.row.name} does not project "
                f"[{', '.join(lacking)}]"
            )
        projected = None
    where = statement.where
    paths = None
    if statement.paths is not None and all(len(path.parts) == 1 for path in statement.paths):
        paths = tuple(path.parts for path in statement.paths)
    if where is None:
        return Look(paths, False, None, projected)
    condition = where
    return Look(paths, False, lambda item: conditions.holds(condition, binding, item), projected)


def _shown(statement: Select, found: list[Any]) -> list[Any]:
    paths = statement.paths
    if paths is None or all(len(path.parts) == 1 for path in paths):
        return found
    return [shown_item(statement, items.decode_json(one) if isinstance(one, msgspec.Raw) else one) for one in found]


def shown_item(statement: Select, item: Item) -> Item:
    """The parts of an item that are asked for: a nested one stands under its own name, not inside of what holds it."""
    if statement.paths is None:
        return item
    parts = {}
    for path in statement.paths:
        value = bindings.find(path.parts, item)
        if value is not None:
            parts[str(next(part for part in reversed(path.parts) if isinstance(part, str)))] = value
    return parts
