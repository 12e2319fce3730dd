"""Queues and messages through boto3, which checks the digests by itself."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually


@pytest.fixture
def sqs(client: Callable[..., Any]) -> Any:
    return client("sqs")


@pytest.fixture
def queue(sqs: Any) -> str:
    url: str = sqs.create_queue(QueueName="q")["QueueUrl"]
    return url


def refused(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    code: str = caught.value.response["Error"]["Code"]
    return code


def receive(sqs: Any, url: str, **parameters: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **parameters).get("Messages", [])
    return messages


def numbers(sqs: Any, url: str) -> tuple[int, int, int]:
    """How many messages wait, are delayed, and are in flight."""
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return (
        int(found["ApproximateNumberOfMessages"]),
        int(found["ApproximateNumberOfMessagesDelayed"]),
        int(found["ApproximateNumberOfMessagesNotVisible"]),
    )


def test_create_queue(sqs: Any, account: str) -> None:
    url = sqs.create_queue(QueueName="a", Attributes={"DelaySeconds": "5"}, tags={"t": "1"})["QueueUrl"]
    assert url.endswith(f"/{account}/a")
    assert sqs.create_queue(QueueName="a", Attributes={"DelaySeconds": "5", "VisibilityTimeout": "30"})["QueueUrl"] == url
    assert refused(sqs.create_queue, QueueName="a", Attributes={"DelaySeconds": "6"}) == "QueueAlreadyExists"
    assert refused(sqs.create_queue, QueueName="a b") == "InvalidParameterValue"
    assert refused(sqs.create_queue, QueueName="a.fifo") == "AWS.SimpleQueueService.UnsupportedOperation"
    sqs.create_queue(QueueName="b")
    assert sqs.list_queues()["QueueUrls"] == [url, url[:-1] + "b"]
    assert sqs.list_queues(QueueNamePrefix="b")["QueueUrls"] == [url[:-1] + "b"]
    first = sqs.list_queues(MaxResults=1)
    assert sqs.list_queues(MaxResults=1, NextToken=first["NextToken"])["QueueUrls"] == [url[:-1] + "b"]
    assert sqs.get_queue_url(QueueName="a")["QueueUrl"] == url
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"t": "1"}
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
        sqs.get_queue_url(QueueName="none")
    assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_queue_attributes(sqs: Any, queue: str, account: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60", "Policy": policy})
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout", "QueueArn", "Policy"])["Attributes"]
    assert found == {
        "VisibilityTimeout": "60", "QueueArn": f"arn:aws:sqs:us-east-1:{account}:q", "Policy": policy,
    }  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])
    assert refused(sqs.get_queue_attributes, QueueUrl=queue, AttributeNames=["Color"]) == "InvalidAttributeName"
    assert refused(sqs.set_queue_attributes, QueueUrl=queue, Attributes={"DelaySeconds": "-1"}) == "InvalidAttributeValue"


@pytest.mark.parametrize("size", [1, 5_000, 1_000_000])
def test_send_message__comes_back(sqs: Any, queue: str, size: int) -> None:
    attributes = {
        "city": {"DataType": "String", "StringValue": "Zürich"},
        "count": {"DataType": "Number", "StringValue": "3"},
        "raw": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    }
    body = "é" * (size // 2) or "x"
    sent = sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes)
    (message,) = receive(sqs, queue, MessageAttributeNames=["All"], AttributeNames=["All"])
    assert (message["Body"], message["MessageId"]) == (body, sent["MessageId"])
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert (
        abs(int(message["Attributes"]["SentTimestamp"]) - int(message["Attributes"]["ApproximateFirstReceiveTimestamp"])) < 5000
    )
    assert receive(sqs, queue) == []
    assert numbers(sqs, queue) == (0, 0, 1)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert numbers(sqs, queue) == (0, 0, 0)


def test_send_message__refuses(sqs: Any, queue: str) -> None:
    assert refused(sqs.send_message, QueueUrl=queue, MessageBody="x" * ((1 << 20) + 1)) == "InvalidParameterValue"
    assert refused(sqs.send_message, QueueUrl=queue, MessageBody="\x00") == "InvalidMessageContents"
    assert refused(sqs.send_message, QueueUrl=queue, MessageBody="") == "MissingParameter"
    assert refused(sqs.send_message, QueueUrl=queue, MessageBody="x", DelaySeconds=901) == "InvalidParameterValue"
    assert refused(sqs.send_message, QueueUrl=queue, MessageBody="x", MessageGroupId="g") == "InvalidParameterValue"
    assert refused(sqs.send_message, QueueUrl=queue[:-1] + "none", MessageBody="x").endswith("NonExistentQueue")


def test_visibility_timeout(sqs: Any, queue: str, server: HeadraceServer) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    (first,) = receive(sqs, queue, VisibilityTimeout=100)
    server.advance(101)
    (second,) = receive(sqs, queue, AttributeNames=["ApproximateReceiveCount"])
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    assert numbers(sqs, queue) == (0, 0, 1)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    assert numbers(sqs, queue) == (1, 0, 0)
    not_in_flight = "AWS.SimpleQueueService.MessageNotInflight"
    change = {"QueueUrl": queue, "ReceiptHandle": second["ReceiptHandle"], "VisibilityTimeout": 9}
    assert refused(sqs.change_message_visibility, **change) == not_in_flight
    change["ReceiptHandle"] = first["ReceiptHandle"]
    assert refused(sqs.change_message_visibility, **change) == "InvalidParameterValue"
    assert refused(sqs.delete_message, QueueUrl=queue, ReceiptHandle="nope") == "ReceiptHandleIsInvalid"


def test_delay(sqs: Any, queue: str, server: HeadraceServer) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=300)
    sqs.send_message(QueueUrl=queue, MessageBody="now")
    assert [one["Body"] for one in receive(sqs, queue)] == ["now"]
    assert numbers(sqs, queue) == (0, 1, 1)
    server.advance(301)
    assert "later" in [one["Body"] for one in receive(sqs, queue)]


def test_receive_message__waits_for_one(sqs: Any, queue: str) -> None:
    began = time.monotonic()
    assert receive(sqs, queue, WaitTimeSeconds=1) == []
    assert 0.9 < time.monotonic() - began < 5
    sender = threading.Timer(0.3, lambda: sqs.send_message(QueueUrl=queue, MessageBody="woken"))
    sender.start()
    began = time.monotonic()
    assert [one["Body"] for one in receive(sqs, queue, WaitTimeSeconds=20)] == ["woken"]
    assert time.monotonic() - began < 5
    sender.join()
    assert refused(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=21) == "InvalidParameterValue"
    assert refused(sqs.receive_message, QueueUrl=queue, MaxNumberOfMessages=11) == "InvalidParameterValue"


def test_receive_message__each_goes_to_one_receiver(client: Callable[..., Any], sqs: Any, queue: str) -> None:
    for start in range(0, 100, 10):
        entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(start, start + 10)]
        assert len(sqs.send_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 10
    found: list[str] = []

    def work() -> None:
        mine = client("sqs")
        while messages := receive(mine, queue):
            found.extend(one["Body"] for one in messages)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=int) == [str(number) for number in range(100)]


def test_batches(sqs: Any, queue: str) -> None:
    entries = [{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "\x01"}, {"Id": "c", "MessageBody": "3"}]
    sent = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [one["Id"] for one in sent["Successful"]] == ["a", "c"]
    assert [(one["Id"], one["Code"]) for one in sent["Failed"]] == [("b", "InvalidMessageContents")]
    handles = [one["ReceiptHandle"] for one in receive(sqs, queue)]
    changes = [{"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 50} for n, handle in enumerate(handles)]
    assert len(sqs.change_message_visibility_batch(QueueUrl=queue, Entries=changes)["Successful"]) == 2
    deletes = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate([*handles, "bad"])]
    gone = sqs.delete_message_batch(QueueUrl=queue, Entries=deletes)
    assert ([one["Id"] for one in gone["Successful"]], gone["Failed"][0]["Code"]) == (["0", "1"], "ReceiptHandleIsInvalid")
    same = [{"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "2"}]
    assert refused(sqs.send_message_batch, QueueUrl=queue, Entries=same).endswith("BatchEntryIdsNotDistinct")
    assert refused(sqs.send_message_batch, QueueUrl=queue, Entries=[]).endswith("EmptyBatchRequest")
    large = [{"Id": str(n), "MessageBody": "x" * 400_000} for n in range(3)]
    assert refused(sqs.send_message_batch, QueueUrl=queue, Entries=large).endswith("BatchRequestTooLong")


def test_redrive(sqs: Any, queue: str) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=policy)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [queue]
    sent = sqs.send_message(QueueUrl=queue, MessageBody="poison" * 2000)
    for _ in range(2):
        assert len(receive(sqs, queue, VisibilityTimeout=0)) == 1
    assert receive(sqs, queue) == []
    (message,) = receive(sqs, dead, AttributeNames=["All"])
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "poison" * 2000)
    assert message["Attributes"]["DeadLetterQueueSourceArn"].endswith(":q")
    assert numbers(sqs, queue) == (0, 0, 0)
    nowhere = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn + "x", "maxReceiveCount": 2})}
    assert refused(sqs.set_queue_attributes, QueueUrl=queue, Attributes=nowhere) == "InvalidParameterValue"


def test_purge_and_delete_queue(sqs: Any, queue: str) -> None:
    for number in range(5):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    (message, *_) = receive(sqs, queue)
    sqs.purge_queue(QueueUrl=queue)
    assert numbers(sqs, queue) == (0, 0, 0)
    assert refused(sqs.delete_message, QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"]) == "ReceiptHandleIsInvalid"
    assert refused(sqs.purge_queue, QueueUrl=queue).endswith("PurgeQueueInProgress")
    sqs.delete_queue(QueueUrl=queue)
    assert refused(sqs.send_message, QueueUrl=queue, MessageBody="x").endswith("NonExistentQueue")
    sqs.create_queue(QueueName="q")
    assert receive(sqs, queue) == []


def test_retention(sqs: Any, server: HeadraceServer) -> None:
    url = sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": "60"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="old")
    server.advance(61)
    assert receive(sqs, url) == []
    eventually(lambda: numbers(sqs, url) == (0, 0, 0))


def test_accounts__do_not_see_each_other(queue: str, server: HeadraceServer) -> None:
    other = server.client("sqs", account="999999999999")
    assert refused(other.send_message, QueueUrl=queue, MessageBody="x") == "AccessDenied"
