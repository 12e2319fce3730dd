"""Log events: writing, reading and searching."""

import heapq
from collections.abc import Iterator
from typing import Any

from headrace.operation import Context, operation
from headrace.services.logs import limits, rules, state
from headrace.services.logs.engine.patterns import BadPattern, compile_pattern
from headrace.services.logs.errors import InvalidParameterException
from headrace.services.logs.rules import Position

Structure = dict[str, Any]

_NOWHERE = Position(0, 0, 0)


@operation(accepts=("sequence_token",))
def put_log_events(ctx: Context, *, log_group_name: str, log_stream_name: str, log_events: list[Structure]) -> Structure:
    """Add events, in the order of their times, to a stream. The sequence token means nothing any more, as on AWS."""
    group = state.group(ctx, log_group_name)
    stream = state.stream(ctx, log_group_name, log_stream_name)
    given = [(event["timestamp"], event["message"]) for event in log_events]
    batch = rules.check_batch(given, ctx.clock.now_ms(), group.retention_days)
    state.append(ctx, log_group_name, stream, batch.events)
    answer: Structure = {"nextSequenceToken": f"{stream.last:056d}"}
    if batch.rejected:
        answer["rejectedLogEventsInfo"] = batch.rejected
    return answer


@operation(transaction=False, accepts=("unmask",))
def get_log_events(
    ctx: Context, *, log_stream_name: str, log_group_name: str | None = None, log_group_identifier: str | None = None,
    start_time: int | None = None, end_time: int | None = None, next_token: str | None = None,
    limit: int | None = None, start_from_head: bool = False,
) -> Structure:  # fmt: skip
    """Read a stream's events, page by page: from its end backwards, or with startFromHead from its beginning."""
    name = rules.group_name(log_group_name, log_group_identifier)
    forward, place = (start_from_head, None) if next_token is None else rules.read_token(next_token)
    most = limit or limits.READ_EVENTS_MAX

    def body(inner: Context) -> list[state.Event]:
        stream = state.stream(inner, name, log_stream_name)
        found = state.events(
            inner.tx,
            stream.number,
            start_time or 0,
            end_time,
            after=place if forward else None,
            before=None if forward else place,
            reverse=not forward,
        )
        page = list(_within(found, most))
        return page if forward else page[::-1]

    events = ctx.snapshot(body)
    first = events[0].place if events else place or _NOWHERE
    last = events[-1].place if events else place or _NOWHERE
    return {
        "events": [
            {"timestamp": event.place.at_ms, "message": event.message, "ingestionTime": event.ingested_ms} for event in events
        ],
        "nextForwardToken": f"f/{rules.event_id(last)}",
        "nextBackwardToken": f"b/{rules.event_id(first)}",
    }


@operation(transaction=False, accepts=("interleaved", "unmask"))
def filter_log_events(
    ctx: Context, *, log_group_name: str | None = None, log_group_identifier: str | None = None,
    log_stream_names: list[str] | None = None, log_stream_name_prefix: str | None = None,
    start_time: int | None = None, end_time: int | None = None, filter_pattern: str = "",
    next_token: str | None = None, limit: int | None = None,
) -> Structure:  # fmt: skip
    """Search a group's events in the order of their times; they always come interleaved.

    Differs from AWS: a term fits any part of a message; space-delimited patterns and regular expressions are refused.
    """
    if log_stream_names is not None and log_stream_name_prefix is not None:
        raise InvalidParameterException("Only one of logStreamNames and logStreamNamePrefix can be specified.")
    name = rules.group_name(log_group_name, log_group_identifier)
    try:
        test = compile_pattern(filter_pattern)
    except BadPattern as error:
        raise InvalidParameterException(str(error)) from error
    after = _read_place(next_token)
    most = limit or limits.READ_EVENTS_MAX

    def body(inner: Context) -> tuple[list[Structure], Position | None]:
        streams = _chosen(inner, name, log_stream_names, log_stream_name_prefix)
        merged = heapq.merge(*(_behind(inner, stream, start_time or 0, end_time, after) for stream in streams.values()))
        found: list[Structure] = []
        size_bytes = 0
        for looked_at, event in enumerate(merged, 1):
            if test is None or test(event.message):
                found.append(_show(event, streams))
                size_bytes += len(event.message) + limits.EVENT_OVERHEAD_BYTES
            if len(found) >= most or size_bytes >= limits.READ_MAX_BYTES or looked_at >= limits.SCAN_EVENTS_MAX:
                return found, event.place if next(merged, None) is not None else None
        return found, None

    streams_found, place = ctx.snapshot(body)
    answer: Structure = {"events": streams_found, "searchedLogStreams": []}
    if place is not None:
        answer["nextToken"] = rules.encode(rules.event_id(place))
    return answer


def _within(events: Iterator[state.Event], most: int) -> Iterator[state.Event]:
    size_bytes = 0
    for count, event in enumerate(events):
        size_bytes += len(event.message) + limits.EVENT_OVERHEAD_BYTES
        if count >= most or (count and size_bytes > limits.READ_MAX_BYTES):
            return
        yield event


def _chosen(ctx: Context, group: str, names: list[str] | None, prefix: str | None) -> dict[int, state.Stream]:
    state.group(ctx, group)
    if names is not None:
        rows = [state.stream(ctx, group, name) for name in names]
    else:
        every = (row for _, row in state.STREAMS.scan(ctx.tx, ctx.account, ctx.region, group))
        rows = [row for row in every if row.name.startswith(prefix or "")]
    return {row.number: row for row in rows}


def _behind(
    ctx: Context, stream: state.Stream, start_ms: int, end_ms: int | None, after: Position | None
) -> Iterator[state.Event]:
    """A stream's events that come behind a place in the order of all streams: by time, then stream, then number."""
    if after is None:
        return state.events(ctx.tx, stream.number, start_ms, end_ms)
    if stream.number == after.stream:
        return state.events(ctx.tx, stream.number, start_ms, end_ms, after=after)
    begin = after.at_ms + (stream.number < after.stream)
    return state.events(ctx.tx, stream.number, max(start_ms, begin), end_ms)


def _show(event: state.Event, streams: dict[int, state.Stream]) -> Structure:
    return {
        "logStreamName": streams[event.place.stream].name,
        "timestamp": event.place.at_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": rules.event_id(event.place),
    }


def _read_place(token: str | None) -> Position | None:
    text = rules.decode(token)
    if text is None:
        return None
    place = rules.read_event_id(text)
    if place is None:
        raise InvalidParameterException("The specified nextToken is invalid.")
    return place
