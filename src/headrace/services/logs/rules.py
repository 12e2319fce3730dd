"""Decisions of CloudWatch Logs: batches, tokens, event ids and names."""

import base64
import binascii
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from headrace.services.logs import limits
from headrace.services.logs.errors import InvalidParameterException

_TIME_DIGITS, _NUMBER_DIGITS = 20, 18


class Position(NamedTuple):
    """The place of an event among all: its time, its stream's number, its own number in the stream."""

    at_ms: int
    stream: int
    number: int


def event_id(place: Position) -> str:
    """56 digits, as AWS's event ids have."""
    return f"{place.at_ms:020d}{place.stream:018d}{place.number:018d}"


def read_event_id(text: str) -> Position | None:
    """The place that an event id stands for, or None when it is none."""
    if len(text) != _TIME_DIGITS + 2 * _NUMBER_DIGITS or not text.isdecimal():
        return None
    middle = _TIME_DIGITS + _NUMBER_DIGITS
    return Position(int(text[:_TIME_DIGITS]), int(text[_TIME_DIGITS:middle]), int(text[middle:]))


def read_token(token: str) -> tuple[bool, Position]:
    """Whether a token of GetLogEvents goes forward, and from where."""
    place = read_event_id(token[2:])
    if token[:2] not in ("f/", "b/") or place is None:
        raise InvalidParameterException("The specified nextToken is invalid.")
    return token[0] == "f", place


def encode(text: str) -> str:
    """A listing's token."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(token: str | None) -> str | None:
    """What a listing's token says."""
    if not token:
        return None
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError) as error:
        raise InvalidParameterException("The specified nextToken is invalid.") from error


class Batch(NamedTuple):
    """The events of a batch that are taken, and what AWS says of the others."""

    events: Sequence[tuple[int, str]]
    rejected: dict[str, int]


def check_batch(events: Sequence[tuple[int, str]], now_ms: int, retention_days: int | None) -> Batch:
    """Which events of a batch are taken; InvalidParameterException when the batch as a whole cannot be."""
    if any(second[0] < first[0] for first, second in pairwise(events)):
        raise InvalidParameterException("Log events in a single PutLogEvents request must be in chronological order.")
    if events[-1][0] - events[0][0] > limits.BATCH_SPAN_MAX_MS:
        raise InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    sizes = [len(message.encode()) + limits.EVENT_OVERHEAD_BYTES for _, message in events]
    if max(sizes) > limits.EVENT_MAX_BYTES:
        raise InvalidParameterException(f"Log event too large: {max(sizes)} bytes exceeds limit of {limits.EVENT_MAX_BYTES}")
    if sum(sizes) > limits.BATCH_MAX_BYTES:
        raise InvalidParameterException(f"Upload too large: {sum(sizes)} bytes exceeds limit of {limits.BATCH_MAX_BYTES}")
    return _split(events, now_ms, retention_days)


def _split(events: Sequence[tuple[int, str]], now_ms: int, retention_days: int | None) -> Batch:
    too_new = now_ms + limits.FUTURE_MAX_MS
    too_old = now_ms - limits.PAST_MAX_MS
    expired = now_ms - (retention_days or 10**6) * limits.DAY_MS
    rejected: dict[str, int] = {}
    begin, end = 0, len(events)
    for index, (at, _) in enumerate(events):
        if at < too_old:
            rejected["tooOldLogEventEndIndex"] = index + 1
            begin = index + 1
        elif at < expired:
            rejected["expiredLogEventEndIndex"] = index + 1
            begin = index + 1
        elif at > too_new:
            rejected["tooNewLogEventStartIndex"] = index
            end = index
            break
    return Batch(events[begin:end], rejected)


def group_name(name: str | None, identifier: str | None) -> str:
    """The group that a request names, by name or by ARN."""
    if (name is None) == (identifier is None):
        raise InvalidParameterException("Exactly one of logGroupName and logGroupIdentifier must be specified.")
    found = name or identifier or ""
    if found.startswith("arn:"):
        parts = found.split(":")
        if len(parts) < 7 or parts[5] != "log-group":
            raise InvalidParameterException(f"The specified ARN is invalid: {found}")
        return parts[6]
    return found


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """Refuse tags that are too long; the tags."""
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise InvalidParameterException(f"Invalid tag: {key}")
    return tags


def without_none(**members: Any) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
