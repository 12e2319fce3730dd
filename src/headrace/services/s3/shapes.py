"""Rows of S3 in the form of AWS's answers."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote

from headrace.services.s3 import errors, state
from headrace.services.s3.listing import Place

# The members of requests and answers that travel with an object as they are.
CONTENT_HEADERS = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires",
    "WebsiteRedirectLocation",
)  # fmt: skip
DEFAULT_CONTENT_TYPE = "binary/octet-stream"


def owner(account: str) -> dict[str, Any]:
    """An account as the owner of something."""
    return {"ID": account, "DisplayName": account}


def quoted(etag: str) -> str:
    """An ETag as it travels."""
    return f'"{etag}"'


def checksums(values: dict[str, str], kind: str) -> dict[str, str]:
    """Checksum members, with their type."""
    found = {f"Checksum{name}": value for name, value in values.items()}
    if found:
        found["ChecksumType"] = kind
    return found


def headers(found: state.Object) -> dict[str, Any]:
    """What GetObject and HeadObject say of an object beside its body."""
    answer: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.modified_at,
        "ETag": quoted(found.etag),
        "ContentType": DEFAULT_CONTENT_TYPE,
        **found.about.headers,
        "Metadata": found.about.metadata,
    }
    if found.about.storage_class != "STANDARD":
        answer["StorageClass"] = found.about.storage_class
    if found.about.tags:
        answer["TagCount"] = len(found.about.tags)
    return answer


def listed(key: str, found: state.Object, encoding: str | None) -> dict[str, Any]:
    """An object in a list."""
    answer: dict[str, Any] = {
        "Key": encode(key, encoding),
        "LastModified": found.modified_at,
        "ETag": quoted(found.etag),
        "Size": found.size_bytes,
        "StorageClass": found.about.storage_class,
    }
    if found.checksums:
        answer["ChecksumAlgorithm"] = list(found.checksums)
        answer["ChecksumType"] = found.checksum_type
    return answer


def part(found: state.Part, number: int | None = None) -> dict[str, Any]:
    """A part in a list."""
    return {
        "PartNumber": found.number if number is None else number,
        "LastModified": found.modified_at,
        "ETag": quoted(found.etag),
        "Size": found.size_bytes,
        **{f"Checksum{name}": value for name, value in found.checksums.items()},
    }


def tag_set(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as S3 lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def encode(text: str, encoding: str | None) -> str:
    """A key as a list shows it."""
    return quote(text, safe="/*-._") if encoding == "url" else text


def token(place: Place) -> str:
    """A place as a continuation token."""
    return urlsafe_b64encode(b"gk"[not place.group :][:1] + place.key.encode("utf-8", "surrogatepass")).decode()


def place(text: str) -> Place:
    """The place of a continuation token. InvalidArgument."""
    try:
        raw = urlsafe_b64decode(text)
        if raw[:1] not in (b"g", b"k"):
            raise ValueError(text)
        return Place(raw[1:].decode("utf-8", "surrogatepass"), raw[:1] == b"g")
    except (binascii.Error, ValueError):
        raise errors.InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        ) from None  # fmt: skip
