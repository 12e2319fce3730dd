"""What SES keeps. Identities, templates and configuration sets belong to an account and a region.

ses identity  account region name               Identity: an address or a domain that may send
ses template  account region name               Template
ses part      account region name number        a piece of a template's texts, which may be large
ses set       account region name               ConfigurationSet
ses message   place                             Message: one that was accepted; places are in order of time
ses mime      place                             its MIME, unless that is large and lies in a blob
ses to        recipient place                   which messages a recipient has got
ses count                                       how many messages the mailbox holds
ses sent      account region start              how many were sent in the quarter of an hour from `start`
queue ses relay                                 the places of messages to hand over to the relay
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from headrace.layers import queue, tags
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.services.ses import limits
from headrace.services.ses.errors import LimitExceededException
from headrace.store.api import ReadTransaction, Transaction
from headrace.store.blobs import Blobs

RELAY = ("ses", "relay")


class Identity(msgspec.Struct):
    """An address or a domain that may send."""

    name: str
    domain: bool
    created_at: float
    configuration_set: str | None = None


class Template(msgspec.Struct):
    """A template; its three texts lie in pieces beside it."""

    name: str
    created_at: float
    subject: str | None = None
    text: str | None = None
    html: str | None = None


class _TemplateRow(msgspec.Struct):
    created_at: float
    pieces: int


class ConfigurationSet(msgspec.Struct):
    """A configuration set."""

    name: str
    created_at: float
    sending_enabled: bool = True


class Relay(msgspec.Struct):
    """How far the relay got with a message: waiting, relayed or failed."""

    status: str
    pending: list[str]
    attempts: int = 0
    at: float | None = None
    response: str = ""
    refused: dict[str, str] = {}


class Message(msgspec.Struct):
    """A message that was accepted. `failure`: why its template could not be filled; such a one is kept, but not sent on."""

    message_id: str
    account: str
    region: str
    sent_at: float
    source: str
    sender: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    subject: str
    size_bytes: int
    blob: str | None = None
    configuration_set: str | None = None
    tags: dict[str, str] = {}
    template: str | None = None
    failure: str | None = None
    relay: Relay | None = None
    raw: bool = False

    @property
    def recipients(self) -> list[str]:
        """Everybody who gets it, once."""
        return list(dict.fromkeys([*self.to, *self.cc, *self.bcc]))

    @property
    def place(self) -> str:
        """Its place in the mailbox: the part of its id that begins with the time."""
        return self.message_id[4:]


IDENTITIES = Records(("ses", "identity"), Identity)
_TEMPLATES = Records(("ses", "template"), _TemplateRow)
_PARTS = Records(("ses", "part"), bytes)
SETS = Records(("ses", "set"), ConfigurationSet)
MESSAGES = Records(("ses", "message"), Message)
MIMES = Records(("ses", "mime"), bytes)
RECIPIENTS = Records(("ses", "to"), bool)
COUNT = Records(("ses", "count"), int)
SENT = Records(("ses", "sent"), int)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str | None, str | None, str | None]).decode


def arn(ctx: Context, kind: str, name: str) -> str:
    """The ARN of an identity, template or configuration-set."""
    return f"arn:aws:ses:{ctx.region}:{ctx.account}:{kind}/{name}"


def identity(ctx: Context, name: str) -> Identity | None:
    """An identity by its name."""
    return IDENTITIES.get(ctx.tx, ctx.account, ctx.region, name)


def full(ctx: Context, family: "Records[Any]", most: int) -> bool:
    """Whether an account has as many rows of a family in a region as it may have."""
    return sum(1 for _ in family.scan(ctx.tx, ctx.account, ctx.region, limit=most)) >= most


def put_identity(ctx: Context, name: str, configuration_set: str | None = None) -> Identity:
    """Keep an identity; it is verified at once."""
    if full(ctx, IDENTITIES, limits.IDENTITIES_MAX) and identity(ctx, name) is None:
        raise LimitExceededException(f"The account has {limits.IDENTITIES_MAX} identities already.")
    row = Identity(name, "@" not in name, ctx.clock.now(), configuration_set)
    IDENTITIES.put(ctx.tx, row, ctx.account, ctx.region, name)
    return row


def drop_identity(ctx: Context, name: str) -> None:
    """Forget an identity, which then may not send any more."""
    IDENTITIES.delete(ctx.tx, ctx.account, ctx.region, name)
    tags.drop(ctx.tx, arn(ctx, "identity", name))


def verified(ctx: Context, address: str) -> bool:
    """Whether an address may send: itself, its domain or a parent domain is an identity."""
    local, _, domain = address.rpartition("@")
    names = [f"{local}@{domain}"]
    while domain:
        names.append(domain)
        domain = domain.partition(".")[2]
    return any(identity(ctx, name) is not None for name in names)


def template(ctx: Context, name: str) -> Template | None:
    """A template with its texts."""
    row = _TEMPLATES.get(ctx.tx, ctx.account, ctx.region, name)
    if row is None:
        return None
    pieces = (_PARTS.get(ctx.tx, ctx.account, ctx.region, name, number) or b"" for number in range(row.pieces))
    return Template(name, row.created_at, *_decode(b"".join(pieces)))


def put_template(ctx: Context, row: Template) -> None:
    """Keep a template."""
    _PARTS.delete_all(ctx.tx, ctx.account, ctx.region, row.name)
    data = _encode((row.subject, row.text, row.html))
    starts = range(0, len(data), limits.PIECE_MAX_BYTES)
    for number, start in enumerate(starts):
        piece = data[start : start + limits.PIECE_MAX_BYTES]
        _PARTS.put(ctx.tx, piece, ctx.account, ctx.region, row.name, number)
    _TEMPLATES.put(ctx.tx, _TemplateRow(row.created_at, len(starts)), ctx.account, ctx.region, row.name)


def drop_template(ctx: Context, name: str) -> None:
    """Forget a template."""
    _PARTS.delete_all(ctx.tx, ctx.account, ctx.region, name)
    _TEMPLATES.delete(ctx.tx, ctx.account, ctx.region, name)
    tags.drop(ctx.tx, arn(ctx, "template", name))


def templates(ctx: Context, after: str | None, limit: int) -> Iterator[tuple[str, float]]:
    """(name, created_at) of templates in order of their names."""
    start = None if after is None else (ctx.account, ctx.region, after)
    for key, row in _TEMPLATES.scan(ctx.tx, ctx.account, ctx.region, after=start, limit=limit):
        yield str(key[-1]), row.created_at


def put_configuration_set(ctx: Context, row: ConfigurationSet) -> None:
    """Keep a configuration set."""
    if full(ctx, SETS, limits.CONFIGURATION_SETS_MAX) and configuration_set(ctx, row.name) is None:
        raise LimitExceededException(f"The account has {limits.CONFIGURATION_SETS_MAX} configuration sets already.")
    SETS.put(ctx.tx, row, ctx.account, ctx.region, row.name)


def configuration_set(ctx: Context, name: str) -> ConfigurationSet | None:
    """A configuration set by its name."""
    return SETS.get(ctx.tx, ctx.account, ctx.region, name)


def keep(tx: Transaction, message: Message, mime: bytes | None, now: float) -> None:
    """Put a message into the mailbox, count it, and queue it where it is to be relayed."""
    MESSAGES.put(tx, message, message.place)
    if mime is not None:
        MIMES.put(tx, mime, message.place)
    for recipient in message.recipients:
        RECIPIENTS.put(tx, True, recipient.lower(), message.place)
    COUNT.put(tx, (COUNT.get(tx) or 0) + 1)
    bucket = int(now) // limits.STATISTICS_BUCKET_SECONDS * limits.STATISTICS_BUCKET_SECONDS
    key = (message.account, message.region, bucket)
    SENT.put(tx, (SENT.get(tx, *key) or 0) + 1, *key)
    if message.relay is not None:
        queue.put(tx, RELAY, message.place.encode(), now)


def drop_message(tx: Transaction, message: Message) -> None:
    """Remove a message from the mailbox; its blob, if it has one, is the caller's to delete."""
    MESSAGES.delete(tx, message.place)
    MIMES.delete(tx, message.place)
    for recipient in message.recipients:
        RECIPIENTS.delete(tx, recipient.lower(), message.place)
    COUNT.put(tx, max(0, (COUNT.get(tx) or 0) - 1))


def messages(tx: ReadTransaction, *, to: str | None, after: str | None, limit: int) -> list[Message]:
    """Messages of all accounts, the newest first; `after` is the place behind which (further back) to go on."""
    if to is None:
        start = None if after is None else (after,)
        return [row for _, row in MESSAGES.scan(tx, after=start, limit=limit, reverse=True)]
    recipient = to.lower()
    begin = None if after is None else (recipient, after)
    places = [str(key[-1]) for key, _ in RECIPIENTS.scan(tx, recipient, after=begin, limit=limit, reverse=True)]
    return [row for row in (MESSAGES.get(tx, place) for place in places) if row is not None]


def mime(ctx: Context, message: Message) -> bytes:
    """A message's MIME, from the store or from its blob."""
    if message.blob is not None:
        return blobs(ctx).get(message.blob)
    return ctx.snapshot(lambda inner: MIMES.get(inner.tx, message.place)) or b""


def blobs(ctx: Context) -> Blobs:
    """Where large MIME lies."""
    return ctx.blobs.space("ses")


def sent_since(ctx: Context, since: float) -> list[tuple[int, int]]:
    """(start, how many were sent) of each quarter of an hour from a time on."""
    first = (ctx.account, ctx.region, int(since) // limits.STATISTICS_BUCKET_SECONDS * limits.STATISTICS_BUCKET_SECONDS - 1)
    found = SENT.scan(ctx.tx, ctx.account, ctx.region, after=first)
    return [(int(str(key[-1])), count) for key, count in found]
