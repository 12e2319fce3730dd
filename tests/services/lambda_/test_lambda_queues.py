"""SQS queues as event sources, through boto3."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import eventually

Caller = Any

SINK = """
    import json
    batches = []
    def handler(event, context):
        if event == "batches":
            return batches
        batches.append([record["body"] for record in event["Records"]])
        {then}
"""


class Queue:
    """A queue of one test."""

    def __init__(self, sqs: Any, name: str, **attributes: str) -> None:
        self.sqs = sqs
        self.url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.arn = self.attribute("QueueArn")

    def attribute(self, name: str) -> str:
        return str(self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])["Attributes"][name])

    def put(self, *bodies: str) -> None:
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def is_empty(self) -> bool:
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return all(self.attribute(name) == "0" for name in names)


@pytest.fixture
def queue(client: Callable[..., Any]) -> Queue:
    """An empty queue."""
    return Queue(client("sqs"), "source")


@pytest.fixture
def sink(caller: Caller) -> Callable[..., tuple[str, Callable[[], list[Any]]]]:
    """Makes a function that remembers its batches, and a reader of them."""

    def make(then: str = "return None") -> tuple[str, Callable[[], list[Any]]]:
        name = caller.make(SINK.replace("{then}", then))
        caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        return name, lambda: list(caller.call(name, "batches"))

    return make


def test_queue__messages_reach_the_function_and_are_removed(caller: Caller, queue: Queue, sink: Any) -> None:
    name, batches = sink()
    made = caller.client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=name)
    assert made["BatchSize"] == 10
    assert "StartingPosition" not in made
    queue.put(*(str(number) for number in range(10)))
    assert eventually(lambda: sorted(body for batch in batches() for body in batch) == sorted(map(str, range(10))))
    assert eventually(queue.is_empty)
    caller.client.delete_event_source_mapping(UUID=made["UUID"])


def test_queue__record_is_as_on_aws(caller: Caller, queue: Queue, account: str) -> None:
    name = caller.make("seen = []\ndef handler(e, c):\n    if e == 'seen':\n        return seen\n    seen.extend(e['Records'])\n")
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    attributes = {"kind": {"DataType": "String", "StringValue": "x"}, "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}
    sent = queue.sqs.send_message(QueueUrl=queue.url, MessageBody="hello", MessageAttributes=attributes)
    caller.client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=name)
    (record,) = eventually(lambda: caller.call(name, "seen"))
    assert record["messageId"] == sent["MessageId"]
    assert record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert record["eventSourceARN"] == f"arn:aws:sqs:us-east-1:{account}:source"
    assert (record["eventSource"], record["awsRegion"], record["body"]) == ("aws:sqs", "us-east-1", "hello")
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    lists = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {
        "kind": {"stringValue": "x", "dataType": "String", **lists},
        "raw": {"binaryValue": "AAE=", "dataType": "Binary", **lists},
    }


def test_queue__failed_batch_comes_back_and_ends_among_the_dead_letters(
    caller: Caller, client: Callable[..., Any], sink: Any, server: Any
) -> None:
    dead = Queue(client("sqs"), "dead")
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    queue = Queue(client("sqs"), "source", RedrivePolicy=policy, VisibilityTimeout="30")
    name, batches = sink("raise ValueError")
    caller.client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=name)
    queue.put("poison")
    eventually(lambda: len(batches()) == 1)
    server.advance(31)
    eventually(lambda: len(batches()) == 2)
    server.advance(31)
    assert eventually(lambda: dead.attribute("ApproximateNumberOfMessages") == "1")
    assert len(batches()) == 2


def test_queue__partial_answers_keep_what_failed(caller: Caller, queue: Queue, server: Any) -> None:
    name = caller.make(
        """
        seen = []
        def handler(event, context):
            if event == "seen":
                return seen
            bodies = {record["messageId"]: record["body"] for record in event["Records"]}
            seen.extend(bodies.values())
            once = seen.count("bad") < 2
            return {"batchItemFailures": [{"itemIdentifier": i} for i, body in bodies.items() if body == "bad" and once]}
        """
    )
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    queue.put("good", "bad")
    caller.client.create_event_source_mapping(
        EventSourceArn=queue.arn, FunctionName=name, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    eventually(lambda: sorted(caller.call(name, "seen")) == ["bad", "good"])
    eventually(lambda: queue.attribute("ApproximateNumberOfMessagesNotVisible") == "1")
    server.advance(31)
    assert eventually(lambda: sorted(caller.call(name, "seen")) == ["bad", "bad", "good"])
    assert eventually(queue.is_empty)


def test_queue__filters_remove_what_nobody_wants(caller: Caller, queue: Queue, sink: Any) -> None:
    name, batches = sink()
    pattern = json.dumps({"body": {"amount": [{"numeric": [">", 100]}]}})
    caller.client.create_event_source_mapping(
        EventSourceArn=queue.arn, FunctionName=name, FilterCriteria={"Filters": [{"Pattern": pattern}]}
    )
    queue.put('{"amount": 5}', '{"amount": 500}', "no json")
    assert eventually(lambda: [body for batch in batches() for body in batch] == ['{"amount": 500}'])
    assert eventually(queue.is_empty)


def test_queue__refusals(caller: Caller, queue: Queue, account: str, sink: Any) -> None:
    name, _ = sink()
    for changes in (
        {"EventSourceArn": f"arn:aws:sqs:us-east-1:{account}:none"},
        {"BatchSize": 100},
        {"StartingPosition": "LATEST"},
    ):
        with pytest.raises(ClientError) as error:
            caller.client.create_event_source_mapping(**{"EventSourceArn": queue.arn, "FunctionName": name, **changes})
        assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"
