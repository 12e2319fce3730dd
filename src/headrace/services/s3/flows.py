"""How changes of objects flow out of buckets: their notifications."""

from collections.abc import Sequence

from headrace.operation import Context
from headrace.ports import Flow, Scope
from headrace.services.s3 import notifications, state


class Links:
    """The links that S3 keeps."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """The notifications of buckets."""
        assert isinstance(scope, Context)
        return scope.snapshot(_notifications)


def _notifications(ctx: Context) -> list[Flow]:
    return [
        Flow(bucket.arn, target, "notification")
        for _, bucket in state.BUCKETS.scan(ctx.tx)
        for target in notifications.targets(bucket.configurations.get(notifications.KIND) or {})
    ]
