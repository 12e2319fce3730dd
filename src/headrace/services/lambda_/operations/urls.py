"""Addresses under which functions answer HTTP requests."""

import secrets
from typing import Any

from headrace.operation import Context, operation
from headrace.services.lambda_ import limits, naming, state, urls
from headrace.services.lambda_.errors import InvalidParameterValueException, ResourceConflictException, ResourceNotFoundException
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Url

_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 32


@operation
def create_function_url_config(
    ctx: Context, *, function_name: str, auth_type: str, qualifier: str | None = None, cors: dict[str, Any] | None = None,
    invoke_mode: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Give a function, or an alias, an address. Differs from AWS: its host name ends in this server's name and port."""
    name = naming.parse(ctx, function_name, qualifier)
    _check_named(ctx, name)
    if state.URLS.get(ctx.tx, *name[:3], name.qualifier or "") is not None:
        raise ResourceConflictException(
            f"Failed to create function url config for [functionArn = {naming.named_arn(name)}]. "
            "Error message:  FunctionUrlConfig exists for this Lambda function"
        )
    now = ctx.clock.now()
    url_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    url = Url(url_id, auth_type, invoke_mode or "BUFFERED", cors or None, now, now)
    state.URLS.put(ctx.tx, url, *name[:3], name.qualifier or "")
    state.URL_OF.put(ctx.tx, [*name[:3], name.qualifier or ""], url_id)
    return _shape(ctx, name, url)


@operation(read_only=True)
def get_function_url_config(ctx: Context, *, function_name: str, qualifier: str | None = None) -> dict[str, Any]:
    """A function's address."""
    name = naming.parse(ctx, function_name, qualifier)
    return _shape(ctx, name, _find(ctx, name))


@operation
def update_function_url_config(
    ctx: Context, *, function_name: str, qualifier: str | None = None, auth_type: str | None = None,
    cors: dict[str, Any] | None = None, invoke_mode: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Change what is given; the address stays."""
    name = naming.parse(ctx, function_name, qualifier)
    old = _find(ctx, name)
    new = Url(
        old.id, auth_type or old.auth, invoke_mode or old.mode, old.cors if cors is None else (cors or None),
        old.created_at, ctx.clock.now(),
    )  # fmt: skip
    state.URLS.put(ctx.tx, new, *name[:3], name.qualifier or "")
    return _shape(ctx, name, new)


@operation
def delete_function_url_config(ctx: Context, *, function_name: str, qualifier: str | None = None) -> None:
    """Take a function's address away."""
    name = naming.parse(ctx, function_name, qualifier)
    url = _find(ctx, name)
    state.URLS.delete(ctx.tx, *name[:3], name.qualifier or "")
    state.URL_OF.delete(ctx.tx, url.id)


@operation(read_only=True)
def list_function_url_configs(
    ctx: Context, *, function_name: str, marker: str | None = None, max_items: int | None = None
) -> dict[str, Any]:
    """The addresses of a function and its aliases."""
    name = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, name)
    limit = min(max_items or limits.PAGE_ITEMS_MAX, limits.PAGE_ITEMS_MAX)
    after = (*name[:3], "" if marker == "-" else marker) if marker else None
    found = list(state.URLS.scan(ctx.tx, *name[:3], after=after, limit=limit + 1))
    shaped = [_shape(ctx, name._replace(qualifier=str(key[-1]) or None), url) for key, url in found[:limit]]
    result: dict[str, Any] = {"FunctionUrlConfigs": shaped}
    if len(found) > limit:
        result["NextMarker"] = str(found[limit - 1][0][-1]) or "-"
    return result


def _check_named(ctx: Context, name: FunctionName) -> None:
    state.find_function(ctx.tx, name)
    if name.qualifier is None:
        return
    if name.qualifier.isdigit() or name.qualifier == naming.LATEST:
        raise InvalidParameterValueException("Function URLs can be created for a function or one of its aliases alone.")
    state.find_alias(ctx.tx, name, name.qualifier)


def _find(ctx: Context, name: FunctionName) -> Url:
    found = state.URLS.get(ctx.tx, *name[:3], name.qualifier or "")
    if found is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return found


def _shape(ctx: Context, name: FunctionName, url: Url) -> dict[str, Any]:
    result: dict[str, Any] = {
        "FunctionUrl": urls.address(ctx, name.region, url.id),
        "FunctionArn": naming.named_arn(name),
        "AuthType": url.auth,
        "CreationTime": urls.timestamp(url.created_at),
        "LastModifiedTime": urls.timestamp(url.modified_at),
        "InvokeMode": url.mode,
    }
    if url.cors:
        result["Cors"] = url.cors
    return result
