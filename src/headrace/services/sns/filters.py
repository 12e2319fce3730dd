"""Filter policies, pure: which messages a subscription wants.

A policy maps keys to lists of conditions. A message fits when, for every key, one of the conditions does. Policies on the body
may be nested, and meet arrays by any of their elements.
"""

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from headrace.services.sns import errors, limits

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_KINDS = frozenset({"prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists"})
_ABSENT = object()


def check(text: str, *, nested: bool) -> None:
    """InvalidParameterException unless the text is a filter policy."""
    if len(text.encode()) > limits.FILTER_SIZE_MAX_BYTES:
        raise errors.invalid("FilterPolicy: Filter policy is too large")
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise errors.invalid("FilterPolicy: failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise errors.invalid("FilterPolicy: Filter policy must be a JSON object")
    if len(policy) > limits.FILTER_KEYS_MAX:
        raise errors.invalid("FilterPolicy: Filter policy can not have more than 5 keys")
    _check_level(policy, nested, 1)


def _check_level(policy: Mapping[str, Any], nested: bool, depth: int) -> None:
    for key, wanted in policy.items():
        if key == "$or":
            raise errors.invalid("FilterPolicy: Headrace does not support $or yet")
        if isinstance(wanted, dict):
            if not nested or depth >= limits.FILTER_DEPTH_MAX:
                raise errors.invalid("FilterPolicy: Filter policy scope MessageAttributes does not support nested filter policy")
            _check_level(wanted, nested, depth + 1)
        elif not isinstance(wanted, list) or not wanted:
            raise errors.invalid(f'FilterPolicy: "{key}" must be an object or an array')
        else:
            for condition in wanted:
                _check_condition(condition)


def _check_condition(condition: Any) -> None:
    if isinstance(condition, list):
        raise errors.invalid("FilterPolicy: Match value must be String, number, true, false, or null")
    if not isinstance(condition, dict):
        return
    if len(condition) != 1 or not condition.keys() <= _KINDS:
        raise errors.invalid(f"FilterPolicy: Unrecognized match type {next(iter(condition), '')}")
    ((kind, value),) = condition.items()
    if not _is_right(kind, value):
        raise errors.invalid(f"FilterPolicy: Bad value for match type {kind}")


def _is_right(kind: str, value: Any) -> bool:
    """Whether a kind of condition can have this value."""
    if kind == "exists":
        return isinstance(value, bool)
    if kind == "numeric":
        return _is_numeric(value)
    if kind == "anything-but":
        return isinstance(value, str | int | float | list) or _is_prefix(value)
    return isinstance(value, str)


def _is_prefix(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and value.keys() <= {"prefix", "suffix"} and _texts(value)


def _texts(value: Mapping[str, Any]) -> bool:
    return all(isinstance(item, str) for item in value.values())


def _is_numeric(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (2, 4):
        return False
    return all(name in _COMPARE for name in value[::2]) and all(_is_number(number) for number in value[1::2])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def fits_attributes(policy: Mapping[str, Any], attributes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a message with these attributes is wanted."""
    values = {name: _values_of(value) for name, value in attributes.items()}
    return all(_any_fits(wanted, values.get(key, _ABSENT)) for key, wanted in policy.items())


def _values_of(attribute: Mapping[str, Any]) -> Any:
    kind, text = attribute["DataType"], attribute.get("StringValue", "")
    if kind not in ("Number", "String.Array"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def fits_body(policy: Mapping[str, Any], body: str) -> bool:
    """Whether a message of this body is wanted; one that is no JSON object never is."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and _fits_level(policy, document)


def _fits_level(policy: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    for key, wanted in policy.items():
        value = document.get(key, _ABSENT)
        if isinstance(wanted, dict):
            inner = value if isinstance(value, list) else [value]
            if not any(_fits_level(wanted, one if isinstance(one, dict) else {}) for one in inner):
                return False
        elif not _any_fits(wanted, value):
            return False
    return True


def _any_fits(wanted: list[Any], value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(_fits(condition, one) for condition in wanted for one in values)


def _fits(condition: Any, value: Any) -> bool:
    if isinstance(condition, dict):
        ((kind, wanted),) = condition.items()
        if kind == "exists":
            return (value is not _ABSENT) == bool(wanted)
        return value is not _ABSENT and _fits_kind(kind, wanted, value)
    if _is_number(condition) or _is_number(value):
        return _is_number(condition) and _is_number(value) and bool(condition == value)
    return type(condition) is type(value) and bool(condition == value)


def _fits_kind(kind: str, wanted: Any, value: Any) -> bool:
    if kind == "numeric":
        return _is_number(value) and all(
            _COMPARE[name](value, number) for name, number in zip(wanted[::2], wanted[1::2], strict=True)
        )
    if kind == "anything-but":
        if isinstance(wanted, dict):
            return not _fits(wanted, value)
        return not any(_fits(one, value) for one in (wanted if isinstance(wanted, list) else [wanted]))
    if not isinstance(value, str):
        return False
    if kind == "prefix":
        return value.startswith(str(wanted))
    return value.endswith(str(wanted)) if kind == "suffix" else value.casefold() == str(wanted).casefold()
