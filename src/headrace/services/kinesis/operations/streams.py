"""Operations on streams: create, describe, list, delete, retention."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.kinesis import commitment, errors, fanout_state, limits, naming, rules, sealing, shapes, state
from headrace.services.kinesis.operations import settings


@operation
def create_stream(
    ctx: Context,
    *,
    stream_name: str,
    shard_count: int | None = None,
    stream_mode_details: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
    max_record_size_in_ki_b: int | None = None,
    warm_throughput_mi_bps: int | None = None,
    record_distribution_strategy: str | None = None,
) -> None:
    """Create a stream.

    Differs from AWS: it is ACTIVE at once. An on-demand stream keeps 4 shards, or as many as its warm throughput asks for.
    """
    mode = (stream_mode_details or {}).get("StreamMode", state.MODE_PROVISIONED)
    if mode == state.MODE_ON_DEMAND and shard_count is not None:
        raise ValidationException("ShardCount must not be specified for a stream in ON_DEMAND mode.")
    if mode == state.MODE_PROVISIONED and shard_count is None:
        raise ValidationException("ShardCount is required for a stream in PROVISIONED mode.")
    count = shard_count or limits.SHARDS_ON_DEMAND
    if count > limits.SHARDS_PER_STREAM_MAX:
        raise errors.LimitExceededException(f"A stream has {limits.SHARDS_PER_STREAM_MAX} shards at most.")
    if state.STREAMS.get(ctx.tx, ctx.account, ctx.region, stream_name) is not None:
        raise errors.stream_exists(stream_name, ctx.account)
    now = ctx.clock.now()
    stream = state.Stream(
        stream_name, ctx.ids.hex(24), mode, now, 0,
        record_size_max_kib=max_record_size_in_ki_b or limits.RECORD_SIZE_DEFAULT_KIB,
    )  # fmt: skip
    if record_distribution_strategy is not None:
        settings.set_distribution(ctx, stream, record_distribution_strategy)
    if warm_throughput_mi_bps is not None:
        count = commitment.check(ctx, stream, warm_throughput_mi_bps)
        stream.warm_mibps = warm_throughput_mi_bps
    stream.enforced = rules.enforced(tags or {})
    for span in rules.even_ranges(count):
        state.open_shard(ctx.tx, stream, span, now)
    state.save(ctx.tx, ctx.account, ctx.region, stream)
    if tags:
        tag_rows.add(ctx.tx, state.stream_arn(ctx.account, ctx.region, stream_name), tags)


@operation
def delete_stream(
    ctx: Context,
    *,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    enforce_consumer_deletion: bool | None = None,
) -> None:
    """Delete a stream with its records; one that has consumers, only when their deletion is enforced.

    Differs from AWS: it is gone at once, without a DELETING state.
    """
    name = naming.stream_name(ctx, stream_name, stream_arn)
    stream = state.find(ctx.tx, ctx.account, ctx.region, name)
    if not enforce_consumer_deletion and fanout_state.count(ctx.tx, stream):
        raise errors.ResourceInUseException(
            f"Stream {name} under account {ctx.account} still has consumers. Deregister them, or set EnforceConsumerDeletion."
        )
    fanout_state.remove_all(ctx.tx, stream)
    sealing.forget(ctx.tx, stream.data_keys)
    numbers = [shard.number for shard in state.shards(ctx.tx, stream)]
    state.DOOMED.put(ctx.tx, state.Doomed(numbers), stream.id)
    state.SHARDS.delete_all(ctx.tx, stream.id)
    state.STREAMS.delete(ctx.tx, ctx.account, ctx.region, name)
    arn = state.stream_arn(ctx.account, ctx.region, name)
    tag_rows.drop(ctx.tx, arn)
    state.drop_policy(ctx.tx, arn)
    ctx.tx.announce(state.DOOMED_TOPIC)


@operation(read_only=True)
def describe_stream(
    ctx: Context,
    *,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    limit: int | None = None,
    exclusive_start_shard_id: str | None = None,
) -> dict[str, Any]:
    """A stream's settings and a page of its shards."""
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    wanted = min(limit or limits.DESCRIBE_SHARDS_DEFAULT, limits.DESCRIBE_SHARDS_DEFAULT)
    after = -1 if exclusive_start_shard_id is None else rules.shard_number(exclusive_start_shard_id)
    if after is None:
        raise errors.shard_not_found(exclusive_start_shard_id or "", stream.name, ctx.account)
    page = state.SHARDS.scan(ctx.tx, stream.id, after=(stream.id, after), limit=wanted + 1)
    shards = [shapes.shard(shard) for _, shard in page]
    return {
        "StreamDescription": {
            **shapes.description(ctx.account, ctx.region, stream),
            "Shards": shards[:wanted],
            "HasMoreShards": len(shards) > wanted,
        }
    }


@operation(read_only=True)
def describe_stream_summary(ctx: Context, *, stream_name: str | None = None, stream_arn: str | None = None) -> dict[str, Any]:
    """A stream's settings, without its shards."""
    route = state.route(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    stream = route.stream
    summary = {
        **shapes.description(ctx.account, ctx.region, stream),
        "OpenShardCount": len(route.shards),
        "ConsumerCount": fanout_state.count(ctx.tx, stream),
        "MaxRecordSizeInKiB": stream.record_size_max_kib,
    }
    if stream.on_demand:
        summary["RecordDistributionStrategy"] = stream.distribution
    if stream.warm_mibps is not None:
        summary["WarmThroughput"] = shapes.warm_throughput(stream)
    return {"StreamDescriptionSummary": summary}


@operation(read_only=True)
def list_streams(
    ctx: Context, *, limit: int | None = None, exclusive_start_stream_name: str | None = None, next_token: str | None = None
) -> dict[str, Any]:
    """The streams of the account and region, by name."""
    wanted = min(limit or limits.LIST_STREAMS_DEFAULT, limits.LIST_STREAMS_DEFAULT)
    start = exclusive_start_stream_name or ""
    if next_token is not None:
        start = naming.decode_page(ctx.settings, next_token, "streams", ctx.clock.now_ms()).after
    rows = state.STREAMS.scan(ctx.tx, ctx.account, ctx.region, after=(ctx.account, ctx.region, start), limit=wanted + 1)
    streams = [stream for _, stream in rows]
    answer: dict[str, Any] = {
        "StreamNames": [stream.name for stream in streams[:wanted]],
        "HasMoreStreams": len(streams) > wanted,
        "StreamSummaries": [_summary(ctx, stream) for stream in streams[:wanted]],
    }
    if len(streams) > wanted:
        answer["NextToken"] = naming.encode(ctx.settings, naming.Page("streams", streams[wanted - 1].name, ctx.clock.now_ms()))
    return answer


def _summary(ctx: Context, stream: state.Stream) -> dict[str, Any]:
    whole = shapes.description(ctx.account, ctx.region, stream)
    return {
        name: whole[name] for name in ("StreamName", "StreamARN", "StreamStatus", "StreamModeDetails", "StreamCreationTimestamp")
    }


@operation
def increase_stream_retention_period(
    ctx: Context, *, retention_period_hours: int, stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """Keep records longer. Records that were trimmed before do not come back."""
    stream = _with_retention(ctx, naming.stream_name(ctx, stream_name, stream_arn), retention_period_hours)
    if retention_period_hours < stream.retention_hours:
        raise errors.InvalidArgumentException(
            f"Requested retention period ({retention_period_hours} hours) for stream {stream.name} can not be shorter than "
            f"existing retention period ({stream.retention_hours} hours). Use DecreaseRetentionPeriod API."
        )
    stream.retention_hours = retention_period_hours
    state.save(ctx.tx, ctx.account, ctx.region, stream)


@operation
def decrease_stream_retention_period(
    ctx: Context, *, retention_period_hours: int, stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """Keep records less long. What is older is trimmed within a minute."""
    stream = _with_retention(ctx, naming.stream_name(ctx, stream_name, stream_arn), retention_period_hours)
    if retention_period_hours > stream.retention_hours:
        raise errors.InvalidArgumentException(
            f"Requested retention period ({retention_period_hours} hours) for stream {stream.name} can not be longer than "
            f"existing retention period ({stream.retention_hours} hours). Use IncreaseRetentionPeriod API."
        )
    stream.retention_hours = retention_period_hours
    state.save(ctx.tx, ctx.account, ctx.region, stream)


def _with_retention(ctx: Context, name: str, hours: int) -> state.Stream:
    if hours < limits.RETENTION_DEFAULT_HOURS:
        raise errors.InvalidArgumentException(
            f"Minimum allowed retention period is {limits.RETENTION_DEFAULT_HOURS} hours. "
            f"Requested retention period ({hours} hours) is too short."
        )
    if hours > limits.RETENTION_MAX_HOURS:
        raise errors.InvalidArgumentException(
            f"Maximum allowed retention period is {limits.RETENTION_MAX_HOURS} hours. "
            f"Requested retention period ({hours} hours) is too long."
        )
    return state.find(ctx.tx, ctx.account, ctx.region, name)
