"""Streaming sessions for players: HLS and MPEG-DASH."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.video.playback.opening import open_session


@operation(transaction=False)
def get_hls_streaming_session_url(
    ctx: Context, *, stream_name: str | None = None, stream_arn: str | None = None, playback_mode: str = "LIVE",
    hls_fragment_selector: dict[str, Any] | None = None, container_format: str = "FRAGMENTED_MP4",
    discontinuity_mode: str | None = None, display_fragment_timestamp: str = "NEVER", expires: int | None = None,
    max_media_playlist_fragment_results: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Open a session, and give the address of its master playlist.

    Who has the address sees the stream until the session expires. Where AWS gives "only the oldest ingested collection" of
    fragments whose producer times were sent at very different moments, all fragments of the range are given.
    """
    address = open_session(
        ctx, "hls", stream_name, stream_arn, playback_mode, hls_fragment_selector,
        most=max_media_playlist_fragment_results, expires_seconds=expires, container=container_format,
        discontinuity=discontinuity_mode, show_times=display_fragment_timestamp == "ALWAYS",
    )  # fmt: skip
    return {"HLSStreamingSessionURL": address}


@operation(transaction=False)
def get_dash_streaming_session_url(
    ctx: Context, *, stream_name: str | None = None, stream_arn: str | None = None, playback_mode: str = "LIVE",
    display_fragment_timestamp: str = "NEVER", display_fragment_number: str = "NEVER",
    dash_fragment_selector: dict[str, Any] | None = None, expires: int | None = None,
    max_manifest_fragment_results: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Open a session, and give the address of its manifest. Its timeline is the media's own, without gaps, as on AWS."""
    address = open_session(
        ctx, "dash", stream_name, stream_arn, playback_mode, dash_fragment_selector,
        most=max_manifest_fragment_results, expires_seconds=expires, discontinuity="NEVER",
        show_times=display_fragment_timestamp == "ALWAYS", show_numbers=display_fragment_number == "ALWAYS",
    )  # fmt: skip
    return {"DASHStreamingSessionURL": address}
