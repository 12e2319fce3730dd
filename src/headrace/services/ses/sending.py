"""Sending: from what a request asks for to messages in the mailbox and, where there is one, the relay's queue.

Everything that one request sends is committed in one transaction, and acknowledged after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from headrace.operation import Context
from headrace.services.ses import errors, limits, rules, state
from headrace.services.ses.engine import mime
from headrace.services.ses.engine.addresses import Address, BadAddress
from headrace.services.ses.engine.mime import Attachment, BadMessage, Parts
from headrace.services.ses.engine.rendering import BadData, MissingAttribute, RenderingFailure, read_data, render
from headrace.services.ses.engine.templates import TemplateSyntax
from headrace.services.ses.errors import Dialect


@dataclass(frozen=True)
class Letter:
    """What all messages of one request share."""

    dialect: Dialect
    sender: str
    reply_to: tuple[str, ...] = ()
    return_path: str | None = None
    configuration_set: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()


class Texts(NamedTuple):
    """Subject and bodies of a message; `charsets` for "text" and "html"."""

    subject: str
    text: str | None
    html: str | None
    charsets: Mapping[str, str] = {}


class Prepared(NamedTuple):
    """A message that only waits to be committed."""

    message: state.Message
    mime: bytes | None


def texts(message: Mapping[str, Any]) -> Texts:
    """The texts of a Message structure."""
    body = message["Body"]
    parts = {name.lower(): body.get(name) for name in ("Text", "Html")}
    charsets = {name: part["Charset"] for name, part in parts.items() if part and part.get("Charset")}
    text, html = (part["Data"] if part else None for part in (parts["text"], parts["html"]))
    return Texts(message["Subject"]["Data"], text, html, charsets)


def fill(dialect: Dialect, template: state.Template, data: str) -> Texts:
    """A template with its data. MissingAttribute and RenderingFailure are for the caller to judge."""
    try:
        values = read_data(data)
    except BadData as error:
        raise dialect.bad_data(template.name, str(error)) from error
    try:
        filled = [None if one is None else render(one, values) for one in (template.subject, template.text, template.html)]
    except TemplateSyntax as error:
        raise dialect.bad_template(template.name, str(error)) from error
    return Texts(" ".join((filled[0] or "").split("\n")), filled[1], filled[2])


def prepare(ctx: Context, letter: Letter, to: rules.Recipients, content: Texts, template: str | None = None) -> Prepared:
    """Build one message from its parts."""
    dialect = letter.dialect
    sender = rules.address(letter.sender, dialect)
    now = ctx.clock.now()
    message_id = rules.message_id(ctx.ids, ctx.region, now)
    parts = Parts(
        source=sender,
        to=to.to,
        cc=to.cc,
        subject=content.subject,
        text=content.text,
        html=content.html,
        reply_to=tuple(rules.address(text, dialect) for text in letter.reply_to),
        headers=letter.headers,
        attachments=letter.attachments,
        charsets=content.charsets,
    )
    try:
        data = mime.build(parts, message_id, now)
    except BadMessage as error:
        raise dialect.bad(str(error)) from error
    message = _message(ctx, letter, message_id, now, sender, to)
    message.subject, message.template = content.subject, template
    return _stored(ctx, letter, message, data)


def prepare_from_template(ctx: Context, letter: Letter, to: rules.Recipients, template: state.Template, data: str) -> Prepared:
    """Build one message from a template.

    As on SES, a message whose template cannot be filled is accepted and then fails: it is kept with the reason, and not sent on.
    """
    try:
        content = fill(letter.dialect, template, data)
    except (MissingAttribute, RenderingFailure) as error:
        sender = rules.address(letter.sender, letter.dialect)
        now = ctx.clock.now()
        message = _message(ctx, letter, rules.message_id(ctx.ids, ctx.region, now), now, sender, to)
        message.subject, message.template = template.subject or "", template.name
        message.failure, message.relay = f"Rendering Failure: {error}", None
        return Prepared(message, b"")
    return prepare(ctx, letter, to, content, template.name)


def prepare_raw(ctx: Context, letter: Letter, data: bytes, destinations: Sequence[str] | None) -> tuple[Prepared, list[str]]:
    """Take a raw message; also the senders that must be verified. Without destinations, those of its headers get it."""
    dialect = letter.dialect
    rules.check_size(data, dialect)
    try:
        read = mime.read_raw(data)
    except (BadMessage, BadAddress) as error:
        raise dialect.bad(str(error)) from error
    senders = [one.header for one in read.sources] or ([letter.sender] if letter.sender else [])
    if not senders:
        raise dialect.bad("Missing required header 'From'.")
    envelope = tuple(rules.address(text, dialect) for text in destinations) if destinations else read.recipients
    rules.check_count(len(envelope), dialect)
    source = rules.address(letter.sender or senders[0], dialect)
    now = ctx.clock.now()
    message_id = rules.message_id(ctx.ids, ctx.region, now)
    finished = mime.finish_raw(data, message_id, now, source.header)
    message = _message(ctx, letter, message_id, now, source, rules.Recipients(envelope, (), ()))
    message.sender, message.raw = senders[0], True
    message.subject = dict(mime.headers(finished)).get("Subject", "")
    message.configuration_set = letter.configuration_set or read.configuration_set
    return _stored(ctx, letter, message, finished), [*senders, *([letter.sender] if letter.sender else [])]


def commit(ctx: Context, letter: Letter, prepared: Sequence[Prepared], senders: Sequence[str] | None = None) -> None:
    """Check who sends, and keep the messages: all of them durable on return, or none."""

    def body(inner: Context) -> None:
        check(inner, letter, prepared[0].message.configuration_set, senders)
        for message, data in prepared:
            state.keep(inner.tx, message, data, inner.clock.now())

    try:
        ctx.transact(body)
    except BaseException:
        for message, _ in prepared:
            if message.blob is not None:
                state.blobs(ctx).delete(message.blob)
        raise


def check(ctx: Context, letter: Letter, configuration_set: str | None, senders: Sequence[str] | None = None) -> None:
    """Refuse senders that are not verified, and configuration sets that do not exist or are switched off."""
    given = [*(senders or [letter.sender]), *([letter.return_path] if letter.return_path else [])]
    failed = [text for text in dict.fromkeys(given) if not state.verified(ctx, rules.address(text, letter.dialect).plain)]
    if failed:
        raise errors.unverified(ctx.region, failed)
    if configuration_set is not None:
        found = state.configuration_set(ctx, configuration_set)
        if found is None:
            raise letter.dialect.no_configuration_set(configuration_set)
        if not found.sending_enabled:
            raise letter.dialect.paused(configuration_set)


def _message(ctx: Context, letter: Letter, message_id: str, now: float, sender: Address, to: rules.Recipients) -> state.Message:
    source = rules.address(letter.return_path, letter.dialect).plain if letter.return_path else sender.plain
    message = state.Message(
        message_id=message_id,
        account=ctx.account,
        region=ctx.region,
        sent_at=now,
        source=source,
        sender=letter.sender or sender.header,
        to=[one.plain for one in to.to],
        cc=[one.plain for one in to.cc],
        bcc=[one.plain for one in to.bcc],
        subject="",
        size_bytes=0,
        configuration_set=letter.configuration_set,
        tags=dict(letter.tags),
    )
    if ctx.settings.smtp_relay:
        message.relay = state.Relay("waiting", message.recipients)
    return message


def _stored(ctx: Context, letter: Letter, message: state.Message, data: bytes) -> Prepared:
    rules.check_size(data, letter.dialect)
    message.size_bytes = len(data)
    if len(data) <= limits.INLINE_MIME_MAX_BYTES:
        return Prepared(message, data)
    message.blob = state.blobs(ctx).put(data).id
    return Prepared(message, None)
