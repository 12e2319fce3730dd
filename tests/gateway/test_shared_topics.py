"""Topics whose messages go to other accounts."""

import json

import pytest
from botocore.exceptions import ClientError
from tests.gateway.callers import Service, document, refused, statement
from tests.gateway.test_shared_sources import Reader, until

from conftest import HeadraceServer


def test_topic__another_account_subscribes_its_queue(client: Service, server: HeadraceServer, other: str, account: str) -> None:
    sns, theirs, sqs = client("sns"), server.client("sns", other), server.client("sqs", other)
    topic = sns.create_topic(Name="t")["TopicArn"]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    refused(theirs.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue)
    with pytest.raises(ClientError, match=f"a queue is subscribed by its own account, {other}, or the topic's"):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    sns.add_permission(TopicArn=topic, Label="theirs", AWSAccountId=[other], ActionName=["Subscribe"])
    arn = theirs.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"][0]["SubscriptionArn"] == arn
    # The queue's own policy decides who sends to it, here too.
    sns.publish(TopicArn=topic, Message="lost")
    allow = statement(
        "sqs:SendMessage", Principal={"Service": "sns.amazonaws.com"}, Resource=queue,
        Condition={"ArnEquals": {"aws:SourceArn": topic}, "StringEquals": {"aws:SourceAccount": account}},
    )  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(allow)})
    sns.publish(TopicArn=topic, Message="hello")
    bodies = [json.loads(one["Body"]) for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    assert [(one["Message"], one["TopicArn"]) for one in bodies] == [("hello", topic)]
    sns.unsubscribe(SubscriptionArn=arn)
    assert not sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]


def test_topic__a_function_of_another_account_must_let_it_in(client: Service, server: HeadraceServer, other: str) -> None:
    reader = Reader(lambda service: server.client(service, other))
    owner = reader.functions
    arn = owner.get_function_configuration(FunctionName="f")["FunctionArn"]
    sns = client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    message = refused(sns.subscribe, TopicArn=topic, Protocol="lambda", Endpoint=arn)
    assert message.endswith(f"is not the owner of the lambda function {arn}")
    owner.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic
    )
    subscribed = sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)["SubscriptionArn"]
    assert sns.get_subscription_attributes(SubscriptionArn=subscribed)["Attributes"]["Endpoint"] == arn
    sns.publish(TopicArn=topic, Message="hello")
    until(lambda: reader.seen() == ["hello"])
