"""Values that came over no wire, in the model's types: a template may say "5" and "true" where an operation takes 5 and True."""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import SerializationException, ValidationException
from headrace.wire.models import OperationModel, Shape
from headrace.wire.protocols.scalars import parse_scalar

_CONTAINERS: Mapping[str, type] = {"structure": dict, "map": dict, "list": list}
_PYTHON: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "boolean": (bool,),
    "timestamp": (float, int),
    "string": (str,),
    "blob": (bytes,),
}


def coerce(operation: OperationModel, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An operation's input with every value in the model's type. Raises ValidationException where that cannot be.

    Members that are None are left out; those that the model does not know stay, to be refused by whoever knows better.
    """
    if operation.input is None:
        return dict(parameters)
    return _structure(operation.input, parameters, "")


def _structure(shape: Shape, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    found = {}
    for name, item in value.items():
        member = shape.members.get(name)
        if item is not None:
            found[name] = item if member is None or member.streaming else _value(member, item, f"{path}.{name}".lstrip("."))
    return found


def _value(shape: Shape, value: Any, path: str) -> Any:
    if shape.type in _CONTAINERS:
        return value if shape.document else _container(shape, value, path)
    wanted = _PYTHON[shape.type]
    if isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool)):
        return value
    if shape.type == "string" and isinstance(value, (int, float)):
        return ("true" if value else "false") if isinstance(value, bool) else str(value)
    if shape.type == "blob" and isinstance(value, str):
        return value.encode()
    if isinstance(value, float) and value.is_integer() and int in wanted:
        return int(value)
    if not isinstance(value, str):
        raise _wrong(shape, value, path)
    try:
        return parse_scalar(shape, value)
    except SerializationException:
        raise _wrong(shape, value, path) from None


def _container(shape: Shape, value: Any, path: str) -> Any:
    if not isinstance(value, _CONTAINERS[shape.type]):
        raise _wrong(shape, value, path)
    inner: Any = value
    if shape.type == "structure":
        return _structure(shape, inner, path)
    if shape.type == "list":
        return [_value(shape.member, item, f"{path}[{number}]") for number, item in enumerate(inner)]
    return {str(key): _value(shape.value, item, f"{path}.{key}") for key, item in inner.items() if item is not None}


def _wrong(shape: Shape, value: Any, path: str) -> ValidationException:
    return ValidationException(f"Invalid type for parameter {path}, value: {value!s:.200}, valid type: {shape.type}")
