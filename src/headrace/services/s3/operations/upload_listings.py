"""Operations that list multipart uploads and their parts."""

from collections.abc import Iterator
from typing import Any

from headrace.operation import Context, operation
from headrace.services.s3 import errors, limits, listing, shapes, state
from headrace.services.s3.listing import Place
from headrace.store import tuples


@operation(transaction=False, accepts=("request_payer",))
def list_parts(
    ctx: Context, *, bucket: str, key: str, upload_id: str, max_parts: int | None = None,
    part_number_marker: int | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of the parts that were uploaded, by number."""
    wanted = min(limits.PAGE_MAX if max_parts is None else max_parts, limits.PAGE_MAX)
    after = part_number_marker or 0

    def body(inner: Context) -> tuple[state.Upload, list[state.Part]]:
        upload = state.find_upload(inner, state.bucket(inner, bucket, expected_bucket_owner), key, upload_id)
        return upload, state.parts(inner.tx, upload_id, after, wanted + 1)

    upload, parts = ctx.snapshot(body)
    shown = parts[:wanted]
    return {
        "Bucket": bucket,
        "Key": key,
        "UploadId": upload_id,
        "PartNumberMarker": after,
        "NextPartNumberMarker": shown[-1].number if shown else 0,
        "MaxParts": wanted,
        "IsTruncated": len(parts) > wanted,
        "Parts": [shapes.part(part) for part in shown],
        "Initiator": shapes.owner(ctx.account),
        "Owner": shapes.owner(ctx.account),
        "StorageClass": upload.about.storage_class,
        "ChecksumAlgorithm": upload.checksum_algorithm,
        "ChecksumType": upload.checksum_type if upload.checksum_algorithm else None,
    }


@operation(transaction=False, accepts=("request_payer",))
def list_multipart_uploads(
    ctx: Context, *, bucket: str, delimiter: str | None = None, encoding_type: str | None = None,
    key_marker: str | None = None, max_uploads: int | None = None, prefix: str | None = None,
    upload_id_marker: str | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of the uploads that were begun, by key. Differs from AWS: those of one key are in no order of time."""
    wanted = min(limits.PAGE_MAX if max_uploads is None else max_uploads, limits.PAGE_MAX)
    if encoding_type not in (None, "url"):
        raise errors.InvalidArgument("Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    after = None
    if key_marker:
        # Behind one upload of the key, or behind all of them.
        inside = f"{key_marker}\x00{upload_id_marker}" if upload_id_marker else f"{key_marker}\x00\U0010ffff"
        group = bool(delimiter) and key_marker.endswith(delimiter or "") and not upload_id_marker
        after = Place(key_marker, group=True) if group else Place(inside)
    page = ctx.snapshot(lambda inner: _page(inner, bucket, expected_bucket_owner, prefix or "", delimiter or "", after, wanted))
    last = page.next
    next_key, _, next_id = ("", "", "") if last is None else last.key.rpartition("\x00") if not last.group else (last.key, "", "")
    return {
        "Bucket": bucket,
        "KeyMarker": shapes.encode(key_marker or "", encoding_type),
        "UploadIdMarker": upload_id_marker or "",
        "NextKeyMarker": shapes.encode(next_key, encoding_type),
        "NextUploadIdMarker": next_id,
        "Delimiter": shapes.encode(delimiter, encoding_type) if delimiter else None,
        "Prefix": shapes.encode(prefix or "", encoding_type),
        "EncodingType": encoding_type,
        "MaxUploads": wanted,
        "IsTruncated": last is not None,
        "Uploads": [_shape(ctx, text.rpartition("\x00")[0], upload, encoding_type) for text, upload in page.rows],
        "CommonPrefixes": [{"Prefix": shapes.encode(group, encoding_type)} for group in page.groups],
    }


def _page(
    ctx: Context, bucket: str, expected_owner: str | None, prefix: str, delimiter: str, after: Place | None, limit: int
) -> listing.Page[state.Upload]:
    owner = state.bucket(ctx, bucket, expected_owner)
    first = state.UPLOADS.key(owner.id, prefix)[:-1]

    def scan(place: Place) -> Iterator[tuple[str, state.Upload]]:
        for raw_key, raw in ctx.tx.range(max(first, _behind(owner, place)), tuples.after_prefix(first)):
            key, upload_id = map(str, tuples.unpack(raw_key)[-2:])
            yield f"{key}\x00{upload_id}", state.UPLOADS.decode(raw)

    return listing.page(scan, prefix, delimiter, after, limit, listing.with_suffix)


def _behind(owner: state.Bucket, place: Place) -> bytes:
    if not place.key:
        return b""
    if place.group:
        return tuples.after_prefix(state.UPLOADS.key(owner.id, place.key)[:-1])
    key, _, upload_id = place.key.rpartition("\x00")
    return state.UPLOADS.key(owner.id, key, upload_id) + b"\x00"


def _shape(ctx: Context, key: str, upload: state.Upload, encoding: str | None) -> dict[str, Any]:
    return {
        "Key": shapes.encode(key, encoding),
        "UploadId": upload.id,
        "Initiated": upload.initiated_at,
        "StorageClass": upload.about.storage_class,
        "Initiator": shapes.owner(ctx.account),
        "Owner": shapes.owner(ctx.account),
        "ChecksumAlgorithm": upload.checksum_algorithm,
        "ChecksumType": upload.checksum_type if upload.checksum_algorithm else None,
    }
