"""Topics through boto3: subscriptions of queues, filters, batches."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer


@pytest.fixture
def sns(client: Callable[..., Any]) -> Any:
    return client("sns")


@pytest.fixture
def sqs(client: Callable[..., Any]) -> Any:
    return client("sqs")


@pytest.fixture
def topic(sns: Any) -> str:
    arn: str = sns.create_topic(Name="t")["TopicArn"]
    return arn


def queue(sqs: Any, name: str, **statement: Any) -> tuple[str, str]:
    """URL and ARN of a new queue, whose policy lets SNS send, unless another statement is given."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    said = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**said, **statement}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    return url, arn


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def refused(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    code: str = caught.value.response["Error"]["Code"]
    return code


def test_topics(sns: Any, topic: str, account: str) -> None:
    assert topic == f"arn:aws:sns:us-east-1:{account}:t"
    assert sns.create_topic(Name="t")["TopicArn"] == topic
    assert sns.list_topics()["Topics"] == [{"TopicArn": topic}]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="T")
    found = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (found["DisplayName"], found["SubscriptionsConfirmed"]) == ("T", "0")
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "a", "Value": "1"}]
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)
    assert refused(sns.publish, TopicArn=topic, Message="x") == "NotFound"
    assert refused(sns.create_topic, Name="a.fifo") == "InvalidParameter"
    assert refused(sns.create_topic, Name="a b") == "InvalidParameter"


def test_publish__to_queues(sns: Any, sqs: Any, topic: str) -> None:
    plain_url, plain_arn = queue(sqs, "plain")
    raw_url, raw_arn = queue(sqs, "raw")
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=plain_arn)["SubscriptionArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=raw_arn, Attributes={"RawMessageDelivery": "true"})
    attributes = {"kind": {"DataType": "String", "StringValue": "ä"}, "raw": {"DataType": "Binary", "BinaryValue": b"\xff"}}
    sent = sns.publish(TopicArn=topic, Message="hällo", Subject="s", MessageAttributes=attributes)
    (message,) = received(sqs, plain_url)
    document = json.loads(message["Body"])
    assert {name: document[name] for name in ("Type", "MessageId", "TopicArn", "Subject", "Message")} == {
        "Type": "Notification", "MessageId": sent["MessageId"], "TopicArn": topic, "Subject": "s", "Message": "hällo",
    }  # fmt: skip
    assert document["MessageAttributes"] == {"kind": {"Type": "String", "Value": "ä"}, "raw": {"Type": "Binary", "Value": "/w=="}}
    (message,) = received(sqs, raw_url)
    assert message["Body"] == "hällo"
    assert message["MessageAttributes"] == {"kind": {"DataType": "String", "StringValue": "ä"}}
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.publish(TopicArn=topic, Message="2")
    assert received(sqs, plain_url) == []


def test_publish__filters(sns: Any, sqs: Any, topic: str) -> None:
    url, arn = queue(sqs, "q")
    subscription = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": '{"kind": ["a", {"prefix": "b"}]}'},
    )["SubscriptionArn"]  # fmt: skip
    for kind in ("a", "bc", "c"):
        sns.publish(TopicArn=topic, Message=kind, MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}})
    assert [one["Body"] for one in received(sqs, url)] == ["a", "bc"]
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue="")
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="FilterPolicyScope", AttributeValue="MessageBody")
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue='{"x": {"y": [1]}}'
    )
    for number in (1, 2):
        sns.publish(TopicArn=topic, Message=json.dumps({"x": {"y": number}}))
    assert [one["Body"] for one in received(sqs, url)] == ['{"x": {"y": 1}}']
    found = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert (found["FilterPolicyScope"], found["Endpoint"]) == ("MessageBody", arn)


def test_publish__structure(sns: Any, sqs: Any, topic: str) -> None:
    url, arn = queue(sqs, "q")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=topic, Message=json.dumps({"default": "d", "sqs": "for the queue"}), MessageStructure="json")
    assert [one["Body"] for one in received(sqs, url)] == ["for the queue"]
    assert refused(sns.publish, TopicArn=topic, Message="{}", MessageStructure="json") == "InvalidParameter"
    assert refused(sns.publish, TopicArn=topic, Message="x" * (256 * 1024 + 1)) == "InvalidParameter"
    assert refused(sns.publish, TopicArn=topic, Message="x", Subject="a\nb") == "InvalidParameter"


def test_publish__a_queue_that_is_gone(sns: Any, sqs: Any, topic: str) -> None:
    gone_url, gone_arn = queue(sqs, "gone")
    dead_url, dead_arn = queue(sqs, "dead")
    url, arn = queue(sqs, "q")
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn})}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=gone_arn, Attributes=policy)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sqs.delete_queue(QueueUrl=gone_url)
    sns.publish(TopicArn=topic, Message="m")
    assert [json.loads(one["Body"])["Message"] for one in received(sqs, url)] == ["m"]
    assert [json.loads(one["Body"])["Message"] for one in received(sqs, dead_url)] == ["m"]


def test_publish__asks_the_policies_of_queues(sns: Any, sqs: Any, topic: str, account: str) -> None:
    dead_url, dead_arn = queue(sqs, "dead")
    buried = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn}), "RawMessageDelivery": "true"}

    def given(name: str, **statement: Any) -> str:
        url, arn = queue(sqs, name, **statement)
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=buried)
        return url

    from_here = {"ArnEquals": {"aws:SourceArn": topic}}
    let_in = [
        given("everybody", Principal="*", Condition=from_here),
        given("source", Condition=from_here),
        given("account", Condition={"StringEquals": {"aws:SourceAccount": account}}),
    ]
    left_out = [
        given("elsewhere", Condition={"ArnEquals": {"aws:SourceArn": f"{topic}-not"}}),
        given("another-service", Principal={"Service": "s3.amazonaws.com"}),
        given("another-action", Action="sqs:ReceiveMessage"),
        given("denied", Effect="Deny"),
        given("owner", Principal={"AWS": account}),
    ]
    bare = sqs.create_queue(QueueName="bare")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=dead_arn.replace("dead", "bare"), Attributes=buried)
    sns.publish(TopicArn=topic, Message="m")
    assert [[one["Body"] for one in received(sqs, url)] for url in let_in] == [["m"]] * 3
    assert [received(sqs, url) for url in (*left_out, bare)] == [[]] * 6
    assert len(received(sqs, dead_url)) == 6


def test_publish_batch(sns: Any, sqs: Any, topic: str) -> None:
    url, arn = queue(sqs, "q")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    entries = [{"Id": "a", "Message": "1"}, {"Id": "b", "Message": "2", "Subject": "x" * 101}]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["a"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("b", "InvalidParameter")]
    assert [one["Body"] for one in received(sqs, url)] == ["1"]
    same = [{"Id": "a", "Message": "1"}, {"Id": "a", "Message": "2"}]
    assert refused(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=same) == "BatchEntryIdsNotDistinct"


def test_subscribe__refuses(sns: Any, topic: str, account: str) -> None:
    mine = f"arn:aws:sqs:us-east-1:{account}:q"
    assert refused(sns.subscribe, TopicArn=topic, Protocol="email", Endpoint="a@b.example") == "InvalidParameter"
    assert refused(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint="nope") == "InvalidParameter"
    assert refused(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:1:q") == "InvalidParameter"
    policy = {"FilterPolicy": "[]"}
    assert refused(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=mine, Attributes=policy) == "InvalidParameter"
    assert refused(sns.subscribe, TopicArn=topic + "x", Protocol="sqs", Endpoint=mine) == "NotFound"


def test_list_subscriptions__pages(sns: Any, account: str) -> None:
    for name in ("a", "b"):
        topic = sns.create_topic(Name=name)["TopicArn"]
        for number in range(60):
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{account}:q{number}")
    pages = list(sns.get_paginator("list_subscriptions").paginate())
    assert [len(page["Subscriptions"]) for page in pages] == [100, 20]
    assert len({one["SubscriptionArn"] for page in pages for one in page["Subscriptions"]}) == 120
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 60


def test_accounts__do_not_see_each_other(topic: str, server: HeadraceServer) -> None:
    other = server.client("sns", account="999999999999")
    assert refused(other.publish, TopicArn=topic, Message="x") == "AuthorizationError"
