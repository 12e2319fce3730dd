"""Numbers, booleans, blobs and times as text: in query parameters, headers, paths and XML."""

import binascii
import math
import re
from base64 import b64decode, b64encode
from calendar import timegm
from email.utils import formatdate, parsedate_tz
from time import gmtime
from typing import Any

from headrace.kit.errors import SerializationException
from headrace.wire.models import Shape

_INTEGERS = frozenset({"integer", "long", "short", "byte", "bigInteger"})
_FLOATS = frozenset({"float", "double", "bigDecimal"})
_INTEGER = re.compile(r"[+-]?\d{1,40}\Z")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?\Z", re.IGNORECASE)
_UNIX = re.compile(r"-?\d{1,15}(\.\d{1,9})?\Z")


def parse_scalar(shape: Shape, text: str) -> Any:
    """The value that a text stands for. Raises SerializationException."""
    kind = shape.type
    if kind in ("string", "character"):
        return text
    if kind in _INTEGERS:
        if not _INTEGER.match(text.strip()):
            raise _unreadable(text, "Integer")
        return int(text)
    if kind == "boolean":
        lowered = text.strip().lower()
        if lowered not in ("true", "false"):
            raise _unreadable(text, "Boolean")
        return lowered == "true"
    if kind == "timestamp":
        return parse_timestamp(text.strip())
    if kind in _FLOATS:
        return _parse_float(text)
    if kind == "blob":
        return parse_base64(text)
    raise SerializationException("Unexpected value type in request")


def format_scalar(shape: Shape, value: Any, timestamp_format: str) -> str:
    """A value as text. `timestamp_format` is the place's default, which the shape may override."""
    kind = shape.type
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return format_timestamp(value, shape.timestamp_format or timestamp_format)
    if kind == "blob":
        return b64encode(value.encode() if isinstance(value, str) else bytes(value)).decode()
    if kind in _FLOATS:
        return _format_float(float(value))
    return str(value)


def parse_timestamp(text: str) -> float:
    """Epoch seconds of a time in any of AWS's formats: ISO 8601, RFC 822, a number."""
    if _UNIX.match(text):
        return float(text)
    found = _ISO.match(text)
    try:
        if found is not None:
            return _parse_iso(found)
        parsed = parsedate_tz(text)
        if parsed is not None:
            return float(timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0))
    except (ValueError, OverflowError):
        pass
    raise _unreadable(text, "Timestamp")


def format_timestamp(epoch_s: float, form: str) -> str:
    """A time in one of AWS's formats, by the name that the models give it."""
    if form == "unixTimestamp":
        return str(int(epoch_s)) if float(epoch_s).is_integer() else repr(float(epoch_s))
    if form == "rfc822":
        return formatdate(math.floor(epoch_s), usegmt=True)
    millis = round(epoch_s * 1000)
    year, month, day, hour, minute, second, *_ = gmtime(millis // 1000)
    fraction = f".{millis % 1000:03d}" if millis % 1000 else ""
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{fraction}Z"


def parse_base64(text: str) -> bytes:
    """The bytes of a blob. White space inside is let pass, as AWS does."""
    try:
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SerializationException("Invalid base64 encoded blob") from None


def _parse_iso(found: re.Match[str]) -> float:
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    month_n, day_n, hour_n, minute_n, second_n = int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
    if not (1 <= month_n <= 12 and 1 <= day_n <= 31 and hour_n <= 23 and minute_n <= 59 and second_n <= 60):
        raise ValueError("no such time")
    whole = timegm((int(year), month_n, day_n, hour_n, minute_n, second_n, 0, 0, 0))
    if zone and zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        whole -= offset if zone[0] == "+" else -offset
    return whole + float(fraction or 0)


def _parse_float(text: str) -> float:
    try:
        return float(text.strip().replace("_", "x"))
    except ValueError:
        raise _unreadable(text, "Double") from None


def _format_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _unreadable(text: str, kind: str) -> SerializationException:
    return SerializationException(f"'{text[:64]}' can not be converted to {kind}")
