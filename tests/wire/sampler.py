"""Valid values for any shape, and botocore's own halves of the wire to send and read them with."""

import base64
import datetime
import random
from typing import Any

import botocore.loaders
import botocore.model

from headrace.wire.models import Shape

TEXTS = ("plain", "two words", "ünïcödé ✓", 'quote " & <angle>', "a,b", "line\ttab", "x" * 40)
DEPTH_MAX = 4


def botocore_model(name: str) -> botocore.model.ServiceModel:
    """botocore's view of the same model."""
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(name, "service-2"), name)


class Sampler:
    """Makes values that travel without loss: texts that XML and headers can hold, times of whole seconds."""

    def __init__(self, seed: int, *, raw_shapes: frozenset[str] = frozenset()) -> None:
        self.random = random.Random(seed)
        self.raw_shapes = raw_shapes

    def structure(self, shape: Shape, depth: int = 0, *, all_members: bool = True) -> dict[str, Any]:
        names = list(shape.members)
        if shape.union:
            names = [self.random.choice(names)]
        made = {}
        if depth >= DEPTH_MAX and not any(name in shape.required for name in names):
            # An empty structure does not survive every protocol: one plain member keeps it.
            plain = [name for name in names if shape.members[name].type in ("string", "integer", "boolean")]
            names = plain[:1] or names[:1]
            made = {name: self.value(shape.members[name], depth + 1, raw=shape.name in self.raw_shapes) for name in names}
            return made
        for name in names:
            member = shape.members[name]
            if name.startswith("Expires") and member.location == "header":  # text for us, a time for botocore
                continue
            if member.eventstream or (shape.payload == name and member.streaming):
                continue
            if name not in shape.required and not shape.union and (depth >= DEPTH_MAX or not all_members):
                continue
            made[name] = self.value(member, depth + 1, raw=shape.name in self.raw_shapes)
        return made

    def value(self, shape: Shape, depth: int = 0, *, raw: bool = False) -> Any:
        kind = shape.type
        if kind == "structure":
            return {"any": ["document"]} if shape.document else self.structure(shape, depth)
        if kind == "list":
            count = 1 if depth >= DEPTH_MAX else 2
            return [self.value(shape.member, depth + 1, raw=raw) for _ in range(count)]
        if kind == "map":
            if shape.location == "headers":
                return {"first": "one", "second": "two"}
            key = shape.key.enum[0] if shape.key.enum else "Key"
            return {key: self.value(shape.value, depth + 1, raw=raw)}
        if kind == "string":
            return self._text(shape)
        if kind == "boolean":
            return self.random.random() < 0.5
        if kind in ("integer", "long"):
            return self.random.randint(0, 1000)
        if kind in ("float", "double"):
            return self.random.randint(0, 1000) / 4
        if kind == "blob":
            return "aGVhZHJhY2U=" if raw else bytes(self.random.randrange(256) for _ in range(9))
        assert kind == "timestamp"
        return float(self.random.randint(1_000_000_000, 2_000_000_000))

    def _text(self, shape: Shape) -> str:
        if shape.enum:
            return self.random.choice(shape.enum)
        if shape.location == "header" or shape.host_label:
            return "header-text"
        if shape.location == "uri":
            return self.random.choice(("label", "two words", "a:b", "ü"))
        if shape.jsonvalue:
            return "json"
        return self.random.choice(TEXTS)


def for_botocore(shape: Shape, value: Any, *, raw: bool = False, raw_shapes: frozenset[str] = frozenset()) -> Any:
    """A value as a caller of boto3 would give it: times as datetimes, raw base64 as bytes."""
    if shape.type == "structure":
        inner = shape.name in raw_shapes
        return {k: for_botocore(shape.members[k], v, raw=inner, raw_shapes=raw_shapes) for k, v in value.items()}
    if shape.type == "list":
        return [for_botocore(shape.member, item, raw=raw, raw_shapes=raw_shapes) for item in value]
    if shape.type == "map":
        return {k: for_botocore(shape.value, v, raw=raw, raw_shapes=raw_shapes) for k, v in value.items()}
    if shape.type == "timestamp":
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    if shape.type == "blob" and raw:
        return base64.b64decode(value)
    return value


def from_botocore(value: Any) -> Any:
    """What botocore's parser gave, with its times as epoch seconds."""
    if isinstance(value, dict):
        return {k: from_botocore(v) for k, v in value.items()}
    if isinstance(value, list):
        return [from_botocore(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    return value


def without_empty(value: Any) -> Any:
    """The value without its empty structures: a form has no way to say them."""
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    lean = {name: without_empty(item) for name, item in value.items()}
    return {name: item for name, item in lean.items() if item != {}}


def lower_headers(headers: dict[str, Any]) -> dict[str, str]:
    """Header names as HttpRequest has them."""
    return {name.lower(): value.decode() if isinstance(value, bytes) else str(value) for name, value in headers.items()}
