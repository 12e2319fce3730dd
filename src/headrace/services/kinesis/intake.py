"""Puts records on the logs of shards: one append for each shard that a request writes to.

Small records that come together lie there as one value: what the store does for each value is then done once for many records.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from headrace.layers import log, pieces
from headrace.services.kinesis import rules, state
from headrace.services.kinesis.metering import METER
from headrace.services.kinesis.throttle import THROTTLE
from headrace.store.api import Transaction

# Records without a place of their own go to each shard in turn. It is no matter with which one a process begins.
_turns = itertools.count()


# A record to put: its data, its partition key, where it falls (None: anywhere), and how many bytes the first two have.
Given = tuple[bytes, str, int | None, int]


class Put(NamedTuple):
    """Where a record was put. Without a sequence number the shard refused it, being at its limit."""

    shard_id: str
    sequence: str | None


class _Share:
    """What one shard gets of a request. `values` are those of its log, with the numbers that each takes."""

    __slots__ = ("count", "data", "indexes", "keys", "now_ms", "offsets", "open_bytes", "refused", "size_bytes", "values")

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.values: list[tuple[int, bytes]] = []
        self.indexes: list[int] = []
        self.offsets: list[int] = []
        self.count = 0
        self.size_bytes = 0
        self.refused = 0
        # The block that is still being filled.
        self.keys: list[str] = []
        self.data: list[bytes] = []
        self.open_bytes = 0

    def add(self, index: int, data: bytes, partition_key: str, size_bytes: int) -> None:
        """Take a record; `index` is its place in the request."""
        if self.open_bytes + size_bytes > pieces.PIECE_SIZE_MAX_BYTES:
            self.close_block()
        self.size_bytes += size_bytes
        self.indexes.append(index)
        self.offsets.append(self.count)
        if size_bytes > pieces.PIECE_SIZE_MAX_BYTES:
            parts = pieces.split(rules.encode_entry(self.now_ms, partition_key, data))
            self.values.extend((1, part) for part in parts)
            self.count += len(parts)
        else:
            self.keys.append(partition_key)
            self.data.append(data)
            self.open_bytes += size_bytes
            self.count += 1

    def close_block(self) -> None:
        """What comes next begins another value of the log."""
        if self.keys:
            self.values.append((len(self.keys), rules.encode_block(self.now_ms, self.keys, self.data)))
            self.keys, self.data, self.open_bytes = [], [], 0


def put(
    tx: Transaction, account: str, region: str, route: state.Route, records: Iterable[Given], now_ms: int, *, limited: bool
) -> list[Put]:
    """Append records in their order. `limited`: hold to AWS's limits of shards."""
    shares: dict[int, _Share] = {}
    shards, starts = route.shards, route.starts
    found: list[Put | None] = []
    for index, (data, partition_key, key, size_bytes) in enumerate(records):
        number = next(_turns) % len(shards) if key is None else bisect_right(starts, key) - 1
        share = shares.get(number)
        if share is None:
            share = shares[number] = _Share(now_ms)
        if limited and not THROTTLE.write(shards[number].log, size_bytes, now_ms / 1000):
            share.refused += 1
            found.append(Put(shards[number].shard_id, None))
            continue
        found.append(None)
        share.add(index, data, partition_key, size_bytes)
    for number, share in shares.items():
        shard_id, shard_log, base = shards[number]
        share.close_block()
        if share.values:
            first = log.append_spans(tx, shard_log, share.values) - share.count + 1
            numbers = rules.sequence_numbers(base, first, share.offsets, now_ms)
            for index, sequence in zip(share.indexes, numbers, strict=True):
                found[index] = Put(shard_id, sequence)
        # Counted here, though the transaction may fail or run again: a measurement may be off by that.
        METER.wrote(account, region, route.stream, shard_id, len(share.indexes), share.size_bytes, share.refused)
    return [one for one in found if one is not None]
