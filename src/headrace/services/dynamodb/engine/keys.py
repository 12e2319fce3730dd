"""Keys as bytes.

An item's place is the hash of its partition key (16 bytes) and the order-preserving bytes of its sort key, raw at the end. An
index entry's place is the same of the index's keys, its sort bytes escaped and ended, and then the place of the item: so entries
of equal index keys stand side by side. Of several partition attributes the escaped and ended bytes are hashed together; several
sort attributes stand one behind another, each escaped and ended, and so compare as the attributes do, first to last.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import numbers, values
from headrace.services.dynamodb.engine.values import Item

HASH_SIZE_BYTES = 16
_MISMATCH = "The provided key element does not match the schema"
_WORDS = {"S": "string", "B": "binary"}


class Key(NamedTuple):
    """One attribute of a key schema: its name and its type (S, N or B)."""

    name: str
    kind: str


class Schema(NamedTuple):
    """The key of a table or an index."""

    partition: Key
    sort: Key | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the attributes."""
        return (self.partition.name,) if self.sort is None else (self.partition.name, self.sort.name)

    @property
    def partitions(self) -> tuple[Key, ...]:
        """The partition key, as an index has them."""
        return (self.partition,)

    @property
    def sorts(self) -> tuple[Key, ...]:
        """The sort key, as an index has them."""
        return () if self.sort is None else (self.sort,)


class IndexSchema(NamedTuple):
    """The key of an index: one or several attributes that say the partition, and none or several that say the order in it."""

    partitions: tuple[Key, ...]
    sorts: tuple[Key, ...]

    @property
    def keys(self) -> tuple[Key, ...]:
        """All attributes."""
        return self.partitions + self.sorts

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the attributes."""
        return tuple(key.name for key in self.keys)

    @property
    def single(self) -> Schema | None:
        """The same as a table has it; None when there are several attributes of a kind."""
        if len(self.partitions) > 1 or len(self.sorts) > 1:
            return None
        return Schema(self.partitions[0], self.sorts[0] if self.sorts else None)


class SchemaMismatch(ValidationException):
    """A key that is not the table's or the index's. In a transaction it is a reason to cancel, not an invalid request."""

    code = "ValidationException"


class IndexMismatch(SchemaMismatch):
    """An attribute that can't be the key of an index."""


def scalar(kind: str, content: str) -> bytes:
    """The order-preserving bytes of a text, a number in normal form, or base64 text."""
    if kind == "S":
        return content.encode()
    if kind == "N":
        return numbers.encode(content)
    return values.binary(content)


def partition_hash(raw: bytes) -> bytes:
    """The place of a partition."""
    return blake2b(raw, digest_size=HASH_SIZE_BYTES).digest()


def of_item(schema: Schema, item: Item) -> bytes:
    """The place of an item that is to be put. The item is in its form; ValidationException when its key is not right."""
    partition, sort = schema
    value = item.get(partition.name)
    content = None if value is None else value.get(partition.kind)
    if not content:
        raise _wrong_in_item(partition, value)
    raw = scalar(partition.kind, content)
    if len(raw) > limits.PARTITION_KEY_SIZE_MAX_BYTES:
        raise _too_long(is_partition=True)
    place = blake2b(raw, digest_size=HASH_SIZE_BYTES).digest()
    if sort is None:
        return place
    value = item.get(sort.name)
    content = None if value is None else value.get(sort.kind)
    if not content:
        raise _wrong_in_item(sort, value)
    raw = scalar(sort.kind, content)
    if len(raw) > limits.SORT_KEY_SIZE_MAX_BYTES:
        raise _too_long(is_partition=False)
    return place + raw


def of_key(schema: Schema, key: Item) -> bytes:
    """The place of the item with this key; the key is taken into its form. ValidationException when it is not the schema's."""
    values.take_item(key)
    if len(key) != len(schema.names):
        raise SchemaMismatch(_MISMATCH)
    for part in schema:
        if part is not None and part.kind not in key.get(part.name, {}):
            raise SchemaMismatch(_MISMATCH)
    return of_item(schema, key)


def index_content(key: Key, item: Item, index_name: str) -> bytes | None:
    """The bytes of one key attribute of an index; None when the item lacks it. ValidationException when it can't be a key."""
    value = item.get(key.name)
    if value is None:
        return None
    content = value.get(key.kind)
    if content is None:
        raise IndexMismatch(
            f"One or more parameter values were invalid: Type mismatch for Index Key {key.name} Expected: {key.kind} "
            f"Actual: {values.kind_of(value)} IndexName: {index_name}"
        )
    if not content:
        raise ValidationException(
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
            f"The AttributeValue for a key attribute cannot contain an empty {_WORDS.get(key.kind, 'number')} value. "
            f"IndexName: {index_name}, IndexKey: {key.name}"
        )
    return scalar(key.kind, content)


def of_entry(schema: IndexSchema, item: Item, index_name: str) -> bytes | None:
    """The place of an item in an index, without the item's own place behind it; None when the item is not in the index."""
    partitions = [index_content(key, item, index_name) for key in schema.partitions]
    if sum(len(raw) for raw in partitions if raw) > limits.PARTITION_KEY_SIZE_MAX_BYTES:
        raise _too_long(is_partition=True)
    place = b""
    for key in schema.sorts:
        raw = index_content(key, item, index_name)
        if raw is None:
            return None
        place += ended(raw)
    found = [raw for raw in partitions if raw is not None]
    if len(found) < len(partitions):
        return None
    # What ends an attribute does not count; what escapes it is rare, and then the exact size is looked at.
    if len(place) > limits.SORT_KEY_SIZE_MAX_BYTES and sorts_size(schema, item) > limits.SORT_KEY_SIZE_MAX_BYTES:
        raise _too_long(is_partition=False)
    return partitions_hash(found) + place


def sorts_size(schema: IndexSchema, item: Item) -> int:
    """The size in bytes of an item's sort attributes, which it has, in an index."""
    return sum(len(scalar(key.kind, item[key.name][key.kind])) for key in schema.sorts)


def of_entry_if_any(schema: IndexSchema, item: Item) -> bytes | None:
    """As `of_entry`, of an item that is kept: one that can't be in the index is not in it."""
    try:
        return of_entry(schema, item, "")
    except ValidationException:
        return None


def partitions_hash(raws: Sequence[bytes]) -> bytes:
    """The place of a partition that one or several attributes say."""
    return partition_hash(raws[0] if len(raws) == 1 else b"".join(ended(raw) for raw in raws))


def escaped(raw: bytes) -> bytes:
    """Bytes in which 00 stands only before 01, so that 00 00 can end them; the order stays."""
    return raw.replace(b"\x00", b"\x00\x01") if b"\x00" in raw else raw


def ended(raw: bytes) -> bytes:
    """Escaped bytes with their end."""
    return escaped(raw) + b"\x00\x00"


def key_of(schema: Schema, item: Mapping[str, Any]) -> Item:
    """The attributes of an item that are its key."""
    partition, sort = schema
    if sort is None:
        return {partition.name: item[partition.name]}
    return {partition.name: item[partition.name], sort.name: item[sort.name]}


def _wrong_in_item(key: Key, value: Mapping[str, Any] | None) -> ValidationException:
    if value is None:
        return SchemaMismatch(f"One or more parameter values were invalid: Missing the key {key.name} in the item")
    if key.kind not in value:
        return SchemaMismatch(
            f"One or more parameter values were invalid: Type mismatch for key {key.name} expected: {key.kind} "
            f"actual: {values.kind_of(value)}"
        )
    return ValidationException(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
        f"{_WORDS.get(key.kind, 'number')} value. Key: {key.name}"
    )


def _too_long(*, is_partition: bool) -> ValidationException:
    if is_partition:
        return ValidationException(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
        )
    return ValidationException(
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    )
