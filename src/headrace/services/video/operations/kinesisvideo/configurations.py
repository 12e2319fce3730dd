"""Operations on what a stream does by itself: images to S3, and notifications to SNS."""

from typing import Any

from headrace.kit import arn as arns
from headrace.operation import Context, operation
from headrace.services.video import errors, limits, state


@operation(read_only=True)
def describe_image_generation_configuration(
    ctx: Context, *, stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """How images are generated from a stream, if they are."""
    images = state.find_stream(ctx, stream_name, stream_arn).images
    if images is None:
        return {}
    return {
        "ImageGenerationConfiguration": {
            "Status": images.status,
            "ImageSelectorType": images.selector,
            "DestinationConfig": {"Uri": images.uri, "DestinationRegion": images.region},
            "SamplingInterval": images.interval_ms,
            "Format": images.format,
            "FormatConfig": images.format_config or None,
            "WidthPixels": images.width or None,
            "HeightPixels": images.height or None,
        }
    }


@operation
def update_image_generation_configuration(
    ctx: Context,
    *,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    image_generation_configuration: dict[str, Any] | None = None,
) -> None:
    """Say how images are generated from a stream; without a configuration: no more."""
    stream = state.find_stream(ctx, stream_name, stream_arn)
    stream.images = None if image_generation_configuration is None else _images(ctx, stream, image_generation_configuration)
    state.save_stream(ctx.tx, stream)
    state.mark_events(ctx.tx, stream)


@operation(read_only=True)
def describe_notification_configuration(
    ctx: Context, *, stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """Where a stream's notifications go, if there are any."""
    notification = state.find_stream(ctx, stream_name, stream_arn).notification
    if notification is None:
        return {}
    return {
        "NotificationConfiguration": {"Status": notification.status, "DestinationConfig": {"Uri": notification.uri}},
    }


@operation
def update_notification_configuration(
    ctx: Context,
    *,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    notification_configuration: dict[str, Any] | None = None,
) -> None:
    """Say where a stream's notifications go (an SNS topic); without a configuration: nowhere."""
    stream = state.find_stream(ctx, stream_name, stream_arn)
    if notification_configuration is None:
        stream.notification = None
    else:
        _check_retention(stream)
        uri = notification_configuration["DestinationConfig"]["Uri"]
        if not _is_topic(uri):
            raise errors.InvalidArgumentException(f"The destination {uri} is not the ARN of an SNS topic.")
        stream.notification = state.Notification(notification_configuration["Status"], uri)
    state.save_stream(ctx.tx, stream)
    state.mark_events(ctx.tx, stream)


def _images(ctx: Context, stream: state.Stream, given: dict[str, Any]) -> state.Images:
    _check_retention(stream)
    destination = given["DestinationConfig"]
    if not destination["Uri"].startswith("s3://") or not destination["Uri"].removeprefix("s3://").partition("/")[0]:
        raise errors.InvalidArgumentException(f"The destination {destination['Uri']} is not s3://BUCKET/PREFIX.")
    if destination["DestinationRegion"] != ctx.region:
        raise errors.InvalidArgumentException("The destination must be in the region of the stream.")
    if not limits.IMAGE_INTERVAL_MIN_MS <= given["SamplingInterval"] <= limits.IMAGE_INTERVAL_MAX_MS:
        raise errors.InvalidArgumentException(
            f"SamplingInterval must be from {limits.IMAGE_INTERVAL_MIN_MS} to {limits.IMAGE_INTERVAL_MAX_MS} ms."
        )
    quality = (given.get("FormatConfig") or {}).get("JPEGQuality")
    if quality is not None and (given["Format"] != "JPEG" or not quality.isdecimal() or not 1 <= int(quality) <= 100):
        raise errors.InvalidArgumentException("JPEGQuality is a number from 1 to 100, for JPEG.")
    return state.Images(
        given["Status"], given["ImageSelectorType"], destination["Uri"], destination["DestinationRegion"],
        given["SamplingInterval"], given["Format"], given.get("FormatConfig") or {},
        given.get("WidthPixels") or 0, given.get("HeightPixels") or 0,
    )  # fmt: skip


def _check_retention(stream: state.Stream) -> None:
    if not stream.retention_hours:
        raise errors.NoDataRetentionException(f"The stream {stream.name} has no data retention.")


def _is_topic(uri: str) -> bool:
    try:
        return arns.parse(uri).service == "sns"
    except ValueError:
        return False
