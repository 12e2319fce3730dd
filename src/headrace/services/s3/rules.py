"""Decisions of S3, pure: names, ranges, conditions, tags, sources of copies."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from headrace.services.s3 import errors, limits

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
_PART_RANGE = re.compile(r"bytes=(\d+)-(\d+)\Z")
_TAG = re.compile(r"[\w\s+\-=.:/@]*\Z")

STORAGE_CLASSES = frozenset(
    {
        "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE",
        "GLACIER_IR",
    }
)  # fmt: skip


def check_bucket_name(name: str) -> None:
    """InvalidBucketName unless the name follows the rules for new buckets."""
    wrong = not _BUCKET.match(name) or ".." in name or ".-" in name or "-." in name
    if wrong or name.startswith(_RESERVED_PREFIXES[:2]) or name.endswith(_RESERVED_SUFFIXES) or _is_address(name):
        raise errors.InvalidBucketName("The specified bucket is not valid.", BucketName=name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def check_key(key: str) -> None:
    """KeyTooLongError above 1024 bytes."""
    size_bytes = len(key.encode("utf-8", "surrogatepass"))
    if size_bytes > limits.KEY_SIZE_MAX_BYTES:
        raise errors.KeyTooLongError("Your key is too long", Size=size_bytes, MaxSizeAllowed=limits.KEY_SIZE_MAX_BYTES)


def check_metadata(metadata: Mapping[str, str]) -> None:
    """MetadataTooLarge above 2 KiB."""
    size_bytes = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size_bytes > limits.METADATA_SIZE_MAX_BYTES:
        raise errors.MetadataTooLarge(
            "Your metadata headers exceed the maximum allowed metadata size", Size=size_bytes,
            MaxSizeAllowed=limits.METADATA_SIZE_MAX_BYTES,
        )  # fmt: skip


def check_storage_class(name: str | None) -> str:
    """The storage class; InvalidStorageClass."""
    if name is not None and name not in STORAGE_CLASSES:
        raise errors.InvalidStorageClass("The storage class you specified is not valid", StorageClassRequested=name)
    return name or "STANDARD"


def check_acl(acl: str | None) -> None:
    """AccessControlListNotSupported for all but what is so anyway."""
    if acl not in (None, "private", "bucket-owner-full-control"):
        raise errors.AccessControlListNotSupported("The bucket does not allow ACLs")


class Span(NamedTuple):
    """The bytes start <= i < end."""

    start: int
    end: int


def span(text: str | None, size_bytes: int) -> Span | None:
    """The part that a Range header names; None when it names none, or is to be ignored. InvalidRange."""
    found = _RANGE.match(text.strip()) if text else None
    if found is None or text is None:
        return None
    first, last = found.groups()
    if first == "" and last == "":
        return None
    if first == "":
        start, end = max(0, size_bytes - int(last)), size_bytes
        unsatisfiable = int(last) == 0 or size_bytes == 0
    else:
        start, end = int(first), size_bytes if last == "" else min(int(last) + 1, size_bytes)
        if last != "" and int(last) < start:
            return None
        unsatisfiable = start >= size_bytes
    if unsatisfiable:
        raise errors.InvalidRange(
            "The requested range is not satisfiable", RangeRequested=text, ActualObjectSize=size_bytes
        )  # fmt: skip
    return Span(start, end)


def copy_span(text: str | None, size_bytes: int) -> Span:
    """The part of a source that becomes a part: it must lie inside. InvalidArgument, InvalidRange."""
    if text is None:
        return Span(0, size_bytes)
    found = _PART_RANGE.match(text)
    if found is None:
        raise errors.InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based "
            "offsets of the first and last bytes to copy", ArgumentName="x-amz-copy-source-range", ArgumentValue=text,
        )  # fmt: skip
    start, end = int(found.group(1)), int(found.group(2)) + 1
    if start >= end or end > size_bytes:
        raise errors.InvalidArgument(
            f"Range specified is not valid for source object of size: {size_bytes}",
            ArgumentName="x-amz-copy-source-range", ArgumentValue=text,
        )  # fmt: skip
    return Span(start, end)


class Conditions(NamedTuple):
    """What a caller asks of an object before it is read or replaced. Times are seconds since 1970."""

    match: str | None = None
    none_match: str | None = None
    modified_since: float | None = None
    unmodified_since: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is a condition at all."""
        return any(value is not None for value in self)


def check_read(conditions: Conditions, etag: str, modified_at: float, *, source: bool = False) -> None:
    """PreconditionFailed or NotModified unless the object may be read. A copy's source is never "not modified"."""
    prefix = "x-amz-copy-source-" if source else ""
    changed_s = int(modified_at)
    if conditions.match is not None:
        if not _matches(conditions.match, etag):
            raise errors.precondition_failed(prefix + "If-Match")
    elif conditions.unmodified_since is not None and changed_s > int(conditions.unmodified_since):
        raise errors.precondition_failed(prefix + "If-Unmodified-Since")
    if conditions.none_match is not None:
        if _matches(conditions.none_match, etag):
            raise errors.precondition_failed(prefix + "If-None-Match") if source else _not_modified(etag)
    elif conditions.modified_since is not None and changed_s <= int(conditions.modified_since):
        raise errors.precondition_failed(prefix + "If-Modified-Since") if source else _not_modified(etag)


def check_write(match: str | None, none_match: str | None, etag: str | None, key: str) -> None:
    """PreconditionFailed (or NoSuchKey) unless the object, whose ETag is given if it is there, may be replaced."""
    if none_match is not None:
        if none_match != "*":
            raise errors.InvalidArgument(
                "A header you provided implies functionality that is not implemented", ArgumentName="If-None-Match",
                ArgumentValue=none_match,
            )  # fmt: skip
        if etag is not None:
            raise errors.precondition_failed("If-None-Match")
    if match is not None:
        if etag is None:
            raise errors.no_such_key(key)
        if not _matches(match, etag):
            raise errors.precondition_failed("If-Match")


def _not_modified(etag: str) -> errors.NotModified:
    return errors.NotModified("Not Modified", ETag=etag)


def _matches(given: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/").strip('"') in ("*", etag) for one in given.split(","))


class Source(NamedTuple):
    """Where a copy comes from."""

    bucket: str
    key: str
    version_id: str | None


def copy_source(text: str) -> Source:
    """The bucket and key that a copy-source header names. InvalidArgument."""
    path, _, query = text.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key or bucket.startswith("arn:"):
        raise errors.InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", ArgumentName="x-amz-copy-source",
            ArgumentValue=text,
        )  # fmt: skip
    return Source(bucket, key, dict(parse_qsl(query)).get("versionId"))


def tags_of_header(text: str | None) -> dict[str, str]:
    """The tags in an x-amz-tagging header. InvalidArgument, InvalidTag."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise errors.InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name "
            "duplicates.", ArgumentName="x-amz-tagging", ArgumentValue=text,
        ) from None  # fmt: skip
    return check_tags(pairs, limits.OBJECT_TAGS_MAX)


def tags_of_set(tag_set: Sequence[Mapping[str, str]], count_max: int) -> dict[str, str]:
    """The tags of a TagSet. InvalidTag."""
    return check_tags([(tag.get("Key", ""), tag.get("Value", "")) for tag in tag_set], count_max)


def check_tags(pairs: Sequence[tuple[str, str]], count_max: int) -> dict[str, str]:
    """The pairs as a dict, if they follow the rules for tags. InvalidTag."""
    tags: dict[str, str] = {}
    for key, value in pairs:
        if not 0 < len(key) <= limits.TAG_KEY_CHARACTERS_MAX or not _TAG.match(key):
            raise errors.InvalidTag("The TagKey you have provided is invalid", TagKey=key)
        if len(value) > limits.TAG_VALUE_CHARACTERS_MAX or not _TAG.match(value):
            raise errors.InvalidTag("The TagValue you have provided is invalid", TagKey=key, TagValue=value)
        if key in tags:
            raise errors.InvalidTag("Cannot provide multiple Tags with the same key", TagKey=key)
        if key.startswith("aws:"):
            raise errors.InvalidTag("System tags cannot be added/updated by requester", TagKey=key)
        tags[key] = value
    if len(tags) > count_max:
        kind = "Object" if count_max == limits.OBJECT_TAGS_MAX else "Bucket"
        raise errors.InvalidTag(f"{kind} tags cannot be greater than {count_max}")
    return tags
