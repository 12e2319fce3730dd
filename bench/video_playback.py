"""Video's way out: what remuxing costs, and how soon a fragment of a live producer stands in the playlist."""

import io
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
from servers import KEY, SECRET, client, headrace

from headrace.cli.video_producer import Producer
from headrace.services.video.engine import ebml, matroska
from headrace.services.video.engine.remux_pool import Pool

FRAGMENT_SECONDS = 2


def _film(seconds: int, gop_seconds: int) -> bytes:
    """720p at 30 pictures a second, about 5 Mbit/s, a cluster for each group of pictures."""
    frames = str(gop_seconds * 30)
    command = [
        "ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-t", str(seconds),
        "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "5M", "-g", frames, "-keyint_min", frames, "-sc_threshold", "0",
        "-bf", "0", "-pix_fmt", "yuv420p", "-cluster_time_limit", "20000", "-cluster_size_limit", "40000000",
        "-f", "matroska", "pipe:1",
    ]  # fmt: skip
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _parts(film: bytes) -> tuple[bytes, list[bytes]]:
    """(Info and Tracks with what stands before them, the bytes inside of each cluster)."""
    scale, tracks, clusters, at = 1_000_000, b"", [], 0
    while at < len(film):
        header = ebml.read_header(film, at)
        assert header is not None
        kind, size, begin = header
        if kind == ebml.SEGMENT:
            at = begin
            continue
        content = film[begin : begin + size]
        if kind == ebml.TRACKS:
            tracks = content
        elif kind == ebml.CLUSTER:
            clusters.append(
                b"".join(_element(inner, value) for inner, value in ebml.children(content) if inner not in (0xE7, 0xBF))
            )
        at = begin + size
    return matroska.head(scale, tracks, 1 << 40), clusters


def _element(kind: int, value: bytes) -> bytes:
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + (1 << 56 | len(value)).to_bytes(8, "big") + value


def _cluster(timecode: int, content: bytes) -> bytes:
    return matroska.cluster_head(timecode, len(content)) + content


def _remux(count: int) -> tuple[list[float], list[float], int]:
    """Milliseconds a fragment took to fMP4 and to MPEG-TS, and its bytes."""
    head, clusters = _parts(_film(FRAGMENT_SECONDS * 3, FRAGMENT_SECONDS))
    media = head + _cluster(1_763_877_000_000, clusters[1])
    with av.open(io.BytesIO(media)) as source:
        assert sum(1 for _ in source.decode(video=0)) == FRAGMENT_SECONDS * 30
    pool = Pool()
    taken: dict[str, list[float]] = {"mp4": [], "ts": []}
    for container, times in taken.items():
        for number in range(count + 3):
            began = time.perf_counter()
            pool.call("segment", media=media, container=container, kind="", shift_ms=0)
            if number >= 3:
                times.append((time.perf_counter() - began) * 1000)
    pool.stop()
    return taken["mp4"], taken["ts"], len(media)


def _live(port: int, seconds: int) -> list[float]:
    """Milliseconds from a fragment's last frame at the producer to the playlist that names it."""
    client("kinesisvideo", port).create_stream(StreamName="bench", DataRetentionInHours=1)
    head, clusters = _parts(_film(seconds, 1))
    producer = Producer(f"http://127.0.0.1:{port}", KEY, SECRET, "us-east-1", "bench")
    start = time.time()
    sent: dict[int, float] = {}

    def produce() -> None:
        producer.send(head)
        for number, content in enumerate(clusters):
            time.sleep(max(0.0, start + number + 1 - time.time()))
            sent[number] = time.time()
            producer.send(_cluster(int((start + number) * 1000), content))
        producer.finish()

    thread = threading.Thread(target=produce)
    thread.start()
    time.sleep(2.5)
    master = client("kinesis-video-archived-media", port).get_hls_streaming_session_url(
        StreamName="bench", HLSFragmentSelector={"FragmentSelectorType": "PRODUCER_TIMESTAMP"}, DiscontinuityMode="NEVER",
        DisplayFragmentTimestamp="ALWAYS", MaxMediaPlaylistFragmentResults=3,
    )["HLSStreamingSessionURL"]  # fmt: skip
    media = urllib.request.urlopen(master).read().decode().strip().splitlines()[-1]
    address = master.rsplit("/", 1)[0] + "/" + media
    seen: dict[int, float] = {}
    while thread.is_alive():
        with urllib.request.urlopen(address) as answer:
            text = answer.read().decode()
        now = time.time()
        first = int(text.split("#EXT-X-MEDIA-SEQUENCE:")[1].split()[0])
        seen.setdefault(first + text.count("#EXTINF") - 1, now)
        time.sleep(0.005)
    thread.join()
    producer.close()
    # The first that is seen may have been there before anybody looked.
    offset = min(seen)
    return [(at - sent[number]) * 1000 for number, at in seen.items() if number != offset and number in sent]


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Remuxing in percent of the playing time; the latency of live HLS beyond the fragment itself."""
    mp4, ts, size = _remux(20 if quick else 100)
    with headrace(folder / "data") as port:
        live = sorted(_live(port, 8 if quick else 25))
    playing_ms = FRAGMENT_SECONDS * 1000
    print(f"fragments of {size / 1e6:.2f} MB, {FRAGMENT_SECONDS} s; {len(live)} live fragments", file=sys.stderr)
    return [
        row("video: fragment to fMP4, p50", statistics.median(mp4) / playing_ms * 100, "% of its time", 5.0, below=True),
        row("video: fragment to MPEG-TS, p50", statistics.median(ts) / playing_ms * 100, "% of its time", 5.0, below=True),
        row("video: live HLS, last frame to playlist, p50", statistics.median(live), "ms", 300.0, below=True),
        row("video: live HLS, last frame to playlist, worst", live[-1], "ms", 300.0, below=True),
    ]
