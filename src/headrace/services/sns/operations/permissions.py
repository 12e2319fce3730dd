"""Operations that add statements to a topic's policy, and take them away."""

import json
from typing import Any

from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.sns import access, errors, state

_ACTIONS = frozenset(
    {
        "Publish", "Subscribe", "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic",
        "ListSubscriptionsByTopic",
    }
)  # fmt: skip


@operation
def add_permission(ctx: Context, *, topic_arn: str, label: str, aws_account_id: list[str], action_name: list[str]) -> None:
    """Let accounts do something with a topic: a statement of its policy, named by the label."""
    topic = state.find(ctx, topic_arn)
    if set(action_name) - _ACTIONS:
        raise errors.invalid("Policy statement action out of service scope!")
    document = _document(topic)
    if any(one.get("Sid") == label for one in document["Statement"]):
        raise errors.invalid("Statement already exists")
    document["Statement"].append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in aws_account_id]},
            "Action": [f"SNS:{action}" for action in action_name],
            "Resource": topic.arn,
        }
    )
    _save(ctx, topic, document)


@operation
def remove_permission(ctx: Context, *, topic_arn: str, label: str) -> None:
    """Take the statement with this label out of a topic's policy, if it is there."""
    topic = state.find(ctx, topic_arn)
    document = _document(topic)
    document["Statement"] = [one for one in document["Statement"] if one.get("Sid") != label]
    _save(ctx, topic, document)


def _document(topic: state.Topic) -> dict[str, Any]:
    text = topic.attributes.get(access.POLICY)
    document: dict[str, Any] = json.loads(text) if text else {"Version": "2008-10-17"}
    statements = document.get("Statement", [])
    document["Statement"] = statements if isinstance(statements, list) else [statements]
    return document


def _save(ctx: Context, topic: state.Topic, document: dict[str, Any]) -> None:
    topic.attributes.pop(access.POLICY, None)
    if document["Statement"]:
        topic.attributes[access.POLICY] = json.dumps(document)
    state.TOPICS.put(ctx.tx, topic, topic.account, topic.region, topic.name)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
