"""Operations on the tags of delivery streams."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.firehose import errors, limits, state


@operation
def tag_delivery_stream(ctx: Context, *, delivery_stream_name: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a delivery stream, or give new values to those that are there."""
    arn = _arn(ctx, delivery_stream_name)
    given = tag_rows.from_list(tags)
    if len({**tag_rows.get(ctx.tx, arn), **given}) > limits.TAGS_PER_STREAM_MAX:
        raise errors.LimitExceededException(f"A delivery stream has {limits.TAGS_PER_STREAM_MAX} tags at most.")
    tag_rows.add(ctx.tx, arn, given)


@operation
def untag_delivery_stream(ctx: Context, *, delivery_stream_name: str, tag_keys: list[str]) -> None:
    """Take tags away from a delivery stream."""
    tag_rows.remove(ctx.tx, _arn(ctx, delivery_stream_name), tag_keys)


@operation(read_only=True)
def list_tags_for_delivery_stream(
    ctx: Context, *, delivery_stream_name: str, exclusive_start_tag_key: str | None = None, limit: int | None = None
) -> dict[str, Any]:
    """A page of a delivery stream's tags, by key."""
    tags = tag_rows.get(ctx.tx, _arn(ctx, delivery_stream_name))
    keys = sorted(key for key in tags if key > (exclusive_start_tag_key or ""))
    wanted = limit or limits.LIST_TAGS_DEFAULT
    return {"Tags": [{"Key": key, "Value": tags[key]} for key in keys[:wanted]], "HasMoreTags": len(keys) > wanted}


def _arn(ctx: Context, name: str) -> str:
    return state.stream_arn(ctx.account, ctx.region, state.find(ctx.tx, ctx.account, ctx.region, name).name)
