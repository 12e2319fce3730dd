"""Operations on shards: list, split, merge."""

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
        page = naming.decode_page(next_token, "shards", ctx.clock.now_ms())
        stream_name, after, chosen = page.filter["stream"], int(page.after), page.filter["filter"]
    elif exclusive_start_shard_id is not None:
        after = _number(exclusive_start_shard_id)
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    if chosen["Type"] == "AFTER_SHARD_ID":
        after = max(after, _number(chosen.get("ShardId")))
    shards = [one for one in state.shards(ctx.tx, stream) if one.number > after and _matches(ctx, stream, one, chosen)]
    wanted = min(max_results or limits.LIST_SHARDS_DEFAULT, limits.LIST_SHARDS_DEFAULT)
    answer: dict[str, Any] = {"Shards": [shapes.shard(one) for one in shards[:wanted]]}
    if len(shards) > wanted:
        token = naming.Page(
            "shards", str(shards[wanted - 1].number), ctx.clock.now_ms(), {"stream": stream.name, "filter": chosen}
        )
        answer["NextToken"] = naming.encode(token)
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
    if kind == "AT_TRIM_HORIZON":
        time = ctx.clock.now() - stream.retention_hours * 3600
        # Shards that were opened later are children of those that were open then, unless the stream itself is younger.
        return shard.opened_at <= max(time, stream.created_at) and (shard.closed_at is None or shard.closed_at > time)
    if chosen.get("Timestamp") is None:
        raise errors.InvalidArgumentException(f"Timestamp is required for the shard filter {kind}.")
    time = float(chosen["Timestamp"])
    ended_later = shard.closed_at is None or shard.closed_at > time
    return ended_later and (kind == "FROM_TIMESTAMP" or shard.opened_at <= time)


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
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
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
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    one, other = _open(ctx, stream, shard_to_merge), _open(ctx, stream, adjacent_shard_to_merge)
    if not rules.adjacent(one.range, other.range):
        raise errors.InvalidArgumentException(
            f"Shards {one.id} and {other.id} in stream {stream.name} under account {ctx.account} are not an adjacent pair "
            "of shards eligible for merging"
        )
    span = min(one.range[0], other.range[0]), max(one.range[1], other.range[1])
    _replace(ctx, stream, (one, other), (span,))


def _open(ctx: Context, stream: state.Stream, shard_id: str) -> state.Shard:
    shard = state.shard(ctx.tx, stream, ctx.account, shard_id)
    if shard.closed_at is not None:
        raise errors.shard_closed(shard_id, stream.name, ctx.account)
    return shard


def _replace(ctx: Context, stream: state.Stream, parents: tuple[state.Shard, ...], spans: tuple[tuple[int, int], ...]) -> None:
    now = ctx.clock.now()
    for parent in parents:
        state.close_shard(ctx.tx, stream, parent, now)
    for span in spans:
        state.open_shard(ctx.tx, stream, span, now, parents=parents)
    stream.stamp = ctx.ids.hex(16)
    state.save(ctx.tx, ctx.account, ctx.region, stream)
