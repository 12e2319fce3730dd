"""Notifications and lifecycle rules."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.services.s3.refusals import refused

from conftest import HeadraceServer, eventually
from headrace.services.s3 import errors, lifecycle, state

DAY = 86_400


def queue(sqs: Any, name: str = "q", **statement: Any) -> tuple[str, str]:
    """URL and ARN of a new queue, whose policy lets S3 send, unless another statement is given."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    said = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**said, **statement}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    return url, arn


def events(sqs: Any, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(one["Body"]) for one in messages]
    return found


def test_notifications__to_a_queue(s3: Any, bucket: str, client: Callable[..., Any]) -> None:
    sqs = client("sqs")
    url, arn = queue(sqs)
    rules = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".txt"}]}}
    wanted = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"], "Filter": rules, "Id": "mine"}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [wanted]})
    kept = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert [(one["Id"], one["QueueArn"]) for one in kept] == [("mine", arn)]
    (test,) = events(sqs, url)
    assert (test["Event"], test["Bucket"]) == ("s3:TestEvent", bucket)
    for key in ("in/a b.txt", "in/other", "out/a.txt"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
    s3.copy_object(Bucket=bucket, Key="in/copy.txt", CopySource={"Bucket": bucket, "Key": "in/other"})
    s3.delete_object(Bucket=bucket, Key="in/copy.txt")
    s3.delete_object(Bucket=bucket, Key="in/never.txt")
    found = [one["Records"][0] for one in events(sqs, url)]
    assert [(one["eventName"], one["s3"]["object"]["key"]) for one in found] == [
        ("ObjectCreated:Put", "in/a+b.txt"), ("ObjectCreated:Copy", "in/copy.txt"), ("ObjectRemoved:Delete", "in/copy.txt"),
    ]  # fmt: skip
    assert (found[0]["s3"]["object"]["size"], found[0]["s3"]["bucket"]["name"]) == (5, bucket)
    sqs.delete_queue(QueueUrl=url)
    s3.put_object(Bucket=bucket, Key="in/b.txt", Body=b"the object is there though its target is gone")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_notifications__refuses(s3: Any, bucket: str, account: str) -> None:
    def put(**wanted: Any) -> tuple[str, int]:
        return refused(
            s3.put_bucket_notification_configuration, Bucket=bucket,
            NotificationConfiguration={"QueueConfigurations": [{"Events": ["s3:ObjectCreated:*"], **wanted}]},
        )  # fmt: skip

    assert put(QueueArn=f"arn:aws:sqs:us-east-1:{account}:none") == ("InvalidArgument", 400)
    assert put(QueueArn="arn:aws:sqs:us-east-1:999999999999:q") == ("InvalidArgument", 400)
    assert put(QueueArn=f"arn:aws:sqs:us-east-1:{account}:q", Events=["s3:Replication:*"]) == ("NotImplemented", 501)


def test_notifications__ask_the_policy_of_the_target(s3: Any, bucket: str, account: str, client: Callable[..., Any]) -> None:
    sqs = client("sqs")

    def put(kind: str = "QueueConfigurations", member: str = "QueueArn", *, arn: str, **more: Any) -> None:
        wanted = {kind: [{member: arn, "Events": ["s3:ObjectCreated:*"]}]}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted, **more)

    here = {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}, "StringEquals": {"aws:SourceAccount": account}}
    url, arn = queue(sqs, "here", Condition=here)
    put(arn=arn)
    assert len(events(sqs, url)) == 1
    for name, statement in (
        ("other-bucket", {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::another"}}}),
        ("other-service", {"Principal": {"Service": "sns.amazonaws.com"}}),
        ("denied", {"Effect": "Deny"}),
    ):
        assert refused(put, arn=queue(sqs, name, **statement)[1]) == ("InvalidArgument", 400)
    sqs.create_queue(QueueName="bare")
    bare = f"arn:aws:sqs:us-east-1:{account}:bare"
    assert refused(put, arn=bare) == ("InvalidArgument", 400)
    put(arn=bare, SkipDestinationValidation=True)
    s3.put_object(Bucket=bucket, Key="a", Body=b"the object is there though nobody may be told")
    assert events(sqs, sqs.get_queue_url(QueueName="bare")["QueueUrl"]) == []
    function = f"arn:aws:lambda:us-east-1:{account}:function:none"
    assert refused(put, kind="LambdaFunctionConfigurations", member="LambdaFunctionArn", arn=function) == ("InvalidArgument", 400)
    topic = client("sns").create_topic(Name="told")["TopicArn"]
    assert refused(put, kind="TopicConfigurations", member="TopicArn", arn=topic) == ("InvalidArgument", 400)


def test_notifications__to_a_queue_of_another_account(s3: Any, bucket: str, account: str, server: HeadraceServer) -> None:
    other = f"{(int(account) + 1) % 10**12:012d}"
    sqs = server.client("sqs", account=other)
    url, arn = queue(sqs, "theirs", Condition={"StringEquals": {"aws:SourceAccount": account}})
    assert other in arn
    wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert [one.get("Event") or one["Records"][0]["s3"]["object"]["key"] for one in events(sqs, url)] == ["s3:TestEvent", "a"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    s3.put_object(Bucket=bucket, Key="b", Body=b"1")
    assert events(sqs, url) == []


def test_lifecycle__objects_expire(s3: Any, bucket: str, server: HeadraceServer) -> None:
    wanted = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 2}},
        {"Status": "Enabled", "Filter": {"Prefix": ""}, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]},
        {"Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
    ]
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket)[0] == "NoSuchLifecycleConfiguration"
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": wanted})
    assert [one["ID"] for one in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]] == ["old", "rule-2", "rule-3"]
    s3.put_object(Bucket=bucket, Key="tmp/a")
    s3.put_object(Bucket=bucket, Key="kept")
    s3.create_multipart_upload(Bucket=bucket, Key="k")
    server.advance(3 * DAY)
    eventually(lambda: [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"])
    eventually(lambda: s3.head_object(Bucket=bucket, Key="kept").get("StorageClass") == "GLACIER")
    eventually(lambda: "Uploads" not in s3.list_multipart_uploads(Bucket=bucket))
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket)[0] == "NoSuchLifecycleConfiguration"


def thing(**about: Any) -> state.Object:
    return state.Object("id", "etag", 100, 0.5 * DAY, state.Description(**about))


@pytest.mark.parametrize(
    ("rule", "days", "due"),
    [
        ({"Filter": {"Prefix": "k"}, "Expiration": {"Days": 1}}, 1.9, False),
        ({"Filter": {"Prefix": "k"}, "Expiration": {"Days": 1}}, 2.0, True),
        ({"Filter": {"Prefix": "x"}, "Expiration": {"Days": 1}}, 9, False),
        ({"Prefix": "", "Expiration": {"Date": 3.0 * DAY}}, 2.9, False),
        ({"Prefix": "", "Expiration": {"Date": 3.0 * DAY}}, 3.0, True),
        ({"Filter": {"Tag": {"Key": "a", "Value": "1"}}, "Expiration": {"Days": 1}}, 9, True),
        ({"Filter": {"Tag": {"Key": "a", "Value": "2"}}, "Expiration": {"Days": 1}}, 9, False),
        ({"Filter": {"And": {"Prefix": "k", "ObjectSizeGreaterThan": 99}}, "Expiration": {"Days": 1}}, 9, True),
        ({"Filter": {"ObjectSizeLessThan": 100}, "Expiration": {"Days": 1}}, 9, False),
        ({"Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}, 9, False),
    ],
)
def test_expires(rule: dict[str, Any], days: float, due: bool) -> None:
    rules = lifecycle.check([{"Status": "Enabled", **rule}])
    assert lifecycle.expires(rules, "key", thing(tags={"a": "1"}), days * DAY) == due


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"Status": "Enabled", "Filter": {"Prefix": ""}},
        {"Status": "On", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}},
        {"Status": "Enabled", "Expiration": {"Days": 1}},
        {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 0}},
        {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1, "Date": 0.0}},
        {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Date": 5.0}},
    ],
)
def test_check__refuses(rule: dict[str, Any]) -> None:
    with pytest.raises((errors.MalformedXML, errors.InvalidArgument, errors.InvalidRequest)):
        lifecycle.check([rule])
