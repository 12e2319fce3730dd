"""State as bytes: MessagePack of plain values, arrays and decimals."""

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from headrace.services.analytics.engine.sqltypes import Array, Batch, SqlType, Vector, from_objects, objects

_DECIMAL, _TUPLE, _SET, _BIG = 1, 2, 3, 4
_PLAIN = {str, int, float, bool, type(None), bytes}


def _wrapped(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.msgpack.Ext(_DECIMAL, str(value).encode())
    if isinstance(value, tuple):
        return msgspec.msgpack.Ext(_TUPLE, encode([_wrapped(one) for one in value]))
    if isinstance(value, set | frozenset):
        return msgspec.msgpack.Ext(_SET, encode([_wrapped(one) for one in value]))
    if isinstance(value, list):
        return [_wrapped(one) for one in value]
    if isinstance(value, dict):
        return [[_wrapped(key), _wrapped(one)] for key, one in value.items()]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return msgspec.msgpack.Ext(_BIG, str(value).encode())
    return value


def _ext(code: int, data: memoryview) -> Any:
    if code == _DECIMAL:
        return Decimal(bytes(data).decode())
    if code == _BIG:
        return int(bytes(data).decode())
    inner = decode(bytes(data))
    return tuple(inner) if code == _TUPLE else set(inner)


def encode(value: Any) -> bytes:
    """Bytes of lists, dicts with plain keys, and plain values."""
    return msgspec.msgpack.encode(value)


def decode(data: bytes) -> Any:
    """What `encode` was given."""
    return msgspec.msgpack.decode(data, ext_hook=_ext)


def wrapped(values: list[Any]) -> list[Any]:
    """Values in a form that `encode` takes: decimals, tuples and sets among them keep what they are."""
    if set(map(type, values)) <= _PLAIN:
        return values
    return [_wrapped(value) for value in values]


def pack_array(array: Array) -> list[Any]:
    """An array in a form that `encode` takes."""
    if array.dtype == object:
        return ["O", wrapped(array.tolist())]
    return [array.dtype.str, array.tobytes()]


def unpack_array(packed: list[Any]) -> Array:
    """What `pack_array` was given."""
    if packed[0] == "O":
        return objects(packed[1])
    return np.frombuffer(packed[1], packed[0]).copy()


def pack_vector(vector: Vector) -> list[Any]:
    """A column in a form that `encode` takes."""
    nulls = None if vector.nulls is None or vector.values.dtype == object else np.packbits(vector.nulls).tobytes()
    return [pack_array(vector.values), nulls]


def unpack_vector(packed: list[Any]) -> Vector:
    """What `pack_vector` was given."""
    values = unpack_array(packed[0])
    if values.dtype == object:
        return from_objects(values)
    if packed[1] is None:
        return Vector(values)
    return Vector(values, np.unpackbits(np.frombuffer(packed[1], np.uint8), count=len(values)).astype(np.bool_))


def pack_batch(batch: Batch) -> list[Any]:
    """Rows in a form that `encode` takes."""
    return [pack_array(batch.times), [pack_vector(column) for column in batch.columns]]


def unpack_batch(packed: list[Any]) -> Batch:
    """What `pack_batch` was given."""
    return Batch([unpack_vector(column) for column in packed[1]], unpack_array(packed[0]))


def empty_batch(kinds: list[SqlType]) -> Batch:
    """No rows."""
    return Batch([Vector(np.empty(0, kind.dtype)) for kind in kinds], np.empty(0, np.int64))
