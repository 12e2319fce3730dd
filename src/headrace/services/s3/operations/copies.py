"""Operations that copy objects, whole or into parts."""

from typing import Any, NamedTuple

from headrace.operation import Context, operation
from headrace.services.s3 import changes, contents, digests, errors, limits, rules, shapes, state
from headrace.services.s3.operations import objects, uploads


class Source(NamedTuple):
    """An object that is copied."""

    row: state.Object
    parts: list[state.Part]


@operation(transaction=False, accepts=("request_payer",))
def copy_object(
    ctx: Context, *, bucket: str, key: str, copy_source: str, acl: str | None = None, cache_control: str | None = None,
    content_disposition: str | None = None, content_encoding: str | None = None, content_language: str | None = None,
    content_type: str | None = None, expires: str | None = None, website_redirect_location: str | None = None,
    checksum_algorithm: str | None = None, copy_source_if_match: str | None = None,
    copy_source_if_none_match: str | None = None, copy_source_if_modified_since: float | None = None,
    copy_source_if_unmodified_since: float | None = None, if_match: str | None = None, if_none_match: str | None = None,
    metadata: dict[str, str] | None = None, metadata_directive: str | None = None, tagging_directive: str | None = None,
    tagging: str | None = None, storage_class: str | None = None, server_side_encryption: str | None = None,
    expected_bucket_owner: str | None = None, expected_source_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Copy an object of up to 5 GiB, with its description or a new one. The bytes are copied, not shared."""
    rules.check_key(key)
    rules.check_acl(acl)
    objects.check_encryption(server_side_encryption)
    conditions = rules.Conditions(
        copy_source_if_match, copy_source_if_none_match, copy_source_if_modified_since, copy_source_if_unmodified_since
    )
    source = find_source(ctx, copy_source, conditions, expected_source_bucket_owner)
    if source.row.size_bytes > limits.COPY_SIZE_MAX_BYTES:
        raise errors.InvalidRequest(
            f"The specified copy source is larger than the maximum allowable size for a copy source: {limits.COPY_SIZE_MAX_BYTES}"
        )
    replace = _replaces(metadata_directive, "MetadataDirective")
    headers = {
        "CacheControl": cache_control, "ContentDisposition": content_disposition, "ContentEncoding": content_encoding,
        "ContentLanguage": content_language, "ContentType": content_type, "Expires": expires,
    }  # fmt: skip
    before = source.row.about
    about = objects.describe(
        {**(headers if replace else before.headers), "WebsiteRedirectLocation": website_redirect_location},
        metadata if replace else before.metadata,
        rules.tags_of_header(tagging) if _replaces(tagging_directive, "TaggingDirective") else before.tags,
        storage_class,
    )
    given = rules.copy_source(copy_source)
    if (given.bucket, given.key) == (bucket, key) and not replace and about == before and checksum_algorithm is None:
        raise errors.InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's "
            "metadata, storage class, website redirect location or encryption attributes."
        )
    algorithm = checksum_algorithm or next(iter(source.row.checksums), None)
    return _commit(ctx, (bucket, key, expected_bucket_owner), source, about, algorithm, (if_match, if_none_match))


def _commit(
    ctx: Context, place: tuple[str, str, str | None], source: Source, about: state.Description, algorithm: str | None,
    conditions: tuple[str | None, str | None],
) -> dict[str, Any]:  # fmt: skip
    bucket, key, expected_owner = place
    ctx.snapshot(lambda inner: objects.check_place(inner, bucket, key, *conditions, expected_owner))
    stored = take_source(ctx, source, rules.Span(0, source.row.size_bytes), digests.Wanted(algorithm=algorithm))
    made = objects.object_of(ctx, stored, about)

    def commit(inner: Context) -> str | None:
        owner = objects.check_place(inner, bucket, key, *conditions, expected_owner)
        changes.put_object(inner, owner, key, made, "Copy")
        return state.shown_version(owner, made)

    return {
        "VersionId": objects.commit_or_discard(ctx, stored, commit),
        "CopyObjectResult": {
            "ETag": shapes.quoted(made.etag),
            "LastModified": made.modified_at,
            **shapes.checksums(made.checksums, made.checksum_type),
        },
    }


def _replaces(directive: str | None, name: str) -> bool:
    if directive not in (None, "COPY", "REPLACE"):
        raise errors.InvalidArgument(f"Unknown {name}.", ArgumentName=name, ArgumentValue=directive)
    return directive == "REPLACE"


@operation(transaction=False, accepts=("request_payer",))
def upload_part_copy(
    ctx: Context, *, bucket: str, key: str, copy_source: str, part_number: int, upload_id: str,
    copy_source_if_match: str | None = None, copy_source_if_none_match: str | None = None,
    copy_source_if_modified_since: float | None = None, copy_source_if_unmodified_since: float | None = None,
    copy_source_range: str | None = None, expected_bucket_owner: str | None = None,
    expected_source_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Make a part of a multipart upload from an object, or from a range of it."""
    uploads.check_part_number(part_number)
    upload = ctx.snapshot(
        lambda inner: state.find_upload(inner, state.bucket(inner, bucket, expected_bucket_owner), key, upload_id)
    )
    conditions = rules.Conditions(
        copy_source_if_match, copy_source_if_none_match, copy_source_if_modified_since, copy_source_if_unmodified_since
    )
    source = find_source(ctx, copy_source, conditions, expected_source_bucket_owner)
    span = rules.copy_span(copy_source_range, source.row.size_bytes)
    if span.end - span.start > limits.PART_SIZE_MAX_BYTES:
        raise digests.too_large(span.end - span.start, limits.PART_SIZE_MAX_BYTES)
    wanted = digests.Wanted(algorithm=upload.checksum_algorithm)
    stored = take_source(ctx, source, span, wanted, inline_max_bytes=0)
    part = uploads.commit_part(ctx, bucket, key, upload_id, part_number, stored)
    told = {f"Checksum{name}": value for name, value in part.checksums.items()}
    return {"CopyPartResult": {"ETag": shapes.quoted(part.etag), "LastModified": part.modified_at, **told}}


def find_source(ctx: Context, text: str, conditions: rules.Conditions, expected_owner: str | None) -> Source:
    """The object that is copied, if the conditions let it be."""
    given = rules.copy_source(text)

    def body(inner: Context) -> Source:
        found = state.find_object(inner.tx, state.bucket(inner, given.bucket, expected_owner), given.key, given.version_id)
        rules.check_read(conditions, found.etag, found.modified_at, source=True)
        return Source(found, state.parts(inner.tx, found.id) if found.parts_count else [])

    return ctx.snapshot(body)


def take_source(
    ctx: Context, source: Source, span: rules.Span, wanted: digests.Wanted, *,
    inline_max_bytes: int = limits.INLINE_SIZE_MAX_BYTES,
) -> contents.Stored:  # fmt: skip
    """Take in a part of an object as new bytes."""
    where = contents.extents(source.row, source.parts, span)
    length = span.end - span.start
    parts = contents.stream(ctx, source.row, where, span)
    return contents.take(ctx, parts, wanted, length, length, inline_max_bytes=inline_max_bytes)
