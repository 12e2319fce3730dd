"""Operations that read objects."""

from typing import Any, NamedTuple

from headrace.operation import Context, operation
from headrace.services.s3 import contents, errors, limits, rules, shapes, state
from headrace.services.s3.rules import Conditions, Span


class Found(NamedTuple):
    """An object and the part of it that was asked for."""

    row: state.Object
    span: Span
    partial: bool
    where: list[contents.Extent]
    version_id: str | None


@operation(transaction=False, accepts=("request_payer",))
def get_object(
    ctx: Context, *, bucket: str, key: str, if_match: str | None = None, if_none_match: str | None = None,
    if_modified_since: float | None = None, if_unmodified_since: float | None = None, range: str | None = None,
    part_number: int | None = None, response_cache_control: str | None = None,
    response_content_disposition: str | None = None, response_content_encoding: str | None = None,
    response_content_language: str | None = None, response_content_type: str | None = None,
    response_expires: str | None = None, version_id: str | None = None, checksum_mode: str | None = None,
    expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Read an object or a part of it. What is sent was verified; when it is damaged on disk, the answer breaks off."""
    conditions = Conditions(if_match, if_none_match, if_modified_since, if_unmodified_since)
    found = ctx.snapshot(
        lambda inner: _find(inner, bucket, key, conditions, range, part_number, version_id, expected_bucket_owner)
    )
    overrides = {
        "CacheControl": response_cache_control, "ContentDisposition": response_content_disposition,
        "ContentEncoding": response_content_encoding, "ContentLanguage": response_content_language,
        "ContentType": response_content_type, "Expires": response_expires,
    }  # fmt: skip
    answer = _headers(found, checksum_mode, overrides)
    answer["Body"] = contents.read(ctx, found.row, found.where, found.span)
    return answer


@operation(read_only=True, accepts=("request_payer",))
def head_object(
    ctx: Context, *, bucket: str, key: str, if_match: str | None = None, if_none_match: str | None = None,
    if_modified_since: float | None = None, if_unmodified_since: float | None = None, range: str | None = None,
    part_number: int | None = None, response_cache_control: str | None = None,
    response_content_disposition: str | None = None, response_content_encoding: str | None = None,
    response_content_language: str | None = None, response_content_type: str | None = None,
    response_expires: str | None = None, version_id: str | None = None, checksum_mode: str | None = None,
    expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What is known of an object, as GetObject would say it, without its bytes."""
    conditions = Conditions(if_match, if_none_match, if_modified_since, if_unmodified_since)
    try:
        found = _find(ctx, bucket, key, conditions, range, part_number, version_id, expected_bucket_owner)
    except (errors.NoSuchKey, errors.NoSuchBucket, errors.NoSuchVersion):
        raise errors.NotFound("Not Found") from None
    overrides = {
        "CacheControl": response_cache_control, "ContentDisposition": response_content_disposition,
        "ContentEncoding": response_content_encoding, "ContentLanguage": response_content_language,
        "ContentType": response_content_type, "Expires": response_expires,
    }  # fmt: skip
    return _headers(found, checksum_mode, overrides)


@operation(transaction=False, accepts=("request_payer",))
def get_object_attributes(
    ctx: Context, *, bucket: str, key: str, object_attributes: list[str], version_id: str | None = None,
    max_parts: int | None = None, part_number_marker: int | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Size, ETag, checksums and parts of an object."""

    def body(inner: Context) -> tuple[state.Object, list[state.Part]]:
        owner = state.bucket(inner, bucket, expected_bucket_owner)
        found = state.find_object(inner.tx, owner, key, version_id)
        wanted = "ObjectParts" in object_attributes and found.parts_count > 0
        return found, state.parts(inner.tx, found.id) if wanted else []

    found, parts = ctx.snapshot(body)
    values: dict[str, Any] = {
        "ETag": found.etag,
        "Checksum": shapes.checksums(found.checksums, found.checksum_type) or None,
        "ObjectSize": found.size_bytes,
        "StorageClass": found.about.storage_class,
        "ObjectParts": _parts(found, parts, max_parts, part_number_marker or 0) if found.parts_count else None,
    }
    chosen = {name: value for name, value in values.items() if name in object_attributes and value is not None}
    return {"LastModified": found.modified_at, **chosen}


def _parts(found: state.Object, parts: list[state.Part], max_parts: int | None, after: int) -> dict[str, Any]:
    wanted = min(max_parts or limits.PAGE_MAX, limits.PAGE_MAX)
    numbered = [(number, part) for number, part in enumerate(parts, 1) if number > after]
    shown = numbered[:wanted]
    return {
        "TotalPartsCount": found.parts_count,
        "PartNumberMarker": after,
        "NextPartNumberMarker": shown[-1][0] if shown else 0,
        "MaxParts": wanted,
        "IsTruncated": len(numbered) > wanted,
        "Parts": [
            {name: value for name, value in shapes.part(part, number).items() if name not in ("ETag", "LastModified")}
            for number, part in shown
        ],
    }


def _find(
    ctx: Context, bucket: str, key: str, conditions: Conditions, range_header: str | None, part_number: int | None,
    version_id: str | None, expected_owner: str | None,
) -> Found:  # fmt: skip
    owner = state.bucket(ctx, bucket, expected_owner)
    found = state.find_object(ctx.tx, owner, key, version_id)
    if conditions.any:
        rules.check_read(conditions, found.etag, found.modified_at)
    if range_header is not None and part_number is not None:
        raise errors.InvalidRequest("Cannot specify both Range header and partNumber query parameter.")
    parts = state.parts(ctx.tx, found.id) if found.parts_count else []
    asked = _part_span(found, parts, part_number) if part_number is not None else rules.span(range_header, found.size_bytes)
    span = asked or Span(0, found.size_bytes)
    where = contents.extents(found, parts, span)
    return Found(found, span, asked is not None, where, state.shown_version(owner, found))


def _part_span(found: state.Object, parts: list[state.Part], number: int) -> Span:
    count = found.parts_count or 1
    if not 0 < number <= count:
        raise errors.InvalidPartNumber(
            "The requested partnumber is not satisfiable", ActualPartCount=count, PartNumberRequested=number
        )
    if not found.parts_count:
        return Span(0, found.size_bytes)
    start = sum(part.size_bytes for part in parts[: number - 1])
    return Span(start, start + parts[number - 1].size_bytes)


def _headers(found: Found, checksum_mode: str | None, overrides: dict[str, str | None]) -> dict[str, Any]:
    row, span = found.row, found.span
    answer = shapes.headers(row)
    answer.update({name: value for name, value in overrides.items() if value is not None})
    answer["VersionId"] = found.version_id
    answer["ContentLength"] = span.end - span.start
    if found.partial:
        # A part of nothing (part 1 of an empty object) has no range.
        answer["ContentRange"] = f"bytes {span.start}-{span.end - 1}/{row.size_bytes}" if span.end > span.start else None
        if row.parts_count:
            answer["PartsCount"] = row.parts_count
    if checksum_mode is not None and span == (0, row.size_bytes):
        answer.update(shapes.checksums(row.checksums, row.checksum_type))
    return answer
