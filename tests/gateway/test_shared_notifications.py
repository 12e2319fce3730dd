"""Buckets and topics that tell functions and topics: as far as the target's policy lets them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.gateway.callers import Service, document, statement
from tests.gateway.test_shared_sources import Reader, until


def notify(s3: Any, bucket: str, kind: str, member: str, arn: str) -> None:
    wanted = {f"{kind}Configurations": [{member: arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)


def test_bucket__tells_a_function_that_lets_it_in(client: Service, account: str) -> None:
    reader, s3, bucket = Reader(client), client("s3"), f"told-{account}"
    arn = reader.functions.get_function_configuration(FunctionName="f")["FunctionArn"]
    s3.create_bucket(Bucket=bucket)
    with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
        notify(s3, bucket, "LambdaFunction", "LambdaFunctionArn", arn)
    reader.functions.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}", SourceAccount=account,
    )  # fmt: skip
    notify(s3, bucket, "LambdaFunction", "LambdaFunctionArn", arn)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    until(lambda: reader.seen() == ["a"])
    reader.functions.remove_permission(FunctionName="f", StatementId="s")
    s3.put_object(Bucket=bucket, Key="b", Body=b"1")
    later = json.dumps({"Records": [{"Sns": {"Message": "later"}}]})
    reader.functions.invoke(FunctionName="f", Payload=later, InvocationType="Event")
    until(lambda: reader.seen() == ["a", "later"])


def test_bucket__tells_a_topic_that_lets_it_in(client: Service, account: str) -> None:
    s3, sns, sqs, bucket = client("s3"), client("sns"), client("sqs"), f"told-{account}"
    s3.create_bucket(Bucket=bucket)
    topic, url = sns.create_topic(Name="t")["TopicArn"], sqs.create_queue(QueueName="q")["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:{account}:q"
    lets = statement("sqs:SendMessage", Principal={"Service": "sns.amazonaws.com"}, Resource=queue)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(lets)})
    raw = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=raw)
    with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
        notify(s3, bucket, "Topic", "TopicArn", topic)
    here = {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}}
    lets = statement("sns:Publish", Principal={"Service": "s3.amazonaws.com"}, Resource=topic, Condition=here)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document(lets))
    notify(s3, bucket, "Topic", "TopicArn", topic)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    got = [json.loads(one["Body"]) for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    assert [one.get("Event") or one["Records"][0]["s3"]["object"]["key"] for one in got] == ["s3:TestEvent", "a"]


def test_topic__tells_a_function_only_while_it_lets_it_in(client: Service) -> None:
    reader, sns = Reader(client), client("sns")
    arn = reader.functions.get_function_configuration(FunctionName="f")["FunctionArn"]
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="refused")
    reader.functions.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic
    )
    sns.publish(TopicArn=topic, Message="let in")
    until(lambda: reader.seen() == ["let in"])
