"""Make values fit an AWS model, as CloudFormation does: "5" for an integer, "true" for a boolean, a map for a JSON document."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.wire import models
from headrace.wire.models import Shape


def fit(service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an operation with every value in the type that the model asks for. ValidationError when it can't be."""
    shape = models.service(service).operations[operation].input
    if shape is None:
        return {}
    given = {name: value for name, value in parameters.items() if value is not None}
    fitted: dict[str, Any] = _fit(shape, given, "")
    return fitted


def _fit(shape: Shape, value: Any, path: str) -> Any:
    if shape.document:
        return value
    if shape.type == "structure":
        return _structure(shape, value, path)
    if shape.type == "list":
        if not isinstance(value, list):
            raise ValidationError(f"Value of property {path} must be of type List")
        assert shape.member is not None
        return [_fit(shape.member, item, path) for item in value]
    if shape.type == "map":
        if not isinstance(value, Mapping):
            raise ValidationError(f"Value of property {path} must be an object")
        assert shape.value is not None
        return {str(key): _fit(shape.value, item, f"{path}/{key}") for key, item in value.items()}
    return _scalar(shape.type, value, path)


def _structure(shape: Shape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValidationError(f"Value of property {path} must be an object")
    found = {}
    for name, inner in value.items():
        member = shape.members.get(name)
        if member is None:
            raise ValidationError(f"Encountered unsupported property {name}" + (f" in {path}" if path else ""))
        if inner is not None:
            found[name] = _fit(member, inner, f"{path}/{name}" if path else name)
    return found


def _scalar(kind: str, value: Any, path: str) -> Any:
    if kind == "string":
        return _text(value)
    if isinstance(value, Mapping | list):
        raise ValidationError(f"Value of property {path} must be of type {kind.capitalize()}")
    try:
        if kind in ("integer", "long"):
            return int(value) if not isinstance(value, float) or value.is_integer() else value
        if kind in ("float", "double"):
            return float(value)
        if kind == "timestamp":
            return _seconds(value)
    except ValueError:
        raise ValidationError(f"Value of property {path} must be of type {kind.capitalize()}") from None
    if kind == "boolean" and isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise ValidationError(f"Value of property {path} must be of type Boolean")
        return value.lower() == "true"
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    return value


def _seconds(value: Any) -> float:
    """Seconds since 1970 of a number, or of a time as ISO 8601 writes it; without a zone it is in UTC."""
    try:
        return float(value)
    except ValueError:
        time = datetime.fromisoformat(str(value))
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return json.dumps(value)
    return str(value)
