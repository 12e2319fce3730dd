"""Decisions of multipart uploads, pure: which parts make the object, its ETag and its checksum."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.services.s3 import digests, errors, limits, state

_CRCS = ("CRC32", "CRC32C", "CRC64NVME")


def checksum_type(algorithm: str | None, kind: str | None) -> str:
    """How the checksum of the whole is made. InvalidRequest for what AWS does not combine."""
    if kind is not None and algorithm is None:
        raise errors.InvalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
    if algorithm is not None and algorithm not in digests.ALGORITHMS:
        raise UnsupportedParameter(f"Headrace does not compute the checksum {algorithm}.")
    chosen = kind or ("FULL_OBJECT" if algorithm in (None, "CRC64NVME") else "COMPOSITE")
    right = algorithm is None or (algorithm in _CRCS if chosen == "FULL_OBJECT" else algorithm != "CRC64NVME")
    if chosen not in ("FULL_OBJECT", "COMPOSITE") or not right:
        raise errors.InvalidRequest(
            f"The {chosen} checksum type cannot be used with the {str(algorithm).lower()} checksum algorithm."
        )
    return chosen


def choose(upload_id: str, wanted: Sequence[Mapping[str, Any]], uploaded: Mapping[int, state.Part]) -> list[state.Part]:
    """The parts that are named, in order. InvalidPart, EntityTooSmall."""
    chosen = []
    for one in wanted:
        number, etag = one.get("PartNumber", 0), (one.get("ETag") or "").strip('"')
        part = uploaded.get(number)
        told = {name: one.get(f"Checksum{name}") for name in digests.ALGORITHMS if one.get(f"Checksum{name}")}
        if part is None or part.etag != etag or any(part.checksums.get(name) != value for name, value in told.items()):
            raise errors.InvalidPart(
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
                "entity tag may not match the part's entity tag.", UploadId=upload_id, PartNumber=number, ETag=etag,
            )  # fmt: skip
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size_bytes < limits.PART_SIZE_MIN_BYTES:
            raise errors.EntityTooSmall(
                "Your proposed upload is smaller than the minimum allowed size", ProposedSize=part.size_bytes,
                MinSizeAllowed=limits.PART_SIZE_MIN_BYTES, PartNumber=part.number, ETag=part.etag,
            )  # fmt: skip
    return chosen


def assemble(upload: state.Upload, parts: Sequence[state.Part], now: float) -> state.Object:
    """The object that the parts make. EntityTooLarge."""
    size_bytes = sum(part.size_bytes for part in parts)
    if size_bytes > limits.OBJECT_SIZE_MAX_BYTES:
        raise digests.too_large(size_bytes, limits.OBJECT_SIZE_MAX_BYTES)
    return state.Object(
        upload.id,
        digests.composite_etag((part.etag for part in parts), len(parts)),
        size_bytes,
        now,
        upload.about,
        _checksums(upload, parts),
        upload.checksum_type,
        parts_count=len(parts),
    )


def _checksums(upload: state.Upload, parts: Sequence[state.Part]) -> dict[str, str]:
    algorithm = upload.checksum_algorithm or digests.DEFAULT_ALGORITHM
    values = [part.checksums.get(algorithm) for part in parts]
    known = [value for value in values if value is not None]
    if len(known) < len(parts):
        # The upload named no algorithm and a part came with another one than the default.
        return {}
    if upload.checksum_type == "COMPOSITE":
        return {algorithm: digests.composite(algorithm, known, len(parts))}
    return {algorithm: digests.full_object(algorithm, zip(known, (part.size_bytes for part in parts), strict=True))}


def check_whole(
    made: state.Object, upload: state.Upload, sent: Mapping[str, str | None], kind: str | None, size_bytes: int | None
) -> None:
    """BadDigest or InvalidRequest unless the object is what the caller says it is."""
    if kind is not None and kind != upload.checksum_type:
        raise errors.InvalidRequest(
            f"The upload was created using the {upload.checksum_type} checksum mode. "
            "The complete request must use the same checksum mode."
        )
    for name, value in sent.items():
        if value is not None and made.checksums.get(name, value).split("-")[0] != value.split("-")[0]:
            raise errors.bad_checksum(name)
    if size_bytes is not None and size_bytes != made.size_bytes:
        raise errors.InvalidRequest(
            f"The provided 'x-amz-mp-object-size' header value {size_bytes} does not match what was computed: {made.size_bytes}"
        )
