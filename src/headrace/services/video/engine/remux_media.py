"""One fragment of Matroska becomes segments, and several become a clip. Imported in the remuxing process only.

A fragment is remuxed alone: its timestamps are milliseconds since 1970, and they stay that in what comes out, so segments that
were made apart lie side by side on one timeline.
"""

import io
import itertools
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av

from headrace.services.video.engine import remux_tracks
from headrace.services.video.engine.remux_tracks import MediaError

Packet = Any
TICKS_PER_MS = 90
_TIME_BASE = Fraction(1, 90_000)
_TS_WRAP = 1 << 33
_FRAGMENTED = {
    "movflags": "empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer", "use_editlist": "0",
    "avoid_negative_ts": "disabled",
}  # fmt: skip
_EBML, _CLUSTER, _CODEC_PRIVATE = b"\x1a\x45\xdf\xa3", b"\x1f\x43\xb6\x75", b"\x63\xa2"
_AUDIO_SNAP_TICKS = 2 * TICKS_PER_MS


def open_fragment(media: bytes) -> "av.container.InputContainer":
    """The fragment, opened. MediaError when it is no Matroska."""
    try:
        return av.open(io.BytesIO(media), "r", format="matroska", options={"probesize": "65536", "analyzeduration": "0"})
    except av.FFmpegError as error:
        head = media.partition(_CLUSTER)[0]
        if head and _CODEC_PRIVATE not in head and media.startswith(_EBML):
            raise MediaError("missing", "a track has no codec private data") from None
        raise MediaError("frame", f"the fragment can't be read: {error}") from None


def probe(media: bytes) -> list[dict[str, Any]]:
    """The tracks of a fragment."""
    with open_fragment(media) as container:
        return remux_tracks.of(container)


def segment(media: bytes, container: str, kind: str, shift_ms: int) -> dict[str, Any]:
    """A fragment as `mp4` (initialisation and media apart) or `ts`; of `kind` "video" or "audio" alone, or "" for all tracks."""
    with open_fragment(media) as source:
        tracks = remux_tracks.of(source)
        chosen = [stream for stream, track in zip(_playable(source), tracks, strict=True) if kind in ("", track["kind"])]
        if not chosen:
            raise MediaError("unsupported", f"the fragment has no {kind} track")
        timed = _timed(source, chosen, shift_ms)
        if container == "ts":
            return {"tracks": tracks, "init": b"", "media": _transport_stream(chosen, timed)}
        init, body = _split(_written("mp4", _FRAGMENTED, chosen, timed))
        return {"tracks": tracks, "init": init, "media": body}


def _playable(source: "av.container.InputContainer") -> list[Any]:
    return [stream for stream in source.streams if stream.type in ("video", "audio")]


def _timed(source: "av.container.InputContainer", chosen: Sequence[Any], shift_ms: int) -> list[Packet]:
    """The packets of the chosen tracks in decoding order, with times in ticks."""
    by_stream: dict[int, list[Packet]] = {stream.index: [] for stream in chosen}
    try:
        for packet in source.demux(*chosen):
            if packet.size:
                by_stream[packet.stream.index].append(packet)
    except av.FFmpegError as error:
        raise MediaError("frame", f"the fragment's frames can't be read: {error}") from None
    timed: list[Packet] = []
    for stream in chosen:
        packets = by_stream[stream.index]
        if any(packet.pts is None for packet in packets):
            raise MediaError("frame", "a frame has no time")
        if packets:
            (_time_video if stream.type == "video" else _time_audio)(stream, packets, shift_ms)
        timed += packets
    if not timed:
        raise MediaError("frame", "the fragment holds no frame")
    timed.sort(key=lambda packet: packet.dts or 0)
    return timed


def _ticks(stream: Any, value: int, shift_ms: int) -> int:
    ticks: Fraction = Fraction(value) * stream.time_base / _TIME_BASE
    return round(ticks) + shift_ms * TICKS_PER_MS


def _time_video(stream: Any, packets: list[Packet], shift_ms: int) -> None:
    """Decoding times: Matroska has none. Frames are shown in order of their times, and decoded earlier by one fixed delay."""
    shown = [_ticks(stream, packet.pts or 0, shift_ms) for packet in packets]
    ordered = sorted(shown)
    delay = max(0, *(early - late for early, late in zip(ordered, shown, strict=True)))
    steps = [after - before for before, after in itertools.pairwise(ordered)]
    given = round((packets[-1].duration or 0) * stream.time_base / _TIME_BASE)
    steps.append(steps[-1] if steps else given or 40 * TICKS_PER_MS)
    for packet, pts, dts, step in zip(packets, shown, ordered, steps, strict=True):
        packet.time_base = _TIME_BASE
        packet.pts, packet.dts, packet.duration = pts, dts - delay, step


def _time_audio(stream: Any, packets: list[Packet], shift_ms: int) -> None:
    """Matroska rounds to milliseconds; a frame that follows another within that error follows it exactly."""
    context = stream.codec_context
    frame = Fraction((1024 if context.name == "aac" else 0) * 90_000, context.sample_rate or 1)
    expected = Fraction(-1)
    for packet in packets:
        pts = Fraction(_ticks(stream, packet.pts or 0, shift_ms))
        if frame and abs(pts - expected) < _AUDIO_SNAP_TICKS:
            pts = expected
        length = frame or Fraction((packet.size // max(1, context.layout.nb_channels)) * 90_000, context.sample_rate or 8000)
        expected = pts + length
        packet.time_base = _TIME_BASE
        packet.pts = packet.dts = round(pts)
        packet.duration = round(length)


def _written(container: str, options: dict[str, str], chosen: Sequence[Any], packets: Sequence[Packet]) -> bytes:
    target = io.BytesIO()
    try:
        with av.open(target, "w", format=container, options=options) as output:
            made = _add_streams(output, chosen)
            for packet in packets:
                packet.stream = made[packet.stream.index]
                output.mux(packet)
    except av.FFmpegError as error:
        raise MediaError("frame", f"the frames can't be written: {error}") from None
    return target.getvalue()


def _add_streams(output: "av.container.OutputContainer", chosen: Sequence[Any]) -> dict[int, Any]:
    made = {}
    for stream in chosen:
        added = output.add_stream_from_template(stream)
        added.time_base = _TIME_BASE
        if stream.codec_context.name == "hevc" and output.format.name == "mp4":
            # Apple's players want parameter sets outside of the frames, and hvc1 says so.
            added.codec_context.codec_tag = "hvc1"
        made[stream.index] = added
    return made


def _transport_stream(chosen: Sequence[Any], packets: Sequence[Packet]) -> bytes:
    if any(stream.codec_context.name not in ("h264", "hevc", "aac") for stream in chosen):
        raise MediaError("unsupported", "MPEG-TS takes H.264, H.265 and AAC")
    wrapped = (packets[0].dts or 0) // _TS_WRAP * _TS_WRAP
    for packet in packets:
        packet.pts, packet.dts = (packet.pts or 0) - wrapped, (packet.dts or 0) - wrapped
    options = {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}
    return _written("mpegts", options, chosen, packets)


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the top level boxes of an MP4 file."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if size < 8:
            return
        yield kind, at, at + size
        at += size


def _split(data: bytes) -> tuple[bytes, bytes]:
    """(initialisation, media) of a fragmented MP4 file."""
    start = next((start for kind, start, _ in boxes(data) if kind not in (b"ftyp", b"moov", b"free")), len(data))
    return data[:start], data[start:]


class Clip:
    """An MP4 file that grows by fragments. Its time begins with the first one's first frame."""

    def __init__(self) -> None:
        self._target = io.BytesIO()
        self._output: av.container.OutputContainer | None = None
        self._made: dict[str, Any] = {}
        self._private: dict[str, bytes] = {}
        self._begin = 0
        self._last: dict[str, int] = {}

    def add(self, media: bytes) -> None:
        """Append a fragment."""
        with open_fragment(media) as source:
            tracks = remux_tracks.of(source)
            chosen = _playable(source)
            packets = _timed(source, chosen, 0)
            kinds = {stream.index: track["kind"] for stream, track in zip(chosen, tracks, strict=True)}
            if self._output is None:
                self._open(chosen, tracks, packets)
            elif {track["kind"]: track["private"] for track in tracks} != self._private:
                raise MediaError("invalid", "the codec private data changes within the clip")
            for packet in packets:
                self._mux(packet, kinds[packet.stream.index])

    def _open(self, chosen: Sequence[Any], tracks: Sequence[dict[str, Any]], packets: Sequence[Packet]) -> None:
        # G.711 has no place in MP4 proper, but has one in QuickTime's older form of it, which players read as well.
        plain = all(track["codec"] not in ("pcm_mulaw", "pcm_alaw") for track in tracks)
        self._output = av.open(self._target, "w", format="mp4" if plain else "mov")
        made = _add_streams(self._output, chosen)
        self._made = {track["kind"]: made[stream.index] for stream, track in zip(chosen, tracks, strict=True)}
        self._private = {track["kind"]: track["private"] for track in tracks}
        self._begin = min(packet.pts or 0 for packet in packets)

    def _mux(self, packet: Packet, kind: str) -> None:
        assert self._output is not None
        pts, dts = (packet.pts or 0) - self._begin, (packet.dts or 0) - self._begin
        # Fragments may overlap by a rounding; one that lies wholly before its predecessor's end can't be told in a file.
        dts = max(dts, self._last.get(kind, dts - 1) + 1)
        if dts > pts:
            if kind == "video":
                raise MediaError("frame", "the fragments overlap in time")
            return
        self._last[kind] = dts
        packet.pts, packet.dts = pts, dts
        packet.stream = self._made[kind]
        try:
            self._output.mux(packet)
        except av.FFmpegError as error:
            raise MediaError("frame", f"the frames can't be written: {error}") from None

    def finish(self) -> bytes:
        """The file, with its index in front."""
        if self._output is None:
            raise MediaError("frame", "the clip is empty")
        self._output.close()
        return _index_first(self._target.getvalue())


def _index_first(data: bytes) -> bytes:
    """The file with its index (moov) before its media, so that it plays while it loads."""
    found = {kind: (start, end) for kind, start, end in boxes(data)}
    if b"moov" not in found or found[b"moov"][0] < found[b"mdat"][0]:
        return data
    start, end = found[b"moov"]
    index = bytearray(data[start:end])
    _move_chunks(index, 8, len(index), len(index))
    head = found[b"ftyp"][1]
    return b"".join((data[:head], index, data[head:start], data[end:]))


def _move_chunks(index: bytearray, start: int, end: int, distance: int) -> None:
    at = start
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", index, at)
        if kind in (b"trak", b"mdia", b"minf", b"stbl"):
            _move_chunks(index, at + 8, at + size, distance)
        elif kind in (b"stco", b"co64"):
            form = f">{struct.unpack_from('>I', index, at + 12)[0]}{'I' if kind == b'stco' else 'Q'}"
            places = struct.unpack_from(form, index, at + 16)
            struct.pack_into(form, index, at + 16, *(place + distance for place in places))
        at += max(size, 8)
