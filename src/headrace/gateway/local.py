"""Operations called from inside the server, as a client would call them: the port `Api`."""

from collections.abc import Callable, Mapping
from typing import Any

from headrace.gateway.body import WholeBody
from headrace.kit.errors import UnknownOperationException
from headrace.operation import Context, Service
from headrace.wire.coerce import coerce
from headrace.wire.validate import validate


class LocalApi:
    """Runs any operation of the services of this server, in the caller's thread."""

    def __init__(self, find: Callable[[str], Service | None]) -> None:
        self._find = find

    def call(self, scope: Any, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Validate and run one operation; AwsError as a client would get it."""
        found = self._find(service)
        bound = found.bound(service).get(operation) if found is not None else None
        if bound is None:
            raise UnknownOperationException(f"Headrace does not support {service} {operation}.")
        values = coerce(bound.model, parameters)
        validate(bound.model, values)
        body = bound.model.streaming_input
        if body is not None and isinstance(values.get(body), bytes):
            values[body] = WholeBody(values[body])
        ctx: Context = scope
        if bound.mark.transaction:
            return ctx.transact(lambda inner: bound.call(inner, values)) or {}
        if bound.mark.read_only:
            return ctx.snapshot(lambda inner: bound.call(inner, values)) or {}
        if ctx.in_transaction:
            raise RuntimeError(f"{operation} opens transactions of its own, and one runs already")
        return bound.call(ctx, values) or {}
