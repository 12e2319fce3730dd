"""How changes flow out of tables beside their streams: to Kinesis streams, and to replicas in other regions."""

from collections.abc import Sequence

from headrace import consumer
from headrace.kit import arn as arns
from headrace.operation import Context
from headrace.ports import Flow, Scope
from headrace.services.dynamodb import feeds, state


class Links:
    """The links that DynamoDB keeps."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """Kinesis destinations and replicas."""
        assert isinstance(scope, Context)
        return [*_destinations(scope), *scope.snapshot(_replicas)]


def _destinations(ctx: Context) -> list[Flow]:
    rows = ctx.snapshot(lambda inner: {str(key[-1]): feed for key, feed in state.FEEDS.scan(inner.tx)})
    found = []
    for subscription in feeds.subscriptions(ctx):
        _, number, table = subscription.id.split("/", 2)
        feed = rows.get(number)
        if feed is None:
            continue
        backlog = consumer.backlog(ctx, subscription)
        behind = backlog.behind_seconds(ctx.clock.now())
        found.append(
            Flow(
                arns.arn("dynamodb", subscription.region, subscription.account, f"table/{table}"),
                feed.target,
                "stream destination",
                "active" if feed.stream.closed_at is None else "disabled",
                behind,
                problem=backlog.problem,
            )
        )
    return found


def _replicas(ctx: Context) -> list[Flow]:
    return [
        Flow(
            arns.arn("dynamodb", str(region), str(account), f"table/{row.name}"),
            arns.arn("dynamodb", other, str(account), f"table/{row.name}"),
            "replica",
            "creating" if row.making else "active",
        )
        for (account, region, _), row in state.TABLES.scan(ctx.tx)
        for other in row.replicas
    ]
