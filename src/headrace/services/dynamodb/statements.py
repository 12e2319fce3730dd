"""PartiQL's statements on tables: a statement with its values, the key that its condition names, and the write that it means."""

from collections.abc import Iterable
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context
from headrace.services.dynamodb import errors, guards, items, mutations, state
from headrace.services.dynamodb.engine import projections, syntax
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.keys import Schema
from headrace.services.dynamodb.engine.partiql.parser import parse
from headrace.services.dynamodb.engine.partiql.syntax import Delete, Exists, Insert, Select, Statement, Update, filled
from headrace.services.dynamodb.engine.values import Item, Value
from headrace.services.dynamodb.mutations import Change
from headrace.services.dynamodb.state import Table

_DUPLICATE = "Duplicate primary key exists in table"
_INCOMPLETE = "Where clause does not contain a mandatory equality on all key attributes"


class Bound:
    """A statement with its values, checked as far as it can be without its table."""

    __slots__ = ("binding", "parameters", "statement")

    def __init__(self, text: str, parameters: list[Value] | None) -> None:
        parsed = parse(text)
        self.statement: Statement = parsed.statement
        self.parameters = parameters or []
        self.binding = Binding.of_statement(parsed.values(self.parameters))
        where = _where(self.statement)
        if where is not None:
            self.binding.check(where)
        if isinstance(self.statement, Update):
            self.binding.check(self.statement.tree)

    @property
    def reads(self) -> bool:
        """Whether this is a SELECT."""
        return isinstance(self.statement, Select)

    @property
    def table_name(self) -> str:
        """The table that the statement names."""
        statement = self.statement
        return statement.select.table if isinstance(statement, Exists) else statement.table


def _where(statement: Statement) -> syntax.Condition | None:
    if isinstance(statement, Exists):
        return statement.select.where
    return None if isinstance(statement, Insert) else statement.where


def conjuncts(node: syntax.Condition | None) -> list[syntax.Condition]:
    """The conditions that all must hold."""
    if node is None:
        return []
    if isinstance(node, syntax.Both) and node.operator == "AND":
        return [one for term in node.terms for one in conjuncts(term)]
    return [node]


def equality(node: syntax.Condition, binding: Binding) -> tuple[str, Value] | None:
    """(attribute, value) of `attribute = value`, or None."""
    if not isinstance(node, syntax.Compare) or node.operator != "=":
        return None
    left, right = node.left, node.right
    if isinstance(left, syntax.Placeholder):
        left, right = right, left
    if isinstance(left, syntax.Path) and len(left.parts) == 1 and isinstance(right, syntax.Placeholder):
        return str(left.parts[0]), binding.values[right.name]
    return None


def key_and_rest(schema: Schema, bound: Bound) -> tuple[Item | None, list[syntax.Condition]]:
    """The whole key that a condition names (None: not all of it), and what else it asks."""
    key: Item = {}
    rest = []
    for term in conjuncts(_where(bound.statement)):
        found = equality(term, bound.binding)
        if found is not None and found[0] in schema.names and found[0] not in key:
            key[found[0]] = dict(found[1])
        else:
            rest.append(term)
    return (key if len(key) == len(schema.names) else None), rest


def _joined(terms: list[syntax.Condition]) -> syntax.Condition | None:
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else syntax.Both("AND", tuple(terms))


class Write:
    """A statement's write, prepared: what it changes, why it must not happen (if so), and what it gives back."""

    __slots__ = ("change", "failure", "returned")

    def __init__(self, change: Change, failure: str | None, returned: Any) -> None:
        self.change = change
        self.failure = failure
        self.returned = returned

    def check(self, wanted: str | None) -> None:
        """The exception of a write that must not happen."""
        if self.failure == "DuplicateItem":
            raise errors.DuplicateItemException(_DUPLICATE)
        if self.failure is not None:
            old = self.change.old
            raise errors.condition_failed(items.raw(old) if old is not None and wanted == "ALL_OLD" else None)

    def reason(self, wanted: str | None) -> dict[str, Any]:
        """The cancellation reason of this write in a transaction; code None when it may happen."""
        if self.failure is None:
            return {"Code": "None"}
        message = _DUPLICATE if self.failure == "DuplicateItem" else "The conditional request failed"
        reason: dict[str, Any] = {"Code": self.failure, "Message": message}
        if wanted == "ALL_OLD" and self.change.old is not None:
            reason["Item"] = items.raw(self.change.old)
        return reason


def prepare(ctx: Context, bound: Bound) -> Write:
    """The write of an INSERT, UPDATE, DELETE or EXISTS on the table as it is."""
    table = state.table_of(ctx, bound.table_name)
    statement = bound.statement
    if isinstance(statement, Insert):
        return _insert(ctx, table, bound, statement)
    key, rest = key_and_rest(table.schema, bound)
    if key is None:
        raise ValidationException(_INCOMPLETE)
    if isinstance(statement, Exists) and not rest:
        raise ValidationException("EXISTS() must contain a single item read with additional condition")
    place = mutations.place_of_key(table, key)
    old = ctx.tx.get(table.prefix + place)
    before = None if old is None else items.decode(old)
    holds = guards.Guard(bound.binding, _joined(rest)).passes(before)
    if isinstance(statement, Delete):
        # A DELETE that finds no item does nothing, whatever else it asks.
        failure = None if old is None or holds else "ConditionalCheckFailed"
        returned = before if statement.returning else None
        return Write(Change(table, place, old, None, key, before), failure, returned)
    if isinstance(statement, Exists):
        return Write(Change(table, place, old, old, key, before), None if holds else "ConditionalCheckFailed", None)
    assert isinstance(statement, Update)
    if before is None or not holds:
        return Write(Change(table, place, old, old, key, before), "ConditionalCheckFailed", None)
    mutations.refuse_key_updates(table, statement.tree, bound.binding)
    change = mutations.updated(table, place, old, before, key, statement.tree, bound.binding)
    return Write(change, None, _returned(statement, change, before))


def _insert(ctx: Context, table: Table, bound: Bound, statement: Insert) -> Write:
    value = filled(statement.item, bound.parameters)
    if "M" not in value:
        raise ValidationException("The value of an INSERT must be a map of attributes")
    item = value["M"]
    place, new = items.take(table, item)
    old = ctx.tx.get(table.prefix + place)
    return Write(Change(table, place, old, new, item), None if old is None else "DuplicateItem", None)


def _returned(statement: Update, change: Change, before: Item) -> Item | None:
    if statement.returning is None:
        return None
    item = before if statement.returning.endswith("OLD") else change.item
    if statement.returning.startswith("ALL"):
        return item
    return projections.project(_paths(statement.tree.actions), item) or None


def _paths(actions: Iterable[syntax.Action]) -> list[tuple[syntax.Part, ...]]:
    return [action.path.parts for action in actions]
