"""Policies of queues, topics and buckets, seen by boto3: who is let in, from the account and from others, and who is kept out."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.gateway.callers import Make, Service, document, refused, statement

from conftest import HeadraceServer

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture
def queue(client: Service) -> tuple[Any, str, str]:
    """SQS of the owner, and the URL and ARN of a queue."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    return sqs, url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


@pytest.fixture
def bucket(client: Service, account: str) -> tuple[Any, str]:
    """S3 of the owner, and the name of a bucket."""
    s3 = client("s3")
    s3.create_bucket(Bucket=f"shared-{account}")
    return s3, f"shared-{account}"


def test_queue__other_accounts_are_let_in(
    server: HeadraceServer, other: str, user: Callable[..., Make], queue: tuple[Any, str, str]
) -> None:
    sqs, url, arn = queue
    root, ann = server.client("sqs", other), user(other, statement("sqs:SendMessage"))("sqs")
    for caller in (root, ann):
        message = refused(caller.send_message, QueueUrl=url, MessageBody="m")
        assert message.endswith("because no resource-based policy allows the sqs:sendmessage action")
    sqs.add_permission(QueueUrl=url, Label="theirs", AWSAccountIds=[other], Actions=["SendMessage", "GetQueueUrl"])
    for caller in (root, ann):
        caller.send_message(QueueUrl=url, MessageBody="m")
    assert root.get_queue_url(QueueName="q", QueueOwnerAWSAccountId=arn.split(":")[4])["QueueUrl"] == url
    refused(root.receive_message, QueueUrl=url)
    with pytest.raises(ClientError):
        root.delete_queue(QueueUrl=url)
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 2
    sqs.remove_permission(QueueUrl=url, Label="theirs")
    refused(root.send_message, QueueUrl=url, MessageBody="m")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    with pytest.raises(ClientError, match="can't find label"):
        sqs.remove_permission(QueueUrl=url, Label="theirs")


def test_queue__a_deny_keeps_users_out(account: str, user: Callable[..., Make], queue: tuple[Any, str, str]) -> None:
    sqs, url, arn = queue
    ann = user(account, statement("sqs:*"))("sqs")
    ann.send_message(QueueUrl=url, MessageBody="m")
    deny = statement("SQS:SendMessage", "Deny", Principal="*", Resource=arn)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(deny)})
    assert "explicit deny in a resource-based policy" in refused(ann.send_message_batch, QueueUrl=url, Entries=[
        {"Id": "a", "MessageBody": "m"}])  # fmt: skip
    sqs.send_message(QueueUrl=url, MessageBody="root's")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    ann.send_message(QueueUrl=url, MessageBody="m")
    with pytest.raises(sqs.exceptions.InvalidAttributeValue):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement("sqs:*"))})


def test_topic__other_accounts_are_let_in(
    client: Service, server: HeadraceServer, other: str, user: Callable[..., Make], account: str
) -> None:
    sns, root = client("sns"), server.client("sns", other)
    topic = sns.create_topic(Name="t")["TopicArn"]
    ann = user(account)("sns")
    refused(root.publish, TopicArn=topic, Message="m")
    refused(ann.publish, TopicArn=topic, Message="m")
    sns.add_permission(TopicArn=topic, Label="theirs", AWSAccountId=[other], ActionName=["Publish"])
    assert root.publish(TopicArn=topic, Message="m")["MessageId"]
    refused(root.get_topic_attributes, TopicArn=topic)
    everybody = document(statement("SNS:Publish", Principal={"AWS": "*"}, Resource=topic))
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=everybody)
    assert ann.publish(TopicArn=topic, Message="m")["MessageId"]
    sns.remove_permission(TopicArn=topic, Label="theirs")
    assert json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]) == json.loads(everybody)
    sns.delete_topic(TopicArn=topic)
    sns.create_topic(Name="t")
    refused(root.publish, TopicArn=topic, Message="m")


def test_bucket__other_accounts_are_let_in(
    server: HeadraceServer, other: str, user: Callable[..., Make], bucket: tuple[Any, str]
) -> None:
    s3, name = bucket
    root, ann = server.client("s3", other), user(other, statement("s3:PutObject"))("s3")
    arn = f"arn:aws:s3:::{name}"
    refused(root.put_object, Bucket=name, Key="in/a", Body=b"1")
    allow = statement(["s3:PutObject", "s3:GetObject"], Principal={"AWS": f"arn:aws:iam::{other}:root"}, Resource=f"{arn}/in/*")
    listing = statement("s3:ListBucket", Principal={"AWS": other}, Resource=arn, Condition={"StringLike": {"s3:prefix": "in/*"}})
    s3.put_bucket_policy(Bucket=name, Policy=document(allow, listing))
    root.put_object(Bucket=name, Key="in/a", Body=b"1")
    ann.put_object(Bucket=name, Key="in/b", Body=b"2")
    refused(root.put_object, Bucket=name, Key="out/a", Body=b"1")
    refused(ann.get_object, Bucket=name, Key="in/a")
    assert root.get_object(Bucket=name, Key="in/b")["Body"].read() == b"2"
    assert [one["Key"] for one in root.list_objects_v2(Bucket=name, Prefix="in/")["Contents"]] == ["in/a", "in/b"]
    refused(root.list_objects_v2, Bucket=name)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=name)["Contents"]] == ["in/a", "in/b"]
    refused(root.delete_bucket_policy, Bucket=name)
    s3.delete_bucket_policy(Bucket=name)
    refused(root.get_object, Bucket=name, Key="in/b")


def test_bucket__a_deny_protects(account: str, user: Callable[..., Make], bucket: tuple[Any, str]) -> None:
    s3, name = bucket
    ann = user(account, statement("s3:*"))("s3")
    deny = statement("s3:DeleteObject", "Deny", Principal="*", Resource=f"arn:aws:s3:::{name}/kept/*")
    s3.put_bucket_policy(Bucket=name, Policy=document(deny))
    ann.put_object(Bucket=name, Key="kept/a", Body=b"1")
    assert "explicit deny in a resource-based policy" in refused(ann.delete_object, Bucket=name, Key="kept/a")
    ann.put_object(Bucket=name, Key="b", Body=b"1")
    refused(ann.delete_objects, Bucket=name, Delete={"Objects": [{"Key": "b"}, {"Key": "kept/a"}]})
    ann.delete_object(Bucket=name, Key="b")
    assert ann.get_object(Bucket=name, Key="kept/a")["Body"].read() == b"1"
    bob = document(statement("s3:GetObject", Principal={"AWS": f"arn:aws:iam::{account}:user/ann"}, Resource="*", Sid="one"))
    s3.put_bucket_policy(Bucket=name, Policy=bob)
    ann.delete_object(Bucket=name, Key="kept/a")


def test_bucket__whose_it_is_follows_its_owner(server: HeadraceServer, other: str, bucket: tuple[Any, str]) -> None:
    s3, name = bucket
    root = server.client("s3", other)
    with pytest.raises(ClientError):
        root.head_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)
    root.create_bucket(Bucket=name)
    root.put_object(Bucket=name, Key="mine", Body=b"1")
    refused(s3.get_object, Bucket=name, Key="mine")
    root.delete_object(Bucket=name, Key="mine")
    root.delete_bucket(Bucket=name)


def function(client: Service) -> tuple[Any, str]:
    """Lambda of the owner, and the ARN of a function that gives its event back."""
    role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("f.py", "def handler(event, context):\n    return event\n")
    made = client("lambda").create_function(
        FunctionName="f", Runtime="python3.11", Role=role, Handler="f.handler", Code={"ZipFile": archive.getvalue()}
    )
    return client("lambda"), str(made["FunctionArn"])


def test_function__other_accounts_invoke_what_they_may(
    client: Service, server: HeadraceServer, other: str, user: Callable[..., Make]
) -> None:
    owner, arn = function(client)
    root, ann = server.client("lambda", other), user(other, statement("lambda:InvokeFunction"))("lambda")
    for caller in (root, ann):
        refused(caller.invoke, FunctionName=arn, Payload=b"1")
    allow = {"StatementId": "theirs", "Action": "lambda:InvokeFunction", "Principal": other}
    owner.add_permission(FunctionName="f", **allow)
    for caller in (root, ann):
        assert caller.invoke(FunctionName=arn, Payload=b"1")["Payload"].read() == b"1"
    refused(root.get_function, FunctionName=arn)
    version = owner.publish_version(FunctionName="f")["Version"]
    refused(root.invoke, FunctionName=f"{arn}:{version}", Payload=b"1")
    owner.add_permission(FunctionName="f", Qualifier=version, **allow)
    assert root.invoke(FunctionName=f"{arn}:{version}", Payload=b"2")["Payload"].read() == b"2"
    owner.remove_permission(FunctionName="f", StatementId="theirs")
    refused(root.invoke, FunctionName=arn, Payload=b"1")
    deny = statement("lambda:InvokeFunction", "Deny", Principal="*", Resource=arn, Sid="no")
    owner.put_resource_policy(ResourceArn=arn, Policy=document(deny))
    refused(ann.invoke, FunctionName=arn, Payload=b"1")
    assert owner.invoke(FunctionName="f", Payload=b"3")["Payload"].read() == b"3"
    with pytest.raises(owner.exceptions.InvalidParameterValueException):
        owner.put_resource_policy(ResourceArn=arn, Policy=document({**deny, "Principal": {"AWS": "ann"}}))


@pytest.mark.parametrize(
    ("service", "listing"),
    [
        ("sqs", "list_queues"),
        ("sns", "list_topics"),
        ("s3", "list_buckets"),
        ("lambda", "list_functions"),
        ("kinesis", "list_streams"),
        ("dynamodb", "list_tables"),
    ],
)
def test_listing__is_of_no_resource_and_asks_no_policy(
    account: str, user: Callable[..., Make], service: str, listing: str
) -> None:
    ann = user(account, statement("iam:GetUser"))
    assert "no identity-based policy allows" in refused(getattr(ann(service), listing))
