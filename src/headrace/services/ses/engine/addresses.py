"""Mail addresses: ``name@domain`` and ``Display Name <name@domain>``, with SES's complaints."""

import re
from email.header import decode_header, make_header
from email.utils import formataddr
from typing import NamedTuple

ADDRESS_CHARACTERS_MAX = 320
HEADER_CHARACTERS_MAX = 100_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ANGLE = re.compile(r"^(.*)<([^<>]*)>$")
_LOCAL = re.compile(r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+$|^\"[\x20-\x21\x23-\x5b\x5d-\x7e]+\"$")
_LABEL = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$")


class BadAddress(ValueError):
    """The address cannot be used; the text says why, as SES does."""


class Address(NamedTuple):
    """One mailbox. `domain` is in its ASCII form and lower case."""

    display: str
    local: str
    domain: str

    @property
    def plain(self) -> str:
        """``name@domain`` alone."""
        return f"{self.local}@{self.domain}"

    @property
    def header(self) -> str:
        """As it stands in a header: the display name quoted, or encoded where it is not ASCII."""
        return formataddr((self.display, self.plain))


def parse(text: str) -> Address:
    """One address, or BadAddress."""
    if _CONTROL.search(text):
        raise BadAddress("Local address contains control or whitespace")
    if len(text) > 4 * ADDRESS_CHARACTERS_MAX:
        raise BadAddress("Address length is more than 320 characters long")
    if len(split(text)) > 1:
        raise BadAddress("Illegal address")
    found = _ANGLE.match(text.strip())
    display, plain = (found[1].strip(), found[2].strip()) if found else ("", text.strip())
    local, at, domain = plain.rpartition("@")
    if not at or not domain:
        raise BadAddress("Missing final '@domain'")
    if len(plain) > ADDRESS_CHARACTERS_MAX:
        raise BadAddress("Address length is more than 320 characters long")
    if not local:
        raise BadAddress("Missing local name")
    if not _LOCAL.match(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise BadAddress("Illegal address")
    return Address(_readable(_unquoted(display)), local, ascii_domain(domain))


def split(text: str) -> list[str]:
    """The pieces of a list of addresses: parted at commas that stand in no quotes and no angle brackets."""
    pieces: list[str] = []
    begin = 0
    quoted = escaped = angled = False
    for place, letter in enumerate(text):
        if letter == "," and not quoted and not angled:
            pieces.append(text[begin:place])
            begin = place + 1
        elif escaped:
            escaped = False
        elif letter == "\\" and quoted:
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif not quoted and letter in "<>":
            angled = letter == "<"
    return [*pieces, text[begin:]]


def _unquoted(display: str) -> str:
    if len(display) >= 2 and display[0] == display[-1] == '"':
        return re.sub(r"\\(.)", r"\1", display[1:-1])
    if '"' in display or "<" in display or ">" in display:
        raise BadAddress("Illegal address")
    return display


def ascii_domain(domain: str) -> str:
    """A domain in lower case and in Punycode where needed; BadAddress when it is none."""
    try:
        plain = domain.encode("idna").decode() if not domain.isascii() else domain
    except UnicodeError as error:
        raise BadAddress("Domain contains illegal character") from error
    if len(plain) > 253 or not all(_LABEL.match(label) for label in plain.split(".")):
        raise BadAddress("Domain contains illegal character" if "." in plain else "Missing final '@domain'")
    return plain.lower()


def parse_all(text: str) -> list[Address]:
    """Every address of a header's value; what cannot be read raises BadAddress."""
    if len(text) > HEADER_CHARACTERS_MAX:
        raise BadAddress(f"A list of addresses is longer than {HEADER_CHARACTERS_MAX} characters")
    return [parse(piece) for piece in split(" ".join(text.split())) if piece.strip()]


def _readable(display: str) -> str:
    if "=?" not in display:
        return display
    try:
        return str(make_header(decode_header(display)))
    except (ValueError, LookupError):
        return display
