"""Layers: packages that are laid below /opt."""

from itertools import islice
from typing import Any

from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.lambda_ import downloads, limits, naming, packages, shapes, state
from headrace.services.lambda_.errors import InvalidParameterValueException, ResourceNotFoundException
from headrace.services.lambda_.state import Layer


@operation(transaction=False)
def publish_layer_version(
    ctx: Context, *, layer_name: str, content: dict[str, Any], description: str | None = None,
    compatible_runtimes: list[str] | None = None, compatible_architectures: list[str] | None = None,
    license_info: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Keep a package under the next number of a layer's name."""
    name = naming.parse_layer(ctx, layer_name)
    package = packages.take(ctx, content)

    def make(inner: Context) -> dict[str, Any]:
        number = (state.LAYER_LAST.get(inner.tx, inner.account, inner.region, name) or 0) + 1
        layer = Layer(
            name, number, package, description or "", inner.clock.now(), compatible_runtimes or [],
            compatible_architectures or [], license_info or "",
        )  # fmt: skip
        state.LAYER_LAST.put(inner.tx, number, inner.account, inner.region, name)
        state.LAYERS.put(inner.tx, layer, inner.account, inner.region, name, number)
        return _whole(inner, layer)

    return ctx.transact(make)


@operation(read_only=True)
def get_layer_version(ctx: Context, *, layer_name: str, version_number: int) -> dict[str, Any]:
    """One version of a layer, and where its package can be fetched from for ten minutes."""
    return _whole(ctx, _find(ctx, naming.parse_layer(ctx, layer_name), version_number))


@operation(read_only=True)
def get_layer_version_by_arn(ctx: Context, *, arn: str) -> dict[str, Any]:
    """The same, by its ARN."""
    head, _, number = arn.rpartition(":")
    if not number.isdigit():
        raise InvalidParameterValueException(f"{arn} is not the ARN of a layer's version")
    return _whole(ctx, _find(ctx, naming.parse_layer(ctx, head), int(number)))


@operation
def delete_layer_version(ctx: Context, *, layer_name: str, version_number: int) -> None:
    """Remove one version. Differs from AWS: functions that use it can't start any more."""
    key = (ctx.account, ctx.region, naming.parse_layer(ctx, layer_name), version_number)
    state.LAYERS.delete(ctx.tx, *key)
    state.LAYER_POLICIES.delete(ctx.tx, *key)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation(read_only=True)
def list_layer_versions(
    ctx: Context, *, layer_name: str, compatible_runtime: str | None = None, compatible_architecture: str | None = None,
    marker: str | None = None, max_items: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The versions of a layer, the newest first; with filters those that say they are compatible."""
    name = naming.parse_layer(ctx, layer_name)
    limit = min(max_items or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)
    place = (ctx.account, ctx.region, name)
    after = (*place, int(marker)) if marker and marker.isdigit() else None
    kept = (layer for _, layer in state.LAYERS.scan(ctx.tx, *place, after=after, reverse=True))
    found = list(islice((one for one in kept if _fits(one, compatible_runtime, compatible_architecture)), limit + 1))
    result: dict[str, Any] = {"LayerVersions": [shapes.layer(ctx, layer) for layer in found[:limit]]}
    if len(found) > limit:
        result["NextMarker"] = str(found[limit - 1].version)
    return result


@operation(read_only=True)
def list_layers(
    ctx: Context, *, compatible_runtime: str | None = None, compatible_architecture: str | None = None,
    marker: str | None = None, max_items: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Layers in the order of their names, with their newest version; with filters the newest that says it is compatible."""
    limit = min(max_items or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)
    newest = {
        layer.name: layer
        for _, layer in state.LAYERS.scan(ctx.tx, ctx.account, ctx.region)
        if (marker is None or layer.name > marker) and _fits(layer, compatible_runtime, compatible_architecture)
    }
    names = sorted(newest)
    result: dict[str, Any] = {
        "Layers": [
            {
                "LayerName": name,
                "LayerArn": naming.layer_arn(ctx, name),
                "LatestMatchingVersion": shapes.layer(ctx, newest[name]),
            }
            for name in names[:limit]
        ]
    }
    if len(names) > limit:
        result["NextMarker"] = names[limit - 1]
    return result


def _fits(layer: Layer, runtime: str | None, architecture: str | None) -> bool:
    """Whether a version says that it is made for what is asked for."""
    return (runtime is None or runtime in layer.runtimes) and (architecture is None or architecture in layer.architectures)


def _find(ctx: Context, name: str, number: int) -> Layer:
    found = state.LAYERS.get(ctx.tx, ctx.account, ctx.region, name, number)
    if found is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return found


def _whole(ctx: Context, layer: Layer) -> dict[str, Any]:
    return {
        **shapes.layer(ctx, layer),
        "LayerArn": naming.layer_arn(ctx, layer.name),
        "Content": {
            "Location": downloads.location(ctx, layer.code),
            "CodeSha256": shapes.code_sha256(layer.code),
            "CodeSize": layer.code.size_bytes,
        },
    }
