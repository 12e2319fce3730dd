"""Images to S3 and notifications to SNS: for fragments that carry Amazon's tags for them, as the stream is configured.

An image's key is made of its fragment and time, so a step that is done again after a crash writes the same objects.
"""

import json
import logging
import uuid
from urllib.parse import urlsplit

from headrace.kit.errors import AwsError
from headrace.layers import lease as leases
from headrace.operation import Context
from headrace.services.video import state
from headrace.services.video.playback import pictures, timeline
from headrace.workers import Worker

IMAGE_TAG, PREFIX_TAG, NOTIFICATION_TAG = (
    "AWS_KINESISVIDEO_IMAGE_GENERATION", "AWS_KINESISVIDEO_IMAGE_PREFIX", "AWS_KINESISVIDEO_NOTIFICATION",
)  # fmt: skip
LEASE_NAME = "video.events"
LEASE_SECONDS = 60.0
PAUSE_SECONDS = 0.5
FRAGMENTS_PER_STEP = 10
IMAGES_PER_FRAGMENT_MAX = 100

log = logging.getLogger(__name__)
_OWNER = leases.owner_here(uuid.uuid4().hex)


def deliver_events(ctx: Context) -> float | None:
    """Look at new fragments of the streams that are configured, a few of each, and deliver what their tags ask for."""
    streams = ctx.snapshot(lambda inner: [stream for _, stream in state.STREAMS.scan(inner.tx) if state.has_events(stream)])
    if not streams:
        return None
    # A look without writing first: a lease that is taken for nothing costs a commit each time.
    streams = ctx.snapshot(lambda inner: [stream for stream in streams if _has_new(inner, stream)])
    if not streams:
        return PAUSE_SECONDS
    now = ctx.clock.now()
    lease = ctx.transact(lambda inner: leases.take(inner.tx, LEASE_NAME, _OWNER, now, LEASE_SECONDS))
    if lease is None:
        return PAUSE_SECONDS
    more = [_step(ctx, stream, lease) for stream in streams]
    return 0.0 if any(more) else PAUSE_SECONDS


def _has_new(ctx: Context, stream: state.Stream) -> bool:
    place = state.EVENTS.get(ctx.tx, stream.id)
    return place is not None and bool(state.fragments_after(ctx.tx, stream, place, 1))


def _step(ctx: Context, stream: state.Stream, lease: leases.Lease) -> bool:
    """Deliver for a few fragments of one stream; whether there are more."""

    def look(inner: Context) -> list[state.Fragment]:
        place = state.EVENTS.get(inner.tx, stream.id)
        return [] if place is None else state.fragments_after(inner.tx, stream, place, FRAGMENTS_PER_STEP)

    fragments = ctx.snapshot(look)
    if not fragments:
        return False
    own = ctx.at(account=stream.account, region=stream.region)
    for fragment in fragments:
        _deliver(own, stream, fragment)

    def mark(inner: Context) -> None:
        leases.check(inner.tx, LEASE_NAME, lease)
        # Without a mark the stream was configured otherwise meanwhile.
        if state.EVENTS.get(inner.tx, stream.id) is not None:
            state.EVENTS.put(inner.tx, fragments[-1].place, stream.id)

    ctx.transact(mark)
    return len(fragments) == FRAGMENTS_PER_STEP


def _deliver(ctx: Context, stream: state.Stream, fragment: state.Fragment) -> None:
    tags = dict(fragment.tags)
    try:
        if stream.images is not None and stream.images.status == "ENABLED" and IMAGE_TAG in tags:
            _put_images(ctx, stream, stream.images, fragment, tags.get(PREFIX_TAG, ""))
        if stream.notification is not None and stream.notification.status == "ENABLED" and NOTIFICATION_TAG in tags:
            _notify(ctx, stream, stream.notification, fragment)
    except (AwsError, LookupError) as problem:
        # The bucket or the topic is missing, or may not be written: the next fragments shall not wait for it.
        log.warning("fragment %s of %s: %s", fragment.number, stream.name, problem)


def _put_images(ctx: Context, stream: state.Stream, images: state.Images, fragment: state.Fragment, prefix: str) -> None:
    start_ms = fragment.server_ms if images.selector == "SERVER_TIMESTAMP" else fragment.producer_ms
    # The sound of a fragment may end a little after its pictures: the next fragment has those of that moment.
    end_ms = start_ms + max(1, fragment.duration_ms - timeline.GAP_MS)
    times_ms = list(range(start_ms, end_ms, images.interval_ms))[:IMAGES_PER_FRAGMENT_MAX]
    quality = int(images.format_config.get("JPEGQuality", pictures.QUALITY_DEFAULT))
    shape = pictures.Shape(images.format, quality, images.width or None, images.height or None)
    bucket, folder = urlsplit(images.uri).netloc, urlsplit(images.uri).path.strip("/")
    extension = "jpg" if images.format == "JPEG" else "png"
    for time_ms, data in zip(times_ms, pictures.of_fragment(ctx, stream, fragment, start_ms, times_ms, shape), strict=True):
        if data is None:
            continue
        unique = uuid.uuid5(uuid.NAMESPACE_URL, f"{stream.arn}/{fragment.number}/{time_ms}")
        name = "_".join([*([prefix] if prefix else []), stream.account, stream.name, str(time_ms), str(unique)])
        key = f"{folder}/{name}.{extension}" if folder else f"{name}.{extension}"
        metadata = {
            "aws_kinesisvideostreams_fragment_number": fragment.number,
            "aws_kinesisvideostreams_producer_timestamp": str(fragment.producer_ms),
            "aws_kinesisvideostreams_server_timestamp": str(fragment.server_ms),
        }
        kind = f"image/{images.format.lower()}"
        ctx.ports.objects.put(ctx, bucket, key, data, content_type=kind, metadata=metadata)


def _notify(ctx: Context, stream: state.Stream, notification: state.Notification, fragment: state.Fragment) -> None:
    own = (IMAGE_TAG, PREFIX_TAG, NOTIFICATION_TAG)
    message = {
        "StreamArn": stream.arn, "FragmentNumber": fragment.number, "FragmentStartProducerTimestamp": fragment.producer_ms,
        "FragmentStartServerTimestamp": fragment.server_ms, "NotificationType": "PERSISTED",
        "NotificationPayload": {name: value for name, value in fragment.tags if name not in own},
    }  # fmt: skip
    ctx.ports.sinks["sns"].send(ctx, notification.uri, json.dumps(message).encode())


WORKERS = (Worker("video.events", deliver_events),)
