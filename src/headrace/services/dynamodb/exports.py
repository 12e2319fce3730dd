"""Exports of tables to S3: all items as they were at a time, or what was changed between two times, with AWS's manifests.

The items are first gathered in a space of the export's own (a job copies and undoes, or merges the history), then written file by
file. A file's name follows from the export's id and the file's number, so a file that is written again after a kill is the same.
"""

import base64
import gzip
import hashlib
from typing import Any

import msgspec

from headrace.kit.errors import AwsError
from headrace.layers import lease as leases
from headrace.layers import log
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.dynamodb import backups, history, items, jobs, limits, state
from headrace.services.dynamodb.engine import ion, keys
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.state import Table
from headrace.store.tuples import after_prefix


class Export(msgspec.Struct, omit_defaults=True):
    """An export: what is asked for, and how far it is. `from_at` is set for an incremental one."""

    id: str
    table: str
    table_id: str
    status: str
    started_at: float
    at: float
    bucket: str
    prefix: str | None
    form: str
    token: str
    digest: bytes
    from_at: float | None = None
    view: str = "NEW_AND_OLD_IMAGES"
    encryption: str = "AES256"
    owner: str | None = None
    items: int = 0
    size_bytes: int = 0
    manifest: str | None = None
    ended_at: float | None = None
    failure: list[str] = []


class File(msgspec.Struct):
    """A data file that was written."""

    items: int
    md5: str
    etag: str
    key: str


class Merged(msgspec.Struct, array_like=True):
    """What a window changed of one item: as it was before, as it is after, and when it was written last."""

    old: bytes | None
    new: bytes | None
    at_ms: int


EXPORTS = Records(("dynamodb", "export"), Export)
FILES = Records(("dynamodb", "export-file"), File)
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Merged).decode


def arn_of(ctx: Scope, export: Export) -> str:
    """An export's ARN."""
    return f"{state.table_arn(ctx.account, ctx.region, export.table)}/export/{export.id}"


def begin(ctx: Context, table: Table, export: Export) -> None:
    """Begin an export in the running transaction."""
    EXPORTS.put(ctx.tx, export, ctx.account, ctx.region, export.id)
    history_id, last = jobs.hold(ctx, table.row.name)
    past = history.log_of(history_id)
    job = Job(
        state.next_number(ctx.tx), "export", ctx.account, ctx.region, export.id, table.prefix, history_id,
        space=state.next_number(ctx.tx), held=table.row.name,
    )  # fmt: skip
    if export.from_at is None:
        job.since = history.last_until(ctx.tx, past, int(export.at * 1000))
    else:
        # Nothing is copied: the changes behind `since`, up to those before the end, are merged.
        job.step = jobs.FINISH
        job.since = history.last_until(ctx.tx, past, int(export.from_at * 1000) - 1)
        job.undone = min(history.last_until(ctx.tx, past, int(export.at * 1000) - 1), last)
    jobs.begin(ctx, job)


def finish_export(ctx: Context, job: Job, lease: leases.Lease) -> bool:
    """Merge some changes, or write a file, or the manifests at the end."""
    export = ctx.snapshot(lambda inner: EXPORTS.get(inner.tx, inner.account, inner.region, job.subject))
    if export is None:
        return True
    try:
        if export.from_at is not None and job.since < job.undone:
            _merge(ctx, job, lease)
            return False
        if not job.progress:
            ctx.ports.objects.put(ctx, export.bucket, f"{_folder(export)}/_started", b"")
            _keep(ctx, msgspec.structs.replace(job, progress=[0]), lease, None, None)
            return False
        if _write_file(ctx, job, lease, export):
            return False
        _write_manifests(ctx, job, lease, export)
    except (LookupError, AwsError) as error:
        code = "S3NoSuchBucket" if isinstance(error, LookupError) else type(error).__name__
        export.failure, export.status, export.ended_at = [code, str(error)], "FAILED", ctx.clock.now()
        _end(ctx, job, lease, export)
    return True


def _merge(ctx: Context, job: Job, lease: leases.Lease) -> None:
    past = history.log_of(job.history_id)

    def body(inner: Context) -> None:
        space = state.space_of(job.space)
        count = min(limits.HISTORY_RECORDS_PER_STEP, job.undone - job.since)
        found = log.read(inner.tx, past, job.since, count)
        for _, raw in found:
            entry = history.read(raw)
            kept = inner.tx.get(space + entry.place)
            old = entry.old if kept is None else _unpack(kept).old
            inner.tx.set(space + entry.place, _pack(Merged(old, entry.new, entry.at_ms)))
        jobs.save(inner, msgspec.structs.replace(job, since=found[-1][0] if found else job.undone), lease)

    ctx.transact(body)


def _keep(ctx: Context, job: Job, lease: leases.Lease, export: Export | None, file: tuple[int, File] | None) -> None:
    def body(inner: Context) -> None:
        jobs.save(inner, job, lease)
        if export is not None:
            EXPORTS.put(inner.tx, export, inner.account, inner.region, export.id)
        if file is not None:
            FILES.put(inner.tx, file[1], inner.account, inner.region, job.subject, file[0])

    ctx.transact(body)


def _write_file(ctx: Context, job: Job, lease: leases.Lease, export: Export) -> bool:
    """Write the next file; whether there was something left for one."""
    lines, last, size_bytes = ctx.snapshot(lambda inner: _lines(inner, job, export))
    if last is None:
        return False
    number = job.progress[0]
    data = gzip.compress(b"".join(lines), mtime=0)
    name = hashlib.sha256(f"{export.id}/{number}".encode()).hexdigest()[:26]
    extension = "json" if export.form == "DYNAMODB_JSON" else "ion"
    # Files of incremental exports lie side by side, as AWS has them.
    folder = _folder(export) if export.from_at is None else _root(export)
    key = f"{folder}/data/{name}.{extension}.gz"
    info = ctx.ports.objects.put(ctx, export.bucket, key, data, content_type="application/octet-stream")
    export.items += len(lines)
    export.size_bytes += size_bytes
    file = File(len(lines), _md5(data), info.etag, key)
    moved = msgspec.structs.replace(job, place=last, progress=[number + 1])
    _keep(ctx, moved, lease, export, (number, file))
    return True


def _lines(ctx: Context, job: Job, export: Export) -> tuple[list[bytes], bytes | None, int]:
    """(lines of the next file, the place of the last one, the size of its items)."""
    space = state.space_of(job.space)
    first = space + job.place + b"\x00" if job.place else space
    lines: list[bytes] = []
    last = None
    written_bytes = size_bytes = 0
    for key, raw in ctx.tx.range(first, after_prefix(space), limit=limits.EXPORT_FILE_ITEMS):
        last = key[len(space) :]
        if export.from_at is None:
            size_bytes += items.size_of(raw)
            line = _line({"Item": items.decode(raw)}, export.form)
        else:
            merged = _unpack(raw)
            size_bytes += sum(items.size_of(image) for image in (merged.old, merged.new) if image is not None)
            found = _change_line(ctx, merged, export)
            if found is None:
                continue
            line = found
        lines.append(line)
        written_bytes += len(line)
        if written_bytes >= limits.EXPORT_FILE_SIZE_BYTES:
            break
    return lines, last, size_bytes


def _change_line(ctx: Context, merged: Merged, export: Export) -> bytes | None:
    """A line of an incremental export; None for an item that came and went within the window."""
    image = merged.new if merged.new is not None else merged.old
    table = state.find(ctx, export.table)
    if image is None or table is None:
        return None
    record: dict[str, Item] = {
        "Metadata": {"WriteTimestampMicros": {"N": str(merged.at_ms * 1000)}},
        "Keys": keys.key_of(table.schema, items.decode(image)),
    }
    if merged.new is not None:
        record["NewImage"] = items.decode(merged.new)
    if merged.old is not None and export.view == "NEW_AND_OLD_IMAGES":
        record["OldImage"] = items.decode(merged.old)
    return _line(record, export.form)


def _line(record: dict[str, Item], form: str) -> bytes:
    if form == "ION":
        return ion.written(record).encode() + b"\n"
    return msgspec.json.encode(record) + b"\n"


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _root(export: Export) -> str:
    return f"{export.prefix.rstrip('/')}/AWSDynamoDB" if export.prefix else "AWSDynamoDB"


def _folder(export: Export) -> str:
    return f"{_root(export)}/{export.id}"


def _write_manifests(ctx: Context, job: Job, lease: leases.Lease, export: Export) -> None:
    files = ctx.snapshot(lambda inner: [file for _, file in FILES.scan(inner.tx, inner.account, inner.region, export.id)])
    listed = "".join(
        msgspec.json.encode(
            {"itemCount": file.items, "md5Checksum": file.md5, "etag": file.etag, "dataFileS3Key": file.key}
        ).decode()
        + "\n"
        for file in files
    ).encode()
    export.ended_at = ctx.clock.now()
    export.manifest = f"{_folder(export)}/manifest-summary.json"
    summary = msgspec.json.encode(_summary(ctx, export))
    for name, data in (("manifest-files", listed), ("manifest-summary", summary)):
        ctx.ports.objects.put(ctx, export.bucket, f"{_folder(export)}/{name}.md5", _md5(data).encode())
        ctx.ports.objects.put(ctx, export.bucket, f"{_folder(export)}/{name}.json", data, content_type="application/json")
    export.status = "COMPLETED"
    _end(ctx, job, lease, export)


def _summary(ctx: Context, export: Export) -> dict[str, Any]:
    incremental = export.from_at is not None
    summary: dict[str, Any] = {
        "version": "2023-08-01" if incremental else "2020-06-30",
        "exportArn": arn_of(ctx, export),
        "startTime": backups.stamp(export.started_at),
        "endTime": backups.stamp(export.ended_at or 0.0),
        "tableArn": state.table_arn(ctx.account, ctx.region, export.table),
        "tableId": export.table_id,
    }
    if export.from_at is not None:
        summary |= {"exportFromTime": backups.stamp(export.from_at), "exportToTime": backups.stamp(export.at)}
    else:
        summary["exportTime"] = backups.stamp(export.at)
    summary |= {
        "s3Bucket": export.bucket,
        "s3Prefix": export.prefix,
        "s3SseAlgorithm": export.encryption,
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{_folder(export)}/manifest-files.json",
        "billedSizeBytes": export.size_bytes,
        "itemCount": export.items,
        "outputFormat": export.form,
    }
    if incremental:
        summary["outputView"] = export.view
    summary["exportType"] = "INCREMENTAL_EXPORT" if incremental else "FULL_EXPORT"
    return summary


def _end(ctx: Context, job: Job, lease: leases.Lease, export: Export) -> None:
    def body(inner: Context) -> None:
        jobs.save(inner, job, lease)
        EXPORTS.put(inner.tx, export, inner.account, inner.region, export.id)
        FILES.delete_all(inner.tx, inner.account, inner.region, export.id)
        state.doom(inner.tx, [state.space_of(job.space)])

    ctx.transact(body)


def described(ctx: Scope, export: Export) -> dict[str, Any]:
    """An ExportDescription."""
    given: dict[str, Any] = {
        "ExportArn": arn_of(ctx, export),
        "ExportStatus": export.status,
        "StartTime": export.started_at,
        "TableArn": state.table_arn(ctx.account, ctx.region, export.table),
        "TableId": export.table_id,
        "ClientToken": export.token,
        "S3Bucket": export.bucket,
        "S3SseAlgorithm": export.encryption,
        "ExportFormat": export.form,
        "ExportType": "FULL_EXPORT" if export.from_at is None else "INCREMENTAL_EXPORT",
    }
    if export.from_at is None:
        given["ExportTime"] = export.at
    else:
        given["IncrementalExportSpecification"] = {
            "ExportFromTime": export.from_at,
            "ExportToTime": export.at,
            "ExportViewType": export.view,
        }
    if export.prefix is not None:
        given["S3Prefix"] = export.prefix
    if export.owner is not None:
        given["S3BucketOwner"] = export.owner
    if export.ended_at is not None:
        given["EndTime"] = export.ended_at
    if export.status == "COMPLETED":
        given |= {"ExportManifest": export.manifest, "BilledSizeBytes": export.size_bytes, "ItemCount": export.items}
    if export.failure:
        given["FailureCode"], given["FailureMessage"] = export.failure
    return given
