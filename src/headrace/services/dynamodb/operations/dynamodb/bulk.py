"""Bulk puts: start, describe, list, cancel."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import backups, bulk, errors, jobs, limits, state
from headrace.services.dynamodb.bulk import BULKS, Bulk
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.state import Table

_digest_encode = msgspec.json.Encoder(order="sorted").encode
# A NextToken is groups of sixteen hexadecimal digits: the id of the last one, with spaces behind.
_TOKEN_GROUP_BYTES = 8


@operation
def start_bulk_put_items(
    ctx: Context,
    *,
    table_name: str,
    input_s3_configuration: dict[str, Any],
    output_s3_configuration: dict[str, Any],
    client_token: str | None = None,
    max_write_request_units: int | None = None,
    performance_tier: str | None = None,
) -> dict[str, Any]:
    """Put the items of objects in a bucket into a table that is there.

    Differs from AWS: Ion must have each item on a line of its own; buckets are those of the account; the tier is shown, no more.
    """
    for one in (input_s3_configuration, output_s3_configuration):
        if one.get("S3BucketOwner") not in (None, ctx.account):
            raise ValidationException("Headrace does not support buckets of other accounts here: S3BucketOwner")
    _check_output(output_s3_configuration)
    given = (table_name, input_s3_configuration, output_s3_configuration, max_write_request_units, performance_tier)
    digest = hashlib.sha256(_digest_encode(given)).digest()
    now = ctx.clock.now()
    if client_token is not None:
        for _, kept in BULKS.scan(ctx.tx, ctx.account, ctx.region):
            if kept.token == client_token and kept.started_at > now - limits.BULK_TOKEN_SECONDS:
                if kept.digest != digest:
                    raise errors.IdempotentParameterMismatchException("Request parameters do not match the existing token")
                return {"BulkOperationDescription": bulk.described(ctx, kept)}
    table = state.described(ctx, table_name)
    _check_table(table)
    if sum(1 for _ in bulk.going_on(ctx)) >= limits.BULK_GOING_ON_MAX:
        raise errors.LimitExceededException(
            f"Subscriber limit exceeded: Only {limits.BULK_GOING_ON_MAX} bulk operations can be done simultaneously"
        )
    row = Bulk(
        backups.new_id(ctx, now), table.row.name, table.row.uuid, bulk.RUNNING, now, input_s3_configuration,
        output_s3_configuration, client_token or ctx.ids.uuid(), digest, performance_tier or "STANDARD",
        units_max=max_write_request_units or 0,
    )  # fmt: skip
    BULKS.put(ctx.tx, row, ctx.account, ctx.region, row.id)
    number = state.next_number(ctx.tx)
    jobs.begin(ctx, Job(number, "bulk", ctx.account, ctx.region, row.id, target=row.table, step=jobs.FINISH))
    return {"BulkOperationDescription": bulk.described(ctx, row)}


def _check_output(given: Mapping[str, Any]) -> None:
    if "S3Bucket" not in given:
        raise ValidationException("OutputS3Configuration needs an S3Bucket")
    if not given["OutputType"]:
        raise ValidationException("OutputType must have at least one member")
    if given.get("S3SseAlgorithm") == "KMS" or "S3SseKmsKeyId" in given:
        raise ValidationException("Headrace does not support keys of KMS: choose AES256")


def _check_table(table: Table) -> None:
    row = table.row
    if row.making:
        raise errors.in_use(f"Table is being created: {row.name}")
    if any(index.filling for index in row.indexes):
        raise errors.in_use(f"Table is creating an index: {row.name}")
    if row.replicas or row.grouped_at is not None:
        raise ValidationException(f"Bulk operations are not supported for tables that are part of a global table: {row.name}")


def _found(ctx: Context, arn: str) -> Bulk:
    row = BULKS.get(ctx.tx, ctx.account, ctx.region, arn.rpartition("/")[2])
    if row is None or bulk.arn_of(ctx, row) != arn:
        raise errors.ResourceNotFoundException(f"Requested resource not found: Bulk operation: {arn} not found")
    return row


@operation(read_only=True)
def describe_bulk_operation(ctx: Context, *, bulk_operation_arn: str) -> dict[str, Any]:
    """A bulk put, and how far it is."""
    return {"BulkOperationDescription": bulk.described(ctx, _found(ctx, bulk_operation_arn))}


@operation(read_only=True)
def list_bulk_operations(ctx: Context, *, max_results: int | None = None, next_token: str | None = None) -> dict[str, Any]:
    """Bulk puts of the last ninety days, the newest first, a page at a time."""
    count = max_results or limits.BULK_PAGE
    oldest = ctx.clock.now() - limits.BULK_KEPT_SECONDS
    after = None
    if next_token is not None:
        try:
            after = (ctx.account, ctx.region, bytes.fromhex(next_token).decode().rstrip())
        except ValueError:
            raise ValidationException("The NextToken is not valid") from None
    found = BULKS.scan(ctx.tx, ctx.account, ctx.region, after=after, reverse=True, limit=count + 1)
    rows = [row for _, row in found if row.started_at >= oldest]
    answer: dict[str, Any] = {"BulkOperationsSummaryList": [bulk.summary(ctx, row) for row in rows[:count]]}
    if len(rows) > count:
        name = rows[count - 1].id
        answer["NextToken"] = name.ljust(-(-len(name) // _TOKEN_GROUP_BYTES) * _TOKEN_GROUP_BYTES).encode().hex()
    return answer


@operation
def cancel_bulk_operation(ctx: Context, *, bulk_operation_arn: str) -> dict[str, Any]:
    """Let a bulk put stop after what it is putting just now. What was put stays."""
    row = _found(ctx, bulk_operation_arn)
    if row.ended_at is not None:
        raise ValidationException(f"The bulk operation has ended already: {row.status}")
    row.status = bulk.CANCELLING
    BULKS.put(ctx.tx, row, ctx.account, ctx.region, row.id)
    ctx.tx.announce(jobs.JOBS_TOPIC)
    return {"BulkOperationArn": bulk_operation_arn, "BulkOperationStatus": row.status}
