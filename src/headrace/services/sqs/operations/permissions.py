"""Operations that add statements to a queue's policy, and take them away."""

import json
from typing import Any

from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.sqs import access, errors, state

# What can be allowed to other accounts, as AWS says.
_ACTIONS = frozenset(
    {
        "*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl",
        "ListDeadLetterSourceQueues", "PurgeQueue",
    }
)  # fmt: skip


@operation
def add_permission(ctx: Context, *, queue_url: str, label: str, aws_account_ids: list[str], actions: list[str]) -> None:
    """Let accounts do something with a queue: a statement of its policy, named by the label."""
    queue = state.find(ctx, queue_url)
    for action in actions:
        if action not in _ACTIONS:
            reason = "Please refer to the appropriate WSDL for a list of valid actions."
            raise errors.bad_value("ActionName", f"SQS:{action}", reason)
    document = _document(queue)
    if any(one.get("Sid") == label for one in document["Statement"]):
        raise errors.bad_value("Label", label, "Already exists.")
    principals = [f"arn:aws:iam::{account}:root" for account in aws_account_ids]
    document["Statement"].append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": principals},
            "Action": [f"SQS:{action}" for action in actions],
            "Resource": queue.arn,
        }
    )
    _save(ctx, queue, document)


@operation
def remove_permission(ctx: Context, *, queue_url: str, label: str) -> None:
    """Take the statement with this label out of a queue's policy."""
    queue = state.find(ctx, queue_url)
    document = _document(queue)
    left = [one for one in document["Statement"] if one.get("Sid") != label]
    if len(left) == len(document["Statement"]):
        raise errors.bad_value("Label", label, "can't find label on existing policy.")
    document["Statement"] = left
    _save(ctx, queue, document)


def _document(queue: state.Queue) -> dict[str, Any]:
    text = queue.attributes.get(access.POLICY)
    document: dict[str, Any] = json.loads(text) if text else {"Version": "2008-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy"}
    statements = document.get("Statement", [])
    document["Statement"] = statements if isinstance(statements, list) else [statements]
    return document


def _save(ctx: Context, queue: state.Queue, document: dict[str, Any]) -> None:
    queue.attributes.pop(access.POLICY, None)
    if document["Statement"]:
        queue.attributes[access.POLICY] = json.dumps(document)
    queue.modified_at = ctx.clock.now()
    state.save(ctx.tx, queue)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
