"""S3's older presigned URLs (AWSAccessKeyId, Expires, Signature): what boto3 still makes in us-east-1 unless told otherwise.

Only these of Signature Version 2 are spoken here; a request that carries it in its Authorization header is refused.
"""

import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import unquote, unquote_plus

from headrace.wire import signature_errors as refuse
from headrace.wire.identify import bucket_of_host
from headrace.wire.request import HttpRequest
from headrace.wire.verified import Verified

# The signature does not name a region; these URLs are of the region that has none in its addresses.
REGION = "us-east-1"

_S3 = "rest-xml"
_SUBRESOURCES = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)


def is_presigned(query_string: str) -> bool:
    """Whether a query is that of an older presigned URL."""
    return "AWSAccessKeyId=" in query_string and "Signature=" in query_string


def verify(request: HttpRequest, lookup: Callable[[str], tuple[str, str | None] | None], now: float) -> Verified:
    """Check an older presigned URL. Raises S3's errors."""
    pairs = [part.partition("=") for part in request.query_string.split("&") if part]
    fields = {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}
    access_key_id, expires = fields.get("AWSAccessKeyId", ""), fields.get("Expires", "")
    if not expires.isdecimal() or len(expires) > 15:
        raise refuse.incomplete_query(_S3)
    found = lookup(access_key_id)
    if found is None:
        raise refuse.unknown_key(_S3, access_key_id)
    secret, token = found
    headers = _signed_headers(request.headers, fields)
    if not hmac.compare_digest((token or "").encode(), headers.get("x-amz-security-token", "").encode()):
        raise refuse.bad_token(_S3)
    if now > int(expires):
        raise refuse.presigned_expired(_S3, 0, int(expires), now)
    text = _to_sign(request, fields, headers, expires)
    expected = b64encode(hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha1")).decode()
    signature = fields.get("Signature", "")
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise refuse.mismatch(_S3)
    names = tuple(sorted(headers))
    return Verified(access_key_id, REGION, "s3", names, "unsigned", "", True, b"", signature, "", "")


def _signed_headers(headers: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """The headers under the signature: those of the request, and those that the URL holds in their stead."""
    signed = {name: value.strip() for name, value in headers.items() if name.startswith("x-amz-")}
    signed.update({name.lower(): value for name, value in fields.items() if name.lower().startswith("x-amz-")})
    return signed


def _to_sign(request: HttpRequest, fields: Mapping[str, str], headers: Mapping[str, str], expires: str) -> str:
    md5 = fields.get("content-md5", request.headers.get("content-md5", ""))
    content_type = fields.get("content-type", request.headers.get("content-type", ""))
    custom = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    bucket = bucket_of_host(request.headers.get("host", ""))
    resource = f"/{bucket}{request.raw_path}" if bucket else request.raw_path
    parts = sorted(part.split("=", 1) for part in request.query_string.split("&") if part)
    named = ["=".join([name, *map(unquote, value)]) for name, *value in parts if name in _SUBRESOURCES]
    question = "?" + "&".join(named) if named else ""
    return f"{request.method}\n{md5}\n{content_type}\n{expires}\n{custom}{resource}{question}"
