"""The policies of topics, for who authorises requests: the port `ResourcePolicies`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.ports import Scope
from headrace.services.sns import state
from headrace.store.api import ReadTransaction

POLICY = "Policy"


class TopicPolicies:
    """A topic's policy is one of its attributes."""

    def policies(self, tx: ReadTransaction, arn: str) -> Sequence[str]:
        """The document that speaks for a topic."""
        _, _, _, region, account, name = arn.split(":", 5)
        topic = state.TOPICS.get(tx, account, region, name)
        text = None if topic is None else topic.attributes.get(POLICY)
        return (text,) if text else ()

    def any_kept(self, tx: ReadTransaction) -> bool:
        """Requests to topics all name them: nothing is behind a token."""
        return False

    def behind(self, scope: Scope, parameters: Mapping[str, Any]) -> str | None:
        """Nothing: a page's token comes with its topic."""
        return None

    def owner(self, tx: ReadTransaction, arn: str) -> str | None:
        """The ARNs of topics have their accounts."""
        return None
