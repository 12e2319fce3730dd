"""What was acknowledged as PERSISTED is there after anything; who is connected is let go; many fit at once."""

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.services.video import films

from conftest import REGION, ROOT_SECRET, HeadraceServer, eventually
from headrace.cli.video_producer import PATH, signed_headers
from headrace.kit.accounts import account_credentials

ACCOUNT = "000000000000"


def produce(server: HeadraceServer, stream: str, film: bytes, persisted: list[str], stop: threading.Event) -> None:
    """Send the film again and again until the server is gone; the numbers of what it acknowledged."""
    while not stop.is_set():
        try:
            for one in films.put(server, ACCOUNT, stream, film, step=4000, start=time.time()):
                if one["EventType"] == "PERSISTED":
                    persisted.append(one["FragmentNumber"])
        except Exception:
            return


def producers(server: HeadraceServer, stream: str, film: bytes, persisted: list[str], stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=produce, args=(server, stream, film, persisted, stop))
    thread.start()
    return thread


def test_sigkill__keeps_what_was_persisted(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    video = server.client("kinesisvideo")
    film = films.film(6)
    wanted = films.clusters(film)
    streams = ["a", "b", "c"]
    for name in streams:
        video.create_stream(StreamName=name, DataRetentionInHours=1)
    persisted: dict[str, list[str]] = {name: [] for name in streams}
    try:
        for _ in range(3):
            stop = threading.Event()
            before = {name: len(found) for name, found in persisted.items()}
            threads = [producers(server, name, film, persisted[name], stop) for name in streams]
            eventually(lambda before=before: all(len(persisted[name]) > before[name] + 6 for name in streams))
            server.kill()
            stop.set()
            for thread in threads:
                thread.join()
            server.start()
            archive = server.client("kinesis-video-archived-media")
            for name in streams:
                pages = archive.get_paginator("list_fragments").paginate(StreamName=name)
                listed = [one["FragmentNumber"] for page in pages for one in page["Fragments"]]
                assert set(persisted[name]) <= set(listed)
                # No entry of the index without its bytes.
                media = archive.get_media_for_fragment_list(StreamName=name, Fragments=listed[-100:])["Payload"]
                for document in films.fragments(media, len(listed[-100:])):
                    assert document.blocks in wanted
    finally:
        server.stop()


def test_stop__lets_producers_and_readers_go(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    server.client("kinesisvideo").create_stream(StreamName="a", DataRetentionInHours=1)
    film = films.film(6)
    producer = films.connect(server, ACCOUNT, "a", start=time.time())
    acknowledgements = producer.acknowledgements()
    producer.send(film[:-10_000])
    while next(acknowledgements)["EventType"] != "PERSISTED":
        pass
    selector = {"StartSelectorType": "EARLIEST"}
    payload = server.client("kinesis-video-media").get_media(StreamName="a", StartSelector=selector)["Payload"]
    films.documents(payload, 1)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 8
    assert "Traceback" not in server.log_text()
    producer.close()
    payload.close()


def peak_mib(server: HeadraceServer) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def test_fifty_producers__in_bounded_memory(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        video = server.client("kinesisvideo")
        # One cluster of 4 MB for each producer, so that all together would be 200 MB.
        film = films.film(2)
        blocks = films.clusters(film)[0]
        blocks *= 4_000_000 // len(blocks)
        large = films.head(film) + films.matroska.cluster_head(0, len(blocks)) + blocks
        connected = []
        for number in range(50):
            video.create_stream(StreamName=f"s{number}", DataRetentionInHours=1)
            connected.append(films.connect(server, ACCOUNT, f"s{number}", start=time.time()))
        before = peak_mib(server)
        # All are in the middle of their fragments at once.
        for at in range(0, len(large), 100_000):
            for producer in connected:
                producer.send(large[at : at + 100_000])
        for producer in connected:
            producer.finish()
        for producer in connected:
            assert list(films.events(list(producer.acknowledgements()))) == ["BUFFERING", "RECEIVED", "PERSISTED"]
            producer.close()
        assert peak_mib(server) - before < 120
    finally:
        server.stop()


@pytest.fixture
def stream(client: Any) -> str:
    client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=24)
    return "camera"


def curl(server: HeadraceServer, account: str, stream: str, payload: str = "UNSIGNED-PAYLOAD") -> subprocess.Popen[bytes]:
    """A producer over HTTP/2."""
    keys = account_credentials(ROOT_SECRET, account)
    headers = signed_headers(server.url, *keys, REGION, stream, time.time(), True, payload)
    options = [part for name, value in headers.items() if name != "Host" for part in ("-H", f"{name}: {value}")]
    command = ["curl", "-sN", "--http2-prior-knowledge", "-X", "POST", "-T", ".", *options, server.url + PATH]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_http2__acknowledges_while_the_request_goes_on(server: HeadraceServer, client: Any, account: str, stream: str) -> None:
    film = films.film(6)
    with curl(server, account, stream) as producer:
        assert producer.stdin is not None
        assert producer.stdout is not None
        producer.stdin.write(film[: len(film) // 2])
        producer.stdin.flush()
        assert b"BUFFERING" in producer.stdout.readline()
        assert b"RECEIVED" in producer.stdout.readline()
        assert b"PERSISTED" in producer.stdout.readline()
        producer.stdin.write(film[len(film) // 2 :])
        producer.stdin.close()
        assert producer.stdout.read().count(b"PERSISTED") == 2


def test_http2__a_producer_that_drops_loses_the_open_fragment_alone(
    server: HeadraceServer, client: Any, account: str, stream: str
) -> None:
    film = films.of_unknown_sizes(films.film(6))
    with curl(server, account, stream) as producer:
        assert producer.stdin is not None
        assert producer.stdout is not None
        producer.stdin.write(film[: len(film) - 1000])
        producer.stdin.flush()
        for _ in range(7):
            line = producer.stdout.readline()
        assert b"BUFFERING" in line
        producer.kill()
    archive = client("kinesis-video-archived-media")
    films.put(server, account, stream, films.film(6), start=time.time())
    eventually(lambda: len(archive.list_fragments(StreamName=stream)["Fragments"]) == 2 + 3)


def test_put_media__takes_a_body_that_is_signed_as_chunks_and_is_none(
    server: HeadraceServer, client: Any, account: str, stream: str
) -> None:
    # As AWS's Java SDK does.
    with curl(server, account, stream, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") as producer:
        said, _ = producer.communicate(films.film(6), timeout=30)
    assert said.count(b"PERSISTED") == 3


def test_places__are_free_again_when_connections_break(server: HeadraceServer, client: Any, account: str, stream: str) -> None:
    media = client("kinesis-video-media")
    for _ in range(140):
        producer = films.connect(server, account, stream, start=time.time())
        producer.send(films.head(films.film(6)))
        producer.close()
        selector = {"StartSelectorType": "EARLIEST"}
        media.get_media(StreamName=stream, StartSelector=selector)["Payload"].close()
    # Those that broke are found within a second or two.
    eventually(lambda: "PERSISTED" in films.events(films.put(server, account, stream, films.film(6), start=time.time())))
    payload = eventually(lambda: media.get_media(StreamName=stream, StartSelector=selector)["Payload"])
    assert films.documents(payload, 1)
    payload.close()
