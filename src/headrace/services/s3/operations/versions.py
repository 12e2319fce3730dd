"""The operation that lists versions."""

from collections.abc import Iterator
from heapq import merge
from typing import Any

from headrace.operation import Context, operation
from headrace.services.s3 import errors, limits, listing, shapes, state
from headrace.services.s3.listing import Place
from headrace.store import tuples


@operation(transaction=False, accepts=("request_payer",))
def list_object_versions(
    ctx: Context, *, bucket: str, delimiter: str | None = None, encoding_type: str | None = None,
    key_marker: str | None = None, max_keys: int | None = None, prefix: str | None = None,
    version_id_marker: str | None = None, expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of all versions and delete markers by key, those of one key from the newest on."""
    wanted = min(limits.PAGE_MAX if max_keys is None else max_keys, limits.PAGE_MAX)
    if encoding_type not in (None, "url"):
        raise errors.InvalidArgument("Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    page = ctx.snapshot(
        lambda inner: _page(
            inner, state.bucket(inner, bucket, expected_bucket_owner), prefix or "", delimiter or "",
            (key_marker, version_id_marker), wanted,
        )
    )  # fmt: skip
    last = page.next
    next_key, next_version = "", ""
    if last is not None:
        next_key, _, next_version = (last.key, "", "") if last.group else last.key.rpartition("\x00")
    rows = [(text.rpartition("\x00")[0], entry) for text, entry in page.rows]
    return {
        "Name": bucket,
        "Prefix": shapes.encode(prefix or "", encoding_type),
        "Delimiter": shapes.encode(delimiter, encoding_type) if delimiter else None,
        "KeyMarker": shapes.encode(key_marker or "", encoding_type),
        "VersionIdMarker": version_id_marker or "",
        "NextKeyMarker": shapes.encode(next_key, encoding_type) if last is not None else None,
        "NextVersionIdMarker": next_version if last is not None and not last.group else None,
        "MaxKeys": wanted,
        "EncodingType": encoding_type,
        "IsTruncated": last is not None,
        "Versions": [_shape(ctx, key, *entry, encoding_type) for key, entry in rows if not entry[0].marker],
        "DeleteMarkers": [_shape(ctx, key, *entry, encoding_type) for key, entry in rows if entry[0].marker],
        "CommonPrefixes": [{"Prefix": shapes.encode(group, encoding_type)} for group in page.groups],
    }


def _shape(ctx: Context, key: str, found: state.Object, latest: bool, encoding: str | None) -> dict[str, Any]:
    told = {"IsLatest": latest, "VersionId": found.version_id, "Owner": shapes.owner(ctx.account)}
    if found.marker:
        return {"Key": shapes.encode(key, encoding), "LastModified": found.modified_at, **told}
    return {**shapes.listed(key, found, encoding), **told}


def _page(
    ctx: Context, owner: state.Bucket, prefix: str, delimiter: str, after: tuple[str | None, str | None], limit: int
) -> listing.Page[tuple[state.Object, bool]]:
    """Rows are named by key and version id, with a zero byte between."""

    def scan(place: Place) -> Iterator[tuple[str, tuple[state.Object, bool]]]:
        key, _, version_id = (place.key, "", "") if place.group else place.key.rpartition("\x00")
        skipping = bool(version_id)
        for found_key, found, latest in _rows(ctx, owner, prefix, key, group=place.group):
            if skipping and found_key == key:
                # Those of the marker's key up to the marker were shown before.
                skipping = found.version_id != version_id
                continue
            skipping = False
            yield f"{found_key}\x00{found.version_id}", (found, latest)

    key_marker, version_marker = after
    place = None
    if key_marker and version_marker:
        place = Place(f"{key_marker}\x00{version_marker}")
    elif key_marker:
        # Behind all versions of the key. A marker that is a group came from NextKeyMarker.
        group = bool(delimiter) and key_marker.endswith(delimiter) and len(key_marker) > len(prefix)
        place = Place(key_marker, group=True) if group else Place(f"{key_marker}\x00\U0010ffff")
    return listing.page(scan, prefix, delimiter, place, limit, listing.with_suffix)


def _rows(ctx: Context, owner: state.Bucket, prefix: str, key: str, *, group: bool) -> Iterator[tuple[str, state.Object, bool]]:
    """The newest rows and the older ones, merged by key."""

    def newest() -> Iterator[tuple[bytes, int, str, state.Object]]:
        for raw_key, raw in _range(ctx, state.OBJECTS.key(owner.id, prefix), state.OBJECTS.key(owner.id, key), key, group=group):
            name = str(tuples.unpack(raw_key)[-1])
            yield name.encode("utf-8", "surrogatepass"), 0, name, state.OBJECTS.decode(raw)

    def older() -> Iterator[tuple[bytes, int, str, state.Object]]:
        pairs = _range(ctx, state.VERSIONS.key(owner.id, prefix), state.VERSIONS.key(owner.id, key), key, group=group)
        for number, (raw_key, raw) in enumerate(pairs, 1):
            name = str(tuples.unpack(raw_key)[-3])
            yield name.encode("utf-8", "surrogatepass"), number, name, state.VERSIONS.decode(raw)

    for _, number, name, found in merge(newest(), older(), key=lambda row: row[:2]):
        yield name, found, number == 0


def _range(ctx: Context, prefix: bytes, key: bytes, place: str, *, group: bool) -> Iterator[tuple[bytes, bytes]]:
    first = prefix[:-1]
    begin = first if not place else tuples.after_prefix(key[:-1]) if group else key
    return ctx.tx.range(max(first, begin), tuples.after_prefix(first))
