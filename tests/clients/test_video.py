"""AWS's Java clients of Kinesis Video: its PutMedia client sends, its parser library reads what GetMedia gives."""

from collections.abc import Callable
from pathlib import Path

from tests.services.video import films

from clients.programs import BUILD, java
from conftest import HeadraceServer


def test_java__puts_and_parses(server: HeadraceServer, run: Callable[..., str], tmp_path: Path) -> None:
    server.client("kinesisvideo").create_stream(StreamName="java-video", DataRetentionInHours=24)
    # The library is done with a fragment when the next one begins: so there is one more.
    film = films.film(8)
    (tmp_path / "film.mkv").write_bytes(film)
    merged = tmp_path / "merged.mkv"
    command = java("headrace.Video", "java-video", str(tmp_path / "film.mkv"), "3", str(merged), folder=BUILD / "video")
    said = [line.split() for line in run(*command).splitlines()]
    acknowledged = [line for line in said if len(line) == 3]
    assert [kind for kind, *_ in acknowledged] == ["BUFFERING", "RECEIVED", "PERSISTED"] * 4
    numbers = [number for _, _, number in acknowledged[::3]]
    parsed = [line[1:] for line in said if line[0] == "fragment"]
    start = 1_700_000_000_000
    assert parsed == [[number, str(start + at), "60", number] for number, at in zip(numbers[:3], (0, 2000, 4000), strict=True)]
    # The library makes one segment of them, in which ffprobe finds nothing to complain of.
    assert films.probe(merged) == ["h264,180"]
