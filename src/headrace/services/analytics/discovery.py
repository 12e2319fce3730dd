"""Finds the schema of a stream or of an object by a sample of it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import RecordSource, SourceRecord
from headrace.roles import RoleRefused
from headrace.services.analytics import configuration, errors, functions, limits, rights
from headrace.services.analytics.checking import CHECKER
from headrace.services.analytics.engine.schema import SqlError


def discover(
    ctx: Context,
    role: str | None,
    arn: str | None,
    position: Mapping[str, str] | None,
    s3: Mapping[str, str] | None,
    processing: Any,
) -> dict[str, Any]:
    """The schema of a sample, and the sample parsed by it; UnableToDetectSchemaException. The role must allow what is read."""
    if (arn is None) == (s3 is None):
        raise errors.InvalidArgumentException("Exactly one of ResourceARN and S3Configuration must be given.")
    if processing is not None:
        processor = processing["InputLambdaProcessor"]
        _check(ctx, processor.get("RoleARN") or role, "lambda:InvokeFunction", processor["ResourceARN"])
    if s3 is not None:
        _check(ctx, s3.get("RoleARN") or role, "s3:GetObject", f"{s3['BucketARN']}/{s3['FileKey']}")
        sample = _of_object(ctx, s3["BucketARN"].rpartition(":")[2], s3["FileKey"])
    else:
        wanted = (position or {}).get("InputStartingPosition", "NOW")
        sample = _of_stream(ctx, role, str(arn), wanted)
    if not sample:
        raise errors.UnableToDetectSchemaException("There are no records to detect a schema from.")
    raw = _shown(sample)
    processed = sample if processing is None else _processed(ctx, processing, arn or str((s3 or {})["BucketARN"]), sample, raw)
    seen = [] if processing is None else _shown(processed)
    try:
        found = CHECKER.ask(lambda engine: engine.discover(processed))
    except SqlError as error:
        raise errors.UnableToDetectSchemaException(error.message, RawInputRecords=raw, ProcessedInputRecords=seen) from None
    return {
        "InputSchema": configuration.schema_of(found.format, found.columns),
        "ParsedInputRecords": [list(row) for row in found.rows],
        "ProcessedInputRecords": seen,
        "RawInputRecords": raw,
    }


def _check(ctx: Context, role: str | None, action: str, resource: str) -> None:
    if not role:
        raise errors.InvalidArgumentException("Kinesis Analytics needs a role to read the sample with.")
    try:
        rights.ROLES.check(ctx, role, action, resource)
    except RoleRefused as refused:
        raise errors.InvalidArgumentException(f"Kinesis Analytics can't read the sample: {refused}") from None


def _shown(records: Sequence[bytes]) -> list[str]:
    return [one.decode(errors="replace") for one in records]


def _processed(ctx: Context, processing: Any, arn: str, sample: Sequence[bytes], raw: list[str]) -> list[bytes]:
    """What the function makes of the sample; UnableToDetectSchemaException when it makes nothing of it."""
    function_arn = processing["InputLambdaProcessor"]["ResourceARN"]
    records = [SourceRecord(str(place), data, "", ctx.clock.now(), {}) for place, data in enumerate(sample)]
    try:
        made = functions.process(ctx, "", function_arn, arn, "", records)
    except (functions.FunctionFailed, AwsError, LookupError) as error:
        text = error.message if isinstance(error, AwsError) else str(error)
        raise errors.UnableToDetectSchemaException(f"The sample can't be processed: {text}", RawInputRecords=raw) from None
    processed = [one for one in made if isinstance(one, bytes)]
    if not processed:
        raise errors.UnableToDetectSchemaException("The function made no records of the sample.", RawInputRecords=raw)
    return processed


def _of_object(ctx: Context, bucket: str, key: str) -> list[bytes]:
    try:
        body = ctx.ports.objects.get(ctx, bucket, key, end=limits.SAMPLE_SIZE_MAX_BYTES)
    except LookupError as error:
        raise errors.InvalidArgumentException(f"s3://{bucket}/{key} can't be read: {error}") from None
    return body.splitlines(keepends=False)[: limits.SAMPLE_RECORDS_MAX]


def _of_stream(ctx: Context, role: str | None, arn: str, wanted: str) -> list[bytes]:
    service = arn.split(":", 3)[2:3]
    if service == ["firehose"]:
        _check(ctx, role, rights.READS["firehose"], arn)
        return _of_delivery_stream(ctx, arn, wanted)
    if service != ["kinesis"]:
        raise errors.InvalidArgumentException(f"{arn} is not the ARN of a Kinesis stream or a delivery stream.")
    _check(ctx, role, rights.READS["kinesis"], arn)
    source = ctx.ports.sources["kinesis"]
    where = "TRIM_HORIZON" if wanted == "TRIM_HORIZON" else "LATEST"
    try:
        places = {one.shard_id: source.start(ctx, arn, one.shard_id, where) for one in source.shards(ctx, arn)}
        return _sample(ctx, source, arn, places)
    except LookupError:
        raise errors.InvalidArgumentException(f"Stream {arn} not found.") from None


def _of_delivery_stream(ctx: Context, arn: str, wanted: str) -> list[bytes]:
    if wanted == "TRIM_HORIZON":
        raise errors.InvalidArgumentException("TRIM_HORIZON is not available for a Firehose delivery stream.")
    tap, reader = ctx.ports.taps["firehose"], f"discovery-{ctx.request_id}"
    # What is delivered while the sample is taken stays until it is; were the server killed, until the hold is over.
    until = ctx.clock.now() + 2 * limits.SAMPLE_WAIT_SECONDS
    try:
        places = {one.shard_id: tap.start(ctx, arn, one.shard_id, "LATEST") for one in tap.shards(ctx, arn)}
        for shard_id, place in places.items():
            tap.hold(ctx, arn, shard_id, reader, place, until)
        return _sample(ctx, tap, arn, places)
    except LookupError:
        raise errors.InvalidArgumentException(f"Delivery stream {arn} not found.") from None
    finally:
        tap.release(ctx, arn, reader)


def _sample(ctx: Context, source: RecordSource, arn: str, places: dict[str, str]) -> list[bytes]:
    """The first records behind the places of the shards. Who asks for NOW has some coming: they are waited for."""
    topics = [source.topic(ctx, arn, shard_id) for shard_id in places]
    sample: list[bytes] = []

    def look() -> bool:
        for shard_id, place in list(places.items()):
            batch = source.read(ctx, arn, shard_id, place, limits.SAMPLE_RECORDS_MAX, limits.SAMPLE_SIZE_MAX_BYTES)
            places[shard_id] = batch.position
            sample.extend(record.data for record in batch.records)
        return bool(sample)

    until = time.monotonic() + limits.SAMPLE_WAIT_SECONDS
    while not ctx.store.signals.wait(topics, max(0.0, min(1.0, until - time.monotonic())), look) and time.monotonic() < until:
        continue
    return sample[: limits.SAMPLE_RECORDS_MAX]
