"""The expressions of one request: its condition, filter, projection or update, bound to its names and values."""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import errors, items
from headrace.services.dynamodb.engine import conditions, legacy, syntax
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.values import Item


class Guard:
    """A condition on the item as it is before a write. Without one it lets everything pass."""

    __slots__ = ("_node", "binding")

    def __init__(self, binding: Binding | None, node: syntax.Condition | None) -> None:
        self.binding = binding
        self._node = node

    def __bool__(self) -> bool:
        return self._node is not None

    def passes(self, item: Item | None) -> bool:
        """Whether the item (None: there is none) satisfies the condition."""
        if self._node is None:
            return True
        assert self.binding is not None
        return conditions.holds(self._node, self.binding, item or {})

    def check(self, old: bytes | None, before: Item | None, wanted: str | None) -> None:
        """ConditionalCheckFailedException unless the item that is there passes; with the item, if it is wanted."""
        if not self.passes(before):
            raise errors.condition_failed(items.raw(old) if old is not None and wanted == "ALL_OLD" else None)


FREE = Guard(None, None)


def guard(
    condition: str | None,
    names: dict[str, str] | None,
    values: Item | None,
    *,
    expected: Mapping[str, Any] | None = None,
    operator: str | None = None,
) -> Guard:
    """The guard of PutItem and DeleteItem, from their ConditionExpression or the older Expected."""
    if condition is None:
        refuse_loose(names, values, "ConditionExpression")
        return FREE if expected is None else expected_guard(expected, operator)
    if expected is not None:
        refuse_mixture(("Expected",), ("ConditionExpression",))
    binding = Binding(names, values)
    node = binding.condition("ConditionExpression", condition)
    binding.finish()
    return Guard(binding, node)


def expected_guard(expected: Mapping[str, Any], operator: str | None) -> Guard:
    """The guard of the older Expected parameter."""
    binding = Binding(None, None)
    return Guard(binding, legacy.expected(binding, expected, operator))


def refuse_loose(names: Any, values: Any, *expressions: str) -> None:
    """Names and values make no sense without an expression."""
    if names is not None:
        raise ValidationException("ExpressionAttributeNames can only be specified when using expressions")
    refuse_loose_values(values, *expressions)


def refuse_loose_values(values: Any, *expressions: str) -> None:
    """Values make no sense without an expression that can hold some."""
    if values is not None:
        verb = "are" if len(expressions) > 1 else "is"
        raise ValidationException(
            f"ExpressionAttributeValues can only be specified when using expressions: {' and '.join(expressions)} {verb} null"
        )


def refuse_mixture(older: tuple[str, ...], newer: tuple[str, ...]) -> None:
    """The older parameters and expressions exclude each other."""
    raise ValidationException(
        "Can not use both expression and non-expression parameters in the same request: "
        f"Non-expression parameters: {{{', '.join(older)}}} Expression parameters: {{{', '.join(newer)}}}"
    )
