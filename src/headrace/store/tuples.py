r"""Order-preserving keys: tuples packed so that bytes compare as the tuples do.

The layout is that of FoundationDB's tuple layer: a type code before each item, text and bytes ended by a zero byte (zero inside
written as 00 FF), integers by their length and then their bytes, negative ones complemented. Unpacking gives back equal items.
"""

import struct
from collections.abc import Sequence
from typing import TypeAlias

Item: TypeAlias = "bytes | str | int | float | bool | None | tuple[Item, ...]"

_NONE, _BYTES, _TEXT, _NESTED, _ZERO, _DOUBLE, _FALSE, _TRUE = 0x00, 0x01, 0x02, 0x05, 0x14, 0x21, 0x26, 0x27
_INTEGER_SIZE_MAX_BYTES = 8
_INTEGER_CODES = [bytes((code,)) for code in range(256)]


def pack(items: Sequence[Item]) -> bytes:
    """The key of a tuple."""
    parts: list[bytes] = []
    for item in items:
        _pack_item(item, parts, nested=False)
    return b"".join(parts)


def range_of(prefix: Sequence[Item]) -> tuple[bytes, bytes]:
    """begin and end of all keys that have the prefix and at least one item more."""
    packed = pack(prefix)
    return packed + b"\x00", packed + b"\xff"


def after_prefix(key: bytes) -> bytes:
    """The first key that does not begin with `key`."""
    stripped = key.rstrip(b"\xff")
    if not stripped:
        raise ValueError("no key follows a prefix of FF bytes alone")
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def _pack_item(item: Item, parts: list[bytes], *, nested: bool) -> None:
    if isinstance(item, str):
        parts += (b"\x02", item.encode("utf-8", "surrogatepass").replace(b"\x00", b"\x00\xff"), b"\x00")
    elif isinstance(item, bytes):
        parts += (b"\x01", item.replace(b"\x00", b"\x00\xff"), b"\x00")
    elif item is None:
        # Inside a nested tuple a bare zero would end it.
        parts.append(b"\x00\xff" if nested else b"\x00")
    elif isinstance(item, bool):
        parts.append(b"\x27" if item else b"\x26")
    elif isinstance(item, int):
        parts.append(_pack_integer(item))
    elif isinstance(item, float):
        parts += (b"\x21", _pack_double(item))
    else:
        parts.append(b"\x05")
        for inner in item:
            _pack_item(inner, parts, nested=True)
        parts.append(b"\x00")


def _pack_integer(value: int) -> bytes:
    if value == 0:
        return b"\x14"
    size = ((-value if value < 0 else value).bit_length() + 7) >> 3
    if size > _INTEGER_SIZE_MAX_BYTES:
        raise ValueError("an integer in a key has 8 bytes at most")
    if value > 0:
        return _INTEGER_CODES[_ZERO + size] + value.to_bytes(size, "big")
    return _INTEGER_CODES[_ZERO - size] + (value + (1 << (8 * size)) - 1).to_bytes(size, "big")


def _pack_double(value: float) -> bytes:
    raw = struct.pack(">d", value)
    if raw[0] & 0x80:
        return bytes(byte ^ 0xFF for byte in raw)
    return bytes((raw[0] ^ 0x80,)) + raw[1:]


def unpack(key: bytes) -> tuple[Item, ...]:
    """The tuple of a key; ValueError if the bytes are no packed tuple."""
    items: list[Item] = []
    position = 0
    try:
        while position < len(key):
            item, position = _unpack_item(key, position)
            items.append(item)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("not a packed tuple") from error
    return tuple(items)


def _unpack_item(key: bytes, position: int) -> tuple[Item, int]:
    code = key[position]
    position += 1
    if code == _TEXT:
        raw, position = _terminated(key, position)
        return raw.decode("utf-8", "surrogatepass"), position
    if code == _BYTES:
        return _terminated(key, position)
    if _ZERO - _INTEGER_SIZE_MAX_BYTES <= code <= _ZERO + _INTEGER_SIZE_MAX_BYTES:
        return _unpack_integer(key, position, code - _ZERO)
    if code == _NONE:
        return None, position
    if code in (_FALSE, _TRUE):
        return code == _TRUE, position
    if code == _DOUBLE:
        return _unpack_double(key[position : position + 8]), position + 8
    if code == _NESTED:
        return _unpack_nested(key, position)
    raise ValueError(f"not a packed tuple: type code {code}")


def _terminated(key: bytes, position: int) -> tuple[bytes, int]:
    start = position
    while True:
        position = key.index(b"\x00", position)
        if key[position + 1 : position + 2] != b"\xff":
            return key[start:position].replace(b"\x00\xff", b"\x00"), position + 1
        position += 2


def _unpack_integer(key: bytes, position: int, signed_size: int) -> tuple[int, int]:
    size = abs(signed_size)
    raw = key[position : position + size]
    if len(raw) != size:
        raise ValueError("not a packed tuple: an integer is cut off")
    value = int.from_bytes(raw, "big")
    return (value if signed_size >= 0 else value - (1 << (8 * size)) + 1), position + size


def _unpack_double(raw: bytes) -> float:
    plain = bytes((raw[0] ^ 0x80,)) + raw[1:] if raw[0] & 0x80 else bytes(byte ^ 0xFF for byte in raw)
    (value,) = struct.unpack(">d", plain)
    return float(value)


def _unpack_nested(key: bytes, position: int) -> tuple[tuple[Item, ...], int]:
    items: list[Item] = []
    while True:
        if key[position] == 0:
            if key[position + 1 : position + 2] != b"\xff":
                return tuple(items), position + 1
            items.append(None)
            position += 2
            continue
        item, position = _unpack_item(key, position)
        items.append(item)
