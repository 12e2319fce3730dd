"""Durable functions at their edges: long states, large results, repeated checkpoints, lateness, and who calls them."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from tests.services.lambda_.durable_functions import Zipped, kinds, make, status

from conftest import HeadraceServer, eventually

MANY_STEPS = """
@durable_execution
def handler(event, context: DurableContext):
    for number in range(event["steps"]):
        context.step(lambda ctx: f"{number}:" + "x" * event["size"], name=f"s{number}")
    context.wait(Duration.from_seconds(60))
    again = [context.step(lambda ctx: "made anew", name=f"t{number}") for number in range(2)]
    return again
"""


def test_state_of_many_operations_is_read_page_by_page(
    client: Callable[..., Any], server: HeadraceServer, zipped: Zipped
) -> None:
    functions = client("lambda")
    make(client, zipped, "longstate", MANY_STEPS, {"ExecutionTimeout": 3600})
    # More than one page of operations, and more bytes than an event may carry.
    event = json.dumps({"steps": 130, "size": 60_000}).encode()
    arn = functions.invoke(FunctionName="longstate", InvocationType="Event", Payload=event)["DurableExecutionArn"]
    eventually(lambda: "WaitStarted" in kinds_of_all(functions, arn), 60)
    eventually(lambda: "InvocationCompleted" in kinds_of_all(functions, arn), 60)
    server.advance(61)
    eventually(lambda: status(functions, arn) == "SUCCEEDED", 60)
    assert json.loads(functions.get_durable_execution(DurableExecutionArn=arn)["Result"]) == ["made anew", "made anew"]
    assert kinds_of_all(functions, arn).count("StepStarted") == 132, "nothing ran twice"


def kinds_of_all(client: Any, arn: str) -> list[str]:
    """The whole history, over its pages."""
    found: list[str] = []
    arguments: dict[str, Any] = {"DurableExecutionArn": arn}
    while True:
        page = client.get_durable_execution_history(**arguments)
        found += [event["EventType"] for event in page["Events"]]
        if "NextMarker" not in page:
            return found
        arguments["Marker"] = page["NextMarker"]


LARGE = """
@durable_execution
def handler(event, context: DurableContext):
    child = context.run_in_child_context(lambda inner: inner.step(lambda ctx: "c") * 300_000, name="child")
    context.wait(Duration.from_seconds(1))
    return "r" * event["length"] if event["length"] else len(child)
"""
# What an answer of a function may hold, and what AWS keeps of an execution.
ANSWER_BYTES_MAX, RESULT_BYTES_MAX = 6 * 1024 * 1024 - 50, 6 * 1024 * 1024


def test_large_results_are_checkpointed_and_too_large_ones_fail(
    client: Callable[..., Any], server: HeadraceServer, zipped: Zipped
) -> None:
    functions = client("lambda")
    make(client, zipped, "large", LARGE, {"ExecutionTimeout": 600})

    def run(length: int) -> dict[str, Any]:
        event = json.dumps({"length": length}).encode()
        arn = functions.invoke(FunctionName="large", InvocationType="Event", Payload=event)["DurableExecutionArn"]
        eventually(lambda: "InvocationCompleted" in kinds(functions, arn))
        server.advance(2)
        eventually(lambda: status(functions, arn) != "RUNNING", 60)
        found: dict[str, Any] = functions.get_durable_execution(DurableExecutionArn=arn)
        return found

    assert run(0)["Result"] == "300000", "the large result of a child is made anew from its steps"
    assert len(run(ANSWER_BYTES_MAX)["Result"]) == ANSWER_BYTES_MAX + len('""')
    refused = run(RESULT_BYTES_MAX)
    assert refused["Status"] == "FAILED"
    assert f"less than or equal to {RESULT_BYTES_MAX}" in refused["Error"]["ErrorMessage"]


SIDE_BY_SIDE = """
@durable_execution
def handler(event, context: DurableContext):
    def slow(inner):
        inner.wait(Duration.from_seconds(3000))
        return "slow"
    found = context.parallel(
        [slow, lambda inner: inner.step(lambda ctx: "quick"), lambda inner: inner.wait(Duration.from_seconds(5)) or "later"],
        config=ParallelConfig(completion_config=CompletionConfig(min_successful=event["wanted"])),
    )
    return [str(found.completion_reason), found.success_count, [item.result for item in found.succeeded()]]
"""


@pytest.mark.parametrize("wanted", [1, 2])
def test_parallel_ends_when_enough_branches_have(
    client: Callable[..., Any], server: HeadraceServer, zipped: Zipped, wanted: int
) -> None:
    functions = client("lambda")
    head = "from aws_durable_execution_sdk_python.config import CompletionConfig, ParallelConfig\n"
    name = f"parallel{wanted}"
    make(client, zipped, name, head + SIDE_BY_SIDE, {"ExecutionTimeout": 3600})
    event = json.dumps({"wanted": wanted}).encode()
    arn = functions.invoke(FunctionName=name, InvocationType="Event", Payload=event)["DurableExecutionArn"]
    if wanted == 2:
        eventually(lambda: "InvocationCompleted" in kinds(functions, arn))
        server.advance(6)
    eventually(lambda: status(functions, arn) == "SUCCEEDED", 30)
    reason, count, results = json.loads(functions.get_durable_execution(DurableExecutionArn=arn)["Result"])
    assert "MIN_SUCCESSFUL" in reason
    assert (count, sorted(results)) == (wanted, sorted(["quick", "later"][:wanted]))


ASKING = """
@durable_execution
def handler(event, context: DurableContext):
    config = CallbackConfig(timeout=Duration.from_seconds(900), heartbeat_timeout=Duration.from_seconds(60))
    return context.create_callback(name="approval", config=config).result()
"""


def test_a_callback_without_heartbeats_is_given_up(client: Callable[..., Any], server: HeadraceServer, zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "beats", ASKING, {"ExecutionTimeout": 3600})
    arn = functions.invoke(FunctionName="beats", InvocationType="Event")["DurableExecutionArn"]
    eventually(lambda: "InvocationCompleted" in kinds(functions, arn))
    events = functions.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True)["Events"]
    callback = next(e for e in events if e["EventType"] == "CallbackStarted")["CallbackStartedDetails"]["CallbackId"]
    for _ in range(3):
        server.advance(40)
        functions.send_durable_execution_callback_heartbeat(CallbackId=callback)
    assert status(functions, arn) == "RUNNING"
    server.advance(61)
    eventually(lambda: status(functions, arn) == "FAILED")
    assert "CallbackTimedOut" in kinds(functions, arn)
    with pytest.raises(functions.exceptions.CallbackTimeoutException):
        functions.send_durable_execution_callback_heartbeat(CallbackId=callback)


BY_HAND = """
import boto3
client = boto3.client("lambda")

def tell(event, token, client_token, *updates):
    return client.checkpoint_durable_execution(
        DurableExecutionArn=event["DurableExecutionArn"], CheckpointToken=token, ClientToken=client_token, Updates=list(updates))

def handler(event, context):
    known = {one["Id"]: one for one in event["InitialExecutionState"]["Operations"]}
    token = event["CheckpointToken"]
    if "w" in known:
        return {"Status": "SUCCEEDED", "Result": json.dumps({"wait": known["w"]["Status"], "step": known["s"]["Status"]})}
    wait = {"Id": "w", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 3000}}
    callback = {"Id": "c", "Type": "CALLBACK", "Action": "START"}
    first = tell(event, token, "one", wait, callback)
    again = tell(event, token, "one", wait, callback)
    assert first["CheckpointToken"] == again["CheckpointToken"], (first, again)
    ids = [[one["Id"] for one in answer["NewExecutionState"]["Operations"]] for answer in (first, again)]
    assert ids[0] == ids[1] == ["w", "c"], ids
    problems = []
    for token, client_token, update in [
        (token, "two", wait),
        (first["CheckpointToken"], "three", {**wait, "Action": "CANCEL", "Id": "none"}),
        (first["CheckpointToken"], "four", {"Id": "c", "Type": "CALLBACK", "Action": "CANCEL"}),
    ]:
        try:
            tell(event, token, client_token, update)
        except Exception as error:
            problems.append(str(error).partition(": ")[2])
    step = {"Id": "s", "Type": "STEP"}
    tell(event, first["CheckpointToken"], "five", {"Id": "w", "Type": "WAIT", "Action": "CANCEL"},
         {**step, "Action": "START"}, {**step, "Action": "SUCCEED", "Payload": "1"})
    print(json.dumps(problems))
    return {"Status": "PENDING"}
"""


def test_checkpoints_by_hand(client: Callable[..., Any], zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "byhand", BY_HAND, {"ExecutionTimeout": 3600})
    arn = functions.invoke(FunctionName="byhand", InvocationType="Event")["DurableExecutionArn"]
    eventually(lambda: "InvocationCompleted" in kinds(functions, arn))
    assert "WaitCancelled" in kinds(functions, arn)
    events = functions.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True)["Events"]
    callback = next(e for e in events if e["EventType"] == "CallbackStarted")["CallbackStartedDetails"]["CallbackId"]
    functions.send_durable_execution_callback_success(CallbackId=callback, Result=b"1")
    eventually(lambda: status(functions, arn) == "SUCCEEDED")
    result = json.loads(functions.get_durable_execution(DurableExecutionArn=arn)["Result"])
    assert result == {"wait": "CANCELLED", "step": "SUCCEEDED"}
    logs = client("logs")

    def problems() -> Any:
        found = logs.filter_log_events(logGroupName="/aws/lambda/byhand", filterPattern="")["events"]
        return next((json.loads(one["message"]) for one in found if one["message"].startswith("[")), None)

    assert eventually(problems) == [
        "Invalid checkpoint token",
        "Cannot cancel a WAIT that does not exist or has already completed.",
        "Invalid action for the given operation type.",
    ]


CALLED = """
@durable_execution
def handler(event, context: DurableContext):
    count = context.step(lambda ctx: len(event.get("Records", [])), name="count")
    return {"statusCode": 200, "body": json.dumps({"count": count, "path": event.get("rawPath")})}
"""


def test_a_url_answers_with_the_end_of_an_execution(client: Callable[..., Any], server: HeadraceServer, zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "byurl", CALLED, {"ExecutionTimeout": 60})
    url = functions.create_function_url_config(FunctionName="byurl", AuthType="NONE")["FunctionUrl"]
    functions.add_permission(
        FunctionName="byurl", StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    name = url.split("//")[1].split(".")[0]
    asked = urllib.request.Request(f"{server.url}/deep", headers={"Host": url.split("//")[1].rstrip("/")})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert json.load(answer) == {"count": 0, "path": "/deep"}, name
    listed = functions.list_durable_executions_by_function(FunctionName="byurl")["DurableExecutions"]
    assert [one["Status"] for one in listed] == ["SUCCEEDED"]


@pytest.mark.parametrize("source", ["kinesis", "sqs"])
def test_a_mapping_begins_an_execution_for_each_batch(client: Callable[..., Any], zipped: Zipped, source: str) -> None:
    functions = client("lambda")
    name = f"by{source}"
    make(client, zipped, name, CALLED, {"ExecutionTimeout": 60})
    if source == "kinesis":
        kinesis = client("kinesis")
        kinesis.create_stream(StreamName="durable-in", ShardCount=1)
        eventually(lambda: kinesis.describe_stream(StreamName="durable-in")["StreamDescription"]["StreamStatus"] == "ACTIVE")
        arn = kinesis.describe_stream(StreamName="durable-in")["StreamDescription"]["StreamARN"]
        kinesis.put_records(StreamName="durable-in", Records=[{"Data": b"1", "PartitionKey": "a"}] * 3)
        functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, StartingPosition="TRIM_HORIZON")
    else:
        sqs = client("sqs")
        queue = sqs.create_queue(QueueName="durable-in")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(3)])
        functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn)

    def handled() -> int:
        listed = functions.list_durable_executions_by_function(FunctionName=name, Statuses=["SUCCEEDED"])["DurableExecutions"]
        results = [functions.get_durable_execution(DurableExecutionArn=one["DurableExecutionArn"])["Result"] for one in listed]
        return sum(json.loads(json.loads(result)["body"])["count"] for result in results)

    eventually(lambda: handled() == 3, 30)
    if source == "sqs":
        eventually(lambda: visible(client("sqs")) == ("0", "0"))


def visible(sqs: Any) -> tuple[str, str]:
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    url = sqs.get_queue_url(QueueName="durable-in")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
    return found[names[0]], found[names[1]]


def test_a_mapping_does_not_wait_for_hours(client: Callable[..., Any], server: HeadraceServer, zipped: Zipped) -> None:
    functions, sqs = client("lambda"), client("sqs")
    make(client, zipped, "tooslow", CALLED, {"ExecutionTimeout": 3600})

    def queue(name: str, **attributes: str) -> tuple[str, str]:
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    dead, dead_arn = queue("dead")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, arn = queue("slow-in", RedrivePolicy=policy)
    sqs.send_message(QueueUrl=url, MessageBody="never handled")
    functions.create_event_source_mapping(FunctionName="tooslow", EventSourceArn=arn)

    def given_up() -> Any:
        server.advance(31)
        return sqs.receive_message(QueueUrl=dead).get("Messages")

    assert [one["Body"] for one in eventually(given_up)] == ["never handled"]
    assert functions.list_durable_executions_by_function(FunctionName="tooslow")["DurableExecutions"] == []


ROUND = """
@durable_execution
def handler(event, context: DurableContext):
    return context.invoke("rounds", {"n": event["n"] + 1})
"""


def test_executions_that_call_each_other_in_a_loop_are_stopped(client: Callable[..., Any], zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "rounds", ROUND, {"ExecutionTimeout": 3600})
    arn = functions.invoke(FunctionName="rounds", InvocationType="Event", Payload=b'{"n": 1}')["DurableExecutionArn"]
    eventually(lambda: status(functions, arn) == "FAILED", 60)
    found = functions.list_durable_executions_by_function(FunctionName="rounds")["DurableExecutions"]
    inputs = [functions.get_durable_execution(DurableExecutionArn=one["DurableExecutionArn"]) for one in found]
    assert sorted(json.loads(one["InputPayload"])["n"] for one in inputs) == list(range(1, 17))
    assert "recursive loop" in inputs[0]["Error"]["ErrorMessage"]
    assert "Root=" in inputs[0]["TraceHeader"]["XAmznTraceId"]
