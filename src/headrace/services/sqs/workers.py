"""What SQS does by itself: remove messages that are too old, and those of queues that were deleted or purged."""

from headrace.operation import Context
from headrace.services.sqs import limits, state
from headrace.store import tuples
from headrace.workers import Worker


def remove_expired_messages(ctx: Context) -> float:
    """Remove messages that are older than their queue keeps them, a bounded number in each transaction.

    No lease is needed: what two processes do at once removes the same messages once.
    """
    for queue in ctx.snapshot(lambda inner: [found for _, found in state.QUEUES.scan(inner.tx)]):
        while ctx.snapshot(lambda inner, queue=queue: _anything_expired(inner, queue)):  # type: ignore[misc]
            ctx.transact(lambda inner, queue=queue: _remove_expired(inner, queue))  # type: ignore[misc]
    return limits.EXPIRE_PAUSE_SECONDS


def _anything_expired(ctx: Context, queue: state.Queue) -> bool:
    oldest = ctx.clock.now() - queue.number("MessageRetentionPeriod")
    return any(message.sent_at < oldest for _, message in state.MESSAGES.scan(ctx.tx, queue.id, limit=1))


def _remove_expired(ctx: Context, queue: state.Queue) -> None:
    oldest = ctx.clock.now() - queue.number("MessageRetentionPeriod")
    for key, message in list(state.MESSAGES.scan(ctx.tx, queue.id, limit=limits.EXPIRE_PER_STEP)):
        if message.sent_at >= oldest:
            return
        number = key[-1]
        assert isinstance(number, int)
        state.remove(ctx.tx, queue, number, message)


def remove_doomed_messages(ctx: Context) -> float | None:
    """Remove what deleted and purged queues left, a bounded number of keys in each transaction."""

    def find(inner: Context) -> str | None:
        return next((str(key[0]) for key, _ in state.DOOMED.scan(inner.tx, limit=1)), None)

    queue_id = ctx.snapshot(find)
    if queue_id is None:
        return None
    ctx.transact(lambda inner: _remove_some(inner, queue_id))
    return 0.0


def _remove_some(ctx: Context, queue_id: str) -> None:
    left = limits.REMOVE_PER_STEP
    for family in ("visible", "message", "piece"):
        keys = [key for key, _ in ctx.tx.range(*tuples.range_of(("sqs", family, queue_id)), limit=left)]
        for key in keys:
            ctx.tx.clear(key)
        left -= len(keys)
        if left <= 0:
            return
    state.COUNTS.delete(ctx.tx, queue_id)
    state.DOOMED.delete(ctx.tx, queue_id)


WORKERS = (
    Worker("sqs.expire", remove_expired_messages),
    Worker("sqs.remove", remove_doomed_messages, (state.DOOMED_TOPIC,)),
)
