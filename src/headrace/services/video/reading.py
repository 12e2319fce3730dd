"""Fragments given out as Matroska: one small document after another, each with AWS's tags, live or from a list."""

from collections.abc import Iterator, Sequence

from headrace.operation import Context
from headrace.services.video import errors, ingest, limits, rules, state
from headrace.services.video.engine import ebml, matroska
from headrace.store.api import ReadTransaction

CONTENT_TYPE = "video/webm"
READERS = ingest.Slots(limits.READERS_MAX, "readers")

_FRAGMENTS_PER_LOOK = 16
_LOOK_SECONDS = 1.0


class Media:
    """A sequence of documents that holds a reader's place while it is read."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        READERS.take()
        self._held = True
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        """Read no more."""
        self._parts.close()  # type: ignore[attr-defined]
        if self._held:
            self._held = False
            READERS.free()


def follow(ctx: Context, stream: state.Stream, place: int) -> Iterator[bytes]:
    """All fragments behind a place, and those that come, for as long as somebody reads. Empty parts while nothing comes."""
    topics = (state.topic(stream.id),)

    def find(inner: Context) -> list[state.Fragment]:
        return state.fragments_after(inner.tx, stream, place, _FRAGMENTS_PER_LOOK)

    def changed(inner: Context) -> bool:
        return state.last_place(inner.tx, stream) > place or not state.is_current(inner.tx, stream)

    while True:
        found = ctx.snapshot(find)
        for fragment in found:
            yield from _live_document(ctx, stream, fragment)
            place = fragment.place
        if not found:
            if not ctx.snapshot(lambda inner: state.is_current(inner.tx, stream)):
                return
            yield b""
            ctx.store.signals.wait(topics, _LOOK_SECONDS, lambda: ctx.snapshot(changed))


def documents(ctx: Context, stream: state.Stream, numbers: Sequence[str]) -> Iterator[bytes]:
    """The fragments of some numbers, in their order. One that is not there gives tags that say so, and ends it."""
    for number in numbers:
        fragment = ctx.snapshot(lambda inner, number=number: state.fragment_by_number(inner.tx, stream, number))  # type: ignore[misc]
        parts = None
        if fragment is not None:
            before = [
                ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", fragment.number),
                ("AWS_KINESISVIDEO_SERVER_SIDE_TIMESTAMP", rules.seconds_text(fragment.server_ms)),
                ("AWS_KINESISVIDEO_PRODUCER_SIDE_TIMESTAMP", rules.seconds_text(fragment.producer_ms)),
                *fragment.tags,
            ]
            parts = state.fragment_parts(ctx, stream, fragment, before=before)
        first = _first(parts)
        if parts is None or first is None:
            yield _tags_alone(
                [
                    ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", number),
                    ("AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE", "4000"),
                    ("AWS_KINESISVIDEO_EXCEPTION_MESSAGE", "Requested fragment is not found"),
                ]
            )
            return
        yield first
        yield from parts


def not_found() -> Iterator[bytes]:
    """What GetMedia gives when it is to start behind a fragment that is not there."""
    yield _tags_alone([("AWS_KINESISVIDEO_ERROR_CODE", "Requested fragment is not found"), ("AWS_KINESISVIDEO_ERROR_ID", "4000")])


def start_place(tx: ReadTransaction, stream: state.Stream, selector: dict[str, object]) -> int | None:
    """The place behind which a reader begins; None when its fragment is not there. InvalidArgumentException."""
    kind = selector["StartSelectorType"]
    if kind == "EARLIEST":
        return 0
    if kind == "NOW":
        newest = state.newest_fragment(tx, stream)
        return newest.place - 1 if newest is not None else state.last_place(tx, stream)
    if kind in ("FRAGMENT_NUMBER", "CONTINUATION_TOKEN"):
        member = "AfterFragmentNumber" if kind == "FRAGMENT_NUMBER" else "ContinuationToken"
        number = selector.get(member)
        if not isinstance(number, str):
            raise errors.InvalidArgumentException(f"{member} is required for the StartSelectorType {kind}.")
        found = state.fragment_by_number(tx, stream, number)
        if found is None and kind == "CONTINUATION_TOKEN" and rules.ordinal_of(number) is None:
            raise errors.InvalidArgumentException("The continuation token is not valid.")
        return None if found is None else found.place
    given = selector.get("StartTimestamp")
    if not isinstance(given, int | float):
        raise errors.InvalidArgumentException(f"StartTimestamp is required for the StartSelectorType {kind}.")
    return _place_at(tx, stream, round(given * 1000), by_server=kind == "SERVER_TIMESTAMP")


def _place_at(tx: ReadTransaction, stream: state.Stream, at_ms: int, *, by_server: bool) -> int:
    """The place before the fragment that plays at an instant, or the first one after it."""
    found = state.fragment_covering(tx, stream, at_ms, by_server=by_server)
    if found is None:
        find = state.fragments_by_server_time if by_server else state.fragments_by_producer_time
        found = next(iter(find(tx, stream, at_ms, limit=1)), None)
    return state.last_place(tx, stream) if found is None else found.place - 1


def _live_document(ctx: Context, stream: state.Stream, fragment: state.Fragment) -> Iterator[bytes]:
    newest = ctx.snapshot(lambda inner: state.newest_fragment(inner.tx, stream))
    behind_ms = max(0, newest.server_ms - fragment.server_ms) if newest is not None else 0
    parts = state.fragment_parts(
        ctx, stream, fragment,
        before=[
            ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", fragment.number),
            ("AWS_KINESISVIDEO_SERVER_TIMESTAMP", rules.seconds_text(fragment.server_ms)),
            ("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", rules.seconds_text(fragment.producer_ms)),
            *fragment.tags,
        ],
        behind=[
            ("AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", str(behind_ms)),
            ("AWS_KINESISVIDEO_CONTINUATION_TOKEN", fragment.number),
        ],
    )  # fmt: skip
    # A fragment that was trimmed a moment ago is passed over.
    first = _first(parts)
    if first is not None:
        yield first
        yield from parts


def _first(parts: Iterator[bytes] | None) -> bytes | None:
    """The first piece of a fragment, or None if the fragment is gone."""
    if parts is None:
        return None
    try:
        return next(parts)
    except KeyError:
        return None


def _tags_alone(pairs: Sequence[tuple[str, str]]) -> bytes:
    """A document of tags only."""
    return matroska.EBML_HEADER + ebml.element(ebml.SEGMENT, matroska.tags(pairs))
