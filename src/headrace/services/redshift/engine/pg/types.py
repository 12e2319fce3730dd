"""How values go over the wire: the type's number, and its text and binary form.

A driver that asks for binary and is given text reads wrong numbers without noticing, so both forms exist for every type.
"""

import datetime
import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from headrace.services.redshift.engine.failures import SqlError

_PG_EPOCH = datetime.datetime(2000, 1, 1)
_PG_EPOCH_UTC = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_PG_DAY = datetime.date(2000, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
Encode = Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class WireType:
    """A type as the protocol sees it."""

    oid: int
    size: int
    text: Encode
    binary: Encode
    name: str
    modifier: int = -1


def _float_text(value: float) -> bytes:
    if math.isnan(value):
        return b"NaN"
    if value in (float("inf"), float("-inf")):
        return b"Infinity" if value > 0 else b"-Infinity"
    text = repr(value)
    return (text[:-2] if text.endswith(".0") else text).encode()


def _real_text(value: float) -> bytes:
    for digits in (6, 7, 8, 9):
        text = f"{value:.{digits}g}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == value:
            return text.encode()
    return _float_text(value)


def _timestamp_text(value: datetime.datetime) -> bytes:
    text = value.replace(tzinfo=None).isoformat(" ")
    return (text.rstrip("0") if value.microsecond else text).encode()


def _timestamptz_text(value: datetime.datetime) -> bytes:
    return _timestamp_text(value.astimezone(datetime.UTC)) + b"+00"


def _interval_text(value: datetime.timedelta) -> bytes:
    days, seconds = value.days, value.seconds
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    clock += f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    return (f"{days} days {clock}" if days else clock).encode()


def numeric_binary(value: Decimal) -> bytes:
    """PostgreSQL's numeric: digits in base 10000, with the weight of the first."""
    if value.is_nan():
        return struct.pack("!hhHh", 0, 0, 0xC000, 0)
    sign, digits, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    number = "".join(map(str, digits)) + "0" * max(0, int(exponent))
    whole, part = (number[:-scale], number[-scale:].rjust(scale, "0")) if scale else (number, "")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    part = part.ljust(-(-len(part) // 4) * 4, "0")
    groups = [int((whole + part)[at : at + 4]) for at in range(0, len(whole + part), 4)]
    weight = len(whole) // 4 - 1
    while groups and groups[0] == 0:
        groups.pop(0)
        weight -= 1
    while groups and groups[-1] == 0:
        groups.pop()
    if not groups:
        weight = 0
    return struct.pack(f"!hhHh{len(groups)}h", len(groups), weight, 0x4000 if sign else 0, scale, *groups)


def _json_text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, default=str, separators=(",", ":")).encode()


def _int_text(value: int) -> bytes:
    return b"%d" % value


def _integer(form: str) -> Encode:
    packer = struct.Struct(form)

    def encode(value: Any) -> bytes:
        try:
            return packer.pack(int(value))
        except struct.error:
            raise SqlError("22003", "integer out of range") from None

    return encode


def _bigint_text(value: int) -> bytes:
    if not -(1 << 63) <= value < 1 << 63:
        raise SqlError("22003", "bigint out of range")
    return b"%d" % value


def _micros(value: datetime.datetime) -> bytes:
    return struct.pack("!q", (value - _PG_EPOCH) // _MICROSECOND)


def _micros_utc(value: datetime.datetime) -> bytes:
    return struct.pack("!q", (value - _PG_EPOCH_UTC) // _MICROSECOND)


def _time_micros(value: datetime.time) -> bytes:
    return struct.pack("!q", ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond)


def _interval_binary(value: datetime.timedelta) -> bytes:
    return struct.pack("!qii", value.seconds * 1_000_000 + value.microseconds, value.days, 0)


def _string(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else str(value).encode()


VARCHAR = WireType(1043, -1, _string, _string, "varchar")
INT8 = WireType(20, 8, _bigint_text, _integer("!q"), "int8")
_TYPES: dict[str, WireType] = {
    "BOOLEAN": WireType(16, 1, lambda v: b"t" if v else b"f", lambda v: b"\1" if v else b"\0", "bool"),
    "TINYINT": WireType(21, 2, _int_text, _integer("!h"), "int2"),
    "UTINYINT": WireType(21, 2, _int_text, _integer("!h"), "int2"),
    "SMALLINT": WireType(21, 2, _int_text, _integer("!h"), "int2"),
    "INTEGER": WireType(23, 4, _int_text, _integer("!i"), "int4"),
    "USMALLINT": WireType(23, 4, _int_text, _integer("!i"), "int4"),
    "UINTEGER": INT8,
    "BIGINT": INT8,
    "UBIGINT": INT8,
    "HUGEINT": INT8,
    "FLOAT": WireType(700, 4, _real_text, lambda v: struct.pack("!f", v), "float4"),
    "DOUBLE": WireType(701, 8, _float_text, lambda v: struct.pack("!d", v), "float8"),
    "DATE": WireType(1082, 4, lambda v: str(v).encode(), lambda v: struct.pack("!i", (v - _PG_DAY).days), "date"),
    "TIME": WireType(1083, 8, lambda v: v.isoformat().encode(), _time_micros, "time"),
    "TIMESTAMP": WireType(1114, 8, _timestamp_text, _micros, "timestamp"),
    "TIMESTAMP WITH TIME ZONE": WireType(1184, 8, _timestamptz_text, _micros_utc, "timestamptz"),
    "INTERVAL": WireType(1186, 16, _interval_text, _interval_binary, "interval"),
    "BLOB": WireType(17, -1, lambda v: b"\\x" + v.hex().encode(), bytes, "varbyte"),
    "JSON": WireType(4000, -1, _json_text, _json_text, "super"),
    "VARCHAR": VARCHAR,
    '"NULL"': VARCHAR,
    "UUID": VARCHAR,
}


def wire_type(stored: str) -> WireType:
    """The wire's type for a result column of DuckDB."""
    if found := _TYPES.get(stored):
        return found
    if stored.startswith("DECIMAL("):
        precision, scale = (int(part) for part in stored[8:-1].split(","))
        modifier = ((precision << 16) | scale) + 4
        return WireType(1700, -1, lambda v: format(v, "f").encode(), numeric_binary, "numeric", modifier)
    if stored.startswith("TIMESTAMP_"):
        return _TYPES["TIMESTAMP"]
    if stored.endswith("]") or stored.startswith(("STRUCT", "MAP", "VARIANT")):
        return _TYPES["JSON"]
    return VARCHAR


def adapted(described: WireType, actual: WireType) -> WireType:
    """The type that the client was told, over values of the type that came: a described type is a promise.

    SqlError 0A000, as PostgreSQL says it, where the one cannot be said as the other.
    """
    if described.oid == actual.oid:
        return actual
    if described.oid == VARCHAR.oid:
        return WireType(described.oid, -1, actual.text, actual.text, "varchar")
    if described.oid in _NUMBERS and actual.oid in _NUMBERS:
        convert = _NUMBERS[described.oid]
        return WireType(
            described.oid,
            described.size,
            lambda v: described.text(convert(v)),
            lambda v: described.binary(convert(v)),
            described.name,
        )
    raise SqlError("0A000", "cached plan must not change result type")


def _whole(value: Any) -> int:
    if value != int(value):
        raise SqlError("0A000", "cached plan must not change result type")
    return int(value)


_NUMBERS: dict[int, Callable[[Any], Any]] = {
    20: _whole, 21: _whole, 23: _whole, 700: float, 701: float, 1700: lambda v: Decimal(str(v)),
}  # fmt: skip


_BINARY_IN: dict[int, Callable[[bytes], str]] = {
    16: lambda b: "true" if b != b"\0" else "false",
    20: lambda b: str(struct.unpack("!q", b)[0]),
    21: lambda b: str(struct.unpack("!h", b)[0]),
    23: lambda b: str(struct.unpack("!i", b)[0]),
    26: lambda b: str(struct.unpack("!I", b)[0]),
    700: lambda b: repr(struct.unpack("!f", b)[0]),
    701: lambda b: repr(struct.unpack("!d", b)[0]),
    1082: lambda b: str(_PG_DAY + datetime.timedelta(days=struct.unpack("!i", b)[0])),
    1114: lambda b: str(_PG_EPOCH + datetime.timedelta(microseconds=struct.unpack("!q", b)[0])),
    1184: lambda b: str(_PG_EPOCH_UTC + datetime.timedelta(microseconds=struct.unpack("!q", b)[0])),
    1083: lambda b: str((_PG_EPOCH + datetime.timedelta(microseconds=struct.unpack("!q", b)[0])).time()),
    17: lambda b: "\\x" + b.hex(),
    25: lambda b: b.decode(),
    0: lambda b: b.decode(),
    705: lambda b: b.decode(),
    1042: lambda b: b.decode(),
    1043: lambda b: b.decode(),
    1700: lambda b: str(_numeric_in(b)),
}
_CASTS = {16: "BOOLEAN", 20: "BIGINT", 21: "SMALLINT", 23: "INTEGER", 26: "BIGINT", 700: "REAL", 701: "DOUBLE", 1082: "DATE",
          1114: "TIMESTAMP", 1184: "TIMESTAMPTZ", 1083: "TIME", 1700: "", 17: "BLOB", 1186: "INTERVAL"}  # fmt: skip


def _numeric_in(data: bytes) -> Decimal:
    count, weight, sign, scale = struct.unpack_from("!hhHh", data)
    groups = struct.unpack_from(f"!{count}h", data, 8)
    total = sum((Decimal(group).scaleb(4 * (weight - at)) for at, group in enumerate(groups)), Decimal(0))
    return (-total if sign == 0x4000 else total).quantize(Decimal(1).scaleb(-scale))


def parameter_sql(data: bytes | None, oid: int, binary: bool) -> str:
    """A bound parameter as DuckDB's text: a literal, with the type that the driver said."""
    cast = _CASTS.get(oid)
    if data is None and oid == 1700:
        return "CAST(NULL AS DECIMAL(38,10))"
    if data is None:
        return f"CAST(NULL AS {cast})" if cast else "NULL"
    if binary:
        if oid not in _BINARY_IN:
            raise SqlError("0A000", f"a binary parameter of type {oid} is not supported")
        text = _BINARY_IN[oid](data)
    else:
        text = data.decode()
    if "\x00" in text:
        raise SqlError("22021", "invalid byte sequence for encoding UTF8: 0x00")
    if oid == 17:
        text = "".join(f"\\x{byte:02X}" for byte in bytes.fromhex(text.removeprefix("\\x")))
    if oid == 1700:
        number = Decimal(text)
        return format(number, "f") if number.is_finite() else "'" + text.replace("'", "''") + "'"
    if oid == 16:
        text = {"t": "true", "f": "false", "1": "true", "0": "false"}.get(text, text)
    quoted = "'" + text.replace("'", "''") + "'"
    return f"CAST({quoted} AS {cast})" if cast else quoted


def rows_encoder(types: list[WireType], formats: list[int]) -> Callable[[list[tuple[Any, ...]]], bytes]:
    """A function from rows to the bytes of their DataRow messages."""
    encoders = [kind.binary if form else kind.text for kind, form in zip(types, formats, strict=True)]
    count = struct.pack("!h", len(types))
    length = struct.Struct("!i").pack
    null = b"\xff\xff\xff\xff"

    def encode(rows: list[tuple[Any, ...]]) -> bytes:
        columns = []
        for encoder, values in zip(encoders, zip(*rows, strict=True), strict=True):
            cells = [None if value is None else encoder(value) for value in values]
            columns.append([null if cell is None else length(len(cell)) + cell for cell in cells])
        if not columns:
            return (b"D" + length(6) + count) * len(rows)
        bodies = [count + b"".join(cells) for cells in zip(*columns, strict=True)]
        return b"".join([b"D" + length(len(body) + 4) + body for body in bodies])

    return encode
