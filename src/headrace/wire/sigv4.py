"""AWS Signature Version 4, seen from the server: whose request is this, and has it been changed on its way?

`verify` reads the Authorization header or a presigned URL. A body that is given is checked at once; one that is streamed is
checked piece by piece by `wire.body.body_decoder`, which starts from the `Verified` given here.
"""

import hmac
import re
from calendar import timegm
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from time import gmtime, strftime
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

import msgspec

from headrace.wire import signature_errors as refuse
from headrace.wire import sigv2
from headrace.wire.body import EMPTY_SHA256
from headrace.wire.request import HttpRequest
from headrace.wire.verified import Verified

SKEW_SECONDS_MAX = 15 * 60
PRESIGNED_SECONDS_MAX = 7 * 24 * 3600
SIGNING_KEYS_MAX = 4096
# Longer ones are refused: what strangers send must not fill the caches.
CREDENTIAL_LENGTH_MAX = 512
SIGNED_HEADERS_LENGTH_MAX = 4096
# A client's requests of one second differ in their bodies alone: the hash of what stands before is kept, if it is short.
BEGINNINGS_MAX = 1024
BEGINNING_LENGTH_MAX = 1024

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"

Lookup = Callable[[str], tuple[str, str | None] | None]

_PAYLOADS = {
    UNSIGNED: "unsigned",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "chunks",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": "chunks-trailer",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": "unsigned-trailer",
}
# Only these may leave the body out of the signature, as on AWS.
_UNSIGNED_SERVICES = frozenset({"s3", "kinesisvideo"})
# x-amz-* headers that some signers leave unsigned and that decide nothing.
_UNSIGNED_HEADERS = frozenset({"x-amz-user-agent", "x-amz-content-sha256"})
# With one of these under the signature no two requests begin alike.
_ALWAYS_NEW = frozenset({"x-amz-content-sha256", "amz-sdk-invocation-id", "content-md5"})
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]*\Z")
_USUAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?\Z")
_DATE = re.compile(r"\d{8}T\d{6}Z\Z")


class _Head(msgspec.Struct, eq=False):
    """What an Authorization header says before its signature: the same for a client's every request of a day."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signed_set: frozenset[str]
    signed_text: str
    scope: str
    headers_read: tuple[str, ...]  # the signed headers by the names they have here
    alike: bool  # whether its requests may begin alike


class _Claim(msgspec.Struct):
    """What the request says of its own signature."""

    head: _Head
    signature: str
    amz_date: str
    token: str | None
    presigned: bool
    expires_s: int = 0
    payload: str | None = None  # that a presigned URL names


def is_signed(request: HttpRequest) -> bool:
    """Whether the request carries a signature of any kind; one that does not is anonymous."""
    if "authorization" in request.headers:
        return True
    query = request.query_string
    return "X-Amz-Signature=" in query or "X-Amz-Algorithm=" in query or "Signature=" in query


def verify(request: HttpRequest, lookup: Lookup, now: float, protocol: str) -> Verified:
    """Check the request's signature. Raises the error that AWS raises in the given protocol, with status 403."""
    if protocol == "rest-xml" and sigv2.is_presigned(request.query_string):
        return sigv2.verify(request, lookup, now)
    claim = _read_claim(request, protocol)
    head = claim.head
    found = lookup(head.access_key_id)
    if found is None:
        raise refuse.unknown_key(protocol, head.access_key_id)
    secret, token = found
    if (token or claim.token) and not _same(token or "", claim.token or ""):
        raise refuse.bad_token(protocol)
    _check_time(claim, now, protocol)
    _check_signed(request, head, protocol)
    signer = _signer(secret, head.date, head.region, head.service)
    declared = kind = ""
    for payload, payload_kind in _payloads(request, claim, protocol):
        if _same(signer.sign(_to_sign(request, claim, payload)), claim.signature):
            declared, kind = payload, payload_kind
            break
    if not kind:
        raise refuse.mismatch(protocol)
    return Verified(
        head.access_key_id,
        head.region,
        head.service,
        head.signed_headers,
        kind,
        declared if kind == "hashed" else "",
        claim.presigned,
        signer.key,
        claim.signature,
        claim.amz_date,
        head.scope,
    )


def _to_sign(request: HttpRequest, claim: _Claim, payload: str) -> bytes:
    canonical = _hashed_beginning(request, claim.head)
    canonical.update(payload.encode())
    return f"{ALGORITHM}\n{claim.amz_date}\n{claim.head.scope}\n{canonical.hexdigest()}".encode()


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that signs for one day, region and service."""
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class _Signer:
    """HMAC with a key whose two halves are already hashed: that leaves less than half of the work."""

    __slots__ = ("_inner", "_outer", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        padded = key.ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    def sign(self, text: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


@lru_cache(SIGNING_KEYS_MAX)
def _signer(secret: str, date: str, region: str, service: str) -> _Signer:
    return _Signer(signing_key(secret, date, region, service))


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _read_claim(request: HttpRequest, protocol: str) -> _Claim:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _claim_from_header(request, authorization, protocol)
    query = request.query_string
    if "X-Amz-Algorithm=" in query or "X-Amz-Signature=" in query:
        return _claim_from_query(query, protocol)
    if "Signature=" in query and "AWSAccessKeyId=" in query:
        raise refuse.old_version(protocol)
    raise refuse.missing(protocol)


def _head(credential: str, signed_headers: str) -> _Head | None:
    if len(credential) > CREDENTIAL_LENGTH_MAX or len(signed_headers) > SIGNED_HEADERS_LENGTH_MAX:
        return None
    return _head_of(credential, signed_headers)


@lru_cache(4096)
def _head_of(credential: str, signed_headers: str) -> _Head | None:
    # A key id may hold slashes, a scope may not.
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts) or len(parts[1]) != 8:
        return None
    names = tuple(signed_headers.lower().split(";"))
    scope = "/".join(parts[1:])
    found = frozenset(names)
    read = tuple("host" if name == ":authority" else name for name in names)
    return _Head(
        parts[0], parts[1], parts[2], parts[3], names, found, ";".join(names), scope, read, found.isdisjoint(_ALWAYS_NEW)
    )


@lru_cache(4096)
def _head_of_header(text: str) -> _Head | None:
    """The part of an Authorization header before its last field, the signature; None if it is not written as usual."""
    found = _USUAL.match(text)
    return _head(found[1], found[2]) if found else None


def _claim_from_header(request: HttpRequest, authorization: str, protocol: str) -> _Claim:
    headers = request.headers
    amz_date = headers.get("x-amz-date") or _from_http_date(headers.get("date", ""))
    start, _, signature = authorization.rpartition("Signature=")
    head = _head_of_header(start) if len(start) <= SIGNED_HEADERS_LENGTH_MAX else None
    if head is None or not amz_date or "," in signature:
        head, signature = _read_slowly(authorization, protocol, has_date=bool(amz_date))
    return _Claim(head, signature, amz_date, headers.get("x-amz-security-token"), False)


def _read_slowly(authorization: str, protocol: str, *, has_date: bool) -> tuple[_Head, str]:
    """Head and signature of an Authorization header that is written unusually, or the error of one that is wrong."""
    if not authorization.startswith(ALGORITHM + " "):
        raise refuse.wrong_scheme(protocol, authorization)
    fields = {}
    for part in authorization[len(ALGORITHM) :].split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value.strip()
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name)]
    if missing or not has_date:
        raise refuse.incomplete(protocol, missing, authorization, has_date=has_date)
    head = _head(fields["Credential"], fields["SignedHeaders"])
    if head is None:
        raise refuse.bad_credential(protocol, fields["Credential"])
    return head, fields["Signature"]


def _claim_from_query(query: str, protocol: str) -> _Claim:
    fields = dict(_query_pairs(query))
    if fields.get("X-Amz-Algorithm") != ALGORITHM:
        raise refuse.wrong_scheme(protocol, fields.get("X-Amz-Algorithm", ""))
    wanted = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")
    missing = [name for name in wanted if not fields.get(name)]
    expires = fields.get("X-Amz-Expires", "")
    if missing or (protocol == "rest-xml" and not expires):
        raise refuse.incomplete_query(protocol)
    head = _head(fields["X-Amz-Credential"], fields["X-Amz-SignedHeaders"])
    if head is None:
        raise refuse.bad_credential(protocol, fields["X-Amz-Credential"])
    if expires and (not expires.isdecimal() or len(expires) > 9 or int(expires) > PRESIGNED_SECONDS_MAX):
        raise refuse.bad_expires(protocol)
    seconds = int(expires or SKEW_SECONDS_MAX)
    token = fields.get("X-Amz-Security-Token")
    payload = fields.get("X-Amz-Content-Sha256")
    return _Claim(head, fields["X-Amz-Signature"], fields["X-Amz-Date"], token, True, seconds, payload)


def _from_http_date(text: str) -> str:
    parsed = refuse.parse_http_date(text)
    return "" if parsed is None else strftime("%Y%m%dT%H%M%SZ", gmtime(parsed))


@lru_cache(256)
def _epoch(amz_date: str) -> int | None:
    if not _DATE.match(amz_date):
        return None
    try:
        fields = [int(amz_date[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (9, 11), (11, 13), (13, 15))]
        return timegm((*fields, 0, 0, 0))
    except (ValueError, OverflowError):
        return None


def _check_time(claim: _Claim, now: float, protocol: str) -> None:
    signed_at = _epoch(claim.amz_date) if len(claim.amz_date) == 16 else None
    if signed_at is None or claim.amz_date[:8] != claim.head.date:
        raise refuse.bad_date(protocol, claim.head.date, claim.amz_date)
    if claim.presigned:
        if now > signed_at + claim.expires_s:
            raise refuse.presigned_expired(protocol, claim.expires_s, signed_at, now)
        if signed_at > now + SKEW_SECONDS_MAX:
            raise refuse.not_yet(protocol, claim.amz_date, now, SKEW_SECONDS_MAX)
    elif signed_at < now - SKEW_SECONDS_MAX:
        raise refuse.expired(protocol, claim.amz_date, now, SKEW_SECONDS_MAX)
    elif signed_at > now + SKEW_SECONDS_MAX:
        raise refuse.not_yet(protocol, claim.amz_date, now, SKEW_SECONDS_MAX)


def _check_signed(request: HttpRequest, head: _Head, protocol: str) -> None:
    """Whatever steers the request must be under the signature, or a thief could steer it elsewhere."""
    signed = head.signed_set
    if "host" not in signed and ":authority" not in signed:
        raise refuse.unsigned_header(protocol, "host")
    for name in request.headers:
        if name not in signed and name.startswith("x-amz-") and name not in _UNSIGNED_HEADERS:
            raise refuse.unsigned_header(protocol, name)


def _payloads(request: HttpRequest, claim: _Claim, protocol: str) -> list[tuple[str, str]]:
    """What the canonical request may name as its payload's hash, and what kind of payload that is."""
    head, body = claim.head, request.body
    declared = request.headers.get("x-amz-content-sha256")
    if claim.presigned and "x-amz-content-sha256" not in head.signed_set:
        declared = claim.payload
    may_be_unsigned = head.service in _UNSIGNED_SERVICES
    if declared is None:
        if claim.presigned and may_be_unsigned:
            # Video's WebSockets are signed with the hash of the body that they don't have.
            return [(UNSIGNED, "unsigned"), *([(EMPTY_SHA256, "hashed")] if head.service == "kinesisvideo" else [])]
        whole = [(sha256(body).hexdigest(), "hashed")] if isinstance(body, bytes) else []
        # Video producers sign an endless body as unsigned, or as if it were empty.
        video = head.service == "kinesisvideo" and request.raw_path == "/putMedia"
        return whole + ([(UNSIGNED, "unsigned"), (EMPTY_SHA256, "unsigned")] if video else [])
    kind = _PAYLOADS.get(declared)
    if kind is not None:
        return [(declared, kind)] if may_be_unsigned else []
    if isinstance(body, bytes) and not _same(sha256(body).hexdigest(), declared):
        raise refuse.payload_mismatch(protocol, declared, sha256(body).hexdigest())
    return [(declared, "hashed")]


def _hashed_beginning(request: HttpRequest, head: _Head) -> Any:
    """SHA-256 of the canonical request up to the hash of its payload, to go on from."""
    headers = request.headers
    values = [headers.get(name, "") for name in head.headers_read]
    path, query = request.raw_path, request.query_string
    if head.alike:
        text = "\n".join(values)
        if len(text) + len(path) + len(query) <= BEGINNING_LENGTH_MAX:
            return _kept_beginning(request.method, path, query, head, text).copy()
    return sha256(_beginning(request.method, path, query, head, values))


@lru_cache(BEGINNINGS_MAX)
def _kept_beginning(method: str, path: str, query: str, head: _Head, values: str) -> Any:
    return sha256(_beginning(method, path, query, head, values.split("\n")))


def _beginning(method: str, raw_path: str, query_string: str, head: _Head, values: Sequence[str]) -> bytes:
    lines = []
    for name, text in zip(head.signed_headers, values, strict=True):
        value = text.strip()
        lines.append(f"{name}:{' '.join(value.split()) if '  ' in value else value}")
    path = _canonical_path(raw_path, head.service)
    query = _canonical_query(query_string) if query_string else ""
    joined = "\n".join(lines)
    beginning = f"{method}\n{path}\n{query}\n{joined}\n\n{head.signed_text}\n"
    try:
        return beginning.encode("ascii")
    except UnicodeEncodeError:
        # Header bytes that are no ASCII arrive decoded as Latin-1; text that is not was decoded as UTF-8.
        try:
            return beginning.encode("latin-1")
        except UnicodeEncodeError:
            return beginning.encode("utf-8", "surrogateescape")


def _canonical_path(raw_path: str, service: str) -> str:
    if raw_path in ("/", ""):
        return "/"
    if service == "s3":
        # S3 encodes once: the path's own encoding, made uniform.
        return raw_path if _PLAIN_PATH.match(raw_path) else quote(unquote(raw_path, "latin-1"), "/~", "latin-1")
    return quote(_without_dots(raw_path), "/~")


def _without_dots(path: str) -> str:
    if "//" not in path and "/." not in path:
        return path
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def _query_pairs(query: str) -> Iterable[tuple[str, str]]:
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            yield unquote_plus(name), unquote_plus(value)


def _canonical_query(query: str) -> str:
    pairs = sorted(
        (quote(unquote_plus(name, "latin-1"), "~", "latin-1"), quote(unquote_plus(value, "latin-1"), "~", "latin-1"))
        for name, _, value in (part.partition("=") for part in query.split("&") if part)
    )
    return "&".join(f"{name}={value}" for name, value in pairs if name != "X-Amz-Signature")
