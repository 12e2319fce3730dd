"""A request's expressions with its names and values: what they use, what they leave unused, and what does not fit.

One `Binding` is made per request. It takes the values into their form, parses each expression, checks it against the names and
values, and at the end says what was given and not used.
"""

import re
from collections.abc import Iterable
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import syntax, values
from headrace.services.dynamodb.engine.parser import Wrong, parse
from headrace.services.dynamodb.engine.syntax import Part, Path
from headrace.services.dynamodb.engine.values import Item, Value

_NAME = re.compile(r"#[0-9a-zA-Z_]+").fullmatch
_VALUE = re.compile(r":[0-9a-zA-Z_]+").fullmatch
_OPERAND_COUNTS = {
    "attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2, "size": 1,
    "if_not_exists": 2, "list_append": 2,
}  # fmt: skip
_KINDS = frozenset(("S", "N", "B", "NULL", "SS", "BOOL", "L", "BS", "NS", "M"))
_LONG_KINDS = {"S": "STRING", "N": "NUMBER", "B": "BINARY", "NULL": "NULL", "BOOL": "BOOLEAN", "L": "LIST", "M": "MAP"}


class Binding:
    """The names and values of one request."""

    __slots__ = ("_paths", "_used_names", "_used_values", "names", "values")

    def __init__(self, names: dict[str, str] | None, given: Item | None) -> None:
        self.names = names or {}
        self.values = given or {}
        self._used_names: set[str] = set()
        self._used_values: set[str] = set()
        self._paths: dict[Path, tuple[Part, ...]] = {}
        if names is not None:
            _check_names(names)
        if given is not None:
            _check_values(given)

    def condition(self, kind: str, text: str) -> syntax.Condition:
        """A condition, checked. `kind` is the name of the request's member."""
        tree: syntax.Condition = self._bind(kind, text, self._check_condition)
        return tree

    def update(self, text: str) -> syntax.Update:
        """An update, checked."""
        tree: syntax.Update = self._bind("UpdateExpression", text, self._check_update)
        return tree

    def projection(self, text: str) -> tuple[tuple[Part, ...], ...]:
        """The paths of a projection."""
        tree: syntax.Projection = self._bind("ProjectionExpression", text, self._check_projection)
        return tuple(self.parts(path) for path in tree.paths)

    @classmethod
    def of_statement(cls, given: Item) -> "Binding":
        """The binding of a statement, whose placeholders have these values, in their form already."""
        binding = cls(None, None)
        binding.values = given
        return binding

    def check(self, tree: syntax.Condition | syntax.Update) -> None:
        """Check a statement's condition or update against its values."""
        try:
            if isinstance(tree, syntax.Update):
                self._check_update(tree)
            else:
                self._check_condition(tree)
        except Wrong as wrong:
            raise ValidationException(str(wrong)) from None

    def finish(self) -> None:
        """Refuse names and values that no expression uses."""
        if len(self._used_names) != len(self.names):
            unused = ", ".join(name for name in self.names if name not in self._used_names)
            raise ValidationException(f"Value provided in ExpressionAttributeNames unused in expressions: keys: {{{unused}}}")
        if len(self._used_values) != len(self.values):
            unused = ", ".join(name for name in self.values if name not in self._used_values)
            raise ValidationException(f"Value provided in ExpressionAttributeValues unused in expressions: keys: {{{unused}}}")

    def parts(self, path: Path) -> tuple[Part, ...]:
        """A path with its placeholders replaced."""
        if not self.names:
            return path.parts
        found = self._paths.get(path)
        if found is None:
            names = self.names
            found = tuple(names.get(part, part) if isinstance(part, str) else part for part in path.parts)
            self._paths[path] = found
        return found

    def find(self, path: Path, item: Item) -> Value | None:
        """The value at a path of an item, or None."""
        return find(self.parts(path), item)

    def _bind(self, kind: str, text: str, check: Any) -> Any:
        parsed = parse(kind, text)
        try:
            self._use(parsed)
            check(parsed.tree)
        except Wrong as wrong:
            raise ValidationException(f"Invalid {kind}: {wrong}") from None
        return parsed.tree

    def _use(self, parsed: syntax.Parsed) -> None:
        if not self.names.keys() >= parsed.names:
            missing = min(parsed.names - self.names.keys())
            raise Wrong(f"An expression attribute name used in the document path is not defined; attribute name: {missing}")
        if not self.values.keys() >= parsed.values:
            missing = min(parsed.values - self.values.keys())
            raise Wrong(f"An expression attribute value used in expression is not defined; attribute value: {missing}")
        self._used_names |= parsed.names
        self._used_values |= parsed.values

    # Conditions

    def _check_condition(self, node: syntax.Condition) -> None:
        if isinstance(node, syntax.Both):
            for term in node.terms:
                self._check_condition(term)
        elif isinstance(node, syntax.Not):
            self._check_condition(node.term)
        elif isinstance(node, syntax.Compare):
            self._check_operands((node.left, node.right))
            self._check_distinct(node.operator, node.left, node.right)
            if node.operator in ("<", "<=", ">", ">="):
                self._check_ordered(node.operator, (node.left, node.right))
        elif isinstance(node, syntax.Between):
            self._check_operands((node.operand, node.low, node.high))
            self._check_ordered("BETWEEN", (node.operand,))
            self._check_between(node)
        elif isinstance(node, syntax.In):
            self._check_operands((node.operand, *node.options))
        else:
            self._check_function(node)

    def _check_operands(self, operands: Iterable[syntax.Operand]) -> None:
        for operand in operands:
            if isinstance(operand, syntax.Function):
                self._check_function(operand)

    def _kind(self, operand: syntax.Operand) -> str | None:
        """The type of an operand that is a value, or that gives a known type; None when only the item can tell."""
        if isinstance(operand, syntax.Placeholder):
            return values.kind_of(self.values[operand.name])
        if isinstance(operand, syntax.Function):
            return {"size": "N", "list_append": "L"}.get(operand.name)
        return "N" if isinstance(operand, syntax.Sum) else None

    def _check_distinct(self, operator: str, left: syntax.Operand, right: syntax.Operand) -> None:
        if isinstance(left, Path) and isinstance(right, Path) and self.parts(left) == self.parts(right):
            raise Wrong(
                "The first operand must be distinct from the remaining operands for this operator or function; "
                f"operator: {operator}, first operand: {syntax.shown(self.parts(left))}"
            )

    def _check_ordered(self, operator: str, operands: Iterable[syntax.Operand]) -> None:
        for operand in operands:
            kind = self._kind(operand)
            if kind is not None and kind not in ("S", "N", "B"):
                raise Wrong(
                    f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
                )

    def _check_between(self, node: syntax.Between) -> None:
        if not (isinstance(node.low, syntax.Placeholder) and isinstance(node.high, syntax.Placeholder)):
            return
        low, high = self.values[node.low.name], self.values[node.high.name]
        bounds = f"lower bound operand: {values.shown(low)}, upper bound operand: {values.shown(high)}"
        if values.kind_of(low) != values.kind_of(high):
            raise Wrong(f"The BETWEEN operator requires same data type for lower and upper bounds; {bounds}")
        self._check_ordered("BETWEEN", (node.low, node.high))
        if values.order_of(low) > values.order_of(high):  # type: ignore[operator]
            raise Wrong(f"The BETWEEN operator requires upper bound to be greater than or equal to lower bound; {bounds}")

    def _check_function(self, node: syntax.Function) -> None:
        name, operands = node.name, node.operands
        self._check_operands(operands)
        if len(operands) != _OPERAND_COUNTS[name]:
            raise Wrong(
                f"Incorrect number of operands for operator or function; operator or function: {name}, "
                f"number of operands: {len(operands)}"
            )
        if name in ("attribute_exists", "attribute_not_exists", "if_not_exists") and not isinstance(operands[0], Path):
            raise Wrong(f"Operator or function requires a document path; operator or function: {name}")
        if len(operands) == 2 and name in ("begins_with", "contains", "attribute_type"):
            self._check_distinct(name, operands[0], operands[1])
        if name == "begins_with":
            self._refuse_kinds(name, operands, allowed=("S", "B"))
        elif name == "size":
            self._refuse_kinds(name, operands, allowed=("S", "B", "SS", "NS", "BS", "L", "M"))
        elif name == "list_append":
            self._refuse_kinds(name, operands, allowed=("L",))
        elif name == "attribute_type":
            self._check_attribute_type(operands[1])

    def _refuse_kinds(self, name: str, operands: Iterable[syntax.Operand], allowed: tuple[str, ...]) -> None:
        for operand in operands:
            kind = self._kind(operand)
            if kind is not None and kind not in allowed:
                raise Wrong(
                    f"Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"
                )

    def _check_attribute_type(self, operand: syntax.Operand) -> None:
        kind = self._kind(operand)
        if kind != "S" or not isinstance(operand, syntax.Placeholder):
            shown = kind or "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
            raise Wrong(
                f"Incorrect operand type for operator or function; operator or function: attribute_type, operand type: {shown}"
            )
        wanted = self.values[operand.name]["S"]
        if wanted not in _KINDS:
            raise Wrong(f"Invalid attribute type name found; type: {wanted}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}")

    # Updates and projections

    def _check_update(self, tree: syntax.Update) -> None:
        self._check_overlap([self.parts(action.path) for action in tree.actions])
        for action in tree.actions:
            if action.section in ("ADD", "DELETE"):
                self._check_changed(action)
            elif action.operand is not None:
                self._check_assigned(action.operand)

    def _check_changed(self, action: syntax.Action) -> None:
        assert isinstance(action.operand, syntax.Placeholder)
        kind = values.kind_of(self.values[action.operand.name])
        if kind in _LONG_KINDS and not (action.section == "ADD" and kind == "N"):
            raise Wrong(
                f"Incorrect operand type for operator or function; operator: {action.section}, "
                f"operand type: {_LONG_KINDS[kind]}, typeSet: ALLOWED_FOR_{action.section}_OPERAND"
            )

    def _check_assigned(self, operand: syntax.Operand) -> None:
        if isinstance(operand, syntax.Sum):
            self._check_assigned(operand.left)
            self._check_assigned(operand.right)
            self._refuse_kinds(operand.operator, (operand.left, operand.right), allowed=("N",))
        elif isinstance(operand, syntax.Function):
            for inner in operand.operands:
                self._check_assigned(inner)
            self._check_function(operand)

    def _check_projection(self, tree: syntax.Projection) -> None:
        self._check_overlap([self.parts(path) for path in tree.paths])

    def _check_overlap(self, paths: list[tuple[Part, ...]]) -> None:
        if len(paths) == len({path[0] for path in paths}):
            return
        for place, second in enumerate(paths):
            for first in paths[:place]:
                _check_pair(first, second)


def _check_pair(first: tuple[Part, ...], second: tuple[Part, ...]) -> None:
    shown = f"must remove or rewrite one of these paths; path one: {syntax.shown(first)}, path two: {syntax.shown(second)}"
    for one, two in zip(first, second, strict=False):
        if type(one) is not type(two):
            raise Wrong(f"Two document paths conflict with each other; {shown}")
        if one != two:
            return
    raise Wrong(f"Two document paths overlap with each other; {shown}")


def _check_names(names: dict[str, str]) -> None:
    if not names:
        raise ValidationException("ExpressionAttributeNames must not be empty")
    for name in names:
        if not _NAME(name):
            raise ValidationException(f'ExpressionAttributeNames contains invalid key: Syntax error; key: "{name}"')


def _check_values(given: Item) -> None:
    if not given:
        raise ValidationException("ExpressionAttributeValues must not be empty")
    for name in given:
        if not _VALUE(name):
            raise ValidationException(f'ExpressionAttributeValues contains invalid key: Syntax error; key: "{name}"')
    for name, value in given.items():
        try:
            values.take(value)
        except ValidationException as error:
            raise ValidationException(
                f"ExpressionAttributeValues contains invalid value: {error.message} for key {name}"
            ) from None


def find(parts: tuple[Part, ...], item: Item) -> Value | None:
    """The value at a path of an item, or None."""
    value: Value | None = item.get(parts[0])  # type: ignore[arg-type]
    for part in parts[1:]:
        if value is None:
            return None
        if isinstance(part, int):
            members = value.get("L")
            value = members[part] if members is not None and part < len(members) else None
        else:
            fields = value.get("M")
            value = fields.get(part) if fields is not None else None
    return value
