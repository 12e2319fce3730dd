"""Operations on subscriptions."""

import json
from typing import Any

from headrace.kit import arn as arns
from headrace.operation import Context, operation
from headrace.services.sns import errors, filters, limits, paging, state
from headrace.services.sns.publishing import PRINCIPAL

_ATTRIBUTES = frozenset({"RawMessageDelivery", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy"})


@operation(accepts=("return_subscription_arn",))
def subscribe(
    ctx: Context, *, topic_arn: str, protocol: str, endpoint: str | None = None, attributes: dict[str, str] | None = None
) -> dict[str, Any]:
    """Let a queue or a function of the caller's account, or of the topic's, get a topic's messages. It needs no confirmation."""
    topic = state.find(ctx, topic_arn)
    if protocol not in ("sqs", "lambda"):
        raise errors.invalid(f"Protocol Reason: Headrace delivers to sqs and lambda, not to {protocol}")
    _check_endpoint(ctx, topic, protocol, endpoint or "", "Endpoint")
    given = attributes or {}
    _check_attributes(ctx, topic, protocol, given)
    existing = state.subscriptions(ctx.tx, topic.arn)
    for one in existing:
        if (one.protocol, one.endpoint) == (protocol, endpoint):
            if any(one.attributes.get(name) != value for name, value in given.items()):
                raise errors.invalid("Attributes Reason: Subscription already exists with different attributes")
            return {"SubscriptionArn": one.arn}
    if len(existing) >= limits.SUBSCRIPTIONS_PER_TOPIC_MAX:
        raise errors.SubscriptionLimitExceededException("Subscription limit exceeded for topic")
    made = state.Subscription(ctx.ids.uuid(), topic.arn, protocol, endpoint or "", given)
    state.SUBSCRIPTIONS.put(ctx.tx, made, topic.arn, made.id)
    return {"SubscriptionArn": made.arn}


def _check_endpoint(ctx: Context, topic: state.Topic, service: str, arn: str, name: str) -> None:
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise errors.invalid(f"{name} Reason: {service} endpoint ARN is malformed") from None
    if parsed.service != service:
        raise errors.invalid(f"{name} Reason: {service} endpoint ARN is malformed")
    if parsed.account in (topic.account, ctx.principal.account):
        return
    if service == "sqs":
        # On AWS the queue would get a message by which its owner confirms.
        raise errors.invalid(f"{name} Reason: a queue is subscribed by its own account, {parsed.account}, or the topic's")
    if not ctx.ports.authority.lets_service(ctx, PRINCIPAL, "lambda:InvokeFunction", arn, topic.arn, topic.account):
        raise errors.AuthorizationErrorException(
            f"The account {ctx.principal.account} is not the owner of the lambda function {arn}"
        )


def _check_attributes(ctx: Context, topic: state.Topic, protocol: str, attributes: dict[str, str]) -> None:
    for name, value in attributes.items():
        if name not in _ATTRIBUTES:
            raise errors.invalid(f"AttributeName Reason: Headrace does not support the attribute {name}")
        if name == "RawMessageDelivery" and (value not in ("true", "false") or (value == "true" and protocol == "lambda")):
            raise errors.invalid("Attributes Reason: RawMessageDelivery: Invalid value or protocol")
        if name == "FilterPolicyScope" and value not in ("MessageAttributes", "MessageBody"):
            raise errors.invalid("Attributes Reason: FilterPolicyScope: Invalid value")
        if name == "FilterPolicy" and value:
            filters.check(value, nested=attributes.get("FilterPolicyScope") == "MessageBody")
        if name == "RedrivePolicy" and value:
            try:
                target = json.loads(value)["deadLetterTargetArn"]
            except (ValueError, KeyError, TypeError):
                raise errors.invalid("RedrivePolicy: failed to parse JSON") from None
            _check_endpoint(ctx, topic, "sqs", str(target), "RedrivePolicy")


@operation
def unsubscribe(ctx: Context, *, subscription_arn: str) -> None:
    """End a subscription, if it is there."""
    try:
        found = state.find_subscription(ctx, subscription_arn)
    except errors.NotFoundException:
        return
    state.SUBSCRIPTIONS.delete(ctx.tx, found.topic_arn, found.id)


@operation(read_only=True)
def get_subscription_attributes(ctx: Context, *, subscription_arn: str) -> dict[str, Any]:
    """Settings of a subscription."""
    found = state.find_subscription(ctx, subscription_arn)
    return {
        "Attributes": {
            "SubscriptionArn": found.arn,
            "TopicArn": found.topic_arn,
            "Owner": ctx.account,
            "Protocol": found.protocol,
            "Endpoint": found.endpoint,
            "ConfirmationWasAuthenticated": "true",
            "PendingConfirmation": "false",
            "RawMessageDelivery": "false",
            "SubscriptionPrincipal": f"arn:aws:iam::{ctx.account}:root",
            **({"FilterPolicyScope": "MessageAttributes"} if found.attributes.get("FilterPolicy") else {}),
            **found.attributes,
        }
    }


@operation
def set_subscription_attributes(
    ctx: Context, *, subscription_arn: str, attribute_name: str, attribute_value: str | None = None
) -> None:
    """Change a setting of a subscription, at once."""
    found = state.find_subscription(ctx, subscription_arn)
    changed = {**found.attributes, attribute_name: attribute_value or ""}
    _check_attributes(ctx, state.find(ctx, found.topic_arn), found.protocol, changed)
    found.attributes = {name: value for name, value in changed.items() if value}
    state.SUBSCRIPTIONS.put(ctx.tx, found, found.topic_arn, found.id)


@operation(read_only=True)
def list_subscriptions(ctx: Context, *, next_token: str | None = None) -> dict[str, Any]:
    """A page of the subscriptions of the account and region."""
    topic_name, _, subscription_id = paging.decode(next_token).partition(":")
    found: list[state.Subscription] = []
    for _, topic in state.TOPICS.scan(ctx.tx, ctx.account, ctx.region):
        if topic.name < topic_name:
            continue
        after = (topic.arn, subscription_id) if topic.name == topic_name else None
        wanted = limits.PAGE + 1 - len(found)
        found += [one for _, one in state.SUBSCRIPTIONS.scan(ctx.tx, topic.arn, after=after, limit=wanted)]
        if len(found) > limits.PAGE:
            break
    return _page(found)


@operation(read_only=True)
def list_subscriptions_by_topic(ctx: Context, *, topic_arn: str, next_token: str | None = None) -> dict[str, Any]:
    """A page of the subscriptions of a topic."""
    topic = state.find(ctx, topic_arn)
    after = (topic.arn, paging.decode(next_token).partition(":")[2])
    return _page([one for _, one in state.SUBSCRIPTIONS.scan(ctx.tx, topic.arn, after=after, limit=limits.PAGE + 1)])


def _page(found: list[state.Subscription]) -> dict[str, Any]:
    shown = found[: limits.PAGE]
    more = len(found) > limits.PAGE
    return {
        "Subscriptions": [
            {
                "SubscriptionArn": one.arn,
                "Owner": arns.parse(one.topic_arn).account,
                "Protocol": one.protocol,
                "Endpoint": one.endpoint,
                "TopicArn": one.topic_arn,
            }
            for one in shown
        ],
        "NextToken": paging.encode(f"{arns.parse(shown[-1].topic_arn).resource}:{shown[-1].id}") if more else None,
    }
