"""What bulk puts report of items that they did not put: files of lines in the output bucket, and a manifest.

What is reported waits in the store, committed with the puts, until there is enough for a file. A file's name is its number, so
one that is written again after a kill is the same file.
"""

from typing import Any

import msgspec

from headrace.layers import lease as leases
from headrace.operation import Context
from headrace.services.dynamodb import bulk, jobs, limits
from headrace.services.dynamodb.bulk import BULKS, FILES, LINES, Bulk, Failed, File, Line
from headrace.services.dynamodb.jobs import Job

FAULTY, UNMET = "ERROR", "CONDITION_CHECK_FAILURE"


def tell(ctx: Context, row: Bulk, kind: str, key: str, number: int | None, why: dict[str, Any]) -> None:
    """Let a line wait for the report, if it was asked for."""
    if kind not in row.output["OutputType"]:
        return
    pointer: dict[str, Any] = {"bucket": row.source["S3Bucket"], "key": key}
    if number is not None:
        pointer["itemIndex"] = number
    data = msgspec.json.encode({"itemS3Pointer": pointer, **why}) + b"\n"
    LINES.put(ctx.tx, Line(data), ctx.account, ctx.region, row.id, kind, row.reported)
    row.reported += 1
    row.waiting_bytes += len(data)


def write_files(ctx: Context, subject: str, least_bytes: int) -> None:
    """Write files while so much waits for them."""
    while True:
        row = ctx.snapshot(lambda inner: BULKS.get(inner.tx, inner.account, inner.region, subject))
        if row is None or row.waiting_bytes < least_bytes:
            return
        for kind in (FAULTY, UNMET):
            lines = ctx.snapshot(lambda inner, kind=kind: _waiting(inner, subject, kind))  # type: ignore[misc]
            if lines:
                _write_file(ctx, row, kind, lines)
                row.files += 1


def _waiting(ctx: Context, subject: str, kind: str) -> list[tuple[int, bytes]]:
    lines: list[tuple[int, bytes]] = []
    size_bytes = 0
    for key, line in LINES.scan(ctx.tx, ctx.account, ctx.region, subject, kind):
        number = key[-1]
        assert isinstance(number, int)
        lines.append((number, line.data))
        size_bytes += len(line.data)
        if size_bytes >= limits.BULK_REPORT_SIZE_BYTES:
            break
    return lines


def _write_file(ctx: Context, row: Bulk, kind: str, lines: list[tuple[int, bytes]]) -> None:
    number = row.files
    key = f"{bulk.folder(row)}/data/{kind}/{number:06d}.json"
    _put_object(ctx, row, key, b"".join(data for _, data in lines))

    def body(inner: Context) -> None:
        fresh = BULKS.get(inner.tx, inner.account, inner.region, row.id)
        if fresh is None:
            return
        for one, data in lines:
            LINES.delete(inner.tx, inner.account, inner.region, row.id, kind, one)
            fresh.waiting_bytes -= len(data)
        fresh.files = number + 1
        FILES.put(inner.tx, File(kind, key, len(lines)), inner.account, inner.region, row.id, number)
        BULKS.put(inner.tx, fresh, inner.account, inner.region, row.id)

    ctx.transact(body)


def _put_object(ctx: Context, row: Bulk, key: str, data: bytes) -> None:
    try:
        ctx.ports.objects.put(ctx, row.output["S3Bucket"], key, data, content_type="application/json")
    except LookupError:
        raise Failed("S3NoSuchBucket", f"The bucket does not exist: {row.output['S3Bucket']}") from None


def end(ctx: Context, job: Job, lease: leases.Lease, subject: str) -> None:
    """The manifest, and the status in the end."""
    row = ctx.snapshot(lambda inner: BULKS.get(inner.tx, inner.account, inner.region, subject))
    assert row is not None
    _finished(row, ctx.clock.now())
    files = ctx.snapshot(lambda inner: [file for _, file in FILES.scan(inner.tx, inner.account, inner.region, subject)])
    manifest = {
        "bulkOperationArn": bulk.arn_of(ctx, row), "bulkOperationStatus": row.status, "processedItemCount": row.processed,
        "failedItemCount": row.failed,
        "files": [{"outputType": one.kind, "s3Key": one.key, "itemCount": one.lines} for one in files],
    }  # fmt: skip
    try:
        _put_object(ctx, row, f"{bulk.folder(row)}/manifest-summary.json", msgspec.json.encode(manifest))
    except Failed as failed:
        row.status, row.failure = "FAILED", row.failure or list(failed.args)

    def body(inner: Context) -> None:
        jobs.save(inner, job, lease)
        fresh = BULKS.get(inner.tx, inner.account, inner.region, subject)
        assert fresh is not None
        fresh.status, fresh.failure, fresh.ended_at = row.status, row.failure, row.ended_at
        LINES.delete_all(inner.tx, inner.account, inner.region, subject)
        FILES.delete_all(inner.tx, inner.account, inner.region, subject)
        BULKS.put(inner.tx, fresh, inner.account, inner.region, subject)

    ctx.transact(body)


def _finished(row: Bulk, now: float) -> None:
    row.ended_at = now
    if row.failure:
        row.status = "FAILED"
    elif row.status == bulk.CANCELLING:
        row.status, row.failure = "CANCELLED", ["Cancelled", "The operation was cancelled by CancelBulkOperation"]
    else:
        row.status = "COMPLETED_WITH_ERRORS" if row.failed else "COMPLETED"
