"""Tables: create, describe, list, update, delete."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from headrace.kit.errors import ValidationException
from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.dynamodb import (
    backups,
    counts,
    encryption,
    errors,
    feeds,
    fills,
    history,
    insights,
    limits,
    replicas,
    rules,
    shapes,
    state,
    throughput,
    vector_changes,
    vector_rules,
)
from headrace.services.dynamodb.operations.dynamodb.policies import put_resource_policy
from headrace.services.dynamodb.state import IndexRow, StreamRow, Table, TableRow
from headrace.store import tuples


@operation
def create_table(
    ctx: Context,
    *,
    table_name: str,
    attribute_definitions: list[dict[str, str]] | None = None,
    key_schema: list[dict[str, str]] | None = None,
    local_secondary_indexes: list[dict[str, Any]] | None = None,
    global_secondary_indexes: list[dict[str, Any]] | None = None,
    billing_mode: str | None = None,
    provisioned_throughput: dict[str, int] | None = None,
    stream_specification: dict[str, Any] | None = None,
    tags: list[dict[str, str]] | None = None,
    table_class: str | None = None,
    deletion_protection_enabled: bool | None = None,
    on_demand_throughput: dict[str, int] | None = None,
    warm_throughput: dict[str, int] | None = None,
    resource_policy: str | None = None,
    sse_specification: dict[str, Any] | None = None,
    vector_indexes: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Create a table. Differs from AWS: it is ACTIVE at once, throughput limits nothing unless asked to, keys are shown only."""
    rules.check_table_name(table_name)
    known = rules.definitions(attribute_definitions)
    billing = billing_mode or "PROVISIONED"
    read_units, write_units = rules.throughput(billing, provisioned_throughput)
    partition, sort = rules.key_names(key_schema or [], known)
    wanted = _wanted_indexes(local_secondary_indexes, global_secondary_indexes)
    rows = [
        rules.index_row(one, number, known, local=local, billing=billing) for number, (one, local) in enumerate(wanted, start=1)
    ]
    rules.check_indexes(rows, partition, sort)
    vectors = [
        vector_rules.vector_row(one, len(rows) + number, known) for number, one in enumerate(vector_indexes or (), start=1)
    ]
    rules.check_all_used(known, rules.used_attributes(partition, sort, rows, vectors))
    if state.find(ctx, table_name) is not None:
        raise errors.ResourceInUseException(f"Table already exists: {table_name}")
    row = TableRow(
        id=state.next_number(ctx.tx), name=table_name, uuid=ctx.ids.uuid(), created_at=ctx.clock.now(), definitions=known,
        partition=partition, sort=sort, billing=billing, read_units=read_units, write_units=write_units, indexes=rows,
        indexes_made=len(rows) + len(vectors), vectors=vectors, protected=bool(deletion_protection_enabled),
        table_class=table_class,
    )  # fmt: skip
    vector_rules.check(row)
    _set_throughput(row, on_demand_throughput, warm_throughput)
    for index, (one, local) in zip(rows, wanted, strict=True):
        if not local:
            _set_index_throughput(index, billing, one)
    if stream_specification is not None:
        _switch_stream(ctx, row, stream_specification)
    if sse_specification is not None:
        row.key_arn = encryption.key_arn(ctx, sse_specification)
    state.save(ctx, row)
    arn = state.table_arn(ctx.account, ctx.region, table_name)
    if tags:
        tag_rows.add(ctx.tx, arn, tag_rows.from_list(tags))
    if resource_policy is not None:
        put_resource_policy(ctx, resource_arn=arn, policy=resource_policy)
    return {"TableDescription": _describe(ctx, state.described(ctx, table_name))}


def _wanted_indexes(
    local: list[dict[str, Any]] | None, everywhere: list[dict[str, Any]] | None
) -> list[tuple[dict[str, Any], bool]]:
    """The secondary indexes that are asked for, and whether each is a local one."""
    for given, word in ((local, "Local"), (everywhere, "Global")):
        if given is not None and not given:
            raise rules.refuse(f"List of {word}SecondaryIndexes is empty")
    return [(one, True) for one in local or ()] + [(one, False) for one in everywhere or ()]


@operation(read_only=True)
def describe_table(ctx: Context, *, table_name: str) -> dict[str, Any]:
    """A table's keys, indexes, settings and counts. Differs from AWS: the counts of items are exact at any time."""
    return {"Table": _describe(ctx, state.described(ctx, table_name))}


@operation(read_only=True)
def list_tables(ctx: Context, *, exclusive_start_table_name: str | None = None, limit: int | None = None) -> dict[str, Any]:
    """The names of the account's tables in this region, a page at a time."""
    count = limit or limits.TABLES_PAGE_MAX
    after = None if exclusive_start_table_name is None else (ctx.account, ctx.region, exclusive_start_table_name)
    found = state.TABLES.scan(ctx.tx, ctx.account, ctx.region, after=after, limit=count + 1)
    names = [row.name for _, row in found]
    answer: dict[str, Any] = {"TableNames": names[:count]}
    if len(names) > count:
        answer["LastEvaluatedTableName"] = names[count - 1]
    return answer


@operation
def update_table(
    ctx: Context,
    *,
    table_name: str,
    attribute_definitions: list[dict[str, str]] | None = None,
    billing_mode: str | None = None,
    provisioned_throughput: dict[str, int] | None = None,
    global_secondary_index_updates: list[dict[str, Any]] | None = None,
    stream_specification: dict[str, Any] | None = None,
    table_class: str | None = None,
    deletion_protection_enabled: bool | None = None,
    replica_updates: list[dict[str, Any]] | None = None,
    on_demand_throughput: dict[str, int] | None = None,
    warm_throughput: dict[str, int] | None = None,
    sse_specification: dict[str, Any] | None = None,
    vector_index_updates: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Change a table: its billing, its stream, its global indexes, the regions that it is in.

    Differs from AWS: all of it may come in one request; the table stays ACTIVE; an index over few items is ACTIVE at once.
    """
    wanted = (
        billing_mode, provisioned_throughput, global_secondary_index_updates, stream_specification, table_class,
        deletion_protection_enabled, replica_updates, on_demand_throughput, warm_throughput, sse_specification,
        vector_index_updates,
    )  # fmt: skip
    if all(one is None for one in wanted):
        raise ValidationException(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
            "SSESpecification or ReplicaUpdates is required"
        )
    table = state.described(ctx, table_name)
    if table.row.making:
        raise errors.in_use(f"Table is being created: {table.row.name}")
    # The compiled table is shared, and this transaction may be run again: work on a row of our own.
    row = state.TABLES.get(ctx.tx, ctx.account, ctx.region, table.row.name)
    assert row is not None
    if billing_mode is not None or provisioned_throughput is not None:
        _change_billing(ctx, row, billing_mode, provisioned_throughput)
    _set_throughput(row, on_demand_throughput, warm_throughput)
    row.table_class = row.table_class if table_class is None else table_class
    if deletion_protection_enabled is not None:
        row.protected = deletion_protection_enabled
    if stream_specification is not None:
        _switch_stream(ctx, row, stream_specification)
    if sse_specification is not None:
        row.key_arn = encryption.changed(ctx, row.key_arn, sse_specification)
    added: list[int] = []
    if global_secondary_index_updates or vector_index_updates:
        row.definitions = {**row.definitions, **rules.definitions(attribute_definitions)}
        added = _change_indexes(ctx, row, global_secondary_index_updates or (), vector_index_updates or ())
    _provision_others(row)
    vector_rules.check(row)
    state.save(ctx, row)
    for number in added:
        fills.begin(ctx, state.described(ctx, row.name), number)
    _warm_replicas(ctx, row, warm_throughput, global_secondary_index_updates or ())
    for change in replica_updates or ():
        _change_replica(ctx, row.name, change)
    return {"TableDescription": _describe(ctx, state.described(ctx, row.name))}


@operation
def delete_table(ctx: Context, *, table_name: str) -> dict[str, Any]:
    """Delete a table. Its stream can be read for another 24 hours. Differs from AWS: the name is free at once."""
    table = state.described(ctx, table_name)
    row = table.row
    if row.protected:
        raise ValidationException(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
        )
    if row.making:
        raise errors.ResourceInUseException(
            f"Attempt to change a resource which is still in use: Table is being created: {row.name}"
        )
    if any(index.filling for index in row.vectors):
        raise errors.in_use("Cannot delete table while indexes are being created, updated, or deleted.")
    if row.holds:
        raise errors.in_use(f"Table is being backed up, restored or exported: {row.name}")
    answer = {"TableDescription": _describe(ctx, table, status="DELETING")}
    if row.stream is not None:
        _close_stream(ctx, row.name, row.stream)
    feeds.close_all(ctx, table)
    state.TABLES.delete(ctx.tx, ctx.account, ctx.region, row.name)
    tag_rows.drop(ctx.tx, table.arn)
    state.POLICIES.delete(ctx.tx, table.arn)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    state.FILLS.delete_all(ctx.tx, row.id)
    insights.forget(ctx, row)
    if row.replicas:
        replicas.leave(ctx, row)
    gone = [tuples.pack(("dynamodb", "count", row.id))]
    if row.history_id:
        gone.append(history.log_of(row.history_id))
    if row.recovery_days:
        backups.keep_deleted(ctx, table)
        gone += [*(index.prefix for index in table.indexes), *(index.prefix for index in table.vectors)]
    else:
        gone.append(tuples.pack(("dynamodb", "item", row.id)))
    state.doom(ctx.tx, gone)
    return answer


def _describe(ctx: Context, table: Table, *, status: str = "ACTIVE") -> dict[str, Any]:
    described = shapes.table(
        table, counts.of_table(ctx.tx, table), counts.of_indexes(ctx.tx, table), ctx.clock.now(), status=status
    )
    described.update(replicas.shown(ctx, table.row))
    return described


def _change_replica(ctx: Context, name: str, change: dict[str, Any]) -> None:
    """Apply one ReplicaUpdate. A new replica has the keys, indexes and billing of the table, and a stream of its own."""
    given = change.get("Create") or change.get("Update") or change.get("Delete") or {}
    region = given.get("RegionName")
    if region is None:
        raise ValidationException("A ReplicaUpdate needs a Create, an Update or a Delete")
    if state.own_row(ctx, name).grouped_at is not None:
        raise ValidationException(
            "This operation is not supported for a global table of the version 2017.11.29. Use UpdateGlobalTable instead."
        )
    if region == ctx.region:
        raise ValidationException(
            "Cannot add, delete, or update the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or "
            "UpdateTable as required."
        )
    row = state.own_row(ctx, name)
    there = ctx.at(region=region)
    if "Create" not in change:
        if region not in row.replicas:
            raise ValidationException(
                "Update global table operation failed because one or more replicas were not part of the global table."
            )
        if "Delete" in change:
            delete_table(there, table_name=name)
            return
        kept = state.own_row(there, name)
        throughput.keep_warm(kept)
        throughput.override(kept, given)
        state.save(there, kept)
        return
    replicas.refuse(ctx, row, region)
    made = TableRow(
        id=state.next_number(ctx.tx), name=name, uuid=ctx.ids.uuid(), created_at=ctx.clock.now(), definitions=row.definitions,
        partition=row.partition, sort=row.sort, billing=row.billing, read_units=row.read_units, write_units=row.write_units,
        indexes=[msgspec.structs.replace(index, filling=False, decreases=[]) for index in row.indexes],
        vectors=[msgspec.structs.replace(index, filling=False) for index in row.vectors],
        indexes_made=row.indexes_made, table_class=row.table_class, replicas=[region], versions_id=state.next_number(ctx.tx),
        most_read_units=row.most_read_units, most_write_units=row.most_write_units, warm_read_units=row.warm_read_units,
        warm_write_units=row.warm_write_units,
    )  # fmt: skip
    if row.key_arn:
        made.key_arn = encryption.key_arn(there, {"Enabled": True})
    throughput.override(made, given)
    _switch_stream(there, made, {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    replicas.join(ctx, name, made)


def _change_billing(ctx: Context, row: TableRow, mode: str | None, given: dict[str, int] | None) -> None:
    billing = mode or row.billing
    if billing == row.billing and given is None:
        return
    throughput.keep_warm(row)
    units = rules.throughput(billing, given)
    if billing == row.billing:
        throughput.provision(row, units, ctx.clock.now())
    else:
        row.read_units, row.write_units = units
        if billing == "PROVISIONED":
            throughput.forget_most(row)
        row.billing, row.billing_changed_at = billing, ctx.clock.now()
        for index in row.indexes:
            index.read_units = index.write_units = 0


def _provision_others(row: TableRow) -> None:
    """Indexes that were given no throughput when the table's became provisioned have that of the table."""
    for index in row.indexes:
        if row.billing == "PROVISIONED" and not index.local and not index.read_units:
            index.read_units, index.write_units = row.read_units, row.write_units


def _switch_stream(ctx: Context, row: TableRow, given: dict[str, Any]) -> None:
    view = rules.check_stream(given)
    if view is None:
        if row.stream is None:
            if row.last_stream is None and state.find(ctx, row.name) is None:
                return
            raise ValidationException("Table is already without a stream: StreamEnabled is false already")
        if row.replicas or row.grouped_at is not None:
            raise ValidationException("The stream of a table with replicas can not be switched off")
        _close_stream(ctx, row.name, row.stream)
        row.stream, row.stream_id, row.stream_view = None, 0, ""
        return
    if row.stream is not None:
        raise errors.ResourceInUseException(f"Table already has an enabled stream: TableName: {row.name}")
    now = ctx.clock.now()
    label = _free_label(ctx, row.name, now)
    stream = StreamRow(state.next_number(ctx.tx), row.name, label, view, now, row.partition, row.sort, limits.STREAM_SHARDS)
    state.STREAMS.put(ctx.tx, stream, ctx.account, ctx.region, row.name, label)
    row.stream = row.last_stream = label
    row.stream_id, row.stream_shard, row.stream_view = stream.id, 0, view
    ctx.tx.announce(state.STREAMS_TOPIC)


def _free_label(ctx: Context, name: str, now: float) -> str:
    """The time as a label; later by a millisecond when a stream of that label is there already."""
    while True:
        label = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}"
        if state.STREAMS.get(ctx.tx, ctx.account, ctx.region, name, label) is None:
            return label
        now += 0.001


def _close_stream(ctx: Context, name: str, label: str) -> None:
    stream = state.STREAMS.get(ctx.tx, ctx.account, ctx.region, name, label)
    assert stream is not None
    stream.closed_at = ctx.clock.now()
    state.STREAMS.put(ctx.tx, stream, ctx.account, ctx.region, name, label)
    for shard in range(stream.first, stream.shards):
        ctx.tx.announce(b"log:" + state.log_of(stream.id, shard))


def _change_indexes(
    ctx: Context, row: TableRow, changes: Sequence[dict[str, Any]], vector_changed: Sequence[dict[str, Any]]
) -> list[int]:
    """Apply GlobalSecondaryIndexUpdates and VectorIndexUpdates to the row; the numbers of the indexes that are new."""
    made = [_change_index(ctx, row, change) for change in changes] + vector_changes.apply(ctx, row, vector_changed)
    rules.check_indexes(row.indexes, row.partition, row.sort)
    used = rules.used_attributes(row.partition, row.sort, row.indexes, row.vectors)
    row.definitions = {name: kind for name, kind in row.definitions.items() if name in used}
    return [number for number in made if number is not None]


def _change_index(ctx: Context, row: TableRow, change: dict[str, Any]) -> int | None:
    """Apply one GlobalSecondaryIndexUpdate to the row; the index's number, if it is a new one."""
    if "Create" in change:
        if any(one.name == change["Create"]["IndexName"] for one in row.indexes):
            raise ValidationException("Attempting to create an index which already exists")
        row.indexes_made += 1
        made = rules.index_row(change["Create"], row.indexes_made, row.definitions, local=False, billing=row.billing)
        _set_index_throughput(made, row.billing, change["Create"])
        made.filling = True
        row.indexes.append(made)
        return made.number
    name = (change.get("Update") or change.get("Delete") or {}).get("IndexName")
    index = next((one for one in row.indexes if one.name == name and not one.local), None)
    if index is None:
        raise errors.ResourceNotFoundException("Requested resource not found")
    if "Delete" in change:
        row.indexes.remove(index)
        insights.forget(ctx, row, index.name)
        row.insights = {one: kept for one, kept in row.insights.items() if one != index.name}
        state.FILLS.delete(ctx.tx, row.id, index.number)
        state.doom(ctx.tx, [*state.keys_of_index(row, index)])
    else:
        given = change["Update"].get("ProvisionedThroughput")
        if given is not None or not _INDEX_SETTINGS & set(change["Update"]):
            throughput.keep_warm(row)
            throughput.provision(index, rules.throughput(row.billing, given, index.name), ctx.clock.now())
        _set_index_throughput(index, row.billing, change["Update"])
    return None


def _set_throughput(row: TableRow, most: dict[str, int] | None, warm: dict[str, int] | None) -> None:
    if most is not None:
        throughput.set_most(row, row.billing, most)
    if warm is not None:
        throughput.set_warm(row, row.billing, warm)


_INDEX_SETTINGS = {"OnDemandThroughput", "WarmThroughput"}


def _set_index_throughput(index: IndexRow, billing: str, given: dict[str, Any]) -> None:
    if "OnDemandThroughput" in given:
        throughput.set_most(index, billing, given["OnDemandThroughput"])
    if "WarmThroughput" in given:
        throughput.set_warm(index, billing, given["WarmThroughput"])


def _warm_replicas(ctx: Context, row: TableRow, warm: dict[str, int] | None, changes: Sequence[dict[str, Any]]) -> None:
    """What is warmed up here is warmed up in all regions, as far as it is colder there."""
    named = [one["Update"] for one in changes if "WarmThroughput" in one.get("Update", {})]
    if row.grouped_at is not None or (warm is None and not named):
        return
    for region in row.replicas:
        other = ctx.at(region=region)
        kept = state.own_row(other, row.name)
        pairs: list[tuple[TableRow | IndexRow, TableRow | IndexRow]] = [(row, kept)] if warm is not None else []
        for change in named:
            pairs += [
                (own, index) for own in row.indexes for index in kept.indexes if own.name == index.name == change["IndexName"]
            ]
        for own, there in pairs:
            there.warm_read_units = max(there.warm_read_units, own.warm_read_units)
            there.warm_write_units = max(there.warm_write_units, own.warm_write_units)
        state.save(other, kept)
