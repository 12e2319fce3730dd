"""Operations on multipart uploads: begin, parts, complete, abort."""

from itertools import pairwise
from typing import Any

from headrace.operation import BodyReader, Context, operation
from headrace.services.s3 import assembly, changes, contents, digests, errors, limits, rules, shapes, state
from headrace.services.s3.operations import objects


@operation(accepts=("request_payer",))
def create_multipart_upload(
    ctx: Context, *, bucket: str, key: str, acl: str | None = None, cache_control: str | None = None,
    content_disposition: str | None = None, content_encoding: str | None = None, content_language: str | None = None,
    content_type: str | None = None, expires: str | None = None, website_redirect_location: str | None = None,
    metadata: dict[str, str] | None = None, storage_class: str | None = None, tagging: str | None = None,
    server_side_encryption: str | None = None, checksum_algorithm: str | None = None, checksum_type: str | None = None,
    expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Begin a multipart upload. It stays until it is completed or aborted, or its bucket is deleted."""
    rules.check_key(key)
    rules.check_acl(acl)
    objects.check_encryption(server_side_encryption)
    about = objects.describe(
        {
            "CacheControl": cache_control, "ContentDisposition": content_disposition,
            "ContentEncoding": objects.without_chunking(content_encoding), "ContentLanguage": content_language,
            "ContentType": content_type, "Expires": expires, "WebsiteRedirectLocation": website_redirect_location,
        },
        metadata, rules.tags_of_header(tagging), storage_class,
    )  # fmt: skip
    kind = assembly.checksum_type(checksum_algorithm, checksum_type)
    owner = state.bucket(ctx, bucket, expected_bucket_owner)
    upload = state.Upload(ctx.ids.token(48), ctx.clock.now(), about, checksum_algorithm, kind)
    state.UPLOADS.put(ctx.tx, upload, owner.id, key, upload.id)
    return {
        "Bucket": bucket,
        "Key": key,
        "UploadId": upload.id,
        "ChecksumAlgorithm": checksum_algorithm,
        "ChecksumType": kind if checksum_algorithm else None,
    }


@operation(transaction=False, accepts=("request_payer", "content_length"))
def upload_part(
    ctx: Context, *, bucket: str, key: str, part_number: int, upload_id: str, body: BodyReader | None = None,
    content_md5: str | None = None, checksum_algorithm: str | None = None, checksum_crc32: str | None = None,
    checksum_crc32_c: str | None = None, checksum_crc64_nvme: str | None = None, checksum_sha1: str | None = None,
    checksum_sha256: str | None = None, checksum_sha512: str | None = None, checksum_md5: str | None = None,
    expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Upload a part, in the place of an earlier one of its number."""
    check_part_number(part_number)
    sent = {
        "CRC32": checksum_crc32, "CRC32C": checksum_crc32_c, "CRC64NVME": checksum_crc64_nvme, "SHA1": checksum_sha1,
        "SHA256": checksum_sha256, "SHA512": checksum_sha512, "MD5": checksum_md5,
    }  # fmt: skip
    upload = ctx.snapshot(
        lambda inner: state.find_upload(inner, state.bucket(inner, bucket, expected_bucket_owner), key, upload_id)
    )
    wanted = digests.Wanted(content_md5, checksum_algorithm or (None if any(sent.values()) else upload.checksum_algorithm), sent)
    if upload.checksum_algorithm not in (None, wanted.algorithm):
        raise errors.InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.checksum_algorithm.lower()}, "
            f"actual checksum Type: {wanted.algorithm.lower()}"
        )
    stored = contents.take_body(ctx, body, wanted, limits.PART_SIZE_MAX_BYTES, inline_max_bytes=0)
    part = commit_part(ctx, bucket, key, upload_id, part_number, stored)
    return {"ETag": shapes.quoted(part.etag), **{f"Checksum{name}": value for name, value in part.checksums.items()}}


def check_part_number(number: int) -> None:
    """InvalidArgument unless it is 1 to 10000."""
    if not 1 <= number <= limits.PARTS_MAX:
        raise errors.InvalidArgument(
            f"Part number must be an integer between 1 and {limits.PARTS_MAX}, inclusive", ArgumentName="partNumber",
            ArgumentValue=number,
        )  # fmt: skip


def commit_part(ctx: Context, bucket: str, key: str, upload_id: str, number: int, stored: contents.Stored) -> state.Part:
    """Write the row of a part whose bytes were taken in."""
    assert stored.blob_id is not None
    part = state.Part(number, stored.etag, stored.size_bytes, ctx.clock.now(), stored.blob_id, stored.checksums)

    def commit(inner: Context) -> None:
        state.find_upload(inner, state.bucket(inner, bucket), key, upload_id)
        before = state.PARTS.get(inner.tx, upload_id, number)
        if before is not None:
            state.doom_blob(inner, before.blob_id)
        state.hold(inner.tx, part.blob_id)
        state.PARTS.put(inner.tx, part, upload_id, number)

    objects.commit_or_discard(ctx, stored, commit)
    return part


@operation(accepts=("request_payer",))
def complete_multipart_upload(
    ctx: Context, *, bucket: str, key: str, upload_id: str, multipart_upload: dict[str, Any] | None = None,
    checksum_crc32: str | None = None, checksum_crc32_c: str | None = None, checksum_crc64_nvme: str | None = None,
    checksum_sha1: str | None = None, checksum_sha256: str | None = None, checksum_sha512: str | None = None,
    checksum_md5: str | None = None, checksum_type: str | None = None, mpu_object_size: int | None = None,
    if_match: str | None = None, if_none_match: str | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Make an object of uploaded parts. Asking again, after it succeeded, gives the same answer."""
    owner = state.bucket(ctx, bucket, expected_bucket_owner)
    wanted = (multipart_upload or {}).get("Parts") or []
    if not wanted:
        raise errors.malformed_xml()
    before = state.newest(ctx.tx, owner, key)
    if before is not None and before.id == upload_id and before.parts_count == len(wanted):
        return _completed(owner, key, before)
    upload = state.find_upload(ctx, owner, key, upload_id)
    rules.check_write(if_match, if_none_match, None if before is None else before.etag, key)
    if any(one.get("PartNumber", 0) >= later.get("PartNumber", 0) for one, later in pairwise(wanted)):
        raise errors.InvalidPartOrder(
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
            UploadId=upload_id,
        )
    uploaded = {part.number: part for part in state.parts(ctx.tx, upload_id)}
    parts = assembly.choose(upload_id, wanted, uploaded)
    sent = {
        "CRC32": checksum_crc32, "CRC32C": checksum_crc32_c, "CRC64NVME": checksum_crc64_nvme, "SHA1": checksum_sha1,
        "SHA256": checksum_sha256, "SHA512": checksum_sha512, "MD5": checksum_md5,
    }  # fmt: skip
    made = assembly.assemble(upload, parts, ctx.clock.now())
    assembly.check_whole(made, upload, sent, checksum_type, mpu_object_size)
    for number in uploaded.keys() - {part.number for part in parts}:
        state.doom_blob(ctx, uploaded[number].blob_id)
        state.PARTS.delete(ctx.tx, upload_id, number)
    state.UPLOADS.delete(ctx.tx, owner.id, key, upload_id)
    changes.put_object(ctx, owner, key, made, "CompleteMultipartUpload")
    return _completed(owner, key, made)


def _completed(owner: state.Bucket, key: str, made: state.Object) -> dict[str, Any]:
    return {
        "Location": f"/{owner.name}/{shapes.encode(key, 'url')}",
        "Bucket": owner.name,
        "Key": key,
        "VersionId": state.shown_version(owner, made),
        "ETag": shapes.quoted(made.etag),
        **shapes.checksums(made.checksums, made.checksum_type),
    }


@operation(accepts=("request_payer",))
def abort_multipart_upload(
    ctx: Context, *, bucket: str, key: str, upload_id: str, expected_bucket_owner: str | None = None,
    if_match_initiated_time: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Give up an upload with its parts."""
    owner = state.bucket(ctx, bucket, expected_bucket_owner)
    upload = state.find_upload(ctx, owner, key, upload_id)
    if if_match_initiated_time is not None and int(if_match_initiated_time) != int(upload.initiated_at):
        raise errors.precondition_failed("x-amz-if-match-initiated-time")
    state.UPLOADS.delete(ctx.tx, owner.id, key, upload_id)
    state.doom_parts(ctx, upload_id)
    return {}
