"""The policies of queues, for who authorises requests: the port `ResourcePolicies`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.ports import Scope
from headrace.services.sqs import state
from headrace.store.api import ReadTransaction

POLICY = "Policy"


class QueuePolicies:
    """A queue's policy is one of its attributes."""

    def policies(self, tx: ReadTransaction, arn: str) -> Sequence[str]:
        """The document that speaks for a queue."""
        _, _, _, region, account, name = arn.split(":", 5)
        queue = state.QUEUES.get(tx, account, region, name)
        text = None if queue is None else queue.attributes.get(POLICY)
        return (text,) if text else ()

    def any_kept(self, tx: ReadTransaction) -> bool:
        """Requests to queues all name them: nothing is behind a token."""
        return False

    def behind(self, scope: Scope, parameters: Mapping[str, Any]) -> str | None:
        """Nothing: a receipt handle comes with its queue's URL."""
        return None

    def owner(self, tx: ReadTransaction, arn: str) -> str | None:
        """The ARNs of queues have their accounts."""
        return None
