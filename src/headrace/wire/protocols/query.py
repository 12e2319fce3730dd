"""The query protocol: a form in (lists as Name.member.1, maps as Name.entry.1.key), XML out."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from headrace.kit.errors import AwsError, SerializationException
from headrace.wire.models import OperationModel, ServiceModel, Shape
from headrace.wire.protocols import xml
from headrace.wire.protocols.base import NO_LABELS, Protocol
from headrace.wire.protocols.faults import describe
from headrace.wire.protocols.scalars import parse_scalar
from headrace.wire.request import HttpRequest, Response

PARTS_MAX = 64
FIELDS_MAX = 100_000
CONTENT_TYPE = "text/xml"

_Tree = dict[str, Any]  # name -> subtree; "" -> the value that stands at this place


class Query(Protocol):
    """The query protocol."""

    def parse_request(
        self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str] = NO_LABELS
    ) -> dict[str, Any]:
        """The form's fields, from the body and the query string alike."""
        if operation.input is None:
            return {}
        value: dict[str, Any] = _structure(operation.input, _tree(request))
        return value

    def serialise_response(self, operation: OperationModel, result: Mapping[str, Any] | None, request_id: str) -> Response:
        """<XResponse><XResult>…</XResult><ResponseMetadata>…</ResponseMetadata></XResponse>"""
        name = operation.name
        namespace = operation.service.xml_namespace or ""
        out = [f'<{name}Response xmlns="{namespace}">']
        shape = operation.output
        if shape is not None:
            wrapper = shape.result_wrapper
            out.append(f"<{wrapper}>" if wrapper else "")
            xml.write_members(out, shape, result or {})
            out.append(f"</{wrapper}>" if wrapper else "")
        out.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>")
        return Response(200, _headers(request_id), "".join(out).encode("utf-8", "surrogatepass"))

    def serialise_error(
        self, service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
    ) -> Response:
        """<ErrorResponse><Error><Type>…</Type><Code>…</Code><Message>…</Message></Error>…</ErrorResponse>"""
        fault = describe(service, error, "query")
        out = [
            f'<ErrorResponse xmlns="{service.xml_namespace or ""}"><Error>',
            f"<Type>{'Sender' if fault.sender else 'Receiver'}</Type>",
            f"<Code>{xml.escape(fault.code)}</Code><Message>{xml.escape(fault.message)}</Message>",
        ]
        if fault.shape is not None:
            taken = {"message", "Message", "Code", "Type"}
            xml.write_members(out, fault.shape, {k: v for k, v in fault.fields.items() if k not in taken})
        out.append(f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>")
        return Response(fault.status, _headers(request_id), "".join(out).encode("utf-8", "surrogatepass"))


def _headers(request_id: str) -> list[tuple[str, str]]:
    return [("Content-Type", CONTENT_TYPE), ("x-amzn-RequestId", request_id)]


def _tree(request: HttpRequest) -> _Tree:
    """The fields as a tree, by the dots in their names."""
    tree: _Tree = {}
    for text in (request.query_string, request.body):
        if not text:
            continue
        try:
            decoded = text if isinstance(text, str) else text.decode("ascii")
            fields = parse_qsl(decoded, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        except ValueError:
            raise SerializationException("The query string is malformed") from None
        for name, value in fields:
            parts = name.split(".")
            if len(parts) > PARTS_MAX:
                raise SerializationException("A parameter is nested too deeply")
            node = tree
            for part in parts:
                node = node.setdefault(part, {}) if part else node
            node[""] = value
    return tree


def _value(shape: Shape, node: _Tree) -> Any:
    if shape.type == "structure":
        return _structure(shape, node)
    if shape.type == "list":
        return _list(shape, node)
    if shape.type == "map":
        return _map(shape, node)
    if "" not in node:
        raise SerializationException("Unexpected complex element termination")
    return parse_scalar(shape, node[""])


def _structure(shape: Shape, node: _Tree) -> dict[str, Any]:
    found = {}
    for name, member in shape.members.items():
        wire_name = member.wire_name(name)
        if member.type == "list" and member.flattened and member.member.location_name:
            wire_name = member.member.location_name
        inner = node.get(wire_name)
        if inner is not None:
            found[name] = _value(member, inner)
    return found


def _numbered(node: _Tree) -> list[_Tree]:
    """The subtrees whose names are numbers, in the numbers' order (gaps and all, as AWS takes them)."""
    numbers = [name for name in node if name.isdecimal() and len(name) <= 9]
    return [node[name] for name in sorted(numbers, key=int)]


def _list(shape: Shape, node: _Tree) -> list[Any]:
    if not shape.flattened:
        name = shape.member.location_name or "member"
        node = node.get(name) or node.get("member") or {}
    return [_value(shape.member, item) for item in _numbered(node)]


def _map(shape: Shape, node: _Tree) -> dict[str, Any]:
    if not shape.flattened:
        node = node.get("entry", {})
    key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
    found = {}
    for entry in _numbered(node):
        if key_name not in entry or value_name not in entry:
            raise SerializationException("A map entry needs a key and a value")
        found[entry[key_name].get("", "")] = _value(shape.value, entry[value_name])
    return found
