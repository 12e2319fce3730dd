"""Attribute values as DynamoDB's documents describe them: equality, order, size and types. Plain and slow on purpose."""

import base64
from decimal import Context, Decimal
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]

# Larger than any sum of two numbers needs.
EXACT = Context(prec=400)


def kind(value: Value) -> str:
    (found,) = value
    return found


def content(value: Value) -> Any:
    (found,) = value.values()
    return found


def number(text: str) -> Decimal:
    return EXACT.create_decimal(text).normalize(EXACT)


def text_of(result: Decimal) -> str:
    """A number as DynamoDB writes it: no exponent, no zeros at the end."""
    text = format(result, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def plain(value: Value) -> Any:
    """Something that compares equal when the values are."""
    name, inner = kind(value), content(value)
    if name == "N":
        return ("N", number(inner))
    if name == "NS":
        return ("NS", frozenset(number(one) for one in inner))
    if name in ("SS", "BS"):
        return (name, frozenset(inner))
    if name == "L":
        return ("L", tuple(plain(one) for one in inner))
    if name == "M":
        return ("M", frozenset((key, plain(one)) for key, one in inner.items()))
    return (name, inner)


def plain_item(item: Item) -> Any:
    return plain({"M": item})


def equal(left: Value, right: Value) -> bool:
    return bool(plain(left) == plain(right))


def sort_key(value: Value) -> Any:
    """What orders two values of the same scalar type."""
    if kind(value) == "N":
        return number(content(value))
    if kind(value) == "S":
        return content(value).encode()
    return bytes_of(content(value))


def bytes_of(inner: Any) -> bytes:
    return inner if isinstance(inner, bytes) else base64.b64decode(inner)


def size(value: Value) -> int:
    """The bytes that count, by the developer guide's rules for item sizes."""
    name, inner = kind(value), content(value)
    if name == "S":
        return len(inner.encode())
    if name == "B":
        return len(bytes_of(inner))
    if name == "N":
        return number_size(inner)
    if name in ("BOOL", "NULL"):
        return 1
    if name == "SS":
        return sum(len(one.encode()) for one in inner)
    if name == "NS":
        return sum(number_size(one) for one in inner)
    if name == "BS":
        return sum(len(bytes_of(one)) for one in inner)
    if name == "L":
        return 3 + sum(1 + size(one) for one in inner)
    return 3 + sum(1 + len(key.encode()) + size(one) for key, one in inner.items())


def number_size(text: str) -> int:
    digits = "".join(str(digit) for digit in number(text).as_tuple().digits).strip("0")
    return (len(digits) + 1) // 2 + 1 + (1 if number(text) < 0 else 0)


def item_size(item: Item) -> int:
    return sum(len(name.encode()) + size(value) for name, value in item.items())


def length(value: Value) -> int | None:
    """What the function size() gives, or None where it is not defined."""
    name, inner = kind(value), content(value)
    if name == "S":
        return len(inner)
    if name == "B":
        return len(bytes_of(inner))
    if name in ("SS", "NS", "BS", "L", "M"):
        return len(inner)
    return None
