"""What belongs to a table besides its items: time to live, tags, and the limits of the account."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.dynamodb import errors, fills, limits, shapes, state


@operation
def update_time_to_live(ctx: Context, *, table_name: str, time_to_live_specification: dict[str, Any]) -> dict[str, Any]:
    """Switch expiry on or off. Differs from AWS: it holds at once, and items go within seconds of their time."""
    enabled, name = time_to_live_specification["Enabled"], time_to_live_specification["AttributeName"]
    table = state.described(ctx, table_name)
    row = state.TABLES.get(ctx.tx, ctx.account, ctx.region, table.row.name)
    assert row is not None
    if enabled and row.ttl_enabled:
        if row.ttl_attribute == name:
            raise ValidationException("TimeToLive is already enabled")
        raise ValidationException(
            f"TimeToLive is active on a different AttributeName: current AttributeName is {row.ttl_attribute}"
        )
    if not enabled and not row.ttl_enabled:
        raise ValidationException("TimeToLive is already disabled")
    if not enabled and row.ttl_attribute != name:
        raise ValidationException(
            f"TimeToLive is active on a different AttributeName: current AttributeName is {row.ttl_attribute}"
        )
    row.ttl_enabled, row.ttl_attribute = enabled, name
    state.save(ctx, row)
    if enabled:
        fills.begin(ctx, state.described(ctx, row.name), state.FILL_EXPIRY)
        ctx.tx.announce(state.EXPIRY_TOPIC)
    else:
        state.FILLS.delete(ctx.tx, row.id, state.FILL_EXPIRY)
    return {"TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": name}}


@operation(read_only=True)
def describe_time_to_live(ctx: Context, *, table_name: str) -> dict[str, Any]:
    """Whether items of a table expire, and by which attribute."""
    return {"TimeToLiveDescription": shapes.time_to_live(state.described(ctx, table_name).row)}


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a table."""
    arn = _table_arn(ctx, resource_arn)
    merged = tag_rows.add(ctx.tx, arn, tag_rows.from_list(tags))
    if len(merged) > limits.TAGS_PER_TABLE_MAX:
        raise errors.LimitExceededException(f"A table has {limits.TAGS_PER_TABLE_MAX} tags at most")


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_keys: list[str]) -> None:
    """Take tags away from a table."""
    tag_rows.remove(ctx.tx, _table_arn(ctx, resource_arn), tag_keys)


@operation(read_only=True)
def list_tags_of_resource(ctx: Context, *, resource_arn: str, next_token: str | None = None) -> dict[str, Any]:
    """The tags of a table, ten a page."""
    found = sorted(tag_rows.get(ctx.tx, _table_arn(ctx, resource_arn)).items())
    left = [pair for pair in found if next_token is None or pair[0] > next_token]
    answer: dict[str, Any] = {"Tags": tag_rows.to_list(dict(left[: limits.TAGS_PAGE]))}
    if len(left) > limits.TAGS_PAGE:
        answer["NextToken"] = left[limits.TAGS_PAGE - 1][0]
    return answer


@operation(read_only=True)
def describe_limits(ctx: Context) -> dict[str, Any]:
    """The account's limits. Differs from AWS: they are AWS's default numbers, and nothing is limited by them."""
    return {
        "AccountMaxReadCapacityUnits": 80000,
        "AccountMaxWriteCapacityUnits": 80000,
        "TableMaxReadCapacityUnits": 40000,
        "TableMaxWriteCapacityUnits": 40000,
    }


@operation(read_only=True)
def describe_endpoints(ctx: Context) -> dict[str, Any]:
    """Where to send requests: here."""
    host = "localhost" if ctx.settings.host in ("0.0.0.0", "::") else ctx.settings.host
    return {"Endpoints": [{"Address": f"{host}:{ctx.settings.port}", "CachePeriodInMinutes": 1440}]}


def _table_arn(ctx: Context, arn: str) -> str:
    if not arn.startswith("arn:") or state.find(ctx, arn) is None:
        raise errors.ResourceNotFoundException(f"Requested resource not found: ResourcArn: {arn} not found")
    return arn
