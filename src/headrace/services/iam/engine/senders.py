"""Who a request to SES sends as: the addresses whose identities its caller must be allowed to use."""

from collections.abc import Mapping
from email import policy
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from re import compile as regex
from typing import Any

_BODY = regex(rb"\r?\n\r?\n")
_ANGLE = regex(r"<([^<>]*)>\s*\Z")
# Longer headers are refused by SES; then nobody is found, and only who may send as anybody gets as far as its refusal.
HEADERS_MAX_BYTES = 1 << 20


def of(parameters: Mapping[str, Any]) -> list[str]:
    """The sender's address that a request names, and those in the From headers of a raw message; empty when there is none."""
    named = parameters.get("Source") or parameters.get("FromEmailAddress")
    found = [_plain(named)] if named else []
    content = parameters.get("Content") or {}
    raw = parameters.get("RawMessage") or content.get("Raw") or {}
    data = raw.get("Data")
    if isinstance(data, bytes):
        headed = _from_headers(data)
        if not headed and not named:
            return []
        found += headed
    return list(dict.fromkeys(found))


def _plain(text: str) -> str:
    bracketed = _ANGLE.search(text.strip())
    return (bracketed[1] if bracketed else text).strip()


def _from_headers(data: bytes) -> list[str]:
    end = _BODY.search(data, 0, HEADERS_MAX_BYTES)
    head = data[: end.start() if end else HEADERS_MAX_BYTES]
    read = BytesHeaderParser(policy=policy.compat32).parsebytes(head)
    values = [str(value) for value in read.get_all("From", [])]
    addresses = [address for _, address in getaddresses(values)]
    return [address or "*" for address in addresses]
