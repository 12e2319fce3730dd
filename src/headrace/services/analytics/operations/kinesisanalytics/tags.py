"""Tags of applications."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import tagging


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: list[dict[str, Any]]) -> None:
    """Add tags to an application."""
    tagging.add(ctx, resource_arn, tags)


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_keys: list[str]) -> None:
    """Take tags away from an application."""
    tagging.remove(ctx, resource_arn, tag_keys)


@operation(read_only=True)
def list_tags_for_resource(ctx: Context, *, resource_arn: str) -> dict[str, Any]:
    """An application's tags."""
    return {"Tags": tagging.of(ctx, resource_arn)}
