"""The account's commitment to a minimum of throughput, and the warm throughput of on-demand streams that it allows."""

from typing import Any

from headrace.operation import Context
from headrace.services.kinesis import errors, limits, state


def begin(ctx: Context) -> None:
    """Commit the account; a commitment that runs goes on as it was, without an end."""
    held = state.ACCOUNTS.get(ctx.tx, ctx.account, ctx.region)
    if held is not None and _runs(ctx, held):
        held.ends_at = None
    else:
        held = state.Account(ctx.clock.now())
    state.ACCOUNTS.put(ctx.tx, held, ctx.account, ctx.region)


def end(ctx: Context) -> None:
    """End the commitment: now, or when its first day is over."""
    held = state.ACCOUNTS.get(ctx.tx, ctx.account, ctx.region)
    if held is not None and held.ends_at is None:
        held.ends_at = max(ctx.clock.now(), held.started_at + limits.COMMITMENT_SECONDS)
        state.ACCOUNTS.put(ctx.tx, held, ctx.account, ctx.region)


def shape(ctx: Context) -> dict[str, Any]:
    """The shape MinimumThroughputBillingCommitmentOutput."""
    held = state.ACCOUNTS.get(ctx.tx, ctx.account, ctx.region)
    if held is None:
        return {"Status": "DISABLED"}
    earliest = held.started_at + limits.COMMITMENT_SECONDS
    if not _runs(ctx, held):
        return {"Status": "DISABLED", "StartedAt": held.started_at, "EndedAt": held.ends_at}
    status = "ENABLED" if held.ends_at is None else "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
    return {"Status": status, "StartedAt": held.started_at, "EarliestAllowedEndAt": earliest}


def check(ctx: Context, stream: state.Stream, mibps: int) -> int:
    """How many shards an on-demand stream needs to take so many MiB a second.

    InvalidArgumentException: not on demand, or the account made no commitment. LimitExceededException: too much.
    """
    if not stream.on_demand:
        raise errors.only_on_demand("Warm throughput", stream.name, ctx.account)
    held = state.ACCOUNTS.get(ctx.tx, ctx.account, ctx.region)
    if held is None or not _runs(ctx, held):
        raise errors.InvalidArgumentException(
            "Warm throughput is only supported in accounts that have MinimumThroughputBillingCommitment enabled."
        )
    if mibps > limits.WARM_THROUGHPUT_MAX_MIBPS:
        raise errors.LimitExceededException(
            f"WarmThroughputMiBps {mibps} is more than the limit of {limits.WARM_THROUGHPUT_MAX_MIBPS} MiB per second."
        )
    return min(max(mibps, limits.SHARDS_ON_DEMAND), limits.SHARDS_PER_STREAM_MAX)


def warm_up(ctx: Context, stream: state.Stream, mibps: int) -> None:
    """Let an on-demand stream take so many MiB a second at once; its row is saved later. Errors: see `check`."""
    state.scale(ctx.tx, stream, check(ctx, stream, mibps), ctx.clock.now())
    stream.warm_mibps = mibps
    stream.stamp = ctx.ids.hex(16)


def _runs(ctx: Context, held: state.Account) -> bool:
    return held.ends_at is None or ctx.clock.now() < held.ends_at
