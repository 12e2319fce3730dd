"""Decisions of Kinesis Data Streams, pure: hash ranges, sequence numbers, and the form of a record on its log.

A sequence number is one integer, written in decimal (56 digits). Its 47 hexadecimal digits are AWS's own layout:

    2 | shard created, s (9) | shard, low digit (1) | place in the shard (16) | 00 | arrival, s (9) | shard (8) | 2

So numbers of one shard grow with the place, and those of a child are larger than those of its parents. The place is the
number of the record on the shard's log: a sequence number leads to its record without an index.
"""

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from headrace.layers import pieces
from headrace.services.kinesis import limits

HASH_KEY_END = 1 << 128

_PLACE_BITS = 80
_ARRIVAL_BITS = 36
_CREATED_BITS = 148
_HEADER = struct.Struct(">QH")
# The marks of blocks, beside those of pieces. A mark and the time of arrival are what stays readable of a sealed block; of a
# sealed record that time, and a size that no key has.
BLOCK, SEALED_BLOCK = b"\x04", b"\x05"
BLOCKS = frozenset((BLOCK, SEALED_BLOCK))
ARRIVED = 8
BLOCK_HEAD, ENTRY_HEAD = 1 + ARRIVED, _HEADER.size
_SEALED = b"\xff\xff"
_encode_block = msgspec.msgpack.Encoder().encode
_decode_block = msgspec.msgpack.Decoder(tuple[list[str], list[bytes]]).decode


class Entry(NamedTuple):
    """A record as it lies on a shard's log."""

    arrived_ms: int
    partition_key: str
    data: bytes


def shard_id(number: int) -> str:
    """The id of a stream's n-th shard."""
    return f"shardId-{number:012d}"


def shard_number(text: str) -> int | None:
    """The number in a shard's id; None if it is none."""
    head, _, digits = text.rpartition("-")
    return int(digits) if head == "shardId" and digits.isdecimal() and len(digits) == 12 else None


def even_ranges(count: int) -> list[tuple[int, int]]:
    """The hash key space in `count` ranges of one size, the last one taking the rest."""
    size = HASH_KEY_END // count
    return [(i * size, HASH_KEY_END - 1 if i == count - 1 else (i + 1) * size - 1) for i in range(count)]


def hash_key(partition_key: str) -> int:
    """Where a partition key falls: the MD5 of its bytes, as AWS does."""
    return int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


def route(starts: Sequence[int], key: int) -> int:
    """Which of the open shards, given by their starting hash keys in order, holds the key."""
    return bisect_right(starts, key) - 1


def sequence_base(created_s: int, number: int) -> int:
    """The part of a sequence number that all records of a shard share."""
    return (2 << 184) | (created_s << _CREATED_BITS) | ((number & 15) << 144) | (number << 4) | 2


def sequence_number(base: int, place: int, arrived_ms: int) -> str:
    """The sequence number of the record at a place of the shard's log."""
    return str(base + (place << _PLACE_BITS) + (arrived_ms // 1000 << _ARRIVAL_BITS))


def sequence_numbers(base: int, first: int, offsets: Sequence[int], arrived_ms: int) -> list[str]:
    """The sequence numbers of records that were appended together, the log's entries from `first` on."""
    start = base + (first << _PLACE_BITS) + (arrived_ms // 1000 << _ARRIVAL_BITS)
    return [str(start + (offset << _PLACE_BITS)) for offset in offsets]


def place_of(base: int, sequence: str) -> int | None:
    """The place that a sequence number names in the shard with this base; None if it is none of the shard's."""
    value = int(sequence)
    shared = (1 << _ARRIVAL_BITS) - 1
    if value >> 144 != base >> 144 or value & shared != base & shared or (value >> 72) & 0xFF:
        return None
    return (value >> _PLACE_BITS) & ((1 << 64) - 1)


def encode_entry(arrived_ms: int, partition_key: str, data: bytes) -> bytes:
    """A record's bytes for the log."""
    key = partition_key.encode()
    return _HEADER.pack(arrived_ms, len(key)) + key + data


def sealed_entry_head(arrived_ms: int) -> bytes:
    """What stays readable of a sealed record."""
    return arrived_ms.to_bytes(ARRIVED, "big") + _SEALED


def is_sealed(raw: bytes) -> bool:
    """Whether a record's bytes are sealed."""
    return raw[ARRIVED:ENTRY_HEAD] == _SEALED


def decode_entry(raw: bytes) -> Entry:
    """The record in bytes of the log."""
    arrived_ms, size = _HEADER.unpack_from(raw)
    start = _HEADER.size + size
    return Entry(arrived_ms, raw[_HEADER.size : start].decode(), raw[start:])


def encode_block(arrived_ms: int, partition_keys: list[str], data: list[bytes]) -> bytes:
    """Small records that came together as one value for the log, which takes as many numbers."""
    return BLOCK + arrived_ms.to_bytes(8, "big") + _encode_block((partition_keys, data))


def decode_block(raw: bytes) -> tuple[int, list[str], list[bytes]]:
    """When the records of a block arrived, their partition keys, and their data."""
    keys, data = _decode_block(memoryview(raw)[9:])
    return int.from_bytes(raw[1:9], "big"), keys, data


def arrived_ms(value: bytes) -> int:
    """When what this value of the log begins arrived; 0 for a later piece of a record, which is older than any time."""
    return int.from_bytes(value[1:9], "big") if value[0] not in pieces.LATER else 0


def can_split(start: int, end: int, new_start: int) -> bool:
    """Whether a range may be cut before `new_start`: both parts keep more than one key."""
    return start + 1 < new_start < end


def adjacent(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two ranges touch."""
    return one[1] + 1 == other[0] or other[1] + 1 == one[0]


def enforced(tags: Mapping[str, str]) -> bool | None:
    """What a stream's tags say of AWS's limits; None: nothing."""
    said = tags.get(limits.ENFORCE_TAG)
    return None if said is None else said.lower() in ("true", "1", "yes", "on")
