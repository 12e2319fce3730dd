"""XML in and out: what the query protocol answers with, and what S3 speaks.

Reading is by expat itself, so that a document type (and with it every entity trick) is refused before it means anything.
"""

import re
from collections.abc import Mapping
from pyexpat import ExpatError, ParserCreate
from typing import Any

from headrace.kit.errors import SerializationException
from headrace.wire.models import Shape
from headrace.wire.protocols.scalars import format_scalar, parse_scalar

DEPTH_MAX = 64
NODES_MAX = 200_000

TIMESTAMP_FORMAT = "iso8601"

_SPECIAL = re.compile(r'[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f]')
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}


class Node:
    """One element. Names are without their namespace prefix."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Node] = []
        self.text = ""


class _Reader:
    """Builds nodes from expat's events."""

    def __init__(self) -> None:
        self.stack: list[Node] = [Node("", {})]
        self.texts: list[list[str]] = [[]]
        self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.stack) > DEPTH_MAX or self.count > NODES_MAX:
            raise SerializationException("The XML you provided is nested too deeply or too large")
        node = Node(tag.rpartition(":")[2], {name.rpartition(":")[2]: value for name, value in attributes.items()})
        self.stack[-1].children.append(node)
        self.stack.append(node)
        self.texts.append([])

    def end(self, tag: str) -> None:
        self.stack.pop().text = "".join(self.texts.pop())

    def data(self, text: str) -> None:
        self.texts[-1].append(text)

    def doctype(self, *_: Any) -> None:
        raise SerializationException("A document type is not allowed in the XML of a request")


def read(body: bytes) -> Node:
    """The document's root. Raises SerializationException."""
    reader = _Reader()
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.EntityDeclHandler = reader.doctype
    try:
        parser.Parse(body, True)
    except (ExpatError, LookupError, ValueError):
        raise SerializationException(
            "The XML you provided was not well-formed or did not validate against our published schema"
        ) from None
    return reader.stack[0].children[0]


def parse(shape: Shape, node: Node) -> Any:
    """The value of an element. A flattened list is read by its structure."""
    if shape.type == "structure":
        return parse_structure(shape, node)
    if shape.type == "list":
        name = shape.member.location_name or "member"
        return [parse(shape.member, child) for child in node.children if child.tag == name]
    if shape.type == "map":
        return _parse_map(shape, [child for child in node.children if child.tag == "entry"])
    return parse_scalar(shape, node.text)


def parse_structure(shape: Shape, node: Node, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The members found in an element. Unknown ones are dropped."""
    by_tag: dict[str, list[Node]] = {}
    for child in node.children:
        by_tag.setdefault(child.tag, []).append(child)
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        if name in leave_out:
            continue
        if member.xml_attribute:
            value = node.attributes.get(member.wire_name(name).rpartition(":")[2])
            if value is not None:
                found[name] = parse_scalar(member, value)
            continue
        nodes = by_tag.get(member.wire_name(name))
        if nodes is None:
            continue
        if member.flattened and member.type == "list":
            found[name] = [parse(member.member, item) for item in nodes]
        elif member.flattened and member.type == "map":
            found[name] = _parse_map(member, nodes)
        else:
            found[name] = parse(member, nodes[0])
    return found


def _parse_map(shape: Shape, entries: list[Node]) -> dict[str, Any]:
    key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
    found = {}
    for entry in entries:
        parts = {child.tag: child for child in entry.children}
        if key_name in parts and value_name in parts:
            found[parts[key_name].text] = parse(shape.value, parts[value_name])
    return found


def escape(text: str) -> str:
    """Text as XML holds it."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0]) or f"&#x{ord(found[0]):x};", text)


def write(out: list[str], name: str, shape: Shape, value: Any) -> None:
    """One member as an element (or, if flattened, as several)."""
    kind = shape.type
    if value is None:
        return
    if kind == "string":
        out.append(f"<{name}>{escape(str(value))}</{name}>")
    elif kind == "structure":
        write_structure(out, name, shape, value)
    elif kind == "list":
        _write_list(out, name, shape, value)
    elif kind == "map":
        _write_map(out, name, shape, value)
    else:
        out.append(f"<{name}>{escape(format_scalar(shape, value, TIMESTAMP_FORMAT))}</{name}>")


def write_structure(out: list[str], name: str, shape: Shape, value: Mapping[str, Any], namespace: str | None = None) -> None:
    """A structure as an element, with the namespace if one is given or the shape has its own."""
    attributes = f' xmlns="{escape(namespace)}"' if namespace else ""
    if shape.xml_namespace and not namespace:
        prefix = f":{shape.xml_prefix}" if shape.xml_prefix else ""
        attributes += f' xmlns{prefix}="{escape(shape.xml_namespace)}"'
    for member_name, wire_name, _ in shape.attribute_members:
        if value.get(member_name) is not None:
            attributes += f' {wire_name}="{escape(str(value[member_name]))}"'
    out.append(f"<{name}{attributes}>")
    write_members(out, shape, value)
    out.append(f"</{name}>")


def write_members(out: list[str], shape: Shape, value: Mapping[str, Any]) -> None:
    """The members of a structure that travel in the body, in the model's order."""
    for member_name, wire_name, member in shape.body_members:
        item = value.get(member_name)
        if item is not None:
            write(out, wire_name, member, item)


def _write_list(out: list[str], name: str, shape: Shape, value: Any) -> None:
    member = shape.member
    if shape.flattened:
        item_name = member.location_name or name
        for item in value:
            write(out, item_name, member, item)
        return
    item_name = member.location_name or "member"
    out.append(f"<{name}>")
    for item in value:
        write(out, item_name, member, item)
    out.append(f"</{name}>")


def _write_map(out: list[str], name: str, shape: Shape, value: Mapping[str, Any]) -> None:
    entry = name if shape.flattened else "entry"
    key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
    if not shape.flattened:
        out.append(f"<{name}>")
    for key, item in value.items():
        out.append(f"<{entry}><{key_name}>{escape(key)}</{key_name}>")
        write(out, value_name, shape.value, item)
        out.append(f"</{entry}>")
    if not shape.flattened:
        out.append(f"</{name}>")
