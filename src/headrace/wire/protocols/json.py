"""AWS JSON 1.0 and 1.1: the operation in X-Amz-Target, members in a JSON object."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.kit.errors import AwsError, SerializationException
from headrace.wire import eventstream
from headrace.wire.models import OperationModel, ServiceModel, Shape
from headrace.wire.protocols.base import NO_LABELS, Protocol
from headrace.wire.protocols.faults import describe
from headrace.wire.protocols.typed import TypeBuilder, explain, refuse_deep, without_none
from headrace.wire.request import HttpRequest, Response, Row

# Shapes that keep their JSON form, blobs as base64 text: DynamoDB stores what it was given and gives it back.
RAW_SHAPES: Mapping[str, frozenset[str]] = {
    "dynamodb": frozenset({"AttributeValue"}),
    "dynamodbstreams": frozenset({"AttributeValue"}),
}

# Errors that AWS's framework raises before a service sees the request are named after the framework.
_FRAMEWORK_ERRORS = {
    "ValidationException": "com.amazon.coral.validate#ValidationException",
    "SerializationException": "com.amazon.coral.service#SerializationException",
    "UnknownOperationException": "com.amazon.coral.service#UnknownOperationException",
    "UnrecognizedClientException": "com.amazon.coral.service#UnrecognizedClientException",
    "InvalidSignatureException": "com.amazon.coral.service#InvalidSignatureException",
    "AccessDeniedException": "com.amazon.coral.service#AccessDeniedException",
}

_encode = msgspec.json.encode


class JsonReader:
    """Reads JSON bodies of one shape. Compiled once; the work is done in C."""

    __slots__ = ("_decode", "_recursive")

    def __init__(self, kind: Any, *, recursive: bool) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._recursive = recursive

    def read(self, body: bytes) -> Any:
        """The body's value, without members that are null or unknown. Raises SerializationException."""
        try:
            value = self._decode(body or b"{}")
        except msgspec.ValidationError as error:
            raise explain(error) from None
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
            raise SerializationException("Unable to parse the request body as JSON") from None
        if self._recursive and body.count(b"[") + body.count(b"{") > 100:
            refuse_deep(value)
        if b"null" in body:
            value = without_none(value)
        return value


def write(value: Any) -> bytes:
    """JSON of a result: bytes as base64, absent (None) members left out."""
    if type(value) is dict:
        for name, member in value.items():
            if type(member) is list and member and isinstance(member[0], Row):
                return _with_rows(value, name, member)
    body = _encode(value)
    if b"null" in body:
        body = _encode(without_none(value))
    return body


def _with_rows(value: Mapping[str, Any], name: str, rows: list[Row]) -> bytes:
    """A result with a list of rows: megabytes, perhaps, that need not be looked through for nulls."""
    rest = write({key: member for key, member in value.items() if key != name})
    return b"".join((b"{", _encode(name), b":", _encode(rows), b"," if len(rest) > len(b"{}") else b"", rest[1:]))


def write_event(shape: Shape, value: Any) -> bytes:
    """JSON of an event: it says by itself what the shape would."""
    return write(value)


class Json(Protocol):
    """AWS JSON. The version is the model's, as is the content type of the answer."""

    def __init__(self) -> None:
        self._readers: dict[OperationModel, JsonReader] = {}
        self._builders: dict[str, TypeBuilder] = {}

    def parse_request(
        self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str] = NO_LABELS
    ) -> dict[str, Any]:
        """The JSON object in the body."""
        reader = self._readers.get(operation)
        if reader is None:
            reader = self._readers[operation] = self._reader(operation)
        value: dict[str, Any] = reader.read(request.body)
        return value if operation.input is not None else {}

    def serialise_response(self, operation: OperationModel, result: Mapping[str, Any] | None, request_id: str) -> Response:
        """The result as a JSON object; an output event stream as a sequence of messages."""
        if operation.eventstream_output is not None:
            return self._stream(operation, result or {}, request_id)
        headers = [("Content-Type", content_type(operation.service)), ("x-amzn-RequestId", request_id)]
        if operation.output is None:
            return Response(200, headers, b"" if not result else b"{}")
        return Response(200, headers, write(result) if result else b"{}")

    def serialise_error(
        self, service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
    ) -> Response:
        """`__type` names the error; for services that once spoke query, x-amzn-query-error gives the older code."""
        fault = describe(service, error, "json")
        body = {"__type": type_name(service, fault.name), fault.message_member: fault.message, **fault.fields}
        headers = [("Content-Type", content_type(service)), ("x-amzn-RequestId", request_id)]
        if service.query_compatible:
            headers.append(("x-amzn-query-error", f"{fault.code};{'Sender' if fault.sender else 'Receiver'}"))
        return Response(fault.status, headers, write(body))

    def _reader(self, operation: OperationModel) -> JsonReader:
        if operation.input is None:
            return JsonReader(dict[str, Any], recursive=True)
        service = operation.service.name
        builder = self._builders.setdefault(service, TypeBuilder(RAW_SHAPES.get(service, frozenset())))
        return JsonReader(builder.structure(operation.input), recursive=holds_itself(operation.input))

    def _stream(self, operation: OperationModel, result: Mapping[str, Any], request_id: str) -> Response:
        name = operation.eventstream_output
        assert name is not None
        assert operation.output is not None
        events = result.get(name) or ()
        initial = {key: value for key, value in result.items() if key != name and value is not None}
        kind = content_type(operation.service)
        first = eventstream.encode_message(
            {":message-type": "event", ":event-type": "initial-response", ":content-type": kind}, write(initial)
        )
        body = eventstream.messages(first, operation.output.members[name], events, write_event, kind)
        headers = [("Content-Type", eventstream.CONTENT_TYPE), ("x-amzn-RequestId", request_id)]
        return Response(200, headers, body)


def content_type(service: ServiceModel) -> str:
    """The content type of the service's JSON."""
    return f"application/x-amz-json-{service.json_version}"


def type_name(service: ServiceModel, name: str) -> str:
    """An error's `__type`: JSON 1.0 services give it a namespace, the others do not."""
    if service.json_version != "1.0":
        return name
    if name in _FRAMEWORK_ERRORS:
        return _FRAMEWORK_ERRORS[name]
    if service.signing_name == "dynamodb":
        return f"com.amazonaws.dynamodb.v20120810#{name}"
    return f"com.amazonaws.{service.name}#{name}"


def holds_itself(shape: Shape) -> bool:
    """Whether a value of this shape can be nested without end."""
    return _reaches_loop(shape, ())


def _reaches_loop(shape: Shape, above: tuple[str, ...]) -> bool:
    if shape.name in above or shape.document:
        return True
    if shape.type == "list":
        return _reaches_loop(shape.member, above)
    if shape.type == "map":
        return _reaches_loop(shape.value, above)
    if shape.type != "structure":
        return False
    inside = (*above, shape.name)
    return any(_reaches_loop(member, inside) for member in shape.members.values())
