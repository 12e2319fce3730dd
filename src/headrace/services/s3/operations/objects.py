"""Operations that write and delete objects."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from headrace.kit.errors import AwsError, UnsupportedParameter
from headrace.operation import BodyReader, Context, operation
from headrace.services.s3 import changes, contents, digests, errors, limits, rules, shapes, state

T = TypeVar("T")


@operation(transaction=False, accepts=("request_payer", "content_length"))
def put_object(
    ctx: Context, *, bucket: str, key: str, body: BodyReader | None = None, acl: str | None = None,
    cache_control: str | None = None, content_disposition: str | None = None, content_encoding: str | None = None,
    content_language: str | None = None, content_type: str | None = None, expires: str | None = None,
    website_redirect_location: str | None = None, content_md5: str | None = None, checksum_algorithm: str | None = None,
    checksum_crc32: str | None = None, checksum_crc32_c: str | None = None, checksum_crc64_nvme: str | None = None,
    checksum_sha1: str | None = None, checksum_sha256: str | None = None, checksum_sha512: str | None = None,
    checksum_md5: str | None = None, if_match: str | None = None, if_none_match: str | None = None,
    metadata: dict[str, str] | None = None, storage_class: str | None = None, tagging: str | None = None,
    server_side_encryption: str | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write an object. It is on disk, whole and verified, before it can be seen and before this returns.

    Differs from AWS: every storage class is the same disk, and encryption at rest is the disk's.
    """
    rules.check_key(key)
    rules.check_acl(acl)
    check_encryption(server_side_encryption)
    about = describe(
        {
            "CacheControl": cache_control, "ContentDisposition": content_disposition,
            "ContentEncoding": without_chunking(content_encoding), "ContentLanguage": content_language,
            "ContentType": content_type, "Expires": expires, "WebsiteRedirectLocation": website_redirect_location,
        },
        metadata, rules.tags_of_header(tagging), storage_class,
    )  # fmt: skip
    wanted = digests.Wanted(
        content_md5, checksum_algorithm,
        {
            "CRC32": checksum_crc32, "CRC32C": checksum_crc32_c, "CRC64NVME": checksum_crc64_nvme, "SHA1": checksum_sha1,
            "SHA256": checksum_sha256, "SHA512": checksum_sha512, "MD5": checksum_md5,
        },
    )  # fmt: skip
    # What is refused anyway is refused before the body is taken in.
    ctx.snapshot(lambda inner: check_place(inner, bucket, key, if_match, if_none_match, expected_bucket_owner))
    stored = contents.take_body(
        ctx, body, wanted, limits.PUT_SIZE_MAX_BYTES, inline_max_bytes=limits.INLINE_SIZE_MAX_BYTES
    )  # fmt: skip
    made = object_of(ctx, stored, about)

    def commit(inner: Context) -> str | None:
        owner = check_place(inner, bucket, key, if_match, if_none_match, expected_bucket_owner)
        changes.put_object(inner, owner, key, made, "Put")
        return state.shown_version(owner, made)

    version_id = commit_or_discard(ctx, stored, commit)
    told = shapes.checksums(made.checksums, made.checksum_type)
    return {"ETag": shapes.quoted(made.etag), "VersionId": version_id, **told}


def check_place(
    ctx: Context, bucket: str, key: str, match: str | None, none_match: str | None, expected_owner: str | None
) -> state.Bucket:
    """The bucket, if an object may be written there. NoSuchBucket, AccessDenied, PreconditionFailed."""
    owner = state.bucket(ctx, bucket, expected_owner)
    if match is not None or none_match is not None:
        before = state.newest(ctx.tx, owner, key)
        rules.check_write(match, none_match, None if before is None else before.etag, key)
    return owner


def describe(
    headers: dict[str, str | None], metadata: dict[str, str] | None, tags: dict[str, str], storage_class: str | None
) -> state.Description:
    """What a caller says of an object. MetadataTooLarge, InvalidStorageClass."""
    rules.check_metadata(metadata or {})
    given = {name: value for name, value in headers.items() if value}
    return state.Description(given, metadata or {}, tags, rules.check_storage_class(storage_class))


def object_of(ctx: Context, stored: contents.Stored, about: state.Description) -> state.Object:
    """The row of an object whose bytes were taken in."""
    return state.Object(
        ctx.ids.hex(24), stored.etag, stored.size_bytes, ctx.clock.now(), about, stored.checksums, inline=stored.inline,
        blob_id=stored.blob_id,
    )  # fmt: skip


def commit_or_discard(ctx: Context, stored: contents.Stored, commit: Callable[[Context], T]) -> T:
    """Write the row; if that fails, remove the bytes that were taken in for it."""
    try:
        return ctx.transact(commit)
    except AwsError:
        # Nothing was committed. After any other failure that is not sure, so the sweep decides.
        contents.discard(ctx, stored)
        raise


def without_chunking(content_encoding: str | None) -> str | None:
    """The encoding of the object itself: aws-chunked belongs to its way here."""
    names = [name.strip() for name in (content_encoding or "").split(",")]
    return ",".join(name for name in names if name not in ("", "aws-chunked")) or None


def check_encryption(name: str | None) -> None:
    """UnsupportedParameter for keys of KMS: there is none."""
    if name not in (None, "AES256"):
        raise UnsupportedParameter("Headrace has no KMS: of ServerSideEncryption it takes AES256 only.")


@operation(accepts=("request_payer", "bypass_governance_retention"))
def delete_object(
    ctx: Context, *, bucket: str, key: str, version_id: str | None = None, expected_bucket_owner: str | None = None,
    if_match: str | None = None, if_match_last_modified_time: float | None = None, if_match_size: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Delete an object, if it is there. The room on disk is free some minutes later: somebody may still read it.

    In a bucket with versions a delete marker hides the object; with a version id, that version is gone for good.
    """
    owner = state.bucket(ctx, bucket, expected_bucket_owner)
    given = {"ETag": if_match, "LastModifiedTime": if_match_last_modified_time, "Size": if_match_size}
    return _delete(ctx, owner, key, version_id, given)


def _delete(ctx: Context, owner: state.Bucket, key: str, version_id: str | None, conditions: Mapping[str, Any]) -> dict[str, Any]:
    if version_id is not None:
        before = state.find_version(ctx.tx, owner, key, version_id)
        _check_delete(before, conditions)
        removed = changes.delete_version(ctx, owner, key, version_id)
        return {"VersionId": version_id, "DeleteMarker": True if removed is not None and removed.marker else None}
    _check_delete(state.newest(ctx.tx, owner, key), conditions)
    marker = changes.delete_object(ctx, owner, key)
    return {} if marker is None else {"VersionId": marker.version_id, "DeleteMarker": True}


def _check_delete(before: state.Object | None, conditions: Mapping[str, Any]) -> None:
    match, modified_at, size_bytes = (conditions.get(name) for name in ("ETag", "LastModifiedTime", "Size"))
    if before is None:
        return
    if match is not None and match.strip('"') not in ("*", before.etag):
        raise errors.precondition_failed("If-Match")
    if modified_at is not None and int(modified_at) != int(before.modified_at):
        raise errors.precondition_failed("x-amz-if-match-last-modified-time")
    if size_bytes is not None and size_bytes != before.size_bytes:
        raise errors.precondition_failed("x-amz-if-match-size")


@operation(accepts=("request_payer", "bypass_governance_retention", "checksum_algorithm"))
def delete_objects(
    ctx: Context, *, bucket: str, delete: dict[str, Any], expected_bucket_owner: str | None = None
) -> dict[str, Any]:
    """Delete up to 1000 objects in one transaction."""
    owner = state.bucket(ctx, bucket, expected_bucket_owner)
    wanted = delete.get("Objects") or []
    if not 0 < len(wanted) <= limits.DELETE_KEYS_MAX:
        raise errors.malformed_xml()
    deleted, failed = [], []
    for one in wanted:
        key, version_id = one.get("Key", ""), one.get("VersionId")
        try:
            done = _delete(ctx, owner, key, version_id, one)
        except AwsError as error:
            code = error.code or type(error).__name__
            failed.append({"Key": key, "VersionId": version_id, "Code": code, "Message": error.message})
            continue
        marker = {"DeleteMarker": True, "DeleteMarkerVersionId": done["VersionId"]} if done.get("DeleteMarker") else {}
        deleted.append({"Key": key, "VersionId": version_id, **marker})
    return {"Deleted": [] if delete.get("Quiet") else deleted, "Errors": failed}
