"""Pictures of a stream."""

import base64
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.video import errors, naming, state
from headrace.services.video.playback import pictures
from headrace.services.video.playback.opening import no_retention

RANGE_MAX_MS = 300_000
PAGE_DEFAULT = 25
INTERVAL_DEFAULT_MS = 3000
INTERVAL_MAX_MS = 20_000
CONTENT_MAX_CHARACTERS = 6_291_456


@operation(transaction=False)
def get_images(
    ctx: Context, *, image_selector_type: str, start_timestamp: float, end_timestamp: float, format: str,
    stream_name: str | None = None, stream_arn: str | None = None, sampling_interval: int | None = None,
    format_config: dict[str, str] | None = None, width_pixels: int | None = None, height_pixels: int | None = None,
    max_results: int | None = None, next_token: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The picture that was shown at the start, and after every interval up to the end; 25 a page.

    One of width and height alone keeps the shape, as AWS says of the height. Each picture's time is the one it was asked for.
    """
    stream = ctx.snapshot(lambda inner: state.find_stream(inner, stream_name, stream_arn))
    if stream.retention_hours == 0:
        raise no_retention()
    if width_pixels is not None and height_pixels is None:
        raise ValidationException("HeightPixels must be given with WidthPixels.")
    start_ms, end_ms = round(start_timestamp * 1000), round(end_timestamp * 1000)
    interval_ms = INTERVAL_DEFAULT_MS if sampling_interval is None else sampling_interval
    _check(start_ms, end_ms, interval_ms)
    after_ms = None if next_token is None else naming.read_token(next_token, "images", int)
    shape = pictures.Shape(format, quality_of(format, format_config), width_pixels, height_pixels)
    most = min(max_results or PAGE_DEFAULT, PAGE_DEFAULT)
    times = pictures.times_within(start_ms, end_ms, interval_ms, after_ms, most)
    found = pictures.at_times(ctx, stream, times, shape, by_server=image_selector_type == "SERVER_TIMESTAMP")
    result: dict[str, Any] = {"Images": [_image(picture) for picture in found]}
    if times and times[-1] + interval_ms <= end_ms:
        result["NextToken"] = naming.write_token("images", times[-1])
    return result


def _check(start_ms: int, end_ms: int, interval_ms: int) -> None:
    if end_ms < start_ms:
        raise errors.InvalidArgumentException("StartTimestamp must be before EndTimestamp.")
    if end_ms - start_ms > RANGE_MAX_MS:
        raise errors.InvalidArgumentException("The range between StartTimestamp and EndTimestamp must be at most 300 seconds.")
    if not pictures.INTERVAL_MIN_MS <= interval_ms <= INTERVAL_MAX_MS:
        raise errors.InvalidArgumentException(
            f"SamplingInterval must be between {pictures.INTERVAL_MIN_MS} and {INTERVAL_MAX_MS} milliseconds."
        )


def quality_of(format: str, config: dict[str, str] | None) -> int:
    """The quality in a format's configuration. InvalidArgumentException."""
    if not config:
        return pictures.QUALITY_DEFAULT
    text = config.get("JPEGQuality", "")
    if format != "JPEG" or not text.isdecimal() or not 1 <= int(text) <= 100:
        raise errors.InvalidArgumentException("FormatConfig must be a JPEGQuality of 1 to 100, for the format JPEG.")
    return int(text)


def _image(picture: pictures.Picture) -> dict[str, Any]:
    content = base64.b64encode(picture.data).decode()
    if picture.error or len(content) > CONTENT_MAX_CHARACTERS:
        return {"TimeStamp": picture.time_ms / 1000, "Error": picture.error or "MEDIA_ERROR"}
    return {"TimeStamp": picture.time_ms / 1000, "ImageContent": content}
