"""Backups on demand, and recovery to a point in time."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import backups, counts, errors, history, jobs, limits, shapes, state
from headrace.services.dynamodb.backups import BACKUPS
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.state import Table, TableRow


@operation
def create_backup(ctx: Context, *, table_name: str, backup_name: str) -> dict[str, Any]:
    """Back a table up as it is now. The backup is AVAILABLE when a worker has copied the items."""
    table = _table(ctx, table_name)
    if table.row.making:
        raise errors.ResourceInUseException(f"Table is being created: {table.row.name}")
    return {"BackupDetails": backups.details(ctx, backups.create(ctx, table, backup_name))}


@operation(read_only=True)
def describe_backup(ctx: Context, *, backup_arn: str) -> dict[str, Any]:
    """A backup, and the table as it was."""
    return {"BackupDescription": backups.described(ctx, backups.found(ctx, backup_arn))}


@operation(read_only=True)
def list_backups(
    ctx: Context,
    *,
    table_name: str | None = None,
    limit: int | None = None,
    time_range_lower_bound: float | None = None,
    time_range_upper_bound: float | None = None,
    exclusive_start_backup_arn: str | None = None,
    backup_type: str | None = None,
) -> dict[str, Any]:
    """Backups in order of their time, a page at a time; those of tables that are gone, too."""
    after = None
    if exclusive_start_backup_arn is not None:
        after = (ctx.account, ctx.region, exclusive_start_backup_arn.rpartition("/")[2])
    name = table_name.rpartition("table/")[2] if table_name is not None else None
    count = limit or limits.BACKUPS_PAGE
    wanted = {"USER": ("USER",), "SYSTEM": ("SYSTEM",), "AWS_BACKUP": (), "ALL": ("USER", "SYSTEM")}[backup_type or "USER"]
    matching = [
        backup
        for _, backup in BACKUPS.scan(ctx.tx, ctx.account, ctx.region, after=after)
        if (name is None or backup.table.name == name)
        and backup.kind in wanted
        and (time_range_lower_bound is None or backup.created_at >= time_range_lower_bound)
        and (time_range_upper_bound is None or backup.created_at < time_range_upper_bound)
    ]
    answer: dict[str, Any] = {"BackupSummaries": [backups.summary(ctx, backup) for backup in matching[:count]]}
    if len(matching) > count:
        answer["LastEvaluatedBackupArn"] = backups.arn_of(ctx, matching[count - 1])
    return answer


@operation
def delete_backup(ctx: Context, *, backup_arn: str) -> dict[str, Any]:
    """Delete a backup. One that is being made or restored is in use."""
    backup = backups.found(ctx, backup_arn)
    restoring = any(job.source == backup.source for _, job in jobs.JOBS.scan(ctx.tx))
    if backup.status == "CREATING" or restoring:
        raise errors.BackupInUseException(f"Backup is being used by another operation: {backup_arn}")
    BACKUPS.delete(ctx.tx, ctx.account, ctx.region, backup.id)
    state.doom(ctx.tx, [backup.source])
    backup.status = "DELETED"
    return {"BackupDescription": backups.described(ctx, backup)}


@operation
def restore_table_from_backup(
    ctx: Context,
    *,
    target_table_name: str,
    backup_arn: str,
    billing_mode_override: str | None = None,
    global_secondary_index_override: list[dict[str, Any]] | None = None,
    local_secondary_index_override: list[dict[str, Any]] | None = None,
    provisioned_throughput_override: dict[str, int] | None = None,
    on_demand_throughput_override: dict[str, int] | None = None,
    sse_specification_override: dict[str, Any] | None = None,
    vector_index_override: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Make a table of a backup: its keys, indexes, billing and items. It is ACTIVE when a worker has copied the items."""
    backup = backups.found(ctx, backup_arn)
    if backup.status != "AVAILABLE":
        raise errors.BackupInUseException(f"Backup is being used by another operation: {backup_arn}")
    backups.restorable(ctx, target_table_name)
    overrides = {
        "billing": billing_mode_override, "throughput": provisioned_throughput_override,
        "everywhere": global_secondary_index_override, "local": local_secondary_index_override,
        "most": on_demand_throughput_override, "encryption": sse_specification_override, "vectors": vector_index_override,
    }  # fmt: skip
    restored = {
        "SourceBackupArn": backup_arn,
        "SourceTableArn": state.table_arn(ctx.account, ctx.region, backup.table.name),
        "RestoreDateTime": backup.created_at,
        "RestoreInProgress": True,
    }
    table = backups.make_table(ctx, backup.table, target_table_name, overrides, restored)
    job = Job(
        state.next_number(ctx.tx), "restore", ctx.account, ctx.region, target_table_name, backup.source,
        target=target_table_name,
    )  # fmt: skip
    jobs.begin(ctx, job)
    return {
        "TableDescription": shapes.table(table, counts.of_table(ctx.tx, table), counts.of_indexes(ctx.tx, table), ctx.clock.now())
    }


@operation
def update_continuous_backups(
    ctx: Context, *, table_name: str, point_in_time_recovery_specification: dict[str, Any]
) -> dict[str, Any]:
    """Switch recovery to a point in time on or off. Differs from AWS: it can be had up to this very moment."""
    table = _table(ctx, table_name)
    row = state.own_row(ctx, table.row.name)
    enabled = point_in_time_recovery_specification["PointInTimeRecoveryEnabled"]
    days = point_in_time_recovery_specification.get("RecoveryPeriodInDays")
    if not enabled and days is not None:
        raise ValidationException("RecoveryPeriodInDays can only be specified when PointInTimeRecoveryEnabled is true")
    if enabled:
        if not row.history_id:
            row.history_id = state.next_number(ctx.tx)
        if not row.recovery_days:
            row.recovery_since = ctx.clock.now()
        row.recovery_days = days or row.recovery_days or limits.RECOVERY_DAYS_MAX
    elif row.recovery_days:
        row.recovery_days = 0
        if not row.holds:
            state.doom(ctx.tx, [history.log_of(row.history_id)])
            row.history_id = 0
    state.save(ctx, row)
    return {"ContinuousBackupsDescription": _continuous(ctx, row)}


@operation(read_only=True)
def describe_continuous_backups(ctx: Context, *, table_name: str) -> dict[str, Any]:
    """Whether a table can be recovered, and from when on."""
    return {"ContinuousBackupsDescription": _continuous(ctx, _table(ctx, table_name).row)}


def _continuous(ctx: Context, row: TableRow) -> dict[str, Any]:
    recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
    if row.recovery_days:
        recovery = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": row.recovery_days,
            "EarliestRestorableDateTime": earliest(ctx, row),
            "LatestRestorableDateTime": ctx.clock.now(),
        }
    return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}


def earliest(ctx: Context, row: TableRow) -> float:
    """From when on a table can be recovered."""
    return max(row.recovery_since, ctx.clock.now() - row.recovery_days * 24 * 3600)


@operation
def restore_table_to_point_in_time(
    ctx: Context,
    *,
    target_table_name: str,
    source_table_arn: str | None = None,
    source_table_name: str | None = None,
    use_latest_restorable_time: bool | None = None,
    restore_date_time: float | None = None,
    billing_mode_override: str | None = None,
    global_secondary_index_override: list[dict[str, Any]] | None = None,
    local_secondary_index_override: list[dict[str, Any]] | None = None,
    provisioned_throughput_override: dict[str, int] | None = None,
    on_demand_throughput_override: dict[str, int] | None = None,
    sse_specification_override: dict[str, Any] | None = None,
    vector_index_override: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Make a table of what another was at a time, to the millisecond, with the keys and indexes that it has now."""
    source = source_table_arn or source_table_name
    if source is None:
        raise ValidationException("Either SourceTableName or SourceTableArn must be specified")
    table = _table(ctx, source)
    row = table.row
    if not row.recovery_days:
        raise errors.PointInTimeRecoveryUnavailableException(f"Point in time recovery is not enabled for table '{row.name}'")
    now = ctx.clock.now()
    at = now if use_latest_restorable_time else restore_date_time
    if at is None:
        raise ValidationException("Either RestoreDateTime or UseLatestRestorableTime must be specified")
    # Times come to the second: what they name is the whole of the first restorable second.
    if not int(earliest(ctx, row)) <= at <= now:
        raise errors.InvalidRestoreTimeException(f"RestoreDateTime is not within the restorable window of table '{row.name}'")
    backups.restorable(ctx, target_table_name)
    overrides = {
        "billing": billing_mode_override, "throughput": provisioned_throughput_override,
        "everywhere": global_secondary_index_override, "local": local_secondary_index_override,
        "most": on_demand_throughput_override, "encryption": sse_specification_override, "vectors": vector_index_override,
    }  # fmt: skip
    restored = {"SourceTableArn": table.arn, "RestoreDateTime": at, "RestoreInProgress": True}
    made = backups.make_table(ctx, row, target_table_name, overrides, restored)
    history_id, last = jobs.hold(ctx, row.name)
    since = last if use_latest_restorable_time else history.last_until(ctx.tx, history.log_of(history_id), int(at * 1000))
    job = Job(
        state.next_number(ctx.tx), "restore", ctx.account, ctx.region, target_table_name, table.prefix, history_id, since,
        target=target_table_name, held=row.name,
    )  # fmt: skip
    jobs.begin(ctx, job)
    return {
        "TableDescription": shapes.table(made, counts.of_table(ctx.tx, made), counts.of_indexes(ctx.tx, made), ctx.clock.now())
    }


def _table(ctx: Context, name: str) -> Table:
    try:
        table = state.find(ctx, name)
    except errors.ResourceNotFoundException:
        table = None
    if table is None:
        raise errors.TableNotFoundException(f"Table not found: {name}")
    return table
