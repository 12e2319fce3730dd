"""What CloudFormation does by itself: work on the stacks for which there is something to do.

What that takes (engine, resource types) is read when the first stack needs it: a server without stacks does not pay for it.
"""

import importlib
from functools import partial

from headrace.operation import Context
from headrace.services.cloudformation import pending
from headrace.workers import Worker

THREADS = 4


def work(number: int, ctx: Context) -> float | None:
    """Look for stacks that have something to do, and do a bounded piece for one of them."""
    keys = ctx.snapshot(lambda inner: [(str(key[0]), str(key[1]), str(key[2])) for key, _ in pending.WORK.scan(inner.tx)])
    if not keys:
        return None
    wait: float | None = importlib.import_module("headrace.services.cloudformation.turns").take(ctx, keys)
    return wait


WORKERS = tuple(
    Worker(f"cloudformation.work-{number}", partial(work, number), topics=(pending.TOPIC,)) for number in range(THREADS)
)
