"""Matroska as far as fragments need it: what a stream's tracks are, and a fragment written as a small file of its own."""

from collections.abc import Sequence

import msgspec

from headrace.services.video.engine import ebml

TIMECODE_SCALE_DEFAULT_NS = 1_000_000

VIDEO = 1
AUDIO = 2


class Track(msgspec.Struct, omit_defaults=True):
    """One track. `kind` is 1 for video, 2 for audio, 17 for text; `codec_private` is what its decoder needs first."""

    number: int
    kind: int
    codec_id: str
    codec_private: bytes = b""
    uid: int = 0
    name: str = ""
    language: str = ""
    default_duration_ns: int = 0
    width: int = 0
    height: int = 0
    sampling_hertz: float = 0.0
    channels: int = 0
    bit_depth: int = 0


def parse_tracks(data: bytes) -> list[Track]:
    """The tracks in the bytes of a Tracks element. Malformed."""
    return [_track(entry) for kind, entry in ebml.children(data) if kind == ebml.TRACK_ENTRY]


def parse_scale(data: bytes) -> int:
    """The nanoseconds of one timecode unit, from the bytes of an Info element. Malformed."""
    for kind, value in ebml.children(data):
        if kind == ebml.TIMECODE_SCALE:
            scale = ebml.unsigned(value)
            if not 0 < scale <= 1_000_000_000:
                raise ebml.Malformed("a timecode scale must be of 1 ns to 1 s")
            return scale
    return TIMECODE_SCALE_DEFAULT_NS


def parse_tags(data: bytes) -> list[tuple[str, str]]:
    """(name, text) of the simple tags in the bytes of a Tags element; those that hold no text are left out. Malformed."""
    found = []
    for kind, tag in ebml.children(data):
        if kind != ebml.TAG:
            continue
        for inner, simple in ebml.children(tag):
            if inner == ebml.SIMPLE_TAG:
                values = dict(ebml.children(simple))
                if ebml.TAG_NAME in values and ebml.TAG_STRING in values:
                    found.append((ebml.text(values[ebml.TAG_NAME]), ebml.text(values[ebml.TAG_STRING])))
    return found


def tags(pairs: Sequence[tuple[str, str]]) -> bytes:
    """A Tags element with one tag that holds the pairs; nothing when there are none."""
    if not pairs:
        return b""
    simple = b"".join(
        ebml.element(ebml.SIMPLE_TAG, ebml.string(ebml.TAG_NAME, name) + ebml.string(ebml.TAG_STRING, value))
        for name, value in pairs
    )
    return ebml.element(ebml.TAGS, ebml.element(ebml.TAG, ebml.element(ebml.TARGETS, b"") + simple))


def head(timecode_scale_ns: int, tracks: bytes, rest_size_bytes: int) -> bytes:
    """The beginning of a file: EBML header, segment, info and tracks. `rest_size_bytes` follow in the segment, or UNKNOWN."""
    info = ebml.element(
        ebml.INFO,
        ebml.integer(ebml.TIMECODE_SCALE, timecode_scale_ns)
        + ebml.string(ebml.MUXING_APP, "Headrace")
        + ebml.string(ebml.WRITING_APP, "Headrace"),
    )
    inner = info + ebml.element(ebml.TRACKS, tracks)
    size = ebml.UNKNOWN if rest_size_bytes == ebml.UNKNOWN else len(inner) + rest_size_bytes
    return EBML_HEADER + ebml.header(ebml.SEGMENT, size) + inner


def cluster_head(timecode: int, rest_size_bytes: int) -> bytes:
    """The beginning of a cluster: its header and its timecode. `rest_size_bytes` of blocks follow."""
    first = ebml.integer(ebml.TIMECODE, timecode)
    return ebml.header(ebml.CLUSTER, len(first) + rest_size_bytes) + first


# Version 1 of EBML; version 4 of Matroska, readable since version 2.
EBML_HEADER = ebml.element(
    ebml.EBML,
    ebml.integer(0x4286, 1)
    + ebml.integer(0x42F7, 1)
    + ebml.integer(0x42F2, 4)
    + ebml.integer(0x42F3, 8)
    + ebml.string(ebml.DOC_TYPE, "matroska")
    + ebml.integer(0x4287, 4)
    + ebml.integer(0x4285, 2),
)


def _track(data: bytes) -> Track:
    values = dict(ebml.children(data))
    number = ebml.unsigned(values.get(ebml.TRACK_NUMBER, b""))
    codec_id = ebml.text(values.get(ebml.CODEC_ID, b""))
    if not number or not codec_id:
        raise ebml.Malformed("a track has no number, or no codec")
    video = dict(ebml.children(values.get(ebml.VIDEO, b"")))
    audio = dict(ebml.children(values.get(ebml.AUDIO, b"")))
    return Track(
        number,
        ebml.unsigned(values.get(ebml.TRACK_TYPE, b"")),
        codec_id,
        values.get(ebml.CODEC_PRIVATE, b""),
        ebml.unsigned(values.get(ebml.TRACK_UID, b"")),
        ebml.text(values.get(ebml.TRACK_NAME, b"")),
        ebml.text(values.get(ebml.LANGUAGE, b"")),
        ebml.unsigned(values.get(ebml.DEFAULT_DURATION, b"")),
        ebml.unsigned(video.get(ebml.PIXEL_WIDTH, b"")),
        ebml.unsigned(video.get(ebml.PIXEL_HEIGHT, b"")),
        ebml.floating(audio[ebml.SAMPLING_FREQUENCY]) if ebml.SAMPLING_FREQUENCY in audio else 0.0,
        ebml.unsigned(audio.get(ebml.CHANNELS, b"")),
        ebml.unsigned(audio.get(ebml.BIT_DEPTH, b"")),
    )
