"""Shapes as types that msgspec reads.

A TypedDict per structure lets msgspec check types, drop unknown members and undo base64 in C, in the one pass that reads the
body. The price is that its errors speak of Python's types: `explain` says them in AWS's words.
"""

import re
from collections.abc import Mapping
from threading import RLock
from typing import Any, TypedDict, cast

from headrace.kit.errors import SerializationException
from headrace.wire.models import Shape

# Deeper input than this is refused: whoever walks it later may do so by recursion.
DEPTH_MAX = 128

_SCALARS: Mapping[str, Any] = {
    "string": str,
    "character": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "short": int,
    "byte": int,
    "bigInteger": int,
    "float": float,
    "double": float,
    "bigDecimal": float,
    "blob": bytes,
    "timestamp": float,
}


class TypeBuilder:
    """Builds the types of one model's shapes. Structures may hold themselves."""

    def __init__(self, raw_shapes: frozenset[str] = frozenset()) -> None:
        self._raw = raw_shapes
        self._structures: dict[str, Any] = {}
        self._lock = RLock()  # nobody may be handed a type that another thread is still filling

    def structure(self, shape: Shape, *, leave_out: frozenset[str] = frozenset()) -> Any:
        """A TypedDict for the structure, without the members to leave out (they travel elsewhere)."""
        key = shape.name if not leave_out else f"{shape.name} without {sorted(leave_out)}"
        with self._lock:
            found = self._structures.get(key)
            if found is not None:
                return found
            names = [name for name in shape.members if name not in leave_out]
            built = cast(Any, TypedDict)("T" + shape.name, dict.fromkeys(names, Any), total=False)
            self._structures[key] = built
            # The types go in afterwards: by then the class that a member may point back to exists.
            for name in names:
                member = shape.members[name]
                if member.wire_name(name) != name:
                    raise NotImplementedError(f"{shape.name}.{name} travels under another name")
                built.__annotations__[name] = self.of(member, raw=shape.name in self._raw) | None
            return built

    def of(self, shape: Shape, *, raw: bool = False) -> Any:
        """The type of any shape. In a raw shape a blob stays the base64 text it came as."""
        if shape.type == "structure":
            return Any if shape.document else self.structure(shape)
        if shape.type == "list":
            return list[self.of(shape.member, raw=raw)]  # type: ignore[misc]
        if shape.type == "map":
            return dict[str, self.of(shape.value, raw=raw)]  # type: ignore[misc]
        if shape.type == "blob" and raw:
            return str
        return _SCALARS[shape.type]


_MISMATCH = re.compile(r"Expected `([^`]*)`, got `([^`]*)`(?: - at `([^`]*)`)?")
_GOT = {"int": "NUMBER_VALUE", "float": "DECIMAL_VALUE", "str": "STRING_VALUE", "null": "NULL_VALUE", "bytes": "BLOB_VALUE"}
_WANTED = {"str": "String", "bool": "Boolean", "int": "Integer", "float": "Double", "bytes": "Blob"}


def explain(error: Exception) -> SerializationException:
    """What AWS would say of a body that msgspec refused."""
    found = _MISMATCH.match(str(error))
    if found is None:
        return SerializationException("Invalid base64 encoded blob" if "base64" in str(error) else "Malformed body")
    wanted, got, _ = found.groups()
    wanted = wanted.removesuffix(" | null")
    if got == "object":
        return SerializationException("Start of structure or map found where not expected.")
    if got == "array":
        return SerializationException(f"Unrecognized collection type class java.lang.{_WANTED.get(wanted, 'Object')}")
    if wanted not in _WANTED:
        return SerializationException("Unexpected value type in payload")
    word = "TRUE_VALUE" if got == "bool" else _GOT.get(got, got)
    return SerializationException(f"{word} cannot be converted to {_WANTED[wanted]}")


def without_none(value: Any) -> Any:
    """The value without the members that are null: for AWS they are as good as absent."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_none(item) for item in value]
    return value


def refuse_deep(value: Any) -> None:
    """Refuse input nested deeper than the limit. Walks level by level, so that its own stack stays flat."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise SerializationException("The body is nested too deeply")
