"""Segments: fragments remuxed for players, each once, kept within a bound."""

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from headrace.operation import Context
from headrace.services.video import errors, state
from headrace.services.video.engine.remux_pool import POOL, BadMedia, Busy

CACHE_SIZE_MAX_BYTES = 64 << 20
_NS_PER_MS = 1_000_000


class Segment(msgspec.Struct, frozen=True):
    """What a player gets of a fragment: the initialisation (of fMP4), and the media.

    `private` tells the codec private data of its tracks apart, by their kind.
    """

    init: bytes
    media: bytes
    private: dict[str, str] = {}


class _Making:
    """A segment that is being made: who comes later waits for it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.segment: Segment | None = None


class Cache:
    """Segments by what they are made of. Two who want one segment at a time get it made once."""

    def __init__(self, size_max_bytes: int = CACHE_SIZE_MAX_BYTES) -> None:
        self._kept: OrderedDict[tuple[object, ...], Segment] = OrderedDict()
        self._making: dict[tuple[object, ...], _Making] = {}
        self._lock = threading.Lock()
        self._size_max_bytes = size_max_bytes
        self.size_bytes = 0
        self.made = 0

    def get(
        self, ctx: Context, stream: state.Stream, fragment: state.Fragment, container: str, kind: str, start_ms: int
    ) -> Segment:
        """A fragment as "mp4" or "ts", of one kind of track or all (""), whose time begins with `start_ms`."""
        key = (stream.id, fragment.place, container, kind, start_ms)
        while True:
            with self._lock:
                found = self._kept.get(key)
                if found is not None:
                    self._kept.move_to_end(key)
                    return found
                making = self._making.get(key)
                mine = making is None
                if making is None:
                    making = self._making[key] = _Making()
            if mine:
                return self._make(ctx, stream, fragment, key, making)
            making.done.wait()
            if making.segment is not None:
                return making.segment

    def _make(
        self, ctx: Context, stream: state.Stream, fragment: state.Fragment, key: tuple[object, ...], making: _Making
    ) -> Segment:
        try:
            _, _, container, kind, start_ms = key
            read = functools.partial(timed_bytes, ctx, stream, fragment, int(str(start_ms)))
            answer = ask("segment", read, container=container, kind=kind, shift_ms=0)
            private = {track["kind"]: fingerprint(track["private"]) for track in answer["tracks"]}
            making.segment = Segment(answer["init"], answer["media"], private)
            with self._lock:
                self.made += 1
                self._keep(key, making.segment)
            return making.segment
        finally:
            with self._lock:
                del self._making[key]
            making.done.set()

    def _keep(self, key: tuple[object, ...], segment: Segment) -> None:
        self._kept[key] = segment
        self.size_bytes += len(segment.init) + len(segment.media)
        while self.size_bytes > self._size_max_bytes:
            _, old = self._kept.popitem(last=False)
            self.size_bytes -= len(old.init) + len(old.media)


def fingerprint(private: bytes) -> str:
    """Tells codec private data apart."""
    return hashlib.sha256(private).hexdigest()[:16]


def timed_bytes(ctx: Context, stream: state.Stream, fragment: state.Fragment, start_ms: int) -> bytes:
    """A fragment as a Matroska file whose time begins with `start_ms`. ResourceNotFoundException when it is gone."""
    try:
        tracks = ctx.snapshot(lambda inner: state.tracks_of(inner.tx, stream, fragment.generation))
        return state.fragment_bytes(ctx, stream, fragment, start_ms * _NS_PER_MS // tracks.timecode_scale_ns)
    except (KeyError, AssertionError):
        raise errors.ResourceNotFoundException(f"Fragment {fragment.number} is no longer in the stream.") from None


def ask(job: str, media: Callable[[], bytes], **arguments: Any) -> Any:
    """Let a remuxing process do a job; what is wrong with the media in AWS's words."""
    try:
        answer = POOL.call(job, media=media, **arguments)
        return answer
    except BadMedia as problem:
        raise in_words_of_aws(problem) from None
    except Busy:
        raise busy() from None


def busy() -> errors.ClientLimitExceededException:
    """Every remuxing process is at work."""
    return errors.ClientLimitExceededException("Rate exceeded. Please try again later.")


def in_words_of_aws(problem: BadMedia) -> Exception:
    """The error for media that can't be used."""
    kind = {
        "unsupported": errors.UnsupportedStreamMediaTypeException,
        "missing": errors.MissingCodecPrivateDataException,
        "invalid": errors.InvalidCodecPrivateDataException,
    }.get(problem.kind, errors.InvalidMediaFrameException)
    return kind(_SENTENCES[kind] + f" ({problem})")


_SENTENCES = {
    errors.UnsupportedStreamMediaTypeException:
        "The type of the media could not be determined from the codec IDs of the tracks in the first fragment.",
    errors.MissingCodecPrivateDataException: "No codec private data was found in at least one of tracks of the video stream.",
    errors.InvalidCodecPrivateDataException:
        "The codec private data in at least one of the tracks of the video stream is not valid for this operation.",
    errors.InvalidMediaFrameException:
        "One or more frames in the requested clip could not be parsed based on the specified codec.",
}  # fmt: skip

CACHE = Cache()
