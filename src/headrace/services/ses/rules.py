"""SES's decisions: names, identifiers, which recipients a message has, and pages of listings."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from headrace.kit.ids import Ids
from headrace.services.ses import limits
from headrace.services.ses.engine import addresses
from headrace.services.ses.engine.addresses import Address, BadAddress
from headrace.services.ses.errors import Dialect

T = TypeVar("T")

_TAG = re.compile(r"^[A-Za-z0-9_.@-]{1,256}$")
_TAG_NAME = re.compile(r"^[A-Za-z0-9_:.-]{1,256}$")
_SET_NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_TEMPLATE_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_REGIONS = {"us-east-1": "0100", "us-west-2": "0101", "eu-west-1": "0102"}


def message_id(ids: Ids, region: str, now: float) -> str:
    """An id as SES makes them: the region, the time in milliseconds, chance."""
    return f"{_REGIONS.get(region, '0107')}{int(now * 1000):012x}-{ids.uuid()}-000000"


def identity_name(text: str, dialect: Dialect) -> str:
    """The name of an identity in its plain form: an address, or a domain in lower case."""
    try:
        return addresses.parse(text).plain if "@" in text else addresses.ascii_domain(text)
    except BadAddress as error:
        raise dialect.bad(
            f"Invalid email address <{text}>: {error}" if "@" in text else f"Invalid domain name {text}."
        ) from error


def address(text: str, dialect: Dialect) -> Address:
    """One address of a request."""
    try:
        return addresses.parse(text)
    except BadAddress as error:
        raise dialect.bad(str(error)) from error


class Recipients(NamedTuple):
    """To, Cc and Bcc of a message."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]


def recipients(destination: Mapping[str, Any] | None, dialect: Dialect) -> Recipients:
    """The recipients of a Destination, within their limit."""
    given = destination or {}
    lists = [
        tuple(address(text, dialect) for text in given.get(name) or ()) for name in ("ToAddresses", "CcAddresses", "BccAddresses")
    ]
    check_count(sum(map(len, lists)), dialect)
    return Recipients(*lists)


def check_count(count: int, dialect: Dialect) -> None:
    """Refuse a message for nobody, and one for too many."""
    if count == 0:
        raise dialect.bad("Missing required header 'To'.")
    if count > limits.RECIPIENTS_MAX:
        raise dialect.bad(f"Recipient count exceeds {limits.RECIPIENTS_MAX}.")


def check_size(mime: bytes, dialect: Dialect) -> None:
    """Refuse a message that is too long."""
    if len(mime) > dialect.message_max_bytes:
        raise dialect.bad(f"Message length is more than {dialect.message_max_bytes} bytes long: '{len(mime)}'.")


def message_tags(pairs: Iterable[Mapping[str, str]] | None, dialect: Dialect) -> dict[str, str]:
    """The tags of a message."""
    tags = {pair["Name"]: pair["Value"] for pair in pairs or ()}
    if len(tags) > limits.MESSAGE_TAGS_MAX:
        raise dialect.bad(f"Too many message tags: the limit is {limits.MESSAGE_TAGS_MAX}.")
    for name, value in tags.items():
        if not _TAG_NAME.match(name):
            raise dialect.bad(f"Invalid tag name <{name}>: only alphanumeric ASCII characters, '_', and '-' are allowed.")
        if not _TAG.match(value):
            raise dialect.bad(f"Invalid tag value <{value}>: only alphanumeric ASCII characters, '_', '-', '.', '@' are allowed.")
    return tags


def check_set_name(name: str, dialect: Dialect) -> None:
    """Refuse a bad name of a configuration set."""
    if not _SET_NAME.match(name):
        raise dialect.bad(
            f"Invalid configuration set name <{name}>: only alphanumeric ASCII characters, '_', and '-' are allowed."
        )


def check_template_name(name: str, dialect: Dialect) -> None:
    """Refuse a bad name of a template."""
    if not _TEMPLATE_NAME.match(name):
        raise dialect.bad_template(name, "Template name can only contain alphanumeric characters, dashes and underscores.")


def verification_token(account: str, domain: str) -> str:
    """The token that a domain's owner would publish; always the same."""
    return base64.b64encode(hashlib.sha256(f"{account} {domain}".encode()).digest()).decode()


def token(name: str) -> str:
    """A listing's token that goes on behind a name."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def read_token(text: str | None, dialect: Dialect) -> str | None:
    """The name in a token."""
    if not text:
        return None
    try:
        return base64.urlsafe_b64decode(text.encode()).decode()
    except (binascii.Error, UnicodeError) as error:
        raise dialect.bad("Invalid token.") from error


def page_limit(asked: int | None) -> int:
    """How many items a page shows."""
    return max(1, min(asked or limits.PAGE_ITEMS_DEFAULT, limits.PAGE_ITEMS_MAX))


def page(found: Sequence[T], limit: int) -> tuple[Sequence[T], T | None]:
    """The items to show, and the last of them when more follow; one more than the limit was read."""
    return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1])
