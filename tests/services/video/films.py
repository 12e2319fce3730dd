"""Films made by ffmpeg, producers that send them, and documents as readers get them."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from conftest import REGION, ROOT_SECRET, HeadraceServer
from headrace.cli.video_producer import Producer
from headrace.kit.accounts import account_credentials
from headrace.services.video.engine import ebml, matroska


@cache
def film(seconds: int = 6, *, gop_seconds: int = 2, size: str = "320x240", audio: bool = False, rate: int = 30) -> bytes:
    """H.264 in Matroska: a cluster for each group of pictures, all of known size; with audio, AAC beside it."""
    frames = str(gop_seconds * rate)
    inputs = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", frames, "-keyint_min", frames, "-sc_threshold", "0"]
    if audio:
        inputs += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
        codecs += ["-c:a", "aac"]
    clusters = ["-cluster_time_limit", "20000", "-cluster_size_limit", "40000000"]
    command = ["ffmpeg", "-loglevel", "error", *inputs, "-t", str(seconds), *codecs, "-pix_fmt", "yuv420p", *clusters]
    return subprocess.run([*command, "-f", "matroska", "pipe:1"], check=True, stdout=subprocess.PIPE).stdout


def split(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """(id, header, bytes) of the elements of a film: EBML, then those of the segment."""
    found = []
    at = 0
    while at < len(data):
        header = ebml.read_header(data, at)
        assert header is not None
        kind, size, begin = header
        end = begin if kind == ebml.SEGMENT or size == ebml.UNKNOWN else begin + size
        found.append((kind, data[at:begin], data[begin:end]))
        at = end
    return found


def of_unknown_sizes(data: bytes) -> bytes:
    """The film as AWS's C producer sends it: segment and clusters of unknown size, without cues."""
    parts = []
    for kind, header, content in split(data):
        if kind in (ebml.SEGMENT, ebml.CLUSTER):
            parts.append(kind.to_bytes(4, "big") + b"\xff" + content)
        elif kind not in (ebml.CUES, ebml.SEEK_HEAD):
            parts.append(header + content)
    return b"".join(parts)


def clusters(data: bytes) -> list[bytes]:
    """The clusters' bytes, without their timecodes (and the checksums that go with them)."""
    found = []
    for kind, _, content in split(data):
        if kind == ebml.CLUSTER:
            kept = [
                (name, value) for name, value in ebml.children(content) if name not in (ebml.TIMECODE, ebml.CRC_32, 0xA7, 0xAB)
            ]
            found.append(b"".join(ebml.element(name, value) for name, value in kept))
    return found


def timecodes(data: bytes) -> list[int]:
    """The clusters' timecodes."""
    found = [dict(ebml.children(content))[ebml.TIMECODE] for kind, _, content in split(data) if kind == ebml.CLUSTER]
    return [ebml.unsigned(one) for one in found]


def head(data: bytes) -> bytes:
    """All that comes before the first cluster."""
    parts: list[bytes] = []
    for kind, header, content in split(data):
        if kind == ebml.CLUSTER:
            break
        parts.append(header + content)
    return b"".join(parts)


def connect(server: HeadraceServer, account: str, stream: str, **options: Any) -> Producer:
    """A producer of the account."""
    return Producer(server.url, *account_credentials(ROOT_SECRET, account), REGION, stream, **options)


def put(
    server: HeadraceServer, account: str, stream: str, data: bytes, *, step: int = 1 << 20, **options: Any
) -> list[dict[str, Any]]:
    """Send a film in pieces; all acknowledgements."""
    producer = connect(server, account, stream, **options)
    try:
        # When the server closes, its last word says why.
        with contextlib.suppress(OSError):
            for at in range(0, len(data), step):
                producer.send(data[at : at + step])
            producer.finish()
        return list(producer.acknowledgements())
    finally:
        producer.close()


@dataclass
class Document:
    """One of the documents that GetMedia gives for each fragment."""

    tags: dict[str, str] = field(default_factory=dict)
    tracks: list[matroska.Track] = field(default_factory=list)
    timecode: int = -1
    blocks: bytes = b""


def documents(payload: Any, count: int) -> list[Document]:
    """The next `count` documents of a stream; byte for byte what Matroska asks for."""
    return [_document(payload) for _ in range(count)]


def fragments(payload: Any, count: int) -> list[Document]:
    """The documents of GetMediaForFragmentList: without tags behind the cluster."""
    return [_document(payload, behind=()) for _ in range(count)]


def _document(payload: Any, behind: tuple[int, ...] = (ebml.TAGS,)) -> Document:
    kind, size = _header(payload)
    assert kind == ebml.EBML
    assert dict(ebml.children(_exactly(payload, size)))[ebml.DOC_TYPE] == b"matroska"
    assert _header(payload) == (ebml.SEGMENT, ebml.UNKNOWN)
    found = Document()
    for wanted in (ebml.INFO, ebml.TRACKS, ebml.TAGS, ebml.CLUSTER, *behind):
        kind, size = _header(payload)
        assert kind == wanted
        content = _exactly(payload, size)
        if kind == ebml.TRACKS:
            found.tracks = matroska.parse_tracks(content)
        elif kind == ebml.TAGS:
            found.tags |= dict(matroska.parse_tags(content))
        elif kind == ebml.CLUSTER:
            (first, timecode), *_ = ebml.children(content)
            assert first == ebml.TIMECODE
            found.timecode = ebml.unsigned(timecode)
            found.blocks = content[2 + len(timecode) :]
    return found


def _header(payload: Any) -> tuple[int, int]:
    first = _exactly(payload, 1)
    name = first + _exactly(payload, ebml.id_length(first[0]) - 1)
    size = _exactly(payload, 1)
    size += _exactly(payload, ebml.size_length(size[0]) - 1)
    return int.from_bytes(name, "big"), ebml.decode_size(size)


def _exactly(payload: Any, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = payload.read(size - len(found))
        assert part, "the stream ended in an element"
        found += part
    return found


def probe(path: Path, *, may_say: str = "") -> list[str]:
    """The codecs and the counts of decoded frames that ffprobe finds. It may complain of nothing but what is named."""
    command = ["ffprobe", "-v", "warning", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames"]
    done = subprocess.run([*command, "-of", "csv=p=0", str(path)], check=True, capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if not may_say or may_say not in line]
    assert complaints == []
    return done.stdout.split()


def events(acknowledgements: list[dict[str, Any]]) -> Iterator[str]:
    """The kinds of acknowledgements."""
    return (one["EventType"] for one in acknowledgements)
