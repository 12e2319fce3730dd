"""Feeds: the changes of a table on their way to a Kinesis stream.

A feed is a log beside the table's own stream, written in the transaction of the change. The consumer reads it and puts the
changes into the stream, all of a batch in one transaction: what comes twice comes with the same eventID.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from headrace.consumer import Consumer, Outcome, Subscription
from headrace.kit import arn as arns
from headrace.operation import Context
from headrace.ports import SourceRecord
from headrace.services.dynamodb import state
from headrace.services.dynamodb.state import Destination, Table

# No ARN of AWS's: the consumer's name for a feed.
SOURCE = "dynamodb-feed"
MILLISECOND, MICROSECOND = "MILLISECOND", "MICROSECOND"
_MICROSECONDS = {MILLISECOND: 1000, MICROSECOND: 1}
_EVENT_IDS = uuid.UUID("5d0c7c5a-2c0f-4d4e-9b51-6a1f6d0b7a34")


def subscriptions(ctx: Context) -> Iterator[Subscription]:
    """Every feed; one that is closed is read to its end."""
    for (account, region, _, _), feed in ctx.snapshot(lambda inner: list(state.FEEDS.scan(inner.tx))):
        number, table = feed.stream.id, feed.stream.table
        arn = arns.arn(SOURCE, str(region), str(account), f"table/{table}/feed/{number}")
        yield Subscription(f"dynamodb/{number}/{table}", str(account), str(region), arn, batch_size_max=500)


def record(event: dict[str, Any], at: float, feed_id: int, table: str, precision: str) -> dict[str, Any]:
    """A change as AWS puts it into a stream, made from the form that functions get."""
    change = event["dynamodb"]
    body = {
        "ApproximateCreationDateTime": round(at * 1_000_000) // _MICROSECONDS[precision],
        "ApproximateCreationDateTimePrecision": precision,
        **{name: change[name] for name in ("Keys", "NewImage", "OldImage", "SizeBytes") if name in change},
    }
    return {
        "awsRegion": event["awsRegion"],
        "eventID": str(uuid.uuid5(_EVENT_IDS, f"{feed_id}/{event['eventID']}")),
        "eventName": event["eventName"],
        "userIdentity": event.get("userIdentity"),
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": body,
        "eventSource": "aws:dynamodb",
    }


def close(ctx: Context, table: Table, held: Destination) -> None:
    """Take no more changes into a destination's feed."""
    feed = state.FEEDS.get(ctx.tx, ctx.account, ctx.region, table.row.name, held.feed)
    if feed is not None and feed.stream.closed_at is None:
        feed.stream.closed_at = ctx.clock.now()
        state.FEEDS.put(ctx.tx, feed, ctx.account, ctx.region, table.row.name, held.feed)
        for shard in range(feed.stream.shards):
            ctx.tx.announce(b"log:" + state.log_of(feed.stream.id, shard))


def close_all(ctx: Context, table: Table) -> None:
    """The table goes: its destinations do, too, when the changes made before have arrived."""
    for _, held in list(state.DESTINATIONS.scan(ctx.tx, ctx.account, ctx.region, table.row.name)):
        close(ctx, table, held)
    state.DESTINATIONS.delete_all(ctx.tx, ctx.account, ctx.region, table.row.name)


class Deliveries:
    """Puts a feed's changes into its stream."""

    def handle(self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord]) -> Outcome:
        """Put all of the records, or none."""
        _, number, table = subscription.id.split("/", 2)
        sink = ctx.ports.batch_sinks["kinesis"]

        def body(inner: Context) -> Outcome:
            feed = state.FEEDS.get(inner.tx, inner.account, inner.region, table, int(number))
            if feed is None:
                return Outcome()
            changes = [record(dict(one.event), one.arrived_at, feed.stream.id, table, feed.precision) for one in records]
            keys = [_partition_key(one["dynamodb"]["Keys"]) for one in changes]
            sink.send_all(inner, feed.target, [msgspec.json.encode(one) for one in changes], partition_keys=keys)
            return Outcome()

        return ctx.transact(body)

    def give_up(
        self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord], reason: str, attempts: int
    ) -> None:
        """Never called: changes are tried until they are in the stream, or trimmed after 24 hours."""


def _partition_key(keys: Mapping[str, Any]) -> str:
    """The item's key as a whole, as AWS does: changes of an item stay in order."""
    return hashlib.md5(msgspec.json.encode(keys), usedforsecurity=False).hexdigest().upper()


CONSUMER = Consumer("dynamodb-feeds", subscriptions, Deliveries(), topics=(state.FEEDS_TOPIC,))
