"""What an error is on the wire: code, status and members, read from the model where it declares the error."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.kit.errors import AwsError
from headrace.wire.models import ServiceModel, Shape

# What the query protocol and S3 call the errors that are common to all services.
_QUERY_CODES = {
    "ValidationException": "ValidationError",
    "AccessDeniedException": "AccessDenied",
    "SerializationException": "MalformedQueryString",
    "UnknownOperationException": "InvalidAction",
    "ThrottlingException": "Throttling",
}
_S3_CODES = {
    "ValidationException": "InvalidArgument",
    "AccessDeniedException": "AccessDenied",
    "SerializationException": "MalformedXML",
    "UnknownOperationException": "MethodNotAllowed",
    "InternalFailure": "InternalError",
    "RequestEntityTooLarge": "EntityTooLarge",
    "ThrottlingException": "SlowDown",
}
_COMMON_CODES: dict[str, dict[str, str]] = {"query": _QUERY_CODES, "rest-xml": _S3_CODES}


class Fault(msgspec.Struct, frozen=True):
    """An error as a protocol has to write it."""

    name: str  # the shape's name, or the code of an error that no model declares
    code: str
    status: int
    sender: bool
    message_member: str
    message: str
    fields: Mapping[str, Any]
    shape: Shape | None


def describe(service: ServiceModel, error: AwsError, protocol: str) -> Fault:
    """The error in the words of the service's model, or of the protocol if the model does not declare it."""
    message = error.message if error.message.isascii() else error.message.encode("utf-8", "replace").decode()
    kind = type(error).__name__
    shape = service.error_shape(kind) or (service.error_shape(error.code) if error.code else None)
    if shape is None:
        name = error.code or kind
        code = _COMMON_CODES.get(protocol, {}).get(name, name)
        return Fault(code, code, error.status, error.fault == "Sender", "message", message, error.fields, None)
    message_member = next((name for name in ("message", "Message") if name in shape.members), "message")
    fields = {name: value for name, value in error.fields.items() if value is not None}
    status = shape.error_status or (500 if shape.error_fault else error.status)
    code = error.query_code or shape.error_code
    return Fault(shape.name, code, status, not shape.error_fault, message_member, message, fields, shape)
