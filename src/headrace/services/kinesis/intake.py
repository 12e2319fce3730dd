"""Puts records on the logs of shards: one append for each shard that a request writes to."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from headrace.layers import log, pieces
from headrace.services.kinesis import rules, state
from headrace.services.kinesis.metering import METER
from headrace.services.kinesis.throttle import THROTTLE
from headrace.store.api import Transaction

# Records without a place of their own go to each shard in turn. It is no matter with which one a process begins.
_turns = itertools.count()


class Given(NamedTuple):
    """A record to put. `key` is where it falls (None: anywhere)."""

    data: bytes
    partition_key: str
    key: int | None


class Put(NamedTuple):
    """Where a record was put. Without a sequence number the shard refused it, being at its limit."""

    shard_id: str
    sequence: str | None


class _Share:
    """What one shard gets of a request."""

    __slots__ = ("entries", "indexes", "offsets", "refused", "size_bytes")

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.indexes: list[int] = []
        self.offsets: list[int] = []
        self.size_bytes = 0
        self.refused = 0


def put(
    tx: Transaction, account: str, region: str, route: state.Route, records: Iterable[Given], now_ms: int, *, limited: bool
) -> list[Put]:
    """Append records in their order. `limited`: hold to AWS's limits of shards."""
    shares: dict[int, _Share] = {}
    shards, starts = route.shards, route.starts
    found: list[Put | None] = []
    for index, (data, partition_key, key) in enumerate(records):
        number = next(_turns) % len(shards) if key is None else rules.route(starts, key)
        share = shares.get(number)
        if share is None:
            share = shares[number] = _Share()
        size_bytes = len(data) + len(partition_key)
        if limited and not THROTTLE.write(shards[number].log, size_bytes, now_ms / 1000):
            share.refused += 1
            found.append(Put(shards[number].shard_id, None))
            continue
        found.append(None)
        share.size_bytes += size_bytes
        share.indexes.append(index)
        share.offsets.append(len(share.entries))
        share.entries.extend(pieces.split(rules.encode_entry(now_ms, partition_key, data)))
    for number, share in shares.items():
        shard_id, shard_log, base = shards[number]
        if share.entries:
            first = log.append(tx, shard_log, share.entries) - len(share.entries) + 1
            numbers = rules.sequence_numbers(base, first, share.offsets, now_ms)
            for index, sequence in zip(share.indexes, numbers, strict=True):
                found[index] = Put(shard_id, sequence)
        # Counted here, though the transaction may fail or run again: a measurement may be off by that.
        METER.wrote(account, region, route.stream, shard_id, len(share.indexes), share.size_bytes, share.refused)
    return [one for one in found if one is not None]
