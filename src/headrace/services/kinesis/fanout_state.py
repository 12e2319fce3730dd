"""What enhanced fan-out keeps.

    ("kinesis", "consumer", stream id, name)               → Consumer
    ("kinesis", "subscription", stream id, name, number)   → Claim: which connection has the consumer's subscription to a shard

A claim that was replaced or removed ends the connection that held it: whoever pushes looks when the shard's claims are announced.
"""

import msgspec

from headrace.layers import log
from headrace.layers import tags as tag_rows
from headrace.layers.records import Records
from headrace.services.kinesis import errors, naming, rules, state
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction


class Consumer(msgspec.Struct):
    """A registered consumer. Its ARN holds the second of its creation, so that one of an old name is another one."""

    name: str
    arn: str
    stream_arn: str
    created_at: float


class Claim(msgspec.Struct):
    """A subscription: its own id, and when it began (seconds since 1970)."""

    id: str
    began_at: float


CONSUMERS = Records(("kinesis", "consumer"), Consumer)
CLAIMS = Records(("kinesis", "subscription"), Claim)


def claims_topic(stream_id: str, number: int) -> bytes:
    """The topic that is announced when subscriptions to a shard begin or are taken away."""
    return tuples.pack(("kinesis", "claims", stream_id, number))


def find(
    tx: ReadTransaction, at: naming.Place, stream_arn: str | None, name: str | None, consumer_arn: str | None
) -> tuple[state.Stream, Consumer]:
    """The consumer of an ARN, or of a stream's ARN and a name; ResourceNotFoundException, InvalidArgumentException."""
    if consumer_arn is None and (stream_arn is None or name is None):
        raise errors.InvalidArgumentException("Either ConsumerARN or both StreamARN and ConsumerName must be specified.")
    stream = state.find(tx, at.account, at.region, naming.stream_name(at, None, consumer_arn or stream_arn))
    asked = name if consumer_arn is None else consumer_arn.partition("/consumer/")[2].partition(":")[0]
    found = CONSUMERS.get(tx, stream.id, asked)
    if found is None or consumer_arn not in (None, found.arn):
        raise consumer_not_found(asked or "", at.account)
    if name not in (None, found.name) or (stream_arn is not None and stream_arn != found.stream_arn):
        raise errors.InvalidArgumentException(
            f"ConsumerARN {consumer_arn}, StreamARN {stream_arn} and ConsumerName {name} do not name the same consumer."
        )
    return stream, found


def consumer_not_found(name: str, account: str) -> errors.ResourceNotFoundException:
    """No such consumer."""
    return errors.ResourceNotFoundException(f"Consumer {name}, account {account} not found.")


def count(tx: ReadTransaction, stream: state.Stream) -> int:
    """How many consumers a stream has."""
    return sum(1 for _ in CONSUMERS.scan(tx, stream.id))


def remove(tx: Transaction, stream: state.Stream, consumer: Consumer) -> None:
    """Remove a consumer; its subscriptions end."""
    CONSUMERS.delete(tx, stream.id, consumer.name)
    tag_rows.drop(tx, consumer.arn)
    state.drop_policy(tx, consumer.arn)
    for key, _ in list(CLAIMS.scan(tx, stream.id, consumer.name)):
        CLAIMS.delete(tx, *key)
        tx.announce(claims_topic(stream.id, int(str(key[-1]))))


def remove_all(tx: Transaction, stream: state.Stream) -> None:
    """Remove all consumers of a stream that is deleted."""
    for _, consumer in list(CONSUMERS.scan(tx, stream.id)):
        remove(tx, stream, consumer)


def start_place(
    tx: ReadTransaction, stream: state.Stream, shard: state.Shard, kind: str, sequence: str | None, timestamp: float | None
) -> int:
    """The place behind which a subscription begins; InvalidArgumentException."""
    shard_log = state.log_of(stream, shard.number)
    if kind == "TRIM_HORIZON":
        return 0
    if kind == "LATEST":
        return log.last(tx, shard_log)
    if kind == "AT_TIMESTAMP":
        if timestamp is None:
            raise errors.InvalidArgumentException(
                "Must either specify timestamp parameter for AT_TIMESTAMP or not use this iterator type."
            )
        return state.place_at(tx, shard_log, round(timestamp * 1000))
    if sequence is None:
        raise errors.InvalidArgumentException(f"Must specify SequenceNumber parameter for {kind} starting position type.")
    place = rules.place_of(shard.base, sequence)
    if place is None:
        raise errors.InvalidArgumentException(
            f"StartingSequenceNumber {sequence} used in SubscribeToShard on shard {shard.id} in stream {stream.name} is invalid."
        )
    return place if kind == "AFTER_SEQUENCE_NUMBER" else max(0, place - 1)
