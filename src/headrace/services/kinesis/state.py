"""What Kinesis Data Streams keeps.

    ("kinesis", "stream", account, region, name)  → Stream: settings; `stamp` is a new one with every change of its shards
    ("kinesis", "shard", stream id, number)       → Shard: hash range, parents, when it was opened and closed
    ("kinesis", "log", stream id, number)         the shard's records (layers.log): blocks of small records that came
                                                  together, and pieces of large ones (layers.pieces)
    ("kinesis", "account", account, region)       → Account: what UpdateAccountSettings set
    ("kinesis", "policy", ARN)                    → Policy of a stream or a consumer
    ("kinesis", "doomed", stream id)              → Doomed: the shards of a deleted stream, until a worker removed their logs

Consumers and their subscriptions: see `fanout_state`; the keys of encrypted streams: `sealing`.

The id of a stream is made when it is created, so a new stream of an old name never sees the old one's records.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from headrace.kit import arn as arns
from headrace.layers import log, pieces
from headrace.layers.records import Records
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.kinesis import errors, limits, rules, scaling
from headrace.services.kinesis.sealing import SEALS
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction

MODE_PROVISIONED, MODE_ON_DEMAND = "PROVISIONED", "ON_DEMAND"
BY_KEY, EVENLY = "USER_PARTITION_KEY", "AUTO"


class Stream(msgspec.Struct, omit_defaults=True):
    """A stream's settings. `metrics` are the metrics that are counted for each shard, `scaled_at` the last
    uses of UpdateShardCount; `enforced` is what the tag of limits.ENFORCE_TAG says. `key_id` is the key of KMS that new records
    are said to be encrypted with ("": they are not), `data_keys` the ids of those that it was done with so far, the newest last,
    and `encryption_changed_at` when encryption was started and stopped lately."""

    name: str
    id: str
    mode: str
    created_at: float
    shards_made: int
    stamp: str = ""
    retention_hours: int = limits.RETENTION_DEFAULT_HOURS
    record_size_max_kib: int = limits.RECORD_SIZE_DEFAULT_KIB
    distribution: str = BY_KEY
    warm_mibps: int | None = None
    metrics: list[str] = []
    scaled_at: list[float] = []
    enforced: bool | None = None
    key_id: str = ""
    data_keys: list[str] = []
    encryption_changed_at: list[float] = []

    @property
    def encryption(self) -> str:
        """AWS's name for how new records are kept."""
        return "KMS" if self.key_id else "NONE"

    @property
    def on_demand(self) -> bool:
        """Whether AWS would manage the shards."""
        return self.mode == MODE_ON_DEMAND

    def limited(self, by_default: bool) -> bool:
        """Whether AWS's limits of shards hold: as its tag says, or else the server."""
        return by_default if self.enforced is None else self.enforced


class Account(msgspec.Struct, omit_defaults=True):
    """The account's commitment to a minimum of throughput: when it began, may end, and was ended."""

    started_at: float
    ends_at: float | None = None


class Shard(msgspec.Struct, omit_defaults=True):
    """One shard. Hash keys are decimal text, for they have 128 bits."""

    number: int
    start: str
    end: str
    created_s: int
    opened_at: float
    parent: int | None = None
    adjacent_parent: int | None = None
    closed_at: float | None = None
    ending_sequence: str | None = None

    @property
    def id(self) -> str:
        """The shard's id."""
        return rules.shard_id(self.number)

    @property
    def base(self) -> int:
        """What the sequence numbers of the shard share."""
        return rules.sequence_base(self.created_s, self.number)

    @property
    def range(self) -> tuple[int, int]:
        """The hash keys from the first to the last."""
        return int(self.start), int(self.end)


class Policy(msgspec.Struct):
    """Who may do what with a stream or a consumer, as it was given."""

    text: str


class Doomed(msgspec.Struct):
    """The logs that a deleted stream leaves behind."""

    shards: list[int]


STREAMS = Records(("kinesis", "stream"), Stream)
SHARDS = Records(("kinesis", "shard"), Shard)
ACCOUNTS = Records(("kinesis", "account"), Account)
POLICIES = Records(("kinesis", "policy"), Policy)
DOOMED = Records(("kinesis", "doomed"), Doomed)
DOOMED_TOPIC = b"kinesis:doomed"


def drop_policy(tx: Transaction, arn: str) -> bool:
    """Remove the policy of a stream or a consumer; whether there was one."""
    if POLICIES.get(tx, arn) is None:
        return False
    POLICIES.delete(tx, arn)
    tx.announce(RESOURCE_POLICIES_TOPIC)
    return True


def stream_arn(account: str, region: str, name: str) -> str:
    """The ARN of a stream."""
    return arns.arn("kinesis", region, account, f"stream/{name}")


def log_of(stream: Stream, number: int) -> bytes:
    """The log of a shard."""
    return tuples.pack(("kinesis", "log", stream.id, number))


def find(tx: ReadTransaction, account: str, region: str, name: str) -> Stream:
    """The stream of a name; ResourceNotFoundException."""
    stream = STREAMS.get(tx, account, region, name)
    if stream is None:
        raise errors.stream_not_found(name, account)
    return stream


def shards(tx: ReadTransaction, stream: Stream) -> list[Shard]:
    """All shards of a stream that are kept, in order of their numbers."""
    return [shard for _, shard in SHARDS.scan(tx, stream.id)]


def shard(tx: ReadTransaction, stream: Stream, account: str, shard_id: str) -> Shard:
    """A shard by its id; ResourceNotFoundException."""
    number = rules.shard_number(shard_id)
    found = None if number is None else SHARDS.get(tx, stream.id, number)
    if found is None:
        raise errors.shard_not_found(shard_id, stream.name, account)
    return found


def open_shard(tx: Transaction, stream: Stream, span: tuple[int, int], now: float, *, parents: tuple[Shard, ...] = ()) -> Shard:
    """Add a shard for a hash range. Its sequence numbers are larger than all of its parents'."""
    made = Shard(
        stream.shards_made, str(span[0]), str(span[1]),
        created_s=max([int(now), *(parent.created_s + 1 for parent in parents)]), opened_at=now,
        parent=parents[0].number if parents else None, adjacent_parent=parents[1].number if len(parents) > 1 else None,
    )  # fmt: skip
    stream.shards_made += 1
    SHARDS.put(tx, made, stream.id, made.number)
    return made


def close_shard(tx: Transaction, stream: Stream, closing: Shard, now: float) -> None:
    """Take no more records into a shard. Whoever waits for its records learns of its end."""
    shard_log = log_of(stream, closing.number)
    closing.closed_at = now
    closing.ending_sequence = rules.sequence_number(closing.base, log.last(tx, shard_log) + 1, int(now * 1000))
    SHARDS.put(tx, closing, stream.id, closing.number)
    tx.announce(log.topic(shard_log))


def replace_shards(
    tx: Transaction, stream: Stream, parents: tuple[Shard, ...], spans: Iterable[tuple[int, int]], now: float
) -> list[Shard]:
    """Close one shard or two, and open their children; the stream's row is saved later, with a new stamp."""
    for parent in parents:
        close_shard(tx, stream, parent, now)
    return [open_shard(tx, stream, span, now, parents=parents) for span in spans]


def scale(tx: Transaction, stream: Stream, count: int, now: float) -> None:
    """Give a stream `count` open shards of one size; its row is saved later, with a new stamp."""
    open_shards = {shard.range: shard for shard in shards(tx, stream) if shard.closed_at is None}
    for step in scaling.uniform(sorted(open_shards), count):
        parents = tuple(open_shards.pop(span) for span in step.closed)
        for child in replace_shards(tx, stream, parents, step.opened, now):
            open_shards[child.range] = child


def save(tx: Transaction, account: str, region: str, stream: Stream) -> None:
    """Write a stream's row."""
    STREAMS.put(tx, stream, account, region, stream.name)


class OpenShard(NamedTuple):
    """What putting a record needs to know of a shard."""

    shard_id: str
    log: bytes
    base: int


class Route(NamedTuple):
    """The open shards of a stream in order of their hash ranges, and the row that they were read with."""

    raw: bytes
    key: bytes
    stream: Stream
    starts: list[int]
    shards: list[OpenShard]


_routes: dict[tuple[str, str, str], Route] = {}


def route(tx: ReadTransaction, account: str, region: str, name: str) -> Route:
    """Where the records of a stream go; ResourceNotFoundException.

    Kept from call to call, and good as long as the stream's row is byte for byte the one it was made from: the row changes
    with every change of the shards (its stamp is random), and its id with every new stream. So one read replaces a scan.
    """
    cached = _routes.get((account, region, name))
    raw = tx.get(STREAMS.key(account, region, name) if cached is None else cached.key)
    if cached is not None and cached.raw == raw:
        return cached
    if raw is None:
        _routes.pop((account, region, name), None)
        raise errors.stream_not_found(name, account)
    stream = find(tx, account, region, name)
    open_shards = sorted((one for one in shards(tx, stream) if one.closed_at is None), key=lambda one: int(one.start))
    made = Route(
        raw, STREAMS.key(account, region, name), stream, [int(one.start) for one in open_shards],
        [OpenShard(one.id, log_of(stream, one.number), one.base) for one in open_shards],
    )  # fmt: skip
    if len(_routes) >= limits.ROUTES_CACHED_MAX:
        _routes.clear()
    _routes[account, region, name] = made
    return made


class Found(NamedTuple):
    """A record that was read: its place, the place of its last piece, and what it holds."""

    place: int
    last_place: int
    entry: rules.Entry
    sealed: bool = False


def block(tx: ReadTransaction, shard_log: bytes, value: bytes) -> tuple[int, list[str], list[bytes]]:
    """When the records of a block, sealed or not, arrived, their partition keys, and their data."""
    if value[:1] == rules.SEALED_BLOCK:
        value = rules.BLOCK + value[1 : rules.BLOCK_HEAD] + SEALS.open(tx, shard_log, value, rules.BLOCK_HEAD)
    return rules.decode_block(value)


def entry(tx: ReadTransaction, shard_log: bytes, raw: bytes) -> rules.Entry:
    """The record in bytes of a log, sealed or not."""
    if rules.is_sealed(raw):
        raw = raw[: rules.ARRIVED] + SEALS.open(tx, shard_log, raw, rules.ENTRY_HEAD)
    return rules.decode_entry(raw)


def read(tx: ReadTransaction, shard_log: bytes, after: int, limit: int, size_max_bytes: int) -> list[Found]:
    """Records behind a place, in order: at most `limit`, and about `size_max_bytes`; at least one if there is one."""
    found: list[Found] = []
    entries: list[tuple[int, bytes]] = []
    size_bytes = 0
    for number, value in log.scan(tx, shard_log, after):
        mark = value[:1]
        if mark in rules.BLOCKS:
            sealed = mark == rules.SEALED_BLOCK
            arrived_ms, keys, data = block(tx, shard_log, value)
            place = number - len(keys)
            for key, one in zip(keys, data, strict=True):
                place += 1
                if place <= after:
                    continue
                size_bytes += len(one)
                if len(found) >= limit or (found and size_bytes > size_max_bytes):
                    return found
                found.append(Found(place, place, rules.Entry(arrived_ms, key, one), sealed))
        else:
            entries.append((number, value))
            if value[0] not in pieces.ENDS:
                continue
            for first, last, raw in pieces.join(entries):
                size_bytes += len(raw)
                if found and size_bytes > size_max_bytes:
                    return found
                found.append(Found(first, last, entry(tx, shard_log, raw), rules.is_sealed(raw)))
            entries = []
        if len(found) >= limit:
            return found
    return found


class Columns(NamedTuple):
    """Records as columns; each is known by the first of the places that it takes on the log."""

    places: list[int]
    arrived_ms: list[int]
    partition_keys: list[str]
    data: list[bytes]


def read_columns(tx: ReadTransaction, shard_log: bytes, after: int, limit: int, size_max_bytes: int) -> Columns:
    """What `read` gives, as columns, block by block: the size is looked at between blocks only."""
    found = Columns([], [], [], [])
    entries: list[tuple[int, bytes]] = []
    size_bytes = 0
    for number, value in log.scan(tx, shard_log, after):
        if value[:1] in rules.BLOCKS:
            arrived_ms, keys, data = block(tx, shard_log, value)
            first = number - len(keys) + 1
            begin = max(0, after + 1 - first)
            end = min(len(keys), begin + limit - len(found.data))
            found.places.extend(range(first + begin, first + end))
            found.arrived_ms.extend([arrived_ms] * (end - begin))
            found.partition_keys.extend(keys[begin:end])
            found.data.extend(data[begin:end])
            size_bytes += len(value)
        else:
            entries.append((number, value))
            if value[0] not in pieces.ENDS:
                continue
            for first, _, raw in pieces.join(entries):
                one = entry(tx, shard_log, raw)
                found.places.append(first)
                found.arrived_ms.append(one.arrived_ms)
                found.partition_keys.append(one.partition_key)
                found.data.append(one.data)
                size_bytes += len(raw)
            entries = []
        if len(found.data) >= limit or (found.data and size_bytes > size_max_bytes):
            break
    return found


def behind_ms(tx: ReadTransaction, shard_log: bytes, after: int, now_ms: int) -> int:
    """The age of the oldest record behind a place; 0 only when there is none."""
    if after >= log.last(tx, shard_log):
        return 0
    for _, value in log.scan(tx, shard_log, after):
        arrived_ms = rules.arrived_ms(value)
        # The rest of a record that was read or trimmed is no record.
        if arrived_ms:
            return max(1, now_ms - arrived_ms)
    return 0


def place_at(tx: ReadTransaction, shard_log: bytes, time_ms: int) -> int:
    """The place before the first record that arrived at the time or later."""
    oldest = read(tx, shard_log, 0, 1, 1)
    low, high = (oldest[0].place - 1 if oldest else log.last(tx, shard_log)), log.last(tx, shard_log)
    while low < high:
        middle = (low + high) // 2
        found = read(tx, shard_log, middle, 1, 1)
        if found and found[0].entry.arrived_ms < time_ms:
            low = found[0].last_place
        else:
            high = middle
    return low
