"""Operations that list objects."""

from collections.abc import Iterator
from typing import Any

from headrace.operation import Context, operation
from headrace.services.s3 import errors, limits, listing, shapes, state
from headrace.services.s3.listing import Page, Place
from headrace.store import tuples


@operation(transaction=False, accepts=("request_payer",))
def list_objects_v2(
    ctx: Context, *, bucket: str, delimiter: str | None = None, encoding_type: str | None = None, max_keys: int | None = None,
    prefix: str | None = None, continuation_token: str | None = None, fetch_owner: bool | None = None,
    start_after: str | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of the bucket's objects in the order of their keys' bytes."""
    after = Place(start_after) if start_after else None
    if continuation_token is not None:
        after = shapes.place(continuation_token)
    wanted = _wanted(max_keys, "maxKeys")
    _check_encoding(encoding_type)
    page = _page(ctx, bucket, expected_bucket_owner, prefix or "", delimiter or "", after, wanted)
    contents = [shapes.listed(key, found, encoding_type) for key, found in page.rows]
    if fetch_owner:
        for entry in contents:
            entry["Owner"] = shapes.owner(ctx.account)
    return {
        "Name": bucket,
        "Prefix": shapes.encode(prefix or "", encoding_type),
        "Delimiter": _encoded(delimiter, encoding_type),
        "MaxKeys": wanted if max_keys is None else max_keys,
        "EncodingType": encoding_type,
        "KeyCount": len(page.rows) + len(page.groups),
        "IsTruncated": page.next is not None,
        "Contents": contents,
        "CommonPrefixes": [{"Prefix": shapes.encode(group, encoding_type)} for group in page.groups],
        "ContinuationToken": continuation_token,
        "NextContinuationToken": None if page.next is None else shapes.token(page.next),
        "StartAfter": _encoded(start_after, encoding_type),
    }


@operation(transaction=False, accepts=("request_payer",))
def list_objects(
    ctx: Context, *, bucket: str, delimiter: str | None = None, encoding_type: str | None = None, marker: str | None = None,
    max_keys: int | None = None, prefix: str | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of the bucket's objects, in the older form. Differs from AWS: NextMarker is given without a delimiter, too."""
    wanted = _wanted(max_keys, "maxKeys")
    _check_encoding(encoding_type)
    after = None
    if marker:
        # A marker that is a group came from NextMarker: its keys were shown as that group.
        after = Place(marker, group=bool(delimiter) and marker.endswith(delimiter or "") and len(marker) > len(prefix or ""))
    page = _page(ctx, bucket, expected_bucket_owner, prefix or "", delimiter or "", after, wanted)
    return {
        "Name": bucket,
        "Prefix": shapes.encode(prefix or "", encoding_type),
        "Marker": shapes.encode(marker or "", encoding_type),
        "Delimiter": _encoded(delimiter, encoding_type),
        "MaxKeys": wanted if max_keys is None else max_keys,
        "EncodingType": encoding_type,
        "IsTruncated": page.next is not None,
        "NextMarker": None if page.next is None else shapes.encode(page.next.key, encoding_type),
        "Contents": [
            {**shapes.listed(key, found, encoding_type), "Owner": shapes.owner(ctx.account)} for key, found in page.rows
        ],
        "CommonPrefixes": [{"Prefix": shapes.encode(group, encoding_type)} for group in page.groups],
    }


def _page(
    ctx: Context, bucket: str, expected_owner: str | None, prefix: str, delimiter: str, after: Place | None, limit: int
) -> Page[state.Object]:
    def body(inner: Context) -> Page[state.Object]:
        owner = state.bucket(inner, bucket, expected_owner)
        first = _start(owner, prefix)
        end = tuples.after_prefix(first)

        def scan(place: Place) -> Iterator[tuple[str, state.Object]]:
            begin = max(first, _behind(owner, place))
            for raw_key, raw in inner.tx.range(begin, end):
                found = state.OBJECTS.decode(raw)
                if not found.marker:
                    yield str(tuples.unpack(raw_key)[-1]), found

        return listing.page(scan, prefix, delimiter, after, limit)

    return ctx.snapshot(body)


def _start(owner: state.Bucket, prefix: str) -> bytes:
    """The bytes with which the store's keys of all objects begin whose keys begin with the prefix."""
    return state.OBJECTS.key(owner.id, prefix)[:-1]


def _behind(owner: state.Bucket, place: Place) -> bytes:
    if place.group:
        return tuples.after_prefix(_start(owner, place.key))
    return state.OBJECTS.key(owner.id, place.key) + (b"\x00" if place.key else b"")


def _wanted(given: int | None, name: str) -> int:
    if given is not None and given < 0:
        raise errors.InvalidArgument(
            f"Argument {name} must be an integer between 0 and 2147483647", ArgumentName=name, ArgumentValue=given
        )
    return limits.PAGE_MAX if given is None else min(given, limits.PAGE_MAX)


def _check_encoding(encoding: str | None) -> None:
    if encoding not in (None, "url"):
        raise errors.InvalidArgument(
            "Invalid Encoding Method specified in Request", ArgumentName="encoding-type", ArgumentValue=encoding
        )


def _encoded(text: str | None, encoding: str | None) -> str | None:
    return shapes.encode(text, encoding) if text else None
