"""What CloudWatch Logs keeps.

logs group   account region name            Group
logs stream  account region group name      Stream; its number is its own, and never used again
logs bytes   account region group           how many bytes the group took in
logs number                                 the last number given to a stream
logs event   stream at-ms number            (ingested at, text, in how many further pieces the text goes on)
logs piece   stream at-ms number piece      the rest of a long text
logs dead    stream                         a stream that was deleted: a worker removes its events
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from headrace.layers import tags
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.logs import limits
from headrace.services.logs.errors import ResourceAlreadyExistsException, no_group, no_stream
from headrace.services.logs.rules import Position
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction


class Group(msgspec.Struct):
    """A log group."""

    name: str
    created_ms: int
    retention_days: int | None = None
    kind: str = "STANDARD"


class Stream(msgspec.Struct):
    """A log stream. `last` is the number of the last event."""

    name: str
    number: int
    created_ms: int
    last: int = 0
    first_at_ms: int | None = None
    last_at_ms: int | None = None
    ingested_ms: int | None = None


class Event(NamedTuple):
    """One log event."""

    place: Position
    message: str
    ingested_ms: int


GROUPS = Records(("logs", "group"), Group)
STREAMS = Records(("logs", "stream"), Stream)
BYTES = Records(("logs", "bytes"), int)
NUMBER = Records(("logs", "number"), int)
DEAD = Records(("logs", "dead"), bool)
_EVENTS = Records(("logs", "event"), tuple[int, str, int])
_PIECES = Records(("logs", "piece"), str)
_decode = msgspec.msgpack.Decoder(tuple[int, str, int]).decode


def arn(scope: Scope, group: str) -> str:
    """A group's ARN, without the star that some operations put behind it."""
    return f"arn:aws:logs:{scope.region}:{scope.account}:log-group:{group}"


def group(ctx: Context, name: str) -> Group:
    """The group, or ResourceNotFoundException."""
    found = GROUPS.get(ctx.tx, ctx.account, ctx.region, name)
    if found is None:
        raise no_group()
    return found


def put_group(scope: Scope, row: Group) -> None:
    """Write a group."""
    GROUPS.put(scope.tx, row, scope.account, scope.region, row.name)


def drop_group(ctx: Context, name: str) -> None:
    """Remove a group; its events go by and by."""
    group(ctx, name)
    for _, stream in list(STREAMS.scan(ctx.tx, ctx.account, ctx.region, name)):
        drop_stream(ctx, name, stream)
    GROUPS.delete(ctx.tx, ctx.account, ctx.region, name)
    BYTES.delete(ctx.tx, ctx.account, ctx.region, name)
    tags.drop(ctx.tx, arn(ctx, name))


def stream(ctx: Context, group_name: str, name: str) -> Stream:
    """The stream, or ResourceNotFoundException."""
    found = STREAMS.get(ctx.tx, ctx.account, ctx.region, group_name, name)
    if found is None:
        group(ctx, group_name)
        raise no_stream()
    return found


def create_stream(scope: Scope, group_name: str, name: str) -> Stream:
    """Make a stream."""
    if STREAMS.get(scope.tx, scope.account, scope.region, group_name, name) is not None:
        raise ResourceAlreadyExistsException("The specified log stream already exists")
    number = (NUMBER.get(scope.tx) or 0) + 1
    NUMBER.put(scope.tx, number)
    made = Stream(name, number, scope.clock.now_ms())
    STREAMS.put(scope.tx, made, scope.account, scope.region, group_name, name)
    return made


def drop_stream(ctx: Context, group_name: str, row: Stream) -> None:
    """Remove a stream; its events go by and by."""
    STREAMS.delete(ctx.tx, ctx.account, ctx.region, group_name, row.name)
    DEAD.put(ctx.tx, True, row.number)


def append(scope: Scope, group_name: str, row: Stream, events: Sequence[tuple[int, str]]) -> None:
    """Add events to a stream."""
    if not events:
        return
    now = scope.clock.now_ms()
    tx = scope.tx
    size = limits.PIECE_CHARACTERS_MAX
    total_bytes = 0
    for at, message in events:
        row.last += 1
        pieces = [message[start : start + size] for start in range(size, len(message), size)]
        _EVENTS.put(tx, (now, message[:size], len(pieces)), row.number, at, row.last)
        for index, piece in enumerate(pieces):
            _PIECES.put(tx, piece, row.number, at, row.last, index)
        total_bytes += len(message) + limits.EVENT_OVERHEAD_BYTES
    times = [at for at, _ in events]
    row.first_at_ms = min(times) if row.first_at_ms is None else min(row.first_at_ms, *times)
    row.last_at_ms = max(times) if row.last_at_ms is None else max(row.last_at_ms, *times)
    row.ingested_ms = now
    STREAMS.put(tx, row, scope.account, scope.region, group_name, row.name)
    key = (scope.account, scope.region, group_name)
    BYTES.put(tx, (BYTES.get(tx, *key) or 0) + total_bytes, *key)


def events(
    tx: ReadTransaction, number: int, start_ms: int, end_ms: int | None, *,
    after: Position | None = None, before: Position | None = None, reverse: bool = False,
) -> Iterator[Event]:  # fmt: skip
    """The events of a stream with start <= time < end in order of their times, behind or before a place."""
    begin = _EVENTS.key(number, start_ms)
    end = _EVENTS.key(number + 1) if end_ms is None else _EVENTS.key(number, end_ms)
    if after is not None:
        begin = max(begin, _EVENTS.key(number, after.at_ms, after.number) + b"\x00")
    if before is not None:
        end = min(end, _EVENTS.key(number, before.at_ms, before.number))
    if begin >= end:
        return
    for key, raw in tx.range(begin, end, reverse=reverse):
        at, own = tuples.unpack(key)[-2:]
        assert isinstance(at, int)
        assert isinstance(own, int)
        ingested, message, pieces = _decode(raw)
        if pieces:
            message += "".join(_PIECES.get(tx, number, at, own, index) or "" for index in range(pieces))
        yield Event(Position(at, number, own), message, ingested)


def drop_events(tx: Transaction, number: int, before_ms: int | None, limit: int) -> int:
    """Remove a stream's events from before a time (or all), the oldest first; how many."""
    begin = _EVENTS.key(number)
    end = _EVENTS.key(number + 1) if before_ms is None else _EVENTS.key(number, before_ms)
    found = list(tx.range(begin, end, limit=limit))
    for key, raw in found:
        tx.clear(key)
        if _decode(raw)[2]:
            _PIECES.delete_all(tx, *tuples.unpack(key)[-3:])
    return len(found)
