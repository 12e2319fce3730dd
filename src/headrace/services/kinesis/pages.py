"""A page of records as GetRecords gives it: as `state.read`, but without work in Python for each record of a block. It is hot."""

from itertools import repeat
from typing import NamedTuple

from headrace.layers import log
from headrace.services.kinesis import rules, state
from headrace.store.api import ReadTransaction
from headrace.wire.request import Row

_PLAIN, _SEALED = rules.BLOCK[0], rules.SEALED_BLOCK[0]


class Record(Row):
    """The shape Record. Where the stream places records evenly, they need no key."""

    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: bytes
    PartitionKey: str = ""
    EncryptionType: str = ""


class Page(NamedTuple):
    """Records, the place of the last one (0: none), and how many bytes they have with their keys."""

    records: list[Record]
    last_place: int
    size_bytes: int


def read(tx: ReadTransaction, shard_log: bytes, base: int, after: int, limit: int, size_max_bytes: int) -> Page:
    """Records behind a place, in order: at most `limit`, and about `size_max_bytes`; at least one if there is one."""
    records: list[Record] = []
    place, data_bytes, key_bytes = after, 0, 0
    for number, value in log.scan(tx, shard_log, after):
        mark = value[0]
        if mark == _PLAIN:
            arrived_ms, keys, data = rules.decode_block(value)
        elif mark == _SEALED:
            arrived_ms, keys, data = state.block(tx, shard_log, value)
        else:
            break
        if len(data) == 1:
            # Written alone, as PutRecord does: nothing of it can have been read.
            one_bytes = len(data[0])
            if records and data_bytes + one_bytes > size_max_bytes:
                return Page(records, place, data_bytes + key_bytes)
            sequence = rules.sequence_number(base, number, arrived_ms)
            records.append(Record(sequence, arrived_ms / 1000, data[0], keys[0], "KMS" if mark == _SEALED else ""))
            place = number
            data_bytes += one_bytes
            key_bytes += len(keys[0])
            if len(records) >= limit:
                return Page(records, place, data_bytes + key_bytes)
            continue
        # What is before the block may be trimmed; and the place may lie within it.
        place = max(place, number - len(data))
        if place > number - len(data):
            skipped = place - (number - len(data))
            keys, data = keys[skipped:], data[skipped:]
        size_bytes = sum(map(len, data))
        if len(records) + len(data) > limit or data_bytes + size_bytes > size_max_bytes:
            taken = _fitting(data, limit - len(records), size_max_bytes - data_bytes, first=not records)
            keys, data = keys[:taken], data[:taken]
            size_bytes = sum(map(len, data))
        sequences = rules.sequence_numbers(base, place + 1, range(len(data)), arrived_ms)
        sealed = "KMS" if mark == _SEALED else ""
        records += map(Record, sequences, repeat(arrived_ms / 1000), data, keys, repeat(sealed))
        place += len(data)
        data_bytes += size_bytes
        key_bytes += sum(map(len, keys))
        if place < number or len(records) >= limit:
            return Page(records, place if records else 0, data_bytes + key_bytes)
    if len(records) < limit and (not records or data_bytes < size_max_bytes):
        # A large record comes next, or the end.
        for one in state.read(tx, shard_log, place, limit - len(records), max(1, size_max_bytes - data_bytes)):
            if records and data_bytes + len(one.entry.data) > size_max_bytes:
                break
            records.append(_record(one, base))
            place = one.last_place
            data_bytes += len(one.entry.data)
            key_bytes += len(one.entry.partition_key)
    return Page(records, place if records else 0, data_bytes + key_bytes)


def _record(found: state.Found, base: int) -> Record:
    arrived_ms, partition_key, data = found.entry
    sequence = rules.sequence_number(base, found.place, arrived_ms)
    return Record(sequence, arrived_ms / 1000, data, partition_key, "KMS" if found.sealed else "")


def _fitting(data: list[bytes], count: int, size_max_bytes: int, *, first: bool) -> int:
    """How many of a block's records fit; one at least, where it is the first of all."""
    size_bytes = 0
    for number, one in enumerate(data[:count]):
        size_bytes += len(one)
        if size_bytes > size_max_bytes:
            return number or int(first)
    return min(len(data), count)
