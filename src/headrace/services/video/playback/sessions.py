"""Streaming sessions: what a player may see, and for how long.

    ("video-session", "token", hash of the token)                → Session
    ("video-session", "stream", stream id, created ms, hash)     → nothing: a stream's sessions, oldest first

A token is 32 random bytes. Only its hash is kept, so that nobody who reads the store can play what was opened for others.
"""

import hashlib

import msgspec

from headrace.kit.errors import AwsError
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.services.video import state
from headrace.store.api import ReadTransaction, Transaction

# AWS's own: with the eleventh, the oldest is closed.
SESSIONS_PER_STREAM_MAX = 10
TOKEN_BYTES = 32
FORGET_PER_STEP = 100


class PlayedTrack(msgspec.Struct, frozen=True):
    """A track as players need to know it: `name` is that of RFC 6381, `private` tells codec private data apart."""

    kind: str
    codec: str
    name: str
    width: int = 0
    height: int = 0
    rate: float = 0.0
    sample_rate: int = 0
    private: str = ""


class Session(msgspec.Struct, frozen=True):
    """What was asked for. Times are milliseconds since 1970; `first_place` is where a live session begins,
    and `live_from_ms` when its media's time 0 was now."""

    account: str
    region: str
    stream_name: str
    stream_id: str
    protocol: str
    mode: str
    by_server: bool
    container: str
    discontinuity: str
    show_times: bool
    show_numbers: bool
    start_ms: int
    end_ms: int | None
    most: int
    created_ms: int
    expires_ms: int
    first_place: int
    live_from_ms: int
    bits_per_second: int
    tracks: tuple[PlayedTrack, ...]


class TokenNotAuthorized(AwsError):
    """The token is unknown, or its session is over."""

    code = "NotAuthorizedException"
    status = 403


SESSIONS = Records(("video-session", "token"), Session)
OF_STREAM = Records(("video-session", "stream"), type(None))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def add(ctx: Context, session: Session) -> str:
    """Open a session; its token. The oldest of the stream's sessions are closed when it has too many."""
    token = ctx.ids.token(TOKEN_BYTES)
    hashed = _hash(token)

    def body(inner: Context) -> None:
        others = [key for key, _ in OF_STREAM.scan(inner.tx, session.stream_id)]
        for _, created_ms, other in others[: max(0, len(others) - SESSIONS_PER_STREAM_MAX + 1)]:
            _remove(inner.tx, session.stream_id, int(str(created_ms)), str(other))
        SESSIONS.put(inner.tx, session, hashed)
        OF_STREAM.put(inner.tx, None, session.stream_id, session.created_ms, hashed)

    ctx.transact(body)
    return token


def find(ctx: Context, token: str) -> tuple[str, Session, state.Stream]:
    """(name, session, stream) of a token; TokenNotAuthorized. The name tells sessions apart and opens nothing."""
    hashed = _hash(token)

    def body(inner: Context) -> tuple[Session | None, state.Stream | None]:
        session = SESSIONS.get(inner.tx, hashed)
        if session is None:
            return None, None
        return session, state.STREAMS.get(inner.tx, session.account, session.region, session.stream_name)

    session, stream = ctx.snapshot(body)
    if session is None or stream is None or stream.id != session.stream_id:
        raise TokenNotAuthorized("The session token is not valid, or its session was closed.")
    if ctx.clock.now_ms() >= session.expires_ms:
        raise TokenNotAuthorized("The session has expired.")
    return hashed, session, stream


def forget_expired(ctx: Context) -> float:
    """Remove sessions that are over, a bounded number at a time."""

    def over(tx: ReadTransaction) -> list[tuple[str, int, str]]:
        now_ms = ctx.clock.now_ms()
        found = [(row.stream_id, row.created_ms, str(key[0])) for key, row in SESSIONS.scan(tx) if row.expires_ms <= now_ms]
        return found[:FORGET_PER_STEP]

    if expired := ctx.snapshot(lambda inner: over(inner.tx)):
        ctx.transact(lambda inner: _remove_all(inner.tx, over(inner.tx)))
    return 0.0 if len(expired) == FORGET_PER_STEP else 60.0


def _remove_all(tx: Transaction, sessions: list[tuple[str, int, str]]) -> None:
    for session in sessions:
        _remove(tx, *session)


def _remove(tx: Transaction, stream_id: str, created_ms: int, hashed: str) -> None:
    SESSIONS.delete(tx, hashed)
    OF_STREAM.delete(tx, stream_id, created_ms, hashed)
