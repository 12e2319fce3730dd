"""Mutations of real films against the splitter: it takes them or refuses them, and nothing else. Run: fuzz.py COUNT [SEED]"""

import random
import sys
import time
from collections.abc import Iterator

from tests.services.video import films

from headrace.services.video import limits
from headrace.services.video.engine import ebml, matroska
from headrace.services.video.engine.splitter import Begin, Blocks, End, Refused, Splitter

HELD_SIZE_MAX_BYTES = limits.TRACK_HEADERS_SIZE_MAX_BYTES + 64
# Bytes that mean something: sizes that are unknown, zero or huge, and the ids of elements.
SPECIAL = [
    b"\xff", b"\x00", b"\x01", b"\x01\xff\xff\xff\xff\xff\xff\xff", b"\x08\xff\xff\xff\xff", b"\x80", b"\x7f\xff",
    *(kind.to_bytes((kind.bit_length() + 7) // 8, "big") for kind in (
        ebml.EBML, ebml.SEGMENT, ebml.INFO, ebml.TRACKS, ebml.TRACK_ENTRY, ebml.CLUSTER, ebml.TIMECODE, ebml.SIMPLE_BLOCK,
        ebml.BLOCK_GROUP, ebml.BLOCK, ebml.TAGS, ebml.SIMPLE_TAG, ebml.VOID, ebml.CRC_32,
    )),
]  # fmt: skip


def seeds() -> list[bytes]:
    """Small films of each kind."""
    film = films.film(2, gop_seconds=1, size="64x48", rate=10)
    sound = films.film(2, gop_seconds=1, size="64x48", rate=10, audio=True)
    head = films.head(film)
    tagged = head + matroska.tags([("door", "open"), ("who", "cat")]) + film[len(head) :]
    return [film, sound, tagged, films.of_unknown_sizes(film), films.of_unknown_sizes(sound)]


def mutate(chance: random.Random, film: bytes) -> bytes:
    """The film with one to five changes."""
    data = bytearray(film)
    for _ in range(chance.randint(1, 5)):
        # Most of a film is pictures, which nobody reads: so half of the changes are near its beginning.
        at = chance.randrange(min(len(data), 600) if chance.random() < 0.5 else len(data)) if data else 0
        what = chance.randrange(6)
        if what == 0 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            data[at : at + 1] = chance.choice(SPECIAL)
        elif what == 2:
            data[at:at] = chance.choice(SPECIAL)
        elif what == 3:
            del data[at : at + chance.randint(1, 200)]
        elif what == 4:
            data[at:at] = data[at : at + chance.randint(1, 2000)]
        else:
            del data[at:]
    return bytes(data)


def told(data: bytes, steps: Iterator[int]) -> list[object]:
    """What the splitter makes of the data: its events, each fragment's bytes joined, and its refusal."""
    splitter = Splitter()
    found: list[object] = []
    opened = False
    size_bytes = 0
    parts: list[bytes] = []
    at = 0

    def take(events: Iterator[Begin | Blocks | End]) -> None:
        nonlocal opened, size_bytes
        for event in events:
            if isinstance(event, Begin):
                assert not opened
                opened, size_bytes = True, 0
                found.append(event)
            elif isinstance(event, Blocks):
                assert opened
                size_bytes += len(event.data)
                parts.append(event.data)
                assert size_bytes <= limits.FRAGMENT_SIZE_MAX_BYTES
            else:
                assert opened
                opened = False
                found.extend((b"".join(parts), event))
                parts.clear()

    try:
        while at < len(data):
            step = next(steps)
            take(splitter.feed(data[at : at + step]))
            assert splitter.held_bytes <= HELD_SIZE_MAX_BYTES
            at += step
        take(splitter.finish())
    except Refused as refused:
        found.append((refused.error_id, refused.code))
    return found


def endless(chance: random.Random) -> Iterator[int]:
    """Steps of any size."""
    while True:
        yield chance.choice((1, 7, 100, 1000, 10_000))


def run(count: int, seed: int = 1) -> tuple[int, int]:
    """Try `count` mutations; (those that were taken whole, those that were refused). The same whatever the steps they come in."""
    originals = seeds()
    taken = refused = 0
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        data = mutate(chance, chance.choice(originals))
        whole = told(data, iter(lambda: 1 << 30, 0))
        if isinstance(whole[-1] if whole else None, tuple):
            refused += 1
        else:
            taken += 1
        if number % 10 == 0:
            assert told(data, endless(chance)) == whole, f"seed {seed}, number {number}: other events in small steps"
    return taken, refused


if __name__ == "__main__":
    began = time.monotonic()
    taken, refused = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(f"taken {taken}, refused {refused}, in {time.monotonic() - began:.0f} s")
