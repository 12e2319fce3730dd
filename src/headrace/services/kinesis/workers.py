"""What Kinesis does by itself: remove records that are older than their stream's retention, and the logs of deleted streams."""

import logging

from headrace.layers import log
from headrace.operation import Context
from headrace.services.kinesis import errors, limits, metering, rules, state
from headrace.workers import Worker

log_ = logging.getLogger(__name__)


def trim_expired_records(ctx: Context) -> float:
    """Remove expired records of all streams, a bounded number in each transaction, and closed shards that are empty.

    No lease is needed: a trim that two processes do at once removes the same records once.
    """
    for (account, region, name), _ in ctx.snapshot(lambda inner: list(state.STREAMS.scan(inner.tx))):
        try:
            _trim_stream(ctx, str(account), str(region), str(name))
        except (errors.KMSNotFoundException, errors.KMSInvalidStateException, errors.KMSAccessDeniedException) as error:
            # Without its key a stream can't be looked into; the others are trimmed all the same.
            log_.warning("stream %s is not trimmed: %s", name, error.message)
    return limits.TRIM_PAUSE_SECONDS


def _trim_stream(ctx: Context, account: str, region: str, name: str) -> None:
    def shards(inner: Context) -> list[int]:
        stream = state.STREAMS.get(inner.tx, account, region, name)
        return [] if stream is None else [shard.number for shard in state.shards(inner.tx, stream)]

    def trim(inner: Context, number: int) -> bool:
        """Trim one piece of a shard; whether there may be more to trim."""
        stream = state.STREAMS.get(inner.tx, account, region, name)
        shard = None if stream is None else state.SHARDS.get(inner.tx, stream.id, number)
        if stream is None or shard is None:
            return False
        horizon = inner.clock.now() - stream.retention_hours * 3600
        shard_log = state.log_of(stream, number)
        through = state.place_at(inner.tx, shard_log, int(horizon * 1000))
        trimmed = log.trim(inner.tx, shard_log, through, limits.TRIM_ENTRIES_PER_STEP)
        if shard.closed_at is not None and shard.closed_at < horizon and log.first(inner.tx, shard_log) is None:
            log.drop(inner.tx, shard_log)
            state.SHARDS.delete(inner.tx, stream.id, number)
            stream.stamp = inner.ids.hex(16)
            state.save(inner.tx, account, region, stream)
        return trimmed == limits.TRIM_ENTRIES_PER_STEP

    for number in ctx.snapshot(shards):
        # A look without writing first: most shards have nothing to trim, and an empty transaction still waits for its turn.
        if ctx.snapshot(lambda inner, number=number: _anything_expired(inner, account, region, name, number)):  # type: ignore[misc]
            while ctx.transact(lambda inner, number=number: trim(inner, number)):  # type: ignore[misc]
                pass


def _anything_expired(ctx: Context, account: str, region: str, name: str, number: int) -> bool:
    stream = state.STREAMS.get(ctx.tx, account, region, name)
    shard = None if stream is None else state.SHARDS.get(ctx.tx, stream.id, number)
    if stream is None or shard is None:
        return False
    horizon = ctx.clock.now() - stream.retention_hours * 3600
    oldest = log.read(ctx.tx, state.log_of(stream, number), 0, 1)
    if not oldest:
        return shard.closed_at is not None and shard.closed_at < horizon
    return rules.arrived_ms(oldest[0][1]) < horizon * 1000


def remove_deleted_streams(ctx: Context) -> float | None:
    """Remove the logs of deleted streams, a bounded number of entries in each transaction."""

    def body(inner: Context) -> bool:
        for (stream_id,), doomed in state.DOOMED.scan(inner.tx, limit=1):
            stream = state.Stream("", str(stream_id), "", 0.0, 0)
            if not doomed.shards:
                state.DOOMED.delete(inner.tx, stream_id)
                return True
            shard_log = state.log_of(stream, doomed.shards[-1])
            if log.trim(inner.tx, shard_log, log.last(inner.tx, shard_log), limits.TRIM_ENTRIES_PER_STEP) == 0:
                log.drop(inner.tx, shard_log)
                state.DOOMED.put(inner.tx, state.Doomed(doomed.shards[:-1]), stream_id)
            return True
        return False

    if ctx.snapshot(lambda inner: any(True for _ in state.DOOMED.scan(inner.tx, limit=1))):
        ctx.transact(body)
        return 0.0
    return None


WORKERS = (
    Worker("kinesis.trim", trim_expired_records),
    Worker("kinesis.report", metering.report),
    Worker("kinesis.remove", remove_deleted_streams, (state.DOOMED_TOPIC,)),
)
