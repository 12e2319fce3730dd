"""Operations on the tags of streams."""

from collections.abc import Mapping
from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.kinesis import errors, fanout_state, limits, naming, rules, state


@operation
def add_tags_to_stream(
    ctx: Context, *, tags: dict[str, str], stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """Add tags to a stream, or give new values to those that are there."""
    _add(ctx, _arn(ctx, stream_name, stream_arn), tags)


@operation
def remove_tags_from_stream(
    ctx: Context, *, tag_keys: list[str], stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """Take tags away from a stream."""
    _remove(ctx, _arn(ctx, stream_name, stream_arn), tag_keys)


@operation(read_only=True)
def list_tags_for_stream(
    ctx: Context,
    *,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    exclusive_start_tag_key: str | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """A page of a stream's tags, by key."""
    tags = tag_rows.get(ctx.tx, _arn(ctx, stream_name, stream_arn))
    keys = sorted(key for key in tags if key > (exclusive_start_tag_key or ""))
    wanted = limit or limits.LIST_TAGS_DEFAULT
    return {
        "Tags": [{"Key": key, "Value": tags[key]} for key in keys[:wanted]],
        "HasMoreTags": len(keys) > wanted,
    }


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: dict[str, str]) -> None:
    """Add tags to the stream or consumer of an ARN."""
    _add(ctx, _arn(ctx, None, resource_arn), tags)


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_keys: list[str]) -> None:
    """Take tags away from the stream or consumer of an ARN."""
    _remove(ctx, _arn(ctx, None, resource_arn), tag_keys)


@operation(read_only=True)
def list_tags_for_resource(ctx: Context, *, resource_arn: str) -> dict[str, Any]:
    """The tags of the stream or consumer of an ARN."""
    tags = tag_rows.get(ctx.tx, _arn(ctx, None, resource_arn))
    return {"Tags": tag_rows.to_list(dict(sorted(tags.items())))}


def _arn(ctx: Context, name: str | None, arn: str | None) -> str:
    """The ARN under which the tags lie: a stream's, or that of one of its consumers."""
    if arn is not None and "/consumer/" in arn:
        return fanout_state.find(ctx.tx, ctx, None, None, arn)[1].arn
    found = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, name, arn))
    return state.stream_arn(ctx.account, ctx.region, found.name)


def _add(ctx: Context, arn: str, tags: Mapping[str, str]) -> None:
    if len({**tag_rows.get(ctx.tx, arn), **tags}) > limits.TAGS_PER_STREAM_MAX:
        raise errors.InvalidArgumentException(f"A stream has {limits.TAGS_PER_STREAM_MAX} tags at most.")
    tag_rows.add(ctx.tx, arn, tags)
    _heed(ctx, arn)


def _remove(ctx: Context, arn: str, keys: list[str]) -> None:
    tag_rows.remove(ctx.tx, arn, keys)
    _heed(ctx, arn)


def _heed(ctx: Context, arn: str) -> None:
    """One tag says whether AWS's limits hold for the stream; its row has it for whoever puts records."""
    if "/consumer/" in arn:
        return
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, None, arn))
    enforced = rules.enforced(tag_rows.get(ctx.tx, arn))
    if enforced != stream.enforced:
        stream.enforced = enforced
        state.save(ctx.tx, ctx.account, ctx.region, stream)
