"""The door of Kinesis Video Streams, and what it offers to other services."""

from headrace.operation import Context, Service
from headrace.services.video import source, workers
from headrace.services.video.engine.remux_pool import POOL
from headrace.services.video.playback import pages
from headrace.services.video.playback.workers import WORKERS
from headrace.services.video.signaling import relay
from headrace.workers import Runner


def start(ctx: Context, runner: Runner) -> None:
    """Begin to remux when somebody asks."""
    POOL.start()


def stop() -> None:
    """End the remuxing processes."""
    POOL.stop()


SERVICE = Service(
    models=(
        "kinesisvideo",
        "kinesis-video-put-media",
        "kinesis-video-media",
        "kinesis-video-archived-media",
        "kinesis-video-signaling",
    ),
    operations="headrace.services.video.operations",
    offers={"sources.kinesisvideo": source.FragmentSource()},
    workers=(*workers.WORKERS, *WORKERS),
    on_start=start,
    on_stop=stop,
    open_pages=pages.OPEN_PAGES,
    sockets=relay.SOCKETS,
)
