"""Which fragments a session shows at a moment, each with its number in the session. The rule is pure; `Follower` feeds it.

A session's numbers count the fragments that were accepted since it began. They come from the store alone: a server that starts
again counts the same fragments and comes to the same numbers.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

import msgspec

from headrace.operation import Context
from headrace.services.video import state
from headrace.services.video.playback.sessions import Session

PAGE = 500
# What a player may still ask for after it slid out of the playlist.
KEPT_BEHIND = 30
FOLLOWERS_MAX = 256
GAP_MS = 50


class Entry(msgspec.Struct, frozen=True):
    """A fragment in a session. `offset_ms` is the media played before it; `breaks` counts the discontinuities up to it.

    Where the next one begins about where this one ends, this one's duration is what lies between: the sound of a fragment
    ends a little after its pictures.
    """

    sequence: int
    fragment: state.Fragment
    start_ms: int
    offset_ms: int
    discontinuous: bool
    breaks: int

    duration_ms: int


def next_entry(session: Session, last: Entry | None, fragment: state.Fragment) -> Entry | None:
    """The fragment's place in the session behind the last entry, or None: it is older than that, or the same again."""
    start_ms = fragment.server_ms if session.by_server else fragment.producer_ms
    if last is None:
        return Entry(0, fragment, start_ms, 0, False, 0, max(1, fragment.duration_ms))
    if start_ms < last.start_ms or (start_ms == last.start_ms and not session.by_server):
        return None
    follows = abs(start_ms - last.start_ms - last.duration_ms) <= GAP_MS
    discontinuous = session.discontinuity == "ALWAYS" or (session.discontinuity == "ON_DISCONTINUITY" and not follows)
    apart_ms = fragment.producer_ms - last.fragment.producer_ms
    joined = apart_ms > 0 and abs(apart_ms - last.duration_ms) <= GAP_MS
    offset_ms = last.offset_ms + (apart_ms if joined else last.duration_ms)
    return Entry(
        last.sequence + 1, fragment, start_ms, offset_ms, discontinuous, last.breaks + discontinuous,
        max(1, fragment.duration_ms),
    )  # fmt: skip


def newest_of_each_time(fragments: Sequence[state.Fragment]) -> list[state.Fragment]:
    """Of fragments with one producer time, in order of time, the one with the largest number."""
    kept: list[state.Fragment] = []
    for fragment in fragments:
        if kept and kept[-1].producer_ms == fragment.producer_ms:
            if fragment.ordinal > kept[-1].ordinal:
                kept[-1] = fragment
        else:
            kept.append(fragment)
    return kept


class Follower:
    """One session's entries, as far as the store has them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        kept = session.most if session.mode == "ON_DEMAND" else session.most + KEPT_BEHIND
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._after: tuple[int, int] | None = None
        self._place = session.first_place - 1
        self._ahead_ms: int | None = None
        self.complete = False

    def entries(self, ctx: Context, stream: state.Stream) -> list[Entry]:
        """The entries that are kept, oldest first: those of the playlist, and for live sessions some before them."""
        with self._lock:
            if self._session.mode == "ON_DEMAND":
                self._load_all(ctx, stream)
            elif self._session.mode == "LIVE":
                self._follow(ctx, stream)
            else:
                self._replay(ctx, stream)
            return list(self._entries)

    def shown(self, ctx: Context, stream: state.Stream) -> list[Entry]:
        """The entries of the playlist now."""
        return self.entries(ctx, stream)[-self._session.most :]

    def _load_all(self, ctx: Context, stream: state.Stream) -> None:
        if not self._entries:
            found = ctx.snapshot(lambda inner: in_range(inner, stream, self._session, self._session.most))
            self._accept(found)
            self.complete = True

    def _follow(self, ctx: Context, stream: state.Stream) -> None:
        while True:
            found = ctx.snapshot(lambda inner: state.fragments_after(inner.tx, stream, self._place, PAGE))
            self._accept(found)
            if found:
                self._place = found[-1].place
            if len(found) < PAGE:
                return

    def _replay(self, ctx: Context, stream: state.Stream) -> None:
        """Take entries while their time has come. Only what was taken is read again."""
        session = self._session
        elapsed_ms = ctx.clock.now_ms() - session.created_ms
        while not self.complete:
            last = self._entries[-1] if self._entries else None
            if last is not None and last.sequence + 1 >= session.most:
                if self._ahead_ms is None:
                    self._ahead_ms = last.offset_ms
                if last.offset_ms + last.duration_ms - self._ahead_ms > elapsed_ms:
                    return
            found = ctx.snapshot(lambda inner: in_range(inner, stream, session, 1, self._after))
            if not found:
                self.complete = session.end_ms is not None and ctx.clock.now_ms() > session.end_ms
                return
            fragment = found[0]
            self._after = (fragment.server_ms if session.by_server else fragment.producer_ms, fragment.place)
            self._accept(found)

    def _accept(self, fragments: Iterable[state.Fragment]) -> None:
        for fragment in fragments:
            entry = next_entry(self._session, self._entries[-1] if self._entries else None, fragment)
            if entry is not None:
                if self._entries:
                    last = self._entries[-1]
                    self._entries[-1] = msgspec.structs.replace(last, duration_ms=entry.offset_ms - last.offset_ms)
                self._entries.append(entry)


def in_range(
    ctx: Context, stream: state.Stream, session: Session, limit: int, after: tuple[int, int] | None = None
) -> list[state.Fragment]:
    """Fragments of a session's range of time, at most `limit`; in a snapshot."""
    end_ms = None if session.end_ms is None else session.end_ms + 1
    if session.by_server:
        return state.fragments_by_server_time(ctx.tx, stream, session.start_ms, end_ms, limit, after)
    if limit == 1:
        # The newest of those that share the next one's time.
        first = state.fragments_by_producer_time(ctx.tx, stream, session.start_ms, end_ms, 1, after)
        if not first:
            return []
        same = state.fragments_by_producer_time(ctx.tx, stream, first[0].producer_ms, first[0].producer_ms + 1, PAGE, after)
        return same[-1:] or first
    return newest_of_each_time(state.fragments_by_producer_time(ctx.tx, stream, session.start_ms, end_ms, limit, after))


class Followers:
    """The followers of the sessions that were used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Follower] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, name: str, session: Session) -> Follower:
        """The follower of a session."""
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                found = self._kept[name] = Follower(session)
                if len(self._kept) > FOLLOWERS_MAX:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return found


FOLLOWERS = Followers()
