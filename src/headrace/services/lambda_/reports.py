"""What functions say, written behind their backs: log lines and metrics go through one thread, in batches.

So writing a log never slows an invocation, unless the writer falls so far behind that memory must be protected.
"""

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import lru_cache

from headrace.operation import Context
from headrace.ports import Metric, Unwired
from headrace.services.lambda_.engine.function import Line, Share

HELD_CHARACTERS_MAX = 16 * 1024 * 1024
BATCH_ITEMS_MAX = 2_000
GATHER_SECONDS = 0.02
NAMESPACE = "AWS/Lambda"

log = logging.getLogger(__name__)


class Reporter:
    """Takes lines and metric values from any thread, and writes them in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[tuple[Context, tuple[str, str], Sequence[Line], Sequence[Metric]]] = deque()
        self._held = 0
        self._writing = False
        self._flushing = 0
        self._thread: threading.Thread | None = None
        self._stopping = False

    def lines(self, ctx: Context, group: str, stream: str, lines: Sequence[Line]) -> None:
        """Take lines of a log stream."""
        self._put(ctx, (group, stream), lines, ())

    def metrics(self, ctx: Context, values: Sequence[Metric]) -> None:
        """Take metric values."""
        self._put(ctx, ("", ""), (), values)

    def flush(self, timeout_seconds: float = 10.0) -> None:
        """Wait until all that was taken is written."""
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._items and not self._writing, timeout_seconds)
            self._flushing -= 1

    def stop(self) -> None:
        """Write what is left, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(10)

    def _put(self, ctx: Context, where: tuple[str, str], lines: Sequence[Line], values: Sequence[Metric]) -> None:
        size = sum(len(text) for _, text in lines)
        with self._changed:
            self._changed.wait_for(lambda: self._held < HELD_CHARACTERS_MAX, 5.0)
            self._items.append((ctx, where, lines, values))
            self._held += size
            if self._thread is None:
                self._stopping = False
                self._thread = threading.Thread(target=self._write, name="lambda-reports", daemon=True)
                self._thread.start()
            elif len(self._items) == 1:
                self._changed.notify_all()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._items) or self._stopping)
            with self._changed:
                # A moment's patience makes one commit of many invocations' lines, unless somebody waits for it.
                self._changed.wait_for(lambda: self._flushing > 0 or self._stopping, GATHER_SECONDS)
                if not self._items:
                    self._thread = None
                    return
                batch = [self._items.popleft() for _ in range(min(len(self._items), BATCH_ITEMS_MAX))]
                self._held -= sum(len(text) for _, _, lines, _ in batch for _, text in lines)
                self._writing = True
            self._write_batch(batch)

    def _write_batch(self, batch: list[tuple[Context, tuple[str, str], Sequence[Line], Sequence[Metric]]]) -> None:
        lines: dict[tuple[str, str, str, str], tuple[Context, list[Line]]] = {}
        metrics: dict[tuple[str, str], tuple[Context, list[Metric]]] = {}
        counts: defaultdict[str, int] = defaultdict(int)
        for ctx, where, found, values in batch:
            if found and not isinstance(ctx.ports.logs, Unwired):
                lines.setdefault((ctx.account, ctx.region, *where), (ctx, []))[1].extend(found)
            if values and not isinstance(ctx.ports.metrics, Unwired):
                metrics.setdefault((ctx.account, ctx.region), (ctx, []))[1].extend(values)
        for (_, _, group, stream), (ctx, found) in lines.items():
            try:
                ctx.ports.logs.put(ctx, group, stream, found)
            except Exception:
                counts["logs"] += 1
                log.debug("lines of %s were not written", group, exc_info=True)
        for ctx, values in metrics.values():
            try:
                ctx.ports.metrics.put(ctx, NAMESPACE, values)
            except Exception:
                counts["metrics"] += 1
                log.debug("metrics were not written", exc_info=True)
        for what, count in counts.items():
            log.warning("%d batches of functions' %s could not be written", count, what)


def of_invocation(name: str, duration_ms: float, failed: bool) -> list[Metric]:
    """The metrics of one invocation that ran."""
    return [*_counts_of_invocation(name, failed), *count("Duration", name, duration_ms, "Milliseconds")]


@lru_cache(1024)
def _counts_of_invocation(name: str, failed: bool) -> tuple[Metric, ...]:
    """What is the same for every invocation of a function."""
    return tuple(
        metric
        for dimensions in ((("FunctionName", name),), ())
        for metric in (
            Metric("Invocations", 1, "Count", dimensions),
            Metric("Errors", float(failed), "Count", dimensions),
            Metric("Throttles", 0, "Count", dimensions),
        )
    )


def of_share(invoked_arn: str, name: str, share: Share) -> list[Metric]:
    """The metrics of one invocation of a version that has provisioned concurrency."""
    resource = ":".join(invoked_arn.split(":")[6:])
    named = (("FunctionName", name),)
    kind = "SpilloverInvocations" if share.spilled else "Invocations"
    return [
        Metric(f"ProvisionedConcurrency{what}", value, unit, dimensions)
        for dimensions in (named, (*named, ("Resource", resource)), ())
        for what, value, unit in ((kind, 1.0, "Count"), ("Utilization", share.busy / share.wanted, "None"))
    ] + [Metric("ProvisionedConcurrentExecutions", share.busy, "Count", dimensions) for dimensions in (named, ())]


def of_extensions(name: str, extensions_ms: float | None) -> list[Metric]:
    """For how long an invocation's extensions worked after the runtime; nothing without extensions."""
    return [] if extensions_ms is None else count("PostRuntimeExtensionsDuration", name, extensions_ms, "Milliseconds")


def count(metric: str, name: str, value: float = 1, unit: str = "Count") -> list[Metric]:
    """One value of one metric, for a function and for all of them."""
    return [Metric(metric, value, unit, (("FunctionName", name),)), Metric(metric, value, unit)]
