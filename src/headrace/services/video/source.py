"""Fragments as a source of records: what a Lambda function or another consumer gets of a stream, fragment by fragment.

A Headrace extension: AWS has no such event source. A record does not hold the video, which is too large for an event; it says
which fragment there is, and how it is fetched.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.kit.errors import AwsError
from headrace.ports import Scope, SourceBatch, SourceRecord, SourceShard
from headrace.services.video import rules, state

SHARD_ID = "shardId-000000000000"

_DIGITS = 20


class FragmentSource:
    """Reads streams for the consumer. A stream is one shard; a position is the place of a fragment, in decimal digits."""

    def shards(self, scope: Scope, arn: str) -> Sequence[SourceShard]:
        """The one shard of a stream. LookupError: no such stream."""
        scope.snapshot(lambda inner: _stream(inner, arn))
        return [SourceShard(SHARD_ID)]

    def start(self, scope: Scope, arn: str, shard_id: str, where: str | float) -> str:
        """The position for TRIM_HORIZON, LATEST or a time (seconds since 1970) by the server's clock."""

        def body(inner: Scope) -> str:
            stream = _stream(inner, arn)
            place = 0
            if where == "LATEST":
                place = state.last_place(inner.tx, stream)
            elif not isinstance(where, str):
                found = state.fragments_by_server_time(inner.tx, stream, round(where * 1000), limit=1)
                place = found[0].place - 1 if found else state.last_place(inner.tx, stream)
            return _position(place)

        return scope.snapshot(body)

    def read(self, scope: Scope, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int) -> SourceBatch:
        """Fragments behind the position, in the order of their commits. A trimmed position goes on at the oldest that is left."""

        def body(inner: Scope) -> SourceBatch:
            stream = _stream(inner, arn)
            found = state.fragments_after(inner.tx, stream, int(position), limit)
            after = found[-1].place if found else int(position)
            unread = state.fragments_after(inner.tx, stream, after, 1)
            behind_ms = max(1, inner.clock.now_ms() - unread[0].server_ms) if unread else 0
            return SourceBatch([_record(stream, fragment) for fragment in found], _position(after), False, behind_ms)

        return scope.snapshot(body)

    def topic(self, scope: Scope, arn: str, shard_id: str) -> bytes:
        """The topic that is announced when the stream gets fragments."""
        return scope.snapshot(lambda inner: state.topic(_stream(inner, arn).id))


def event(stream: state.Stream, fragment: state.Fragment) -> Mapping[str, Any]:
    """A fragment as a function gets it. `media` are the parameters of GetMediaForFragmentList that give its bytes."""
    return {
        "eventID": f"{SHARD_ID}:{_position(fragment.place)}",
        "eventName": "headrace:kinesisvideo:fragment",
        "eventSource": "headrace:kinesisvideo",
        "eventSourceARN": stream.arn,
        "eventVersion": "1.0",
        "awsRegion": stream.region,
        "kinesisvideo": {
            "streamName": stream.name,
            "fragmentNumber": fragment.number,
            "producerTimestamp": fragment.producer_ms / 1000,
            "serverTimestamp": fragment.server_ms / 1000,
            "lengthInMilliseconds": fragment.duration_ms,
            "sizeInBytes": fragment.size_bytes,
            "tags": dict(fragment.tags),
            "media": {"StreamARN": stream.arn, "Fragments": [fragment.number]},
        },
    }


def _record(stream: state.Stream, fragment: state.Fragment) -> SourceRecord:
    shown = event(stream, fragment)
    data = msgspec.json.encode(shown["kinesisvideo"])
    return SourceRecord(_position(fragment.place), data, fragment.number, fragment.server_ms / 1000, shown)


def _position(place: int) -> str:
    return f"{place:0{_DIGITS}d}"


def _stream(scope: Scope, arn: str) -> state.Stream:
    try:
        account, region, name = rules.parse_stream_arn(arn)
    except AwsError as error:
        raise LookupError(error.message) from None
    stream = state.STREAMS.get(scope.tx, account, region, name)
    if stream is None or stream.arn != arn or account != scope.account:
        raise LookupError(f"there is no stream {arn}")
    return stream
