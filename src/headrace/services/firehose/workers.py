"""What Firehose does by itself: a worker for each delivery stream whose buffer holds something, and the removal of old logs."""

import time

from headrace.layers import lease, log
from headrace.operation import Context
from headrace.services.firehose import limits, sources, state
from headrace.services.firehose.delivery import Deliverer
from headrace.workers import Runner, Worker

_IDLE_SECONDS = 60.0
_TRIM_ENTRIES_PER_STEP = 5_000


class Dispatcher:
    """Starts a delivery worker when a buffer gets its first record, and stops it when the buffer was empty for a while."""

    def __init__(self, runner: Runner, owner: str) -> None:
        self._runner = runner
        self._owner = owner
        self._used_at: dict[str, float] = {}

    def step(self, ctx: Context) -> float:
        """Look for buffers that hold something."""
        now = time.monotonic()
        for (stream_id,), of in ctx.snapshot(lambda inner: list(state.PENDING.scan(inner.tx))):
            name = str(stream_id)
            if name not in self._used_at:
                deliverer = Deliverer(name, of, self._owner)
                self._runner.add(Worker(f"firehose/{name}", deliverer.step, (state.topic_of(name),)))
            self._used_at[name] = now
        for name in [name for name, used_at in self._used_at.items() if now - used_at > _IDLE_SECONDS]:
            self._runner.remove(f"firehose/{name}")
            del self._used_at[name]
        return limits.LOOK_AGAIN_SECONDS


def remove_deleted_streams(ctx: Context) -> float | None:
    """Remove the logs of deleted delivery streams, a bounded number of entries in each transaction."""

    def body(inner: Context) -> None:
        for (stream_id,), _ in state.DOOMED.scan(inner.tx, limit=1):
            stream_log = state.log_of(str(stream_id))
            if log.trim(inner.tx, stream_log, log.last(inner.tx, stream_log), _TRIM_ENTRIES_PER_STEP) == 0:
                log.drop(inner.tx, stream_log)
                state.DOOMED.delete(inner.tx, stream_id)

    if ctx.snapshot(lambda inner: any(True for _ in state.DOOMED.scan(inner.tx, limit=1))):
        ctx.transact(body)
        return 0.0
    return None


def start(ctx: Context, runner: Runner) -> None:
    """Start what runs as long as the server."""
    dispatcher = Dispatcher(runner, lease.owner_here(ctx.ids.uuid()))
    runner.add(Worker("firehose.deliveries", dispatcher.step, (state.PENDING_TOPIC,)))
    runner.add(Worker("firehose.remove", remove_deleted_streams, (state.DOOMED_TOPIC,)))
    runner.add(sources.CONSUMER.worker(runner))
