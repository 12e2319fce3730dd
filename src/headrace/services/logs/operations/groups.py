"""Log groups: names, retention and tags."""

from typing import Any

from headrace.layers import tags as tag_lists
from headrace.operation import Context, operation
from headrace.services.logs import limits, rules, state
from headrace.services.logs.errors import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    TooManyTagsException,
)

Structure = dict[str, Any]


@operation
def create_log_group(
    ctx: Context, *, log_group_name: str, tags: dict[str, str] | None = None, log_group_class: str = "STANDARD"
) -> None:
    """Make a log group, whose events are kept until a retention policy says otherwise."""
    if state.GROUPS.get(ctx.tx, ctx.account, ctx.region, log_group_name) is not None:
        raise ResourceAlreadyExistsException("The specified log group already exists")
    state.put_group(ctx, state.Group(log_group_name, ctx.clock.now_ms(), kind=log_group_class))
    if tags:
        _tag(ctx, log_group_name, tags)


@operation
def delete_log_group(ctx: Context, *, log_group_name: str) -> None:
    """Delete a log group with its streams; a worker removes their events by and by."""
    state.drop_group(ctx, log_group_name)


@operation(read_only=True)
def describe_log_groups(
    ctx: Context, *, log_group_name_prefix: str | None = None, log_group_name_pattern: str | None = None,
    log_group_class: str | None = None, next_token: str | None = None, limit: int | None = None,
) -> Structure:  # fmt: skip
    """List log groups in order of their names."""
    if log_group_name_prefix is not None and log_group_name_pattern is not None:
        raise InvalidParameterException("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    most = limit or limits.PAGE_ITEMS_DEFAULT
    after = rules.decode(next_token)
    start = None if after is None else (ctx.account, ctx.region, after)
    found: list[state.Group] = []
    for _, row in state.GROUPS.scan(ctx.tx, ctx.account, ctx.region, after=start):
        fits = row.name.startswith(log_group_name_prefix or "")
        fits = fits and (log_group_name_pattern or "").lower() in row.name.lower()
        if fits and log_group_class in (None, row.kind):
            found.append(row)
            if len(found) > most:
                break
    shown = found[:most]
    answer: Structure = {"logGroups": [_show(ctx, row) for row in shown]}
    if len(found) > most:
        answer["nextToken"] = rules.encode(shown[-1].name)
    return answer


@operation
def put_retention_policy(ctx: Context, *, log_group_name: str, retention_in_days: int) -> None:
    """Let a group's events expire after so many days."""
    if retention_in_days not in limits.RETENTION_DAYS:
        raise InvalidParameterException(
            f"1 validation error detected: Value '{retention_in_days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: {list(limits.RETENTION_DAYS)}"
        )
    row = state.group(ctx, log_group_name)
    row.retention_days = retention_in_days
    state.put_group(ctx, row)


@operation
def delete_retention_policy(ctx: Context, *, log_group_name: str) -> None:
    """Let a group's events never expire."""
    row = state.group(ctx, log_group_name)
    row.retention_days = None
    state.put_group(ctx, row)


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: dict[str, str]) -> None:
    """Add tags to a log group, by its ARN."""
    _tag(ctx, _named(ctx, resource_arn), tags)


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_keys: list[str]) -> None:
    """Take tags from a log group, by its ARN."""
    tag_lists.remove(ctx.tx, state.arn(ctx, _named(ctx, resource_arn)), tag_keys)


@operation(read_only=True)
def list_tags_for_resource(ctx: Context, *, resource_arn: str) -> Structure:
    """List the tags of a log group, by its ARN."""
    return {"tags": tag_lists.get(ctx.tx, state.arn(ctx, _named(ctx, resource_arn)))}


@operation
def tag_log_group(ctx: Context, *, log_group_name: str, tags: dict[str, str]) -> None:
    """Add tags to a log group: the old way."""
    _tag(ctx, state.group(ctx, log_group_name).name, tags)


@operation
def untag_log_group(ctx: Context, *, log_group_name: str, tags: list[str]) -> None:
    """Take tags from a log group: the old way."""
    tag_lists.remove(ctx.tx, state.arn(ctx, state.group(ctx, log_group_name).name), tags)


@operation(read_only=True)
def list_tags_log_group(ctx: Context, *, log_group_name: str) -> Structure:
    """List the tags of a log group: the old way."""
    return {"tags": tag_lists.get(ctx.tx, state.arn(ctx, state.group(ctx, log_group_name).name))}


def _named(ctx: Context, arn: str) -> str:
    name = rules.group_name(None, arn)
    if arn.removesuffix(":*") != state.arn(ctx, name):
        raise ResourceNotFoundException("The specified resource does not exist.")
    return state.group(ctx, name).name


def _tag(ctx: Context, name: str, tags: dict[str, str]) -> None:
    arn = state.arn(ctx, name)
    if len(tag_lists.add(ctx.tx, arn, rules.check_tags(tags))) > limits.TAGS_MAX:
        raise TooManyTagsException(f"A resource has at most {limits.TAGS_MAX} tags.", resourceName=arn)


def _show(ctx: Context, row: state.Group) -> Structure:
    arn = state.arn(ctx, row.name)
    return rules.without_none(
        logGroupName=row.name,
        creationTime=row.created_ms,
        retentionInDays=row.retention_days,
        metricFilterCount=0,
        arn=f"{arn}:*",
        logGroupArn=arn,
        storedBytes=state.BYTES.get(ctx.tx, ctx.account, ctx.region, row.name) or 0,
        logGroupClass=row.kind,
    )
