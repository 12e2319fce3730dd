"""Operations on the settings of a stream (mode, size and distribution of records, throughput, metrics) and of the account."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.kinesis import commitment, errors, limits, metering, naming, shapes, state


def _find(ctx: Context, name: str | None, arn: str | None) -> state.Stream:
    return state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, name, arn))


@operation
def update_stream_mode(
    ctx: Context, *, stream_arn: str, stream_mode_details: dict[str, Any], warm_throughput_mi_bps: int | None = None
) -> None:
    """Set a stream's mode.

    Differs from AWS: it decides which operations are allowed, and changes no shard; a stream may change as often as it likes.
    """
    stream = _find(ctx, None, stream_arn)
    stream.mode = stream_mode_details["StreamMode"]
    if not stream.on_demand:
        stream.distribution, stream.warm_mibps = state.BY_KEY, None
    if warm_throughput_mi_bps is not None:
        commitment.warm_up(ctx, stream, warm_throughput_mi_bps)
    state.save(ctx.tx, ctx.account, ctx.region, stream)


@operation
def update_max_record_size(ctx: Context, *, max_record_size_in_ki_b: int, stream_arn: str | None = None) -> None:
    """Set the size that a record of the stream may have."""
    stream = _find(ctx, None, stream_arn)
    stream.record_size_max_kib = max_record_size_in_ki_b
    state.save(ctx.tx, ctx.account, ctx.region, stream)


@operation
def update_stream_record_distribution_strategy(ctx: Context, *, stream_arn: str, record_distribution_strategy: str) -> None:
    """Let records go to the shards of an on-demand stream by their keys, or (AUTO) to each shard in turn."""
    stream = _find(ctx, None, stream_arn)
    set_distribution(ctx, stream, record_distribution_strategy)
    state.save(ctx.tx, ctx.account, ctx.region, stream)


def set_distribution(ctx: Context, stream: state.Stream, strategy: str) -> None:
    """Set how records find their shards; InvalidArgumentException for AUTO in a provisioned stream."""
    if strategy == state.EVENLY and not stream.on_demand:
        raise errors.only_on_demand(f"RecordDistributionStrategy {strategy}", stream.name, ctx.account)
    stream.distribution = strategy


@operation
def update_stream_warm_throughput(
    ctx: Context, *, warm_throughput_mi_bps: int, stream_arn: str | None = None, stream_name: str | None = None
) -> dict[str, Any]:
    """Give an on-demand stream a shard for each MiB a second that it shall take (more or fewer than before).

    Differs from AWS: they are there at once, so current and target throughput are the same.
    """
    stream = _find(ctx, stream_name, stream_arn)
    commitment.warm_up(ctx, stream, warm_throughput_mi_bps)
    state.save(ctx.tx, ctx.account, ctx.region, stream)
    return {
        "StreamARN": state.stream_arn(ctx.account, ctx.region, stream.name),
        "StreamName": stream.name,
        "WarmThroughput": shapes.warm_throughput(stream),
    }


@operation(read_only=True)
def describe_account_settings(ctx: Context) -> dict[str, Any]:
    """The account's commitment to a minimum of throughput, in this region."""
    return {"MinimumThroughputBillingCommitment": commitment.shape(ctx)}


@operation
def update_account_settings(ctx: Context, *, minimum_throughput_billing_commitment: dict[str, Any]) -> dict[str, Any]:
    """Commit the account to a minimum of throughput, for a day at least, or end that. It allows warm throughput.

    Differs from AWS: nothing is billed.
    """
    if minimum_throughput_billing_commitment["Status"] == "ENABLED":
        commitment.begin(ctx)
    else:
        commitment.end(ctx)
    return {"MinimumThroughputBillingCommitment": commitment.shape(ctx)}


@operation(read_only=True)
def describe_limits(ctx: Context) -> dict[str, Any]:
    """How many shards and on-demand streams the account has in the region, and may have."""
    streams = [stream for _, stream in state.STREAMS.scan(ctx.tx, ctx.account, ctx.region)]
    return {
        "ShardLimit": limits.SHARDS_PER_ACCOUNT_SHOWN,
        "OpenShardCount": sum(len(state.route(ctx.tx, ctx.account, ctx.region, stream.name).shards) for stream in streams),
        "OnDemandStreamCount": sum(stream.on_demand for stream in streams),
        "OnDemandStreamCountLimit": limits.ON_DEMAND_STREAMS_SHOWN,
    }


@operation
def enable_enhanced_monitoring(
    ctx: Context, *, shard_level_metrics: list[str], stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """Count metrics for each shard, too: they are found in CloudWatch under AWS/Kinesis, with StreamName and ShardId."""
    stream = _find(ctx, stream_name, stream_arn)
    return _set_metrics(ctx, stream, {*stream.metrics, *_chosen(shard_level_metrics)})


@operation
def disable_enhanced_monitoring(
    ctx: Context, *, shard_level_metrics: list[str], stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """Count metrics for each shard no longer."""
    stream = _find(ctx, stream_name, stream_arn)
    return _set_metrics(ctx, stream, set(stream.metrics) - _chosen(shard_level_metrics))


def _chosen(names: list[str]) -> set[str]:
    return set(metering.SHARD_METRICS) if "ALL" in names else set(names)


def _set_metrics(ctx: Context, stream: state.Stream, wanted: set[str]) -> dict[str, Any]:
    before, stream.metrics = stream.metrics, [name for name in metering.SHARD_METRICS if name in wanted]
    state.save(ctx.tx, ctx.account, ctx.region, stream)
    return {
        "StreamName": stream.name,
        "StreamARN": state.stream_arn(ctx.account, ctx.region, stream.name),
        "CurrentShardLevelMetrics": before,
        "DesiredShardLevelMetrics": stream.metrics,
    }
