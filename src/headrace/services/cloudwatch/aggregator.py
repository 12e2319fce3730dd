"""The port `Metrics`: values are added up in memory for a moment, and then kept by one commit."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from headrace.ports import Metric, Scope
from headrace.services.cloudwatch import limits, state
from headrace.services.cloudwatch.engine import statistics
from headrace.services.cloudwatch.engine.statistics import Statistics
from headrace.services.cloudwatch.rules import Series, Slot

TOPIC = b"metrics pending"


class Aggregator:
    """Adds values up. What is pending is lost when the process is killed: a second of metrics, never anything else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[Slot, Statistics] = {}

    def put(self, scope: Scope, namespace: str, values: Sequence[Metric]) -> None:
        """Count the values in; quick, and durable within about a second."""
        now = int(scope.clock.now()) // limits.BUCKET_SECONDS
        account, region = scope.account, scope.region
        with self._lock:
            first = not self._pending
            for value in values:
                dimensions = tuple(sorted(value.dimensions)) if len(value.dimensions) > 1 else value.dimensions
                minute = now if value.minute is None else value.minute
                slot = Slot(Series(account, region, namespace, value.name, dimensions), minute, value.unit)
                held = self._pending.get(slot)
                one = statistics.of_value(value.value, value.count)
                if held is not None:
                    statistics.add(held, one)
                elif len(self._pending) < limits.PENDING_MAX:
                    self._pending[slot] = one
        if first:
            scope.store.signals.announce((TOPIC,))

    def flush(self, transact: Callable[[Callable[[Any], None]], None], now: float) -> None:
        """Keep what is pending; when that fails, it stays pending."""
        with self._lock:
            batch, self._pending = self._pending, {}
        if not batch:
            return
        try:
            # `state.add` changes what it read, never the batch: a body may run again.
            transact(lambda inner: state.add(inner.tx, batch, now))
        except BaseException:
            with self._lock:
                for slot, one in batch.items():
                    held = self._pending.get(slot)
                    self._pending[slot] = one if held is None else statistics.add(held, one)
            raise

    @property
    def pending(self) -> int:
        """How many sums wait to be kept."""
        return len(self._pending)
