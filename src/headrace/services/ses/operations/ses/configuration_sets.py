"""Configuration sets."""

from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.operation import Context, operation
from headrace.services.ses import rules, state
from headrace.services.ses.errors import V1, ConfigurationSetAlreadyExistsException

Structure = dict[str, Any]


@operation
def create_configuration_set(ctx: Context, *, configuration_set: Structure) -> Structure:
    """Keep a configuration set.

    Differs from AWS: it only names messages; event destinations are not supported.
    """
    name = configuration_set["Name"]
    rules.check_set_name(name, V1)
    if state.configuration_set(ctx, name) is not None:
        raise ConfigurationSetAlreadyExistsException(f"Configuration set <{name}> already exists.", ConfigurationSetName=name)
    state.put_configuration_set(ctx, state.ConfigurationSet(name, ctx.clock.now()))
    return {}


@operation(read_only=True)
def describe_configuration_set(
    ctx: Context, *, configuration_set_name: str, configuration_set_attribute_names: list[str] | None = None
) -> Structure:
    """Show a configuration set."""
    if state.configuration_set(ctx, configuration_set_name) is None:
        raise V1.no_configuration_set(configuration_set_name)
    answer: Structure = {"ConfigurationSet": {"Name": configuration_set_name}}
    if set(configuration_set_attribute_names or ()) - {"eventDestinations"}:
        raise UnsupportedParameter("DescribeConfigurationSet: only eventDestinations is supported, and there are none")
    if configuration_set_attribute_names:
        answer["EventDestinations"] = []
    return answer


@operation(read_only=True)
def list_configuration_sets(ctx: Context, *, next_token: str | None = None, max_items: int | None = None) -> Structure:
    """List configuration sets in order of their names."""
    limit = rules.page_limit(max_items)
    after = rules.read_token(next_token, V1)
    start = None if after is None else (ctx.account, ctx.region, after)
    rows = state.SETS.scan(ctx.tx, ctx.account, ctx.region, after=start, limit=limit + 1)
    shown, last = rules.page([row.name for _, row in rows], limit)
    answer: Structure = {"ConfigurationSets": [{"Name": name} for name in shown]}
    if last is not None:
        answer["NextToken"] = rules.token(last)
    return answer


@operation
def delete_configuration_set(ctx: Context, *, configuration_set_name: str) -> Structure:
    """Forget a configuration set."""
    if state.configuration_set(ctx, configuration_set_name) is None:
        raise V1.no_configuration_set(configuration_set_name)
    state.SETS.delete(ctx.tx, ctx.account, ctx.region, configuration_set_name)
    return {}
