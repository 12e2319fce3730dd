"""Operations on the tags of streams."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.video import errors, limits, state


@operation
def tag_stream(ctx: Context, *, tags: dict[str, str], stream_arn: str | None = None, stream_name: str | None = None) -> None:
    """Add tags to a stream, or give new values to those that are there."""
    arn = state.find_stream(ctx, stream_name, stream_arn).arn
    if len({**tag_rows.get(ctx.tx, arn), **tags}) > limits.TAGS_MAX:
        raise errors.TagsPerResourceExceededLimitException(f"A stream has {limits.TAGS_MAX} tags at most.")
    tag_rows.add(ctx.tx, arn, tags)


@operation
def untag_stream(ctx: Context, *, tag_key_list: list[str], stream_arn: str | None = None, stream_name: str | None = None) -> None:
    """Take tags away from a stream."""
    tag_rows.remove(ctx.tx, state.find_stream(ctx, stream_name, stream_arn).arn, tag_key_list)


@operation(read_only=True, accepts=("next_token",))
def list_tags_for_stream(ctx: Context, *, stream_arn: str | None = None, stream_name: str | None = None) -> dict[str, Any]:
    """All tags of a stream: there are 50 at most, so one page holds them, and there is no NextToken."""
    tags = tag_rows.get(ctx.tx, state.find_stream(ctx, stream_name, stream_arn).arn)
    return {"Tags": dict(sorted(tags.items()))}
