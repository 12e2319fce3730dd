"""Pictures of a stream at regular times."""

import functools
from collections.abc import Sequence

import msgspec

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.services.video import errors, state
from headrace.services.video.playback import segments

QUALITY_DEFAULT = 80
INTERVAL_MIN_MS = 200
# A large PNG takes more than a second.
SECONDS_MAX, SECONDS_PER_PICTURE = 20.0, 3.0


class Shape(msgspec.Struct, frozen=True):
    """How pictures are made: JPEG or PNG, its quality (1..100), and its size where it is not the stream's own."""

    format: str
    quality: int = QUALITY_DEFAULT
    width: int | None = None
    height: int | None = None


class Picture(msgspec.Struct, frozen=True):
    """A picture at a time (milliseconds since 1970), or why there is none: NO_MEDIA, MEDIA_ERROR."""

    time_ms: int
    data: bytes
    error: str = ""


def at_times(ctx: Context, stream: state.Stream, times_ms: Sequence[int], shape: Shape, *, by_server: bool) -> list[Picture]:
    """The picture that was shown at each of the times, in order."""
    by_fragment: dict[int, tuple[state.Fragment, list[int]]] = {}
    found: dict[int, Picture] = {}
    for time_ms, fragment in zip(times_ms, _covering(ctx, stream, times_ms, by_server=by_server), strict=True):
        if fragment is None:
            found[time_ms] = Picture(time_ms, b"", "NO_MEDIA")
        else:
            by_fragment.setdefault(fragment.place, (fragment, []))[1].append(time_ms)
    for fragment, times in by_fragment.values():
        start_ms = fragment.server_ms if by_server else fragment.producer_ms
        for time_ms, data in zip(times, of_fragment(ctx, stream, fragment, start_ms, times, shape), strict=True):
            found[time_ms] = Picture(time_ms, data or b"", "" if data else "MEDIA_ERROR")
    return [found[time_ms] for time_ms in times_ms]


def _covering(ctx: Context, stream: state.Stream, times_ms: Sequence[int], *, by_server: bool) -> list[state.Fragment | None]:
    def body(inner: Context) -> list[state.Fragment | None]:
        return [state.fragment_covering(inner.tx, stream, time_ms, by_server=by_server) for time_ms in times_ms]

    return ctx.snapshot(body)


def of_fragment(
    ctx: Context, stream: state.Stream, fragment: state.Fragment, start_ms: int, times_ms: Sequence[int], shape: Shape
) -> Sequence[bytes | None]:
    """The pictures of one fragment at times within it, whose time begins with `start_ms`; None where there is none."""
    try:
        read = functools.partial(segments.timed_bytes, ctx, stream, fragment, start_ms)
        answer: Sequence[bytes | None] = segments.ask(
            "images", read, times_ms=list(times_ms), kind=shape.format, quality=shape.quality, width=shape.width,
            height=shape.height, seconds_max=SECONDS_MAX + SECONDS_PER_PICTURE * len(times_ms),
        )  # fmt: skip
    except errors.ClientLimitExceededException:
        raise
    except AwsError:
        return [None] * len(times_ms)
    return answer


def times_within(start_ms: int, end_ms: int, interval_ms: int, after_ms: int | None, most: int) -> list[int]:
    """The times start, start + interval, … up to the end (included), behind `after_ms`; at most `most`."""
    begin = start_ms if after_ms is None else after_ms + interval_ms
    return list(range(begin, min(end_ms, begin + interval_ms * (most - 1)) + 1, interval_ms))
