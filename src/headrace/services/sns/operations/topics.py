"""Operations on topics and their tags."""

import re
from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC, MalformedPolicy
from headrace.services.sns import access, errors, limits, paging, state

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")
# DeliveryPolicy and TracingConfig are kept and reported.
_ATTRIBUTES = frozenset({"DisplayName", "Policy", "DeliveryPolicy", "TracingConfig"})


@operation
def create_topic(
    ctx: Context, *, name: str, attributes: dict[str, str] | None = None, tags: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """Create a standard topic; one that is there with the same attributes is left as it is."""
    given = attributes or {}
    if name.endswith(".fifo") or given.get("FifoTopic") == "true":
        raise errors.invalid("Headrace has no FIFO topics yet")
    if not _NAME.match(name):
        raise errors.invalid("Topic Name")
    wanted = {key: value for key, value in given.items() if key != "FifoTopic"}
    for key, value in wanted.items():
        _check_attribute(ctx, key, value)
    before = state.TOPICS.get(ctx.tx, ctx.account, ctx.region, name)
    if before is not None:
        if any(before.attributes.get(key, "") != value for key, value in wanted.items()):
            raise errors.invalid("Attributes Reason: Topic already exists with different attributes")
        return {"TopicArn": before.arn}
    topic = state.Topic(name, ctx.account, ctx.region, wanted)
    state.TOPICS.put(ctx.tx, topic, ctx.account, ctx.region, name)
    if tags:
        tag_rows.add(ctx.tx, topic.arn, tag_rows.from_list(tags))
    return {"TopicArn": topic.arn}


def _check_attribute(ctx: Context, name: str, value: str | None) -> None:
    if name == "KmsMasterKeyId" and not value:
        return
    if name not in _ATTRIBUTES:
        raise errors.invalid(f"AttributeName Reason: Headrace does not support the attribute {name}")
    if name != access.POLICY:
        return
    if value:
        try:
            ctx.ports.authority.check_policy(value)
        except MalformedPolicy as error:
            raise errors.invalid(f"Policy Error: {error}") from None
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation
def delete_topic(ctx: Context, *, topic_arn: str) -> None:
    """Delete a topic with its subscriptions, if it is there."""
    try:
        topic = state.find(ctx, topic_arn)
    except errors.NotFoundException:
        return
    state.TOPICS.delete(ctx.tx, topic.account, topic.region, topic.name)
    state.SUBSCRIPTIONS.delete_all(ctx.tx, topic.arn)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    tag_rows.drop(ctx.tx, topic.arn)


@operation(read_only=True)
def list_topics(ctx: Context, *, next_token: str | None = None) -> dict[str, Any]:
    """A page of the topics of the account and region, by name."""
    after = (ctx.account, ctx.region, paging.decode(next_token))
    rows = [topic for _, topic in state.TOPICS.scan(ctx.tx, ctx.account, ctx.region, after=after, limit=limits.PAGE + 1)]
    shown = rows[: limits.PAGE]
    return {
        "Topics": [{"TopicArn": topic.arn} for topic in shown],
        "NextToken": paging.encode(shown[-1].name) if len(rows) > limits.PAGE else None,
    }


@operation(read_only=True)
def get_topic_attributes(ctx: Context, *, topic_arn: str) -> dict[str, Any]:
    """Settings of a topic, and how many subscriptions it has."""
    topic = state.find(ctx, topic_arn)
    return {
        "Attributes": {
            "TopicArn": topic.arn,
            "Owner": topic.account,
            "DisplayName": "",
            "SubscriptionsConfirmed": str(len(state.subscriptions(ctx.tx, topic.arn))),
            "SubscriptionsPending": "0",
            "SubscriptionsDeleted": "0",
            **topic.attributes,
        }
    }


@operation
def set_topic_attributes(ctx: Context, *, topic_arn: str, attribute_name: str, attribute_value: str | None = None) -> None:
    """Change a setting of a topic."""
    topic = state.find(ctx, topic_arn)
    _check_attribute(ctx, attribute_name, attribute_value)
    topic.attributes.pop(attribute_name, None)
    if attribute_value:
        topic.attributes[attribute_name] = attribute_value
    state.TOPICS.put(ctx.tx, topic, topic.account, topic.region, topic.name)


def _taggable(ctx: Context, arn: str) -> str:
    try:
        return state.find(ctx, arn).arn
    except errors.NotFoundException:
        raise errors.ResourceNotFoundException("Resource does not exist") from None


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a topic."""
    if len(tag_rows.add(ctx.tx, _taggable(ctx, resource_arn), tag_rows.from_list(tags))) > limits.TAGS_MAX:
        raise errors.TagLimitExceededException("Could not complete request: tag quota of per resource exceeded")


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_keys: list[str]) -> None:
    """Take tags from a topic."""
    tag_rows.remove(ctx.tx, _taggable(ctx, resource_arn), tag_keys)


@operation(read_only=True)
def list_tags_for_resource(ctx: Context, *, resource_arn: str) -> dict[str, Any]:
    """The tags of a topic."""
    return {"Tags": tag_rows.to_list(tag_rows.get(ctx.tx, _taggable(ctx, resource_arn)))}
