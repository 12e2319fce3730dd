"""Auto scaling of the replicas of a table."""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import errors, scaling, state
from headrace.services.dynamodb.state import TableRow


@operation(transaction=False)
def describe_table_replica_auto_scaling(ctx: Context, *, table_name: str) -> dict[str, Any]:
    """The auto scaling settings of a table in each of its regions."""
    return {"TableAutoScalingDescription": ctx.snapshot(lambda inner: _describe(inner, table_name))}


@operation(transaction=False)
def update_table_replica_auto_scaling(
    ctx: Context,
    *,
    table_name: str,
    global_secondary_index_updates: list[dict[str, Any]] | None = None,
    provisioned_write_capacity_auto_scaling_update: dict[str, Any] | None = None,
    replica_updates: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Set how writes (of all replicas) and reads (of single ones) are scaled, of the table and of its indexes.

    Differs from AWS: also of a table that is in one region alone.
    """
    if provisioned_write_capacity_auto_scaling_update is None and not global_secondary_index_updates and not replica_updates:
        raise ValidationException("At least one of the auto scaling updates is required")

    def body(inner: Context) -> dict[str, Any]:
        rows = _rows(inner, table_name)
        for one in replica_updates or ():
            if one["RegionName"] not in rows:
                raise ValidationException(f"The table {table_name} has no replica in the region {one['RegionName']}")
        for region, row in rows.items():
            there = inner.at(region=region)
            if provisioned_write_capacity_auto_scaling_update is not None:
                scaling.update(there, row, None, scaling.WRITE, provisioned_write_capacity_auto_scaling_update)
            for update in global_secondary_index_updates or ():
                _update_index(there, row, update, "ProvisionedWriteCapacityAutoScalingUpdate", scaling.WRITE)
            for one in replica_updates or ():
                if one["RegionName"] == region:
                    _update_replica(there, row, one)
        return _describe(inner, table_name)

    return {"TableAutoScalingDescription": ctx.transact(body)}


def _update_replica(ctx: Context, row: TableRow, given: Mapping[str, Any]) -> None:
    if "ReplicaProvisionedReadCapacityAutoScalingUpdate" in given:
        scaling.update(ctx, row, None, scaling.READ, given["ReplicaProvisionedReadCapacityAutoScalingUpdate"])
    for update in given.get("ReplicaGlobalSecondaryIndexUpdates", ()):
        _update_index(ctx, row, update, "ProvisionedReadCapacityAutoScalingUpdate", scaling.READ)


def _update_index(ctx: Context, row: TableRow, given: Mapping[str, Any], member: str, units: str) -> None:
    name = given.get("IndexName")
    if not any(index.name == name and not index.local for index in row.indexes):
        raise errors.ResourceNotFoundException(f"Requested resource not found: Table: {row.name}, Index: {name} not found")
    if member in given:
        scaling.update(ctx, row, name, units, given[member])


def _rows(ctx: Context, table_name: str) -> dict[str, TableRow]:
    """The table in each of its regions."""
    row = state.described(ctx, table_name).row
    found = {ctx.region: row}
    for region in row.replicas:
        other = state.TABLES.get(ctx.tx, ctx.account, region, row.name)
        if other is not None:
            found[region] = other
    return dict(sorted(found.items()))


def _describe(ctx: Context, table_name: str) -> dict[str, Any]:
    rows = _rows(ctx, table_name)
    replicas = [_replica(ctx.at(region=region), row) for region, row in rows.items()]
    making = rows[ctx.region].making
    return {
        "TableName": rows[ctx.region].name, "TableStatus": "CREATING" if making else "ACTIVE", "Replicas": replicas,
    }  # fmt: skip


def _replica(ctx: Context, row: TableRow) -> dict[str, Any]:
    replica: dict[str, Any] = {"RegionName": ctx.region, "ReplicaStatus": "CREATING" if row.making else "ACTIVE"}
    for units, member in (
        (scaling.READ, "ReplicaProvisionedReadCapacityAutoScalingSettings"),
        (scaling.WRITE, "ReplicaProvisionedWriteCapacityAutoScalingSettings"),
    ):
        replica[member] = scaling.described(ctx, row.name, None, units)
    indexes = []
    for index in row.indexes:
        if not index.local:
            one = {"IndexName": index.name, "IndexStatus": "CREATING" if index.filling else "ACTIVE"}
            read = scaling.described(ctx, row.name, index.name, scaling.READ)
            write = scaling.described(ctx, row.name, index.name, scaling.WRITE)
            own = {"ProvisionedReadCapacityAutoScalingSettings": read, "ProvisionedWriteCapacityAutoScalingSettings": write}
            indexes.append({**one, **{name: value for name, value in own.items() if value is not None}})
    if indexes:
        replica["GlobalSecondaryIndexes"] = indexes
    return {name: value for name, value in replica.items() if value is not None}
