"""CBOR in AWS's two dialects: application/x-amz-cbor-1.1, and smithy's rpc-v2-cbor.

The first is what Kinesis's Java SDK speaks: JSON's envelope (X-Amz-Target, `__type`) around a CBOR body whose times are
milliseconds. In the second the path names the operation, and times are seconds.
"""

from collections.abc import Callable, Mapping
from typing import Any

import cbor2
import msgspec

from headrace.kit.errors import AwsError, SerializationException
from headrace.wire import eventstream
from headrace.wire.models import OperationModel, ServiceModel, Shape
from headrace.wire.protocols.base import NO_LABELS, Protocol
from headrace.wire.protocols.faults import describe
from headrace.wire.protocols.json import type_name
from headrace.wire.protocols.typed import DEPTH_MAX, TypeBuilder, explain, without_none
from headrace.wire.request import HttpRequest, Response, Row

_EPOCH_TAG = 1

_Convert = Callable[[Any], Any]


def _refuse_tag(*_: Any) -> Any:
    raise ValueError("a CBOR tag that AWS does not use")


# cbor2 would build big numbers, fractions, regular expressions, sockets' addresses and shared (so endless) values.
_REFUSED_TAGS = (0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43000, 100, 256, 258, 260, 261, 1004, 1010, 55799)


class Cbor(Protocol):
    """AWS's older CBOR, and the ground of the newer."""

    time_unit_s = 0.001
    protocol = "cbor"

    def __init__(self) -> None:
        self._types: dict[OperationModel, Any] = {}
        self._builders: dict[str, TypeBuilder] = {}
        # By the shape's id, which is a key only as long as the shape lives: so it is kept beside its writer.
        self._writers: dict[int, tuple[Shape, _Convert | None]] = {}
        self._decoders = {**dict.fromkeys(_REFUSED_TAGS, _refuse_tag), _EPOCH_TAG: self._read_time}

    def parse_request(
        self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str] = NO_LABELS
    ) -> dict[str, Any]:
        """The CBOR map in the body."""
        if operation.input is None or not request.body:
            return {}
        kind = self._types.get(operation)
        if kind is None:
            builder = self._builders.setdefault(operation.service.name, TypeBuilder())
            kind = self._types[operation] = builder.structure(operation.input)
        try:
            raw = cbor2.loads(
                request.body,
                semantic_decoders=self._decoders,
                tag_hook=_refuse_tag,
                max_depth=DEPTH_MAX,
                strict_hashable_types=True,
            )
        except (cbor2.CBORDecodeError, ValueError, RecursionError, OverflowError, TypeError, MemoryError, EOFError):
            raise SerializationException("Unable to parse the request body as CBOR") from None
        try:
            value: dict[str, Any] = without_none(msgspec.convert(raw, kind))
        except msgspec.ValidationError as error:
            raise explain(error) from None
        except (RecursionError, OverflowError, ValueError):
            raise SerializationException("Unable to parse the request body as CBOR") from None
        return value

    def serialise_response(self, operation: OperationModel, result: Mapping[str, Any] | None, request_id: str) -> Response:
        """The result as a CBOR map; an output event stream as a sequence of messages."""
        headers = [*self._envelope(), ("x-amzn-RequestId", request_id)]
        if operation.output is None:
            return Response(200, headers, b"")
        if operation.eventstream_output is not None:
            return self._stream(operation, operation.eventstream_output, result or {}, request_id)
        return Response(200, headers, self.write(operation.output, result or {}))

    def serialise_error(
        self, service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
    ) -> Response:
        """`__type` names the error."""
        fault = describe(service, error, "cbor")
        body: dict[str, Any] = {fault.message_member: fault.message, **fault.fields}
        if fault.shape is not None:
            body = self._converted(fault.shape, body)
        body["__type"] = self._type_name(service, fault.name)
        headers = [*self._envelope(), ("x-amzn-RequestId", request_id)]
        if service.query_compatible:
            headers.append(("x-amzn-query-error", f"{fault.code};{'Sender' if fault.sender else 'Receiver'}"))
        return Response(fault.status, headers, cbor2.dumps(body))

    def write(self, shape: Shape, value: Any) -> bytes:
        """CBOR of a value."""
        return cbor2.dumps(self._converted(shape, value))

    def _envelope(self) -> list[tuple[str, str]]:
        return [("Content-Type", "application/x-amz-cbor-1.1")]

    def _type_name(self, service: ServiceModel, name: str) -> str:
        return type_name(service, name)

    def _read_time(self, value: Any, *_: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError("a time that is no number")
        return float(value) * self.time_unit_s

    def _time(self, value: Any) -> cbor2.CBORTag:
        return cbor2.CBORTag(_EPOCH_TAG, round(float(value) * 1000))

    def _stream(self, operation: OperationModel, name: str, result: Mapping[str, Any], request_id: str) -> Response:
        shape = operation.output
        assert shape is not None
        content_type = self._envelope()[-1][1]

        headers = {":message-type": "event", ":event-type": "initial-response", ":content-type": content_type}
        initial = self.write(shape, {key: value for key, value in result.items() if key != name})
        first = eventstream.encode_message(headers, initial)
        body = eventstream.messages(first, shape.members[name], result.get(name) or (), self.write, content_type)
        return Response(200, [("Content-Type", eventstream.CONTENT_TYPE), ("x-amzn-RequestId", request_id)], body)

    def _converted(self, shape: Shape, value: Any) -> Any:
        writer = self._writer(shape)
        return without_none(value) if writer is None else writer(value)

    def _writer(self, shape: Shape) -> _Convert | None:
        """What makes a value of the shape ready for cbor2, or None if it is so already (it holds no time or float)."""
        found = self._writers.get(id(shape))
        if found is None:
            made: dict[int, _Convert | None] = {}
            found = (shape, self._make_writer(shape, made))
            self._writers[id(shape)] = found
        return found[1]

    def _make_writer(self, shape: Shape, made: dict[int, _Convert | None]) -> _Convert | None:
        if id(shape) in made:
            return made[id(shape)]
        made[id(shape)] = None  # a shape that holds itself: none of those that speak CBOR hold a time as well
        writer: _Convert | None = None
        if shape.type == "timestamp":
            writer = self._time
        elif shape.type in ("float", "double"):
            writer = float
        elif shape.type == "structure":
            members = {name: self._make_writer(member, made) for name, member in shape.members.items()}
            writer = _structure_writer({name: inner for name, inner in members.items() if inner is not None})
        elif shape.type == "list":
            writer = _list_writer(self._make_writer(shape.member, made))
        elif shape.type == "map":
            writer = _map_writer(self._make_writer(shape.value, made))
        made[id(shape)] = writer
        return writer


class RpcV2Cbor(Cbor):
    """smithy's rpc-v2-cbor."""

    time_unit_s = 1.0
    protocol = "smithy-rpc-v2-cbor"

    def _envelope(self) -> list[tuple[str, str]]:
        return [("smithy-protocol", "rpc-v2-cbor"), ("Content-Type", "application/cbor")]

    def _type_name(self, service: ServiceModel, name: str) -> str:
        return f"com.amazonaws.{service.name}#{name}"

    def _time(self, value: Any) -> cbor2.CBORTag:
        return cbor2.CBORTag(_EPOCH_TAG, int(value) if float(value).is_integer() else float(value))


def _structure_writer(writers: Mapping[str, _Convert]) -> _Convert | None:
    if not writers:
        return None

    def structure(value: Mapping[str, Any] | Row) -> dict[str, Any]:
        members = msgspec.to_builtins(value, builtin_types=(bytes,)) if isinstance(value, Row) else value
        return {
            name: writers[name](item) if name in writers else without_none(item)
            for name, item in members.items()
            if item is not None
        }

    return structure


def _list_writer(inner: _Convert | None) -> _Convert | None:
    return None if inner is None else lambda value: [inner(item) for item in value]


def _map_writer(inner: _Convert | None) -> _Convert | None:
    return None if inner is None else lambda value: {key: inner(item) for key, item in value.items()}
