"""What CloudWatch does by itself: keep what the port added up, and forget what is too old."""

from headrace.operation import Context
from headrace.services.cloudwatch import limits, state
from headrace.services.cloudwatch.aggregator import TOPIC, Aggregator
from headrace.services.cloudwatch.rules import Series
from headrace.workers import Worker


def workers(aggregator: Aggregator) -> tuple[Worker, ...]:
    """The workers around one aggregator."""
    waited = False

    def keep_pending(ctx: Context) -> float | None:
        """Keep what is pending, a moment after the first value came."""
        nonlocal waited
        if aggregator.pending and not waited:
            waited = True
            return limits.FLUSH_SECONDS
        waited = False
        aggregator.flush(ctx.transact, ctx.clock.now())
        return None

    return (
        Worker("cloudwatch.keep_pending", keep_pending, (TOPIC,)),
        Worker("cloudwatch.trim_metrics", trim_metrics),
    )


def trim_metrics(ctx: Context) -> float:
    """Forget minutes that are too old, a bounded number of series in each transaction."""
    now = ctx.clock.now()
    rows = ctx.snapshot(lambda inner: [(Series(*key), seen) for key, seen in state.SERIES.scan(inner.tx)])  # type: ignore[arg-type]
    for start in range(0, len(rows), limits.TRIM_BATCH):
        part = rows[start : start + limits.TRIM_BATCH]
        ctx.transact(lambda inner, part=part: state.trim(inner.tx, part, now))  # type: ignore[misc]
    return limits.TRIM_SECONDS
