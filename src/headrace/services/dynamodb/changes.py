"""Stream records: as they are kept, as GetRecords gives them, and as functions receive them.

Kept is MessagePack of (event, milliseconds, by expiry, JSON of the key, new item, old item), the items as `items` keeps them.
"""

from typing import Any, NamedTuple

import msgspec

from headrace.layers import log
from headrace.services.dynamodb import items, shapes
from headrace.services.dynamodb.engine import values
from headrace.services.dynamodb.state import StreamRow
from headrace.store.api import ReadTransaction

_EVENTS = ("INSERT", "MODIFY", "REMOVE")
_SERVICE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


class Change(NamedTuple):
    """One change of an item."""

    event: int
    at_ms: int
    by_expiry: bool
    key: bytes
    new: bytes | None
    old: bytes | None


_decode = msgspec.msgpack.Decoder(Change).decode
_decode_json = msgspec.json.decode


def read(raw: bytes) -> Change:
    """A change as it was kept."""
    return _decode(raw)


def at_ms(raw: bytes) -> int:
    """When a kept change was made."""
    return read(raw).at_ms


def before(tx: ReadTransaction, shard_log: bytes, moment_ms: int) -> int:
    """The number of the last change that was made before a time, found by halving."""
    low, high = log.first(tx, shard_log), log.last(tx, shard_log)
    if low is None:
        return high
    low -= 1
    while low < high:
        middle = (low + high + 1) // 2
        ((_, raw),) = log.read(tx, shard_log, middle - 1, 1)
        if at_ms(raw) < moment_ms:
            low = middle
        else:
            high = middle - 1
    return low


def record(stream: StreamRow, shard: int, number: int, change: Change, region: str) -> dict[str, Any]:
    """The change as GetRecords gives it."""
    key = _decode_json(change.key)
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": change.at_ms // 1000,
        "Keys": key,
        "SequenceNumber": shapes.sequence_number(number),
        "SizeBytes": values.item_size(key) + _size(change.new) + _size(change.old),
        "StreamViewType": stream.view,
    }
    if change.new is not None:
        body["NewImage"] = items.decode(change.new)
    if change.old is not None:
        body["OldImage"] = items.decode(change.old)
    found: dict[str, Any] = {
        "eventID": f"{stream.id:012x}{shard:04x}{number:016x}",
        "eventName": _EVENTS[change.event],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "dynamodb": body,
    }
    if change.by_expiry:
        found["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    return found


def event(stream: StreamRow, shard: int, number: int, change: Change, region: str, arn: str) -> dict[str, Any]:
    """The change as a function receives it."""
    found = record(stream, shard, number, change, region)
    if change.by_expiry:
        found["userIdentity"] = dict(_SERVICE)
    found["eventSourceARN"] = arn
    return found


def _size(stored: bytes | None) -> int:
    return 0 if stored is None else items.size_of(stored)


def data(event: dict[str, Any]) -> bytes:
    """The bytes of a record: its JSON."""
    return msgspec.json.encode(event)
