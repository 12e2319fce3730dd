"""What playback does by itself."""

from headrace.operation import Context
from headrace.services.video.engine.remux_pool import IDLE_SECONDS_MAX, POOL
from headrace.services.video.playback import events, sessions
from headrace.workers import Worker


def end_idle_remuxers(ctx: Context) -> float:
    """End remuxing processes that nobody needs now."""
    POOL.end_idle()
    return IDLE_SECONDS_MAX / 4


WORKERS = (
    *events.WORKERS,
    Worker("video.sessions", sessions.forget_expired),
    Worker("video.remuxers", end_idle_remuxers),
)
