"""Pictures of a fragment at given times. Imported in the remuxing process only."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.video.frame import VideoFrame

from headrace.services.video.engine.remux_media import open_fragment

_QUANTISER_MAX = 31
PIXELS_MAX = 7680 * 4320


def images(
    media: bytes, times_ms: Sequence[int], kind: str, quality: int, width: int | None, height: int | None
) -> list[bytes | None]:
    """For each time (milliseconds since 1970, ascending) the picture shown then: JPEG or PNG; None where there is none."""
    with open_fragment(media) as source:
        stream = next(iter(source.streams.video), None)
        if stream is None or stream.codec_context is None:
            return [None] * len(times_ms)
        stream.thread_count = 1
        if stream.codec_context.width * stream.codec_context.height > PIXELS_MAX:
            return [None] * len(times_ms)
        try:
            shown = _shown(source, stream, times_ms)
            return [None if frame is None else encode(frame, kind, quality, width, height) for frame in shown]
        except (av.FFmpegError, ValueError):
            return [None] * len(times_ms)


def _shown(source: Any, stream: Any, times_ms: Sequence[int]) -> list[VideoFrame | None]:
    found: list[VideoFrame | None] = []
    before: VideoFrame | None = None
    for frame in source.decode(stream):
        # Times are whole milliseconds in Matroska: half a one is a rounding.
        at_ms = float(frame.pts * stream.time_base) * 1000 - 0.5
        while len(found) < len(times_ms) and times_ms[len(found)] < at_ms:
            found.append(before if before is not None else frame)
        if len(found) == len(times_ms):
            break
        before = frame
    return found + [before] * (len(times_ms) - len(found))


def encode(frame: VideoFrame, kind: str, quality: int, width: int | None, height: int | None) -> bytes:
    """One picture. With width or height alone, the other follows from the shape."""
    if width is None and height is not None:
        width = max(1, round(frame.width * height / frame.height))
    elif height is None and width is not None:
        height = max(1, round(frame.height * width / frame.width))
    jpeg = kind == "JPEG"
    pixels = "yuvj420p" if jpeg else "rgb24"
    picture = frame.reformat(
        width=width or frame.width, height=height or frame.height, format=pixels, dst_color_range=2, threads=1
    )
    encoder: Any = av.CodecContext.create("mjpeg" if jpeg else "png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, pixels
    encoder.time_base = Fraction(1)
    encoder.thread_count = 1
    if jpeg:
        # As the JPEG library scales its tables: 50 is the plain table, which is this encoder's quantiser 8.
        percent = 5000 / quality if quality < 50 else 200 - 2 * quality
        quantiser = min(_QUANTISER_MAX, max(1, round(percent * 8 / 100)))
        encoder.color_range = 2
        encoder.options = {"qmin": str(quantiser), "qmax": str(quantiser)}
    picture.pts = None
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
