"""How messages flow out of topics: their subscriptions."""

from collections.abc import Sequence

from headrace.operation import Context
from headrace.ports import Flow, Scope
from headrace.services.sns import state


class Links:
    """The links that SNS keeps."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """The subscriptions of topics."""
        assert isinstance(scope, Context)
        return scope.snapshot(
            lambda inner: [Flow(one.topic_arn, one.endpoint, "subscription") for _, one in state.SUBSCRIPTIONS.scan(inner.tx)]
        )
