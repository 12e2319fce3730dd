"""Bulk puts as they are kept and shown: what is asked for, and how far it is. `bulk_puts` carries them out."""

from collections.abc import Iterator
from typing import Any

import msgspec

from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.dynamodb import limits, state

RUNNING, CANCELLING = "IN_PROGRESS", "CANCELLING"


class Bulk(msgspec.Struct, omit_defaults=True):
    """A bulk put: what is asked for, and how far it is. Sizes are in bytes; those of indexes are by their names."""

    id: str
    table: str
    table_id: str
    status: str
    started_at: float
    source: dict[str, Any]
    output: dict[str, Any]
    token: str
    digest: bytes
    tier: str
    units_max: int = 0
    processed: int = 0
    failed: int = 0
    read_bytes: int = 0
    total_bytes: int | None = None
    put_bytes: int = 0
    local_bytes: dict[str, int] = {}
    global_bytes: dict[str, int] = {}
    # How many lines were reported, and the size of those that wait.
    reported: int = 0
    waiting_bytes: int = 0
    files: int = 0
    ended_at: float | None = None
    failure: list[str] = []


class Line(msgspec.Struct):
    """A line of the report that waits for its file."""

    data: bytes


class File(msgspec.Struct):
    """A file of the report."""

    kind: str
    key: str
    lines: int


class Failed(Exception):
    """A bulk put can't go on: the code and the sentence."""


BULKS = Records(("dynamodb", "bulk"), Bulk)
LINES = Records(("dynamodb", "bulk-line"), Line)
FILES = Records(("dynamodb", "bulk-file"), File)


def arn_of(ctx: Scope, row: Bulk) -> str:
    """A bulk put's ARN."""
    return f"{state.table_arn(ctx.account, ctx.region, row.table)}/bulk-operation/{row.id}"


def going_on(ctx: Scope) -> Iterator[Bulk]:
    """The bulk puts that have not ended."""
    for _, row in BULKS.scan(ctx.tx, ctx.account, ctx.region):
        if row.ended_at is None:
            yield row


def folder(row: Bulk) -> str:
    """Where the report lies in the output bucket."""
    prefix = (row.output.get("S3KeyPrefix") or "").rstrip("/")
    return f"{prefix}/AWSDynamoDB/{row.id}" if prefix else f"AWSDynamoDB/{row.id}"


def start(ctx: Context, subject: str, total_bytes: int) -> None:
    """Keep how large the input is."""

    def body(inner: Context) -> None:
        row = BULKS.get(inner.tx, inner.account, inner.region, subject)
        if row is not None:
            row.total_bytes = total_bytes
            BULKS.put(inner.tx, row, inner.account, inner.region, subject)

    ctx.transact(body)


def fail(ctx: Context, subject: str, code: str, why: str) -> None:
    """Keep why a bulk put can't go on."""

    def body(inner: Context) -> None:
        row = BULKS.get(inner.tx, inner.account, inner.region, subject)
        if row is not None:
            row.failure = [code, why]
            BULKS.put(inner.tx, row, inner.account, inner.region, subject)

    ctx.transact(body)


def forget(ctx: Context) -> None:
    """Forget bulk puts that began more than ninety days ago, as AWS does."""
    oldest = ctx.clock.now() - limits.BULK_KEPT_SECONDS

    def body(inner: Context) -> None:
        for key, row in list(BULKS.scan(inner.tx)):
            if row.ended_at is not None and row.started_at < oldest:
                BULKS.delete(inner.tx, *key)

    if ctx.snapshot(lambda inner: any(row.started_at < oldest for _, row in BULKS.scan(inner.tx))):
        ctx.transact(body)


def described(ctx: Scope, row: Bulk) -> dict[str, Any]:
    """A BulkOperationDescription."""
    table = state.table_arn(ctx.account, ctx.region, row.table)
    usage: dict[str, Any] = {
        "TableName": table,
        "BulkPutBytes": row.put_bytes + sum(row.local_bytes.values()) + sum(row.global_bytes.values()),
        "Table": {"BulkPutBytes": row.put_bytes},
    }
    for member, sums in (("LocalSecondaryIndexes", row.local_bytes), ("GlobalSecondaryIndexes", row.global_bytes)):
        if sums:
            usage[member] = {name: {"BulkPutBytes": size_bytes} for name, size_bytes in sums.items()}
    given: dict[str, Any] = {
        **summary(ctx, row),
        "TableDetails": [{"TableName": table, "TableId": row.table_id}],
        "ClientToken": row.token,
        "InputS3Configuration": row.source,
        "OutputS3Configuration": row.output,
        "ProcessedItemCount": row.processed,
        "ProcessedInputBytes": row.read_bytes,
        "BulkOperationUsage": [usage],
        "FailedItemCount": row.failed,
        "PerformanceTier": row.tier,
    }
    if row.total_bytes is not None:
        given["TotalInputBytes"] = row.total_bytes
    if row.units_max:
        given["MaxWriteRequestUnits"] = row.units_max
    if row.failure and row.ended_at is not None:
        given["FailureCode"], given["FailureMessage"] = row.failure
    return given


def summary(ctx: Scope, row: Bulk) -> dict[str, Any]:
    """A BulkOperationSummary."""
    told = {"BulkOperationArn": arn_of(ctx, row), "BulkOperationStatus": row.status, "StartTime": row.started_at}
    return told if row.ended_at is None else {**told, "EndTime": row.ended_at}
