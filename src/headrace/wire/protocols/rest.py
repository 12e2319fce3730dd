"""What both REST protocols share: members in the path, the query, headers, the status and the body."""

import re
from abc import abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from headrace.kit.errors import SerializationException
from headrace.wire import eventstream
from headrace.wire.models import OperationModel, Shape
from headrace.wire.protocols.base import NO_LABELS, Protocol
from headrace.wire.protocols.scalars import format_scalar, parse_scalar
from headrace.wire.request import HttpRequest, Response

HEADER_TIMESTAMP_FORMAT = "rfc822"

_LIST_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|\Z)')
_UNSAFE_IN_HEADER = re.compile(r"[\r\n\x00]")


class Rest(Protocol):
    """Base of rest-json and rest-xml: they differ in the body alone."""

    def __init__(self) -> None:
        self._located: dict[OperationModel, tuple[tuple[str, Shape], ...]] = {}

    @abstractmethod
    def read_body(self, operation: OperationModel, body: bytes) -> dict[str, Any]:
        """The members that travel together in the body."""

    @abstractmethod
    def read_payload(self, operation: OperationModel, shape: Shape, body: bytes) -> Any:
        """The one structure that is the body."""

    @abstractmethod
    def write_body(self, operation: OperationModel, result: Mapping[str, Any]) -> tuple[str, bytes]:
        """Content type and bytes of a body made of the members that travel in it."""

    @abstractmethod
    def write_payload(self, operation: OperationModel, name: str, value: Any) -> tuple[str, bytes]:
        """Content type and bytes of a body that is one structure."""

    @abstractmethod
    def write_event(self, shape: Shape, value: Any) -> bytes:
        """The payload of an event."""

    @abstractmethod
    def request_id_headers(self, request_id: str) -> list[tuple[str, str]]:
        """The headers that carry the request id."""

    event_content_type: str

    def parse_request(
        self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str] = NO_LABELS
    ) -> dict[str, Any]:
        """The input's members, each from its place."""
        shape = operation.input
        if shape is None:
            return {}
        found: dict[str, Any] = {}
        for name, member in self._with_location(operation, shape):
            value = _read_located(name, member, request, labels)
            if value is not None:
                found[name] = value
        if shape.payload is not None:
            member = shape.members[shape.payload]
            if operation.streaming_input is not None:
                found[shape.payload] = request.body
            elif member.type in ("blob", "string"):
                if request.body:
                    found[shape.payload] = request.body if member.type == "blob" else _text(request.body)
            elif request.body:
                found[shape.payload] = self.read_payload(operation, member, request.body)
        elif request.body and any(member.location is None for member in shape.members.values()):
            found.update(self.read_body(operation, request.body))
        return found

    def serialise_response(self, operation: OperationModel, result: Mapping[str, Any] | None, request_id: str) -> Response:
        """The output's members, each in its place."""
        shape, result = operation.output, result or {}
        headers = self.request_id_headers(request_id)
        if shape is None:
            return Response(operation.status, headers)
        headers += write_headers(shape, result)
        status = operation.status
        for name, member in shape.members.items():
            if member.location == "statusCode" and result.get(name) is not None:
                status = int(result[name])
        content_type, body = self._output_body(operation, shape, result)
        if content_type and not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", content_type))
        return Response(status, headers, body)

    def _output_body(
        self, operation: OperationModel, shape: Shape, result: Mapping[str, Any]
    ) -> tuple[str, bytes | Iterator[bytes]]:
        name = shape.payload
        if name is None:
            return self.write_body(operation, result)
        member, value = shape.members[name], result.get(name)
        if member.eventstream:
            events = eventstream.encode_events(member, value or (), self.write_event, self.event_content_type)
            return eventstream.CONTENT_TYPE, events
        if member.type == "blob":
            return "binary/octet-stream", value if value is not None else b""
        if member.type == "string":
            return self.event_content_type, (value or "").encode()
        return self.write_payload(operation, name, value) if value is not None else ("", b"")

    def _with_location(self, operation: OperationModel, shape: Shape) -> tuple[tuple[str, Shape], ...]:
        found = self._located.get(operation)
        if found is None:
            found = tuple((name, member) for name, member in shape.members.items() if member.location is not None)
            self._located[operation] = found
        return found


def write_headers(shape: Shape, result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The members that travel in headers. A line break in a value would begin another header: it becomes a space."""
    headers: list[tuple[str, str]] = []
    for name, member in shape.members.items():
        value = result.get(name)
        if value is None:
            continue
        if member.location == "header":
            headers.append((member.wire_name(name), header_text(member, value)))
        elif member.location == "headers":
            prefix = member.location_name or ""
            headers += [(prefix + key, _UNSAFE_IN_HEADER.sub(" ", text)) for key, text in value.items()]
    return headers


def header_text(shape: Shape, value: Any) -> str:
    """One header's value."""
    if shape.jsonvalue:
        return b64encode(msgspec.json.encode(value)).decode()
    if shape.type == "list":
        return ",".join(_list_item(header_text(shape.member, item)) for item in value)
    return _UNSAFE_IN_HEADER.sub(" ", format_scalar(shape, value, HEADER_TIMESTAMP_FORMAT))


def _list_item(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"' if '"' in text or "," in text else text


def _read_located(name: str, member: Shape, request: HttpRequest, labels: Mapping[str, str]) -> Any:
    wire_name = member.wire_name(name)
    if member.location == "uri":
        text = labels.get(wire_name)
        return None if text is None else parse_scalar(member, text)
    if member.location == "header":
        text = request.headers.get(wire_name.lower())
        return None if text is None else _read_header(member, text)
    if member.location == "headers":
        prefix = wire_name.lower()
        found = {key[len(prefix) :]: value for key, value in request.headers.items() if key.startswith(prefix)}
        return found or None
    if member.location == "querystring" and request.query_string:
        return _read_query(member, wire_name, request.query_string)
    return None


def _read_header(member: Shape, text: str) -> Any:
    if member.jsonvalue:
        try:
            return msgspec.json.decode(b64decode(text, validate=True))
        except (ValueError, RecursionError):
            raise SerializationException("A header is no base64 encoded JSON") from None
    if member.type == "list":
        items = [item.strip() for item in _LIST_ITEM.findall(text) if item.strip()]
        plain = [item[1:-1].replace('\\"', '"') if item.startswith('"') and len(item) > 1 else item for item in items]
        return [parse_scalar(member.member, item) for item in plain]
    return parse_scalar(member, text)


def _read_query(member: Shape, wire_name: str, query_string: str) -> Any:
    query = parse_qs(query_string, keep_blank_values=True)
    if member.type == "map":
        many = member.value.type == "list"
        return {key: values if many else values[0] for key, values in query.items()}
    values = query.get(wire_name)
    if values is None:
        return None
    if member.type == "list":
        return [parse_scalar(member.member, value) for value in values]
    return parse_scalar(member, values[0])


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise SerializationException("The body is not UTF-8") from None
