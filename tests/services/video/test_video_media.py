"""PutMedia and GetMedia: what goes in comes out, live, from any place, after anything."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.services.video import films

from conftest import HeadraceServer, eventually

Client = Callable[..., Any]


@pytest.fixture
def stream(client: Client) -> str:
    client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=24)
    return "camera"


def get(client: Client, stream: str, kind: str = "EARLIEST", **selector: Any) -> Any:
    return client("kinesis-video-media").get_media(StreamName=stream, StartSelector={"StartSelectorType": kind, **selector})[
        "Payload"
    ]


@pytest.mark.parametrize("step", [1 << 20, 1000, 77])
@pytest.mark.parametrize("unknown", [False, True])
def test_put_media__acknowledges_each_fragment_in_order(
    server: HeadraceServer, client: Client, account: str, stream: str, unknown: bool, step: int
) -> None:
    film = films.film(6)
    start = round(time.time(), 3)
    found = films.put(server, account, stream, films.of_unknown_sizes(film) if unknown else film, step=step, start=start)
    assert list(films.events(found)) == ["BUFFERING", "RECEIVED", "PERSISTED"] * 3
    assert [one["FragmentTimecode"] for one in found] == [0] * 3 + [2000] * 3 + [4000] * 3
    numbers = [one["FragmentNumber"] for one in found[::3]]
    assert numbers == sorted(numbers)
    assert {len(number) for number in numbers} == {47}
    shown = client("kinesis-video-archived-media").list_fragments(StreamName=stream)["Fragments"]
    assert [one["FragmentNumber"] for one in shown] == numbers
    assert [one["FragmentLengthInMilliseconds"] for one in shown] == [2000] * 3
    assert [round(one["ProducerTimestamp"].timestamp() - start, 3) for one in shown] == [0, 2, 4]
    assert [one["FragmentSizeInBytes"] for one in shown] == [len(one) for one in films.clusters(film)]


def test_get_media__gives_back_the_bytes(server: HeadraceServer, client: Client, account: str, stream: str) -> None:
    film = films.film(6, audio=True)
    start = 1_700_000_000.25
    numbers = [one["FragmentNumber"] for one in films.put(server, account, stream, film, start=start)[::3]]
    payload = get(client, stream)
    found = films.documents(payload, 3)
    payload.close()
    assert [one.blocks for one in found] == films.clusters(film)
    # The clusters' own, which audio can begin a little later.
    times = [one.timecode for one in found]
    assert times == films.timecodes(film)
    assert [one.tags["AWS_KINESISVIDEO_FRAGMENT_NUMBER"] for one in found] == numbers
    assert [one.tags["AWS_KINESISVIDEO_CONTINUATION_TOKEN"] for one in found] == numbers
    assert [one.tags["AWS_KINESISVIDEO_PRODUCER_TIMESTAMP"] for one in found] == [f"{start + at / 1000:.3f}" for at in times]
    assert (
        int(found[0].tags["AWS_KINESISVIDEO_MILLIS_BEHIND_NOW"]) >= int(found[2].tags["AWS_KINESISVIDEO_MILLIS_BEHIND_NOW"]) == 0
    )
    assert abs(float(found[2].tags["AWS_KINESISVIDEO_SERVER_TIMESTAMP"]) - server.page("/_headrace/clock")["now"]) < 60
    assert [(track.codec_id, bool(track.codec_private)) for track in found[0].tracks] == [
        ("V_MPEG4/ISO/AVC", True),
        ("A_AAC", True),
    ]


def test_get_media__is_read_by_ffprobe(server: HeadraceServer, client: Client, account: str, stream: str, tmp_path: Path) -> None:
    numbers = [one["FragmentNumber"] for one in films.put(server, account, stream, films.film(6), start=time.time())[::3]]
    archive = client("kinesis-video-archived-media")
    path = tmp_path / "media.mkv"
    answer = archive.get_media_for_fragment_list(StreamName=stream, Fragments=numbers[1:2])
    assert answer["ContentType"] == "video/webm"
    path.write_bytes(answer["Payload"].read())
    assert films.probe(path) == ["h264,60"]
    path.write_bytes(archive.get_media_for_fragment_list(StreamName=stream, Fragments=numbers)["Payload"].read())
    # As on AWS each fragment is a segment of its own. ffprobe goes on behind the first one, and says so.
    assert films.probe(path, may_say="Found unknown-length element with ID 0x18538067") == ["h264,180"]


def test_get_media__follows_the_producer(server: HeadraceServer, client: Client, account: str, stream: str) -> None:
    film = films.film(6)
    parts = [films.head(film), *(header + content for kind, header, content in films.split(film) if kind == films.ebml.CLUSTER)]
    producer = films.connect(server, account, stream, start=time.time())
    acknowledgements = producer.acknowledgements()
    payload = get(client, stream)
    for number, part in enumerate(parts[1:]):
        producer.send((parts[0] if not number else b"") + part)
        assert [next(acknowledgements)["EventType"] for _ in range(3)] == ["BUFFERING", "RECEIVED", "PERSISTED"]
        began = time.monotonic()
        assert films.documents(payload, 1)[0].timecode == number * 2000
        assert time.monotonic() - began < 0.9, "the reader was not woken, but looked by itself"
    producer.finish()
    assert list(acknowledgements) == []
    payload.close()
    producer.close()


def test_get_media__starts_where_it_is_told(server: HeadraceServer, client: Client, account: str, stream: str) -> None:
    start = time.time() - 100
    found = films.put(server, account, stream, films.film(6), start=start)
    numbers = [one["FragmentNumber"] for one in found[::3]]
    listed = client("kinesis-video-archived-media").list_fragments(StreamName=stream)["Fragments"]

    def first(kind: str, **selector: Any) -> str:
        payload = get(client, stream, kind, **selector)
        number = films.documents(payload, 1)[0].tags["AWS_KINESISVIDEO_FRAGMENT_NUMBER"]
        payload.close()
        return number

    assert first("EARLIEST") == numbers[0]
    assert first("NOW") == numbers[2]
    assert first("FRAGMENT_NUMBER", AfterFragmentNumber=numbers[0]) == numbers[1]
    assert first("CONTINUATION_TOKEN", ContinuationToken=numbers[1]) == numbers[2]
    assert first("PRODUCER_TIMESTAMP", StartTimestamp=start + 2.5) == numbers[1]
    assert first("PRODUCER_TIMESTAMP", StartTimestamp=start - 5) == numbers[0]
    assert first("SERVER_TIMESTAMP", StartTimestamp=listed[0]["ServerTimestamp"].timestamp() - 1) == numbers[0]


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"StartSelectorType": "FRAGMENT_NUMBER"}, "AfterFragmentNumber is required"),
        ({"StartSelectorType": "PRODUCER_TIMESTAMP"}, "StartTimestamp is required"),
        ({"StartSelectorType": "CONTINUATION_TOKEN", "ContinuationToken": "x"}, "not valid"),
    ],
)
def test_get_media__refuses_what_is_no_start(client: Client, stream: str, selector: dict[str, str], words: str) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        client("kinesis-video-media").get_media(StreamName=stream, StartSelector=selector)
    assert refused.value.response["Error"]["Code"] == "InvalidArgumentException"


def test_get_media__says_that_a_fragment_is_not_there(client: Client, stream: str) -> None:
    number = str((1 << 156) + (5 << 64))
    data = get(client, stream, "FRAGMENT_NUMBER", AfterFragmentNumber=number).read()
    tags = dict(films.matroska.parse_tags(films.split(data)[-1][2]))
    assert tags["AWS_KINESISVIDEO_ERROR_ID"] == "4000"
    media = client("kinesis-video-archived-media").get_media_for_fragment_list(StreamName=stream, Fragments=[number])
    tags = dict(films.matroska.parse_tags(films.split(media["Payload"].read())[-1][2]))
    assert tags["AWS_KINESISVIDEO_FRAGMENT_NUMBER"] == number
    assert tags["AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE"] == "4000"


def test_put_media__a_producer_that_drops_loses_the_open_fragment_alone(
    server: HeadraceServer, client: Client, account: str, stream: str
) -> None:
    film = films.film(6)
    for data in (film, films.of_unknown_sizes(film)):
        producer = films.connect(server, account, stream, start=time.time())
        acknowledgements = producer.acknowledgements()
        producer.send(data[: len(data) - 20_000])
        seen = []
        while seen.count("PERSISTED") < 2:
            seen.append(next(acknowledgements)["EventType"])
        producer.close()
    archive = client("kinesis-video-archived-media")
    films.put(server, account, stream, film, start=time.time())
    assert len(archive.list_fragments(StreamName=stream)["Fragments"]) == 2 + 2 + 3


def test_put_media__a_stream_that_is_deleted_lets_its_producer_and_reader_go(
    server: HeadraceServer, client: Client, account: str, stream: str
) -> None:
    video = client("kinesisvideo")
    film = films.film(6)
    producer = films.connect(server, account, stream, start=time.time())
    acknowledgements = producer.acknowledgements()
    producer.send(film[: len(film) // 2])
    assert [next(acknowledgements)["EventType"] for _ in range(3)] == ["BUFFERING", "RECEIVED", "PERSISTED"]
    payload = get(client, stream)
    video.delete_stream(StreamARN=video.describe_stream(StreamName=stream)["StreamInfo"]["StreamARN"])
    assert payload.read()[-1:] != b""
    try:
        producer.send(film[len(film) // 2 :])
        producer.finish()
    except OSError:
        pass
    assert (last := list(acknowledgements)[-1])["ErrorCode"] == "STREAM_NOT_ACTIVE"
    assert last["ErrorId"] == 4008
    producer.close()
    with pytest.raises(ClientError, match="does not exist"):
        get(client, stream)


def test_put_media__without_retention_is_received_and_not_persisted(server: HeadraceServer, client: Client, account: str) -> None:
    client("kinesisvideo").create_stream(StreamName="passing")
    found = films.put(server, account, "passing", films.film(6), start=time.time())
    assert list(films.events(found)) == ["BUFFERING", "RECEIVED"] * 3
    payload = get(client, "passing")
    assert len(films.documents(payload, 3)) == 3
    payload.close()


def test_put_media__two_producers_of_one_stream(server: HeadraceServer, client: Client, account: str, stream: str) -> None:
    film = films.film(6)
    parts = [films.head(film), *(header + content for kind, header, content in films.split(film) if kind == films.ebml.CLUSTER)]
    first = films.connect(server, account, stream, start=time.time() - 50)
    second = films.connect(server, account, stream, start=time.time())
    for producer in (first, second):
        producer.send(parts[0])
    answers = [first.acknowledgements(), second.acknowledgements()]
    first.send(parts[1][:5000])
    assert next(answers[0])["EventType"] == "BUFFERING"
    second.send(parts[1])
    assert [next(answers[1])["EventType"] for _ in range(3)][-1] == "PERSISTED"
    payload = get(client, stream)
    assert len(films.documents(payload, 1)) == 1
    # The first one's fragment has the smaller number, and comes behind the reader's place all the same.
    first.send(parts[1][5000:])
    assert [next(answers[0])["EventType"] for _ in range(2)] == ["RECEIVED", "PERSISTED"]
    assert len(films.documents(payload, 1)) == 1
    payload.close()
    for producer in (first, second):
        producer.finish()
        producer.close()


def test_retention__trims_the_index_and_the_bytes(tmp_path: Path, account: str) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        video, archive = server.client("kinesisvideo", account), server.client("kinesis-video-archived-media", account)
        arn = video.create_stream(StreamName="kept", DataRetentionInHours=2)["StreamARN"]
        films.put(server, account, "kept", films.film(6), start=time.time())
        assert len(archive.list_fragments(StreamName="kept")["Fragments"]) == 3
        files = tmp_path / "data" / "blobs" / "spaces" / "video"
        assert sum(path.is_file() for path in files.rglob("*")) == 3
        server.advance(3600)
        films.put(server, account, "kept", films.film(6), start=time.time() + 3600)
        server.advance(3700)
        eventually(lambda: len(archive.list_fragments(StreamName="kept")["Fragments"]) == 3)
        eventually(lambda: sum(path.is_file() for path in files.rglob("*")) == 3)
        video.delete_stream(StreamARN=arn)
        eventually(lambda: sum(path.is_file() for path in files.rglob("*")) == 0)
    finally:
        server.stop()
