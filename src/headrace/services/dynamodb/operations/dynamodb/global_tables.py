"""Global tables of the older kind (of 2017): tables that were there before, put together; and their settings."""

from collections.abc import Sequence
from typing import Any

from headrace.kit import arn as arns
from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import bulk, counts, errors, limits, replicas, rules, scaling, shapes, state
from headrace.services.dynamodb.operations.dynamodb.tables import update_table
from headrace.services.dynamodb.state import IndexRow, TableRow


@operation
def create_global_table(ctx: Context, *, global_table_name: str, replication_group: list[dict[str, str]]) -> dict[str, Any]:
    """Put empty tables of one name, one in each region of the group, together. Differs from AWS: it is ACTIVE at once."""
    regions = _regions([one.get("RegionName") for one in replication_group])
    found = {region: _table(ctx, region, global_table_name) for region in regions}
    if any(row.grouped_at is not None for row in found.values()):
        raise errors.GlobalTableAlreadyExistsException(f"Global table with name: '{global_table_name}' already exists.")
    first = found[regions[0]]
    for region, row in found.items():
        _check_fits(ctx, region, row, first, regions[0])
    replicas.gather(ctx, global_table_name, regions, ctx.clock.now())
    return {"GlobalTableDescription": _describe(ctx, global_table_name, regions)}


@operation(read_only=True)
def describe_global_table(ctx: Context, *, global_table_name: str) -> dict[str, Any]:
    """A global table of 2017 and its replicas. Those that UpdateTable made are described by DescribeTable, as on AWS."""
    return {"GlobalTableDescription": _describe(ctx, global_table_name, _group(ctx, global_table_name))}


@operation(read_only=True)
def list_global_tables(
    ctx: Context,
    *,
    exclusive_start_global_table_name: str | None = None,
    limit: int | None = None,
    region_name: str | None = None,
) -> dict[str, Any]:
    """The global tables of 2017 that have a replica in a region (by default: in any), in pages."""
    count = limit or limits.TABLES_PAGE_MAX
    found: dict[str, list[str]] = {}
    for (_, region, _), row in state.TABLES.scan(ctx.tx, ctx.account):
        if row.grouped_at is not None and (exclusive_start_global_table_name or "") < row.name:
            group = sorted({str(region), *row.replicas})
            if region_name is None or region_name in group:
                found[row.name] = group
    names = sorted(found)
    answer: dict[str, Any] = {
        "GlobalTables": [{"GlobalTableName": name, "ReplicationGroup": _named(found[name])} for name in names[:count]]
    }
    if len(names) > count:
        answer["LastEvaluatedGlobalTableName"] = names[count - 1]
    return answer


@operation
def update_global_table(ctx: Context, *, global_table_name: str, replica_updates: list[dict[str, Any]]) -> dict[str, Any]:
    """Add empty tables of other regions to a global table, or take tables out; those stay as tables of their own.

    A table that comes gets the items that are there, and is CREATING until it has them.
    """
    group = _group(ctx, global_table_name)
    row = _table(ctx, group[0], global_table_name)
    assert row.grouped_at is not None
    for update in replica_updates:
        if ("Create" in update) == ("Delete" in update):
            raise ValidationException("A ReplicaUpdate has either a Create or a Delete")
        region = (update.get("Create") or update.get("Delete") or {})["RegionName"]
        if "Delete" in update:
            if region not in group:
                raise errors.ReplicaNotFoundException(f"Replica not found in region '{region}' for global table '{row.name}'.")
            if _table(ctx, region, row.name).making:
                raise errors.in_use(f"Table is being filled: {row.name}")
            replicas.part(ctx.at(region=region), row.name)
            group.remove(region)
            continue
        if region in group:
            raise errors.ReplicaAlreadyExistsException(f"Replica already exists in region '{region}' for table '{row.name}'.")
        made = _table(ctx, region, row.name)
        if group:
            _check_fits(ctx, region, made, _table(ctx, group[0], row.name), group[0])
        else:
            _check_fits(ctx, region, made, made, region)
        group = sorted((*group, region))
        replicas.gather(ctx, row.name, group, row.grouped_at)
    return {"GlobalTableDescription": _describe(ctx, row.name, group, since=row.grouped_at)}


@operation(read_only=True)
def describe_global_table_settings(ctx: Context, *, global_table_name: str) -> dict[str, Any]:
    """The billing, throughput and class of each replica of a global table of 2017, and of its indexes."""
    group = _group(ctx, global_table_name)
    return {"GlobalTableName": global_table_name, "ReplicaSettings": [_settings(ctx, one, global_table_name) for one in group]}


@operation
def update_global_table_settings(
    ctx: Context,
    *,
    global_table_name: str,
    global_table_billing_mode: str | None = None,
    global_table_provisioned_write_capacity_units: int | None = None,
    global_table_global_secondary_index_settings_update: list[dict[str, Any]] | None = None,
    replica_settings_update: list[dict[str, Any]] | None = None,
    global_table_provisioned_write_capacity_auto_scaling_settings_update: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Set the billing and the write capacity of all replicas, the read capacity and class of single ones, and their scaling."""
    write_scaling = global_table_provisioned_write_capacity_auto_scaling_settings_update
    group = _group(ctx, global_table_name)
    of_replicas = {one["RegionName"]: one for one in replica_settings_update or ()}
    for region in of_replicas:
        if region not in group:
            raise errors.ReplicaNotFoundException(
                f"Replica not found in region '{region}' for global table '{global_table_name}'."
            )
    for region in group:
        row = _table(ctx, region, global_table_name)
        given = of_replicas.get(region, {})
        change = _table_change(row, global_table_billing_mode, global_table_provisioned_write_capacity_units, given)
        updates = _index_changes(row, global_table_global_secondary_index_settings_update or [], given)
        if updates:
            change["global_secondary_index_updates"] = updates
        if change:
            update_table(ctx.at(region=region), table_name=global_table_name, **change)
        there = ctx.at(region=region)
        if write_scaling is not None:
            scaling.update(there, row, None, scaling.WRITE, write_scaling)
        _scale_replica(there, row, global_table_global_secondary_index_settings_update or [], given)
    return {"GlobalTableName": global_table_name, "ReplicaSettings": [_settings(ctx, one, global_table_name) for one in group]}


def _table_change(row: TableRow, billing: str | None, write_units: int | None, given: dict[str, Any]) -> dict[str, Any]:
    """What UpdateTable is to be given for one replica."""
    change: dict[str, Any] = {}
    if billing is not None and billing != row.billing:
        change["billing_mode"] = billing
    read_units = given.get("ReplicaProvisionedReadCapacityUnits")
    if read_units is not None or write_units is not None or change.get("billing_mode") == "PROVISIONED":
        change["provisioned_throughput"] = {
            "ReadCapacityUnits": read_units or row.read_units or _LEAST_UNITS,
            "WriteCapacityUnits": write_units or row.write_units or _LEAST_UNITS,
        }
        if "billing_mode" not in change and change["provisioned_throughput"] == _units(row):
            del change["provisioned_throughput"]
    if "ReplicaTableClass" in given:
        change["table_class"] = given["ReplicaTableClass"]
    return change


def _units(of: TableRow | IndexRow) -> dict[str, int]:
    return {"ReadCapacityUnits": of.read_units, "WriteCapacityUnits": of.write_units}


def _index_changes(row: TableRow, of_all: Sequence[dict[str, Any]], given: dict[str, Any]) -> list[dict[str, Any]]:
    units: dict[str, dict[str, int]] = {}
    has = {index.name: _units(index) for index in row.indexes}
    of_one = given.get("ReplicaGlobalSecondaryIndexSettingsUpdate", ())
    for settings, member, name in (
        (of_all, "ProvisionedWriteCapacityUnits", "WriteCapacityUnits"),
        (of_one, "ProvisionedReadCapacityUnits", "ReadCapacityUnits"),
    ):
        for one in settings:
            index = next((index for index in row.indexes if index.name == one["IndexName"] and not index.local), None)
            if index is None:
                raise errors.IndexNotFoundException(f"Index not found: {one['IndexName']}")
            kept = {
                "ReadCapacityUnits": index.read_units or _LEAST_UNITS,
                "WriteCapacityUnits": index.write_units or _LEAST_UNITS,
            }
            if member in one:
                units.setdefault(index.name, kept)[name] = one[member]
    return [{"Update": {"IndexName": name, "ProvisionedThroughput": one}} for name, one in units.items() if one != has[name]]


def _scale_replica(ctx: Context, row: TableRow, of_all: Sequence[dict[str, Any]], given: dict[str, Any]) -> None:
    """Take the auto scaling settings of one replica and its indexes, which are there."""
    member = "ReplicaProvisionedReadCapacityAutoScalingSettingsUpdate"
    if member in given:
        scaling.update(ctx, row, None, scaling.READ, given[member])
    for settings, member, units in (
        (of_all, "ProvisionedWriteCapacityAutoScalingSettingsUpdate", scaling.WRITE),
        (
            given.get("ReplicaGlobalSecondaryIndexSettingsUpdate", ()),
            "ProvisionedReadCapacityAutoScalingSettingsUpdate",
            scaling.READ,
        ),
    ):
        for one in settings:
            if member in one:
                scaling.update(ctx, row, one["IndexName"], units, one[member])


# What a table has that goes from on demand to provisioned and is not told anything.
_LEAST_UNITS = 5


def _regions(given: Sequence[str | None]) -> list[str]:
    regions = sorted({region for region in given if region})
    if not regions or len(regions) < len(given):
        raise rules.refuse("ReplicationGroup must have at least one region, and each of them once")
    return regions


def _table(ctx: Context, region: str, name: str) -> TableRow:
    row = state.TABLES.get(ctx.tx, ctx.account, region, name)
    if row is None:
        raise errors.TableNotFoundException(f"Table not found: {name} in region {region}")
    return row


def _group(ctx: Context, name: str) -> list[str]:
    """The regions of a global table; it need not be in the caller's."""
    row = state.TABLES.get(ctx.tx, ctx.account, ctx.region, name)
    if row is not None and row.grouped_at is not None:
        return sorted({ctx.region, *row.replicas})
    for (_, region, other), found in state.TABLES.scan(ctx.tx, ctx.account):
        if other == name and found.grouped_at is not None:
            return sorted({str(region), *found.replicas})
    raise errors.GlobalTableNotFoundException(f"Global table not found: Global table with name: '{name}' does not exist.")


def _check_fits(ctx: Context, region: str, row: TableRow, first: TableRow, first_region: str) -> None:
    """ValidationException when a table can't be a replica of another."""
    if row.making or row.replicas or any(one.table == row.name for one in bulk.going_on(ctx.at(region=region))):
        raise rules.refuse(f"The table {row.name} in {region} is being made or put into in bulk, or has replicas of its own")
    if row.stream_view != "NEW_AND_OLD_IMAGES":
        raise rules.refuse(f"The table {row.name} in {region} must have a stream with the view type NEW_AND_OLD_IMAGES")
    if counts.of_table(ctx.tx, state.described(ctx.at(region=region), row.name)).items:
        raise rules.refuse(f"The table {row.name} in {region} must be empty")
    if _form(row) != _form(first):
        raise rules.refuse(
            f"The tables {row.name} in {region} and {first_region} must have the same keys, global indexes and write capacity"
        )


def _form(row: TableRow) -> Any:
    """What all replicas have alike."""
    indexes = sorted(
        (one.name, one.partitions, one.sorts, one.projection, sorted(one.attributes), one.write_units)
        for one in row.indexes
        if not one.local
    )
    kinds = [row.definitions[name] for name in (row.partition, row.sort) if name is not None]
    return row.partition, row.sort, kinds, row.billing, row.write_units, indexes


def _named(regions: Sequence[str]) -> list[dict[str, str]]:
    return [{"RegionName": region} for region in regions]


def _describe(ctx: Context, name: str, regions: Sequence[str], *, since: float | None = None) -> dict[str, Any]:
    listed = []
    for region in regions:
        row = _table(ctx, region, name)
        since = row.grouped_at or since
        status = "CREATING" if row.making else "ACTIVE"
        arn = state.table_arn(ctx.account, region, name)
        listed.append({"RegionName": region, "ReplicaStatus": status, "ReplicaArn": arn})
    return {
        "ReplicationGroup": listed,
        "GlobalTableArn": arns.arn("dynamodb", "", ctx.account, f"global-table/{name}"),
        "CreationDateTime": since,
        "GlobalTableStatus": "UPDATING" if any(one["ReplicaStatus"] != "ACTIVE" for one in listed) else "ACTIVE",
        "GlobalTableName": name,
    }


def _settings(ctx: Context, region: str, name: str) -> dict[str, Any]:
    row = _table(ctx, region, name)
    there = ctx.at(region=region)
    settings: dict[str, Any] = {
        "RegionName": region,
        "ReplicaStatus": "CREATING" if row.making else "ACTIVE",
        "ReplicaProvisionedReadCapacityUnits": row.read_units,
        "ReplicaProvisionedWriteCapacityUnits": row.write_units,
        **shapes.billing_and_class(row, "ReplicaBillingModeSummary", "ReplicaTableClassSummary"),
    }
    for units, way in ((scaling.READ, "Read"), (scaling.WRITE, "Write")):
        if (found := scaling.described(there, name, None, units)) is not None:
            settings[f"ReplicaProvisioned{way}CapacityAutoScalingSettings"] = found
    indexes: list[dict[str, Any]] = []
    for index in row.indexes:
        if index.local:
            continue
        one: dict[str, Any] = {"IndexName": index.name, "IndexStatus": "CREATING" if index.filling else "ACTIVE"}
        if row.billing == "PROVISIONED":
            one |= {"ProvisionedReadCapacityUnits": index.read_units, "ProvisionedWriteCapacityUnits": index.write_units}
        for units, way in ((scaling.READ, "Read"), (scaling.WRITE, "Write")):
            if (found := scaling.described(there, name, index.name, units)) is not None:
                one[f"Provisioned{way}CapacityAutoScalingSettings"] = found
        indexes.append(one)
    if indexes:
        settings["ReplicaGlobalSecondaryIndexSettings"] = indexes
    return settings
