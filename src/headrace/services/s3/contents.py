"""The bytes of objects: taken in, and given out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from headrace.operation import BodyReader
from headrace.ports import Scope
from headrace.services.s3 import digests, errors, limits, rules, state


class Stored(NamedTuple):
    """Bytes that were taken in: in the row, or in a blob that no row refers to yet."""

    size_bytes: int
    etag: str
    checksums: dict[str, str]
    inline: bytes | None
    blob_id: str | None


class Extent(NamedTuple):
    """Bytes of a blob."""

    blob_id: str
    start: int
    end: int


def take_body(
    scope: Scope, body: BodyReader | None, wanted: digests.Wanted, size_max_bytes: int, *, inline_max_bytes: int
) -> Stored:
    """Take in a request's body."""
    if body is None:
        return take(scope, (), wanted, 0, size_max_bytes, inline_max_bytes=inline_max_bytes)
    if body.length is None:
        raise errors.MissingContentLength("You must provide the Content-Length HTTP header.")
    if body.length > size_max_bytes:
        raise digests.too_large(body.length, size_max_bytes)
    return take(scope, body, wanted, body.length, size_max_bytes, inline_max_bytes=inline_max_bytes)


def take(
    scope: Scope, source: Iterable[bytes], wanted: digests.Wanted, length: int | None, size_max_bytes: int, *,
    inline_max_bytes: int = limits.INLINE_SIZE_MAX_BYTES,
) -> Stored:  # fmt: skip
    """Take in bytes whose number may be known. Few are kept in memory, for the row; more go to a blob."""
    passing = digests.Passing(wanted, length, size_max_bytes)
    parts = passing.through(source)
    head: list[bytes] = []
    held_bytes = 0
    for part in parts:
        head.append(part)
        held_bytes += len(part)
        if held_bytes > inline_max_bytes:
            break
    if held_bytes <= inline_max_bytes and inline_max_bytes > 0:
        return Stored(passing.size_bytes, passing.etag, passing.checksums, b"".join(head), None)
    ref = state.blobs(scope).put(chain(head, parts))
    return Stored(ref.size_bytes, passing.etag, passing.checksums, None, ref.id)


def discard(scope: Scope, stored: Stored) -> None:
    """Remove bytes whose row was not written."""
    if stored.blob_id is not None:
        state.blobs(scope).delete(stored.blob_id)


def extents(found: state.Object, parts: Sequence[state.Part], span: rules.Span) -> list[Extent]:
    """Where the bytes of a part of an object lie, if they are not in its row."""
    if found.blob_id is not None:
        return [Extent(found.blob_id, span.start, span.end)]
    result = []
    begin = 0
    for part in parts:
        start, end = max(span.start - begin, 0), min(span.end - begin, part.size_bytes)
        if start < end:
            result.append(Extent(part.blob_id, start, end))
        begin += part.size_bytes
    return result


def read(scope: Scope, found: state.Object, where: Sequence[Extent], span: rules.Span) -> bytes | Iterator[bytes]:
    """A part of an object: at once when it is small, or as it comes."""
    if found.inline is not None:
        return found.inline[span.start : span.end]
    if span.end - span.start <= limits.ANSWER_SIZE_MAX_BYTES:
        return b"".join(_chunks(scope, where))
    return _pieces(_chunks(scope, where))


def stream(scope: Scope, found: state.Object, where: Sequence[Extent], span: rules.Span) -> Iterator[bytes]:
    """A part of an object as it comes."""
    body = read(scope, found, where, span)
    return iter((body,)) if isinstance(body, bytes) else body


def _chunks(scope: Scope, where: Sequence[Extent]) -> Iterator[bytes]:
    blobs = state.blobs(scope)
    for extent in where:
        yield from blobs.open(extent.blob_id, extent.start, extent.end)


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in larger pieces: each costs a hop between threads."""
    held: list[bytes] = []
    held_bytes = 0
    for chunk in chunks:
        held.append(chunk)
        held_bytes += len(chunk)
        if held_bytes >= limits.STREAM_PIECE_SIZE_BYTES:
            yield b"".join(held)
            held, held_bytes = [], 0
    if held:
        yield b"".join(held)
