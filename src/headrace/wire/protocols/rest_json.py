"""REST with JSON bodies: Lambda, SES v2, Kinesis Video."""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import AwsError
from headrace.wire.models import OperationModel, ServiceModel, Shape
from headrace.wire.protocols.faults import describe
from headrace.wire.protocols.json import JsonReader, holds_itself, write
from headrace.wire.protocols.rest import Rest, write_headers
from headrace.wire.protocols.typed import TypeBuilder
from headrace.wire.request import Response

CONTENT_TYPE = "application/json"


class RestJson(Rest):
    """REST with JSON bodies."""

    event_content_type = CONTENT_TYPE

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[tuple[OperationModel, str], JsonReader] = {}
        self._builders: dict[str, TypeBuilder] = {}

    def read_body(self, operation: OperationModel, body: bytes) -> dict[str, Any]:
        """The members of a JSON object, without those that travel elsewhere."""
        shape = operation.input
        assert shape is not None
        elsewhere = frozenset(name for name, member in shape.members.items() if member.location is not None)
        value: dict[str, Any] = self._reader(operation, shape, elsewhere).read(body)
        return value

    def read_payload(self, operation: OperationModel, shape: Shape, body: bytes) -> Any:
        """The JSON object that is one member."""
        return self._reader(operation, shape, frozenset()).read(body)

    def write_body(self, operation: OperationModel, result: Mapping[str, Any]) -> tuple[str, bytes]:
        """A JSON object of the members that travel in no header."""
        shape = operation.output
        assert shape is not None
        members = shape.members
        in_body = {
            name: value
            for name, value in result.items()
            if value is not None and (name not in members or members[name].location is None)
        }
        if not in_body and (operation.status == 204 or all(m.location is not None for m in members.values())):
            return ("" if operation.status == 204 else CONTENT_TYPE), b"" if operation.status == 204 else b"{}"
        return CONTENT_TYPE, write(in_body)

    def write_payload(self, operation: OperationModel, name: str, value: Any) -> tuple[str, bytes]:
        """The member's JSON."""
        return CONTENT_TYPE, write(value)

    def write_event(self, shape: Shape, value: Any) -> bytes:
        """An event's JSON."""
        return write(value)

    def request_id_headers(self, request_id: str) -> list[tuple[str, str]]:
        """x-amzn-RequestId."""
        return [("x-amzn-RequestId", request_id)]

    def serialise_error(
        self, service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
    ) -> Response:
        """x-amzn-ErrorType names the error; the body has its members."""
        fault = describe(service, error, "rest-json")
        headers = [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", fault.code), ("Content-Type", CONTENT_TYPE)]
        body = {fault.message_member: fault.message, **fault.fields}
        if fault.shape is not None:
            headers += write_headers(fault.shape, body)
            members = fault.shape.members
            body = {name: value for name, value in body.items() if name not in members or not members[name].location}
            if "Type" in members:
                body.setdefault("Type", "User" if fault.sender else "Service")
        empty = operation is not None and operation.method == "HEAD"
        return Response(fault.status, headers, b"" if empty else write(body))

    def _reader(self, operation: OperationModel, shape: Shape, leave_out: frozenset[str]) -> JsonReader:
        reader = self._readers.get((operation, shape.name))
        if reader is None:
            builder = self._builders.setdefault(operation.service.name, TypeBuilder())
            kind = builder.structure(shape, leave_out=leave_out) if shape.type == "structure" else builder.of(shape)
            reader = JsonReader(kind, recursive=holds_itself(shape))
            self._readers[operation, shape.name] = reader
        return reader
