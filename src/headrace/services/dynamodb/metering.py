"""The capacity that tables and their global indexes use, and how often they throttle, as metrics of CloudWatch (AWS/DynamoDB).

Every request counts, so counting is little more than one addition: how often each number of units was used in a minute. A worker
hands that to CloudWatch every few seconds. A killed process loses those seconds of counts.
"""

import threading

from headrace.operation import Context
from headrace.ports import Metric, Scope
from headrace.services.dynamodb import capacity, items, limits
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Table

NAMESPACE = "AWS/DynamoDB"
READ, WRITE = "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"
READ_THROTTLED, WRITE_THROTTLED = "ReadThrottleEvents", "WriteThrottleEvents"


# What is counted together: account, region, table, index, metric, minute, and one number of units. A plain tuple, for one is made
# with every request.
Slot = tuple[str, str, str, str, str, int, float]


class Meter:
    """What was counted and is not handed on yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[Slot, int] = {}

    def add(self, scope: Scope, table: Table, index: str, metric: str, units: float) -> None:
        """Count one use. Beyond METER_PENDING_MAX sums at one time (they go every few seconds), nothing more is counted."""
        minute = int(scope.clock.now()) // 60
        slot = (table.account, table.region, table.row.name, index, metric, minute, units)
        pending = self._pending
        with self._lock:
            found = pending.get(slot)
            if found is not None:
                pending[slot] = found + 1
            elif len(pending) < limits.METER_PENDING_MAX:
                pending[slot] = 1

    def hand_on(self, ctx: Context) -> None:
        """Give CloudWatch what was counted."""
        with self._lock:
            found = dict(self._pending)
            self._pending.clear()
        metrics: dict[tuple[str, str], list[Metric]] = {}
        for (account, region, table, index, metric, minute, units), count in found.items():
            dimensions: tuple[tuple[str, str], ...] = (("TableName", table),)
            if index:
                dimensions = (("GlobalSecondaryIndexName", index), *dimensions)
            metrics.setdefault((account, region), []).append(Metric(metric, units, "Count", dimensions, count, minute))
        for (account, region), values in metrics.items():
            ctx.ports.metrics.put(ctx.at(account, region), NAMESPACE, values)


METER = Meter()


def wrote(scope: Scope, table: Table, units: float, old: bytes | None, new: bytes | None, item: Item) -> None:
    """Count a write of a table, and, where throughput is provisioned, of its global indexes."""
    METER.add(scope, table, "", WRITE, units)
    if not table.indexes or table.row.billing != "PROVISIONED":
        return
    before = None if old is None else items.decode(old)
    after = None if new is None else item
    for index in table.indexes:
        used = 0.0 if index.row.local else capacity.index_units(index, units, before, after)
        if used:
            METER.add(scope, table, index.row.name, WRITE, used)


def hand_on(ctx: Context) -> None:
    """The worker's step."""
    METER.hand_on(ctx)
