"""What players ask for: playlists, manifests and segments, by the token of a session."""

from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.operation import Context, OpenAnswer, OpenPage, PageRequest
from headrace.services.video import errors
from headrace.services.video.playback import segments, sessions, texts
from headrace.services.video.playback.sessions import Session
from headrace.services.video.playback.timeline import FOLLOWERS, Entry, Follower

_TOKEN = "SessionToken"
_PLAYLIST, _MANIFEST = "application/x-mpegURL", "application/dash+xml"
_ASSETS = Path(__file__).with_name("player")
_PLAYER_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class _Asked:
    """A request of a player: its session, and what is in it now."""

    def __init__(self, ctx: Context, request: PageRequest) -> None:
        self.token = request.query[_TOKEN]
        self.query = request.query
        name, self.session, self.stream = sessions.find(ctx, self.token)
        self.ctx = ctx.at(account=self.session.account, region=self.session.region)
        self.follower: Follower = FOLLOWERS.of(name, self.session)

    def shown(self) -> list[Entry]:
        return self.follower.shown(self.ctx, self.stream)

    def ended(self) -> bool:
        return self.follower.complete

    def track(self) -> int:
        number = self.query.get("TrackNumber", "1")
        if not number.isdecimal() or not 1 <= int(number) <= len(self.session.tracks):
            raise errors.InvalidArgumentException("TrackNumber is not that of a track of the session.")
        return int(number)

    def entry(self) -> Entry:
        """The entry that is meant by its number in the session or the fragment's: nothing outside of the session is given."""
        entries = self.follower.entries(self.ctx, self.stream)
        number, sequence = self.query.get("FragmentNumber"), self.query.get("SequenceNumber")
        for entry in entries:
            if entry.fragment.number == number or (number is None and str(entry.sequence) == sequence):
                return entry
        if number is None and sequence is None and entries:
            return entries[0]
        raise errors.ResourceNotFoundException("The session has no such fragment, or has it no longer.")

    def segment(self, container: str, kind: str) -> segments.Segment:
        entry = self.entry()
        if self.session.protocol != "dash":
            return segments.CACHE.get(self.ctx, self.stream, entry.fragment, container, kind, entry.start_ms)
        found = segments.CACHE.get(self.ctx, self.stream, entry.fragment, container, kind, entry.offset_ms)
        # A manifest has one initialisation for all of its segments; HLS names another where the codec's data changes.
        if found.private.get(kind) != next(track.private for track in self.session.tracks if track.kind == kind):
            raise errors.InvalidCodecPrivateDataException("The codec private data changes within the session.")
        return found


def _text(kind: str, text: str) -> OpenAnswer:
    return OpenAnswer(200, [("content-type", kind), ("cache-control", "no-store"), *_OPEN_TO_ALL], text.encode())


_OPEN_TO_ALL = [("access-control-allow-origin", "*"), ("x-content-type-options", "nosniff")]


def _media(kind: str, data: bytes) -> OpenAnswer:
    return OpenAnswer(200, [("content-type", kind), ("cache-control", "private, max-age=300"), *_OPEN_TO_ALL], data)


def _master(asked: _Asked) -> OpenAnswer:
    return _text(_PLAYLIST, texts.master_playlist(asked.session, asked.token))


def _playlist(asked: _Asked) -> OpenAnswer:
    track = asked.track()
    shown = asked.shown()
    return _text(_PLAYLIST, texts.media_playlist(asked.session, shown, asked.token, track, ended=asked.ended()))


def _manifest(asked: _Asked) -> OpenAnswer:
    shown = asked.shown()
    text = texts.manifest(asked.session, shown, asked.token, asked.ctx.clock.now_ms(), ended=asked.ended())
    return _text(_MANIFEST, text)


def _init(asked: _Asked) -> OpenAnswer:
    kind = _kind(asked.session, asked.track())
    return _media(f"{kind}/mp4", asked.segment("mp4", kind).init)


def _segment(asked: _Asked) -> OpenAnswer:
    kind = _kind(asked.session, asked.track())
    return _media(f"{kind}/mp4", asked.segment("mp4", kind).media)


def _transport(asked: _Asked) -> OpenAnswer:
    return _media("video/mp2t", asked.segment("ts", "").media)


def _kind(session: Session, track: int) -> str:
    return session.tracks[track - 1].kind


def _player(asked: _Asked) -> OpenAnswer:
    """The page: what it loads is asked for with the token, too. A token that was found is one of ours, so it is safe in HTML."""
    page = _asset("player.html", "text/html; charset=utf-8")(asked)
    return page._replace(body=page.body.replace(b"TOKEN", asked.token.encode()))


def _asset(name: str, kind: str) -> Callable[[_Asked], OpenAnswer]:
    def give(asked: _Asked) -> OpenAnswer:
        headers = [
            ("content-type", kind), ("cache-control", "no-store"), ("content-security-policy", _PLAYER_POLICY),
            ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"),
        ]  # fmt: skip
        return OpenAnswer(200, headers, (_ASSETS / name).read_bytes())

    return give


def _page(protocol: str, give: Callable[[_Asked], OpenAnswer]) -> OpenPage:
    def page(ctx: Context, request: PageRequest) -> OpenAnswer:
        asked = _Asked(ctx, request)
        if asked.session.protocol != protocol:
            raise sessions.TokenNotAuthorized("The session token is of another protocol.")
        return give(asked)

    return page


_HLS: Mapping[str, Callable[[_Asked], OpenAnswer]] = {
    texts.MASTER: _master, texts.MEDIA: _playlist, texts.INIT: _init, texts.SEGMENT: _segment, texts.TRANSPORT: _transport,
    "player.html": _player, "player.js": _asset("player.js", "text/javascript"), "player.css": _asset("player.css", "text/css"),
    "hls.min.js": _asset("hls.min.js", "text/javascript"),
}  # fmt: skip
_DASH: Mapping[str, Callable[[_Asked], OpenAnswer]] = {texts.MANIFEST: _manifest, texts.INIT: _init, texts.SEGMENT: _segment}

OPEN_PAGES: Mapping[tuple[str, str], OpenPage] = {
    **{(f"/hls/v1/{name}", _TOKEN): _page("hls", give) for name, give in _HLS.items()},
    **{(f"/dash/v1/{name}", _TOKEN): _page("dash", give) for name, give in _DASH.items()},
}
