"""Malformed Matroska never stops the splitter, the server, or another stream. `fuzz.py 100000` tries more."""

import contextlib
import random
import threading
import time
from pathlib import Path

from tests.services.video import films, fuzz

from conftest import HeadraceServer, eventually


def test_splitter__takes_or_refuses() -> None:
    taken, refused = fuzz.run(3000)
    assert taken > 100
    assert refused > 1000


def test_server__goes_on(tmp_path: Path) -> None:
    # A server of its own: nobody else writes to its log.
    server, account = HeadraceServer(tmp_path / "data").start(), "000000000000"
    video = server.client("kinesisvideo", account)
    video.create_stream(StreamName="good", DataRetentionInHours=1)
    video.create_stream(StreamName="bad", DataRetentionInHours=1)
    chance = random.Random(7)
    originals = fuzz.seeds()
    film = films.film(6)
    stop = threading.Event()
    rounds: list[list[str]] = []

    def produce() -> None:
        while not stop.is_set():
            rounds.append(list(films.events(films.put(server, account, "good", film, step=10_000, start=time.time()))))

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        for _ in range(150):
            data = fuzz.mutate(chance, chance.choice(originals))
            one = films.connect(server, account, "bad", start=time.time())
            with contextlib.suppress(OSError):
                one.send(data)
                # Now and then without an end.
                if chance.random() < 0.8:
                    one.finish()
                    list(one.acknowledgements())
            one.close()
    finally:
        eventually(lambda: len(rounds) > 2)
        stop.set()
        producer.join()
    assert all(found == ["BUFFERING", "RECEIVED", "PERSISTED"] * 3 for found in rounds)
    assert "Traceback" not in server.log_text()
    # What was kept of the bad ones can be read.
    archive = server.client("kinesis-video-archived-media", account)
    fragments = archive.list_fragments(StreamName="bad", MaxResults=1000)["Fragments"]
    numbers = [one["FragmentNumber"] for one in fragments]
    media = archive.get_media_for_fragment_list(StreamName="bad", Fragments=numbers)["Payload"].read()
    assert len(media) > sum(one["FragmentSizeInBytes"] for one in fragments)
    assert server.stop() == 0
