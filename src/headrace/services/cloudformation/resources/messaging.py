"""Resource types of SQS and SNS."""

import json
from typing import Any

from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    changed,
    pairs,
    pick,
    tag_changes,
    tags_of,
)  # fmt: skip

_QUEUE = (
    "DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout",
    "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled",
    "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit",
)  # fmt: skip
_QUEUE_DEFAULTS = {
    "DelaySeconds": 0, "MaximumMessageSize": 1_048_576, "MessageRetentionPeriod": 345_600, "ReceiveMessageWaitTimeSeconds": 0,
    "VisibilityTimeout": 30, "RedrivePolicy": "", "RedriveAllowPolicy": "", "KmsMasterKeyId": "",
    "ContentBasedDeduplication": False,
}  # fmt: skip


def _fifo(properties: Properties, name: str) -> bool:
    return str(properties.get(name, False)).lower() == "true"


def _create_queue(call: Call, name: str, properties: Properties) -> str:
    attributes = pick(properties, *_QUEUE)
    if _fifo(properties, "FifoQueue"):
        attributes["FifoQueue"] = True
        name = name if name.endswith(".fifo") else f"{name[:75]}.fifo"
    tags = tags_of(properties) or None
    return str(call("sqs", "CreateQueue", QueueName=name, Attributes=attributes or None, tags=tags)["QueueUrl"])


def _adopt_queue(call: Call, name: str, properties: Properties) -> str | None:
    name = f"{name[:75]}.fifo" if _fifo(properties, "FifoQueue") and not name.endswith(".fifo") else name
    return str(call("sqs", "GetQueueUrl", QueueName=name)["QueueUrl"])


def _read_queue(call: Call, url: str, properties: Properties) -> Attributes:
    arn = call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return {"Arn": arn, "QueueName": arn.rpartition(":")[2], "QueueUrl": url}


def _update_queue(call: Call, url: str, new: Properties, old: Properties) -> None:
    defaults = {key: value for key, value in _QUEUE_DEFAULTS.items() if key in old and key not in new}
    attributes = {**defaults, **pick(new, *_QUEUE)}
    if attributes and changed(new, old, *_QUEUE):
        call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes=attributes)
    added, removed = tag_changes(new, old)
    if added:
        call("sqs", "TagQueue", QueueUrl=url, Tags=added)
    if removed:
        call("sqs", "UntagQueue", QueueUrl=url, TagKeys=removed)


def _delete_queue(call: Call, url: str, properties: Properties) -> None:
    call("sqs", "DeleteQueue", QueueUrl=url)


def _put_queue_policy(call: Call, name: str, properties: Properties) -> str:
    for url in properties["Queues"]:
        call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": properties["PolicyDocument"]})
    return name


def _update_queue_policy(call: Call, name: str, new: Properties, old: Properties) -> None:
    _put_queue_policy(call, name, new)
    for url in old["Queues"]:
        if url not in new["Queues"]:
            call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""})


def _delete_queue_policy(call: Call, name: str, properties: Properties) -> None:
    for url in properties["Queues"]:
        call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""})


def _nothing(call: Call, name: str, properties: Properties) -> Attributes:
    return {}


_TOPIC = ("DisplayName", "KmsMasterKeyId", "ContentBasedDeduplication")


def _create_topic(call: Call, name: str, properties: Properties) -> str:
    attributes = pick(properties, *_TOPIC)
    if _fifo(properties, "FifoTopic"):
        attributes["FifoTopic"] = True
        name = name if name.endswith(".fifo") else f"{name}.fifo"
    tags = pairs(tags_of(properties)) or None
    return str(call("sns", "CreateTopic", Name=name, Attributes=attributes or None, Tags=tags)["TopicArn"])


def _adopt_topic(call: Call, name: str, properties: Properties) -> str | None:
    suffix = ".fifo" if _fifo(properties, "FifoTopic") and not name.endswith(".fifo") else ""
    return f"arn:aws:sns:{call.region}:{call.account}:{name}{suffix}"


def _finish_topic(call: Call, arn: str, properties: Properties) -> None:
    for subscription in properties.get("Subscription") or []:
        call("sns", "Subscribe", TopicArn=arn, **pick(subscription, "Protocol", "Endpoint"))


def _read_topic(call: Call, arn: str, properties: Properties) -> Attributes:
    call("sns", "GetTopicAttributes", TopicArn=arn)
    return {"TopicArn": arn, "TopicName": arn.rpartition(":")[2]}


def _update_topic(call: Call, arn: str, new: Properties, old: Properties) -> None:
    for name in _TOPIC:
        if changed(new, old, name):
            call("sns", "SetTopicAttributes", TopicArn=arn, AttributeName=name, AttributeValue=new.get(name, ""))
    if changed(new, old, "Subscription"):
        _finish_topic(call, arn, new)
    added, removed = tag_changes(new, old)
    if added:
        call("sns", "TagResource", ResourceArn=arn, Tags=pairs(added))
    if removed:
        call("sns", "UntagResource", ResourceArn=arn, TagKeys=removed)


def _delete_topic(call: Call, arn: str, properties: Properties) -> None:
    call("sns", "DeleteTopic", TopicArn=arn)


_SUBSCRIPTION = ("RawMessageDelivery", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy", "DeliveryPolicy")


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _subscribe(call: Call, name: str, properties: Properties) -> str:
    answer = call(
        "sns", "Subscribe", **pick(properties, "TopicArn", "Protocol", "Endpoint"),
        Attributes=pick(properties, *_SUBSCRIPTION) or None, ReturnSubscriptionArn=True,
    )  # fmt: skip
    return str(answer["SubscriptionArn"])


def _read_subscription(call: Call, arn: str, properties: Properties) -> Attributes:
    return {"Arn": arn}


def _update_subscription(call: Call, arn: str, new: Properties, old: Properties) -> None:
    for name in _SUBSCRIPTION:
        if changed(new, old, name):
            value = new.get(name, "false" if name == "RawMessageDelivery" else "{}")
            call("sns", "SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName=name, AttributeValue=_text(value))


def _unsubscribe(call: Call, arn: str, properties: Properties) -> None:
    call("sns", "Unsubscribe", SubscriptionArn=arn)


def _put_topic_policy(call: Call, name: str, properties: Properties) -> str:
    for arn in properties["Topics"]:
        policy = _text(properties["PolicyDocument"])
        call("sns", "SetTopicAttributes", TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return name


def _update_topic_policy(call: Call, name: str, new: Properties, old: Properties) -> None:
    _put_topic_policy(call, name, new)


def _keep(call: Call, name: str, properties: Properties) -> None:
    """SNS has no call that takes a topic's policy away; it goes with its topic."""


KINDS = (
    Kind(
        type="AWS::SQS::Queue",
        naming=Naming("QueueName", 80),
        fixed=("QueueName", "FifoQueue"),
        mutable=(*_QUEUE, "Tags"),
        attributes=("Arn", "QueueName", "QueueUrl"),
        create=_create_queue, adopt=_adopt_queue, read=_read_queue, update=_update_queue, delete=_delete_queue,
    ),
    Kind(
        type="AWS::SQS::QueuePolicy",
        required=("Queues", "PolicyDocument"),
        mutable=("Queues", "PolicyDocument"),
        attributes=("Id",),
        create=_put_queue_policy, read=_nothing, update=_update_queue_policy, delete=_delete_queue_policy,
    ),
    Kind(
        type="AWS::SNS::Topic",
        naming=Naming("TopicName", 256),
        fixed=("TopicName", "FifoTopic"),
        mutable=(*_TOPIC, "Subscription", "Tags"),
        attributes=("TopicArn", "TopicName"),
        create=_create_topic, adopt=_adopt_topic, finish=_finish_topic, read=_read_topic, update=_update_topic,
        delete=_delete_topic,
    ),
    Kind(
        type="AWS::SNS::Subscription",
        required=("TopicArn", "Protocol"),
        fixed=("TopicArn", "Protocol", "Endpoint"),
        mutable=_SUBSCRIPTION,
        attributes=("Arn",),
        create=_subscribe, adopt=_subscribe, read=_read_subscription, update=_update_subscription, delete=_unsubscribe,
    ),
    Kind(
        type="AWS::SNS::TopicPolicy",
        required=("Topics", "PolicyDocument"),
        mutable=("Topics", "PolicyDocument"),
        attributes=("Id",),
        create=_put_topic_policy, read=_nothing, update=_update_topic_policy, delete=_keep,
    ),
)  # fmt: skip
