"""How things flow through delivery streams: from their source, and to their destination."""

from collections.abc import Iterator, Sequence

from headrace import consumer
from headrace.kit import arn as arns
from headrace.operation import Context
from headrace.ports import Flow, Scope
from headrace.services.firehose import buffer, sources, state
from headrace.services.firehose.destinations import REDSHIFT
from headrace.store.api import ReadTransaction


class Links:
    """The links that Firehose keeps."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """What delivery streams read, and where they deliver."""
        assert isinstance(scope, Context)
        ctx = scope
        read = []
        for subscription in sources.subscriptions(ctx):
            backlog = consumer.backlog(ctx, subscription)
            behind = backlog.behind_seconds(ctx.clock.now())
            target = state.stream_arn(subscription.account, subscription.region, subscription.id.rpartition("/")[2])
            read.append(Flow(subscription.source_arn, target, "source", "active", behind, problem=backlog.problem))
        return read + ctx.snapshot(lambda inner: list(_deliveries(inner)))


def _deliveries(ctx: Context) -> Iterator[Flow]:
    now = ctx.clock.now()
    for (account, region, name), stream in state.STREAMS.scan(ctx.tx):
        waiting, oldest_ms = _backlog(ctx.tx, stream.id)
        delivery = state.DELIVERIES.get(ctx.tx, stream.id)
        problem = ""
        if delivery is not None and delivery.failing_since is not None:
            problem = f"has failed {delivery.attempts} times since {round(now - delivery.failing_since)} s; its log says why"
        yield Flow(
            state.stream_arn(str(account), str(region), str(name)),
            _target(str(account), str(region), stream),
            "delivery",
            "full" if stream.full else "active",
            0.0 if oldest_ms is None else max(0.0, now - oldest_ms / 1000),
            waiting,
            problem,
        )


def _backlog(tx: ReadTransaction, stream_id: str) -> tuple[int, int | None]:
    """(how many records wait for their delivery, when the oldest came)."""
    batches = [batch for _, batch in state.BATCHES.scan(tx, stream_id)]
    delivery = state.DELIVERIES.get(tx, stream_id)
    if delivery is not None and all(batch.through != delivery.batch.through for batch in batches):
        batches.append(delivery.batch)
    counted = [(batch.records, batch.oldest_ms) for batch in batches]
    open_batch = buffer.gauge(tx, stream_id)
    if open_batch is not None:
        counted.append((open_batch.records, open_batch.oldest_ms))
    return sum(records for records, _ in counted), min((oldest for _, oldest in counted), default=None)


def _target(account: str, region: str, stream: state.DeliveryStream) -> str:
    destination = stream.destination
    if destination.kind != REDSHIFT:
        return str(destination.s3["BucketARN"])
    # jdbc:redshift://CLUSTER.rest:port/database
    host, _, database = destination.redshift["ClusterJDBCURL"].partition("://")[2].partition("/")
    cluster = host.partition(":")[0].partition(".")[0]
    table = destination.redshift["CopyCommand"]["DataTableName"]
    return arns.arn("redshift", region, account, f"table:{cluster}/{database}/{table}")
