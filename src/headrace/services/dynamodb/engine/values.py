"""Values and items in DynamoDB's own JSON form: {"S": "text"}, {"N": "12"}, {"B": base64 text} …

`take` checks a value that a caller gave and brings it into its one form: numbers normal, sets in order. Afterwards two values are
equal when their dicts are. What it returns is the size that DynamoDB counts.
"""

import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from headrace.kit.errors import SerializationException, ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import numbers

Value: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Value]

_INVALID = "One or more parameter values were invalid: "
_EMPTY_VALUE = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
_MANY_KINDS = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
_TOO_DEEP = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"

# What a list, a map and each of their elements count besides their content.
_DOCUMENT_SIZE_BYTES = 3
_ELEMENT_SIZE_BYTES = 1


def kind_of(value: Mapping[str, Any]) -> str:
    """The type of a value: S, N, B, SS, NS, BS, L, M, BOOL or NULL."""
    return next(iter(value))


def text_size(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def binary(text: str) -> bytes:
    """The bytes behind base64 text."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise SerializationException(f"'{text[:200]}' can not be converted to a Blob: Invalid Base64") from None


def take_item(item: Item) -> int:
    """Check an item and bring it into its form; its size in bytes."""
    size = 0
    for name, value in item.items():
        size += len(name) if name.isascii() else len(name.encode())
        text = value.get("S")
        if text is not None and len(value) == 1:
            size += len(text) if text.isascii() else len(text.encode())
        else:
            size += take(value, 1)
    return size


def take(value: Value, depth: int = 1) -> int:
    """Check one value and bring it into its form; its size in bytes."""
    if len(value) != 1:
        raise ValidationException(_EMPTY_VALUE if not value else _MANY_KINDS)
    (kind,) = value
    handler = _TAKERS.get(kind)
    if handler is None:
        raise ValidationException(_EMPTY_VALUE)
    return handler(value, depth)


def _take_text(value: Value, depth: int) -> int:
    return text_size(value["S"])


def _take_number(value: Value, depth: int) -> int:
    value["N"] = text = numbers.normal(value["N"])
    return numbers.size_bytes(text)


def _take_binary(value: Value, depth: int) -> int:
    return len(binary(value["B"]))


def _take_boolean(value: Value, depth: int) -> int:
    return 1


def _take_null(value: Value, depth: int) -> int:
    if value["NULL"] is not True:
        raise ValidationException(_INVALID + "Null attribute value types must have the value of true")
    return 1


def _take_texts(value: Value, depth: int) -> int:
    members = value["SS"]
    if not members:
        raise ValidationException(_INVALID + "An string set  may not be empty")
    if len(set(members)) != len(members):
        raise ValidationException(f"{_INVALID}Input collection [{', '.join(members)}] contains duplicates.")
    value["SS"] = sorted(members)
    return sum(map(text_size, members))


def _take_numbers(value: Value, depth: int) -> int:
    members = value["NS"]
    if not members:
        raise ValidationException(_INVALID + "An number set  may not be empty")
    members = [numbers.normal(member) for member in members]
    if len(set(members)) != len(members):
        raise ValidationException("Input collection contains duplicates")
    value["NS"] = sorted(members, key=numbers.decimal)
    return sum(map(numbers.size_bytes, members))


def _take_binaries(value: Value, depth: int) -> int:
    members = value["BS"]
    if not members:
        raise ValidationException(_INVALID + "Binary sets should not be empty")
    if len(set(members)) != len(members):
        raise ValidationException(f"{_INVALID}Input collection [{', '.join(members)}]of type BS contains duplicates.")
    value["BS"] = sorted(members, key=binary)
    return sum(len(binary(member)) for member in members)


def _take_list(value: Value, depth: int) -> int:
    if depth >= limits.NESTING_DEPTH_MAX + 1:
        raise ValidationException(_TOO_DEEP)
    members = value["L"]
    return _DOCUMENT_SIZE_BYTES + sum(_ELEMENT_SIZE_BYTES + take(member, depth + 1) for member in members)


def _take_map(value: Value, depth: int) -> int:
    if depth >= limits.NESTING_DEPTH_MAX + 1:
        raise ValidationException(_TOO_DEEP)
    size = _DOCUMENT_SIZE_BYTES
    for name, member in value["M"].items():
        size += _ELEMENT_SIZE_BYTES + text_size(name) + take(member, depth + 1)
    return size


_TAKERS: Mapping[str, Callable[[Value, int], int]] = {
    "S": _take_text,
    "N": _take_number,
    "B": _take_binary,
    "BOOL": _take_boolean,
    "NULL": _take_null,
    "SS": _take_texts,
    "NS": _take_numbers,
    "BS": _take_binaries,
    "L": _take_list,
    "M": _take_map,
}


def item_size(item: Mapping[str, Value]) -> int:
    """The size of an item that is in its form already."""
    return sum(text_size(name) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """The size of a value that is in its form already."""
    kind, content = next(iter(value.items()))
    if kind == "S":
        return text_size(content)
    if kind == "N":
        return numbers.size_bytes(content)
    if kind == "B":
        return len(content) // 4 * 3 - int(content.count("="))
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "L":
        return _DOCUMENT_SIZE_BYTES + sum(_ELEMENT_SIZE_BYTES + value_size(member) for member in content)
    if kind == "M":
        return _DOCUMENT_SIZE_BYTES + sum(
            _ELEMENT_SIZE_BYTES + text_size(name) + value_size(member) for name, member in content.items()
        )
    return sum(value_size({kind[0]: member}) for member in content)


def order_of(value: Mapping[str, Any]) -> tuple[str, Any] | None:
    """(type, what orders it) of a value that has an order: S, N and B."""
    kind, content = next(iter(value.items()))
    if kind == "S":
        return kind, content
    if kind == "N":
        return kind, numbers.decimal(content)
    if kind == "B":
        return kind, binary(content)
    return None


def shown(value: Mapping[str, Any]) -> str:
    """A value as AWS's error sentences show it."""
    kind, content = next(iter(value.items()))
    return f"AttributeValue: {{{kind}:{content}}}"
