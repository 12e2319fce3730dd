"""What IAM does by itself: forget sessions that have expired."""

from headrace.operation import Context
from headrace.services.iam import limits, state
from headrace.workers import Worker

SWEEP_SECONDS = 60.0


def sweep_sessions(ctx: Context) -> float:
    """Remove expired sessions, a bounded number at a time."""
    now = ctx.clock.now()
    dropped = ctx.transact(lambda inner: state.drop_expired_sessions(inner, now))
    return 0.0 if dropped == limits.SWEEP_BATCH else SWEEP_SECONDS


WORKERS = (Worker("iam.sweep_sessions", sweep_sessions),)
