"""What DynamoDB does by itself: expire items, fill new indexes, trim streams, and remove what was deleted.

No leases are needed: each step looks at what is there and does it in one transaction, so two processes do nothing twice.
"""

import msgspec

from headrace import consumer
from headrace.layers import log, timer
from headrace.operation import Context
from headrace.services.dynamodb import bulk, changes, fills, history, insights, items, jobs, limits, metering, state
from headrace.services.dynamodb.backups import BACKUPS, finish_backup, finish_table
from headrace.services.dynamodb.bulk_puts import Putter
from headrace.services.dynamodb.engine import keys
from headrace.services.dynamodb.exports import finish_export
from headrace.services.dynamodb.imports import Importer
from headrace.services.dynamodb.replicas import finish_replica
from headrace.store.tuples import Item, after_prefix
from headrace.workers import Worker


def expire_items(ctx: Context) -> float | None:
    """Delete items whose time is over; their stream records say that DynamoDB itself did it."""
    begin = state.EXPIRY

    def due(inner: Context) -> float | None:
        for key, _ in inner.tx.range(begin, after_prefix(begin), limit=1):
            return int.from_bytes(key[len(begin) : len(begin) + 8], "big") - inner.clock.now()
        return None

    wait = ctx.snapshot(due)
    if wait is None or wait > 0:
        return wait
    ctx.transact(_expire)
    return 0.0


def _expire(ctx: Context) -> None:
    """Look at a bounded number of expiries that are due, and take them off."""
    begin, now = state.EXPIRY, ctx.clock.now()
    end = begin + (int(now) + 1).to_bytes(8, "big")
    for key, value in list(ctx.tx.range(begin, end, limit=limits.TTL_ITEMS_PER_STEP)):
        ctx.tx.clear(key)
        account, region, name = msgspec.msgpack.decode(value)
        rest = key[len(begin) + 8 :]
        table_id, place = int.from_bytes(rest[:8], "big"), rest[8:]
        there = ctx.at(account, region)
        table = state.find(there, name)
        if table is None or table.row.id != table_id or table.expiry is None:
            continue
        old = ctx.tx.get(table.prefix + place)
        if old is None:
            continue
        item = items.decode(old)
        seconds = items.expiry_of(table, item)
        if seconds is None or not now - limits.TTL_AGE_MAX_SECONDS < seconds <= now:
            continue
        key_item = keys.key_of(table.schema, item)
        items.write(ctx.tx, table, place, old, None, key_item, ctx.clock.now_ms(), by_expiry=True)


def fill_indexes(ctx: Context) -> float | None:
    """Take old items into new indexes, a bounded number in each transaction."""

    def body(inner: Context) -> bool:
        for key, fill in list(state.FILLS.scan(inner.tx, limit=1)):
            table_id, number = key
            assert isinstance(number, int)
            there = inner.at(fill.account, fill.region)
            table = state.find(there, fill.name)
            if table is None or table.row.id != table_id or fills.step(there, table, number, fill):
                state.FILLS.delete(inner.tx, *key)
            else:
                state.FILLS.put(inner.tx, fill, *key)
            return True
        return False

    if not ctx.snapshot(lambda inner: any(True for _ in state.FILLS.scan(inner.tx, limit=1))):
        return None
    ctx.transact(body)
    return 0.0


def remove_deleted(ctx: Context) -> float | None:
    """Remove the items and entries of deleted tables and indexes, a bounded number of keys in each transaction."""

    def body(inner: Context) -> None:
        for key, doomed in list(state.DOOMED.scan(inner.tx, limit=1)):
            prefix = doomed.prefixes[0]
            found = [one for one, _ in inner.tx.range(prefix, after_prefix(prefix), limit=limits.REMOVE_KEYS_PER_STEP)]
            for one in found:
                inner.tx.clear(one)
            if len(found) == limits.REMOVE_KEYS_PER_STEP:
                return
            if len(doomed.prefixes) > 1:
                state.DOOMED.put(inner.tx, state.Doomed(doomed.prefixes[1:]), *key)
            else:
                state.DOOMED.delete(inner.tx, *key)

    if not ctx.snapshot(lambda inner: any(True for _ in state.DOOMED.scan(inner.tx, limit=1))):
        return None
    ctx.transact(body)
    return 0.0


def trim_streams(ctx: Context) -> float:
    """Remove stream records that are older than 24 hours, and closed streams that have none left."""
    found = ctx.snapshot(lambda inner: [(key, row) for key, row in state.STREAMS.scan(inner.tx)])
    horizon_ms = ctx.clock.now_ms() - limits.STREAM_RETENTION_SECONDS * 1000
    for key, row in found:
        if row.closed_at is None and row.generation(row.shards - 1).began_at + limits.STREAM_SHARD_SECONDS <= ctx.clock.now():
            ctx.transact(lambda inner, key=key: _roll(inner, key))  # type: ignore[misc]
        for shard in range(row.first, row.shards):
            _trim(ctx, state.log_of(row.id, shard), horizon_ms)
        if len(row.generations) > 1 and row.generations[1].began_at * 1000 < horizon_ms:
            ctx.transact(lambda inner, key=key: _drop_generation(inner, key))  # type: ignore[misc]
        if row.closed_at is not None and row.closed_at * 1000 < horizon_ms:
            ctx.transact(lambda inner, key=key, row=row: _remove_stream(inner, key, row))  # type: ignore[misc]
    _trim_feeds(ctx, horizon_ms)
    _forget_tokens(ctx)
    _trim_histories(ctx)
    bulk.forget(ctx)
    return limits.TRIM_PAUSE_SECONDS


def _roll(ctx: Context, key: tuple[Item, ...]) -> None:
    """Replace the shards that take changes, if they got some, each by a child that goes on with its numbers."""
    account, region, name, label = (str(part) for part in key)
    there = ctx.at(account, region)
    stream = state.STREAMS.get(ctx.tx, *key)
    table = state.TABLES.get(ctx.tx, account, region, name)
    if stream is None or stream.closed_at is not None or table is None or table.stream != label:
        return
    begin = stream.shards - limits.STREAM_SHARDS
    old = stream.generation(begin)
    lasts = [log.last(ctx.tx, state.log_of(stream.id, begin + slot)) for slot in range(limits.STREAM_SHARDS)]
    if all(last < start for last, start in zip(lasts, old.starts, strict=True)):
        return
    for slot, last in enumerate(lasts):
        log.go_on(ctx.tx, state.log_of(stream.id, stream.shards + slot), last)
        ctx.tx.announce(log.topic(state.log_of(stream.id, begin + slot)))
    made = state.Generation(ctx.clock.now(), [last + 1 for last in lasts])
    stream.generations = [*(stream.generations or [old]), made]
    stream.shards += limits.STREAM_SHARDS
    table.stream_shard = begin + limits.STREAM_SHARDS
    state.STREAMS.put(ctx.tx, stream, *key)
    state.save(there, table)
    ctx.tx.announce(state.STREAMS_TOPIC)


def _drop_generation(ctx: Context, key: tuple[Item, ...]) -> None:
    """Remove the oldest shards, whose last record is older than a day."""
    stream = state.STREAMS.get(ctx.tx, *key)
    if stream is None or len(stream.generations) < 2:
        return
    state.doom(ctx.tx, [state.log_of(stream.id, stream.first + slot) for slot in range(limits.STREAM_SHARDS)])
    stream.generations = stream.generations[1:]
    stream.first += limits.STREAM_SHARDS
    state.STREAMS.put(ctx.tx, stream, *key)


def _trim_feeds(ctx: Context, horizon_ms: float) -> None:
    """Changes that no Kinesis stream took within 24 hours go, as on AWS, and so do closed feeds."""
    for key, feed in ctx.snapshot(lambda inner: list(state.FEEDS.scan(inner.tx))):
        for shard in range(feed.stream.shards):
            _trim(ctx, state.log_of(feed.stream.id, shard), int(horizon_ms))
        if feed.stream.closed_at is not None and feed.stream.closed_at * 1000 < horizon_ms:
            ctx.transact(lambda inner, key=key, feed=feed: _remove_feed(inner, key, feed))  # type: ignore[misc]


def _remove_feed(ctx: Context, key: tuple[Item, ...], feed: state.Feed) -> None:
    state.FEEDS.delete(ctx.tx, *key)
    consumer.forget(ctx, f"dynamodb/{feed.stream.id}/{feed.stream.table}")
    state.doom(ctx.tx, [state.log_of(feed.stream.id, shard) for shard in range(feed.stream.shards)])


def _trim(ctx: Context, shard_log: bytes, horizon_ms: int) -> None:
    def expired(inner: Context) -> int:
        """The number of the last expired record; 0 when the oldest one is not expired, which is the usual case."""
        oldest = log.read(inner.tx, shard_log, 0, 1)
        if not oldest or changes.at_ms(oldest[0][1]) >= horizon_ms:
            return 0
        return changes.before(inner.tx, shard_log, horizon_ms)

    through = ctx.snapshot(expired)
    while through and ctx.transact(lambda inner: log.trim(inner.tx, shard_log, through, limits.TRIM_RECORDS_PER_STEP)):
        pass


def _trim_histories(ctx: Context) -> None:
    """Forget what was changed longer ago than a table's recovery reaches, and backups of the system's that are over."""
    now = ctx.clock.now()
    rows = ctx.snapshot(lambda inner: [row for _, row in state.TABLES.scan(inner.tx) if row.recovery_days and not row.holds])
    for row in rows:
        past, horizon_ms = history.log_of(row.history_id), int((now - row.recovery_days * 24 * 3600) * 1000)
        through = ctx.snapshot(lambda inner, past=past, ms=horizon_ms: history.last_until(inner.tx, past, ms))  # type: ignore[misc]
        while through and ctx.transact(
            lambda inner, past=past, through=through: log.trim(inner.tx, past, through, limits.TRIM_RECORDS_PER_STEP)  # type: ignore[misc]
        ):
            pass

    def remove(inner: Context) -> None:
        for key, backup in list(BACKUPS.scan(inner.tx)):
            if backup.expires_at is not None and backup.expires_at < now:
                BACKUPS.delete(inner.tx, *key)
                state.doom(inner.tx, [backup.source])

    if ctx.snapshot(lambda inner: any(b.expires_at is not None and b.expires_at < now for _, b in BACKUPS.scan(inner.tx))):
        ctx.transact(remove)


def _remove_stream(ctx: Context, key: tuple[Item, ...], row: state.StreamRow) -> None:
    state.STREAMS.delete(ctx.tx, *key)
    state.doom(ctx.tx, [state.log_of(row.id, shard) for shard in range(row.first, row.shards)])


def _forget_tokens(ctx: Context) -> None:
    """Forget clients' tokens that are over: SDKs make one for every transaction."""
    now = ctx.clock.now()

    def forget(inner: Context) -> bool:
        over = timer.due(inner.tx, state.TOKEN_TIMERS, now, limits.TOKENS_PER_STEP)
        for until, name, _ in over:
            timer.cancel(inner.tx, state.TOKEN_TIMERS, until, name)
            token = state.TOKENS.get(inner.tx, *name)
            if token is not None and token.until <= now:
                state.TOKENS.delete(inner.tx, *name)
        return len(over) == limits.TOKENS_PER_STEP

    if ctx.snapshot(lambda inner: timer.due(inner.tx, state.TOKEN_TIMERS, now, 1)):
        while ctx.transact(forget):
            pass


_FINISHERS: dict[str, jobs.Finisher] = {
    "backup": finish_backup, "restore": finish_table, "export": finish_export, "import": Importer(), "replica": finish_replica,
    "bulk": Putter(),
}  # fmt: skip
_JOBS = jobs.Runner(_FINISHERS)

WORKERS = (
    Worker("dynamodb.jobs", _JOBS.step, (jobs.JOBS_TOPIC,)),
    Worker("dynamodb.expire", expire_items, (state.EXPIRY_TOPIC,)),
    Worker("dynamodb.fill", fill_indexes, (state.FILL_TOPIC,)),
    Worker("dynamodb.remove", remove_deleted, (state.DOOMED_TOPIC,)),
    Worker("dynamodb.trim", trim_streams),
    Worker("dynamodb.meter", metering.hand_on),
    Worker("dynamodb.insights", insights.keep_counts, (insights.TOPIC,)),
)
