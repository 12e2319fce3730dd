"""Finds the schema of a stream or of an object by a sample of it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import SourceRecord
from headrace.services.analytics import configuration, errors, functions, limits
from headrace.services.analytics.checking import CHECKER
from headrace.services.analytics.engine.schema import SqlError


def discover(
    ctx: Context, arn: str | None, position: Mapping[str, str] | None, s3: Mapping[str, str] | None, processing: Any
) -> dict[str, Any]:
    """The schema of a sample, and the sample parsed by it; UnableToDetectSchemaException."""
    if (arn is None) == (s3 is None):
        raise errors.InvalidArgumentException("Exactly one of ResourceARN and S3Configuration must be given.")
    if s3 is not None:
        sample = _of_object(ctx, s3["BucketARN"].rpartition(":")[2], s3["FileKey"])
    else:
        wanted = (position or {}).get("InputStartingPosition", "NOW")
        sample = _of_stream(ctx, str(arn), wanted)
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


def _of_stream(ctx: Context, arn: str, wanted: str) -> list[bytes]:
    if arn.split(":", 3)[2:3] != ["kinesis"]:
        raise errors.InvalidArgumentException(f"{arn} is not the ARN of a Kinesis stream.")
    source = ctx.ports.sources["kinesis"]
    where = "TRIM_HORIZON" if wanted == "TRIM_HORIZON" else "LATEST"
    try:
        places = {one.shard_id: source.start(ctx, arn, one.shard_id, where) for one in source.shards(ctx, arn)}
        topics = [source.topic(ctx, arn, shard_id) for shard_id in places]
    except LookupError:
        raise errors.InvalidArgumentException(f"Stream {arn} not found.") from None
    sample: list[bytes] = []

    def look() -> bool:
        for shard_id, place in list(places.items()):
            batch = source.read(ctx, arn, shard_id, place, limits.SAMPLE_RECORDS_MAX, limits.SAMPLE_SIZE_MAX_BYTES)
            places[shard_id] = batch.position
            sample.extend(record.data for record in batch.records)
        return bool(sample)

    # Who asks for NOW has records coming: the first of them are waited for.
    until = time.monotonic() + limits.SAMPLE_WAIT_SECONDS
    while not ctx.store.signals.wait(topics, max(0.0, min(1.0, until - time.monotonic())), look) and time.monotonic() < until:
        continue
    return sample[: limits.SAMPLE_RECORDS_MAX]
