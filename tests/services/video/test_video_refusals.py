"""What PutMedia does not take, and how it says so."""

import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.services.video import films

from conftest import REGION, ROOT_SECRET, HeadraceServer
from headrace.cli.video_producer import Producer, PutMediaRefused
from headrace.kit.accounts import account_credentials
from headrace.services.video.engine import ebml, matroska

Client = Callable[..., Any]
HEADER = matroska.EBML_HEADER + ebml.header(ebml.SEGMENT, ebml.UNKNOWN)


def tracks(count: int = 1) -> bytes:
    entries = b""
    for number in range(1, count + 1):
        entry = ebml.integer(ebml.TRACK_NUMBER, number) + ebml.integer(ebml.TRACK_TYPE, 1) + ebml.string(ebml.CODEC_ID, "V_X")
        entries += ebml.element(ebml.TRACK_ENTRY, entry)
    return ebml.element(ebml.TRACKS, entries)


def block(track: int = 1, at: int = 0, size: int = 10) -> bytes:
    return ebml.element(ebml.SIMPLE_BLOCK, bytes((0x80 | track,)) + struct.pack(">hB", at, 0x80) + bytes(size))


def cluster(timecode: int, *blocks: bytes) -> bytes:
    return ebml.element(ebml.CLUSTER, ebml.integer(ebml.TIMECODE, timecode) + b"".join(blocks))


GOOD = cluster(0, block(), block(at=1000))

REFUSALS = {
    "cut in a cluster": (HEADER + tracks() + GOOD[:-5], 4000, "STREAM_READ_ERROR"),
    "too large, as it says": (
        HEADER + tracks() + ebml.header(ebml.CLUSTER, 51 << 20) + ebml.integer(ebml.TIMECODE, 0),
        4001, "MAX_FRAGMENT_SIZE_REACHED",
    ),
    "too large": (
        HEADER + tracks() + ebml.header(ebml.CLUSTER, ebml.UNKNOWN) + ebml.integer(ebml.TIMECODE, 0)
        + block(size=30 << 20) + block(size=30 << 20), 4001, "MAX_FRAGMENT_SIZE_REACHED",
    ),
    "too long": (HEADER + tracks() + cluster(0, block(), block(at=20_001)), 4002, "MAX_FRAGMENT_DURATION_REACHED"),
    "back in time": (
        HEADER + tracks() + cluster(10, block()) + cluster(9, block()), 4004, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS",
    ),
    "four tracks": (HEADER + tracks(4) + GOOD, 4005, "MORE_THAN_ALLOWED_TRACKS_FOUND"),
    "no Matroska": (b"RIFF" + bytes(100), 4006, "INVALID_MKV_DATA"),
    "another document": (
        ebml.element(ebml.EBML, ebml.string(ebml.DOC_TYPE, "other")) + HEADER + tracks() + GOOD, 4006, "INVALID_MKV_DATA",
    ),
    "no tracks": (HEADER + GOOD, 4006, "INVALID_MKV_DATA"),
    "no timecode": (HEADER + tracks() + ebml.element(ebml.CLUSTER, block()), 4006, "INVALID_MKV_DATA"),
    "a child larger than its cluster": (
        HEADER + tracks() + ebml.element(ebml.CLUSTER, ebml.integer(ebml.TIMECODE, 0) + ebml.header(ebml.SIMPLE_BLOCK, 99)),
        4006, "INVALID_MKV_DATA",
    ),
    "eleven tags": (
        HEADER + tracks() + matroska.tags([(f"n{number}", "v") for number in range(11)]) + GOOD,
        4009, "FRAGMENT_METADATA_LIMIT_REACHED",
    ),
    "a long tag": (HEADER + tracks() + matroska.tags([("n", "v" * 257)]) + GOOD, 4009, "FRAGMENT_METADATA_LIMIT_REACHED"),
    "a track that is not there": (HEADER + tracks() + cluster(0, block(2)), 4010, "TRACK_NUMBER_MISMATCH"),
    "a track without frames": (HEADER + tracks(2) + GOOD, 4011, "FRAMES_MISSING_FOR_TRACK"),
}  # fmt: skip


@pytest.fixture
def stream(client: Client) -> str:
    client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=24)
    return "camera"


@pytest.mark.parametrize("case", REFUSALS)
def test_put_media__refuses(server: HeadraceServer, client: Client, account: str, stream: str, case: str) -> None:
    data, error_id, error_code = REFUSALS[case]
    found = films.put(server, account, stream, data, start=time.time())
    assert (found[-1]["EventType"], found[-1]["ErrorId"], found[-1]["ErrorCode"]) == ("ERROR", error_id, error_code)
    # What was whole before is kept, and the stream goes on.
    kept = list(films.events(found)).count("PERSISTED")
    films.put(server, account, stream, HEADER + tracks() + GOOD, start=time.time())
    listed = client("kinesis-video-archived-media").list_fragments(StreamName=stream)["Fragments"]
    assert len(listed) == kept + 1


def test_put_media__absolute_timecodes_must_be_plausible(
    server: HeadraceServer, client: Client, account: str, stream: str
) -> None:
    found = films.put(server, account, stream, HEADER + tracks() + GOOD)
    assert (found[-1]["ErrorId"], found[-1]["ErrorCode"]) == (4007, "INVALID_PRODUCER_TIMESTAMP")
    now_ms = int(time.time() * 1000)
    found = films.put(server, account, stream, HEADER + tracks() + cluster(now_ms, block()))
    assert list(films.events(found)) == ["BUFFERING", "RECEIVED", "PERSISTED"]
    assert found[0]["FragmentTimecode"] == now_ms
    listed = client("kinesis-video-archived-media").list_fragments(StreamName=stream)["Fragments"]
    assert round(listed[0]["ProducerTimestamp"].timestamp() * 1000) == now_ms


def test_put_media__relative_without_a_start_begins_now(
    server: HeadraceServer, client: Client, account: str, stream: str
) -> None:
    key, secret = account_credentials(ROOT_SECRET, account)
    producer = Producer(server.url, key, secret, REGION, stream, relative=True)
    before = server.page("/_headrace/clock")["now"]
    producer.send(HEADER + tracks() + cluster(5000, block()) + cluster(7000, block()))
    producer.finish()
    assert list(films.events(list(producer.acknowledgements()))).count("PERSISTED") == 2
    producer.close()
    first, second = client("kinesis-video-archived-media").list_fragments(StreamName=stream)["Fragments"]
    assert abs(first["ProducerTimestamp"].timestamp() - before) < 30
    assert (second["ProducerTimestamp"] - first["ProducerTimestamp"]).total_seconds() == 2


def test_put_media__tags_belong_to_the_fragment_behind_them(
    server: HeadraceServer, client: Client, account: str, stream: str
) -> None:
    data = HEADER + tracks() + matroska.tags([("door", "open")]) + cluster(0, block()) + cluster(1000, block())
    films.put(server, account, stream, data, start=time.time())
    selector = {"StartSelectorType": "EARLIEST"}
    payload = client("kinesis-video-media").get_media(StreamName=stream, StartSelector=selector)["Payload"]
    first, second = films.documents(payload, 2)
    payload.close()
    assert first.tags["door"] == "open"
    assert "door" not in second.tags


def test_put_media__any_codec_is_stored_unread(server: HeadraceServer, client: Client, account: str, stream: str) -> None:
    films.put(server, account, stream, HEADER + tracks(3) + cluster(0, block(1), block(2), block(3)), start=time.time())
    selector = {"StartSelectorType": "EARLIEST"}
    payload = client("kinesis-video-media").get_media(StreamName=stream, StartSelector=selector)["Payload"]
    document = films.documents(payload, 1)[0]
    payload.close()
    assert [track.codec_id for track in document.tracks] == ["V_X"] * 3
    assert document.blocks == block(1) + block(2) + block(3)


@pytest.mark.parametrize(
    ("name", "secret", "words"),
    [
        ("none", None, "404 ResourceNotFoundException"),
        ("camera", "wrong", "403 .*Signature"),
        ("a b", None, "400 .*ValidationException|InvalidArgumentException"),
    ],
)
def test_put_media__refuses_the_request(
    server: HeadraceServer, account: str, stream: str, name: str, secret: str | None, words: str
) -> None:
    key, right = account_credentials(ROOT_SECRET, account)
    producer = Producer(server.url, key, secret or right, REGION, name, start=time.time())
    with pytest.raises(PutMediaRefused, match=words):
        list(producer.acknowledgements())
    producer.close()
