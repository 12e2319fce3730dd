"""Tags of applications."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit import arn as arns
from headrace.layers import tags
from headrace.operation import Context
from headrace.services.analytics import errors, limits, state


def add(ctx: Context, arn: str, given: Sequence[Mapping[str, Any]]) -> None:
    """Add tags to an application."""
    _check(ctx, arn)
    named = tags.from_list(given)
    if len({**tags.get(ctx.tx, arn), **named}) > limits.TAGS_MAX:
        raise errors.TooManyTagsException(f"An application has at most {limits.TAGS_MAX} tags.")
    tags.add(ctx.tx, arn, named)


def remove(ctx: Context, arn: str, keys: Sequence[str]) -> None:
    """Take tags away."""
    _check(ctx, arn)
    tags.remove(ctx.tx, arn, keys)


def of(ctx: Context, arn: str) -> list[dict[str, str]]:
    """An application's tags."""
    _check(ctx, arn)
    return tags.to_list(tags.get(ctx.tx, arn))


def _check(ctx: Context, arn: str) -> None:
    where = arns.parse(arn)
    if where.account != ctx.account or where.region != ctx.region:
        raise errors.application_not_found(arn, ctx.account)
    state.find(ctx, where.resource.removeprefix("application/"))
