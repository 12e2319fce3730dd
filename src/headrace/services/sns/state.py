"""What SNS keeps.

("sns", "topic", account, region, name)          → Topic: its attributes
("sns", "subscription", topic ARN, id)           → Subscription: where messages go, and which
"""

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.ports import Scope
from headrace.services.sns import errors
from headrace.store.api import ReadTransaction


class Topic(msgspec.Struct, omit_defaults=True):
    """A topic. `attributes` are those that were set."""

    name: str
    account: str
    region: str
    attributes: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """The topic's ARN."""
        return arns.arn("sns", self.region, self.account, self.name)


class Subscription(msgspec.Struct, omit_defaults=True):
    """A subscription: a queue or a function that gets the topic's messages."""

    id: str
    topic_arn: str
    protocol: str
    endpoint: str
    attributes: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """The subscription's ARN."""
        return f"{self.topic_arn}:{self.id}"


TOPICS = Records(("sns", "topic"), Topic)
SUBSCRIPTIONS = Records(("sns", "subscription"), Subscription)


def find(scope: Scope, arn: str) -> Topic:
    """The caller's topic. NotFoundException, AuthorizationErrorException, InvalidParameterException."""
    parsed = _parse(arn, "TopicArn")
    if parsed.account != scope.account:
        raise errors.AuthorizationErrorException(f"User is not authorized to use the resource {arn}")
    found = TOPICS.get(scope.tx, parsed.account, parsed.region, parsed.resource)
    if found is None:
        raise errors.no_such_topic()
    return found


def find_subscription(scope: Scope, arn: str) -> Subscription:
    """The caller's subscription. NotFoundException, AuthorizationErrorException, InvalidParameterException."""
    topic_arn, _, subscription_id = arn.rpartition(":")
    parsed = _parse(topic_arn, "SubscriptionArn")
    if parsed.account != scope.account:
        raise errors.AuthorizationErrorException(f"User is not authorized to use the resource {arn}")
    found = SUBSCRIPTIONS.get(scope.tx, topic_arn, subscription_id)
    if found is None:
        raise errors.no_such_subscription()
    return found


def _parse(arn: str, name: str) -> arns.Arn:
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise errors.invalid(f"{name} Reason: An ARN must have at least 6 elements, not {arn.count(':') + 1}") from None
    if parsed.service != "sns" or ":" in parsed.resource:
        raise errors.invalid(name)
    return parsed


def subscriptions(tx: ReadTransaction, topic_arn: str) -> list[Subscription]:
    """The subscriptions of a topic."""
    return [one for _, one in SUBSCRIPTIONS.scan(tx, topic_arn)]
