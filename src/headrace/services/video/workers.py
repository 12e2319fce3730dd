"""What Kinesis Video does by itself: remove fragments that are too old, and those of deleted streams."""

from headrace.operation import Context
from headrace.services.video import limits, state
from headrace.workers import Worker


def trim_expired_fragments(ctx: Context) -> float:
    """Remove expired fragments of all streams, a bounded number in each transaction: first the index, then the bytes.

    No lease is needed: a trim that two processes do at once removes the same fragments once.
    """
    for _, stream in ctx.snapshot(lambda inner: list(state.STREAMS.scan(inner.tx))):
        before_ms = ctx.clock.now_ms() - kept_ms(stream)
        while _anything_before(ctx, stream, before_ms):
            _remove(ctx, stream.id, before_ms)
    return limits.TRIM_PAUSE_SECONDS


def remove_doomed_fragments(ctx: Context) -> float | None:
    """Remove the fragments of deleted streams, a bounded number in each transaction."""
    stream_id = ctx.snapshot(lambda inner: next((str(key[0]) for key, _ in state.DOOMED.scan(inner.tx, limit=1)), None))
    if stream_id is None:
        return None
    if _remove(ctx, stream_id, None) == 0:
        ctx.transact(lambda inner: state.forget_stream(inner.tx, stream_id))
    return 0.0


def sweep_blobs(ctx: Context) -> float:
    """Delete blobs that no fragment refers to: their writer died, or their removal was cut short. Now and then."""
    if not ctx.transact(_is_due):
        return limits.SWEEP_PAUSE_SECONDS

    def is_referenced(blob_id: str) -> bool:
        return ctx.snapshot(lambda inner: inner.tx.get(state.BLOBS.key(blob_id)) is not None)

    state.blobs(ctx).sweep(is_referenced, limits.SWEEP_AGE_SECONDS)
    return limits.SWEEP_PAUSE_SECONDS


def _is_due(ctx: Context) -> bool:
    """Take the turn, if it is time: for all processes on this store."""
    now = ctx.clock.now()
    if (state.SWEPT.get(ctx.tx) or 0.0) + limits.SWEEP_PAUSE_SECONDS > now:
        return False
    state.SWEPT.put(ctx.tx, now)
    return True


def kept_ms(stream: state.Stream) -> int:
    """For how long a stream keeps a fragment."""
    return (stream.retention_hours * 3600 or limits.UNKEPT_SECONDS) * 1000


def _anything_before(ctx: Context, stream: state.Stream, before_ms: int) -> bool:
    return ctx.snapshot(lambda inner: bool(state.fragments_by_server_time(inner.tx, stream, 0, before_ms, limit=1)))


def _remove(ctx: Context, stream_id: str, before_ms: int | None) -> int:
    blobs = ctx.transact(lambda inner: state.remove_fragments(inner.tx, stream_id, before_ms, limits.TRIM_PER_STEP))
    for blob in blobs:
        state.blobs(ctx).delete(blob)
    return len(blobs)


WORKERS = (
    Worker("video.trim", trim_expired_fragments),
    Worker("video.remove", remove_doomed_fragments, (state.DOOMED_TOPIC,)),
    Worker("video.sweep", sweep_blobs),
)
