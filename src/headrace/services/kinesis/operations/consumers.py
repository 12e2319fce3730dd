"""Operations on consumers: register, describe, list, deregister, and subscribe to a shard."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.kinesis import errors, fanout, fanout_state, limits, naming, state
from headrace.services.kinesis.fanout_state import Consumer


@operation
def register_stream_consumer(
    ctx: Context, *, stream_arn: str, consumer_name: str, tags: dict[str, str] | None = None
) -> dict[str, Any]:
    """Register a consumer, which may then subscribe to the stream's shards.

    Differs from AWS: the answer says CREATING, and whoever asks next hears ACTIVE.
    """
    name = naming.stream_name(ctx, None, stream_arn)
    stream = state.find(ctx.tx, ctx.account, ctx.region, name)
    if fanout_state.CONSUMERS.get(ctx.tx, stream.id, consumer_name) is not None:
        raise errors.ResourceInUseException(
            f"Consumer {consumer_name} under stream {name} already exists for account {ctx.account}."
        )
    if fanout_state.count(ctx.tx, stream) >= limits.CONSUMERS_PER_STREAM_MAX:
        raise errors.LimitExceededException(
            f"Stream {name} under account {ctx.account} has reached the limit of {limits.CONSUMERS_PER_STREAM_MAX} consumers."
        )
    if len(tags or {}) > limits.TAGS_PER_STREAM_MAX:
        raise errors.InvalidArgumentException(f"A consumer has {limits.TAGS_PER_STREAM_MAX} tags at most.")
    now = ctx.clock.now()
    own_arn = state.stream_arn(ctx.account, ctx.region, name)
    consumer = Consumer(consumer_name, f"{own_arn}/consumer/{consumer_name}:{int(now)}", own_arn, now)
    fanout_state.CONSUMERS.put(ctx.tx, consumer, stream.id, consumer_name)
    if tags:
        tag_rows.add(ctx.tx, consumer.arn, tags)
    return {"Consumer": {**_shape(consumer), "ConsumerStatus": "CREATING"}}


@operation
def deregister_stream_consumer(
    ctx: Context, *, stream_arn: str | None = None, consumer_name: str | None = None, consumer_arn: str | None = None
) -> None:
    """Remove a consumer; its subscriptions end with ResourceNotFoundException.

    Differs from AWS: it is gone at once, without a DELETING state.
    """
    stream, consumer = fanout_state.find(ctx.tx, ctx, stream_arn, consumer_name, consumer_arn)
    fanout_state.remove(ctx.tx, stream, consumer)


@operation(read_only=True)
def describe_stream_consumer(
    ctx: Context, *, stream_arn: str | None = None, consumer_name: str | None = None, consumer_arn: str | None = None
) -> dict[str, Any]:
    """A consumer."""
    _, consumer = fanout_state.find(ctx.tx, ctx, stream_arn, consumer_name, consumer_arn)
    return {"ConsumerDescription": {**_shape(consumer), "StreamARN": consumer.stream_arn}}


@operation(read_only=True)
def list_stream_consumers(
    ctx: Context,
    *,
    stream_arn: str,
    next_token: str | None = None,
    max_results: int | None = None,
    stream_creation_timestamp: float | None = None,
) -> dict[str, Any]:
    """A page of a stream's consumers, by name."""
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, None, stream_arn))
    if stream_creation_timestamp is not None and int(stream_creation_timestamp) != int(stream.created_at):
        raise errors.stream_not_found(stream.name, ctx.account)
    after = None
    if next_token is not None:
        if stream_creation_timestamp is not None:
            raise errors.InvalidArgumentException("NextToken and StreamCreationTimestamp cannot be provided together.")
        after = (stream.id, naming.decode_page(ctx.settings, next_token, f"consumers/{stream.id}", ctx.clock.now_ms()).after)
    wanted = min(max_results or limits.LIST_CONSUMERS_DEFAULT, limits.LIST_CONSUMERS_DEFAULT)
    page = [one for _, one in fanout_state.CONSUMERS.scan(ctx.tx, stream.id, after=after, limit=wanted + 1)]
    answer: dict[str, Any] = {"Consumers": [_shape(one) for one in page[:wanted]]}
    if len(page) > wanted:
        token = naming.Page(f"consumers/{stream.id}", page[wanted - 1].name, ctx.clock.now_ms())
        answer["NextToken"] = naming.encode(ctx.settings, token)
    return answer


@operation
def subscribe_to_shard(
    ctx: Context, *, consumer_arn: str, shard_id: str, starting_position: dict[str, Any], dry_run: bool | None = None
) -> dict[str, Any]:
    """Push a shard's records for five minutes, within milliseconds of their commit; about every five seconds without any, an
    event that says so. At the end of the shard: its children, and the end of the stream.

    A second call within five seconds is refused; a later one takes the subscription over. Differs from AWS: no limit of bytes
    per second, but a subscriber's own speed.
    """
    stream, consumer = fanout_state.find(ctx.tx, ctx, None, None, consumer_arn)
    shard = state.shard(ctx.tx, stream, ctx.account, shard_id)
    after = fanout_state.start_place(
        ctx.tx, stream, shard, starting_position["Type"], starting_position.get("SequenceNumber"),
        starting_position.get("Timestamp"),
    )  # fmt: skip
    now = ctx.clock.now()
    held = fanout_state.CLAIMS.get(ctx.tx, stream.id, consumer.name, shard.number)
    if held is not None and now - held.began_at < limits.TAKEOVER_AFTER_SECONDS:
        raise fanout.already_subscribed(ctx.account, stream, shard, consumer.name)
    if dry_run:
        raise errors.DryRunOperationException("The request would have succeeded, but the DryRun flag is set.")
    claim = fanout_state.Claim(ctx.ids.hex(16), now)
    fanout_state.CLAIMS.put(ctx.tx, claim, stream.id, consumer.name, shard.number)
    ctx.tx.announce(fanout_state.claims_topic(stream.id, shard.number))
    subscription = fanout.Subscription(claim.id, stream, consumer, shard, ctx.account, after, now)
    return {"EventStream": fanout.FANOUT.events(ctx.store, ctx.clock, subscription)}


def _shape(consumer: Consumer) -> dict[str, Any]:
    return {
        "ConsumerName": consumer.name,
        "ConsumerARN": consumer.arn,
        "ConsumerStatus": "ACTIVE",
        "ConsumerCreationTimestamp": consumer.created_at,
    }
