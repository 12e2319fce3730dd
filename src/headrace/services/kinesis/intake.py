"""Puts records on the logs of shards: one append for each shard that a request writes to.

Small records that come together lie there as one value: what the store does for each value is then done once for many records.
"""

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from headrace.layers import log, pieces
from headrace.services.kinesis import rules, state
from headrace.services.kinesis.metering import METER
from headrace.services.kinesis.sealing import SEALS
from headrace.services.kinesis.throttle import THROTTLE
from headrace.store.api import Transaction

# Records without a place of their own go to each shard in turn. It is no matter with which one a process begins.
_turns = itertools.count()


# A record to put: its data, its partition key, where it falls (None: anywhere), and how many bytes the first two have.
Given = tuple[bytes, str, int | None, int]


# Where a record was put: its shard's id and its sequence number; None: the shard refused it, being at its limit.
Put = tuple[str, str | None]


def put(
    tx: Transaction, account: str, region: str, route: state.Route, records: Sequence[Given], now_ms: int, *, limited: bool
) -> list[Put]:
    """Append records in their order. `limited`: hold to AWS's limits of shards."""
    shards, starts = route.shards, route.starts
    found: list[Put] = [("", None)] * len(records)
    shares: dict[int, list[int]] = {}
    refused: dict[int, int] = {}
    for index, (_, _, key, size_bytes) in enumerate(records):
        number = next(_turns) % len(shards) if key is None else bisect_right(starts, key) - 1
        if limited and not THROTTLE.write(shards[number].log, size_bytes, now_ms / 1000):
            found[index] = (shards[number].shard_id, None)
            refused[number] = refused.get(number, 0) + 1
        elif number in shares:
            shares[number].append(index)
        else:
            shares[number] = [index]
    for number, indexes in shares.items():
        shard_id, shard_log, base = shards[number]
        seal = _Seal(tx, route.stream.data_keys[-1], shard_log, now_ms) if route.stream.key_id else None
        values, offsets, size_bytes = _values([records[index] for index in indexes], now_ms, seal)
        first = log.append_spans(tx, shard_log, values) - sum(span for span, _ in values) + 1
        for index, sequence in zip(indexes, rules.sequence_numbers(base, first, offsets, now_ms), strict=True):
            found[index] = (shard_id, sequence)
        # Counted here, though the transaction may fail or run again: a measurement may be off by that.
        METER.wrote(account, region, route.stream, shard_id, len(indexes), size_bytes, 0)
    for number, count in refused.items():
        METER.wrote(account, region, route.stream, shards[number].shard_id, 0, 0, count)
    return found


class _Seal(NamedTuple):
    """Seals what goes onto one log of an encrypted stream."""

    tx: Transaction
    key: str
    log: bytes
    now_ms: int

    def block(self, block: bytes) -> bytes:
        """A block, sealed."""
        head = rules.SEALED_BLOCK + block[1 : rules.BLOCK_HEAD]
        return SEALS.seal(self.tx, self.key, self.log, head, block[rules.BLOCK_HEAD :])

    def entry(self, entry: bytes) -> bytes:
        """A large record's bytes, sealed."""
        return SEALS.seal(self.tx, self.key, self.log, rules.sealed_entry_head(self.now_ms), entry[rules.ARRIVED :])


def _values(records: Sequence[Given], now_ms: int, seal: _Seal | None) -> tuple[list[tuple[int, bytes]], Sequence[int], int]:
    """The values of a shard's log for its records, each with the numbers it takes; where each record begins; their bytes."""
    size_bytes = sum(one[3] for one in records)
    if size_bytes <= pieces.PIECE_SIZE_MAX_BYTES:
        return [(len(records), _block(records, now_ms, seal))], range(len(records)), size_bytes
    values: list[tuple[int, bytes]] = []
    offsets: list[int] = []
    count = open_bytes = begin = 0
    for index, (data, partition_key, _, record_bytes) in enumerate(records):
        offsets.append(count)
        open_bytes += record_bytes
        if open_bytes > pieces.PIECE_SIZE_MAX_BYTES:
            if index > begin:
                values.append((index - begin, _block(records[begin:index], now_ms, seal)))
            begin, open_bytes = index, record_bytes
        if record_bytes <= pieces.PIECE_SIZE_MAX_BYTES:
            count += 1
        else:
            entry = rules.encode_entry(now_ms, partition_key, data)
            parts = pieces.split(entry if seal is None else seal.entry(entry))
            values.extend((1, part) for part in parts)
            count += len(parts)
            begin, open_bytes = index + 1, 0
    if begin < len(records):
        values.append((len(records) - begin, _block(records[begin:], now_ms, seal)))
    return values, offsets, size_bytes


def _block(records: Sequence[Given], now_ms: int, seal: _Seal | None) -> bytes:
    block = rules.encode_block(now_ms, [one[1] for one in records], [one[0] for one in records])
    return block if seal is None else seal.block(block)
