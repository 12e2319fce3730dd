"""Throughput that is held to, where the setting `enforce_limits` asks for it: what is provisioned, or the most on demand.

Each table (and, for reads, each global index) has a bucket of capacity units. It fills with what is provisioned in a second, and
holds what was not used in the last five minutes. A request is let through while there is something in the bucket, and takes what
it uses, so the bucket may owe for a while. Buckets are this process's own, and full when it starts.

What is let through and what is refused is counted for CloudWatch, and told to the table's contributor insights, if it has any.
"""

from collections.abc import Sequence
from typing import NamedTuple

from headrace.kit.errors import AwsError
from headrace.ports import Scope
from headrace.services.dynamodb import capacity, errors, insights, items, limits, metering
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.metering import METER
from headrace.services.dynamodb.state import Index, Table

_PROVISIONED = (
    "The level of configured provisioned throughput for the {what} was exceeded. Consider increasing your provisioning level "
    "with the UpdateTable API."
)
_ON_DEMAND = (
    "Throughput exceeds the maximum OnDemandThroughput configured on table or index. Consider increasing the maximum with the "
    "UpdateTable API."
)


class _Level(NamedTuple):
    """What is in a bucket at a time, and for how much a second it was made."""

    units: float
    at: float
    rate: int


_levels: dict[tuple[int, int, str], _Level] = {}


def read(ctx: Scope, table: Table, index: Index | None, units: float, found: Sequence[Item | bytes]) -> None:
    """Let a read through, or ProvisionedThroughputExceededException (on demand: ThrottlingException).

    `found`: the keys, or the items as they are kept, that were read.
    """
    if ctx.settings.enforce_limits:
        try:
            _hold_read(ctx, table, index, units)
        except AwsError:
            insights.refused(ctx, table, index, found)
            METER.add(ctx, table, _global_name(index), metering.READ_THROTTLED, 1.0)
            raise
    METER.add(ctx, table, _global_name(index), metering.READ, units)
    if table.insights is not None:
        insights.read(ctx, table, index, units, found)


def _hold_read(ctx: Scope, table: Table, index: Index | None, units: float) -> None:
    row = table.row
    if row.billing == "PROVISIONED":
        own = index is not None and not index.row.local
        rate = index.row.read_units if index is not None and own else row.read_units
        what = "one or more global secondary indexes of the table" if own else "table"
        _take(ctx, (row.id, index.row.number if index is not None and own else 0, "read"), rate, units, what)
    elif index is not None and not index.row.local:
        if index.row.most_read_units > 0:
            _take(ctx, (row.id, index.row.number, "read"), index.row.most_read_units, units, None)
    elif row.most_read_units > 0:
        _take(ctx, (row.id, 0, "read"), row.most_read_units, units, None)


def write(
    ctx: Scope,
    table: Table,
    old: bytes | None,
    new: bytes | None,
    item: Item,
    before: Item | None,
    *,
    transactional: bool = False,
) -> None:
    """Let a write through, or raise as `read` does.

    `old` and `new` are the items before and after; `item` has the key. `before` is the old item, where the table has indexes.
    """
    units = capacity.write_units(
        0 if old is None else items.size_of(old), 0 if new is None else items.size_of(new), transactional=transactional
    )
    if ctx.settings.enforce_limits:
        try:
            _hold_write(ctx, table, units)
        except AwsError:
            insights.refused(ctx, table, None, (item,))
            METER.add(ctx, table, "", metering.WRITE_THROTTLED, 1.0)
            raise
    METER.add(ctx, table, "", metering.WRITE, units)
    if table.indexes and table.row.billing == "PROVISIONED":
        metering.wrote_entries(ctx, table, units, before, None if new is None else item)
    if table.insights is not None:
        insights.wrote(ctx, table, units, before, None if new is None else item, item)


def _global_name(index: Index | None) -> str:
    # What is read of a local index is the table's.
    return "" if index is None or index.row.local else index.row.name


def _hold_write(ctx: Scope, table: Table, units: float) -> None:
    row = table.row
    if row.billing == "PROVISIONED":
        _take(ctx, (row.id, 0, "write"), row.write_units, units, "table")
    elif row.most_write_units > 0:
        _take(ctx, (row.id, 0, "write"), row.most_write_units, units, None)


def _take(ctx: Scope, name: tuple[int, int, str], rate: int, units: float, what: str | None) -> None:
    now = ctx.clock.now()
    most = float(rate * limits.BURST_SECONDS)
    level = _levels.get(name)
    if level is None or level.rate != rate:
        there = most
    else:
        there = min(most, level.units + (now - level.at) * rate)
    if there <= 0:
        _levels[name] = _Level(there, now, rate)
        if what is None:
            raise errors.ThrottlingException(_ON_DEMAND)
        raise errors.ProvisionedThroughputExceededException(_PROVISIONED.format(what=what))
    if len(_levels) >= limits.TABLES_CACHED_MAX:
        _levels.clear()
    _levels[name] = _Level(there - units, now, rate)
