"""Provisioned concurrency of versions and aliases."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.lambda_ import limits, naming, provisioning, state
from headrace.services.lambda_.errors import (
    InvalidParameterValueException,
    ProvisionedConcurrencyConfigNotFoundException,
    ResourceConflictException,
)
from headrace.services.lambda_.naming import LATEST, FunctionName
from headrace.services.lambda_.provisioning import PROVISIONER
from headrace.services.lambda_.state import Provisioned


@operation(transaction=False)
def put_provisioned_concurrency_config(
    ctx: Context, *, function_name: str, qualifier: str, provisioned_concurrent_executions: int
) -> dict[str, Any]:
    """Keep so many environments of a version or alias initialised. They are made behind this call's back, in a moment.

    Differs from AWS: the version is run in them however it is called, by its number as well as by the alias.
    """
    name = naming.parse(ctx, function_name, qualifier)

    def put(inner: Context) -> dict[str, Any]:
        _check_qualifier(inner, name)
        provisioning.check_wanted(inner, name, provisioned_concurrent_executions)
        old = state.PROVISIONED.get(inner.tx, *name[:3], qualifier)
        paid = old.billed_until if old is not None else 0.0
        config = Provisioned(provisioned_concurrent_executions, inner.clock.now(), paid)
        state.PROVISIONED.put(inner.tx, config, *name[:3], qualifier)
        inner.tx.announce(state.PROVISIONED_TOPIC)
        return provisioning.describe(inner, name, config)

    result = ctx.transact(put)
    PROVISIONER.forgive(naming.function_arn(*name[:3]))
    PROVISIONER.wake()
    return result


@operation(read_only=True)
def get_provisioned_concurrency_config(ctx: Context, *, function_name: str, qualifier: str) -> dict[str, Any]:
    """How many environments are kept, and how many of them are there and free now."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    return provisioning.describe(ctx, name, _config(ctx, name))


@operation
def delete_provisioned_concurrency_config(ctx: Context, *, function_name: str, qualifier: str) -> None:
    """Keep none any more. Invocations that run now finish."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    state.drop_provisioned(ctx, name, qualifier)


@operation(read_only=True)
def list_provisioned_concurrency_configs(
    ctx: Context, *, function_name: str, marker: str | None = None, max_items: int | None = None
) -> dict[str, Any]:
    """The configs of a function's versions and aliases."""
    name = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, name)
    limit = min(max_items or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)
    after = (*name[:3], marker) if marker else None
    found = list(state.PROVISIONED.scan(ctx.tx, *name[:3], after=after, limit=limit + 1))
    shown = []
    for key, config in found[:limit]:
        one = name._replace(qualifier=str(key[-1]))
        shown.append({"FunctionArn": naming.named_arn(one), **provisioning.describe(ctx, one, config)})
    result: dict[str, Any] = {"ProvisionedConcurrencyConfigs": shown}
    if len(found) > limit:
        result["NextMarker"] = str(found[limit - 1][0][-1])
    return result


def _config(ctx: Context, name: FunctionName) -> Provisioned:
    found = state.PROVISIONED.get(ctx.tx, *name[:3], name.qualifier or "")
    if found is None:
        raise ProvisionedConcurrencyConfigNotFoundException.none()
    return found


def _check_qualifier(ctx: Context, name: FunctionName) -> None:
    """What may have provisioned concurrency: a published version, or an alias, but not both of them."""
    qualifier = name.qualifier or ""
    if qualifier == LATEST:
        raise InvalidParameterValueException(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )
    state.resolve(ctx.tx, name)
    if not qualifier.isdigit():
        alias = state.find_alias(ctx.tx, name, qualifier)
        if alias.version == LATEST:
            raise InvalidParameterValueException(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            )
        if state.PROVISIONED.get(ctx.tx, *name[:3], alias.version) is not None:
            raise ResourceConflictException(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            )
        return
    for _, alias in state.ALIASES.scan(ctx.tx, *name[:3]):
        if alias.version == qualifier and state.PROVISIONED.get(ctx.tx, *name[:3], alias.name) is not None:
            raise ResourceConflictException("Version is pointed by a Provisioned Concurrency alias")
