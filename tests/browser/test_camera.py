"""The story of a camera: sent, watched in a browser, read, cut and looked at; and all of it is still there after a SIGKILL.

`HEADRACE_STORY_SECONDS` says how long the camera runs before the server is killed; 60 is the whole story.
"""

import base64
import contextlib
import io
import os
import time
from pathlib import Path
from typing import Any

import av
from tests.browser.test_browser import Camera, browser
from tests.conftest import HeadraceServer
from tests.services.video import films, pictures

STORY_SECONDS = int(os.environ.get("HEADRACE_STORY_SECONDS", "12"))
ACCOUNT = "000000000000"
FRAME_MS = 40


def _within(start_ms: int, seconds: int) -> dict[str, Any]:
    """The fragments that begin in the first seconds of a camera."""
    span = {"StartTimestamp": start_ms / 1000, "EndTimestamp": start_ms / 1000 + seconds - 0.001}
    return {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": span}


def _burnt(clip: bytes) -> list[int]:
    with av.open(io.BytesIO(clip)) as source:
        return [pictures.time_of(frame) for frame in source.decode(video=0)]


def test_camera__is_watched_read_cut_and_kept(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        server.client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=1)
        camera = Camera(server, ACCOUNT, "camera")
        time.sleep(4.0)
        archive = server.client("kinesis-video-archived-media")
        url = archive.get_hls_streaming_session_url(
            StreamName="camera", HLSFragmentSelector={"FragmentSelectorType": "PRODUCER_TIMESTAMP"}
        )["HLSStreamingSessionURL"]
        seen = browser("hls", page=url.replace("getHLSMasterPlaylist.m3u8", "player.html"), seconds=4)
        assert seen["second"]["frames"] > seen["first"]["frames"]
        time.sleep(max(0.0, camera.start_ms / 1000 + STORY_SECONDS + 1.5 - time.time()))
        earliest = {"StartSelectorType": "EARLIEST"}
        media = server.client("kinesis-video-media").get_media(StreamName="camera", StartSelector=earliest)["Payload"]
        assert len(films.documents(media, STORY_SECONDS)) == STORY_SECONDS
        media.close()
        numbers = [one["FragmentNumber"] for one in archive.list_fragments(StreamName="camera")["Fragments"]]
        first = archive.get_media_for_fragment_list(StreamName="camera", Fragments=[min(numbers)])["Payload"].read()
        (tmp_path / "first.mkv").write_bytes(first)
        assert films.probe(tmp_path / "first.mkv")[0] == "h264,25"
        server.kill()
        with contextlib.suppress(OSError):
            camera.stop()
        server.start()
        archive = server.client("kinesis-video-archived-media")
        second = Camera(server, ACCOUNT, "camera", 4.0)
        time.sleep(5.0)
        second.stop()
        # Of the first camera all that was there before the kill, of the second what came after it.
        for start_ms, seconds in ((camera.start_ms, STORY_SECONDS), (second.start_ms, 3)):
            clip = archive.get_clip(StreamName="camera", ClipFragmentSelector=_within(start_ms, seconds))["Payload"].read()
            assert _burnt(clip) == list(range(0, seconds * 1000, FRAME_MS))
        images = archive.get_images(
            StreamName="camera", ImageSelectorType="PRODUCER_TIMESTAMP", StartTimestamp=camera.start_ms / 1000,
            EndTimestamp=camera.start_ms / 1000 + 3.9, SamplingInterval=1000, Format="JPEG",
        )["Images"]  # fmt: skip
        assert [pictures.burnt_in_ms(base64.b64decode(one["ImageContent"])) for one in images] == [0, 1000, 2000, 3000]
    finally:
        server.stop()
