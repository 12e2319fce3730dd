"""Clips: an MP4 file of the fragments that begin within a range of time."""

from collections.abc import Iterator, Sequence
from typing import Any

from headrace.operation import Context
from headrace.services.video import errors, state
from headrace.services.video.engine.remux_pool import POOL, BadMedia, Busy, Remuxer
from headrace.services.video.playback import segments
from headrace.services.video.playback.timeline import newest_of_each_time

# AWS's own.
FRAGMENTS_MAX = 200
SIZE_MAX_BYTES = 100 << 20
SECONDS_MAX = 60.0


def fragments_of(ctx: Context, stream: state.Stream, start_ms: int, end_ms: int, *, by_server: bool) -> list[state.Fragment]:
    """The fragments of a clip. ResourceNotFoundException without any, InvalidArgumentException when they are too many."""

    def body(inner: Context) -> list[state.Fragment]:
        read = state.fragments_by_server_time if by_server else state.fragments_by_producer_time
        return read(inner.tx, stream, start_ms, end_ms + 1, FRAGMENTS_MAX + 1)

    found = ctx.snapshot(body)
    if len(found) > FRAGMENTS_MAX:
        raise errors.InvalidArgumentException(f"The requested clip has more than {FRAGMENTS_MAX} fragments.")
    if not by_server:
        found = newest_of_each_time(found)
    if not found:
        raise errors.ResourceNotFoundException("No fragments found in the stream for the clip request.")
    if sum(fragment.size_bytes for fragment in found) > SIZE_MAX_BYTES:
        raise errors.InvalidArgumentException(f"The requested clip is larger than {SIZE_MAX_BYTES >> 20} MB.")
    return found


def make(ctx: Context, stream: state.Stream, fragments: Sequence[state.Fragment], *, by_server: bool) -> Iterator[bytes]:
    """The clip's bytes as they are wanted; what is wrong with its media is said before the first."""
    pieces = _pieces(ctx, stream, fragments, by_server=by_server)
    try:
        first = next(pieces)
    except BadMedia as problem:
        raise segments.in_words_of_aws(problem) from None
    except Busy:
        raise segments.busy() from None
    except ConnectionError:
        raise segments.in_words_of_aws(BadMedia("frame", "the media could not be read")) from None
    return _rest(first, pieces)


def _rest(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _pieces(ctx: Context, stream: state.Stream, fragments: Sequence[state.Fragment], *, by_server: bool) -> Iterator[bytes]:
    with POOL.one() as remuxer:
        size = _written(ctx, stream, fragments, remuxer, by_server=by_server)
        whole = False
        try:
            sent = 0
            while sent < size:
                piece: bytes = remuxer.more()
                sent += len(piece)
                yield piece
            whole = True
        finally:
            if not whole:
                # The reader went away: what is left in the line would be taken for the answer to the next job.
                remuxer.end()


def _written(
    ctx: Context, stream: state.Stream, fragments: Sequence[state.Fragment], remuxer: Remuxer, *, by_server: bool
) -> int:
    for at, fragment in enumerate(fragments):
        start_ms = fragment.server_ms if by_server else fragment.producer_ms
        media = segments.timed_bytes(ctx, stream, fragment, start_ms)
        remuxer.call("clip-add", SECONDS_MAX, media=media, first=at == 0)
    size: Any = remuxer.call("clip-end", SECONDS_MAX)
    return int(size)
