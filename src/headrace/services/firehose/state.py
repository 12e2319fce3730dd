"""What Firehose keeps.

    ("firehose", "stream", account, region, name)   → DeliveryStream: settings; the row changes with each of them
    ("firehose", "log", stream id)                  the buffered records: a log of pieces (layers.log, layers.pieces)
    ("firehose", "gauge", stream id)                → size, count and oldest record of the open batch; absent when it is empty
    ("firehose", "batch", stream id, through)       → Batch: closed, waiting for its delivery
    ("firehose", "delivery", stream id)             → Delivery: the one batch that is being delivered, and all that its
                                                      destination will see of it: keys and manifest id
    ("firehose", "pending", stream id)              → (account, region, name): there is something in the buffer
    ("firehose", "taken", stream id, shard)         → the last sequence number that was taken from a Kinesis stream
    ("firehose", "hold", stream id, reader)         → Hold: how far a reader has come; the buffer keeps what lies behind it
    ("firehose", "doomed", stream id)               the log of a deleted stream, until a worker removed it

A batch is a range of numbers of the log. It is closed by the record that fills it, or by the delivery worker when its time is
up; from then on it never changes. The id of a stream is made when it is created, so a new one of an old name starts empty.
"""

from typing import Any, NamedTuple

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.services.firehose import errors
from headrace.services.firehose.destinations import Destination
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction

DIRECT_PUT, KINESIS_SOURCE = "DirectPut", "KinesisStreamAsSource"


class DeliveryStream(msgspec.Struct, omit_defaults=True):
    """A delivery stream's settings. `full`: its backlog is so large that it takes no more records."""

    name: str
    id: str
    kind: str
    created_at: float
    destination: Destination
    version: int = 1
    updated_at: float | None = None
    source: dict[str, Any] = {}
    encryption: dict[str, Any] = {}
    full: bool = False


class Batch(msgspec.Struct, array_like=True):
    """Records of the buffer behind the number `after`, up to `through`."""

    after: int
    through: int
    records: int
    size_bytes: int
    oldest_ms: int


class Delivery(msgspec.Struct, omit_defaults=True):
    """A batch on its way. What the destination sees of it was chosen before it was first tried, and is the same each time."""

    batch: Batch
    id: str
    version: int
    destination: Destination
    begun_at: float
    staged: bool = False
    delivered: bool = False
    attempts: int = 0
    failing_since: float | None = None
    not_before: float = 0.0


class Hold(msgspec.Struct, array_like=True):
    """Somebody reads the buffer, too, and has come to the number `after`. `until`: when the hold is over by itself."""

    after: int
    until: float | None = None


class Pending(msgspec.Struct, array_like=True):
    """Whose buffer holds something."""

    account: str
    region: str
    name: str


STREAMS = Records(("firehose", "stream"), DeliveryStream)
BATCHES = Records(("firehose", "batch"), Batch)
DELIVERIES = Records(("firehose", "delivery"), Delivery)
PENDING = Records(("firehose", "pending"), Pending)
TAKEN = Records(("firehose", "taken"), str)
HOLDS = Records(("firehose", "hold"), Hold)
DOOMED = Records(("firehose", "doomed"), bool)

PENDING_TOPIC = b"firehose:pending"
DOOMED_TOPIC = b"firehose:doomed"
SOURCES_TOPIC = b"firehose:sources"


def stream_arn(account: str, region: str, name: str) -> str:
    """The ARN of a delivery stream."""
    return arns.arn("firehose", region, account, f"deliverystream/{name}")


def log_of(stream_id: str) -> bytes:
    """The log of a delivery stream's buffer."""
    return tuples.pack(("firehose", "log", stream_id))


def topic_of(stream_id: str) -> bytes:
    """The topic that is announced when a batch is opened or closed: not at each record, for most of them change nothing."""
    return b"firehose:batch:" + stream_id.encode()


def gauge_of(stream_id: str) -> bytes:
    """The key of a delivery stream's gauge."""
    return tuples.pack(("firehose", "gauge", stream_id))


def find(tx: ReadTransaction, account: str, region: str, name: str) -> DeliveryStream:
    """The delivery stream of a name; ResourceNotFoundException."""
    stream = STREAMS.get(tx, account, region, name)
    if stream is None:
        raise errors.stream_not_found(name, account)
    return stream


class Target(NamedTuple):
    """What putting a record needs to know of a delivery stream, and the row that it was read from."""

    raw: bytes
    key: bytes
    stream: DeliveryStream
    log: bytes
    gauge: bytes
    topic: bytes
    size_max_bytes: int
    owner: Pending


_TARGETS_CACHED_MAX = 10_000
_targets: dict[tuple[str, str, str], Target] = {}


def target(tx: ReadTransaction, account: str, region: str, name: str) -> Target:
    """Where records of a delivery stream go; ResourceNotFoundException.

    Kept from call to call, and good as long as the stream's row is byte for byte the one it was made from.
    """
    cached = _targets.get((account, region, name))
    raw = tx.get(STREAMS.key(account, region, name) if cached is None else cached.key)
    if cached is not None and cached.raw == raw:
        return cached
    if raw is None:
        _targets.pop((account, region, name), None)
        raise errors.stream_not_found(name, account)
    stream = find(tx, account, region, name)
    made = Target(
        raw, STREAMS.key(account, region, name), stream, log_of(stream.id), gauge_of(stream.id), topic_of(stream.id),
        stream.destination.size_max_bytes, Pending(account, region, name),
    )  # fmt: skip
    if len(_targets) >= _TARGETS_CACHED_MAX:
        _targets.clear()
    _targets[account, region, name] = made
    return made


def remove(tx: Transaction, account: str, region: str, stream: DeliveryStream) -> None:
    """Forget a delivery stream and what it still holds; a worker removes its log piece by piece."""
    STREAMS.delete(tx, account, region, stream.name)
    tx.clear(gauge_of(stream.id))
    BATCHES.delete_all(tx, stream.id)
    DELIVERIES.delete(tx, stream.id)
    PENDING.delete(tx, stream.id)
    TAKEN.delete_all(tx, stream.id)
    HOLDS.delete_all(tx, stream.id)
    DOOMED.put(tx, True, stream.id)
    tx.announce(DOOMED_TOPIC)
    tx.announce(SOURCES_TOPIC)
    tx.announce(topic_of(stream.id))
