"""Numbers: 38 decimal digits, between 1E-130 and 9.9…E+125, kept as text in one normal form.

The normal form is plain decimal notation without an exponent, a plus sign or zeros that say nothing, so equal numbers are equal
text. In keys a number is 1 to 22 bytes that compare as the numbers do.
"""

import re
from decimal import Context, Decimal
from functools import lru_cache

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits

_SIMPLE = re.compile(r"0|-?[1-9][0-9]{0,37}").fullmatch
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,9}))?", re.ASCII).fullmatch
_EXACT = Context(prec=limits.NUMBER_DIGITS_MAX * 8)
_ZERO = b"\x80"
_NEGATIVE, _POSITIVE = b"\x7f", b"\x81"
_COMPLEMENT = bytes(255 - byte for byte in range(256))


def normal(text: str) -> str:
    """The normal form of a number; ValidationException when it is none, or out of range."""
    if _SIMPLE(text):
        return text
    negative, digits, exponent = _parts(text)
    if not digits:
        return "0"
    return ("-" if negative else "") + _plain(digits, exponent)


def size_bytes(text: str) -> int:
    """What a number in normal form counts in an item's size."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + (text[0] == "-")


def decimal(text: str) -> Decimal:
    """The value of a number in normal form."""
    return Decimal(text)


def total(left: str, right: str, *, minus: bool = False) -> str:
    """The sum (or difference) of two numbers, exact; ValidationException when it needs more than 38 digits."""
    if len(left) < 18 and len(right) < 18 and "." not in left and "." not in right:
        return str(int(left) - int(right) if minus else int(left) + int(right))
    first, second = Decimal(left), Decimal(right)
    result = _EXACT.subtract(first, second) if minus else _EXACT.add(first, second)
    return normal(f"{result:f}")


@lru_cache(maxsize=4096)
def encode(text: str) -> bytes:
    """The bytes of a number in normal form, which compare as the numbers do.

    A sign byte, the exponent in one byte, then two digits a byte. Of a negative number all bytes are complemented and FF
    follows, so that a longer one comes before its beginning.
    """
    negative, digits, exponent = _parts(text)
    if not digits:
        return _ZERO
    scale = len(digits) + exponent - 1 - limits.NUMBER_EXPONENT_MIN
    if len(digits) % 2:
        digits += "0"
    pairs = bytes(int(digits[place : place + 2]) + 1 for place in range(0, len(digits), 2))
    body = bytes((scale,)) + pairs
    if negative:
        return _NEGATIVE + body.translate(_COMPLEMENT) + b"\xff"
    return _POSITIVE + body


def _parts(text: str) -> tuple[bool, str, int]:
    """(negative, digits without zeros at either end, exponent) of a number; no digits: zero."""
    found = _NUMBER(text)
    if found is None or not (found[2] or found[3]):
        if not text:
            raise ValidationException("The parameter cannot be converted to a numeric value")
        raise ValidationException(f"The parameter cannot be converted to a numeric value: {text[:200]}")
    whole, fraction = found[2] or "", found[3] or ""
    exponent = int(found[4] or 0) - len(fraction)
    digits = (whole + fraction).lstrip("0")
    stripped = digits.rstrip("0")
    if not stripped:
        return False, "", 0
    exponent += len(digits) - len(stripped)
    adjusted = len(stripped) + exponent - 1
    if adjusted > limits.NUMBER_EXPONENT_MAX:
        raise ValidationException("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if adjusted < limits.NUMBER_EXPONENT_MIN:
        raise ValidationException("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    if len(stripped) > limits.NUMBER_DIGITS_MAX:
        raise ValidationException("Attempting to store more than 38 significant digits in a Number")
    return found[1] == "-", stripped, exponent


def _plain(digits: str, exponent: int) -> str:
    if exponent >= 0:
        return digits + "0" * exponent
    point = len(digits) + exponent
    if point > 0:
        return f"{digits[:point]}.{digits[point:]}"
    return "0." + "0" * -point + digits
