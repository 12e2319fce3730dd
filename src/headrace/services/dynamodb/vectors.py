"""Vector indexes: what is kept of them, which items are in them, and what a write does to them.

An entry stands behind the index's prefix, the hash of the partition attribute (if the index has one) and the item's place. Its
value is the length of the vector (8 bytes), its elements (4 bytes each), and the bytes of the attributes that searches filter by.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import keys, numbers, values
from headrace.services.dynamodb.engine.keys import Key
from headrace.services.dynamodb.engine.values import Item, Value

COSINE, EUCLIDEAN, DOT_PRODUCT = "COSINE", "EUCLIDEAN", "DOT_PRODUCT"
_LENGTH = struct.Struct("<d")
_ELEMENT = struct.Struct("<f")
_DIGITS_MAX = 9
_encode_filters = msgspec.msgpack.Encoder().encode
_decode_filters = msgspec.msgpack.Decoder(list[bytes | None]).decode


class VectorRow(msgspec.Struct, omit_defaults=True):
    """A vector index, as it is kept. Its number is of those of the table's other indexes."""

    number: int
    name: str
    attribute: str
    dimensions: int
    distance: str
    projection: str
    attributes: list[str] = []
    partition: str | None = None
    filters: list[str] = []
    filling: bool = False


class VectorEntry(NamedTuple):
    """An item's entry: what stands before the item's place, and the value."""

    place: bytes
    value: bytes


class VectorIndex:
    """A vector index, compiled. `projected`: the attributes it shows beside the vector, or None for all."""

    __slots__ = ("_unpack", "count", "filters", "partition", "prefix", "projected", "row")

    def __init__(self, row: VectorRow, prefix: bytes, count: bytes, kinds: Mapping[str, str], table_keys: Sequence[str]) -> None:
        self.row = row
        self.prefix = prefix
        self.count = count
        self.partition = None if row.partition is None else Key(row.partition, kinds[row.partition])
        self.filters = tuple(Key(name, kinds[name]) for name in row.filters)
        self.projected: tuple[str, ...] | None = None
        if row.projection != "ALL":
            own = () if row.partition is None else (row.partition,)
            self.projected = tuple(dict.fromkeys((*table_keys, *own, *row.filters, *row.attributes)))
        self._unpack = struct.Struct(f"<{row.dimensions}f").unpack_from

    def entry(self, item: Item) -> VectorEntry | None:
        """The item's entry; None when it is not in the index. ValidationException when an attribute can't be in it."""
        vector = self._vector(item)
        place = b""
        if self.partition is not None:
            raw = keys.index_content(self.partition, item, self.row.name)
            if raw is None:
                vector = None
            else:
                place = keys.partition_hash(raw)
        filters = [keys.index_content(key, item, self.row.name) for key in self.filters]
        if vector is None:
            return None
        length = math.sqrt(sum(one * one for one in vector))
        return VectorEntry(place, struct.pack(f"<d{len(vector)}f", length, *vector) + _encode_filters(filters))

    def entry_if_any(self, item: Item | None) -> VectorEntry | None:
        """As `entry`, of an item that is kept: one that can't be in the index is not in it."""
        if item is None:
            return None
        try:
            return self.entry(item)
        except ValidationException:
            return None

    def vector_of(self, value: bytes) -> tuple[float, ...]:
        """An entry's vector."""
        return self._unpack(value, _LENGTH.size)

    def filters_of(self, value: bytes) -> list[bytes | None]:
        """The bytes of an entry's filter attributes."""
        return _decode_filters(value[_LENGTH.size + _ELEMENT.size * self.row.dimensions :])

    def shown(self, item: Item) -> Item:
        """What the index shows of an item, without the vector."""
        names = item if self.projected is None else self.projected
        return {name: item[name] for name in names if name in item and name != self.row.attribute}

    def stored_bytes(self, item: Item) -> int:
        """How much the index keeps for an item, by the rules for the sizes of items."""
        return values.item_size(self.shown(item)) + len(self.row.attribute) + _ELEMENT.size * self.row.dimensions

    def _vector(self, item: Item) -> list[float] | None:
        name, index_name = self.row.attribute, self.row.name
        value = item.get(name)
        if value is None:
            return None
        given = value.get("L")
        if given is None:
            raise _wrong(f"Invalid type for parameter {name}, Expected: 32-bit floating point number list", index_name)
        vector = []
        for place, element in enumerate(given):
            found = element_of(element)
            if found is None:
                raise _wrong(
                    f"Invalid type for parameter {name}[{place}], Expected: 32-bit floating point number, "
                    f"Actual: {values.kind_of(element)}.",
                    index_name,
                )
            vector.append(found)
        if len(vector) != self.row.dimensions:
            raise _wrong(f"Invalid size for parameter {name}, Expected: {self.row.dimensions}, Actual: {len(vector)}", index_name)
        return vector


def length_of(value: bytes) -> float:
    """The length of an entry's vector."""
    return float(_LENGTH.unpack_from(value)[0])


def _wrong(sentence: str, index_name: str) -> ValidationException:
    return ValidationException(f"One or more parameter values were invalid. {sentence} IndexName: {index_name}")


def element_of(value: Value) -> float | None:
    """An element of a vector as a 32-bit number; None when it can't be one."""
    text = value.get("N")
    if text is None:
        return None
    try:
        return rounded(float(text))
    except OverflowError:
        return None


def rounded(number: float) -> float:
    """The 32-bit number next to a number; OverflowError when it is too large for one."""
    return float(_ELEMENT.unpack(_ELEMENT.pack(number))[0])


def text_of(number: float) -> str:
    """The shortest decimal that names a 32-bit number."""
    for digits in range(1, _DIGITS_MAX):
        short = float(f"{number:.{digits}g}")
        if rounded(short) == number:
            break
    else:
        short = float(f"{number:.{_DIGITS_MAX}g}")
    text = repr(short)
    return numbers.normal(text.upper()) if "e" in text else text


def elements(found: Sequence[float]) -> dict[str, Any]:
    """A vector as an attribute's value."""
    return {"L": [{"N": text_of(one)} for one in found]}


def changed_bytes(index: VectorIndex, before: Item | None, after: Item | None) -> int:
    """How much a write changes of what an index keeps: nothing, when all that it keeps is the same."""
    old, new = index.entry_if_any(before), index.entry_if_any(after)
    if old == new and (old is None or (before is not None and after is not None and index.shown(before) == index.shown(after))):
        return 0
    sizes = [index.stored_bytes(item) for item, entry in ((before, old), (after, new)) if entry is not None and item is not None]
    return max(sizes)
