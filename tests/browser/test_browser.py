"""A real Chromium plays what a producer sends, and connects two WebRTC peers through our signaling.

`make browser` runs these: they need Chromium, Node.js, and the packages that it takes into build/browser.
"""

import contextlib
import datetime
import ipaddress
import json
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.conftest import REGION, ROOT_SECRET, HeadraceServer
from tests.services.video import pictures

from headrace.cli.video_producer import Producer
from headrace.kit.accounts import account_credentials

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "browser" / "screenshots"


def browser(what: str, on_playing: Callable[[], None] = lambda: None, **arguments: Any) -> dict[str, Any]:
    """Run a task of browser.mjs; `on_playing` is called when the first pictures are shown."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    arguments.setdefault("screenshot", str(PICTURES / f"{what}.png"))
    command = ["node", str(Path(__file__).with_name("browser.mjs")), what, json.dumps(arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        if running.stdout.readline().strip() == "playing":
            on_playing()
        output, problems = running.communicate(timeout=100)
    assert running.returncode == 0, problems
    seen: dict[str, Any] = json.loads(output.splitlines()[-1])
    print(seen)
    return seen


class Camera:
    """A producer that sends a fragment of a second every second, as cameras do."""

    def __init__(self, server: HeadraceServer, account: str, stream: str, seconds: float = 60.0) -> None:
        key, secret = account_credentials(ROOT_SECRET, account)
        self.video = pictures.video(seconds, every=1.0, audio="aac")
        self._producer = Producer(server.url, key, secret, REGION, stream)
        self._stop = threading.Event()
        self.start_ms = int(time.time() * 1000)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._producer.send(self.video.header())
        for number, cluster in enumerate(self.video.clusters(self.start_ms), 1):
            # A camera has a fragment's last frame when its second is over.
            if self._stop.wait(max(0.0, self.start_ms / 1000 + number - time.time())):
                return
            self._producer.send(cluster)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.close()


@pytest.fixture
def camera(server: HeadraceServer, client: Callable[..., Any], account: str) -> Iterator[Camera]:
    client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=1)
    made = Camera(server, account, "camera")
    time.sleep(4.0)  # what a viewer who comes later finds
    yield made
    made.stop()


def test_hls__is_played_live_by_hls_js(client: Callable[..., Any], camera: Camera) -> None:
    url = client("kinesis-video-archived-media").get_hls_streaming_session_url(
        StreamName="camera", HLSFragmentSelector={"FragmentSelectorType": "PRODUCER_TIMESTAMP"}
    )["HLSStreamingSessionURL"]
    seen = browser("hls", page=url.replace("getHLSMasterPlaylist.m3u8", "player.html"), seconds=4)
    assert seen["second"]["width"] == 320
    assert seen["second"]["frames"] - seen["first"]["frames"] >= 50
    assert 3500 < seen["second"]["burnt"] - seen["first"]["burnt"] < 6000
    assert seen["problems"] == []
    assert "320 × 180" in seen["second"]["status"]


def test_hls__is_played_live_with_aws_defaults(client: Callable[..., Any], camera: Camera) -> None:
    """By the server's time, with a discontinuity before every fragment: what AWS does when nothing is said."""
    archive = client("kinesis-video-archived-media")
    url = archive.get_hls_streaming_session_url(StreamName="camera")["HLSStreamingSessionURL"]
    page = url.replace("getHLSMasterPlaylist.m3u8", "player.html")
    seen = browser("hls", page=page, seconds=4, screenshot=str(PICTURES / "defaults.png"))
    assert seen["second"]["frames"] - seen["first"]["frames"] >= 50
    assert 3000 < seen["second"]["burnt"] - seen["first"]["burnt"] < 7000
    assert seen["problems"] == []


def test_hls__transport_streams_are_played_on_demand(client: Callable[..., Any], camera: Camera) -> None:
    start = camera.start_ms / 1000
    url = client("kinesis-video-archived-media").get_hls_streaming_session_url(
        StreamName="camera", PlaybackMode="ON_DEMAND", ContainerFormat="MPEG_TS",
        HLSFragmentSelector={
            "FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": {"StartTimestamp": start, "EndTimestamp": start + 3},
        },
    )["HLSStreamingSessionURL"]  # fmt: skip
    page = url.replace("getHLSMasterPlaylist.m3u8", "player.html")
    seen = browser("hls", page=page, seconds=1.5, screenshot=str(PICTURES / "ts.png"))
    assert abs(seen["second"]["burnt"] - 1000 * seen["second"]["time"]) < 200
    assert seen["second"]["frames"] > seen["first"]["frames"]


def test_dash__is_played_live_by_dash_js(server: HeadraceServer, client: Callable[..., Any], camera: Camera) -> None:
    manifest = client("kinesis-video-archived-media").get_dash_streaming_session_url(
        StreamName="camera", DASHFragmentSelector={"FragmentSelectorType": "PRODUCER_TIMESTAMP"}
    )["DASHStreamingSessionURL"]
    seen = browser("dash", origin=f"{server.url}/_headrace/health", manifest=manifest, seconds=3)
    assert seen["problems"] == []
    assert seen["second"]["frames"] - seen["first"]["frames"] >= 40
    assert 2500 < seen["second"]["burnt"] - seen["first"]["burnt"] < 5000


def test_hls__goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    account = "000000000000"
    server.client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=1)
    cameras = [Camera(server, account, "camera")]
    time.sleep(4.0)
    url = server.client("kinesis-video-archived-media").get_hls_streaming_session_url(
        StreamName="camera", HLSFragmentSelector={"FragmentSelectorType": "PRODUCER_TIMESTAMP"},
        DiscontinuityMode="ON_DISCONTINUITY",
    )["HLSStreamingSessionURL"]  # fmt: skip

    def kill() -> None:
        time.sleep(2.0)
        server.kill()
        with contextlib.suppress(OSError):
            cameras[0].stop()
        server.start()
        cameras.append(Camera(server, account, "camera"))

    try:
        page = url.replace("getHLSMasterPlaylist.m3u8", "player.html")
        seen = browser("hls", kill, page=page, seconds=14, screenshot=str(PICTURES / "killed.png"))
    finally:
        for camera in cameras[1:]:
            camera.stop()
        server.stop()
    # The second camera's own time began anew, and it is what is shown in the end.
    assert seen["second"]["frames"] - seen["first"]["frames"] > 200
    assert seen["second"]["burnt"] < 15_000
    assert "frames shown" in seen["second"]["status"]


class SecureServer(HeadraceServer):
    """A server with TLS: the WebRTC SDK opens nothing else."""

    def __init__(self, folder: Path) -> None:
        certificate, key = make_certificate(folder)
        super().__init__(folder / "data", "--tls-certificate", str(certificate), "--tls-key", str(key))
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificate = certificate

    def start(self) -> "SecureServer":
        urllib.request.install_opener(
            urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
        )
        super().start()
        return self


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "headrace test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return certificate_path, key_path


def test_webrtc__a_viewer_sees_the_master(tmp_path: Path) -> None:
    server = SecureServer(tmp_path).start()
    try:
        account = "111122223333"
        video = server.client("kinesisvideo", account, verify=str(server.certificate))
        channel = video.create_signaling_channel(ChannelName="door")["ChannelARN"]
        endpoints = video.get_signaling_channel_endpoint(
            ChannelARN=channel, SingleMasterChannelEndpointConfiguration={"Protocols": ["WSS", "HTTPS"], "Role": "MASTER"}
        )["ResourceEndpointList"]
        wss = next(one["ResourceEndpoint"] for one in endpoints if one["Protocol"] == "WSS")
        signaling = server.client("kinesis-video-signaling", account, verify=str(server.certificate))
        assert signaling.get_ice_server_config(ChannelARN=channel)["IceServerList"] == []
        key, secret = account_credentials(ROOT_SECRET, account)
        seen = browser(
            "webrtc", origin=f"{server.url}/_headrace/health", channel=channel, wss=wss, region=REGION, iceServers=[],
            credentials={"accessKeyId": key, "secretAccessKey": secret}, seconds=2,
        )  # fmt: skip
    finally:
        server.stop()
    assert seen["state"] == "connected"
    assert seen["master"] == [["offer", "viewer-1"]]
    assert seen["second"]["frames"] > seen["first"]["frames"] + 20
