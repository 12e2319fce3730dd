"""The door of Kinesis Video Streams, and what it offers to other services."""

from headrace.operation import Context, Service
from headrace.services.video import ingest, workers
from headrace.workers import Runner


def start(ctx: Context, runner: Runner) -> None:
    """Let producers and readers connect."""
    ingest.STOPPING.clear()


def stopping() -> None:
    """Let those who are connected go."""
    ingest.STOPPING.set()


SERVICE = Service(
    models=("kinesisvideo", "kinesis-video-put-media", "kinesis-video-media", "kinesis-video-archived-media"),
    operations="headrace.services.video.operations",
    workers=workers.WORKERS,
    on_start=start,
    on_stopping=stopping,
)
