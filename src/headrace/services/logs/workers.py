"""What CloudWatch Logs does by itself: remove events that expired, and those of deleted streams."""

from headrace.operation import Context
from headrace.services.logs import limits, state
from headrace.store.tuples import Item
from headrace.workers import Worker


def trim_events(ctx: Context) -> float:
    """Remove expired and deleted events, a bounded number in each transaction."""
    while ctx.transact(_trim_dead) == limits.TRIM_BATCH:
        pass
    now = ctx.clock.now_ms()
    expiring = ctx.snapshot(
        lambda inner: [(key, row.retention_days) for key, row in state.GROUPS.scan(inner.tx) if row.retention_days]
    )
    for key, days in expiring:
        before = now - days * limits.DAY_MS
        for stream in _streams(ctx, key):
            if stream.first_at_ms is not None and stream.first_at_ms < before:
                _trim_stream(ctx, stream.number, before)
    return limits.TRIM_SECONDS


def _streams(ctx: Context, group: tuple[Item, ...]) -> list[state.Stream]:
    return ctx.snapshot(lambda inner: [row for _, row in state.STREAMS.scan(inner.tx, *group)])


def _trim_stream(ctx: Context, number: int, before_ms: int) -> None:
    if not ctx.snapshot(lambda inner: next(state.events(inner.tx, number, 0, before_ms), None)):
        return
    while True:
        dropped = ctx.transact(lambda inner: state.drop_events(inner.tx, number, before_ms, limits.TRIM_BATCH))
        if dropped < limits.TRIM_BATCH:
            return


def _trim_dead(ctx: Context) -> int:
    """Remove events of one deleted stream; how many."""
    for (number,), _ in state.DEAD.scan(ctx.tx, limit=1):
        assert isinstance(number, int)
        dropped = state.drop_events(ctx.tx, number, None, limits.TRIM_BATCH)
        if dropped < limits.TRIM_BATCH:
            state.DEAD.delete(ctx.tx, number)
        return limits.TRIM_BATCH
    return 0


WORKERS = (Worker("logs.trim_events", trim_events),)
