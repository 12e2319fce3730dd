"""Kinesis streams as sources: each record is taken into the buffer once.

The consumer hands a batch over at least once. The last sequence number of each shard is kept in the transaction that puts the
records into the buffer, so what was taken before is left out.
"""

from collections.abc import Iterator, Sequence

from headrace.consumer import Consumer, Outcome, Subscription
from headrace.operation import Context
from headrace.ports import SourceRecord
from headrace.services.firehose import buffer, limits, state


def subscription_id(stream: state.DeliveryStream) -> str:
    """The consumer's name for a delivery stream."""
    return f"firehose/{stream.id}/{stream.name}"


def subscriptions(ctx: Context) -> Iterator[Subscription]:
    """The delivery streams that read a Kinesis stream."""
    for (account, region, _), stream in ctx.snapshot(lambda inner: list(state.STREAMS.scan(inner.tx))):
        if stream.kind == state.KINESIS_SOURCE:
            yield Subscription(
                subscription_id(stream),
                str(account),
                str(region),
                stream.source["KinesisStreamARN"],
                start=stream.source["DeliveryStartTimestamp"],
                batch_size_max=limits.SOURCE_RECORDS_PER_READ,
                batch_size_max_bytes=limits.SOURCE_SIZE_PER_READ_BYTES,
            )


class SourceHandler:
    """Puts a Kinesis stream's records into the buffer."""

    def handle(self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord]) -> Outcome:
        """Take the records that were not taken before."""
        _, stream_id, name = subscription.id.split("/")

        def body(inner: Context) -> Outcome:
            target = state.target(inner.tx, inner.account, inner.region, name)
            if target.stream.id != stream_id:
                return Outcome()
            if target.stream.full:
                return Outcome("the delivery stream's backlog is full")
            taken = int(state.TAKEN.get(inner.tx, stream_id, shard_id) or 0)
            for record in records:
                if int(record.sequence_number) <= taken:
                    continue
                source = {"sequence": record.sequence_number, "key": record.partition_key, "shard": shard_id}
                buffer.append(inner.tx, target, record.data, round(record.arrived_at * 1000), source)
            state.TAKEN.put(inner.tx, records[-1].sequence_number, stream_id, shard_id)
            return Outcome()

        return ctx.transact(body)

    def give_up(
        self,
        ctx: Context,
        subscription: Subscription,
        shard_id: str,
        records: Sequence[SourceRecord],
        reason: str,
        attempts: int,
    ) -> None:
        """Never called: records are tried until they are taken."""


CONSUMER = Consumer("firehose.sources", subscriptions, SourceHandler(), topics=(state.SOURCES_TOPIC,))
