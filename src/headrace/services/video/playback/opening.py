"""How a session is opened: what was asked for is checked, as AWS does, and the first fragment is looked into."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.operation import Context
from headrace.services.video import errors, naming, state
from headrace.services.video.playback import segments, sessions, timeline
from headrace.services.video.playback.sessions import PlayedTrack, Session

RANGE_MAX_MS = 24 * 3600 * 1000
LIVE_AGE_MAX_MS = 30_000
EXPIRES_DEFAULT_SECONDS = 300
MOST_LIVE, MOST_ON_DEMAND = 5, 1000
_MEASURED = 5
# What HLS plays; MPEG-DASH takes G.711 beside it.
_HLS_CODECS = ("h264", "hevc", "aac")


def open_session(
    ctx: Context, protocol: str, name: str | None, arn: str | None, mode: str, selector: Mapping[str, Any] | None, *,
    most: int | None, expires_seconds: int | None, container: str = "FRAGMENTED_MP4", discontinuity: str | None = None,
    show_times: bool = False, show_numbers: bool = False,
) -> str:  # fmt: skip
    """Open a session; its address."""
    stream = ctx.snapshot(lambda inner: state.find_stream(inner, name, arn))
    if stream.retention_hours == 0:
        raise no_retention()
    by_server = (selector or {}).get("FragmentSelectorType", "SERVER_TIMESTAMP") == "SERVER_TIMESTAMP"
    start_ms, end_ms = _range(ctx, stream, mode, selector, by_server)
    now_ms = ctx.clock.now_ms()
    session = Session(
        account=stream.account, region=stream.region, stream_name=stream.name, stream_id=stream.id, protocol=protocol, mode=mode,
        by_server=by_server, container=container, show_times=show_times, show_numbers=show_numbers,
        discontinuity=discontinuity or ("ALWAYS" if by_server else "NEVER"), start_ms=start_ms, end_ms=end_ms,
        most=most or (MOST_ON_DEMAND if mode == "ON_DEMAND" else MOST_LIVE), created_ms=now_ms,
        expires_ms=now_ms + (expires_seconds or EXPIRES_DEFAULT_SECONDS) * 1000, first_place=1, live_from_ms=now_ms,
        bits_per_second=0, tracks=(),
    )  # fmt: skip
    first = ctx.snapshot(lambda inner: _first_fragments(inner, stream, session))
    if not first:
        raise errors.ResourceNotFoundException("No fragments found in the stream for the streaming request.")
    duration_ms = sum(max(1, fragment.duration_ms) for fragment in first)
    measured = first[:_MEASURED]
    bits = sum(fragment.size_bytes for fragment in measured) * 8000
    session = _with(
        session, first_place=first[0].place, live_from_ms=now_ms - duration_ms,
        bits_per_second=bits // sum(max(1, fragment.duration_ms) for fragment in measured),
        tracks=_tracks(ctx, stream, first[0], protocol),
    )  # fmt: skip
    token = sessions.add(ctx, session)
    page = "hls/v1/getHLSMasterPlaylist.m3u8" if protocol == "hls" else "dash/v1/getDASHManifest.mpd"
    return f"{naming.data_endpoint(ctx.settings)}/{page}?SessionToken={token}"


def _with(session: Session, **changes: Any) -> Session:
    return Session(**{**{name: getattr(session, name) for name in Session.__struct_fields__}, **changes})


def no_retention() -> errors.NoDataRetentionException:
    """The stream keeps nothing."""
    return errors.NoDataRetentionException("The requested stream does not retain data. DataRetentionInHours is 0.")


def _range(
    ctx: Context, stream: state.Stream, mode: str, selector: Mapping[str, Any] | None, by_server: bool
) -> tuple[int, int | None]:
    asked = (selector or {}).get("TimestampRange")
    if mode == "LIVE":
        if asked:
            raise errors.InvalidArgumentException("TimestampRange is not allowed for PlaybackMode LIVE.")
        return 0, None
    if not asked or asked.get("StartTimestamp") is None or (mode == "ON_DEMAND" and asked.get("EndTimestamp") is None):
        raise errors.InvalidArgumentException(f"FragmentSelector with a TimestampRange is required for PlaybackMode {mode}.")
    return checked_range(ctx, asked["StartTimestamp"], asked.get("EndTimestamp"), stream, by_server=by_server)


def checked_range(
    ctx: Context, start: float, end: float | None, stream: state.Stream, *, by_server: bool
) -> tuple[int, int | None]:
    """A range in milliseconds. InvalidArgumentException when it is empty, longer than a day, or not yet over."""
    start_ms = round(start * 1000)
    end_ms = None if end is None else round(end * 1000)
    if end_ms is not None and end_ms <= start_ms:
        raise errors.InvalidArgumentException("EndTimestamp must be later than StartTimestamp.")
    if end_ms is not None and end_ms - start_ms > RANGE_MAX_MS:
        raise errors.InvalidArgumentException("EndTimestamp must be within 24 hours of StartTimestamp.")
    if by_server and end_ms is not None and end_ms > ctx.clock.now_ms():
        raise errors.InvalidArgumentException("EndTimestamp must be in the past when FragmentSelectorType is SERVER_TIMESTAMP.")
    if by_server and start_ms < stream.created_at * 1000 - 1000:
        raise errors.InvalidArgumentException("StartTimestamp must be later than the head of the stream.")
    return start_ms, end_ms


def _first_fragments(ctx: Context, stream: state.Stream, session: Session) -> Sequence[state.Fragment]:
    if session.mode != "LIVE":
        return timeline.in_range(ctx, stream, session, max(2, session.most))[: session.most]
    found = state.newest_fragments(ctx.tx, stream, session.most)
    newest_ms = found[-1].server_ms + found[-1].duration_ms if found else 0
    return found if newest_ms > session.created_ms - LIVE_AGE_MAX_MS else []


def _tracks(ctx: Context, stream: state.Stream, fragment: state.Fragment, protocol: str) -> tuple[PlayedTrack, ...]:
    found = segments.ask("probe", lambda: segments.timed_bytes(ctx, stream, fragment, 0))
    tracks = tuple(
        PlayedTrack(
            track["kind"], track["codec"], track["name"], track.get("width", 0), track.get("height", 0), track.get("rate", 0.0),
            track.get("sample_rate", 0), segments.fingerprint(track["private"]),
        )
        for track in found
    )  # fmt: skip
    for number, track in enumerate(tracks, 1):
        if protocol == "hls" and track.codec not in _HLS_CODECS:
            raise errors.UnsupportedStreamMediaTypeException(
                f"The codec of track {number} is not supported: track 1 should be V_MPEG/ISO/AVC or V_MPEG/ISO/HEVC, "
                "and, optionally, track 2 should be A_AAC."
            )
    return tracks
