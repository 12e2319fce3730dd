"""Playlists and manifests, as text. Pure: a session, its entries, and the names of addresses go in."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from headrace.services.video.playback.sessions import PlayedTrack, Session
from headrace.services.video.playback.timeline import Entry

MASTER, MEDIA = "getHLSMasterPlaylist.m3u8", "getHLSMediaPlaylist.m3u8"
INIT, SEGMENT, TRANSPORT = "getMP4InitFragment.mp4", "getMP4MediaFragment.mp4", "getTSFragment.ts"
MANIFEST = "getDASHManifest.mpd"


def address(page: str, token: str, **values: object) -> str:
    """The address of a page, beside the one it is named in."""
    return f"{page}?{urlencode({**values, 'SessionToken': token})}"


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def master_playlist(session: Session, token: str) -> str:
    """The playlist of playlists: one rendition; of fMP4 the sound lies apart."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    values = [f"BANDWIDTH={max(1, session.bits_per_second)}"]
    names = ",".join(track.name for track in session.tracks)
    values.append(f'CODECS="{names}"')
    picture = next((track for track in session.tracks if track.kind == "video"), None)
    if picture is not None:
        values.append(f"RESOLUTION={picture.width}x{picture.height}")
        if picture.rate:
            values.append(f"FRAME-RATE={picture.rate:.3f}")
    if session.container == "FRAGMENTED_MP4" and len(session.tracks) == 2:
        number = 2 if session.tracks[0].kind == "video" else 1
        sound = address(MEDIA, token, TrackNumber=number)
        lines.append(f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,URI="{sound}"')
        values.append('AUDIO="audio"')
        number = 3 - number
    else:
        number = 1
    return "\n".join([*lines, f"#EXT-X-STREAM-INF:{','.join(values)}", address(MEDIA, token, TrackNumber=number), ""])


def media_playlist(session: Session, entries: Sequence[Entry], token: str, track: int, *, ended: bool) -> str:
    """The playlist of one track's segments; of a transport stream, of all tracks'."""
    target_s = max([1, *(-(-entry.duration_ms // 1000) for entry in entries)])
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{target_s}"]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{entries[0].sequence if entries else 0}")
    if entries and entries[0].breaks:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{entries[0].breaks}")
    lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    if session.mode == "ON_DEMAND":
        lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
    fragmented = session.container == "FRAGMENTED_MP4"
    generation = None
    for at, entry in enumerate(entries):
        if at and entry.discontinuous:
            lines.append("#EXT-X-DISCONTINUITY")
        if fragmented and entry.fragment.generation != generation:
            generation = entry.fragment.generation
            lines.append(f'#EXT-X-MAP:URI="{address(INIT, token, TrackNumber=track, FragmentNumber=entry.fragment.number)}"')
        if session.show_times:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_iso(entry.start_ms)}")
        lines.append(f"#EXTINF:{entry.duration_ms / 1000:.3f},")
        if fragmented:
            lines.append(address(SEGMENT, token, FragmentNumber=entry.fragment.number, TrackNumber=track))
        else:
            lines.append(address(TRANSPORT, token, FragmentNumber=entry.fragment.number))
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join([*lines, ""])


def manifest(session: Session, entries: Sequence[Entry], token: str, now_ms: int, *, ended: bool) -> str:
    """The MPEG-DASH manifest. Its timeline is the media's own, one fragment after another, without gaps, from 0."""
    end_ms = entries[-1].offset_ms + entries[-1].duration_ms if entries else 0
    begin_ms = entries[0].offset_ms if entries else 0
    longest_ms = max([1, *(entry.duration_ms for entry in entries)])
    head = {
        "xmlns": "urn:mpeg:dash:schema:mpd:2011", "xmlns:kvs": "http://amazonaws.com/kinesisvideo",
        "profiles": "urn:mpeg:dash:profile:isoff-live:2011", "minBufferTime": _duration(longest_ms),
        "maxSegmentDuration": _duration(longest_ms),
    }  # fmt: skip
    if ended:
        head |= {"type": "static", "mediaPresentationDuration": _duration(end_ms)}
    else:
        head |= {
            "type": "dynamic", "availabilityStartTime": _iso(session.live_from_ms), "publishTime": _iso(now_ms),
            "minimumUpdatePeriod": _duration(min(1000, longest_ms)), "timeShiftBufferDepth": _duration(end_ms - begin_ms),
            "suggestedPresentationDelay": _duration(min(end_ms - begin_ms, 2 * longest_ms)),
        }  # fmt: skip
    sets = "".join(_adaptation(session, entries, token, number, track) for number, track in enumerate(session.tracks, 1))
    clock = "" if ended else f'<UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="{_iso(now_ms)}"/>'
    attributes = " ".join(f"{name}={_quoted(value)}" for name, value in head.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<MPD {attributes}><Period id="0" start="PT0S">{sets}</Period>{clock}</MPD>\n'


def _quoted(value: str) -> str:
    """A value as an attribute's."""
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'"{escaped}"'


def _duration(time_ms: int) -> str:
    return f"PT{time_ms / 1000:.3f}S"


def _adaptation(session: Session, entries: Sequence[Entry], token: str, number: int, track: PlayedTrack) -> str:
    # $Number$ is the player's to fill in, so it may not be encoded.
    media = address(SEGMENT, token, TrackNumber=number) + "&SequenceNumber=$Number$"
    init = address(INIT, token, TrackNumber=number)
    steps = []
    for at, entry in enumerate(entries):
        marks = f' t="{entry.offset_ms}"' if at == 0 else ""
        if session.show_times:
            marks += f' kvs:ts="{entry.start_ms}"'
        if session.show_numbers:
            marks += f' kvs:fn="{entry.fragment.number}"'
        steps.append(f'<S{marks} d="{entry.duration_ms}"/>')
    first = entries[0].sequence if entries else 0
    shape = (
        f'width="{track.width}" height="{track.height}"' + (f' frameRate="{round(track.rate * 1000)}/1000"' if track.rate else "")
        if track.kind == "video"
        else f'audioSamplingRate="{track.sample_rate}"'
    )
    rate = session.bits_per_second if track.kind == "video" else min(session.bits_per_second, 128_000)
    return (
        f'<AdaptationSet id="{number}" contentType="{track.kind}" mimeType="{track.kind}/mp4" segmentAlignment="true" '
        f'startWithSAP="1"><Representation id="{number}" codecs="{track.name}" bandwidth="{max(1, rate)}" {shape}>'
        f'<SegmentTemplate timescale="1000" startNumber="{first}" initialization={_quoted(init)} media={_quoted(media)}>'
        f"<SegmentTimeline>{''.join(steps)}</SegmentTimeline></SegmentTemplate></Representation></AdaptationSet>"
    )
