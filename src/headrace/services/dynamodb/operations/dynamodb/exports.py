"""Exports to S3, and imports from there."""

import hashlib
from typing import Any

import msgspec

from headrace.kit import arn as arns
from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import backups, errors, exports, imports, jobs, limits, state
from headrace.services.dynamodb.exports import EXPORTS, Export
from headrace.services.dynamodb.imports import IMPORTS, Import
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.operations.dynamodb.tables import create_table
from headrace.services.dynamodb.state import Table
from headrace.wire import models

_digest_encode = msgspec.json.Encoder(order="sorted").encode


@operation
def export_table_to_point_in_time(
    ctx: Context,
    *,
    table_arn: str,
    s3_bucket: str,
    export_time: float | None = None,
    client_token: str | None = None,
    s3_bucket_owner: str | None = None,
    s3_prefix: str | None = None,
    s3_sse_algorithm: str | None = None,
    export_format: str | None = None,
    export_type: str | None = None,
    incremental_export_specification: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a table as it was at a time, or what was changed in a window, to a bucket. KMS and filters are not supported."""
    if s3_sse_algorithm == "KMS":
        raise ValidationException("Headrace does not support keys of KMS: choose AES256")
    given = (table_arn, s3_bucket, export_time, s3_prefix, export_format, export_type, incremental_export_specification)
    digest = hashlib.sha256(_digest_encode(given)).digest()
    if client_token is not None:
        for _, one in EXPORTS.scan(ctx.tx, ctx.account, ctx.region):
            if one.token == client_token:
                if one.digest != digest:
                    raise errors.ExportConflictException("An export with this client token and other parameters is there already")
                return {"ExportDescription": exports.described(ctx, one)}
    table = _exportable(ctx, table_arn)
    now = ctx.clock.now()
    export = Export(
        backups.new_id(ctx, now), table.row.name, table.row.uuid, "IN_PROGRESS", now, now, s3_bucket, s3_prefix,
        export_format or "DYNAMODB_JSON", client_token or ctx.ids.uuid(), digest, owner=s3_bucket_owner,
    )  # fmt: skip
    first = int(max(table.row.recovery_since, now - table.row.recovery_days * 24 * 3600))
    if export_type == "INCREMENTAL_EXPORT":
        _set_window(export, incremental_export_specification or {}, first, now)
    elif incremental_export_specification is not None:
        raise ValidationException("IncrementalExportSpecification can only be specified for INCREMENTAL_EXPORT")
    elif export_time is not None:
        export.at = export_time
        if not first <= export_time <= now:
            raise errors.InvalidExportTimeException(f"ExportTime is not within the recoverable window of table '{export.table}'")
    exports.begin(ctx, table, export)
    return {"ExportDescription": exports.described(ctx, export)}


def _exportable(ctx: Context, arn: str) -> Table:
    try:
        table = state.find(ctx, arn)
    except errors.ResourceNotFoundException:
        table = None
    if table is None:
        raise errors.TableNotFoundException(f"Table not found: {arn}")
    if not table.row.recovery_days:
        raise errors.PointInTimeRecoveryUnavailableException(
            f"Point in time recovery is not enabled for table '{table.row.name}'"
        )
    return table


def _set_window(export: Export, given: dict[str, Any], first: float, now: float) -> None:
    begin, end = given.get("ExportFromTime"), given.get("ExportToTime") or now
    if begin is None:
        raise ValidationException("ExportFromTime must be specified for INCREMENTAL_EXPORT")
    if not first <= begin < end <= now:
        raise errors.InvalidExportTimeException(
            f"The export's times are not within the recoverable window of table '{export.table}'"
        )
    if not limits.EXPORT_WINDOW_MIN_SECONDS <= end - begin <= limits.EXPORT_WINDOW_MAX_SECONDS:
        raise ValidationException("Difference between ExportFromTime and ExportToTime must be between 15 minutes and 24 hours")
    export.from_at, export.at = begin, end
    export.view = given.get("ExportViewType") or "NEW_AND_OLD_IMAGES"


@operation(read_only=True)
def describe_export(ctx: Context, *, export_arn: str) -> dict[str, Any]:
    """An export, and how far it is."""
    found = EXPORTS.get(ctx.tx, ctx.account, ctx.region, export_arn.rpartition("/")[2])
    if found is None or exports.arn_of(ctx, found) != export_arn:
        raise errors.ExportNotFoundException(f"Export not found: {export_arn}")
    return {"ExportDescription": exports.described(ctx, found)}


@operation(read_only=True)
def list_exports(
    ctx: Context, *, table_arn: str | None = None, max_results: int | None = None, next_token: str | None = None
) -> dict[str, Any]:
    """Exports, the newest first, a page at a time."""
    count = max_results or limits.JOBS_PAGE
    after = None if next_token is None else (ctx.account, ctx.region, next_token)
    name = None if table_arn is None else arns.parse(table_arn).resource.split("/")[1]
    found = [
        row
        for _, row in EXPORTS.scan(ctx.tx, ctx.account, ctx.region, after=after, reverse=True)
        if name is None or row.table == name
    ]
    summaries = [
        {member: described[member] for member in ("ExportArn", "ExportStatus", "ExportType")}
        for described in (exports.described(ctx, row) for row in found[:count])
    ]
    answer: dict[str, Any] = {"ExportSummaries": summaries}
    if len(found) > count:
        answer["NextToken"] = found[count - 1].id
    return answer


@operation
def import_table(
    ctx: Context,
    *,
    s3_bucket_source: dict[str, Any],
    input_format: str,
    table_creation_parameters: dict[str, Any],
    client_token: str | None = None,
    input_format_options: dict[str, Any] | None = None,
    input_compression_type: str | None = None,
) -> dict[str, Any]:
    """Make a table of objects in a bucket. Differs from AWS: Ion must have each item on a line of its own."""
    given = (s3_bucket_source, input_format, table_creation_parameters, input_format_options, input_compression_type)
    digest = hashlib.sha256(_digest_encode(given)).digest()
    if client_token is not None:
        for _, one in IMPORTS.scan(ctx.tx, ctx.account, ctx.region):
            if one.token == client_token:
                if one.digest != digest:
                    raise errors.ImportConflictException("An import with this client token and other parameters is there already")
                return {"ImportTableDescription": imports.described(ctx, one)}
    if input_format_options is not None and input_format != "CSV":
        raise ValidationException("InputFormatOptions can only be specified for the input format CSV")
    create_table(ctx, **{models.snake(name): value for name, value in _creation(table_creation_parameters).items()})
    name = table_creation_parameters["TableName"]
    row = state.own_row(ctx, name)
    row.making = True
    state.save(ctx, row)
    now = ctx.clock.now()
    made = Import(
        backups.new_id(ctx, now), name, row.uuid, "IN_PROGRESS", now, s3_bucket_source, input_format,
        input_compression_type or "NONE", table_creation_parameters, client_token or ctx.ids.uuid(), digest, input_format_options,
    )  # fmt: skip
    IMPORTS.put(ctx.tx, made, ctx.account, ctx.region, made.id)
    number = state.next_number(ctx.tx)
    jobs.begin(ctx, Job(number, "import", ctx.account, ctx.region, made.id, target=name, step=jobs.FINISH))
    return {"ImportTableDescription": imports.described(ctx, made)}


def _creation(given: dict[str, Any]) -> dict[str, Any]:
    """The members of CreateTable."""
    return given


@operation(read_only=True)
def describe_import(ctx: Context, *, import_arn: str) -> dict[str, Any]:
    """An import, and how far it is."""
    found = IMPORTS.get(ctx.tx, ctx.account, ctx.region, import_arn.rpartition("/")[2])
    if found is None or imports.arn_of(ctx, found) != import_arn:
        raise errors.ImportNotFoundException(f"Import not found: {import_arn}")
    return {"ImportTableDescription": imports.described(ctx, found)}


@operation(read_only=True)
def list_imports(
    ctx: Context, *, table_arn: str | None = None, page_size: int | None = None, next_token: str | None = None
) -> dict[str, Any]:
    """Imports, the newest first, a page at a time."""
    count = page_size or limits.JOBS_PAGE
    after = None if next_token is None else (ctx.account, ctx.region, next_token)
    found = [
        imports.described(ctx, row)
        for _, row in IMPORTS.scan(ctx.tx, ctx.account, ctx.region, after=after, reverse=True)
        if table_arn is None or state.table_arn(ctx.account, ctx.region, row.table) == table_arn
    ]
    page = [{member: one[member] for member in imports.SUMMARY if member in one} for one in found[:count]]
    answer: dict[str, Any] = {"ImportSummaryList": page}
    if len(found) > count:
        answer["NextToken"] = found[count - 1]["ImportArn"].rpartition("/")[2]
    return answer
