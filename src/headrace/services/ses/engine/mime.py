"""MIME messages: built from their parts, or taken as raw bytes and made ready to be sent.

No header can be injected: a control character in a header's value is refused, never folded away.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email import policy
from email.header import decode_header
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser, BytesParser
from email.utils import format_datetime

import msgspec

from headrace.services.ses.engine.addresses import Address, parse_all

# Longer encoded headers are shown as they came: decoding takes quadratic time.
ENCODED_CHARACTERS_MAX = 4000
PREVIEW_CHARACTERS_MAX = 200_000
HEADERS_MAX_BYTES = 256 * 1024

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(r"^[!-9;-~]{1,126}$")
_FIELD_NAME = re.compile(rb"[!-9;-~]{1,200}")
# The headers that SES sets itself, or reads and takes away.
_TAKEN = {b"bcc", b"message-id", b"date", b"return-path", b"received"}


class BadMessage(ValueError):
    """The message cannot be built; the text says why."""


class Attachment(msgspec.Struct, frozen=True):
    """One attached file."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"
    content_id: str = ""
    inline: bool = False
    description: str = ""


class Parts(msgspec.Struct, frozen=True):
    """What a message is built from."""

    source: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    text: str | None
    html: str | None
    reply_to: tuple[Address, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    charsets: Mapping[str, str] = msgspec.field(default_factory=dict)  # "text", "html" -> charset


def build(parts: Parts, message_id: str, now: float) -> bytes:
    """The message as bytes with CRLF line ends."""
    message = EmailMessage(policy.SMTP.clone(max_line_length=998))
    _add(message, "From", parts.source.header)
    for name, addresses in (("To", parts.to), ("Cc", parts.cc), ("Reply-To", parts.reply_to)):
        if addresses:
            _add(message, name, ", ".join(address.header for address in addresses))
    _add(message, "Subject", parts.subject)
    _add(message, "Message-ID", f"<{message_id}@email.amazonses.com>")
    _add(message, "Date", format_datetime(datetime.fromtimestamp(now, UTC)))
    for name, value in parts.headers:
        if not _HEADER_NAME.match(name) or (message[name] is not None and name.lower() in _SINGLE):
            raise BadMessage(f"Invalid header name: {name}")
        _add(message, name, value)
    _fill(message, parts)
    return bytes(message)


_SINGLE = {"from", "to", "cc", "reply-to", "subject", "message-id", "date", "bcc", "mime-version", "content-type"}


def _add(message: EmailMessage, name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise BadMessage(f"Header {name} contains a control character")
    try:
        message[name] = value
    except ValueError as error:
        raise BadMessage(f"Header {name} is invalid") from error


def _fill(message: EmailMessage, parts: Parts) -> None:
    if parts.text is None and parts.html is None:
        raise BadMessage("Empty required header 'Body'.")
    try:
        if parts.text is not None:
            message.set_content(parts.text, charset=parts.charsets.get("text", "utf-8"))
        if parts.html is not None:
            add = message.set_content if parts.text is None else message.add_alternative
            add(parts.html, subtype="html", charset=parts.charsets.get("html", "utf-8"))
    except (LookupError, UnicodeError) as error:
        raise BadMessage("The body cannot be written in its charset") from error
    for item in parts.attachments:
        _attach(message, item)


def _attach(message: EmailMessage, item: Attachment) -> None:
    kind, _, subtype = item.content_type.partition("/")
    texts = item.name + item.content_type + item.content_id + item.description
    if not kind or not subtype or _CONTROL.search(texts):
        raise BadMessage("An attachment has an invalid name or type")
    message.add_attachment(
        item.content,
        maintype=kind,
        subtype=subtype,
        filename=item.name,
        disposition="inline" if item.inline else "attachment",
        cid=f"<{item.content_id.strip('<>')}>" if item.content_id else None,
        headers=[f"Content-Description: {item.description}"] if item.description else None,
    )


class Raw(msgspec.Struct, frozen=True):
    """What the headers of a raw message say."""

    sources: tuple[Address, ...]
    recipients: tuple[Address, ...]
    configuration_set: str | None
    tags: str | None


def read_raw(data: bytes) -> Raw:
    """Read the headers of a raw message; BadMessage or BadAddress when they cannot be used."""
    if _body_at(data) > HEADERS_MAX_BYTES:
        raise BadMessage(f"The headers of the message are longer than {HEADERS_MAX_BYTES} bytes.")
    read = BytesHeaderParser(policy=policy.compat32).parsebytes(_head(data))
    values = [str(value) for name in ("To", "Cc", "Bcc") for value in read.get_all(name, [])]
    recipients = [address for value in values for address in parse_all(value)]
    return Raw(
        sources=tuple(parse_all(str(read["From"]))) if read["From"] is not None else (),
        recipients=tuple(recipients),
        configuration_set=read["X-SES-CONFIGURATION-SET"],
        tags=read["X-SES-MESSAGE-TAGS"],
    )


def finish_raw(data: bytes, message_id: str, now: float, source: str | None = None) -> bytes:
    """A raw message as it is sent: its own Message-ID and Date, no Bcc, CRLF line ends; the body's bytes are kept."""
    fields = list(_fields(_head(data)))
    kept = [(name, value) for name, value in fields if not _taken(name.lower())]
    if source is not None and not any(name.lower() == b"from" for name, _ in kept):
        kept.insert(0, (b"From", b" " + source.encode("ascii", "replace")))
    date = next((value for name, value in fields if name.lower() == b"date"), None)
    kept.append((b"Message-ID", f" <{message_id}@email.amazonses.com>".encode()))
    kept.append((b"Date", date or b" " + format_datetime(datetime.fromtimestamp(now, UTC)).encode()))
    lines = [name + b":" + value + b"\r\n" for name, value in kept]
    # No line end but CRLF may reach an SMTP server: with a bare one, a body could pretend to end.
    body = data[_body_at(data) :].replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return b"".join(lines) + b"\r\n" + body


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and values of a header block, folded lines included; lines that are no header are left out."""
    name, lines = b"", [b""]
    for line in head.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if line.startswith((b" ", b"\t")):
            lines.append(line)
            continue
        if name:
            yield name, b"\r\n".join(lines)
        name, colon, value = line.partition(b":")
        name = name.rstrip() if colon and _FIELD_NAME.fullmatch(name.rstrip()) else b""
        lines = [value]
    if name:
        yield name, b"\r\n".join(lines)


def _taken(name: bytes) -> bool:
    return name in _TAKEN or name.startswith(b"x-ses-")


def _body_at(data: bytes) -> int:
    ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := data.find(mark)) >= 0]
    return min(ends, default=len(data))


def _head(data: bytes) -> bytes:
    return data[: _body_at(data)]


def headers(data: bytes) -> tuple[tuple[str, str], ...]:
    """The headers of a message as a person reads them."""
    read = BytesHeaderParser(policy=policy.compat32).parsebytes(_head(data))
    return tuple((name, _readable(str(value))) for name, value in read.items())


class Preview(msgspec.Struct, frozen=True):
    """What the mailbox shows of a message."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[tuple[str, str, int], ...]  # name, type, bytes


def preview(data: bytes) -> Preview:
    """Read a stored message for show; what cannot be decoded is shown as well as can be."""
    try:
        return _preview(data)
    except Exception:
        # The standard library's reader fails on some hostile messages (endless nesting, broken parameters).
        text = data[_body_at(data) :][:PREVIEW_CHARACTERS_MAX].decode("utf-8", "replace")
        return Preview((("Note", "this message could not be read"),), text, None, ())


def _preview(data: bytes) -> Preview:
    message = BytesParser(policy=policy.compat32).parsebytes(data)
    text: str | None = None
    html: str | None = None
    attachments: list[tuple[str, str, int]] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        name = part.get_filename()
        content = part.get_payload(decode=True)
        size_bytes = len(content) if isinstance(content, bytes) else 0
        if name or part.get_content_disposition() == "attachment":
            attachments.append((name or "", kind, size_bytes))
        elif kind == "text/plain" and text is None:
            text = _decoded(part)
        elif kind == "text/html" and html is None:
            html = _decoded(part)
        else:
            attachments.append(("", kind, size_bytes))
    return Preview(headers(data), text, html, tuple(attachments))


def _decoded(part: "Message[str, str]") -> str:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    try:
        return raw.decode(part.get_content_charset() or "utf-8", "replace")[:PREVIEW_CHARACTERS_MAX]
    except LookupError:
        return raw.decode("utf-8", "replace")[:PREVIEW_CHARACTERS_MAX]


def _readable(value: str) -> str:
    from_wire = " ".join(value.split())
    if "=?" not in from_wire or len(from_wire) > ENCODED_CHARACTERS_MAX:
        return from_wire
    pieces = []
    try:
        for piece, charset in decode_header(from_wire):
            pieces.append(piece.decode(charset or "ascii", "replace") if isinstance(piece, bytes) else piece)
    except (ValueError, LookupError):
        return from_wire
    return "".join(pieces)
