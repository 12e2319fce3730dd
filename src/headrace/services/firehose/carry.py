"""Step 2 of a delivery: transform, stage and load one batch. Everything here may be done again with the same effect."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import LoadFailed, Metric
from headrace.roles import RoleRefused
from headrace.services.firehose import buffer, keys, limits, state
from headrace.services.firehose.engine import staging, transform
from headrace.services.firehose.engine.transform import Outcome, Record
from headrace.services.firehose.roles import ROLES

NAMESPACE = "AWS/Firehose"

logger = logging.getLogger(__name__)


class DeliveryFailed(Exception):
    """A batch could not be delivered now. `is_load`: what failed is the COPY, which is given up after a time."""

    def __init__(self, code: str, message: str, *, is_load: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_load = is_load


def carry(ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery, staged: Callable[[], None]) -> None:
    """Deliver a batch; DeliveryFailed. `staged` is called once what a function transformed is staged for a load."""
    destination = delivery.destination
    key = keys.delivered(stream.name, delivery)
    is_redshift = bool(destination.redshift)
    count = delivery.batch.records
    if not delivery.staged:
        records = list(buffer.read(ctx, stream.id, delivery.batch))
        if destination.backup is not None:
            _back_up(ctx, stream, delivery, records)
        bodies = _transformed(ctx, stream, delivery, records)
        count = len(bodies)
        if bodies:
            body = staging.object_body(bodies, destination.delimiter, destination.s3["CompressionFormat"])
            _put(ctx, destination.s3, key, body)
            _count_s3(ctx, stream, delivery, len(bodies), len(body))
        if is_redshift and destination.processor("Lambda") is not None:
            staged()
    elif ctx.ports.objects.head(ctx, keys.bucket(destination.s3), key) is None:
        count = 0
    if is_redshift and count:
        _load(ctx, stream, delivery, key)
    _measure(
        ctx, stream,
        Metric("IncomingRecords", delivery.batch.records, "Count"), Metric("IncomingBytes", delivery.batch.size_bytes, "Bytes"),
    )  # fmt: skip


def _put(ctx: Context, s3: Mapping[str, Any], key: str, body: bytes) -> None:
    try:
        acting = ROLES.check(ctx, s3["RoleARN"], "s3:PutObject", f"{s3['BucketARN']}/{key}")
        ctx.ports.objects.put(acting, keys.bucket(s3), key, body, content_type="application/octet-stream")
    except RoleRefused as error:
        raise DeliveryFailed(
            "S3.AccessDenied",
            "Access was denied. Ensure that the trust policy for the provided IAM role allows Firehose to assume the role, "
            f"and the access policy allows access to the S3 bucket. ({error})",
        ) from error
    except LookupError:
        raise DeliveryFailed(
            "S3.NoSuchBucket",
            "The specified bucket does not exist. Create the bucket or use a different bucket that does exist.",
        ) from None
    except AwsError as error:
        raise DeliveryFailed(f"S3.{error.code or type(error).__name__}", error.message) from error
    except OSError as error:
        raise DeliveryFailed("S3.InternalError", str(error)) from error


def _back_up(ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery, records: Sequence[Record]) -> None:
    s3 = delivery.destination.backup or {}
    body = staging.object_body([record.data for record in records], b"", s3["CompressionFormat"])
    _put(ctx, s3, keys.backed_up(stream.name, delivery, s3), body)
    _measure(
        ctx, stream, Metric("BackupToS3.Success", 1, "Count"), Metric("BackupToS3.Records", len(records), "Count"),
        Metric("BackupToS3.Bytes", len(body), "Bytes"),
    )  # fmt: skip


def _transformed(ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery, records: Sequence[Record]) -> list[bytes]:
    """The bytes that go on: the records', or what the function made of them. Those it failed on are written down."""
    parameters = delivery.destination.processor("Lambda")
    if parameters is None:
        return [record.data for record in records]
    size_bytes = float(parameters.get("BufferSizeInMBs", limits.TRANSFORM_SIZE_DEFAULT_MIB)) * limits.MIB
    bodies: list[bytes] = []
    lines: list[bytes] = []
    for batch in transform.in_batches(records, size_bytes, limits.TRANSFORM_RECORDS_MAX):
        outcomes, attempts = _invoke(ctx, stream, delivery, parameters, batch)
        ended_ms = ctx.clock.now_ms()
        for record, outcome in zip(batch, outcomes, strict=True):
            if outcome.data is not None:
                bodies.append(outcome.data)
            elif outcome.error is not None:
                lines.append(transform.failure_line(record, outcome, attempts, ended_ms, parameters["LambdaArn"]))
    if lines:
        _put(ctx, delivery.destination.s3, keys.failed(stream.name, delivery), b"".join(lines))
    _measure(
        ctx, stream, Metric("ExecuteProcessing.Success", 0 if lines else 1, "Count"),
        Metric("SucceedProcessing.Records", len(records) - len(lines), "Count"),
    )  # fmt: skip
    return bodies


def _invoke(
    ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery, parameters: Mapping[str, str], batch: Sequence[Record]
) -> tuple[list[Outcome], int]:
    """What the function made of a batch, and how often it was asked."""
    arn = state.stream_arn(ctx.account, ctx.region, stream.name)
    payload = transform.request(ctx.ids.uuid(), arn, ctx.region, batch, stream.source.get("KinesisStreamARN"))
    retries = int(parameters.get("NumberOfRetries", limits.TRANSFORM_RETRIES_DEFAULT))
    failure = transform.failed("Lambda.FunctionError")
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(min(limits.TRANSFORM_RETRY_FIRST_SECONDS * 2 ** (attempt - 1), limits.TRANSFORM_RETRY_MAX_SECONDS))
        try:
            role = parameters.get("RoleArn") or delivery.destination.s3["RoleARN"]
            acting = ROLES.check(ctx, role, "lambda:InvokeFunction", parameters["LambdaArn"])
            answer = ctx.ports.invoker.invoke(acting, parameters["LambdaArn"], payload)
        except RoleRefused:
            failure = transform.failed("Lambda.InvokeAccessDenied")
            continue
        except AwsError as error:
            failure = transform.failed(f"Lambda.{error.code or type(error).__name__}", error.message)
            continue
        if answer.function_error is None:
            return transform.outcomes(answer.payload, batch), attempt + 1
        failure = transform.failed("Lambda.FunctionError")
    _log(ctx, stream, stream.destination.s3["CloudWatchLoggingOptions"], failure.error or "", failure.message)
    return [failure] * len(batch), retries + 1


def _load(ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery, key: str) -> None:
    """Write the manifest and run the COPY. The warehouse commits the manifest id with the rows, so it loads them once."""
    destination = delivery.destination
    redshift = destination.redshift
    copy: Mapping[str, Any] = redshift["CopyCommand"]
    bucket = keys.bucket(destination.s3)
    manifest_key = keys.manifest(stream.name, delivery)
    _put(ctx, destination.s3, manifest_key, staging.manifest(bucket, key))
    where = staging.parse_jdbc_url(redshift["ClusterJDBCURL"])
    statement = staging.copy_statement(
        copy["DataTableName"], copy.get("DataTableColumns") or "", f"s3://{bucket}/{manifest_key}", redshift["RoleARN"],
        copy.get("CopyOptions") or "",
    )  # fmt: skip
    try:
        ctx.ports.warehouse.load(
            ctx, where.cluster, where.database, redshift["Username"], redshift["Password"], statement, delivery.id
        )
    except LoadFailed as error:
        raise DeliveryFailed("Redshift.CopyCommandFailed", str(error), is_load=True) from error
    except AwsError as error:
        raise DeliveryFailed(f"Redshift.{error.code or type(error).__name__}", error.message, is_load=True) from error
    except (OSError, LookupError) as error:
        raise DeliveryFailed("Redshift.ConnectionFailed", str(error), is_load=True) from error
    _measure(
        ctx, stream, Metric("DeliveryToRedshift.Success", 1, "Count"),
        Metric("DeliveryToRedshift.Records", delivery.batch.records, "Count"),
        Metric("DeliveryToRedshift.Bytes", delivery.batch.size_bytes, "Bytes"),
    )  # fmt: skip


def retry_seconds(delivery: state.Delivery) -> float:
    """How long a load is tried again."""
    options = delivery.destination.redshift.get("RetryOptions") or {}
    return float(options.get("DurationInSeconds", limits.REDSHIFT_RETRY_DEFAULT_SECONDS))


def give_up(ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery) -> None:
    """Write down which object was not loaded, as a manifest with which a person can load it; DeliveryFailed."""
    s3 = delivery.destination.s3
    body = staging.manifest(keys.bucket(s3), keys.delivered(stream.name, delivery))
    _put(ctx, s3, keys.manifest(stream.name, delivery, error=True), body)


def report_failure(ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery, error: DeliveryFailed) -> None:
    """Say in the metrics and, when the user wants it, in the log, that a delivery failed."""
    logger.info("firehose %s: %s: %s", stream.name, error.code, error.message)
    destination = delivery.destination
    options = destination.logging if error.is_load else destination.s3["CloudWatchLoggingOptions"]
    _log(ctx, stream, options, error.code, error.message)
    _measure(ctx, stream, Metric(f"DeliveryTo{'Redshift' if error.is_load else 'S3'}.Success", 0, "Count"))


def _count_s3(ctx: Context, stream: state.DeliveryStream, delivery: state.Delivery, records: int, size_bytes: int) -> None:
    age_seconds = ctx.clock.now() - delivery.batch.oldest_ms / 1000
    _measure(
        ctx, stream, Metric("DeliveryToS3.Success", 1, "Count"), Metric("DeliveryToS3.Records", records, "Count"),
        Metric("DeliveryToS3.Bytes", size_bytes, "Bytes"), Metric("DeliveryToS3.DataFreshness", age_seconds, "Seconds"),
    )  # fmt: skip


def _measure(ctx: Context, stream: state.DeliveryStream, *values: Metric) -> None:
    dimensions = (("DeliveryStreamName", stream.name),)
    try:
        ctx.ports.metrics.put(ctx, NAMESPACE, [replace(value, dimensions=dimensions) for value in values])
    except Exception:
        # A delivery that works must not fail because nobody could count it.
        logger.debug("firehose %s: metrics could not be written", stream.name, exc_info=True)


def _log(ctx: Context, stream: state.DeliveryStream, options: Mapping[str, Any], code: str, message: str) -> None:
    if not options.get("Enabled") or not options.get("LogGroupName") or not options.get("LogStreamName"):
        return
    line = {
        "deliveryStreamARN": state.stream_arn(ctx.account, ctx.region, stream.name),
        "destination": stream.destination.redshift.get("ClusterJDBCURL") or stream.destination.s3["BucketARN"],
        "deliveryStreamVersionId": stream.version,
        "message": message,
        "errorCode": code,
    }
    try:
        ctx.ports.logs.put(
            ctx, options["LogGroupName"], options["LogStreamName"], [(ctx.clock.now_ms(), msgspec.json.encode(line).decode())]
        )
    except Exception:
        logger.warning("firehose %s: the error log could not be written", stream.name, exc_info=True)
