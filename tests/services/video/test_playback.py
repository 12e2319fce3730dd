"""Sessions for players: what HLS and MPEG-DASH give, and what they refuse."""

import io
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import av
import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer
from tests.services.video import pictures
from tests.services.video.playing import Playlist, fetch, now_ms, renditions, send

Client = Callable[..., Any]
PRODUCER = "PRODUCER_TIMESTAMP"
NAMESPACE = {"mpd": "urn:mpeg:dash:schema:mpd:2011"}


@pytest.fixture(scope="module")
def film() -> pictures.Video:
    return pictures.video(8.0, every=1.0, audio="aac")


@pytest.fixture
def stream(client: Client) -> str:
    client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=24)
    return "camera"


@pytest.fixture
def hls(client: Client, stream: str) -> Callable[..., str]:
    """hls(mode, start, end) opens a session; its address."""

    def open_session(mode: str = "LIVE", start_ms: int = 0, end_ms: int | None = None, kind: str = PRODUCER, **more: Any) -> str:
        selector: dict[str, Any] = {"FragmentSelectorType": kind}
        if start_ms:
            selector["TimestampRange"] = {"StartTimestamp": start_ms / 1000}
            if end_ms:
                selector["TimestampRange"]["EndTimestamp"] = end_ms / 1000
        answer = client("kinesis-video-archived-media").get_hls_streaming_session_url(
            StreamName=stream, PlaybackMode=mode, HLSFragmentSelector=selector, **more
        )
        return str(answer["HLSStreamingSessionURL"])

    return open_session


@pytest.fixture
def recorded(server: HeadraceServer, account: str, stream: str, film: pictures.Video) -> int:
    """Eight seconds are in the stream; when they begin."""
    start_ms = now_ms() - 20_000
    send(server, account, stream, film, start_ms)
    return start_ms


def shown(data: bytes, format: str = "mp4") -> list[tuple[int, int]]:
    """(milliseconds, time burnt in) of each picture."""
    with av.open(io.BytesIO(data), format=format) as source:
        return [(round(frame.time * 1000), pictures.time_of(frame)) for frame in source.decode(video=0)]


def test_hls__on_demand_gives_every_frame_of_the_range(hls: Callable[..., str], recorded: int) -> None:
    master = hls("ON_DEMAND", recorded + 1000, recorded + 4000, DisplayFragmentTimestamp="ALWAYS")
    text = fetch(master).decode()
    assert 'CODECS="avc1.42c00c,mp4a.40.2"' in text
    assert "RESOLUTION=320x180,FRAME-RATE=25.000" in text
    picture, sound = renditions(master)
    playlist = Playlist(picture)
    assert playlist.ended
    assert playlist.durations == pytest.approx([1.0, 1.0, 1.0, 1.0], abs=0.06)
    assert len(playlist.inits) == 1
    assert playlist.breaks == 0
    assert len(playlist.times) == 4
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in playlist.text
    assert shown(playlist.media()) == [(recorded + at, at) for at in range(1000, 5000, 40)]
    with av.open(io.BytesIO(Playlist(sound).media()), format="mp4") as source:
        assert [one.codec_context.name for one in source.streams] == ["aac"]
        assert sum(frame.samples for frame in source.decode(audio=0)) == pytest.approx(4 * 48000, abs=2048)


def test_hls__transport_stream_holds_both_tracks(hls: Callable[..., str], recorded: int) -> None:
    (playlist,) = map(Playlist, renditions(hls("ON_DEMAND", recorded, recorded + 2000, ContainerFormat="MPEG_TS")))
    assert not playlist.inits
    data = playlist.media()
    assert [burnt for _, burnt in shown(data, "mpegts")] == list(range(0, 3000, 40))
    with av.open(io.BytesIO(data), format="mpegts") as source:
        assert [one.codec_context.name for one in source.streams] == ["h264", "aac"]


def test_hls__live_playlist_slides(
    server: HeadraceServer, account: str, stream: str, film: pictures.Video, hls: Callable[..., str]
) -> None:
    start_ms = now_ms() - 8000
    send(server, account, stream, film, start_ms, which=range(4))
    picture = renditions(hls("LIVE", MaxMediaPlaylistFragmentResults=3))[0]
    before = Playlist(picture)
    assert (before.sequence, len(before.segments), before.ended) == (0, 3, False)
    send(server, account, stream, film, start_ms, which=[4, 5])
    after = Playlist(picture)
    assert (after.sequence, len(after.segments)) == (2, 3)
    assert after.segments[0] == before.segments[2]
    assert shown(after.media())[0] == (start_ms + 3000, 3000)
    # One that is older than the newest is not added, and what slid out can be had a while longer.
    send(server, account, stream, film, start_ms, which=[2])
    assert Playlist(picture).segments == after.segments
    assert fetch(before.segments[0])


def test_hls__replay_grows_as_time_goes_on(server: HeadraceServer, hls: Callable[..., str], recorded: int) -> None:
    picture = renditions(hls("LIVE_REPLAY", recorded, MaxMediaPlaylistFragmentResults=3))[0]
    before = Playlist(picture)
    assert (before.sequence, len(before.segments)) == (0, 3)
    server.advance(2.05)
    after = Playlist(picture)
    assert 2 <= after.sequence <= 3
    assert after.segments[0] == (before.segments[2] if after.sequence == 2 else after.segments[0])
    server.advance(10)
    last = Playlist(picture)
    assert (last.sequence, len(last.segments), last.ended) == (5, 3, False)


def test_hls__discontinuities_stand_where_they_are_wanted(
    server: HeadraceServer, account: str, stream: str, film: pictures.Video, hls: Callable[..., str]
) -> None:
    start_ms = now_ms() - 20_000
    send(server, account, stream, film, start_ms, which=[0, 1, 4, 5])
    counts = {}
    for mode in ("ALWAYS", "NEVER", "ON_DISCONTINUITY"):
        picture = renditions(hls("ON_DEMAND", start_ms, start_ms + 8000, DiscontinuityMode=mode))[0]
        counts[mode] = Playlist(picture).breaks
    assert counts == {"ALWAYS": 3, "NEVER": 0, "ON_DISCONTINUITY": 1}
    default = renditions(hls("LIVE", kind="SERVER_TIMESTAMP"))[0]
    assert Playlist(default).breaks == 3


def test_hls__of_fragments_with_one_time_the_newest_is_shown(
    server: HeadraceServer, account: str, stream: str, film: pictures.Video, hls: Callable[..., str]
) -> None:
    start_ms = now_ms() - 20_000
    send(server, account, stream, film, start_ms, which=[0, 1])
    (again,) = send(server, account, stream, film, start_ms, which=[1])
    playlist = Playlist(renditions(hls("ON_DEMAND", start_ms, start_ms + 8000))[0])
    assert len(playlist.segments) == 2
    assert again in playlist.segments[1]


def test_token__opens_its_session_and_nothing_else(
    server: HeadraceServer, client: Client, account: str, stream: str, hls: Callable[..., str], recorded: int
) -> None:
    numbers = [one["FragmentNumber"] for one in _archive(client).list_fragments(StreamName=stream)["Fragments"]]
    master = hls("ON_DEMAND", recorded, recorded + 1000)
    playlist = Playlist(renditions(master)[0])
    inside = next(number for number in numbers if number in playlist.segments[0])
    outside = next(number for number in numbers if not any(number in url for url in playlist.segments))
    assert _status(playlist.segments[0]) == 200
    assert _status(playlist.segments[0].replace(inside, outside)) == 404
    assert _status(master[:-1] + ("A" if master[-1] != "A" else "B")) == 403
    assert _status(master.replace("hls/v1/getHLSMasterPlaylist.m3u8", "dash/v1/getDASHManifest.mpd")) == 403
    server.advance(301)
    assert _status(master) == 403
    assert _status(playlist.segments[0]) == 403


def test_sessions__of_a_stream_are_ten_and_the_oldest_is_closed(hls: Callable[..., str], recorded: int) -> None:
    opened = [hls("ON_DEMAND", recorded, recorded + 1000) for _ in range(11)]
    assert [_status(url) for url in (opened[0], opened[1], opened[10])] == [403, 200, 200]


def test_sessions__end_with_their_stream(client: Client, stream: str, hls: Callable[..., str], recorded: int) -> None:
    master = hls("ON_DEMAND", recorded, recorded + 1000)
    video = client("kinesisvideo")
    video.delete_stream(StreamARN=video.describe_stream(StreamName=stream)["StreamInfo"]["StreamARN"])
    video.create_stream(StreamName=stream, DataRetentionInHours=24)
    assert _status(master) == 403


def test_segments__may_be_fetched_by_any_page(hls: Callable[..., str], recorded: int) -> None:
    master = hls("ON_DEMAND", recorded, recorded + 1000)
    with urllib.request.urlopen(urllib.request.Request(master, headers={"Origin": "https://elsewhere.example"})) as answer:
        assert answer.headers["access-control-allow-origin"] == "*"


def test_player_page__loads_only_what_is_its_own(hls: Callable[..., str], recorded: int) -> None:
    page = hls("ON_DEMAND", recorded, recorded + 1000).replace("getHLSMasterPlaylist.m3u8", "player.html")
    with urllib.request.urlopen(page) as answer:
        text = answer.read().decode()
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "TOKEN" not in text
    assert b"hls.js 1.7.4" in fetch(urljoin(page, text.split('<script src="')[1].split('"')[0]))


def _archive(client: Client) -> Any:
    return client("kinesis-video-archived-media")


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def _range(start_ms: int, end_ms: int | None = None, kind: str = PRODUCER) -> dict[str, Any]:
    within: dict[str, Any] = {"StartTimestamp": start_ms / 1000}
    if end_ms is not None:
        within["EndTimestamp"] = end_ms / 1000
    return {"FragmentSelectorType": kind, "TimestampRange": within}


def test_sessions__are_refused_as_by_aws(client: Client, stream: str, recorded: int) -> None:
    open_hls = _archive(client).get_hls_streaming_session_url
    client("kinesisvideo").create_stream(StreamName="unkept")
    cases: list[tuple[str, dict[str, Any]]] = [
        ("InvalidArgumentException", {}),
        ("ResourceNotFoundException", {"StreamName": "nobody"}),
        ("NoDataRetentionException", {"StreamName": "unkept"}),
        ("InvalidArgumentException", {"StreamName": stream, "PlaybackMode": "ON_DEMAND"}),
        ("InvalidArgumentException", {"StreamName": stream, "PlaybackMode": "LIVE", "HLSFragmentSelector": _range(recorded)}),
    ]
    for start_ms, end_ms, kind in (
        (recorded, None, PRODUCER), (recorded, recorded, PRODUCER), (recorded, recorded - 1, PRODUCER),
        (recorded, recorded + 86_401_000, PRODUCER), (now_ms(), now_ms() + 10**7, "SERVER_TIMESTAMP"),
        (recorded - 10**9, now_ms() - 1000, "SERVER_TIMESTAMP"),
    ):  # fmt: skip
        asked = {"StreamName": stream, "PlaybackMode": "ON_DEMAND", "HLSFragmentSelector": _range(start_ms, end_ms, kind)}
        cases.append(("InvalidArgumentException", asked))
    empty = {"StreamName": stream, "PlaybackMode": "ON_DEMAND", "HLSFragmentSelector": _range(recorded - 10**6, recorded - 10**5)}
    cases.append(("ResourceNotFoundException", empty))
    for code, asked in cases:
        assert _code(open_hls, **asked) == code, asked


def test_live__needs_fragments_of_the_last_half_minute(
    server: HeadraceServer, client: Client, stream: str, recorded: int
) -> None:
    server.advance(60)
    assert _code(_archive(client).get_hls_streaming_session_url, StreamName=stream) == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("UnsupportedStreamMediaTypeException", {"codec": "mjpeg"}),
        ("UnsupportedStreamMediaTypeException", {"audio": "g711"}),
        ("MissingCodecPrivateDataException", {"private": b""}),
        ("InvalidCodecPrivateDataException", {"private": b"\0\0\0\1\x67\x42\x00\x1f"}),
    ],
)
def test_media__that_players_do_not_take_is_refused(
    server: HeadraceServer, client: Client, account: str, stream: str, code: str, change: dict[str, Any]
) -> None:
    private = change.pop("private", None)
    film = pictures.video(1.0, **change)
    if private is not None:
        film.tracks[0].private = private
    send(server, account, stream, film, now_ms() - 1000)
    assert _code(_archive(client).get_hls_streaming_session_url, StreamName=stream) == code


def test_dash__manifest_leads_to_every_frame(client: Client, stream: str, recorded: int) -> None:
    manifest = _archive(client).get_dash_streaming_session_url(
        StreamName=stream, PlaybackMode="ON_DEMAND", DisplayFragmentNumber="ALWAYS", DisplayFragmentTimestamp="ALWAYS",
        DASHFragmentSelector=_range(recorded + 2000, recorded + 5000),
    )["DASHStreamingSessionURL"]  # fmt: skip
    root = ElementTree.fromstring(fetch(manifest))
    assert root.get("type") == "static"
    assert root.get("mediaPresentationDuration", "").startswith("PT4.0")
    sets = root.findall(".//mpd:AdaptationSet", NAMESPACE)
    assert [one.get("contentType") for one in sets] == ["video", "audio"]
    template = sets[0].find(".//mpd:SegmentTemplate", NAMESPACE)
    assert template is not None
    steps = template.findall(".//mpd:S", NAMESPACE)
    own = "{http://amazonaws.com/kinesisvideo}"
    assert [int(one.get(own + "ts", "")) for one in steps] == [recorded + at for at in range(2000, 6000, 1000)]
    assert all(len(one.get(own + "fn", "")) == 47 for one in steps)
    first = int(template.get("startNumber", ""))
    media = fetch(urljoin(manifest, template.get("initialization", "")))
    for number in range(first, first + len(steps)):
        media += fetch(urljoin(manifest, template.get("media", "").replace("$Number$", str(number))))
    # Its time begins with 0, as the manifest says, whatever the producer's was.
    assert shown(media) == [(at - 2000, at) for at in range(2000, 6000, 40)]


def test_codec_private_data__may_change_in_hls_and_not_in_dash(
    server: HeadraceServer, client: Client, account: str, stream: str, hls: Callable[..., str]
) -> None:
    start_ms = now_ms() - 20_000
    send(server, account, stream, pictures.video(2.0, every=1.0), start_ms)
    send(server, account, stream, pictures.video(1.0, width=480, height=270), start_ms + 2000)
    playlist = Playlist(renditions(hls("ON_DEMAND", start_ms, start_ms + 5000))[0])
    assert len(playlist.inits) == 2
    assert len(shown(fetch(playlist.inits[0]) + b"".join(map(fetch, playlist.segments[:2])))) == 50
    with av.open(io.BytesIO(fetch(playlist.inits[1]) + fetch(playlist.segments[2])), format="mp4") as source:
        assert source.streams.video[0].width == 480
    manifest = _archive(client).get_dash_streaming_session_url(
        StreamName=stream, PlaybackMode="ON_DEMAND", DASHFragmentSelector=_range(start_ms, start_ms + 5000)
    )["DASHStreamingSessionURL"]
    template = ElementTree.fromstring(fetch(manifest)).find(".//mpd:SegmentTemplate", NAMESPACE)
    assert template is not None
    urls = [urljoin(manifest, template.get("media", "").replace("$Number$", str(number))) for number in range(3)]
    assert [_status(url) for url in urls] == [200, 200, 400]


def test_hls__of_sound_alone(server: HeadraceServer, account: str, stream: str, hls: Callable[..., str]) -> None:
    start_ms = now_ms() - 20_000
    send(server, account, stream, pictures.video(2.0, codec="", audio="aac"), start_ms)
    master = hls("ON_DEMAND", start_ms, start_ms + 5000)
    assert 'CODECS="mp4a.40.2"' in fetch(master).decode()
    (playlist,) = map(Playlist, renditions(master))
    with av.open(io.BytesIO(playlist.media()), format="mp4") as source:
        assert sum(frame.samples for frame in source.decode(audio=0)) == pytest.approx(2 * 48000, abs=2048)


def test_dash__live_manifest_slides(
    server: HeadraceServer, client: Client, account: str, stream: str, film: pictures.Video
) -> None:
    start_ms = now_ms() - 8000
    send(server, account, stream, film, start_ms, which=range(4))
    manifest = _archive(client).get_dash_streaming_session_url(
        StreamName=stream, DASHFragmentSelector={"FragmentSelectorType": PRODUCER}, MaxManifestFragmentResults=2
    )["DASHStreamingSessionURL"]

    def numbers() -> tuple[int, int, int]:
        root = ElementTree.fromstring(fetch(manifest))
        assert root.get("type") == "dynamic"
        template = root.find(".//mpd:SegmentTemplate", NAMESPACE)
        assert template is not None
        steps = template.findall(".//mpd:S", NAMESPACE)
        return int(template.get("startNumber", "")), int(steps[0].get("t", "")), len(steps)

    assert numbers() == (0, 0, 2)
    send(server, account, stream, film, start_ms, which=[4])
    assert numbers() == (1, 1000, 2)


def test_session__outlives_the_server(tmp_path: Path, film: pictures.Video) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        account = "000000000000"
        server.client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=1)
        start_ms = now_ms() - 8000
        send(server, account, "camera", film, start_ms, which=range(6))
        master = server.client("kinesis-video-archived-media").get_hls_streaming_session_url(
            StreamName="camera", HLSFragmentSelector={"FragmentSelectorType": PRODUCER}, MaxMediaPlaylistFragmentResults=3
        )["HLSStreamingSessionURL"]
        before = Playlist(renditions(master)[0])
        send(server, account, "camera", film, start_ms, which=[6])
        middle = Playlist(renditions(master)[0])
        data = middle.media()
        server.kill()
        server.start()
        after = Playlist(renditions(master)[0])
        assert (before.sequence, middle.sequence) == (0, 1)
        assert (after.sequence, after.segments) == (middle.sequence, middle.segments)
        assert after.media() == data
    finally:
        server.stop()
