"""Durable executions that are paused and resumed."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.services.lambda_.durable_functions import Zipped, kinds, make, status

from conftest import HeadraceServer, eventually

WAITS = """
@durable_execution
def handler(event, context: DurableContext):
    first = context.step(lambda ctx: "before", name="first")
    context.wait(Duration.from_seconds(600), name="rest")
    return [first, context.step(lambda ctx: "after", name="second")]
"""


def begin(client: Any, name: str, after: str = "InvocationCompleted") -> str:
    arn = str(client.invoke(FunctionName=name, InvocationType="Event")["DurableExecutionArn"])
    eventually(lambda: after in kinds(client, arn))
    return arn


def test_a_paused_execution_goes_on_when_it_is_resumed(
    client: Callable[..., Any], server: HeadraceServer, zipped: Zipped
) -> None:
    functions = client("lambda")
    # Less than an hour passes: the credentials of a role hold so long.
    make(client, zipped, "pausing", WAITS, {"ExecutionTimeout": 900})
    arn = begin(functions, "pausing")
    before = functions.get_durable_execution(DurableExecutionArn=arn)["ExpectedExecutionTimeoutTimestamp"]
    token = str(uuid.uuid4())
    for _ in range(2):
        functions.pause_durable_execution(DurableExecutionArn=arn, Reason="a deployment", ClientToken=token)
    found = functions.get_durable_execution(DurableExecutionArn=arn)
    assert (found["Status"], found["PauseDetails"]["Reason"]) == ("PAUSED", "a deployment")
    assert found["PauseDetails"]["ExecutionTimeoutPaused"] is True
    with pytest.raises(functions.exceptions.ResourceConflictException):
        functions.pause_durable_execution(DurableExecutionArn=arn)
    listed = functions.list_durable_executions_by_function(FunctionName="pausing", Statuses=["PAUSED"])
    assert [one["DurableExecutionArn"] for one in listed["DurableExecutions"]] == [arn]
    # The wait ends meanwhile, and so would the execution's time.
    server.advance(1000)
    eventually(lambda: "WaitSucceeded" in kinds(functions, arn))
    assert status(functions, arn) == "PAUSED"
    assert kinds(functions, arn).count("InvocationCompleted") == 1
    functions.resume_durable_execution(DurableExecutionArn=arn, Reason="done")
    eventually(lambda: status(functions, arn) == "SUCCEEDED")
    assert json.loads(functions.get_durable_execution(DurableExecutionArn=arn)["Result"]) == ["before", "after"]
    assert kinds(functions, arn) == [
        "ExecutionStarted", "StepStarted", "StepSucceeded", "WaitStarted", "InvocationCompleted", "ExecutionPaused",
        "WaitSucceeded", "ExecutionResumed", "StepStarted", "StepSucceeded", "InvocationCompleted", "ExecutionSucceeded",
    ]  # fmt: skip
    with pytest.raises(functions.exceptions.ResourceConflictException):
        functions.resume_durable_execution(DurableExecutionArn=arn)
    events = functions.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True)["Events"]
    paused = next(one for one in events if one["EventType"] == "ExecutionPaused")["ExecutionPausedDetails"]
    assert paused["Reason"]["Payload"] == "a deployment"

    other = begin(functions, "pausing")
    functions.pause_durable_execution(DurableExecutionArn=other)
    server.advance(1000)
    functions.resume_durable_execution(DurableExecutionArn=other)
    found = functions.get_durable_execution(DurableExecutionArn=other)
    assert (found["ExpectedExecutionTimeoutTimestamp"] - before).total_seconds() >= 2000
    assert (found["ExpectedExecutionTimeoutTimestamp"] - found["StartTimestamp"]).total_seconds() >= 900 + 1000


def test_a_pause_that_leaves_the_timeout_running(client: Callable[..., Any], server: HeadraceServer, zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "pausing-late", WAITS, {"ExecutionTimeout": 700})
    arn = begin(functions, "pausing-late")
    functions.pause_durable_execution(DurableExecutionArn=arn, ExecutionTimeoutPaused=False)
    server.advance(701)
    eventually(lambda: status(functions, arn) == "TIMED_OUT")


BUSY = """
import time, boto3
lambda_ = boto3.client("lambda")

@durable_execution
def handler(event, context: DurableContext):
    def busy(ctx):
        arn = context.execution_context.durable_execution_arn
        for _ in range(400):
            if lambda_.get_durable_execution(DurableExecutionArn=arn)["Status"] in event["until"]:
                return "reached"
            time.sleep(0.02)
        return "never"
    first = context.step(busy, name="first")
    return [first, context.step(lambda ctx: "second", name="second")]
"""


def test_a_running_invocation_is_paused_at_its_next_checkpoint(client: Callable[..., Any], zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "pausing-busy", BUSY, {"ExecutionTimeout": 3600})
    event = json.dumps({"until": ["PAUSING"]}).encode()
    arn = functions.invoke(FunctionName="pausing-busy", InvocationType="Event", Payload=event)["DurableExecutionArn"]
    eventually(lambda: "StepStarted" in kinds(functions, arn))
    functions.pause_durable_execution(DurableExecutionArn=arn)
    eventually(lambda: status(functions, arn) == "PAUSED")
    eventually(lambda: "InvocationCompleted" in kinds(functions, arn))
    functions.resume_durable_execution(DurableExecutionArn=arn)
    eventually(lambda: status(functions, arn) == "SUCCEEDED")
    assert json.loads(functions.get_durable_execution(DurableExecutionArn=arn)["Result"]) == ["reached", "second"]
    found = kinds(functions, arn)
    assert found.index("ExecutionPaused") < found.index("InvocationCompleted") < found.index("ExecutionResumed")
    assert found.count("StepStarted") == 2, "nothing ran twice"
