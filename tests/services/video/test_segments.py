"""The cache of segments, and which fragments a session shows: without a server."""

import threading
import time
from typing import Any

import msgspec
import pytest

from headrace.services.video import state
from headrace.services.video.errors import InvalidMediaFrameException
from headrace.services.video.playback import segments, timeline
from headrace.services.video.playback.sessions import Session

STREAM = state.Stream("000000000000", "us-east-1", "camera", "id", "v", 0.0, 24)


def fragment(place: int, start_ms: int, duration_ms: int = 1000, *, server_ms: int | None = None) -> state.Fragment:
    return state.Fragment(
        place, place, start_ms, start_ms if server_ms is None else server_ms, duration_ms, 1000, start_ms, 1, f"blob-{place}", "c"
    )


def session(**changes: Any) -> Session:
    plain = Session(
        account="", region="", stream_name="", stream_id="id", protocol="hls", mode="LIVE", by_server=False,
        container="FRAGMENTED_MP4", discontinuity="ON_DISCONTINUITY", show_times=False, show_numbers=False, start_ms=0,
        end_ms=None, most=5, created_ms=0, expires_ms=0, first_place=1, live_from_ms=0, bits_per_second=1, tracks=(),
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def entries(shown: Session, *fragments: state.Fragment) -> list[timeline.Entry]:
    follower = timeline.Follower(shown)
    follower._accept(fragments)
    return list(follower._entries)


def test_entries__sound_that_ends_later_leaves_no_gap() -> None:
    found = entries(session(), fragment(1, 0, 1021), fragment(2, 1000, 1018), fragment(3, 2000, 1000))
    assert [(one.offset_ms, one.duration_ms, one.discontinuous) for one in found] == [
        (0, 1000, False), (1000, 1000, False), (2000, 1000, False),
    ]  # fmt: skip


def test_entries__a_gap_is_a_discontinuity_and_takes_no_time() -> None:
    found = entries(session(), fragment(1, 0), fragment(2, 1000), fragment(3, 9000), fragment(4, 10_000))
    assert [(one.offset_ms, one.discontinuous, one.breaks) for one in found] == [
        (0, False, 0), (1000, False, 0), (2000, True, 1), (3000, False, 1),
    ]  # fmt: skip


def test_entries__what_is_older_than_the_newest_is_left_out_and_not_counted() -> None:
    found = entries(session(), fragment(1, 5000), fragment(2, 4000), fragment(3, 5000), fragment(4, 6000))
    assert [(one.sequence, one.fragment.place) for one in found] == [(0, 1), (1, 4)]


def test_entries__by_server_time_all_that_come_later_are_shown() -> None:
    by_server = session(by_server=True, discontinuity="ALWAYS")
    found = entries(
        by_server, fragment(1, 5000, server_ms=100), fragment(2, 4000, server_ms=100), fragment(3, 9000, server_ms=200)
    )
    assert [one.start_ms for one in found] == [100, 100, 200]
    assert [one.discontinuous for one in found] == [False, True, True]


def test_newest_of_each_time__is_the_one_with_the_largest_number() -> None:
    found = timeline.newest_of_each_time([fragment(1, 0), fragment(3, 0), fragment(2, 1000)])
    assert [one.place for one in found] == [3, 2]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was remuxed; it takes a moment."""
    asked: list[str] = []

    def ask(job: str, read: Any, **arguments: Any) -> dict[str, Any]:
        asked.append(arguments["kind"])
        time.sleep(0.05)
        return {"init": b"i" * 10, "media": b"m" * 90, "tracks": []}

    monkeypatch.setattr(segments, "ask", ask)
    return asked


def test_cache__makes_a_segment_once_for_all_who_want_it(made: list[str]) -> None:
    cache = segments.Cache(1000)
    context: Any = None
    threads = [threading.Thread(target=cache.get, args=(context, STREAM, fragment(1, 0), "mp4", "video", 0)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["video"]
    cache.get(context, STREAM, fragment(1, 0), "mp4", "audio", 0)
    assert made == ["video", "audio"]


def test_cache__is_bounded_and_forgets_what_was_used_longest_ago(made: list[str]) -> None:
    cache = segments.Cache(300)
    context: Any = None
    for place in (1, 2, 3, 1, 4, 1, 2):
        cache.get(context, STREAM, fragment(place, 0), "mp4", "video", 0)
    assert cache.size_bytes == 300
    assert len(made) == 5, "the second use of 1 and its third were kept; 2 had to be made again"


def test_cache__a_failure_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [InvalidMediaFrameException("no"), {"init": b"", "media": b"m", "tracks": []}]

    def ask(job: str, read: Any, **arguments: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(segments, "ask", ask)
    cache = segments.Cache(1000)
    context: Any = None
    with pytest.raises(InvalidMediaFrameException):
        cache.get(context, STREAM, fragment(1, 0), "mp4", "video", 0)
    assert cache.get(context, STREAM, fragment(1, 0), "mp4", "video", 0).media == b"m"
