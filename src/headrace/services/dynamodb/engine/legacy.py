"""The parameters that were there before expressions, as the same trees: Expected, filters, KeyConditions, AttributeUpdates.

Each value becomes a placeholder of its own in the request's binding.
"""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import syntax, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.ranges import Term
from headrace.services.dynamodb.engine.syntax import Path

_INVALID = "One or more parameter values were invalid: "
_OPERATORS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_SCALARS = ("S", "N", "B")
_ORDERED = frozenset(("LT", "LE", "GT", "GE", "BETWEEN", "CONTAINS", "NOT_CONTAINS", "IN"))


def expected(binding: Binding, given: Mapping[str, Mapping[str, Any]], operator: str | None) -> syntax.Condition | None:
    """The condition of an Expected parameter; None when it is empty."""
    terms = []
    for name, wanted in given.items():
        if "ComparisonOperator" in wanted:
            if "Exists" in wanted:
                raise ValidationException(
                    f"{_INVALID}Exists and ComparisonOperator cannot be used together for Attribute: {name}"
                )
            arguments = wanted.get("AttributeValueList") or ([wanted["Value"]] if "Value" in wanted else [])
            terms.append(_term(binding, name, wanted["ComparisonOperator"], arguments))
        elif "AttributeValueList" in wanted:
            raise ValidationException(
                f"{_INVALID}AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
            )
        else:
            terms.append(_existence(binding, name, wanted))
    return _joined(terms, operator)


def _existence(binding: Binding, name: str, wanted: Mapping[str, Any]) -> syntax.Condition:
    exists, value = wanted.get("Exists"), wanted.get("Value")
    if exists is False:
        if value is not None:
            raise ValidationException(f"{_INVALID}Value cannot be used when Exists is false for Attribute: {name}")
        return syntax.Function("attribute_not_exists", (Path((name,)),))
    if value is None:
        shown = "null" if exists is None else "true"
        raise ValidationException(f"{_INVALID}Value must be provided when Exists is {shown} for Attribute: {name}")
    return syntax.Compare("=", Path((name,)), _placeholder(binding, value))


def conditions(binding: Binding, given: Mapping[str, Mapping[str, Any]], operator: str | None) -> syntax.Condition | None:
    """The condition of a QueryFilter or ScanFilter; None when it is empty."""
    terms = [
        _term(binding, name, wanted["ComparisonOperator"], wanted.get("AttributeValueList") or [])
        for name, wanted in given.items()
    ]
    return _joined(terms, operator)


def key_terms(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Term]:
    """The terms of KeyConditions."""
    found = {}
    for name, wanted in given.items():
        operator, arguments = wanted["ComparisonOperator"], wanted.get("AttributeValueList") or []
        _check_arguments(operator, arguments)
        if operator in _OPERATORS and operator != "NE":
            found[name] = Term(_OPERATORS[operator], tuple(arguments))
        elif operator in ("BETWEEN", "BEGINS_WITH"):
            found[name] = Term("BETWEEN" if operator == "BETWEEN" else "begins_with", tuple(arguments))
        else:
            raise ValidationException("Attempted conditional constraint is not an indexable operation")
    return found


def update(binding: Binding, given: Mapping[str, Mapping[str, Any]]) -> syntax.Update:
    """The update of AttributeUpdates."""
    actions = []
    for name, wanted in given.items():
        action, value = wanted.get("Action", "PUT"), wanted.get("Value")
        if value is None:
            if action != "DELETE":
                raise ValidationException(f"{_INVALID}Only DELETE action is allowed when no attribute value is specified")
            actions.append(syntax.Action("REMOVE", Path((name,))))
            continue
        operand = _placeholder(binding, value)
        kind = values.kind_of(value)
        if action == "DELETE" and kind not in ("SS", "NS", "BS"):
            raise ValidationException(f"{_INVALID}DELETE action with value is not supported for the type {kind}")
        if action == "ADD" and kind == "L":
            path = Path((name,))
            old = syntax.Function("if_not_exists", (path, _placeholder(binding, {"L": []})))
            actions.append(syntax.Action("SET", path, syntax.Function("list_append", (old, operand))))
        elif action == "ADD" and kind not in ("SS", "NS", "BS", "N"):
            raise ValidationException(f"{_INVALID}ADD action is not supported for the type {kind}")
        else:
            actions.append(syntax.Action("SET" if action == "PUT" else action, Path((name,)), operand))
    return syntax.Update(tuple(actions))


def _joined(terms: list[syntax.Condition], operator: str | None) -> syntax.Condition | None:
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else syntax.Both(operator or "AND", tuple(terms))


def _placeholder(binding: Binding, value: values.Value) -> syntax.Placeholder:
    values.take(value)
    name = f":{len(binding.values)}"
    binding.values[name] = value
    return syntax.Placeholder(name)


def _term(binding: Binding, name: str, operator: str, arguments: list[Any]) -> syntax.Condition:
    _check_arguments(operator, arguments)
    path = Path((name,))
    operands = tuple(_placeholder(binding, value) for value in arguments)
    if operator in _OPERATORS:
        return syntax.Compare(_OPERATORS[operator], path, operands[0])
    if operator == "BETWEEN":
        return syntax.Between(path, operands[0], operands[1])
    if operator == "IN":
        return syntax.In(path, operands)
    if operator == "NULL":
        return syntax.Function("attribute_not_exists", (path,))
    if operator == "NOT_NULL":
        return syntax.Function("attribute_exists", (path,))
    if operator == "BEGINS_WITH":
        return syntax.Function("begins_with", (path, operands[0]))
    contains = syntax.Function("contains", (path, operands[0]))
    if operator == "CONTAINS":
        return contains
    # Of an item without the attribute AWS says neither that it contains nor that it lacks the value.
    return syntax.Both("AND", (syntax.Function("attribute_exists", (path,)), syntax.Not(contains)))


def _check_arguments(operator: str, arguments: list[Any]) -> None:
    for value in arguments:
        values.take(value)
    counts = {"NULL": (0, 0), "NOT_NULL": (0, 0), "BETWEEN": (2, 2), "IN": (1, 1 << 30)}.get(operator, (1, 1))
    if not counts[0] <= len(arguments) <= counts[1]:
        raise ValidationException(f"{_INVALID}Invalid number of argument(s) for the {operator} ComparisonOperator")
    kinds = [values.kind_of(value) for value in arguments]
    if len(set(kinds)) > 1:
        raise ValidationException(f"{_INVALID}AttributeValues inside AttributeValueList must be of same type")
    allowed = _SCALARS if operator in _ORDERED else ("S", "B") if operator == "BEGINS_WITH" else None
    if allowed is not None and kinds and kinds[0] not in allowed:
        raise ValidationException(f"{_INVALID}ComparisonOperator {operator} is not valid for {kinds[0]} AttributeValue type")
    if operator == "BETWEEN" and values.order_of(arguments[0]) > values.order_of(arguments[1]):  # type: ignore[operator]
        raise ValidationException(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
        )
