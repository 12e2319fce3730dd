"""Clips: an MP4 file of the fragments that begin within a range of time."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from headrace.operation import Context
from headrace.services.video import errors, state
from headrace.services.video.engine.remux_pool import POOL, BadMedia, Busy, Remuxer
from headrace.services.video.playback import segments
from headrace.services.video.playback.timeline import newest_of_each_time

# AWS's own.
FRAGMENTS_MAX = 200
SIZE_MAX_BYTES = 100 << 20
SECONDS_MAX = 60.0
# What of a clip lies in memory while it is read; larger ones lie in a file without a name.
MEMORY_SIZE_MAX_BYTES = 4 << 20
PIECE_BYTES = 256 << 10


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
    """The clip's bytes. It is whole before the first is given: a reader who is slow keeps no remuxing process from others."""
    folder = str(ctx.settings.data) if ctx.settings.data.is_dir() else None
    file = tempfile.SpooledTemporaryFile(MEMORY_SIZE_MAX_BYTES, dir=folder)  # noqa: SIM115 - the reader closes it
    try:
        with POOL.one() as remuxer:
            _write(ctx, stream, fragments, remuxer, file, by_server=by_server)
    except BaseException as problem:
        file.close()
        if isinstance(problem, Busy):
            raise segments.busy() from None
        if isinstance(problem, ConnectionError):
            problem = BadMedia("frame", "the media could not be read")
        if isinstance(problem, BadMedia):
            raise segments.in_words_of_aws(problem) from None
        raise
    return _read(file)


def _write(
    ctx: Context, stream: state.Stream, fragments: Sequence[state.Fragment], remuxer: Remuxer, file: IO[bytes], *, by_server: bool
) -> None:
    for at, fragment in enumerate(fragments):
        start_ms = fragment.server_ms if by_server else fragment.producer_ms
        media = segments.timed_bytes(ctx, stream, fragment, start_ms)
        remuxer.call("clip-add", SECONDS_MAX, media=media, first=at == 0)
    left = int(remuxer.call("clip-end", SECONDS_MAX))
    while left > 0:
        left -= file.write(remuxer.more())
    file.seek(0)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece
