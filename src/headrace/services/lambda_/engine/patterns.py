"""Filter patterns of event source mappings: EventBridge's language.

A pattern is an object; each of its keys holds an object (go deeper) or a list of rules, of which one must fit. A rule is a value
(equal) or an object with one operator. `$or` at any level holds a list of patterns, of which one must fit.
"""

import fnmatch
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_ABSENT = object()
Test = Callable[[Any], bool]


class InvalidPattern(ValueError):
    """The text is no filter pattern."""


def compile_pattern(text: str) -> Test:
    """A test of events, from the text of a pattern. InvalidPattern."""
    try:
        pattern = json.loads(text)
    except ValueError:
        raise InvalidPattern("a pattern is JSON") from None
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidPattern("a pattern is an object with at least one key")
    return _object(pattern)


def _object(pattern: Mapping[str, Any]) -> Test:
    tests: list[Test] = []
    for key, inner in pattern.items():
        if key == "$or":
            if not isinstance(inner, list) or not inner or not all(isinstance(one, dict) and one for one in inner):
                raise InvalidPattern("$or holds a list of patterns")
            choices = [_object(one) for one in inner]
            tests.append(lambda value, choices=choices: any(choice(value) for choice in choices))  # type: ignore[misc]
        elif isinstance(inner, dict) and inner:
            tests.append(_deeper(key, _object(inner)))
        elif isinstance(inner, list) and inner:
            tests.append(_field(key, [_rule(rule) for rule in inner]))
        else:
            raise InvalidPattern(f"{key!r} holds an object or a list of rules")
    return lambda value: isinstance(value, dict) and all(test(value) for test in tests)


def _deeper(key: str, test: Test) -> Test:
    def deeper(value: Any) -> bool:
        inner = value.get(key, _ABSENT)
        if isinstance(inner, list):
            return any(test(one) for one in inner)
        # A key that is absent may still be asked to be absent further in.
        return test({} if inner is _ABSENT else inner)

    return deeper


def _field(key: str, rules: list[Test]) -> Test:
    def field(value: Any) -> bool:
        inner = value.get(key, _ABSENT)
        values = inner if isinstance(inner, list) and inner else [inner]
        return any(rule(one) for rule in rules for one in values)

    return field


def _rule(rule: Any) -> Test:
    if isinstance(rule, dict):
        if len(rule) != 1:
            raise InvalidPattern("a rule has one operator")
        ((operator, operand),) = rule.items()
        make = _OPERATORS.get(operator)
        if make is None:
            raise InvalidPattern(f"there is no operator {operator!r}")
        return make(operand)
    if isinstance(rule, list):
        raise InvalidPattern("a rule is a value or an operator")
    return lambda value: _same(rule, value)


def _same(rule: Any, value: Any) -> bool:
    """Equality as JSON has it: true is not 1, and 1 is 1.0."""
    if isinstance(rule, bool) or isinstance(value, bool) or rule is None:
        return rule is value
    return bool(rule == value) and isinstance(rule, str) == isinstance(value, str)


def _text(operand: Any) -> str:
    if not isinstance(operand, str):
        raise InvalidPattern("the operator takes a text")
    return operand


def _affix(method: str) -> Callable[[Any], Test]:
    def make(operand: Any) -> Test:
        if isinstance(operand, dict) and list(operand) == ["equals-ignore-case"]:
            wanted = _text(operand["equals-ignore-case"]).lower()
            return lambda value: isinstance(value, str) and bool(getattr(value.lower(), method)(wanted))
        wanted = _text(operand)
        return lambda value: isinstance(value, str) and bool(getattr(value, method)(wanted))

    return make


def _ignore_case(operand: Any) -> Test:
    wanted = _text(operand).lower()
    return lambda value: isinstance(value, str) and value.lower() == wanted


def _wildcard(operand: Any) -> Test:
    # fnmatch knows ? and [ too: they stand for themselves here.
    translated = fnmatch.translate(re.sub(r"([?\[])", r"[\1]", _text(operand)))
    expression = re.compile(translated)
    return lambda value: isinstance(value, str) and expression.match(value) is not None


def _exists(operand: Any) -> Test:
    if not isinstance(operand, bool):
        raise InvalidPattern("exists is true or false")
    return lambda value: (value is not _ABSENT and not isinstance(value, dict)) is operand


def _numeric(operand: Any) -> Test:
    comparisons: dict[str, Callable[[float, float], bool]] = {
        "=": lambda a, b: a == b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidPattern("numeric takes one or two comparisons")
    pairs = list(zip(operand[::2], operand[1::2], strict=True))
    for name, bound in pairs:
        if name not in comparisons or isinstance(bound, bool) or not isinstance(bound, int | float):
            raise InvalidPattern("numeric takes comparisons with numbers")

    def test(value: Any) -> bool:
        number = _number(value)
        return number is not None and all(comparisons[name](number, bound) for name, bound in pairs)

    return test


def _number(value: Any) -> float | None:
    """A number, or a text that is one: DynamoDB writes its numbers as texts."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _anything_but(operand: Any) -> Test:
    if isinstance(operand, dict):
        if len(operand) != 1 or next(iter(operand)) not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise InvalidPattern("anything-but takes values, or prefix, suffix, equals-ignore-case or wildcard")
        ((operator, inner),) = operand.items()
        tests = [_OPERATORS[operator](one) for one in (inner if isinstance(inner, list) else [inner])]
    else:
        values = operand if isinstance(operand, list) else [operand]
        if not values or any(isinstance(value, dict | list) for value in values):
            raise InvalidPattern("anything-but takes values")
        tests = [_rule(value) for value in values]
    return lambda value: value is not _ABSENT and not any(test(value) for test in tests)


def _cidr(operand: Any) -> Test:
    try:
        network = ipaddress.ip_network(_text(operand), strict=False)
    except ValueError:
        raise InvalidPattern("cidr takes a network") from None

    def test(value: Any) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return test


_OPERATORS: dict[str, Callable[[Any], Test]] = {
    "prefix": _affix("startswith"),
    "suffix": _affix("endswith"),
    "equals-ignore-case": _ignore_case,
    "wildcard": _wildcard,
    "exists": _exists,
    "numeric": _numeric,
    "anything-but": _anything_but,
    "cidr": _cidr,
}
