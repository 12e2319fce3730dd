"""The AWS service models: the only door to botocore's data.

botocore is never imported: its `service-2.json.gz` files are read from its folder, stripped of prose, and kept as one small
marshal file per service in a cache folder. A service's model is loaded at its first use (a few ms); shapes and operations
become objects only when somebody asks for them.
"""

import gzip
import importlib.util
import json
import marshal
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from headrace.wire import put_media

SERVICES = (
    "dynamodb",
    "dynamodbstreams",
    "kinesis",
    "firehose",
    "kinesisanalytics",
    "kinesisanalyticsv2",
    "kinesisvideo",
    "kinesis-video-media",
    "kinesis-video-archived-media",
    "kinesis-video-signaling",
    "lambda",
    "redshift",
    "redshift-data",
    "ses",
    "sesv2",
    "s3",
    "sqs",
    "sns",
    "iam",
    "sts",
    "logs",
    "cloudwatch",
    "cloudformation",
    "application-autoscaling",
)

# Part of the cache file's name: raise it when what `_strip` keeps changes.
FORMAT_VERSION = 1

_PROSE = frozenset({"documentation", "documentationUrl", "deprecatedMessage", "deprecatedSince", "examples", "endpointBdd"})


class Shape:
    """One shape of a model, or one member: a shape with the traits that the member adds to it."""

    __slots__ = (
        "_data",
        "_model",
        "_parts",
        "document",
        "enum",
        "error_code",
        "error_fault",
        "error_status",
        "event",
        "event_header",
        "event_payload",
        "eventstream",
        "flattened",
        "host_label",
        "idempotency_token",
        "is_exception",
        "jsonvalue",
        "location",
        "location_name",
        "max",
        "min",
        "name",
        "pattern",
        "payload",
        "query_name",
        "required",
        "result_wrapper",
        "sensitive",
        "streaming",
        "timestamp_format",
        "type",
        "union",
        "xml_attribute",
        "xml_namespace",
        "xml_prefix",
    )

    def __init__(self, model: "ServiceModel", name: str, traits: Mapping[str, Any]) -> None:
        data = model.raw_shapes[name]
        merged = {**data, **traits} if traits else data
        self._model, self._data = model, data
        self._parts: dict[str, Any] = {}
        self.name = name
        self.type: str = data.get("type", "structure")
        self.required: frozenset[str] = frozenset(data.get("required", ()))
        self.min: float | None = data.get("min")
        self.max: float | None = data.get("max")
        self.pattern: str | None = data.get("pattern")
        self.enum: tuple[str, ...] | None = tuple(data["enum"]) if "enum" in data else None
        self.location: str | None = merged.get("location")
        self.location_name: str | None = merged.get("locationName")
        self.query_name: str | None = merged.get("queryName")
        self.flattened: bool = bool(merged.get("flattened"))
        self.timestamp_format: str | None = merged.get("timestampFormat")
        self.jsonvalue: bool = bool(merged.get("jsonvalue"))
        self.idempotency_token: bool = bool(merged.get("idempotencyToken"))
        self.host_label: bool = bool(merged.get("hostLabel"))
        self.streaming: bool = bool(merged.get("streaming"))
        self.sensitive: bool = bool(merged.get("sensitive"))
        self.document: bool = bool(merged.get("document"))
        self.union: bool = bool(merged.get("union"))
        self.eventstream: bool = bool(merged.get("eventstream"))
        self.event: bool = bool(merged.get("event"))
        self.event_header: bool = bool(merged.get("eventheader"))
        self.event_payload: bool = bool(merged.get("eventpayload"))
        self.xml_attribute: bool = bool(merged.get("xmlAttribute"))
        self.payload: str | None = merged.get("payload")
        self.result_wrapper: str | None = merged.get("resultWrapper")
        namespace = merged.get("xmlNamespace") or {}
        namespace = {"uri": namespace} if isinstance(namespace, str) else namespace
        self.xml_namespace: str | None = namespace.get("uri")
        self.xml_prefix: str | None = namespace.get("prefix")
        error = data.get("error") or {}
        self.is_exception: bool = bool(data.get("exception"))
        self.error_code: str = error.get("code") or name
        self.error_status: int | None = error.get("httpStatusCode")
        self.error_fault: bool = bool(data.get("fault")) or (self.error_status or 0) >= 500

    @property
    def members(self) -> Mapping[str, "Shape"]:
        """A structure's members by their AWS name, in the model's order."""
        found = self._parts.get("members")
        if found is None:
            found = {name: self._target(spec) for name, spec in self._data.get("members", {}).items()}
            self._parts["members"] = found
        return found

    @property
    def body_members(self) -> tuple[tuple[str, str, "Shape"], ...]:
        """The members that are XML elements in a body: name, name on the wire, shape."""
        found = self._parts.get("body_members")
        if found is None:
            found = tuple(
                (name, member.wire_name(name), member)
                for name, member in self.members.items()
                if member.location is None and not member.xml_attribute
            )
            self._parts["body_members"] = found
        return found

    @property
    def attribute_members(self) -> tuple[tuple[str, str, "Shape"], ...]:
        """The members that are XML attributes: name, name on the wire, shape."""
        found = self._parts.get("attribute_members")
        if found is None:
            found = tuple((name, member.wire_name(name), member) for name, member in self.members.items() if member.xml_attribute)
            self._parts["attribute_members"] = found
        return found

    @property
    def member(self) -> "Shape":
        """What a list is made of."""
        return self._part("member")

    @property
    def key(self) -> "Shape":
        """What a map's keys are."""
        return self._part("key")

    @property
    def value(self) -> "Shape":
        """What a map's values are."""
        return self._part("value")

    def wire_name(self, member_name: str) -> str:
        """The name under which a member of that name travels, when this shape is the member."""
        return self.location_name or member_name

    def _part(self, which: str) -> "Shape":
        found = self._parts.get(which)
        if found is None:
            found = self._parts[which] = self._target(self._data[which])
        return found

    def _target(self, spec: Mapping[str, Any]) -> "Shape":
        if len(spec) == 1:
            return self._model.shape(spec["shape"])
        return Shape(self._model, spec["shape"], {k: v for k, v in spec.items() if k != "shape"})

    def __repr__(self) -> str:
        return f"<Shape {self.name}: {self.type}>"


class OperationModel:
    """One operation of a model."""

    def __init__(self, service: "ServiceModel", name: str, data: Mapping[str, Any]) -> None:
        self.service, self.name, self._data = service, name, data
        http = data.get("http", {})
        self.method: str = http.get("method", "POST")
        self.uri: str = http.get("requestUri", "/")
        self.status: int = http.get("responseCode", 200)
        self.host_prefix: str | None = data.get("endpoint", {}).get("hostPrefix")
        self.deprecated: bool = bool(data.get("deprecated"))
        self.auth_none: bool = data.get("authtype") == "none"
        # Answered while its body still arrives (PutMedia).
        self.endless: bool = bool(data.get("endless"))
        self.checksum_required: bool = bool(data.get("httpChecksum", {}).get("requestChecksumRequired"))

    @cached_property
    def input(self) -> Shape | None:
        """The input structure, if the operation takes one."""
        return self._io("input")

    @cached_property
    def output(self) -> Shape | None:
        """The output structure, if the operation gives one."""
        return self._io("output")

    @cached_property
    def errors(self) -> tuple[Shape, ...]:
        """The error shapes that the operation declares."""
        return tuple(self.service.shape(error["shape"]) for error in self._data.get("errors", ()))

    @cached_property
    def streaming_input(self) -> str | None:
        """The member whose bytes are the request's body, when they are a stream."""
        return self._streaming(self.input)

    @cached_property
    def streaming_output(self) -> str | None:
        """The member whose bytes are the answer's body, when they are a stream."""
        return self._streaming(self.output)

    @cached_property
    def eventstream_output(self) -> str | None:
        """The member that is an event stream in the answer."""
        members = self.output.members if self.output else {}
        return next((name for name, member in members.items() if member.eventstream), None)

    def _io(self, which: str) -> Shape | None:
        spec = self._data.get(which)
        if spec is None:
            return None
        return Shape(self.service, spec["shape"], {k: v for k, v in spec.items() if k != "shape"})

    def _streaming(self, shape: Shape | None) -> str | None:
        if shape is None or shape.payload is None:
            return None
        member = shape.members[shape.payload]
        return shape.payload if member.streaming and member.type in ("blob", "string") else None

    def __repr__(self) -> str:
        return f"<OperationModel {self.service.name}.{self.name}>"


class _Operations(Mapping[str, OperationModel]):
    """Operations by name; each becomes an object when it is first asked for."""

    def __init__(self, service: "ServiceModel", raw: Mapping[str, Any]) -> None:
        self._service, self._raw = service, raw
        self._made: dict[str, OperationModel] = {}

    def __getitem__(self, name: str) -> OperationModel:
        found = self._made.get(name)
        if found is None:
            found = self._made.setdefault(name, OperationModel(self._service, name, self._raw[name]))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class ServiceModel:
    """One service's model."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        metadata = raw["metadata"]
        self.name = name
        self.raw_shapes: Mapping[str, Any] = raw["shapes"]
        self.protocols: tuple[str, ...] = tuple(metadata.get("protocols") or (metadata["protocol"],))
        self.endpoint_prefix: str = metadata["endpointPrefix"]
        self.signing_name: str = metadata.get("signingName") or metadata["endpointPrefix"]
        self.target_prefix: str = metadata.get("targetPrefix", "")
        self.json_version: str = metadata.get("jsonVersion", "1.1")
        self.api_version: str = metadata["apiVersion"]
        self.xml_namespace: str | None = metadata.get("xmlNamespace")
        self.query_compatible: bool = "awsQueryCompatible" in metadata
        self.operations: Mapping[str, OperationModel] = _Operations(self, raw["operations"])
        self._shapes: dict[str, Shape] = {}

    def shape(self, name: str) -> Shape:
        """The shape of that name, without any member's traits. KeyError if there is none."""
        found = self._shapes.get(name)
        if found is None:
            found = self._shapes.setdefault(name, Shape(self, name, {}))
        return found

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """All shapes by name."""
        return {name: self.shape(name) for name in self.raw_shapes}

    def error_shape(self, name: str) -> Shape | None:
        """The error shape of that name, if the model has one."""
        raw = self.raw_shapes.get(name)
        return self.shape(name) if raw is not None and raw.get("exception") else None

    def __repr__(self) -> str:
        return f"<ServiceModel {self.name}>"


@cache
def service(name: str) -> ServiceModel:
    """The model of one service, by botocore's name for it. KeyError if Headrace does not speak it."""
    if name == put_media.SERVICE:
        return ServiceModel(name, put_media.MODEL)
    if name not in SERVICES:
        raise KeyError(name)
    return ServiceModel(name, _load(name))


@cache
def index() -> Mapping[str, Mapping[str, Any]]:
    """The metadata of every service: enough to tell whose a request is without loading the models."""
    # Named by the services: a release that has another one shares the folder, and must not take this list for its own.
    path = _cache_folder() / f"index-{zlib.crc32(' '.join(SERVICES).encode()):08x}.marshal"
    found = _read_cache(path)
    if found is None:
        found = {name: _load(name)["metadata"] for name in SERVICES}
        _write_cache(path, found)
    return found


def warm() -> None:
    """Build the whole cache on disk."""
    index()
    for name in SERVICES:
        if not _cache_path(name).exists():
            _load(name)


# Words whose capitals are no word boundaries.
_ODD_WORDS = (("PartiQL", "Partiql"), ("OTel", "Otel"))
_SPECIAL_PLURAL = re.compile(r"[A-Z]{2,}s$")
_FIRST_CAPITAL = re.compile(r"(.)([A-Z][a-z]+)")
_END_CAPITAL = re.compile(r"([a-z0-9])([A-Z])")


@cache
def snake(name: str) -> str:
    """A name in snake case, as botocore (and so boto3's users) would have it: ShardARNs is shard_arns."""
    if "_" in name:
        return name
    for odd, plain in _ODD_WORDS:
        name = name.replace(odd, plain)
    plural = _SPECIAL_PLURAL.search(name)
    if plural is not None:
        name = f"{name[: plural.start()]}_{plural.group().lower()}"
    return _END_CAPITAL.sub(r"\1_\2", _FIRST_CAPITAL.sub(r"\1_\2", name)).lower()


def _load(name: str) -> dict[str, Any]:
    path = _cache_path(name)
    found = _read_cache(path)
    if found is None:
        found = _strip_model(_read_model(name))
        _write_cache(path, found)
    return found


def _read_model(name: str) -> dict[str, Any]:
    newest = max((_botocore_folder() / "data" / name).iterdir())
    packed = newest / "service-2.json.gz"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else (newest / "service-2.json").read_bytes()
    model: dict[str, Any] = json.loads(text)
    return model


def _strip_model(model: dict[str, Any]) -> dict[str, Any]:
    return {key: _strip(model[key], key) for key in ("metadata", "operations", "shapes")}


def _strip(value: Any, parent: str) -> Any:
    if isinstance(value, list):
        return [_strip(item, "") for item in value]
    if not isinstance(value, dict):
        return sys.intern(value) if isinstance(value, str) else value
    # A member may itself be called "documentation": only what is not a table of names loses its prose.
    keep_all = parent in ("members", "shapes", "operations")
    return {
        sys.intern(key): _strip(item, "" if keep_all else key) for key, item in value.items() if keep_all or key not in _PROSE
    }


@cache
def _botocore_folder() -> Path:
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        raise RuntimeError("botocore is not installed: its data files are the AWS service models")
    return Path(spec.origin).parent


@cache
def _cache_folder() -> Path:
    # The version stands in the first lines of botocore/__init__.py; importlib.metadata would cost 20 ms at start-up.
    text = (_botocore_folder() / "__init__.py").read_bytes()[:4096].decode()
    found = re.search(r"__version__ = '([^']+)'", text)
    version = found.group(1) if found else str(int((_botocore_folder() / "__init__.py").stat().st_mtime))
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = f"{sys.version_info.major}{sys.version_info.minor}"
    return root / "headrace" / f"models-{version}-py{python}-{FORMAT_VERSION}"


def _cache_path(name: str) -> Path:
    return _cache_folder() / f"{name}.marshal"


def _read_cache(path: Path) -> dict[str, Any] | None:
    try:
        found = marshal.loads(path.read_bytes())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _write_cache(path: Path, value: dict[str, Any]) -> None:
    """Write the file whole or not at all. A cache folder that cannot be written only costs time at the next start."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(marshal.dumps(value))
        os.replace(temporary, path)
    except OSError:
        return
