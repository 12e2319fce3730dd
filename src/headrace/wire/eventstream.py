"""The binary framing vnd.amazon.eventstream: messages with typed headers and two checksums."""

import binascii
import itertools
import struct
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from headrace.kit.errors import AwsError, SerializationException
from headrace.wire.models import Shape

CONTENT_TYPE = "application/vnd.amazon.eventstream"
HEADERS_BYTES_MAX = 128 * 1024
PAYLOAD_BYTES_MAX = 24 * 1024 * 1024

Writer = Callable[[Shape, Any], bytes]
HeaderValue = bool | int | str | bytes | float

_PRELUDE = struct.Struct(">III")
_U32 = struct.Struct(">I")
_U16 = struct.Struct(">H")


class Message(msgspec.Struct, frozen=True):
    """One message: its headers and its payload. A timestamp header is float epoch seconds."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


class SharedEvent(dict[str, Any]):
    """An event that goes into several streams: its bytes on the wire are made once for each content type."""

    __slots__ = ("encoded",)

    def __init__(self, event: Mapping[str, Any]) -> None:
        super().__init__(event)
        self.encoded: dict[str, bytes] = {}


def encode_message(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """One message on the wire."""
    packed = b"".join(_encode_header(name, value) for name, value in headers.items())
    total = 16 + len(packed) + len(payload)
    lengths = struct.pack(">II", total, len(packed))
    message = lengths + _U32.pack(binascii.crc32(lengths)) + packed + payload
    return message + _U32.pack(binascii.crc32(message))


def decode_messages(data: bytes) -> Iterator[Message]:
    """All messages in the data. Raises SerializationException at the first that is cut short or damaged."""
    at = 0
    while at < len(data):
        if len(data) - at < 16:
            raise SerializationException("Event stream message is cut short")
        total, headers_length, prelude_crc = _PRELUDE.unpack_from(data, at)
        if binascii.crc32(data[at : at + 8]) != prelude_crc:
            raise SerializationException("Event stream prelude checksum does not match")
        payload_length = total - headers_length - 16
        if headers_length > HEADERS_BYTES_MAX or not 0 <= payload_length <= PAYLOAD_BYTES_MAX:
            raise SerializationException("Event stream message is too large")
        if len(data) - at < total:
            raise SerializationException("Event stream message is cut short")
        body_end = at + total - 4
        if binascii.crc32(data[at:body_end]) != _U32.unpack_from(data, body_end)[0]:
            raise SerializationException("Event stream message checksum does not match")
        headers_end = at + 12 + headers_length
        yield Message(_decode_headers(data[at + 12 : headers_end]), data[headers_end:body_end])
        at += total


def encode_events(shape: Shape, events: Iterable[Mapping[str, Any]], write: Writer, content_type: str) -> Iterator[bytes]:
    """The events of an output stream as messages; each event is {its name: its members}.

    An AwsError raised while the events are made ends the stream with an exception message, as the status is already sent.
    """
    try:
        for event in events:
            yield _encode(shape, event, write, content_type)
    except AwsError as error:
        yield encode_error(shape, error, write, content_type)


async def encode_arriving(
    first: bytes, shape: Shape, events: AsyncGenerator[Mapping[str, Any]], write: Writer, content_type: str
) -> AsyncGenerator[bytes]:
    """As `encode_events`, of events that are waited for; the message `first` goes ahead of them."""
    async with aclosing(events):
        yield first
        try:
            async for event in events:
                yield _encode(shape, event, write, content_type)
        except AwsError as error:
            yield encode_error(shape, error, write, content_type)


def messages(
    first: bytes, shape: Shape, events: Iterable[Mapping[str, Any]], write: Writer, content_type: str
) -> Iterator[bytes] | AsyncGenerator[bytes]:
    """The whole body of an output stream: the initial response, and events that are there or waited for."""
    if isinstance(events, AsyncGenerator):
        return encode_arriving(first, shape, events, write, content_type)
    return itertools.chain((first,), encode_events(shape, events, write, content_type))


def encode_error(shape: Shape, error: AwsError, write: Writer, content_type: str) -> bytes:
    """An error inside a stream that has begun."""
    name = type(error).__name__
    if name not in shape.members:
        code = error.code or name
        return encode_message({":message-type": "error", ":error-code": code, ":error-message": error.message}, b"")
    member = "Message" if "Message" in shape.members[name].members else "message"
    headers = {":message-type": "exception", ":exception-type": name, ":content-type": content_type}
    return encode_message(headers, write(shape.members[name], {member: error.message, **error.fields}))


def _encode(shape: Shape, event: Mapping[str, Any], write: Writer, content_type: str) -> bytes:
    shared = event.encoded if isinstance(event, SharedEvent) else None
    if shared is not None and content_type in shared:
        return shared[content_type]
    parts = [_encode_event(shape.members[name], name, value, write, content_type) for name, value in event.items()]
    encoded = parts[0] if len(parts) == 1 else b"".join(parts)
    if shared is not None:
        shared[content_type] = encoded
    return encoded


def _encode_event(event: Shape, name: str, value: Mapping[str, Any], write: Writer, content_type: str) -> bytes:
    headers: dict[str, HeaderValue] = {":message-type": "event", ":event-type": name}
    rest = {key: item for key, item in value.items() if item is not None}
    payload: bytes | None = None
    for key, member in event.members.items():
        if key not in rest:
            continue
        if member.event_header:
            headers[key] = rest.pop(key)
        elif member.event_payload:
            item = rest.pop(key)
            if member.type == "blob":
                headers[":content-type"], payload = "application/octet-stream", bytes(item)
            elif member.type == "string":
                headers[":content-type"], payload = "text/plain", item.encode()
            else:
                headers[":content-type"], payload = content_type, write(member, item)
    if payload is None and not any(member.event_payload for member in event.members.values()):
        if event.members:
            headers[":content-type"] = content_type
        payload = write(event, rest) if event.members else b""
    return encode_message(headers, payload or b"")


def _encode_header(name: str, value: HeaderValue) -> bytes:
    encoded = name.encode()
    start = bytes((len(encoded),)) + encoded
    if value is True:
        return start + b"\x00"
    if value is False:
        return start + b"\x01"
    if isinstance(value, int):
        return start + b"\x05" + struct.pack(">q", value)
    if isinstance(value, float):
        return start + b"\x08" + struct.pack(">q", round(value * 1000))
    kind, raw = (b"\x06", value) if isinstance(value, bytes) else (b"\x07", value.encode())
    return start + kind + _U16.pack(len(raw)) + raw


_FIXED = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}


def _decode_headers(data: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(data):
            length = data[at]
            name = data[at + 1 : at + 1 + length].decode()
            kind, at = data[at + 1 + length], at + 2 + length
            if kind in (0, 1):
                headers[name] = kind == 0
            elif kind in _FIXED:
                (number,) = struct.unpack_from(_FIXED[kind], data, at)
                headers[name] = number / 1000 if kind == 8 else number
                at += struct.calcsize(_FIXED[kind])
            elif kind in (6, 7):
                (size,) = _U16.unpack_from(data, at)
                raw = data[at + 2 : at + 2 + size]
                headers[name] = raw if kind == 6 else raw.decode()
                at += 2 + size
            elif kind == 9:
                headers[name] = data[at : at + 16]
                at += 16
            else:
                raise SerializationException(f"Unknown event stream header type {kind}")
    except (struct.error, IndexError, UnicodeDecodeError):
        raise SerializationException("Event stream headers are damaged") from None
    return headers
