"""Operations on what a stream may do: its mode, the size of its records, the account's limits."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.kinesis import limits, naming, state


@operation
def update_stream_mode(ctx: Context, *, stream_arn: str, stream_mode_details: dict[str, Any]) -> None:
    """Set a stream's mode.

    Differs from AWS: the mode is kept and shown, and changes nothing, as neither mode has a limit of throughput.
    """
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, None, stream_arn))
    stream.mode = stream_mode_details["StreamMode"]
    state.save(ctx.tx, ctx.account, ctx.region, stream)


@operation
def update_max_record_size(ctx: Context, *, max_record_size_in_ki_b: int, stream_arn: str | None = None) -> None:
    """Set the size that a record of the stream may have."""
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, None, stream_arn))
    stream.record_size_max_kib = max_record_size_in_ki_b
    state.save(ctx.tx, ctx.account, ctx.region, stream)


@operation(read_only=True)
def describe_limits(ctx: Context) -> dict[str, Any]:
    """How many shards and on-demand streams the account has in the region, and may have."""
    streams = [stream for _, stream in state.STREAMS.scan(ctx.tx, ctx.account, ctx.region)]
    return {
        "ShardLimit": limits.SHARDS_PER_ACCOUNT_SHOWN,
        "OpenShardCount": sum(len(state.route(ctx.tx, ctx.account, ctx.region, stream.name).shards) for stream in streams),
        "OnDemandStreamCount": sum(stream.mode == "ON_DEMAND" for stream in streams),
        "OnDemandStreamCountLimit": limits.ON_DEMAND_STREAMS_SHOWN,
    }
