"""The remuxing processes: what comes out decodes, and nothing that goes in harms anybody."""

import io
import itertools
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import av
import pytest
from tests.services.video import pictures

from headrace.services.video.engine.remux_pool import BadMedia, Busy, Pool

START_MS = 1_763_877_000_000


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def camera() -> pictures.Video:
    return pictures.video(6.0, audio="aac")


def segments(pool: Pool, fragments: list[bytes], container: str = "mp4", kind: str = "", shift_ms: int = 0) -> list[dict]:
    return [pool.call("segment", media=media, container=container, kind=kind, shift_ms=shift_ms) for media in fragments]


def shown(data: bytes, format: str) -> list[tuple[float, int]]:
    """(time, time burnt in) of each picture, in seconds and milliseconds."""
    with av.open(io.BytesIO(data), format=format) as source:
        return [(frame.time, pictures.time_of(frame)) for frame in source.decode(video=0)]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_segments__have_one_initialisation_and_one_timeline(pool: Pool, b_frames: int) -> None:
    made = segments(pool, pictures.video(6.0, b_frames=b_frames).fragments(START_MS), kind="video")
    assert len({one["init"] for one in made}) == 1
    frames = shown(made[0]["init"] + b"".join(one["media"] for one in made), "mp4")
    assert [burnt for _, burnt in frames] == [40 * count for count in range(150)]
    assert [round(at * 1000) - START_MS for at, _ in frames] == [40 * count for count in range(150)]
    # Alone, each begins where the one before it ended: what a player that jumps into the middle sees.
    frames = shown(made[0]["init"] + made[2]["media"], "mp4")
    assert round(frames[0][0] * 1000) - START_MS == 4000
    assert frames[0][1] == 4000


def test_segments__are_shifted_to_another_clock(pool: Pool, camera: pictures.Video) -> None:
    made = segments(pool, camera.fragments(START_MS), kind="video", shift_ms=70_000)
    assert round(shown(made[0]["init"] + made[0]["media"], "mp4")[0][0] * 1000) == START_MS + 70_000


def test_audio__follows_itself_to_the_sample(pool: Pool, camera: pictures.Video) -> None:
    made = segments(pool, camera.fragments(START_MS), kind="audio")
    with av.open(io.BytesIO(made[0]["init"] + b"".join(one["media"] for one in made)), format="mp4") as source:
        times = [packet.pts for packet in source.demux() if packet.size]
    steps = {after - before for before, after in itertools.pairwise(times)}
    # Within a fragment frames are 1024 samples apart; at its first frame Matroska's rounding to a millisecond shows.
    assert all(abs(step - 1024) <= 48 for step in steps)
    assert len(steps) < 6


def test_transport_stream__holds_all_tracks(pool: Pool, camera: pictures.Video) -> None:
    made = segments(pool, camera.fragments(START_MS), "ts")
    data = b"".join(one["media"] for one in made)
    assert data[0] == data[188] == 0x47
    assert [burnt for _, burnt in shown(data, "mpegts")] == [40 * count for count in range(150)]
    with av.open(io.BytesIO(data), format="mpegts") as source:
        assert [stream.codec_context.name for stream in source.streams] == ["h264", "aac"]


def test_tracks__are_named_as_players_name_them(pool: Pool, camera: pictures.Video) -> None:
    tracks = pool.call("probe", media=camera.fragments()[0])
    assert [track["name"].split(".")[0] for track in tracks] == ["avc1", "mp4a"]
    assert (tracks[0]["width"], tracks[0]["height"]) == (320, 180)
    assert tracks[1]["sample_rate"] == 48000
    hevc = pool.call("probe", media=pictures.video(1.0, codec="libx265").fragments()[0])
    assert hevc[0]["name"].startswith("hvc1.1.6.L")


def clip(pool: Pool, fragments: list[bytes]) -> bytes:
    with pool.one() as remuxer:
        for at, media in enumerate(fragments):
            remuxer.call("clip-add", media=media, first=at == 0)
        size = remuxer.call("clip-end")
        data = b""
        while len(data) < size:
            data += remuxer.more()
    return data


@pytest.mark.parametrize(("codec", "audio"), [("libx264", ""), ("libx264", "aac"), ("libx265", "g711")])
def test_clip__has_every_frame_and_its_index_first(pool: Pool, codec: str, audio: str) -> None:
    data = clip(pool, pictures.video(4.0, codec=codec, audio=audio).fragments(START_MS))
    assert data.index(b"moov") < data.index(b"mdat")
    frames = shown(data, "mp4")
    assert [burnt for _, burnt in frames] == [40 * count for count in range(100)]
    assert [round(at * 1000) for at, _ in frames] == [40 * count for count in range(100)]
    with av.open(io.BytesIO(data)) as source:
        assert source.streams.video[0].duration * source.streams.video[0].time_base == 4
        assert len(source.streams) == (2 if audio else 1)


def test_clip__codec_private_data_may_not_change(pool: Pool) -> None:
    small, large = pictures.video(2.0).fragments(0), pictures.video(2.0, width=480, height=270).fragments(2000)
    with pytest.raises(BadMedia) as caught:
        clip(pool, small + large)
    assert caught.value.kind == "invalid"
    assert clip(pool, small)


def test_images__show_the_time_that_was_asked_for(pool: Pool, camera: pictures.Video) -> None:
    arguments = {"media": camera.fragments(START_MS)[1], "times_ms": [START_MS + at for at in (2000, 2039, 2040, 3999)]}
    made = pool.call("images", **arguments, kind="JPEG", quality=80, width=None, height=None)
    assert [pictures.burnt_in_ms(one) for one in made] == [2000, 2000, 2040, 3960]
    made = pool.call("images", **arguments, kind="PNG", quality=80, width=640, height=360)
    assert [pictures.burnt_in_ms(one) for one in made] == [2000, 2000, 2040, 3960]
    with av.open(io.BytesIO(made[0]), format="png_pipe") as source:
        assert (source.streams.video[0].width, source.streams.video[0].height) == (640, 360)
    sizes = [
        len(pool.call("images", **arguments, kind="JPEG", quality=quality, width=None, height=None)[0])
        for quality in (1, 50, 100)
    ]
    assert sizes == sorted(set(sizes))


def test_images__of_audio_alone_are_none(pool: Pool) -> None:
    media = pictures.video(1.0, codec="", audio="aac").fragments()[0]
    assert pool.call("images", media=media, times_ms=[0], kind="PNG", quality=80, width=None, height=None) == [None]


def test_media__that_cannot_be_played_is_refused_by_kind(pool: Pool) -> None:
    camera = pictures.video(1.0)
    camera.tracks[0].private, private = b"", camera.tracks[0].private
    cases = [("missing", camera.fragments()[0])]
    camera.tracks[0].private = b"\0\0\0\1\x67" + private[8:]
    cases.append(("invalid", camera.fragments()[0]))
    cases.append(("unsupported", pictures.video(1.0, codec="mjpeg").fragments()[0]))
    cases.append(("frame", b"not Matroska"))
    for kind, media in cases:
        with pytest.raises(BadMedia) as caught:
            pool.call("segment", media=media, container="mp4", kind="", shift_ms=0)
        assert caught.value.kind == kind, media[:20]


def test_processes__are_kept_and_replaced_when_they_die(pool: Pool, camera: pictures.Video) -> None:
    media = camera.fragments()[0]
    segments(pool, [media])
    before = pool.started
    segments(pool, [media] * 3)
    assert pool.started == before
    with pool.one() as remuxer:
        remuxer._process.kill()
    assert segments(pool, [media]), "one that died while it was idle is replaced without a word"
    assert segments(pool, [media])
    pool.end_idle(0.0)
    assert segments(pool, [media])


def test_process__that_takes_too_long_is_ended(pool: Pool, camera: pictures.Video) -> None:
    begun = time.monotonic()
    with pytest.raises(ConnectionError), pool.one() as remuxer:
        remuxer.call("segment", 0.001, media=camera.fragments()[0] * 50, container="mp4", kind="", shift_ms=0)
    assert time.monotonic() - begun < 5
    assert remuxer._process.poll() is not None


def test_processes__are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.services.video.engine.remux_pool.PROCESSES_MAX", 1)
    monkeypatch.setattr("headrace.services.video.engine.remux_pool.WAIT_SECONDS_MAX", 0.05)
    small = Pool()
    with small.one(), pytest.raises(Busy), small.one():
        pass
    small.stop()


def test_mutated_media__never_stops_the_pool(pool: Pool, camera: pictures.Video) -> None:
    chance = random.Random(7)
    media = pictures.video(0.4, every=0.4, audio="aac").fragments(START_MS)[0]
    outcomes = set()
    for _ in range(300):
        mutated = bytearray(media)
        for _ in range(chance.randrange(1, 12)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        for job in (
            {"job": "segment", "container": "mp4", "kind": "", "shift_ms": 0},
            {"job": "images", "times_ms": [START_MS], "kind": "JPEG", "quality": 80, "width": 64, "height": 64},
        ):
            try:
                pool.call(**job, media=bytes(mutated))
                outcomes.add("ok")
            except BadMedia as error:
                outcomes.add(error.kind)
    assert "ok" in outcomes
    assert segments(pool, camera.fragments())


ESCAPES = """
import os, socket, sys, threading
from headrace.services.video.engine.remux_confine import confine
held = confine()
def tried(what):
    try:
        what()
    except (OSError, RuntimeError) as error:
        return type(error).__name__
    return "DONE"
os.write(1, repr([held,
    tried(lambda: open("/etc/passwd")), tried(lambda: open("/tmp/x", "w")), tried(socket.socket), tried(os.fork),
    tried(lambda: os.execv("/bin/true", ["true"])), tried(lambda: os.unlink("/tmp/nothing")), tried(lambda: os.kill(1, 0)),
    tried(lambda: threading.Thread(target=print).start()), tried(lambda: os.mkdir("/tmp/headrace-escape")),
]).encode())
"""


def test_confinement__leaves_no_files_no_network_and_no_programs() -> None:
    ran = subprocess.run([sys.executable, "-c", ESCAPES], capture_output=True, check=True, timeout=30)
    held, *tried = eval(ran.stdout)
    assert "filter of system calls" in held
    assert "DONE" not in tried, tried
