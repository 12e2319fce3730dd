"""Tumbling windows: a function's state goes from batch to batch, and the window ends by its time."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually
from services.lambda_.test_lambda_mappings import Stream

Caller = Any

SUM = """
    import base64, json
    events, trouble = [], []
    def handler(event, context):
        if event == "events":
            return events
        values = [json.loads(base64.b64decode(one["kinesis"]["data"])) for one in event.pop("Records")]
        events.append({**event, "values": values, "state": {k: v for k, v in event["state"].items() if k != "large"}})
        state = {"sum": event["state"].get("sum", 0) + sum(v for v in values if isinstance(v, int))}
        if event["isFinalInvokeForWindow"] and event["state"].get("sum") == 7 and not trouble:
            trouble.append("once")
            raise RuntimeError("the last invocation fails once")
        if event["isFinalInvokeForWindow"] or event["isWindowTerminatedEarly"]:
            return None
        if "large" in values:
            state["large"] = "x" * (1 << 20)
        if "nothing" in values:
            return {"batchItemFailures": []}
        return {"state": state}
"""


@pytest.fixture
def fed(caller: Caller, client: Callable[..., Any]) -> Callable[..., tuple[Stream, Callable[[], list[Any]], str]]:
    """Makes a stream that feeds a function with windows, and a reader of the events that it got."""

    def make(stream_name: str, **changes: Any) -> tuple[Stream, Callable[[], list[Any]], str]:
        stream = Stream(client("kinesis"), stream_name)
        name = caller.make(SUM)
        caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        made = caller.client.create_event_source_mapping(
            EventSourceArn=stream.arn, FunctionName=name, StartingPosition="TRIM_HORIZON",
            **{"BatchSize": 2, "TumblingWindowInSeconds": 300, **changes},
        )  # fmt: skip
        assert made["TumblingWindowInSeconds"] == 300
        return stream, lambda: list(caller.call(name, "events")), made["UUID"]

    return make


def flat(events: list[Any]) -> list[Any]:
    return [value for one in events for value in one["values"]]


def to_a_new_window(server: HeadraceServer) -> None:
    """So that what follows lies in one window."""
    now = server.page("/_headrace/clock")["now"]
    server.advance(300 - now % 300 + 1)


def test_window__state_goes_on_and_ends_with_the_time(server: HeadraceServer, fed: Any) -> None:
    to_a_new_window(server)
    stream, events, _ = fed("windows-of-sums")
    stream.put(1, 2, 4)
    eventually(lambda: flat(events()) == [1, 2, 4])
    found = events()
    assert found[0]["state"] == {}
    assert found[-1]["state"] == {"sum": sum(flat(found[:-1]))}
    assert not any(one["isFinalInvokeForWindow"] or one["isWindowTerminatedEarly"] for one in found)
    assert found[0]["eventSourceARN"] == stream.arn
    assert found[0]["shardId"].startswith("shardId-")
    server.advance(301)
    # The last invocation fails once, and the shard waits for it.
    eventually(lambda: len([one for one in events() if one["isFinalInvokeForWindow"]]) == 2)
    last = events()[-1]
    assert (last["state"], last["values"], last["window"]) == ({"sum": 7}, [], found[0]["window"])
    stream.put(10)
    eventually(lambda: events()[-1]["values"] == [10])
    assert events()[-1]["state"] == {}
    assert events()[-1]["window"]["start"] == found[0]["window"]["end"]


def test_window__record_of_a_later_one_ends_it(server: HeadraceServer, fed: Any, caller: Caller) -> None:
    to_a_new_window(server)
    stream, events, uuid = fed("windows-in-batch", Enabled=False, BatchSize=100)
    stream.put(1, 2)
    server.advance(301)
    stream.put(5)
    caller.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    eventually(lambda: len(events()) == 3)
    shown = [(one["values"], one["state"], one["isFinalInvokeForWindow"]) for one in events()]
    assert shown == [([1, 2], {}, False), ([], {"sum": 3}, True), ([5], {}, False)]
    starts = [one["window"]["start"] for one in events()]
    assert starts[0] == starts[1] < starts[2]


def test_window__large_state_ends_it_early_and_no_state_is_a_failure(server: HeadraceServer, fed: Any) -> None:
    to_a_new_window(server)
    stream, events, _ = fed("windows-large", BatchSize=1, MaximumRetryAttempts=1)
    stream.put(1, "large", 3)
    eventually(lambda: events() and events()[-1]["values"] == [3])
    shown = [(one["values"], one["state"], one["isWindowTerminatedEarly"]) for one in events()]
    assert shown == [([1], {}, False), (["large"], {"sum": 1}, False), ([], {"sum": 1}, True), ([3], {}, False)]
    assert not events()[2]["isFinalInvokeForWindow"]
    stream.put("nothing", 4)
    eventually(lambda: events()[-1]["values"] == [4])
    assert [one["values"] for one in events()[4:]] == [["nothing"], ["nothing"], [4]], "tried again once, then given up"
    assert events()[-1]["state"] == {"sum": 3}


def test_window__what_does_not_go_together(caller: Caller, client: Callable[..., Any]) -> None:
    stream = Stream(client("kinesis"), "windows-refused")
    name = caller.make("def handler(e, c): pass\n")
    with pytest.raises(ClientError, match="ParallelizationFactor") as refused:
        caller.client.create_event_source_mapping(
            EventSourceArn=stream.arn, FunctionName=name, StartingPosition="LATEST", TumblingWindowInSeconds=60,
            ParallelizationFactor=2,
        )  # fmt: skip
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"


ADDS = """
import base64, boto3, json, time
def handler(event, context):
    total = event["state"].get("sum", 0) + sum(json.loads(base64.b64decode(one["kinesis"]["data"])) for one in event["Records"])
    if event["isFinalInvokeForWindow"]:
        key = {"id": {"S": event["window"]["start"]}}
        boto3.client("dynamodb").put_item(TableName="sums", Item={**key, "sum": {"N": str(total)}})
        return {}
    time.sleep(0.02)
    return {"state": {"sum": total}}
"""


def test_window__counts_each_record_once_over_kills(tmp_path: Path, zipped: Any) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = server.client("iam").create_role(
            RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )["Role"]["Arn"]
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        server.client("iam").put_role_policy(RoleName="r", PolicyName="all", PolicyDocument=json.dumps(everything))
        server.client("dynamodb").create_table(
            TableName="sums", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip
        stream = Stream(server.client("kinesis"), "source")
        server.client("lambda").create_function(
            FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=role, Code={"ZipFile": zipped({"app.py": ADDS})}
        )
        server.client("lambda").create_event_source_mapping(
            EventSourceArn=stream.arn, FunctionName="f", StartingPosition="TRIM_HORIZON", BatchSize=1, TumblingWindowInSeconds=300
        )
        for turn in range(3):
            Stream(server.client("kinesis"), "source", make=False).put(*range(turn * 20, turn * 20 + 20))
            time.sleep(0.4)  # so that some are done, and some are not
            server.kill()
            server.start()
        server.advance(301)

        def sums() -> list[int]:
            return [int(item["sum"]["N"]) for item in server.client("dynamodb").scan(TableName="sums")["Items"]]

        # A started server has the true time again, so the records may lie in two windows.
        eventually(lambda: sum(sums()) == sum(range(60)), 30)
    finally:
        server.stop()
