"""Asynchronous invocations: queued, retried on the server's clock, and sent to destinations."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually

Caller = Any

# One environment at a time: so the list is the same for all calls.
REMEMBER = """
    seen = []
    def handler(event, context):
        if event == "seen":
            return seen
        seen.append([event, context.aws_request_id])
        if event.get("fail"):
            raise ValueError("no")
        return {"did": event}
"""


@pytest.fixture
def remember(caller: Caller) -> Callable[..., Any]:
    """Makes a function that remembers its events; returns its name and a reader of what it saw."""

    def make(**changes: Any) -> tuple[str, Callable[[], list[Any]]]:
        name = caller.make(REMEMBER, **changes)
        caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)

        def seen() -> list[Any]:
            return [event for event, _ in caller.call(name, "seen")]

        return name, seen

    return make


@pytest.fixture
def outcomes(client: Callable[..., Any]) -> Callable[[], tuple[str, Callable[[], list[Any]]]]:
    """Makes a stream that takes outcomes; returns its ARN and a reader."""

    def make() -> tuple[str, Callable[[], list[Any]]]:
        kinesis = client("kinesis")
        kinesis.create_stream(StreamName="outcomes", ShardCount=1)
        eventually(lambda: kinesis.describe_stream(StreamName="outcomes")["StreamDescription"]["StreamStatus"] == "ACTIVE")
        description = kinesis.describe_stream(StreamName="outcomes")["StreamDescription"]

        def read() -> list[Any]:
            shard = description["Shards"][0]["ShardId"]
            iterator = kinesis.get_shard_iterator(StreamName="outcomes", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            records = kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
            return [json.loads(record["Data"]) for record in records]

        return description["StreamARN"], read

    return make


def queue(caller: Caller, name: str, event: Any) -> str:
    answer = caller.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode())
    assert answer["StatusCode"] == 202
    return str(answer["ResponseMetadata"]["RequestId"])


def test_event__runs_soon_with_its_request_id(caller: Caller, remember: Any) -> None:
    name, _ = remember()
    request_id = queue(caller, name, {"a": 1})
    assert eventually(lambda: caller.call(name, "seen")) == [[{"a": 1}, request_id]]


def test_event__large_payload(caller: Caller, remember: Any) -> None:
    name, seen = remember(MemorySize=512)
    event = {"text": "x" * 500_000}
    queue(caller, name, event)
    assert eventually(seen) == [event]
    with pytest.raises(ClientError) as error:
        queue(caller, name, {"text": "x" * (1024 * 1024)})
    assert error.value.response["Error"]["Code"] == "RequestTooLargeException"


def test_event__failures_are_retried_twice_then_sent_away(caller: Caller, remember: Any, outcomes: Any, server: Any) -> None:
    name, seen = remember()
    stream, read = outcomes()
    caller.client.put_function_event_invoke_config(FunctionName=name, DestinationConfig={"OnFailure": {"Destination": stream}})
    request_id = queue(caller, name, {"fail": True})
    eventually(lambda: len(seen()) == 1)
    server.advance(61)
    eventually(lambda: len(seen()) == 2)
    server.advance(121)
    eventually(lambda: len(seen()) == 3)
    (record,) = eventually(read)
    assert record["requestContext"]["requestId"] == request_id
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestContext"]["functionArn"].endswith(f":function:{name}:$LATEST")
    assert record["requestPayload"] == {"fail": True}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorMessage"] == "no"


def test_event__success_is_sent_on(caller: Caller, remember: Any, outcomes: Any) -> None:
    name, _ = remember()
    stream, read = outcomes()
    caller.client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": stream}}
    )
    queue(caller, name, {"n": 1})
    (record,) = eventually(read)
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responsePayload"] == {"did": {"n": 1}}


def test_event__no_retries_when_told_so(caller: Caller, remember: Any, outcomes: Any) -> None:
    name, seen = remember()
    stream, read = outcomes()
    config = caller.client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": stream}}
    )
    assert config["MaximumRetryAttempts"] == 0
    queue(caller, name, {"fail": True})
    (record,) = eventually(read)
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert len(seen()) == 1


def test_event__waits_while_there_is_no_room_until_it_is_too_old(
    caller: Caller, remember: Any, outcomes: Any, server: Any
) -> None:
    name, seen = remember()
    stream, read = outcomes()
    caller.client.put_function_event_invoke_config(
        FunctionName=name, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": stream}}
    )
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    queue(caller, name, {"n": 1})

    def given_up() -> list[Any]:
        server.advance(30)
        return list(read())

    (record,) = eventually(given_up)
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    assert seen() == []


def test_event__lambda_as_destination_and_dead_letter(caller: Caller, remember: Any) -> None:
    target, seen = remember()
    arn = caller.client.get_function(FunctionName=target)["Configuration"]["FunctionArn"]
    name = caller.make("def handler(e, c):\n    return 'fine'\n")
    caller.client.put_function_event_invoke_config(FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}})
    queue(caller, name, {"n": 2})
    (record,) = eventually(seen)
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 2}, "fine")


def test_event__survives_a_crash_of_the_server(tmp_path: Any, zipped: Any) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    client = server.client("lambda")
    body = "import time\ndef handler(e, c):\n    time.sleep(1)\n    return e\n"
    role = "arn:aws:iam::000000000000:role/r"
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    server.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))
    server.client("iam").attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/AmazonKinesisFullAccess")
    client.create_function(
        FunctionName="slow", Runtime="python3.11", Handler="app.handler", Role=role, Code={"ZipFile": zipped({"app.py": body})},
        Timeout=5,
    )  # fmt: skip
    kinesis = server.client("kinesis")
    kinesis.create_stream(StreamName="done", ShardCount=1)
    stream = eventually(lambda: kinesis.describe_stream(StreamName="done")["StreamDescription"]["StreamARN"])
    client.put_function_event_invoke_config(FunctionName="slow", DestinationConfig={"OnSuccess": {"Destination": stream}})
    client.invoke(FunctionName="slow", InvocationType="Event", Payload=b'"kept"')
    server.kill()
    server = HeadraceServer(server.data).start()
    try:
        kinesis = server.client("kinesis")
        # The job is held for a while, in case the first server still worked on it.
        server.advance(120)

        def read() -> list[Any]:
            iterator = kinesis.get_shard_iterator(
                StreamName="done", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
            )
            return list(kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"])

        # At least once: the jump of the clock may let it be taken while it runs.
        for record in eventually(read):
            assert json.loads(record["Data"])["requestPayload"] == "kept"
    finally:
        server.stop()


def test_event_config__read_and_removed(caller: Caller, account: str) -> None:
    name = caller.make("def handler(e, c):\n    pass\n")
    with pytest.raises(ClientError) as error:
        caller.client.get_function_event_invoke_config(FunctionName=name)
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.value.response["Error"]["Message"] == (
        f"The function arn:aws:lambda:us-east-1:{account}:function:{name}:$LATEST doesn't have an EventInvokeConfig"
    )
    caller.client.put_function_event_invoke_config(FunctionName=name, MaximumEventAgeInSeconds=100)
    updated = caller.client.update_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    assert (updated["MaximumEventAgeInSeconds"], updated["MaximumRetryAttempts"]) == (100, 1)
    (listed,) = caller.client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    assert listed["MaximumRetryAttempts"] == 1
    caller.client.delete_function_event_invoke_config(FunctionName=name)
    assert caller.client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"] == []
