"""A page of records as GetRecords gives it: as `state.read`, but without a value of its own for each record. It is hot."""

from typing import Any, NamedTuple

from headrace.layers import log
from headrace.services.kinesis import rules, shapes, state
from headrace.store.api import ReadTransaction


class Page(NamedTuple):
    """Records in the shape Record, the place of the last one (0: none), and how many bytes they have with their keys."""

    records: list[dict[str, Any]]
    last_place: int
    size_bytes: int


def read(tx: ReadTransaction, shard_log: bytes, base: int, after: int, limit: int, size_max_bytes: int) -> Page:
    """Records behind a place, in order: at most `limit`, and about `size_max_bytes`; at least one if there is one."""
    records: list[dict[str, Any]] = []
    place, data_bytes, key_bytes = after, 0, 0
    for number, value in log.scan(tx, shard_log, after):
        mark = value[:1]
        if mark not in rules.BLOCKS:
            break
        sealed = mark == rules.SEALED_BLOCK
        arrived_ms, keys, data = state.block(tx, shard_log, value)
        skipped = max(0, place - (number - len(keys)))
        taken = _fitting(data, skipped, limit - len(records), size_max_bytes - data_bytes, first=not records)
        if taken < len(data) or skipped:
            keys, data = keys[skipped:taken], data[skipped:taken]
        arrived_at = arrived_ms / 1000
        numbers = rules.sequence_numbers(base, place + 1, range(len(keys)), arrived_ms)
        page = [
            {"SequenceNumber": sequence, "ApproximateArrivalTimestamp": arrived_at, "Data": one, "PartitionKey": key}
            if key
            else {"SequenceNumber": sequence, "ApproximateArrivalTimestamp": arrived_at, "Data": one}
            for sequence, key, one in zip(numbers, keys, data, strict=True)
        ]
        if sealed:
            for record in page:
                record["EncryptionType"] = "KMS"
        records += page
        place += len(keys)
        data_bytes += sum(map(len, data))
        key_bytes += sum(map(len, keys))
        if place < number or len(records) >= limit:
            return Page(records, place, data_bytes + key_bytes)
    if len(records) < limit and (not records or data_bytes < size_max_bytes):
        # A large record comes next, or the end.
        for one in state.read(tx, shard_log, place, limit - len(records), max(1, size_max_bytes - data_bytes)):
            if records and data_bytes + len(one.entry.data) > size_max_bytes:
                break
            records.append(shapes.record(one, base))
            place = one.last_place
            data_bytes += len(one.entry.data)
            key_bytes += len(one.entry.partition_key)
    return Page(records, place if records else 0, data_bytes + key_bytes)


def _fitting(data: list[bytes], skipped: int, count: int, size_max_bytes: int, *, first: bool) -> int:
    """Up to which of a block's records fit, from the skipped ones on; one at least, where it is the first of all."""
    end = min(len(data), skipped + count)
    size_bytes = 0
    for number in range(skipped, end):
        size_bytes += len(data[number])
        if size_bytes > size_max_bytes:
            return number + (first and number == skipped)
    return end
