"""Durable functions that use AWS's SDK as it is, on a real server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.services.lambda_.durable_functions import Zipped, kinds, make, status

from conftest import HeadraceServer, eventually

STEPS = """
def work(ctx):
    return "worked"

@durable_execution
def handler(event, context: DurableContext):
    first = context.step(work, name="first")
    context.wait(Duration.from_seconds(600), name="rest")
    return {"first": first, "event": event}
"""


def test_a_wait_ends_when_the_clock_says_so(client: Callable[..., Any], server: HeadraceServer, zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "waits", STEPS, {"ExecutionTimeout": 3600})
    assert functions.get_function_configuration(FunctionName="waits")["DurableConfig"] == {
        "ExecutionTimeout": 3600,
        "RetentionPeriodInDays": 14,
    }
    begun = functions.invoke(FunctionName="waits", InvocationType="Event", DurableExecutionName="one", Payload=b'{"a": 1}')
    assert begun["StatusCode"] == 202
    arn = begun["DurableExecutionArn"]
    eventually(lambda: "InvocationCompleted" in kinds(functions, arn))
    assert status(functions, arn) == "RUNNING"
    server.advance(601)
    eventually(lambda: status(functions, arn) == "SUCCEEDED")
    found = functions.get_durable_execution(DurableExecutionArn=arn)
    assert json.loads(found["Result"]) == {"first": "worked", "event": {"a": 1}}
    assert kinds(functions, arn) == [
        "ExecutionStarted", "StepStarted", "StepSucceeded", "WaitStarted", "InvocationCompleted", "WaitSucceeded",
        "InvocationCompleted", "ExecutionSucceeded",
    ]  # fmt: skip
    again = functions.invoke(FunctionName="waits", InvocationType="Event", DurableExecutionName="one", Payload=b'{"a": 1}')
    assert again["DurableExecutionArn"] == arn
    with pytest.raises(functions.exceptions.DurableExecutionAlreadyStartedException):
        functions.invoke(FunctionName="waits", InvocationType="Event", DurableExecutionName="one", Payload=b'{"a": 2}')
    listed = functions.list_durable_executions_by_function(FunctionName="waits", Statuses=["SUCCEEDED"])
    assert [one["DurableExecutionArn"] for one in listed["DurableExecutions"]] == [arn]


CALLBACK = """
@durable_execution
def handler(event, context: DurableContext):
    callback = context.create_callback(name="approval", config=CallbackConfig(timeout=Duration.from_seconds(300)))
    return callback.result()
"""


def test_a_callback_is_answered(client: Callable[..., Any], server: HeadraceServer, zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "asks", CALLBACK, {"ExecutionTimeout": 3600})

    def ask() -> tuple[str, str]:
        arn = functions.invoke(FunctionName="asks", InvocationType="Event")["DurableExecutionArn"]
        eventually(lambda: "InvocationCompleted" in kinds(functions, arn))
        events = functions.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True)["Events"]
        return arn, next(e for e in events if e["EventType"] == "CallbackStarted")["CallbackStartedDetails"]["CallbackId"]

    arn, callback = ask()
    functions.send_durable_execution_callback_heartbeat(CallbackId=callback)
    functions.send_durable_execution_callback_success(CallbackId=callback, Result=b'"yes"')
    eventually(lambda: status(functions, arn) == "SUCCEEDED")
    assert "yes" in functions.get_durable_execution(DurableExecutionArn=arn)["Result"]
    with pytest.raises(functions.exceptions.CallbackTimeoutException):
        functions.send_durable_execution_callback_success(CallbackId=callback, Result=b'"no"')
    arn, callback = ask()
    functions.send_durable_execution_callback_failure(CallbackId=callback, Error={"ErrorType": "No", "ErrorMessage": "never"})
    eventually(lambda: status(functions, arn) == "FAILED")
    assert "never" in functions.get_durable_execution(DurableExecutionArn=arn)["Error"]["ErrorMessage"]
    arn, _ = ask()
    server.advance(301)
    eventually(lambda: status(functions, arn) == "FAILED")
    assert "CallbackTimedOut" in kinds(functions, arn)


MANY = """
def square(context, item, index, items):
    return context.step(lambda ctx: item * item, name=f"square-{index}")

@durable_execution
def handler(event, context: DurableContext):
    squares = context.map([1, 2, 3], square).get_results()
    plain = context.invoke("plain", {"n": 7})
    child = context.invoke("child", {"n": 8})
    return [squares, plain, child]
"""
CHILD = """
@durable_execution
def handler(event, context: DurableContext):
    return context.step(lambda ctx: event["n"] + 1)
"""
PLAIN = "def handler(event, context): return event['n'] * 2\n"


def test_functions_are_called_and_branches_run_side_by_side(client: Callable[..., Any], zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "plain", PLAIN, None)
    make(client, zipped, "child", CHILD, {"ExecutionTimeout": 60})
    make(client, zipped, "many", MANY, {"ExecutionTimeout": 60})
    answer = functions.invoke(FunctionName="many")
    assert json.load(answer["Payload"]) == [[1, 4, 9], 14, 9]
    assert answer["DurableExecutionArn"].split("/")[1] == "durable-execution"


RETRIES = """
tries = []

def flaky(ctx):
    tries.append(1)
    if len(tries) < 3:
        raise ValueError("not yet")
    return len(tries)

@durable_execution
def handler(event, context: DurableContext):
    strategy = create_retry_strategy(RetryStrategyConfig(max_attempts=5, initial_delay=Duration.from_seconds(60)))
    return context.step(flaky, name="flaky", config=StepConfig(retry_strategy=strategy))
"""


def test_a_step_is_tried_again(client: Callable[..., Any], server: HeadraceServer, zipped: Zipped) -> None:
    functions = client("lambda")
    make(client, zipped, "flaky", RETRIES, {"ExecutionTimeout": 36000})
    arn = functions.invoke(FunctionName="flaky", InvocationType="Event")["DurableExecutionArn"]
    for tries in (1, 2):
        eventually(lambda tries=tries: kinds(functions, arn).count("InvocationCompleted") == tries)
        server.advance(600)
    eventually(lambda: status(functions, arn) == "SUCCEEDED")
    assert functions.get_durable_execution(DurableExecutionArn=arn)["Result"] == "3"
    assert kinds(functions, arn).count("StepFailed") == 2


def test_an_execution_ends_at_its_timeout_or_when_it_is_stopped(
    client: Callable[..., Any], server: HeadraceServer, zipped: Zipped
) -> None:
    functions = client("lambda")
    make(client, zipped, "long", STEPS, {"ExecutionTimeout": 300, "RetentionPeriodInDays": 1})
    arn = functions.invoke(FunctionName="long", InvocationType="Event")["DurableExecutionArn"]
    other = functions.invoke(FunctionName="long", InvocationType="Event")["DurableExecutionArn"]
    functions.stop_durable_execution(DurableExecutionArn=other, Error={"ErrorType": "Enough", "ErrorMessage": "stop"})
    assert functions.get_durable_execution(DurableExecutionArn=other)["Error"]["ErrorType"] == "Enough"
    assert status(functions, other) == "STOPPED"
    with pytest.raises(ClientError, match="Invalid checkpoint token"):
        functions.checkpoint_durable_execution(DurableExecutionArn=arn, CheckpointToken="AAAA")
    server.advance(301)
    eventually(lambda: status(functions, arn) == "TIMED_OUT")
    server.advance(86_500)
    eventually(lambda: not functions.list_durable_executions_by_function(FunctionName="long")["DurableExecutions"])
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        status(functions, arn)


def test_what_was_checkpointed_does_not_run_again_after_a_kill(tmp_path: Path, zipped: Zipped) -> None:
    body = """
import boto3, time
def count(ctx):
    table = boto3.client("dynamodb")
    table.update_item(TableName="runs", Key={"id": {"S": "first"}}, UpdateExpression="ADD n :one",
                      ExpressionAttributeValues={":one": {"N": "1"}})
    return "once"

@durable_execution
def handler(event, context: DurableContext):
    first = context.step(count, name="first")
    context.step(lambda ctx: time.sleep(3) or "slept", name="second")
    return first
"""
    server = HeadraceServer(tmp_path / "data").start()
    try:
        functions, tables = server.client("lambda"), server.client("dynamodb")
        key = {"AttributeName": "id", "KeyType": "HASH"}
        tables.create_table(
            TableName="runs", KeySchema=[key], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        make(server.client, zipped, "killed", body, {"ExecutionTimeout": 300})
        arn = functions.invoke(FunctionName="killed", InvocationType="Event")["DurableExecutionArn"]
        eventually(lambda: kinds(functions, arn).count("StepStarted") == 2)
        server.kill()
        server.start()
        eventually(lambda: status(functions, arn) == "SUCCEEDED", 30)
        assert kinds(functions, arn).count("StepSucceeded") == 2
        assert tables.get_item(TableName="runs", Key={"id": {"S": "first"}})["Item"]["n"] == {"N": "1"}
    finally:
        server.stop()


def test_a_deleted_execution_is_gone_and_a_changed_timeout_holds(client: Callable[..., Any], zipped: Zipped) -> None:
    functions = client("lambda")
    body = 'def handler(event, context):\n    return {"Status": "SUCCEEDED", "Result": "7"}\n'
    make(client, zipped, "gone", body, {"ExecutionTimeout": 60})
    arn = functions.invoke(FunctionName="gone")["DurableExecutionArn"]
    assert functions.get_durable_execution(DurableExecutionArn=arn)["Result"] == "7"
    functions.delete_durable_execution(DurableExecutionArn=arn)
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_durable_execution(DurableExecutionArn=arn)
    assert functions.list_durable_executions_by_function(FunctionName="gone")["DurableExecutions"] == []
    changed = functions.update_function_configuration(FunctionName="gone", DurableConfig={"ExecutionTimeout": 1000})
    assert changed["DurableConfig"]["ExecutionTimeout"] == 1000
    # Nobody waits for so long.
    with pytest.raises(ClientError, match="greater than 15 minutes"):
        functions.invoke(FunctionName="gone")
