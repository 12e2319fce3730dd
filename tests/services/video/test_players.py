"""Players other than browsers: FFmpeg's read the same addresses, and what they read is whole."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import HeadraceServer
from tests.services.video import pictures
from tests.services.video.playing import now_ms, send

Client = Callable[..., Any]
FRAMES = 150


@pytest.fixture
def recorded(server: HeadraceServer, client: Client, account: str) -> dict[str, Any]:
    """The range of six seconds that are in the stream."""
    client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=24)
    start_ms = now_ms() - 20_000
    send(server, account, "camera", pictures.video(6.0, audio="aac"), start_ms)
    within = {"StartTimestamp": start_ms / 1000, "EndTimestamp": start_ms / 1000 + 10}
    return {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": within}


def frames(url: str) -> dict[str, int]:
    """How many frames of each codec can be decoded."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames", "-of", "json", url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr == ""
    streams = json.loads(ran.stdout)["streams"]
    return {one["codec_name"]: int(one["nb_read_frames"]) for one in streams}


@pytest.mark.parametrize("container", ["FRAGMENTED_MP4", "MPEG_TS"])
def test_ffmpeg__decodes_every_frame_of_hls(client: Client, recorded: dict[str, Any], container: str) -> None:
    url = client("kinesis-video-archived-media").get_hls_streaming_session_url(
        StreamName="camera", PlaybackMode="ON_DEMAND", ContainerFormat=container, HLSFragmentSelector=recorded
    )["HLSStreamingSessionURL"]
    found = frames(url)
    assert found["h264"] == FRAMES
    assert found["aac"] == pytest.approx(6 * 48000 / 1024, abs=3)


def test_ffmpeg__decodes_every_frame_of_dash(client: Client, recorded: dict[str, Any]) -> None:
    url = client("kinesis-video-archived-media").get_dash_streaming_session_url(
        StreamName="camera", PlaybackMode="ON_DEMAND", DASHFragmentSelector=recorded
    )["DASHStreamingSessionURL"]
    found = frames(url)
    assert found["h264"] == FRAMES
    assert found["aac"] == pytest.approx(6 * 48000 / 1024, abs=3)
