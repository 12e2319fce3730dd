"""What DynamoDB keeps.

    ("dynamodb", "last")                                  the last number given to a table or a stream
    ("dynamodb", "table", account, region, name)          → TableRow: keys, indexes, settings
    ("dynamodb", "item", table id) + 00 00 + place        → the size of an item (4 bytes) and its JSON
    ("dynamodb", "item", table id) + index number + place of the entry + place of the item
                                                          → the place of the item
    ("dynamodb", "count", table id) + slot                → how many items there are, and their size (8 bytes each)
    ("dynamodb", "count", table id) + ff + index number   → how many entries an index has, and the size of what they show
    ("dynamodb", "stream", account, region, table, label) → StreamRow
    ("dynamodb", "destination", account, region, table, stream ARN) → Destination: a Kinesis stream that gets the table's changes
    ("dynamodb", "feed", account, region, table, number)  → Feed: a log of changes for a Kinesis stream, see `feeds`
    ("dynamodb", "log", stream id, shard)                 the shard's records (layers.log), see `changes`
    ("dynamodb", "expiry") + seconds + table id + place   → the table's account, region and name
    ("dynamodb", "fill", table id, index number)          → Fill: an index, or the expiry, that old items are still put into
    ("dynamodb", "doomed", number)                        → Doomed: what a worker has to remove
    ("dynamodb", "history", history id)                   what was changed in a table (layers.log), see `history`
    ("dynamodb", "space", number) + place                 items as they are in a table: those of a backup or an export
    ("dynamodb", "backup", account, region, id)           → Backup (in `backups`)
    ("dynamodb", "export", account, region, id)           → Export (in `exports`)
    ("dynamodb", "import", account, region, id)           → Import (in `imports`)
    ("dynamodb", "bulk", account, region, id)             → Bulk (in `bulk`); "bulk-line", "bulk-file": its report
    ("dynamodb", "version", versions id) + place          when and where an item was written last, see `replicas`
    ("dynamodb", "replicated", account, region, table)    → the label of the stream that tells a table's replicas
    ("dynamodb", "insights", id, rule, minute)            which keys used the most, see `insights`
    ("dynamodb", "policy", ARN)                           → Policy, of a table or a stream
    ("dynamodb", "job", number)                           → Job (in `jobs`): a copy that is being made
    ("dynamodb", "token", account, region, token)         → Token: a transaction that was carried out
    TOKEN_TIMERS                                          when each token is forgotten (layers.timer)

A place is made in `engine.keys`. The rest of what an index query gives is read from the item itself, so a change of attributes
that are no index keys writes no index entry. An expiry that no longer fits its item is harmless: the item is looked at before
it goes.

Tables are kept compiled per process. Whoever uses one compares the row's bytes in its transaction with those that were compiled.
"""

from typing import Any, NamedTuple

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.dynamodb import errors, limits
from headrace.services.dynamodb.engine.keys import IndexSchema, Key, Schema
from headrace.services.dynamodb.vectors import VectorIndex, VectorRow
from headrace.store import tuples
from headrace.store.api import Transaction

_LAST = tuples.pack(("dynamodb", "last"))
EXPIRY = tuples.pack(("dynamodb", "expiry"))
EXPIRY_TOPIC = b"dynamodb:expiry"
FILL_TOPIC = b"dynamodb:fill"
DOOMED_TOPIC = b"dynamodb:doomed"
FEEDS_TOPIC = b"dynamodb:feeds"
STREAMS_TOPIC = b"dynamodb:streams"
# The number of a fill that makes expiries, not index entries.
FILL_EXPIRY = 0


class IndexRow(msgspec.Struct, omit_defaults=True):
    """A secondary index. `partition` and `sort` are the first of their kind; `more_…` the others, where there are several."""

    number: int
    name: str
    local: bool
    partition: str
    sort: str | None
    projection: str
    attributes: list[str] = []
    read_units: int = 0
    write_units: int = 0
    filling: bool = False
    more_partitions: list[str] = []
    more_sorts: list[str] = []
    # As those of a table.
    most_read_units: int = 0
    most_write_units: int = 0
    warm_read_units: int = 0
    warm_write_units: int = 0
    decreases: list[float] = []
    increased_at: float = 0.0
    # Whether its entries are counted: those of indexes that are older than the counting are not.
    counted: bool = False

    @property
    def partitions(self) -> list[str]:
        """The attributes that say the partition."""
        return [self.partition, *self.more_partitions]

    @property
    def sorts(self) -> list[str]:
        """The attributes that say the order in a partition, first to last."""
        return [] if self.sort is None else [self.sort, *self.more_sorts]


class InsightsRow(msgspec.Struct, omit_defaults=True):
    """Contributor insights of a table or an index: counted under this id, in this mode, since when, and when that was changed."""

    id: int
    mode: str
    since: float
    changed_at: float
    enabled: bool = True


class Watch(NamedTuple):
    """Insights that are on, compiled: the rules for what is let through and what is refused, and the attributes of the key."""

    id: int
    accessed: tuple[str, ...]
    throttled: tuple[str, ...]
    partitions: tuple[str, ...]
    names: tuple[str, ...]


class TableRow(msgspec.Struct, omit_defaults=True):
    """A table: its keys, its indexes and its settings."""

    id: int
    name: str
    uuid: str
    created_at: float
    definitions: dict[str, str]
    partition: str
    sort: str | None
    billing: str
    read_units: int = 0
    write_units: int = 0
    billing_changed_at: float | None = None
    # The most units on demand; 0: no such maximum.
    most_read_units: int = 0
    most_write_units: int = 0
    # What is warm at least.
    warm_read_units: int = 0
    warm_write_units: int = 0
    # When the provisioned throughput was lowered, on the last day (in UTC) on which it was; and when it was raised last.
    decreases: list[float] = []
    increased_at: float = 0.0
    # The key of the account that encrypts the table, as it is shown; none: the service's own.
    key_arn: str = ""
    indexes: list[IndexRow] = []
    indexes_made: int = 0
    stream: str | None = None
    last_stream: str | None = None
    stream_id: int = 0
    # The first of the stream's shards that take changes.
    stream_shard: int = 0
    stream_view: str = ""
    ttl_attribute: str | None = None
    ttl_enabled: bool = False
    protected: bool = False
    table_class: str | None = None
    # What is changed is written down under this number while `recovery_days` or a job that copies the table (`holds`) needs it.
    history_id: int = 0
    recovery_days: int = 0
    recovery_since: float = 0.0
    holds: int = 0
    # A table that is still being restored or imported has no items to show.
    making: bool = False
    # The other regions in which this table is, and the number of its items' versions (0: the table's id).
    replicas: list[str] = []
    versions_id: int = 0
    # When the table became part of a global table of the older kind (of 2017).
    grouped_at: float | None = None
    restored: dict[str, Any] | None = None
    feeds: list[int] = []
    # By the name of an index; that of the table itself is empty.
    insights: dict[str, InsightsRow] = {}
    vectors: list[VectorRow] = []


class Generation(msgspec.Struct):
    """The shards that take changes at one time: since when, and the number of the first record of each."""

    began_at: float
    starts: list[int]


class StreamRow(msgspec.Struct, omit_defaults=True):
    """A table's stream, open until it is switched off or the table is deleted.

    `shards` is how many it has had. Every four hours each is replaced by a child of its own: so the last STREAM_SHARDS of them
    take changes. Those below `first` are gone; `generations` are of the others (none: only the first ones).
    """

    id: int
    table: str
    label: str
    view: str
    created_at: float
    partition: str
    sort: str | None
    shards: int
    closed_at: float | None = None
    first: int = 0
    generations: list[Generation] = []

    def generation(self, shard: int) -> Generation:
        """The generation of a shard that is kept."""
        if not self.generations:
            return Generation(self.created_at, [1] * limits.STREAM_SHARDS)
        return self.generations[(shard - self.first) // limits.STREAM_SHARDS]

    def parent(self, shard: int) -> int | None:
        """The shard that a shard replaced, if it is kept."""
        parent = shard - limits.STREAM_SHARDS
        return parent if parent >= self.first else None

    def is_closed(self, shard: int) -> bool:
        """Whether a shard takes no changes any more."""
        return self.closed_at is not None or shard < self.shards - limits.STREAM_SHARDS


class Feed(msgspec.Struct):
    """The changes of a table for a Kinesis stream; `precision` is that of the times in its records."""

    stream: StreamRow
    target: str
    precision: str


class Destination(msgspec.Struct):
    """A Kinesis stream that gets a table's changes, or did: the number of its feed."""

    feed: int
    status: str
    precision: str


class Fill(msgspec.Struct):
    """How far a new index, or the expiry, was filled with the items that were there before."""

    account: str
    region: str
    name: str
    after: bytes = b""


class Doomed(msgspec.Struct):
    """Ranges of keys that are to be removed."""

    prefixes: list[bytes]


class Token(msgspec.Struct):
    """A transaction that was carried out under a client's token."""

    digest: bytes
    until: float


class Policy(msgspec.Struct):
    """A resource's policy, as it was given."""

    text: str
    revision: str


POLICIES = Records(("dynamodb", "policy"), Policy)
TABLES = Records(("dynamodb", "table"), TableRow)
STREAMS = Records(("dynamodb", "stream"), StreamRow)
FEEDS = Records(("dynamodb", "feed"), Feed)
DESTINATIONS = Records(("dynamodb", "destination"), Destination)
FILLS = Records(("dynamodb", "fill"), Fill)
DOOMED = Records(("dynamodb", "doomed"), Doomed)
TOKEN_TIMERS = ("dynamodb", "token")
TOKENS = Records(("dynamodb", "token"), Token)
_decode_table = msgspec.msgpack.Decoder(TableRow).decode


def keys_of_index(table: TableRow, row: IndexRow | VectorRow) -> tuple[bytes, bytes]:
    """(prefix of an index's entries, key of its counts)."""
    number = row.number.to_bytes(2, "big")
    return tuples.pack(("dynamodb", "item", table.id)) + number, tuples.pack(("dynamodb", "count", table.id)) + b"\xff" + number


class Index:
    """A secondary index, compiled. `projected`: the attributes it shows, or None for all."""

    __slots__ = ("count", "prefix", "projected", "row", "schema")

    def __init__(self, table: TableRow, row: IndexRow) -> None:
        self.row = row
        kinds = table.definitions
        self.schema = IndexSchema(
            tuple(Key(name, kinds[name]) for name in row.partitions), tuple(Key(name, kinds[name]) for name in row.sorts)
        )
        self.prefix, count = keys_of_index(table, row)
        self.count = count if row.counted else None
        self.projected: tuple[str, ...] | None = None
        if row.projection != "ALL":
            table_keys = _schema(table, table.partition, table.sort).names
            self.projected = tuple(dict.fromkeys((*table_keys, *self.schema.names, *row.attributes)))


class Table:
    """A table, compiled: what every operation on its items needs at hand."""

    __slots__ = (
        "account", "counts", "expiry", "expiry_value", "feeds", "history", "indexed", "indexes", "insights", "key",
        "local_indexes", "logs", "prefix", "raw", "region", "row", "schema", "vectors", "versions", "with_new", "with_old",
    )  # fmt: skip

    def __init__(self, account: str, region: str, key: bytes, raw: bytes) -> None:
        self.account = account
        self.region = region
        self.key = key
        self.raw = raw
        self.row = row = _decode_table(raw)
        self.schema = _schema(row, row.partition, row.sort)
        self.prefix = tuples.pack(("dynamodb", "item", row.id)) + b"\x00\x00"
        self.indexes = tuple(Index(row, index) for index in row.indexes)
        self.local_indexes = any(index.local for index in row.indexes)
        self.vectors = tuple(
            VectorIndex(index, *keys_of_index(row, index), row.definitions, self.schema.names) for index in row.vectors
        )
        self.indexed = bool(row.indexes or row.vectors)
        counts = tuples.pack(("dynamodb", "count", row.id))
        self.counts = tuple(counts + bytes((slot,)) for slot in range(limits.STREAM_SHARDS))
        self.logs: tuple[bytes, ...] = ()
        if row.stream is not None:
            self.logs = tuple(log_of(row.stream_id, row.stream_shard + slot) for slot in range(limits.STREAM_SHARDS))
        self.feeds = tuple(tuple(log_of(feed, shard) for shard in range(limits.STREAM_SHARDS)) for feed in row.feeds)
        self.with_new = row.stream_view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
        self.with_old = row.stream_view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")
        self.versions = versions_of(row) if row.replicas else None
        self.history = tuples.pack(("dynamodb", "history", row.history_id)) if row.history_id else None
        self.expiry = row.ttl_attribute if row.ttl_enabled else None
        self.insights = self._watches() if row.insights else None
        self.expiry_value = msgspec.msgpack.encode((account, region, row.name))

    def _watches(self) -> dict[int, Watch] | None:
        """The insights that are on, by the numbers of their indexes; the table's has 0."""
        watched: list[tuple[str, int, Schema | IndexSchema]] = [("", 0, self.schema)]
        watched += [(one.row.name, one.row.number, one.schema) for one in self.indexes]
        found = {}
        for name, number, schema in watched:
            own = self.row.insights.get(name)
            if own is not None and own.enabled:
                letters = "PS" if schema.sorts else "P"
                accessed = () if own.mode == "THROTTLED_KEYS" else tuple(f"{letter}KC" for letter in letters)
                throttled = tuple(f"{letter}KT" for letter in letters)
                found[number] = Watch(own.id, accessed, throttled, tuple(key.name for key in schema.partitions), schema.names)
        return found or None

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return table_arn(self.account, self.region, self.row.name)

    def vector(self, name: str) -> VectorIndex | None:
        """A vector index by its name."""
        return next((index for index in self.vectors if index.row.name == name), None)

    def index(self, name: str) -> Index | None:
        """An index by its name."""
        return next((index for index in self.indexes if index.row.name == name), None)


def _schema(table: TableRow, partition: str, sort: str | None) -> Schema:
    kinds = table.definitions
    return Schema(Key(partition, kinds[partition]), None if sort is None else Key(sort, kinds[sort]))


def table_arn(account: str, region: str, name: str) -> str:
    """The ARN of a table."""
    return arns.arn("dynamodb", region, account, f"table/{name}")


def stream_arn(account: str, region: str, table: str, label: str) -> str:
    """The ARN of a table's stream."""
    return arns.arn("dynamodb", region, account, f"table/{table}/stream/{label}")


def log_of(stream_id: int, shard: int) -> bytes:
    """The log of a stream's shard."""
    return tuples.pack(("dynamodb", "log", stream_id, shard))


_tables: dict[tuple[str, str, str], Table] = {}


def find(ctx: Scope, name: str) -> Table | None:
    """The table of a name or an ARN, as it is in the running transaction."""
    if name.startswith("arn:"):
        name = _name_in_arn(ctx, name)
    place = (ctx.account, ctx.region, name)
    kept = _tables.get(place)
    if kept is not None:
        raw = ctx.tx.get(kept.key)
        if raw == kept.raw:
            return kept
        key = kept.key
    else:
        key = TABLES.key(*place)
        raw = ctx.tx.get(key)
    if raw is None:
        _tables.pop(place, None)
        return None
    table = Table(ctx.account, ctx.region, key, raw)
    if len(_tables) >= limits.TABLES_CACHED_MAX:
        _tables.clear()
    _tables[place] = table
    return table


def table_of(ctx: Scope, name: str) -> Table:
    """The table, for operations on items; ResourceNotFoundException."""
    table = find(ctx, name)
    if table is None or table.row.making:
        raise errors.no_resource()
    return table


def described(ctx: Scope, name: str) -> Table:
    """The table, for operations on tables; ResourceNotFoundException with its name."""
    table = find(ctx, name)
    if table is None:
        raise errors.no_table(name)
    return table


def _name_in_arn(ctx: Scope, arn: str) -> str:
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise errors.no_resource() from None
    parts = parsed.resource.split("/")
    if parsed.account != ctx.account or parsed.region != ctx.region or parts[0] != "table" or len(parts) < 2:
        raise errors.no_resource()
    return parts[1]


def save(ctx: Context, row: TableRow) -> None:
    """Write a table's row."""
    TABLES.put(ctx.tx, row, ctx.account, ctx.region, row.name)


def own_row(ctx: Scope, name: str) -> TableRow:
    """A table's row for who changes it: the compiled table is shared, and a transaction may be run again."""
    row = TABLES.get(ctx.tx, ctx.account, ctx.region, name)
    assert row is not None
    return row


def versions_of(row: TableRow) -> bytes:
    """The prefix of the versions of a table's items."""
    return tuples.pack(("dynamodb", "version", row.versions_id or row.id))


def space_of(number: int) -> bytes:
    """The prefix of a space: items by their places, beside their tables."""
    return tuples.pack(("dynamodb", "space", number))


def next_number(tx: Transaction) -> int:
    """A number that no table and no stream had before."""
    number = int.from_bytes(tx.get(_LAST) or b"", "big") + 1
    tx.set(_LAST, number.to_bytes(8, "big"))
    return number


def doom(tx: Transaction, prefixes: list[bytes]) -> None:
    """Let a worker remove all keys that begin with one of the prefixes."""
    DOOMED.put(tx, Doomed(prefixes), next_number(tx))
    tx.announce(DOOMED_TOPIC)


def find_stream(ctx: Scope, arn: str) -> StreamRow | None:
    """The stream of an ARN, open or closed."""
    try:
        parsed = arns.parse(arn)
    except ValueError:
        return None
    parts = parsed.resource.split("/")
    if len(parts) != 4 or parts[0] != "table" or parts[2] != "stream":
        return None
    return STREAMS.get(ctx.tx, parsed.account, parsed.region, parts[1], parts[3])


def find_feed(ctx: Scope, arn: str) -> StreamRow | None:
    """The feed of an ARN, as a stream."""
    parsed = arns.parse(arn)
    _, table, _, number = parsed.resource.split("/")
    feed = FEEDS.get(ctx.tx, parsed.account, parsed.region, table, int(number))
    return None if feed is None else feed.stream
