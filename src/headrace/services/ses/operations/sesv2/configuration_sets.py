"""Configuration sets, and tags of what has an ARN."""

from typing import Any

from headrace.kit.arn import parse
from headrace.layers import tags as tag_lists
from headrace.operation import Context, operation
from headrace.services.ses import rules, state
from headrace.services.ses.errors import V2, AlreadyExistsException, NotFoundException

Structure = dict[str, Any]


@operation(accepts=("tracking_options", "delivery_options", "reputation_options", "suppression_options", "vdm_options"))
def create_configuration_set(
    ctx: Context, *, configuration_set_name: str, sending_options: Structure | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Structure:  # fmt: skip
    """Keep a configuration set; SendingOptions can switch its sending off.

    Differs from AWS: tracking, delivery, reputation, suppression and VDM options are taken without effect.
    """
    rules.check_set_name(configuration_set_name, V2)
    if state.configuration_set(ctx, configuration_set_name) is not None:
        raise AlreadyExistsException(f"Configuration set <{configuration_set_name}> already exists.")
    enabled = (sending_options or {}).get("SendingEnabled", True)
    state.put_configuration_set(ctx, state.ConfigurationSet(configuration_set_name, ctx.clock.now(), enabled))
    if tags:
        tag_lists.add(ctx.tx, _arn(ctx, configuration_set_name), tag_lists.from_list(tags))
    return {}


@operation(read_only=True)
def get_configuration_set(ctx: Context, *, configuration_set_name: str) -> Structure:
    """Show a configuration set."""
    row = _find(ctx, configuration_set_name)
    return {
        "ConfigurationSetName": row.name,
        "SendingOptions": {"SendingEnabled": row.sending_enabled},
        "Tags": tag_lists.to_list(tag_lists.get(ctx.tx, _arn(ctx, row.name))),
    }


@operation
def put_configuration_set_sending_options(
    ctx: Context, *, configuration_set_name: str, sending_enabled: bool = False
) -> Structure:
    """Switch a configuration set's sending on or off."""
    row = _find(ctx, configuration_set_name)
    row.sending_enabled = sending_enabled
    state.put_configuration_set(ctx, row)
    return {}


@operation(read_only=True)
def list_configuration_sets(ctx: Context, *, next_token: str | None = None, page_size: int | None = None) -> Structure:
    """List configuration sets in order of their names."""
    limit = rules.page_limit(page_size)
    after = rules.read_token(next_token, V2)
    start = None if after is None else (ctx.account, ctx.region, after)
    rows = state.SETS.scan(ctx.tx, ctx.account, ctx.region, after=start, limit=limit + 1)
    shown, last = rules.page([row.name for _, row in rows], limit)
    return {"ConfigurationSets": list(shown), **({"NextToken": rules.token(last)} if last is not None else {})}


@operation
def delete_configuration_set(ctx: Context, *, configuration_set_name: str) -> Structure:
    """Forget a configuration set."""
    row = _find(ctx, configuration_set_name)
    state.SETS.delete(ctx.tx, ctx.account, ctx.region, row.name)
    tag_lists.drop(ctx.tx, _arn(ctx, row.name))
    return {}


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: list[dict[str, str]]) -> Structure:
    """Add tags to an identity, a template or a configuration set."""
    tag_lists.add(ctx.tx, _known(ctx, resource_arn), tag_lists.from_list(tags))
    return {}


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_keys: list[str]) -> Structure:
    """Take tags away."""
    tag_lists.remove(ctx.tx, _known(ctx, resource_arn), tag_keys)
    return {}


@operation(read_only=True)
def list_tags_for_resource(ctx: Context, *, resource_arn: str) -> Structure:
    """List the tags of an identity, a template or a configuration set."""
    return {"Tags": tag_lists.to_list(tag_lists.get(ctx.tx, _known(ctx, resource_arn)))}


def _known(ctx: Context, arn: str) -> str:
    try:
        kind, _, name = parse(arn).resource.partition("/")
    except ValueError as error:
        raise V2.bad(f"Invalid ARN: {arn}") from error
    finders: dict[str, Any] = {
        "identity": state.identity,
        "template": state.template,
        "configuration-set": state.configuration_set,
    }
    if kind not in finders or arn != state.arn(ctx, kind, name) or finders[kind](ctx, name) is None:
        raise NotFoundException(f"Resource {arn} does not exist.")
    return arn


def _find(ctx: Context, name: str) -> state.ConfigurationSet:
    row = state.configuration_set(ctx, name)
    if row is None:
        raise V2.no_configuration_set(name)
    return row


def _arn(ctx: Context, name: str) -> str:
    return state.arn(ctx, "configuration-set", name)
