"""Handing a message on to the subscriptions of its topic."""

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.kit import arn as arns
from headrace.kit.errors import AccessDeniedException, AwsError
from headrace.operation import Context
from headrace.services.sns import errors, filters, limits, state

log = logging.getLogger(__name__)

PRINCIPAL = "sns.amazonaws.com"
_ACTIONS = {"sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}\Z")


class Message(msgspec.Struct):
    """A message as it was published. `bodies` are its texts by protocol, "default" for all others."""

    id: str
    bodies: dict[str, str]
    subject: str | None = None
    attributes: dict[str, dict[str, Any]] = {}

    @property
    def size_bytes(self) -> int:
        """The size of the message with its attributes."""
        return max(len(body.encode("utf-8", "surrogatepass")) for body in self.bodies.values()) + sum(
            len(name.encode()) + len(value["DataType"]) + len(value.get("StringValue") or value.get("BinaryValue") or b"")
            for name, value in self.attributes.items()
        )


def read(ctx: Context, given: Mapping[str, Any]) -> Message:
    """The message that Publish, or an entry of PublishBatch, is given. InvalidParameterException."""
    subject, text = given.get("Subject"), given.get("Message") or ""
    if not text:
        raise errors.invalid("Empty message")
    if subject is not None and (not 0 < len(subject) <= limits.SUBJECT_CHARACTERS_MAX or not subject.isprintable()):
        raise errors.invalid("Subject")
    attributes = given.get("MessageAttributes") or {}
    for name, value in attributes.items():
        _check_attribute(name, value)
    message = Message(ctx.ids.uuid(), _bodies(text, given.get("MessageStructure")), subject, attributes)
    if message.size_bytes > limits.MESSAGE_SIZE_MAX_BYTES:
        raise errors.invalid("Message too long")
    return message


def _check_attribute(name: str, value: Mapping[str, Any]) -> None:
    kind = value.get("DataType", "").partition(".")[0]
    if not _ATTRIBUTE_NAME.match(name) or kind not in ("String", "Number", "Binary"):
        raise errors.InvalidParameterValueException(f"The message attribute '{name}' has an invalid name or type.")
    if not value.get("BinaryValue" if kind == "Binary" else "StringValue"):
        raise errors.InvalidParameterValueException(
            f"The message attribute '{name}' must contain a non-empty message attribute value for message attribute type "
            f"'{kind}'."
        )


def _bodies(text: str, structure: str | None) -> dict[str, str]:
    if structure is None:
        return {"default": text}
    if structure != "json":
        raise errors.invalid("MessageStructure")
    try:
        bodies = json.loads(text)
    except (ValueError, RecursionError):
        raise errors.invalid("Message Structure - JSON message body failed to parse") from None
    if not isinstance(bodies, dict) or not isinstance(bodies.get("default"), str):
        raise errors.invalid("Message Structure - No default entry in JSON message body")
    return {name: body for name, body in bodies.items() if isinstance(body, str)}


def deliver(ctx: Context, topic: state.Topic, message: Message) -> None:
    """Put the message into all targets that want it, in the running transaction: all of them get it, or none."""
    for subscription in state.subscriptions(ctx.tx, topic.arn):
        if not _wants(subscription, message):
            continue
        try:
            _send(ctx, topic, subscription, message)
        except AwsError as error:
            # A target that is gone must not keep the message from the others.
            log.warning("message %s could not be delivered to %s: %s", message.id, subscription.endpoint, error.message)
            _bury(ctx, subscription, topic, message)


def _wants(subscription: state.Subscription, message: Message) -> bool:
    text = subscription.attributes.get("FilterPolicy")
    if not text:
        return True
    policy = json.loads(text)
    if subscription.attributes.get("FilterPolicyScope") == "MessageBody":
        return filters.fits_body(policy, _body_for(subscription, message))
    return filters.fits_attributes(policy, message.attributes)


def _body_for(subscription: state.Subscription, message: Message) -> str:
    return message.bodies.get(subscription.protocol) or message.bodies["default"]


def _send(ctx: Context, topic: state.Topic, subscription: state.Subscription, message: Message) -> None:
    there = _let_in(ctx, topic, _ACTIONS[subscription.protocol], subscription.endpoint)
    if subscription.protocol == "lambda":
        event = function_event(ctx, topic, subscription, message)
        ctx.ports.invoker.invoke(there, subscription.endpoint, msgspec.json.encode(event), kind="Event")
        return
    raw = subscription.attributes.get("RawMessageDelivery") == "true"
    body = _body_for(subscription, message)
    attributes = {name: value["StringValue"] for name, value in message.attributes.items() if value.get("StringValue")}
    text = body if raw else json.dumps(envelope(ctx, topic, subscription, message), ensure_ascii=False, indent=2)
    ctx.ports.sinks["sqs"].send(
        there, subscription.endpoint, text.encode("utf-8", "surrogatepass"), attributes=attributes if raw else None
    )


def _let_in(ctx: Context, topic: state.Topic, action: str, arn: str) -> Context:
    """The context of a target, whose policy must let SNS send there for the topic: also that of one of the same account."""
    if not ctx.ports.authority.lets_service(ctx, PRINCIPAL, action, arn, topic.arn, topic.account):
        raise AccessDeniedException(f"{PRINCIPAL} is not authorized to perform: {action} on resource: {arn}")
    where = arns.parse(arn)
    return ctx.at(where.account, where.region)


def _bury(ctx: Context, subscription: state.Subscription, topic: state.Topic, message: Message) -> None:
    policy = subscription.attributes.get("RedrivePolicy")
    if not policy:
        return
    target = json.loads(policy)["deadLetterTargetArn"]
    body = json.dumps(envelope(ctx, topic, subscription, message), ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        ctx.ports.sinks["sqs"].send(_let_in(ctx, topic, _ACTIONS["sqs"], target), target, body)
    except AwsError as error:
        log.error("message %s could not be delivered to its dead letters %s either: %s", message.id, target, error.message)


def envelope(ctx: Context, topic: state.Topic, subscription: state.Subscription, message: Message) -> dict[str, Any]:
    """The JSON document in which a queue gets a message. Differs from AWS: it has no signature."""
    document = {
        "Type": "Notification",
        "MessageId": message.id,
        "TopicArn": topic.arn,
        "Subject": message.subject,
        "Message": _body_for(subscription, message),
        "Timestamp": _timestamp(ctx.clock.now()),
        "MessageAttributes": _shown(message.attributes),
    }
    return {name: value for name, value in document.items() if value}


def function_event(ctx: Context, topic: state.Topic, subscription: state.Subscription, message: Message) -> dict[str, Any]:
    """The event with which a function gets a message."""
    document = envelope(ctx, topic, subscription, message)
    notification = {"Subject": None, "MessageAttributes": {}, **document}
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": subscription.arn,
                "Sns": notification,
            }
        ]
    }


def _shown(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    return {
        name: {"Type": value["DataType"], "Value": value.get("StringValue") or _base64(value.get("BinaryValue") or b"")}
        for name, value in attributes.items()
    }


def _base64(value: bytes) -> str:
    # msgspec writes bytes as base64 text, which is what JSON needs here.
    return str(msgspec.to_builtins(value))


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
