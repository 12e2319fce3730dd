"""Loops of functions: found by the tracing header, stopped or let go on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually
from headrace.services.lambda_ import lineage
from services.lambda_.conftest import Caller

# Each run writes down that it was; then it calls for the next one.
COUNTED = """
import json, os, boto3
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["RUNS"], MessageBody=os.environ["_X_AMZN_TRACE_ID"])
"""


@pytest.fixture
def queue(client: Callable[..., Any]) -> Callable[..., tuple[str, str]]:
    def make(name: str, **attributes: str) -> tuple[str, str]:
        sqs = client("sqs")
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    return make


def count(client: Callable[..., Any], url: str) -> int:
    attributes = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def dropped(client: Callable[..., Any], server: HeadraceServer, name: str) -> float:
    now = server.page("/_headrace/clock")["now"]
    points = client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="RecursiveInvocationsDropped", Dimensions=[{"Name": "FunctionName", "Value": name}],
        StartTime=now - 600, EndTime=now + 600, Period=3600, Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip
    return float(sum(point["Sum"] for point in points))


def test_queue__loop_ends_in_its_dead_letters(
    caller: Caller, client: Callable[..., Any], server: HeadraceServer, queue: Callable[..., tuple[str, str]]
) -> None:
    runs, _ = queue("runs")
    dead, dead_arn = queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, arn = queue("loop", RedrivePolicy=redrive, VisibilityTimeout="60")
    code = COUNTED + '    boto3.client("sqs").send_message(QueueUrl=os.environ["LOOP"], MessageBody="again")\n'
    name = caller.make(code, Timeout=30, MemorySize=256, Environment={"Variables": {"RUNS": runs, "LOOP": url}})
    mapping = caller.client.create_event_source_mapping(EventSourceArn=arn, FunctionName=name, BatchSize=1)
    client("sqs").send_message(QueueUrl=url, MessageBody="begin")

    def stopped() -> bool:
        server.advance(61)
        return count(client, dead) == 1

    eventually(lambda: count(client, runs) == 16, 60)
    eventually(lambda: dropped(client, server, name) == 1)
    eventually(stopped, 30)
    assert count(client, runs) == 16
    (letter,) = client("sqs").receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    function_arn = caller.client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    assert lineage.passes(letter["Attributes"]["AWSTraceHeader"], function_arn) == 16
    caller.client.delete_event_source_mapping(UUID=mapping["UUID"])


def test_topic__loop_goes_to_the_destination_of_failures(
    caller: Caller, client: Callable[..., Any], server: HeadraceServer, queue: Callable[..., tuple[str, str]]
) -> None:
    runs, _ = queue("runs")
    failed, failed_arn = queue("failed")
    topic = client("sns").create_topic(Name="loop")["TopicArn"]
    code = COUNTED + '    boto3.client("sns").publish(TopicArn=os.environ["LOOP"], Message="again")\n'
    name = caller.make(code, Timeout=10, MemorySize=256, Environment={"Variables": {"RUNS": runs, "LOOP": topic}})
    function_arn = caller.client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    caller.client.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": failed_arn}}
    )
    caller.client.add_permission(
        FunctionName=name, StatementId="topic", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic
    )
    client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function_arn)
    client("sns").publish(TopicArn=topic, Message="begin")
    eventually(lambda: count(client, failed) == 1, 60)
    assert count(client, runs) == 16
    record = json.loads(client("sqs").receive_message(QueueUrl=failed)["Messages"][0]["Body"])
    assert record["requestContext"]["condition"] == "RecursiveInvocation"
    assert record["requestPayload"]["Records"][0]["Sns"]["Message"] == "again"
    eventually(lambda: dropped(client, server, name) == 1)


def test_itself__a_loop_goes_on_where_it_is_allowed(
    caller: Caller, client: Callable[..., Any], queue: Callable[..., tuple[str, str]]
) -> None:
    runs, _ = queue("runs")
    code = COUNTED + (
        '    if event["left"]:\n        boto3.client("lambda").invoke(FunctionName=context.function_name, InvocationType="Event",'
        ' Payload=json.dumps({"left": event["left"] - 1}))\n'
    )
    name = caller.make(code, Timeout=10, MemorySize=256, Environment={"Variables": {"RUNS": runs}})
    assert caller.client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    caller.client.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
    caller.client.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"left": 19}')
    eventually(lambda: count(client, runs) == 20, 60)


def test_invoke__is_refused_when_the_header_says_so(caller: Caller) -> None:
    name = caller.make("import os\ndef handler(e, c):\n    return os.environ['_X_AMZN_TRACE_ID']\n")
    arn = caller.client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

    def call(times: int) -> Any:
        header = f"{trace};Lineage={lineage.mark(arn)}:{times}"
        events = caller.client.meta.events

        def add(request: Any, **_: Any) -> None:
            request.headers["X-Amzn-Trace-Id"] = header

        events.register("before-sign.lambda.Invoke", add, unique_id="trace")
        try:
            return caller.call(name)
        finally:
            events.unregister("before-sign.lambda.Invoke", unique_id="trace")

    # The header reaches the function as it came, with this run counted.
    assert call(15) == f"{trace};Lineage={lineage.mark(arn)}:16"
    with pytest.raises(ClientError) as error:
        call(16)
    assert error.value.response["Error"]["Code"] == "RecursiveInvocationException"


def test_lineage__counts_and_stays_small() -> None:
    trace = lineage.begin("0d2b3a52-1f0e-4d6c-9a43-0f3f1c2b4a5d", 1_700_000_000.0)
    assert trace == "Root=1-6553f100-0d2b3a521f0e4d6c9a430f3f;Parent=9a430f3f1c2b4a5d;Sampled=0"
    assert lineage.passes(trace, "a") == 0
    for _ in range(3):
        trace = lineage.advance(lineage.advance(trace, "a"), "b")
    assert (lineage.passes(trace, "a"), lineage.passes(trace, "b"), lineage.passes(trace, "c")) == (3, 3, 0)
    # As an SDK writes it; and what nobody can read.
    assert lineage.passes(trace.replace("|", "%7C"), "a") == 3
    assert lineage.advance("Lineage=x:y|:3|;;", "a") == f"Lineage={lineage.mark('a')}:1"
    for number in range(100):
        trace = lineage.advance(trace, str(number))
    assert len(trace) < 500
    assert trace.startswith("Root=1-6553f100-")
