"""Video's way in: durable ingest over 20 streams against the disk alone, and ListFragments in a short and a long stream."""

import os
import statistics
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import KEY, SECRET, client, headrace

from headrace.cli.video_producer import Producer
from headrace.services.video import state
from headrace.services.video.engine import ebml, matroska
from headrace.store.lmdb import LmdbStore

STREAMS = 20
FRAGMENT_SECONDS = 2
# 5 Mbit/s, in frames of 20 KB.
FRAME = ebml.element(ebml.SIMPLE_BLOCK, b"\x81" + struct.pack(">hB", 0, 0x80) + os.urandom(20_000))
BLOCKS = FRAME * 62
TRACKS = ebml.element(
    ebml.TRACK_ENTRY,
    ebml.integer(ebml.TRACK_NUMBER, 1) + ebml.integer(ebml.TRACK_TYPE, 1) + ebml.string(ebml.CODEC_ID, "V_MPEG4/ISO/AVC"),
)
HEAD = matroska.head(1_000_000, TRACKS, ebml.UNKNOWN)
TARGET_MBITS = 200.0
TARGET_OF_DISK = 0.5


def _disk(folder: Path, count: int) -> float:
    """Mbit/s of fragments that are appended to a file, each with an fsync."""
    path = folder / "appended"
    began = time.perf_counter()
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            file.write(BLOCKS)
            os.fsync(file.fileno())
    taken = time.perf_counter() - began
    path.unlink()
    return count * len(BLOCKS) * 8 / taken / 1e6


def _produce(port: int, name: str, count: int, start: float, persisted: list[int]) -> None:
    producer = Producer(f"http://127.0.0.1:{port}", KEY, SECRET, "us-east-1", name, start=start)
    producer.send(HEAD)
    for number in range(count):
        producer.send(matroska.cluster_head(number * FRAGMENT_SECONDS * 1000, len(BLOCKS)) + BLOCKS)
    producer.finish()
    persisted.append(sum(one["EventType"] == "PERSISTED" for one in producer.acknowledgements()))
    producer.close()


def _ingest(port: int, round_number: int, count: int) -> float:
    """Mbit/s that all streams take together, durable."""
    video = client("kinesisvideo", port)
    names = [f"s{round_number}-{number}" for number in range(STREAMS)]
    for name in names:
        video.create_stream(StreamName=name, DataRetentionInHours=1)
    persisted: list[int] = []
    start = time.time() - count * FRAGMENT_SECONDS
    threads = [threading.Thread(target=_produce, args=(port, name, count, start, persisted)) for name in names]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - began
    if persisted != [count] * STREAMS:
        raise SystemExit(f"not every fragment was persisted: {persisted}")
    return count * STREAMS * len(BLOCKS) * 8 / taken / 1e6


def _fill(folder: Path, name: str, count: int) -> None:
    """A stream with an index of so many fragments, made below the server."""
    now = time.time()
    stream = state.Stream("000000000000", "us-east-1", name, name, "v", now, retention_hours=87_000)
    store = LmdbStore(folder / "store", size_max_gib=64)
    for first in range(0, count, 20_000):

        def body(tx: Any, first: int = first) -> None:
            state.save_stream(tx, stream)
            for place in range(first + 1, min(first + 20_000, count) + 1):
                at_ms = int(now * 1000) - (count - place) * 1000
                fragment = state.Fragment(place, place, at_ms, at_ms, 1000, 1, 0, 1, f"{place:032x}", "c")
                state.FRAGMENTS.put(tx, fragment, stream.id, place)
                state.PRODUCER_TIMES.put(tx, None, stream.id, at_ms, place)
                state.SERVER_TIMES.put(tx, None, stream.id, at_ms, place)

        store.transact(body)
    store.close()


def _list_ms(port: int, names: tuple[str, ...], calls: int) -> list[float]:
    """Milliseconds of one ListFragments of 100 in the middle of each stream, asked in turn; the medians."""
    archive = client("kinesis-video-archived-media", port)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(calls + 5):
        at = time.time() - 800 + number
        between = {"StartTimestamp": at, "EndTimestamp": at + 1000}
        selector = {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": between}
        for name in names:
            began = time.perf_counter()
            found = archive.list_fragments(StreamName=name, FragmentSelector=selector, MaxResults=100)["Fragments"]
            if number >= 5:
                taken[name].append((time.perf_counter() - began) * 1000)
            if len(found) != 100:
                raise SystemExit(f"{name} gave {len(found)} fragments")
    return [statistics.median(times) for times in taken.values()]


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Ingest and the bare disk in turn, then both lists."""
    fragments, rounds = (4, 1) if quick else (10, 3)
    long = 50_000 if quick else 1_000_000
    data = folder / "data"
    data.mkdir()
    for name, count in (("short", 1000), ("long", long)):
        _fill(data, name, count)
    with headrace(data) as port:
        pairs = []
        for number in range(rounds):
            disk = _disk(folder, fragments * STREAMS)
            pairs.append((_ingest(port, number, fragments), disk))
        calls = 50 if quick else 200
        short_ms, long_ms = _list_ms(port, ("short", "long"), calls)
    ingest, disk = statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
    return [
        row("video, disk alone: fragments appended with fsync", disk, "Mbit/s"),
        row(
            f"video, durable ingest over {STREAMS} streams", ingest, "Mbit/s", min(TARGET_MBITS, round(disk * TARGET_OF_DISK, 1))
        ),
        row("video, ListFragments of 100 among 1,000", short_ms, "ms"),
        row(f"video, ListFragments of 100 among {long:,}", long_ms, "ms", round(short_ms * 1.5, 3), below=True),
    ]
