"""What CloudFormation does by itself: work on the stacks for which there is something to do.

What that takes (engine, resource types) is read when the first stack needs it: a server without stacks does not pay for it.
"""

import importlib
from functools import partial

from headrace.layers import timer
from headrace.operation import Context
from headrace.services.cloudformation import pending
from headrace.workers import Worker

THREADS = 4
FORGET_SECONDS = 3600.0


def work(number: int, ctx: Context) -> float | None:
    """Look for stacks that have something to do, and do a bounded piece for one of them."""
    keys = ctx.snapshot(lambda inner: [(str(key[0]), str(key[1]), str(key[2])) for key, _ in pending.WORK.scan(inner.tx)])
    if not keys:
        return None
    wait: float | None = importlib.import_module("headrace.services.cloudformation.turns").take(ctx, keys)
    return wait


def forget(ctx: Context) -> float:
    """Drop stacks that were deleted long ago, a few at a time."""
    now = ctx.clock.now()
    if ctx.snapshot(lambda inner: timer.due(inner.tx, pending.FORGET, now, 1)):
        ctx.transact(lambda inner: pending.forget(inner.tx, now))
        return 0.0
    return FORGET_SECONDS


WORKERS = (
    *(Worker(f"cloudformation.work-{number}", partial(work, number), topics=(pending.TOPIC,)) for number in range(THREADS)),
    Worker("cloudformation.forget", forget),
)
