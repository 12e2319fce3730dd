"""Video made for tests: each picture has its time burnt in, as 16 black and white squares that say how many milliseconds."""

import io
import math
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

WIDTH, HEIGHT, SQUARE = 320, 180, 20


def burnt_in_ms(picture: bytes) -> int:
    """The time in a picture (JPEG or PNG), of whatever size."""
    kind = "png_pipe" if picture[:4] == b"\x89PNG" else "jpeg_pipe"
    with av.open(io.BytesIO(picture), format=kind) as source:
        frame = next(source.decode(video=0)).reformat(width=WIDTH, height=HEIGHT, format="gray", dst_color_range=2)
    return time_of(frame)


def time_of(frame: av.VideoFrame) -> int:
    plane = frame.planes[0]
    rows = bytes(plane)
    middle = rows[SQUARE // 2 * plane.line_size :][:WIDTH]
    return sum((middle[bit * SQUARE + SQUARE // 2] > 128) << bit for bit in range(16))


def _picture(time_ms: int, width: int, height: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    luma = frame.planes[0]
    line = bytearray([100]) * luma.line_size
    for bit in range(16):
        line[bit * SQUARE : (bit + 1) * SQUARE] = (b"\xeb" if time_ms >> bit & 1 else b"\x10") * SQUARE
    moving = bytearray([60]) * luma.line_size
    at = time_ms // 10 % (width - 40)
    moving[at : at + 40] = b"\xc8" * 40
    luma.update(bytes(line) * SQUARE + bytes(moving) * (height - SQUARE))
    for plane in frame.planes[1:]:
        plane.update(b"\x80" * plane.buffer_size)
    return frame


@dataclass
class Track:
    """A track: its Matroska codec, its private data, and its frames as (milliseconds, whether a key, bytes)."""

    codec: str
    private: bytes
    details: bytes
    frames: list[tuple[int, bool, bytes]] = field(default_factory=list)


@dataclass
class Video:
    """Encoded tracks, to be cut into fragments."""

    tracks: list[Track]
    seconds: float

    def header(self) -> bytes:
        """The bytes before the first cluster."""
        entries = [
            element(0xAE, number(0xD7, at) + number(0x73C5, at) + number(0x83, 1 if track.codec.startswith("V") else 2)
                    + element(0x86, track.codec.encode()) + element(0x63A2, track.private) * bool(track.private) + track.details)
            for at, track in enumerate(self.tracks, 1)
        ]  # fmt: skip
        info = element(0x1549A966, number(0x2AD7B1, 1_000_000) + element(0x4D80, b"test") + element(0x5741, b"test"))
        return EBML + bytes.fromhex("1853806701ffffffffffffff") + info + element(0x1654AE6B, b"".join(entries))

    def clusters(self, start_ms: int = 0) -> list[bytes]:
        """A cluster for each fragment; a fragment begins where the first track has a key."""
        begins = [at for at, key, _ in self.tracks[0].frames if key] if self.tracks[0].codec.startswith("V") else [0]
        made = []
        for begin, end in zip(begins, [*begins[1:], 1 << 40], strict=True):
            blocks = sorted(
                (at, place, key, data)
                for place, track in enumerate(self.tracks, 1)
                for at, key, data in track.frames
                if begin <= at < end
            ) if not self.b_frames else [
                (at, 1, key, data) for at, key, data in self.tracks[0].frames if begin <= at < end
            ]  # fmt: skip
            content = number(0xE7, start_ms + begin)
            for at, place, key, data in blocks:
                content += element(0xA3, bytes([0x80 | place]) + struct.pack(">hB", at - begin, 0x80 if key else 0) + data)
            made.append(element(0x1F43B675, content))
        return made

    @property
    def b_frames(self) -> bool:
        times = [at for at, _, _ in self.tracks[0].frames]
        return times != sorted(times)

    def fragments(self, start_ms: int = 0) -> list[bytes]:
        """Each fragment as a Matroska file of its own."""
        return [self.header() + cluster for cluster in self.clusters(start_ms)]


def element(name: int, content: bytes) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (1 << 56 | len(content)).to_bytes(8, "big") + content


def number(name: int, value: int) -> bytes:
    return element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


EBML = element(0x1A45DFA3, number(0x4286, 1) + number(0x42F7, 1) + number(0x42F2, 4) + number(0x42F3, 8)
               + element(0x4282, b"matroska") + number(0x4287, 2) + number(0x4285, 2))  # fmt: skip
_CODECS = {"libx264": "V_MPEG4/ISO/AVC", "libx265": "V_MPEGH/ISO/HEVC", "mjpeg": "V_MJPEG", "aac": "A_AAC"}


def video(
    seconds: float = 6.0, *, every: float = 2.0, codec: str = "libx264", audio: str = "", rate: int = 25, b_frames: int = 0,
    width: int = WIDTH, height: int = HEIGHT,
) -> Video:  # fmt: skip
    """A test picture that moves, with a key frame every so many seconds; audio: aac or g711; codec "" for audio alone."""
    tracks = []
    if codec:
        tracks.append(_video(codec, seconds, every, rate, b_frames, width, height))
    if audio == "aac":
        tracks.append(_audio(seconds))
    elif audio == "g711":
        wave = struct.pack("<HHIIHHH", 7, 1, 8000, 8000, 1, 8, 0)
        frames = [(at * 20, True, bytes([0xD5, 0x55] * 80)) for at in range(round(seconds * 50))]
        tracks.append(Track("A_MS/ACM", wave, _sound(8000), frames))
    return Video(tracks, seconds)


def _sound(rate: int) -> bytes:
    return element(0xE1, element(0xB5, struct.pack(">d", rate)) + number(0x9F, 1))


def _video(codec: str, seconds: float, every: float, rate: int, b_frames: int, width: int, height: int) -> Track:
    keys = f"keyint={round(rate * every)}:min-keyint={round(rate * every)}:scenecut=0:bframes={b_frames}"
    options = {
        "libx264": {"preset": "ultrafast", "x264-params": keys},
        "libx265": {"preset": "ultrafast", "x265-params": keys + ":log-level=none"},
    }.get(codec, {})
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.thread_count = 1
        stream.codec_context.time_base = Fraction(1, 1000)
        for count in range(round(seconds * rate)):
            frame = _picture(round(count * 1000 / rate), width, height)
            if codec == "mjpeg":
                frame = frame.reformat(format="yuvj420p")
            frame.pts, frame.time_base = round(count * 1000 / rate), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    details = element(0xE0, number(0xB0, width) + number(0xBA, height))
    return _read_back(target.getvalue(), codec, details)


def _audio(seconds: float) -> Track:
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        stream: Any = output.add_stream("aac", rate=48000, layout="mono")
        for at in range(0, round(seconds * 48000), 1024):
            frame = av.AudioFrame("fltp", "mono", 1024)
            frame.sample_rate, frame.pts, frame.time_base = 48000, at, Fraction(1, 48000)
            frame.planes[0].update(struct.pack("<1024f", *(math.sin((at + n) * 440 * math.tau / 48000) / 4 for n in range(1024))))
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return _read_back(target.getvalue(), "aac", _sound(48000))


def _read_back(data: bytes, codec: str, details: bytes) -> Track:
    with av.open(io.BytesIO(data)) as source:
        private = source.streams[0].codec_context.extradata or b""
        packets = [packet for packet in source.demux() if packet.size]
        first = min(packet.pts or 0 for packet in packets)
        frames = [((packet.pts or 0) - first, packet.is_keyframe, bytes(packet)) for packet in packets]
    return Track(_CODECS[codec], b"" if codec == "mjpeg" else private, details, frames)
