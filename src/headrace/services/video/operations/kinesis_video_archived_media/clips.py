"""Clips of a stream, as MP4 files."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.video import state
from headrace.services.video.playback import clips
from headrace.services.video.playback.opening import checked_range, no_retention


@operation(transaction=False)
def get_clip(
    ctx: Context, *, clip_fragment_selector: dict[str, Any], stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """The fragments that begin within a range of time, as one MP4 file: 200 fragments and 100 MB at most.

    Fragments are whole, so the clip ends with the last frame of the last one. G.711 is kept in QuickTime's form of MP4.
    """
    stream = ctx.snapshot(lambda inner: state.find_stream(inner, stream_name, stream_arn))
    if stream.retention_hours == 0:
        raise no_retention()
    by_server = clip_fragment_selector["FragmentSelectorType"] == "SERVER_TIMESTAMP"
    asked = clip_fragment_selector["TimestampRange"]
    start_ms, end_ms = checked_range(ctx, asked["StartTimestamp"], asked["EndTimestamp"], stream, by_server=by_server)
    assert end_ms is not None
    fragments = clips.fragments_of(ctx, stream, start_ms, end_ms, by_server=by_server)
    return {"ContentType": "video/mp4", "Payload": clips.make(ctx, stream, fragments, by_server=by_server)}
