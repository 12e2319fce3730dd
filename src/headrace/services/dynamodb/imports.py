"""Imports of tables from S3: lines of DynamoDB JSON, of Ion or of CSV, compressed or not, become the items of a new table.

What is committed together is a bounded number of items with the place behind them (object, line), so an import goes on after a
kill. A line that is no item of the table is counted, and said why in the log group `/aws-dynamodb/imports`.
"""

import csv
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from headrace.kit.errors import AwsError
from headrace.layers import lease as leases
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import ObjectInfo, Scope
from headrace.services.dynamodb import items, jobs, limits, sources, state
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.sources import Unreadable
from headrace.services.dynamodb.state import Table

LOG_GROUP = "/aws-dynamodb/imports"


class Import(msgspec.Struct, omit_defaults=True):
    """An import: what is asked for, and how far it is."""

    id: str
    table: str
    table_id: str
    status: str
    started_at: float
    source: dict[str, Any]
    form: str
    compression: str
    creation: dict[str, Any]
    token: str
    digest: bytes
    options: dict[str, Any] | None = None
    errors: int = 0
    processed: int = 0
    imported: int = 0
    size_bytes: int = 0
    ended_at: float | None = None
    failure: list[str] = []


IMPORTS = Records(("dynamodb", "import"), Import)


def arn_of(ctx: Scope, row: Import) -> str:
    """An import's ARN."""
    return f"{state.table_arn(ctx.account, ctx.region, row.table)}/import/{row.id}"


class Importer:
    """The finisher of imports. It keeps the reader of each import open from one piece to the next."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[list[int], Iterator[tuple[str, int, Item | Unreadable]]]] = {}

    def __call__(self, ctx: Context, job: Job, lease: leases.Lease) -> bool:
        """Import for about a second; whether that was the last of it."""
        row = ctx.snapshot(lambda inner: IMPORTS.get(inner.tx, inner.account, inner.region, job.subject))
        if row is None:
            return True
        kept = self._open.pop(job.number, None)
        position = job.progress or [0, 0]
        try:
            objects = list(ctx.ports.objects.list(ctx, row.source["S3Bucket"], row.source.get("S3KeyPrefix") or ""))
            table = ctx.snapshot(lambda inner: state.described(inner, row.table))
            while position[0] < len(objects):
                one = objects[position[0]]
                reader = kept[1] if kept is not None and kept[0] == position else _records(ctx, row, table, one, position[1])
                until = time.monotonic() + limits.IMPORT_STEP_SECONDS
                ended = self._read(ctx, job, lease, row, reader, position, until)
                if not ended:
                    self._open[job.number] = (list(position), reader)
                    return False
                kept = None
                position = [position[0] + 1, 0]
                row.size_bytes += one.size_bytes
                job = _keep(ctx, job, lease, row, [], position)
        except LookupError:
            row.failure = ["S3NoSuchBucket", f"The bucket does not exist: {row.source['S3Bucket']}"]
        _finish(ctx, job, lease, row)
        return True

    def _read(
        self, ctx: Context, job: Job, lease: leases.Lease, row: Import, reader: Iterator[Any], position: list[int], until: float
    ) -> bool:
        """Take in what a reader gives; whether it came to its end before the time was up. `position` moves on."""
        batch: list[tuple[str, int, Item | Unreadable]] = []
        for found in reader:
            batch.append(found)
            if len(batch) == limits.IMPORT_ITEMS_PER_STEP:
                position[1] = found[1] + 1
                _keep(ctx, job, lease, row, batch, position)
                batch = []
                if time.monotonic() > until:
                    return False
        if batch:
            position[1] = batch[-1][1] + 1
            _keep(ctx, job, lease, row, batch, position)
        return True


def _keep(
    ctx: Context, job: Job, lease: leases.Lease, row: Import, batch: list[tuple[str, int, Item | Unreadable]], position: list[int]
) -> Job:
    """Write a batch's items, its errors and where the import stands."""
    moved = msgspec.structs.replace(job, progress=list(position))
    counts = (row.processed, row.imported, row.errors)

    def body(inner: Context) -> None:
        # A body may run again: the counts begin where they were.
        row.processed, row.imported, row.errors = counts
        jobs.save(inner, moved, lease)
        table = state.described(inner, row.table)
        failed: list[tuple[int, str]] = []
        for key, number, found in batch:
            row.processed += 1
            why = str(found) if isinstance(found, Unreadable) else _write(inner, table, found)
            if why is None:
                row.imported += 1
                continue
            row.errors += 1
            if row.errors <= limits.IMPORT_ERRORS_LOGGED_MAX:
                failed.append((inner.clock.now_ms(), _error_line(inner, row, key, number, why)))
        if failed:
            inner.ports.logs.put(inner, LOG_GROUP, f"{row.id}/error", failed)
        IMPORTS.put(inner.tx, row, inner.account, inner.region, row.id)

    ctx.transact(body)
    return moved


def _write(ctx: Context, table: Table, item: Item) -> str | None:
    """Put an item; why not, if it is none of this table."""
    try:
        place, stored = items.take(table, item)
    except AwsError as error:
        return error.message
    except (TypeError, ValueError, KeyError, AttributeError):
        return "The item is not in DynamoDB's form"
    jobs.put_in_table(ctx, table, place, stored)
    return None


def _error_line(ctx: Scope, row: Import, key: str, number: int, why: str) -> str:
    pointer = {"bucket": row.source["S3Bucket"], "key": key, "itemIndex": number}
    return msgspec.json.encode({"importArn": arn_of(ctx, row), "itemS3Pointer": pointer, "errorMessages": [why]}).decode()


def _finish(ctx: Context, job: Job, lease: leases.Lease, row: Import) -> None:
    def body(inner: Context) -> None:
        jobs.save(inner, job, lease)
        table = state.own_row(inner, row.table)
        table.making = False
        if row.failure:
            state.TABLES.delete(inner.tx, inner.account, inner.region, row.table)
            state.doom(inner.tx, [state.Table(inner.account, inner.region, b"", msgspec.msgpack.encode(table)).prefix[:-2]])
        else:
            state.save(inner, table)
        row.status = "FAILED" if row.failure else "COMPLETED"
        row.ended_at = inner.clock.now()
        IMPORTS.put(inner.tx, row, inner.account, inner.region, row.id)

    ctx.transact(body)


# Reading


def _records(
    ctx: Context, row: Import, table: Table, source: ObjectInfo, skip: int
) -> Iterator[tuple[str, int, Item | Unreadable]]:
    """(key, number, item) of an object behind the first `skip` records."""
    chunks = ctx.ports.objects.open(ctx, source.bucket, source.key)
    lines = sources.lines(sources.decompressed(chunks, row.compression))
    try:
        if row.form == "CSV":
            yield from ((source.key, number, item) for number, item in _csv(row, table, lines) if number >= skip)
            return
        for number, line in enumerate(lines):
            if number < skip or not line.strip():
                continue
            try:
                item = sources.item_of(line, row.form)
            except Unreadable as error:
                yield source.key, number, error
                continue
            if item is not None:
                yield source.key, number, item
    except Unreadable as error:
        # Who goes on behind it, after a restart, has counted it.
        if skip <= sources.WHOLE:
            yield source.key, sources.WHOLE, error


def _csv(row: Import, table: Table, lines: Iterator[str]) -> Iterator[tuple[int, Item | Unreadable]]:
    """Rows of CSV: attributes are texts, but for keys, which have their types."""
    options: Mapping[str, Any] = (row.options or {}).get("Csv") or {}
    reader = csv.reader((line + "\n" for line in lines), delimiter=options.get("Delimiter") or ",")
    header = list(options.get("HeaderList") or ()) or None
    kinds = table.row.definitions
    for number, fields in enumerate(reader):
        if header is None:
            header = fields
            continue
        if not fields:
            continue
        if len(fields) != len(header):
            yield number, Unreadable(f"The row has {len(fields)} fields, and the header {len(header)}")
            continue
        yield number, {name: {kinds.get(name, "S"): field} for name, field in zip(header, fields, strict=True)}


def described(ctx: Scope, row: Import) -> dict[str, Any]:
    """An ImportTableDescription."""
    given: dict[str, Any] = {
        "ImportArn": arn_of(ctx, row),
        "ImportStatus": row.status,
        "TableArn": state.table_arn(ctx.account, ctx.region, row.table),
        "TableId": row.table_id,
        "ClientToken": row.token,
        "S3BucketSource": row.source,
        "ErrorCount": row.errors,
        "CloudWatchLogGroupArn": f"arn:aws:logs:{ctx.region}:{ctx.account}:log-group:{LOG_GROUP}:*",
        "InputFormat": row.form,
        "InputCompressionType": row.compression,
        "TableCreationParameters": row.creation,
        "StartTime": row.started_at,
        "ProcessedSizeBytes": row.size_bytes,
        "ProcessedItemCount": row.processed,
        "ImportedItemCount": row.imported,
    }
    if row.options is not None:
        given["InputFormatOptions"] = row.options
    if row.ended_at is not None:
        given["EndTime"] = row.ended_at
    if row.failure:
        given["FailureCode"], given["FailureMessage"] = row.failure
    return given


SUMMARY = (
    "ImportArn", "ImportStatus", "TableArn", "S3BucketSource", "CloudWatchLogGroupArn", "InputFormat", "StartTime", "EndTime",
)  # fmt: skip
