"""Versions and aliases."""

from typing import Any

from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.lambda_ import limits, naming, rules, shapes, state
from headrace.services.lambda_.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
)
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Alias


@operation
def publish_version(
    ctx: Context, *, function_name: str, code_sha256: str | None = None, description: str | None = None,
    revision_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Keep $LATEST as it is now under the next number; the same number again when nothing has changed since."""
    name = naming.parse(ctx, function_name)
    latest = state.find_version(ctx.tx, name)
    if code_sha256 is not None and code_sha256 != shapes.code_sha256(latest.code):
        raise InvalidParameterValueException(
            f"CodeSHA256 ({code_sha256}) is different from current CodeSHA256 in $LATEST "
            f"({shapes.code_sha256(latest.code)}). Please try again with the CodeSHA256 in $LATEST."
        )
    if revision_id is not None and revision_id != latest.revision_id:
        raise PreconditionFailedException.revision()
    return shapes.configuration(ctx, state.publish(ctx, name, description), qualified=True)


@operation(read_only=True)
def list_versions_by_function(
    ctx: Context, *, function_name: str, marker: str | None = None, max_items: int | None = None
) -> dict[str, Any]:
    """$LATEST, then the numbered versions."""
    name = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, name)
    limit = min(max_items or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)
    after = (*name[:3], int(marker)) if marker and marker.isdigit() else None
    found = [version for _, version in state.VERSIONS.scan(ctx.tx, *name[:3], after=after, limit=limit + 1)]
    result: dict[str, Any] = {"Versions": [shapes.configuration(ctx, one, qualified=True) for one in found[:limit]]}
    if len(found) > limit:
        result["NextMarker"] = str(state.number_of(found[limit - 1].version))
    return result


@operation
def create_alias(
    ctx: Context, *, function_name: str, name: str, function_version: str, description: str | None = None,
    routing_config: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Name a version."""
    function = naming.parse(ctx, function_name)
    state.find_version(ctx.tx, function._replace(qualifier=function_version), function_version)
    if state.ALIASES.get(ctx.tx, *function[:3], name) is not None:
        raise ResourceConflictException(f"Alias already exists: {naming.function_arn(*function[:3], name)}")
    return _put_alias(ctx, function, name, function_version, description or "", routing_config)


@operation(read_only=True)
def get_alias(ctx: Context, *, function_name: str, name: str) -> dict[str, Any]:
    """An alias."""
    function = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, function)
    return shapes.alias(ctx, function.name, state.find_alias(ctx.tx, function, name))


@operation
def update_alias(
    ctx: Context, *, function_name: str, name: str, function_version: str | None = None, description: str | None = None,
    routing_config: dict[str, Any] | None = None, revision_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Let an alias name another version, or change its shares."""
    function = naming.parse(ctx, function_name)
    old = state.find_alias(ctx.tx, function, name)
    if revision_id is not None and revision_id != old.revision_id:
        raise PreconditionFailedException.revision()
    version = function_version or old.version
    state.find_version(ctx.tx, function._replace(qualifier=version), version)
    routing = {"AdditionalVersionWeights": old.weights} if routing_config is None else routing_config
    return _put_alias(ctx, function, name, version, old.description if description is None else description, routing)


@operation
def delete_alias(ctx: Context, *, function_name: str, name: str) -> None:
    """Remove an alias, if it is there."""
    function = naming.parse(ctx, function_name)
    state.ALIASES.delete(ctx.tx, *function[:3], name)
    state.EVENT_CONFIGS.delete(ctx.tx, *function[:3], name)
    state.drop_provisioned(ctx, function, name)
    state.POLICIES.delete(ctx.tx, *function[:3], name)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation(read_only=True)
def list_aliases(
    ctx: Context, *, function_name: str, function_version: str | None = None, marker: str | None = None,
    max_items: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The aliases of a function, or of one of its versions."""
    function = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, function)
    limit = min(max_items or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)
    after = (*function[:3], marker) if marker else None
    found = [
        alias for _, alias in state.ALIASES.scan(ctx.tx, *function[:3], after=after) if function_version in (None, alias.version)
    ]
    result: dict[str, Any] = {"Aliases": [shapes.alias(ctx, function.name, alias) for alias in found[:limit]]}
    if len(found) > limit:
        result["NextMarker"] = found[limit - 1].name
    return result


def _put_alias(
    ctx: Context, function: FunctionName, name: str, version: str, description: str, routing: dict[str, Any] | None
) -> dict[str, Any]:
    weights = rules.weights(routing, version)
    for other in weights:
        state.find_version(ctx.tx, function._replace(qualifier=other), other)
    alias = Alias(name, version, description, weights, ctx.ids.uuid())
    state.ALIASES.put(ctx.tx, alias, *function[:3], name)
    ctx.tx.announce(state.PROVISIONED_TOPIC)
    return shapes.alias(ctx, function.name, alias)
