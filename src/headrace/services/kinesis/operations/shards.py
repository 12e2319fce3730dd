"""Operations on shards: list, split, merge, scale."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.kinesis import errors, limits, naming, rules, shapes, state


@operation(read_only=True)
def list_shards(
    ctx: Context,
    *,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    next_token: str | None = None,
    exclusive_start_shard_id: str | None = None,
    max_results: int | None = None,
    stream_creation_timestamp: float | None = None,
    shard_filter: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A page of a stream's shards: those that are kept, or those of a filter."""
    after = -1
    chosen = dict(shard_filter or {"Type": "FROM_TRIM_HORIZON"})
    if next_token is not None:
        if stream_name is not None or stream_creation_timestamp is not None:
            raise errors.InvalidArgumentException("NextToken and StreamName cannot be provided together.")
        page = naming.decode_page(ctx.settings, next_token, "shards", ctx.clock.now_ms())
        stream_name, after, chosen = page.filter["stream"], int(page.after), page.filter["filter"]
    elif exclusive_start_shard_id is not None:
        after = _number(exclusive_start_shard_id)
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    if stream_creation_timestamp is not None and int(stream_creation_timestamp) != int(stream.created_at):
        raise errors.stream_not_found(stream.name, ctx.account)
    if chosen["Type"] == "AFTER_SHARD_ID":
        after = max(after, _number(chosen.get("ShardId")))
    shards = [one for one in state.shards(ctx.tx, stream) if one.number > after and _matches(ctx, stream, one, chosen)]
    wanted = min(max_results or limits.LIST_SHARDS_DEFAULT, limits.LIST_SHARDS_DEFAULT)
    answer: dict[str, Any] = {"Shards": [shapes.shard(one) for one in shards[:wanted]]}
    if len(shards) > wanted:
        token = naming.Page(
            "shards", str(shards[wanted - 1].number), ctx.clock.now_ms(), {"stream": stream.name, "filter": chosen}
        )
        answer["NextToken"] = naming.encode(ctx.settings, token)
    return answer


def _number(shard_id: str | None) -> int:
    number = rules.shard_number(shard_id or "")
    if number is None:
        raise errors.InvalidArgumentException(f"{shard_id} is not the id of a shard.")
    return number


def _matches(ctx: Context, stream: state.Stream, shard: state.Shard, chosen: dict[str, Any]) -> bool:
    """Whether a shard is among those that a ShardFilter means."""
    kind = chosen["Type"]
    if kind in ("AFTER_SHARD_ID", "FROM_TRIM_HORIZON"):
        return True
    if kind == "AT_LATEST":
        return shard.closed_at is None
    # Shards that were opened later are children of those that were open then, unless the stream itself is younger.
    oldest = max(ctx.clock.now() - stream.retention_hours * 3600, stream.created_at)
    if kind == "AT_TRIM_HORIZON":
        return _open_at(shard, oldest)
    if chosen.get("Timestamp") is None:
        raise errors.InvalidArgumentException(f"Timestamp is required for the shard filter {kind}.")
    time = max(float(chosen["Timestamp"]), oldest)
    return _open_at(shard, time) if kind == "AT_TIMESTAMP" else shard.closed_at is None or shard.closed_at >= time


def _open_at(shard: state.Shard, time: float) -> bool:
    return shard.opened_at <= time and (shard.closed_at is None or shard.closed_at > time)


@operation
def split_shard(
    ctx: Context,
    *,
    shard_to_split: str,
    new_starting_hash_key: str,
    stream_name: str | None = None,
    stream_arn: str | None = None,
) -> None:
    """Split one open shard in two at a hash key.

    Differs from AWS: both children are open at once, without an UPDATING pause.
    """
    stream = _provisioned(ctx, stream_name, stream_arn, "SplitShard")
    parent = _open(ctx, stream, shard_to_split)
    start, end = parent.range
    middle = int(new_starting_hash_key)
    if not rules.can_split(start, end, middle):
        raise errors.InvalidArgumentException(
            f"NewStartingHashKey {middle} used in SplitShard() on shard {parent.id} in stream {stream.name} under account "
            f"{ctx.account} is not both greater than one plus the shard's StartingHashKey {start} and less than the shard's "
            f"EndingHashKey {end - 1}."
        )
    _replace(ctx, stream, (parent,), ((start, middle - 1), (middle, end)))


@operation
def merge_shards(
    ctx: Context,
    *,
    shard_to_merge: str,
    adjacent_shard_to_merge: str,
    stream_name: str | None = None,
    stream_arn: str | None = None,
) -> None:
    """Merge two open shards whose hash ranges touch.

    Differs from AWS: the child is open at once, without an UPDATING pause.
    """
    stream = _provisioned(ctx, stream_name, stream_arn, "MergeShards")
    one, other = _open(ctx, stream, shard_to_merge), _open(ctx, stream, adjacent_shard_to_merge)
    if not rules.adjacent(one.range, other.range):
        raise errors.InvalidArgumentException(
            f"Shards {one.id} and {other.id} in stream {stream.name} under account {ctx.account} are not an adjacent pair "
            "of shards eligible for merging"
        )
    span = min(one.range[0], other.range[0]), max(one.range[1], other.range[1])
    _replace(ctx, stream, (one, other), (span,))


@operation
def update_shard_count(
    ctx: Context,
    *,
    target_shard_count: int,
    scaling_type: str,
    stream_name: str | None = None,
    stream_arn: str | None = None,
) -> dict[str, Any]:
    """Split and merge shards until there are so many of one size: at most twice as many as now, or half, ten times a day.

    Differs from AWS: they are there at once, without an UPDATING pause; a stream that has as many of one size is left as it is.
    """
    stream = _provisioned(ctx, stream_name, stream_arn, "UpdateShardCount")
    now = ctx.clock.now()
    current = sum(shard.closed_at is None for shard in state.shards(ctx.tx, stream))
    _check_scaling(ctx, stream, current, target_shard_count)
    stream.scaled_at = [at for at in stream.scaled_at if at > now - limits.SCALINGS_SECONDS]
    if len(stream.scaled_at) >= limits.SCALINGS_MAX:
        raise errors.LimitExceededException(
            f"Stream {stream.name} under account {ctx.account} has been scaled {limits.SCALINGS_MAX} times within 24 hours, "
            "which is the limit of UpdateShardCount."
        )
    stream.scaled_at.append(now)
    state.scale(ctx.tx, stream, target_shard_count, now)
    _save(ctx, stream)
    return {
        "StreamName": stream.name,
        "StreamARN": state.stream_arn(ctx.account, ctx.region, stream.name),
        "CurrentShardCount": current,
        "TargetShardCount": target_shard_count,
    }


def _check_scaling(ctx: Context, stream: state.Stream, current: int, target: int) -> None:
    counts = f"Current open shard count: {current} Target shard count: {target}"
    if target > limits.SHARDS_PER_STREAM_MAX:
        raise errors.LimitExceededException(
            f"UpdateShardCount cannot scale stream {stream.name} under account {ctx.account} to more than "
            f"{limits.SHARDS_PER_STREAM_MAX} shards. {counts}"
        )
    if target > current * limits.SCALING_FACTOR_MAX:
        raise errors.InvalidArgumentException(
            f"UpdateShardCount cannot scale up over double your current open shard count. {counts}"
        )
    if target * limits.SCALING_FACTOR_MAX < current:
        raise errors.InvalidArgumentException(
            f"UpdateShardCount cannot scale down below half your current open shard count. {counts}"
        )


def _open(ctx: Context, stream: state.Stream, shard_id: str) -> state.Shard:
    shard = state.shard(ctx.tx, stream, ctx.account, shard_id)
    if shard.closed_at is not None:
        raise errors.shard_closed(shard_id, stream.name, ctx.account)
    return shard


def _replace(ctx: Context, stream: state.Stream, parents: tuple[state.Shard, ...], spans: tuple[tuple[int, int], ...]) -> None:
    state.replace_shards(ctx.tx, stream, parents, spans, ctx.clock.now())
    _save(ctx, stream)


def _save(ctx: Context, stream: state.Stream) -> None:
    stream.stamp = ctx.ids.hex(16)
    state.save(ctx.tx, ctx.account, ctx.region, stream)


def _provisioned(ctx: Context, name: str | None, arn: str | None, operation: str) -> state.Stream:
    """The stream of a request, if its shards are its owner's business."""
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, name, arn))
    if stream.on_demand:
        raise errors.only_provisioned(operation, stream.name, ctx.account)
    return stream
