"""Backups of tables, and tables that are made of backups or of what a table was at a point in time."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.kit import arn as arns
from headrace.kit.errors import ValidationException
from headrace.layers import lease as leases
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.dynamodb import counts, encryption, errors, jobs, rules, shapes, state, throughput, vector_rules
from headrace.services.dynamodb.counts import Counted
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.state import IndexRow, Table, TableRow
from headrace.services.dynamodb.vectors import VectorRow


class Backup(msgspec.Struct, omit_defaults=True):
    """A backup: the table as it was described, and the prefix under which its items lie."""

    id: str
    name: str
    kind: str
    status: str
    created_at: float
    table: TableRow
    items: int
    size_bytes: int
    source: bytes
    expires_at: float | None = None


BACKUPS = Records(("dynamodb", "backup"), Backup)


def new_id(ctx: Scope, at: float) -> str:
    """An id that grows with the time, as backups, exports and imports have it."""
    return f"{int(at * 1000):014d}-{ctx.ids.uuid()[:8]}"


def arn_of(ctx: Scope, backup: Backup) -> str:
    """A backup's ARN."""
    return f"{state.table_arn(ctx.account, ctx.region, backup.table.name)}/backup/{backup.id}"


def found(ctx: Context, arn: str) -> Backup:
    """The backup of an ARN; BackupNotFoundException."""
    backup = None
    try:
        parsed = arns.parse(arn)
        parts = parsed.resource.split("/")
        if (parsed.account, parsed.region) == (ctx.account, ctx.region) and len(parts) == 4 and parts[2] == "backup":
            backup = BACKUPS.get(ctx.tx, ctx.account, ctx.region, parts[3])
    except ValueError:
        pass
    if backup is None:
        raise errors.BackupNotFoundException(f"Backup not found: {arn}")
    return backup


def create(ctx: Context, table: Table, name: str) -> Backup:
    """Begin a backup of a table as it is in the running transaction."""
    now = ctx.clock.now()
    counted = counts.of_table(ctx.tx, table)
    number = state.next_number(ctx.tx)
    backup = Backup(
        new_id(ctx, now), name, "USER", "CREATING", now, table.row, counted.items, counted.size_bytes, state.space_of(number)
    )
    BACKUPS.put(ctx.tx, backup, ctx.account, ctx.region, backup.id)
    history_id, since = jobs.hold(ctx, table.row.name)
    job = Job(
        state.next_number(ctx.tx), "backup", ctx.account, ctx.region, backup.id, table.prefix, history_id, since,
        space=number, held=table.row.name,
    )  # fmt: skip
    jobs.begin(ctx, job)
    return backup


def keep_deleted(ctx: Context, table: Table) -> None:
    """A table with recovery goes, and its items stay as a backup of the system's for 35 days."""
    now = ctx.clock.now()
    counted = counts.of_table(ctx.tx, table)
    backup = Backup(
        new_id(ctx, now), f"{table.row.name}$DeletedTableBackup", "SYSTEM", "AVAILABLE", now, table.row, counted.items,
        counted.size_bytes, table.prefix, now + 35 * 24 * 3600,
    )  # fmt: skip
    BACKUPS.put(ctx.tx, backup, ctx.account, ctx.region, backup.id)


def finish_backup(ctx: Context, job: Job, lease: leases.Lease) -> bool:
    """The copy is whole: the backup can be used."""

    def body(inner: Context) -> None:
        backup = BACKUPS.get(inner.tx, inner.account, inner.region, job.subject)
        if backup is not None:
            jobs.save(inner, job, lease)
            backup.status = "AVAILABLE"
            BACKUPS.put(inner.tx, backup, inner.account, inner.region, backup.id)

    ctx.transact(body)
    return True


def restorable(ctx: Context, target: str) -> None:
    """Whether a table can be made under a name; TableAlreadyExistsException."""
    rules.check_table_name(target, "TargetTableName")
    if state.find(ctx, target) is not None:
        raise errors.TableAlreadyExistsException(f"Table already exists: {target}")


def make_table(ctx: Context, source: TableRow, target: str, overrides: Mapping[str, Any], restored: dict[str, Any]) -> Table:
    """A table with the keys, the indexes and the billing of another, that nobody can read or write yet."""
    billing = overrides.get("billing") or source.billing
    read_units, write_units = source.read_units, source.write_units
    given = overrides.get("throughput")
    if billing != source.billing or given is not None:
        read_units, write_units = rules.throughput(billing, given)
    indexes = [
        index for index in source.indexes if _stays(index, overrides.get("local") if index.local else overrides.get("everywhere"))
    ]
    vectors = _vectors_left(source, billing, overrides.get("vectors"))
    used = rules.used_attributes(source.partition, source.sort, indexes, vectors)
    row = TableRow(
        id=state.next_number(ctx.tx), name=target, uuid=ctx.ids.uuid(), created_at=ctx.clock.now(),
        definitions={name: kind for name, kind in source.definitions.items() if name in used}, partition=source.partition,
        sort=source.sort, billing=billing, read_units=read_units, write_units=write_units, table_class=source.table_class,
        indexes=[msgspec.structs.replace(index, filling=False, decreases=[]) for index in indexes],
        indexes_made=source.indexes_made, making=True, restored=restored, key_arn=source.key_arn,
        vectors=[msgspec.structs.replace(index, filling=False) for index in vectors],
    )  # fmt: skip
    if overrides.get("encryption") is not None:
        row.key_arn = encryption.key_arn(ctx, overrides["encryption"])
    if billing == "PAY_PER_REQUEST":
        row.most_read_units, row.most_write_units = source.most_read_units, source.most_write_units
    if overrides.get("most") is not None:
        throughput.set_most(row, billing, overrides["most"])
    state.save(ctx, row)
    return state.described(ctx, target)


def _stays(index: IndexRow, wanted: Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether an index is restored: overrides may leave some out, and make no others."""
    if wanted is None:
        return True
    for one in wanted:
        if one["IndexName"] == index.name:
            if one["KeySchema"] != shapes.index_key_schema(index):
                raise ValidationException(
                    f"One or more parameter values were invalid: Index {index.name} does not have the key schema of the source"
                )
            return True
    return False


def _vectors_left(source: TableRow, billing: str, wanted: Sequence[Mapping[str, Any]] | None) -> list[VectorRow]:
    """The vector indexes that are restored: overrides may leave some out, and make no others."""
    names = {index.name for index in source.vectors} if wanted is None else {one["IndexName"] for one in wanted}
    left = [index for index in source.vectors if index.name in names]
    vector_rules.check_billing(billing, left)
    return left


def finish_table(ctx: Context, job: Job, lease: leases.Lease) -> bool:
    """All items are there: the table can be used."""

    def body(inner: Context) -> None:
        jobs.save(inner, job, lease)
        row = state.own_row(inner, job.target)
        row.making = False
        if row.restored is not None:
            row.restored = {**row.restored, "RestoreInProgress": False}
        state.save(inner, row)

    ctx.transact(body)
    return True


def details(ctx: Scope, backup: Backup) -> dict[str, Any]:
    """BackupDetails."""
    given: dict[str, Any] = {
        "BackupArn": arn_of(ctx, backup),
        "BackupName": backup.name,
        "BackupSizeBytes": backup.size_bytes,
        "BackupStatus": backup.status,
        "BackupType": backup.kind,
        "BackupCreationDateTime": backup.created_at,
    }
    if backup.expires_at is not None:
        given["BackupExpiryDateTime"] = backup.expires_at
    return given


def described(ctx: Scope, backup: Backup) -> dict[str, Any]:
    """A BackupDescription."""
    row = backup.table
    key = state.TABLES.key(ctx.account, ctx.region, row.name)
    table = Table(ctx.account, ctx.region, key, msgspec.msgpack.encode(row))
    whole = shapes.table(table, Counted(backup.items, backup.size_bytes), {}, ctx.clock.now())
    source = {
        "TableName": row.name,
        "TableId": row.uuid,
        "TableArn": table.arn,
        "TableSizeBytes": backup.size_bytes,
        "KeySchema": whole["KeySchema"],
        "TableCreationDateTime": row.created_at,
        "ProvisionedThroughput": {"ReadCapacityUnits": row.read_units, "WriteCapacityUnits": row.write_units},
        "ItemCount": backup.items,
        "BillingMode": row.billing,
    }
    features: dict[str, Any] = {}
    for name, members in (
        ("LocalSecondaryIndexes", ("IndexName", "KeySchema", "Projection")),
        ("GlobalSecondaryIndexes", ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")),
        ("VectorIndexes", shapes.VECTOR_MEMBERS),
    ):
        listed = [{member: index[member] for member in members if member in index} for index in whole.get(name, ())]
        for index in listed:
            if "ProvisionedThroughput" in index:
                index["ProvisionedThroughput"] = {
                    unit: index["ProvisionedThroughput"][unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")
                }
        if listed:
            features[name] = listed
    if row.stream is not None:
        features["StreamDescription"] = whole["StreamSpecification"]
    if "SSEDescription" in whole:
        features["SSEDescription"] = whole["SSEDescription"]
    if row.ttl_enabled:
        features["TimeToLiveDescription"] = shapes.time_to_live(row)
    return {"BackupDetails": details(ctx, backup), "SourceTableDetails": source, "SourceTableFeatureDetails": features}


def summary(ctx: Scope, backup: Backup) -> dict[str, Any]:
    """A BackupSummary."""
    arn = state.table_arn(ctx.account, ctx.region, backup.table.name)
    return {"TableName": backup.table.name, "TableId": backup.table.uuid, "TableArn": arn, **details(ctx, backup)}


def stamp(at: float) -> str:
    """A time as manifests have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"
