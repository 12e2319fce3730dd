"""The capacity that tables and their global indexes use, and how often they throttle, as metrics of CloudWatch (AWS/DynamoDB).

Every request counts, so it is only appended: how often each number of units was used in a minute is found out for many requests
at once. A worker hands that to CloudWatch every few seconds. A killed process loses those seconds of counts.
"""

import threading
from collections import Counter, deque

from headrace.operation import Context
from headrace.ports import Metric, Scope
from headrace.services.dynamodb import capacity, limits
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Table

NAMESPACE = "AWS/DynamoDB"
READ, WRITE = "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"
READ_THROTTLED, WRITE_THROTTLED = "ReadThrottleEvents", "WriteThrottleEvents"


# One use: table, index, metric, units, minute. A plain tuple, for one is made with every request.
Use = tuple[Table, str, str, float, int]


class Meter:
    """What was counted and is not handed on yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Any thread appends and takes without the lock; what was taken is summed up below it.
        self._uses: deque[Use] = deque()
        self._sums: Counter[Use] = Counter()

    def add(self, scope: Scope, table: Table, index: str, metric: str, units: float) -> None:
        """Count one use."""
        uses = self._uses
        uses.append((table, index, metric, units, int(scope.clock.now()) // 60))
        if len(uses) > limits.METER_USES_MAX:
            with self._lock:
                self._sum_up()

    def _sum_up(self) -> None:
        """Make sums of the uses. Beyond METER_PENDING_MAX sums at a time (they go every few seconds) nothing more is counted."""
        uses = self._uses
        found = Counter(uses.popleft() for _ in range(len(uses)))
        if len(self._sums) < limits.METER_PENDING_MAX:
            self._sums.update(found)

    def hand_on(self, ctx: Context) -> None:
        """Give CloudWatch what was counted."""
        with self._lock:
            self._sum_up()
            found, self._sums = self._sums, Counter()
        metrics: dict[tuple[str, str], list[Metric]] = {}
        for (table, index, metric, units, minute), count in found.items():
            dimensions: tuple[tuple[str, str], ...] = (("TableName", table.row.name),)
            if index:
                dimensions = (("GlobalSecondaryIndexName", index), *dimensions)
            metrics.setdefault((table.account, table.region), []).append(
                Metric(metric, units, "Count", dimensions, count, minute)
            )
        for (account, region), values in metrics.items():
            ctx.ports.metrics.put(ctx.at(account, region), NAMESPACE, values)


METER = Meter()


def wrote_entries(scope: Scope, table: Table, units: float, before: Item | None, after: Item | None) -> None:
    """Count what a write of a table uses of its global indexes, whose throughput is provisioned."""
    for index in table.indexes:
        used = 0.0 if index.row.local else capacity.index_units(index, units, before, after)
        if used:
            METER.add(scope, table, index.row.name, WRITE, used)


def hand_on(ctx: Context) -> None:
    """The worker's step."""
    METER.hand_on(ctx)
