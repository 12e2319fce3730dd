"""A producer of test pictures, and a player that reads playlists."""

import re
import time
import urllib.request
from collections.abc import Sequence
from urllib.parse import urljoin

from tests.conftest import REGION, ROOT_SECRET, HeadraceServer
from tests.services.video import pictures

from headrace.cli.video_producer import Producer
from headrace.kit.accounts import account_credentials
from headrace.services.video.engine import matroska


def send(
    server: HeadraceServer, account: str, stream: str, video: pictures.Video, start_ms: int, *,
    which: Sequence[int] | None = None, tags: dict[int, list[tuple[str, str]]] | None = None,
) -> list[str]:  # fmt: skip
    """Send fragments of a video (those of the given numbers), and wait until they are kept; their fragment numbers."""
    key, secret = account_credentials(ROOT_SECRET, account)
    producer = Producer(server.url, key, secret, REGION, stream)
    try:
        producer.send(video.header())
        for number, cluster in enumerate(video.clusters(start_ms)):
            if which is None or number in which:
                producer.send(matroska.tags((tags or {}).get(number, [])) + cluster)
        producer.finish()
        found = list(producer.acknowledgements())
        assert not [one for one in found if one["EventType"] == "ERROR"], found
        return [one["FragmentNumber"] for one in found if one["EventType"] == "PERSISTED"]
    finally:
        producer.close()


def now_ms() -> int:
    return int(time.time() * 1000)


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


class Playlist:
    """A media playlist: the addresses of its segments and what is said of them."""

    def __init__(self, url: str) -> None:
        self.text = fetch(url).decode()
        lines = self.text.splitlines()
        assert lines[0] == "#EXTM3U"
        self.segments = [urljoin(url, line) for line in lines if line and not line.startswith("#")]
        self.durations = [float(value) for value in re.findall(r"#EXTINF:([\d.]+),", self.text)]
        self.inits = [urljoin(url, value) for value in re.findall(r'#EXT-X-MAP:URI="([^"]+)"', self.text)]
        self.sequence = int(re.findall(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", self.text)[0])
        self.times = re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", self.text)
        self.breaks = self.text.count("#EXT-X-DISCONTINUITY\n")
        self.ended = "#EXT-X-ENDLIST" in self.text

    def media(self) -> bytes:
        """All that is played, as one file."""
        return b"".join(fetch(url) for url in [*self.inits[:1], *self.segments])


def renditions(master: str) -> list[str]:
    """The addresses of the media playlists: that of the pictures, and that of the sound if it lies apart."""
    text = fetch(master).decode()
    sound = re.findall(r'#EXT-X-MEDIA:TYPE=AUDIO.*URI="([^"]+)"', text)
    return [urljoin(master, line) for line in [*(one for one in text.splitlines() if one and one[0] != "#"), *sound]]
