"""Operations on the tags of queues."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.sqs import errors, limits, state


@operation(read_only=True)
def list_queue_tags(ctx: Context, *, queue_url: str) -> dict[str, Any]:
    """The tags of a queue."""
    return {"Tags": tag_rows.get(ctx.tx, state.find(ctx, queue_url).arn) or None}


@operation
def tag_queue(ctx: Context, *, queue_url: str, tags: dict[str, str]) -> None:
    """Add tags to a queue."""
    if len(tag_rows.add(ctx.tx, state.find(ctx, queue_url).arn, tags)) > limits.TAGS_MAX:
        raise errors.InvalidParameterValue(f"Too many tags added for queue. At most {limits.TAGS_MAX} are allowed.")


@operation
def untag_queue(ctx: Context, *, queue_url: str, tag_keys: list[str]) -> None:
    """Take tags from a queue."""
    tag_rows.remove(ctx.tx, state.find(ctx, queue_url).arn, tag_keys)
