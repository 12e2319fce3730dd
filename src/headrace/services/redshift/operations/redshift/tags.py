"""Tags of clusters."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.redshift import errors, limits, rules, state

Structure = dict[str, Any]


def _existing(ctx: Context, arn: str) -> str:
    prefix, _, identifier = arn.rpartition("cluster:")
    if not prefix or state.CLUSTERS.get(ctx.tx, ctx.account, ctx.region, identifier) is None:
        raise errors.ResourceNotFoundFault(f"The resource {arn} does not exist.")
    if arn != state.cluster_arn(ctx.account, ctx.region, identifier):
        raise errors.ResourceNotFoundFault(f"The resource {arn} does not exist.")
    return arn


@operation
def create_tags(ctx: Context, *, resource_name: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a cluster, or give new values to those that are there."""
    added = tag_rows.from_list(tags)
    if any(not key or key.startswith("aws:") for key in added):
        raise errors.InvalidTagFault("A tag key must not be empty and must not begin with aws:.")
    if len(tag_rows.add(ctx.tx, _existing(ctx, resource_name), added)) > limits.TAGS_MAX:
        raise errors.TagLimitExceededFault(f"A resource can have {limits.TAGS_MAX} tags.")


@operation
def delete_tags(ctx: Context, *, resource_name: str, tag_keys: list[str]) -> None:
    """Take tags away from a cluster."""
    tag_rows.remove(ctx.tx, _existing(ctx, resource_name), tag_keys)


@operation(read_only=True, accepts=("max_records", "marker"))
def describe_tags(
    ctx: Context,
    *,
    resource_name: str | None = None,
    resource_type: str | None = None,
    tag_keys: list[str] | None = None,
    tag_values: list[str] | None = None,
) -> Structure:
    """All tags of the clusters, in one page: only clusters have tags here."""
    if resource_type not in (None, "cluster"):
        return {"TaggedResources": []}
    if resource_name:
        arns = [_existing(ctx, resource_name)]
    else:
        arns = [
            state.cluster_arn(ctx.account, ctx.region, row.identifier)
            for _, row in state.CLUSTERS.scan(ctx.tx, ctx.account, ctx.region)
        ]
    found = []
    for arn in arns:
        for key, value in tag_rows.get(ctx.tx, arn).items():
            if rules.matches_tags({key: value}, tag_keys, tag_values):
                found.append({"Tag": {"Key": key, "Value": value}, "ResourceName": arn, "ResourceType": "cluster"})
    return {"TaggedResources": found}
