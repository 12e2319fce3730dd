"""What SQS keeps.

("sqs", "queue", account, region, name)     → Queue: its attributes; `id` changes when it is purged
("sqs", "count", queue id)                  → Count: the last message's number, and how many messages there are
("sqs", "message", queue id, number)        → Message: what changes of a message; its content if that is small
("sqs", "piece", queue id, number, n)       → bytes: the content of a larger message, in pieces
("sqs", "visible", queue id, time, number)  → b"d" delayed, b"f" in flight, b"" else: from when the message may be received
("sqs", "doomed", queue id)                 → True: messages of deleted or purged queues, until a worker removed them
"""

from typing import Any

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.ports import Scope
from headrace.services.sqs import errors, limits, rules
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction

DELAYED, IN_FLIGHT, WAITING = b"d", b"f", b""
DOOMED_TOPIC = b"sqs:doomed"


class Queue(msgspec.Struct, omit_defaults=True):
    """A queue. `attributes` are those that were set."""

    name: str
    id: str
    account: str
    region: str
    created_at: float
    modified_at: float
    attributes: dict[str, str] = {}
    purged_at: float = 0.0

    @property
    def arn(self) -> str:
        """The queue's ARN."""
        return arns.arn("sqs", self.region, self.account, self.name)

    @property
    def topic(self) -> bytes:
        """Announced when a message can be received."""
        return f"sqs:{self.arn}".encode()

    def number(self, name: str) -> int:
        """An attribute that is a number."""
        return int(self.attributes.get(name, rules.NUMBERS[name][0]))


class Count(msgspec.Struct, array_like=True):
    """How many messages a queue was sent, and how many it has."""

    last: int = 0
    total: int = 0


class Content(msgspec.Struct, omit_defaults=True):
    """What the sender said; it never changes."""

    body: str
    attributes: dict[str, dict[str, Any]] = {}
    trace: str | None = None


class Message(msgspec.Struct, omit_defaults=True):
    """What changes of a message, and what is short. `receipt` belongs to the last one who received it."""

    id: str
    sent_at: float
    sender: str
    visible_at: float
    content: bytes | None = None
    pieces: int = 0
    receives: int = 0
    first_received_at: float = 0.0
    receipt: int = 0
    dead_letter_source: str | None = None


QUEUES = Records(("sqs", "queue"), Queue)
COUNTS = Records(("sqs", "count"), Count)
MESSAGES = Records(("sqs", "message"), Message)
DOOMED = Records(("sqs", "doomed"), bool)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Content).decode


def find(scope: Scope, url: str) -> Queue:
    """The caller's queue of a URL. QueueDoesNotExist, InvalidAddress, AccessDenied."""
    account, name = rules.place_of_url(url)
    if account != scope.account:
        raise errors.AccessDenied("Access to the resource is denied.")
    return by_name(scope.tx, account, scope.region, name)


def by_name(tx: ReadTransaction, account: str, region: str, name: str) -> Queue:
    """The queue of a name. QueueDoesNotExist."""
    found = QUEUES.get(tx, account, region, name)
    if found is None:
        raise errors.no_such_queue()
    return found


def by_arn(scope: Scope, arn: str) -> Queue:
    """The scope's queue of an ARN. QueueDoesNotExist, AccessDenied."""
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise errors.no_such_queue() from None
    if parsed.account != scope.account:
        raise errors.AccessDenied("Access to the resource is denied.")
    return by_name(scope.tx, parsed.account, parsed.region, parsed.resource)


def save(tx: Transaction, queue: Queue) -> None:
    """Write a queue's row."""
    QUEUES.put(tx, queue, queue.account, queue.region, queue.name)


def add(tx: Transaction, queue: Queue, message: Message, content: bytes) -> int:
    """Put a message into a queue; its number. Who waits for it is woken when it may be received."""
    count = COUNTS.get(tx, queue.id) or Count()
    count.last += 1
    count.total += 1
    COUNTS.put(tx, count, queue.id)
    if len(content) <= limits.INLINE_SIZE_MAX_BYTES:
        message.content, message.pieces = content, 0
    else:
        size = limits.PIECE_SIZE_BYTES
        pieces = [content[at : at + size] for at in range(0, len(content), size)]
        message.content, message.pieces = None, len(pieces)
        for number, piece in enumerate(pieces):
            tx.set(tuples.pack(("sqs", "piece", queue.id, count.last, number)), piece)
    MESSAGES.put(tx, message, queue.id, count.last)
    mark = DELAYED if message.visible_at > message.sent_at and not message.receives else WAITING
    tx.set(_visible_key(queue, message.visible_at, count.last), mark)
    tx.announce(queue.topic)
    return count.last


def encode_content(content: Content) -> bytes:
    """A content as it is kept."""
    return _encode(content)


def raw_content(tx: ReadTransaction, queue: Queue, number: int, message: Message) -> bytes:
    """A message's content as it is kept."""
    if message.content is not None:
        return message.content
    begin, end = tuples.range_of(("sqs", "piece", queue.id, number))
    return b"".join(piece for _, piece in tx.range(begin, end))


def content(tx: ReadTransaction, queue: Queue, number: int, message: Message) -> Content:
    """What the sender of a message said."""
    return _decode(raw_content(tx, queue, number, message))


def move(tx: Transaction, queue: Queue, number: int, message: Message, visible_at: float, mark: bytes) -> None:
    """Let a message be received from another time on, and write its row."""
    tx.clear(_visible_key(queue, message.visible_at, number))
    message.visible_at = visible_at
    tx.set(_visible_key(queue, visible_at, number), mark)
    MESSAGES.put(tx, message, queue.id, number)


def remove(tx: Transaction, queue: Queue, number: int, message: Message) -> None:
    """Take a message out of a queue."""
    tx.clear(_visible_key(queue, message.visible_at, number))
    MESSAGES.delete(tx, queue.id, number)
    if message.pieces:
        tx.clear_range(*tuples.range_of(("sqs", "piece", queue.id, number)))
    count = COUNTS.get(tx, queue.id) or Count()
    count.total = max(0, count.total - 1)
    COUNTS.put(tx, count, queue.id)


def receivable(tx: ReadTransaction, queue: Queue, now: float, limit: int) -> list[int]:
    """The numbers of messages that may be received now, those that wait longest first."""
    begin = tuples.range_of(("sqs", "visible", queue.id))[0]
    end = tuples.pack(("sqs", "visible", queue.id, now)) + b"\xff"
    return [_number(key) for key, _ in tx.range(begin, end, limit=limit)]


def next_at(tx: ReadTransaction, queue: Queue) -> float | None:
    """When the next message may be received; None without any."""
    for key, _ in tx.range(*tuples.range_of(("sqs", "visible", queue.id)), limit=1):
        visible_at = tuples.unpack(key)[-2]
        assert isinstance(visible_at, float)
        return visible_at
    return None


def counts(tx: ReadTransaction, queue: Queue, now: float) -> tuple[int, int, int]:
    """How many messages may be received, are delayed, and are in flight."""
    begin = tuples.pack(("sqs", "visible", queue.id, now)) + b"\xff"
    end = tuples.range_of(("sqs", "visible", queue.id))[1]
    marks = [mark for _, mark in tx.range(begin, end)]
    delayed = marks.count(DELAYED)
    total = (COUNTS.get(tx, queue.id) or Count()).total
    return max(0, total - len(marks)), delayed, len(marks) - delayed


def doom(tx: Transaction, queue: Queue) -> None:
    """Let a worker remove all messages that are under the queue's id now."""
    DOOMED.put(tx, True, queue.id)
    tx.announce(DOOMED_TOPIC)


def _visible_key(queue: Queue, visible_at: float, number: int) -> bytes:
    return tuples.pack(("sqs", "visible", queue.id, float(visible_at), number))


def _number(key: bytes) -> int:
    number = tuples.unpack(key)[-1]
    assert isinstance(number, int)
    return number
