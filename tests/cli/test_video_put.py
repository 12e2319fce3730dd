"""`headrace video put`: a file and a picture of ours become fragments, and each acknowledgement a line."""

import json
import time
from pathlib import Path
from typing import Any

from tests.cli.test_commands import headrace, where
from tests.services.video import films

from conftest import HeadraceServer


def test_put__a_file(server: HeadraceServer, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(films.film(6, audio=True))
    name = f"put-{time.time_ns()}"
    ran = headrace("video", "put", name, str(film), "--create", "24", "--json", environment=where(server))
    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert list(films.events(told)) == ["BUFFERING", "RECEIVED", "PERSISTED"] * 3
    listed = server.client("kinesis-video-archived-media").list_fragments(StreamName=name)["Fragments"]
    # A file that is sent at once ends now.
    assert abs(listed[0]["ProducerTimestamp"].timestamp() + 6 - time.time()) < 30
    numbers = [one["FragmentNumber"] for one in listed]
    media = server.client("kinesis-video-archived-media").get_media_for_fragment_list(StreamName=name, Fragments=numbers)
    tracks = films.fragments(media["Payload"], 3)[0].tracks
    assert [track.codec_id for track in tracks] == ["V_MPEG4/ISO/AVC", "A_AAC"]


def test_put__a_test_picture_for_people(server: HeadraceServer) -> None:
    name = f"put-{time.time_ns()}"
    arguments: list[Any] = ["video", "put", name, "test", "--create", "1", "--seconds", "2.5", "--fragment-seconds", "1"]
    ran = headrace(*arguments, environment=where(server))
    assert ran.returncode == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["BUFFERING", "RECEIVED", "PERSISTED"] * 3


def test_put__says_what_is_wrong(server: HeadraceServer, tmp_path: Path) -> None:
    ran = headrace("video", "put", "no-such-stream", "test", environment=where(server))
    assert ran.returncode == 1
    assert "does not exist" in ran.stderr
    ran = headrace("video", "put", "any", str(tmp_path / "none.mp4"), "--create", "1", environment=where(server))
    assert ran.returncode == 1
    assert "none.mp4" in ran.stderr
