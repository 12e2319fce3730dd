"""Provisioned concurrency: environments that are there before anybody calls."""

import base64
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually
from services.lambda_.conftest import Caller, zip_of

CODE = """
import os, time, uuid
HERE = uuid.uuid4().hex
BORN = time.time()
def handler(event, context):
    if event and event.get("wait"):
        time.sleep(event["wait"])
    return {"here": HERE, "born": BORN, "begun": time.time(), "kind": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
"""


def provision(caller: Caller, name: str, qualifier: str, count: int) -> dict[str, Any]:
    """Ask for environments, and wait until they are there."""
    caller.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )
    return eventually(lambda: (found := config(caller, name, qualifier))["Status"] == "READY" and found)


def config(caller: Caller, name: str, qualifier: str) -> dict[str, Any]:
    answer = caller.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
    answer.pop("ResponseMetadata")
    return dict(answer)


@pytest.fixture
def published(caller: Caller) -> Any:
    name = caller.make(CODE, Timeout=20, MemorySize=256, Publish=True)
    yield name
    caller.client.delete_function(FunctionName=name)


def test_provisioned__environments_wait_initialised(caller: Caller, published: str) -> None:
    asked = caller.client.put_provisioned_concurrency_config(
        FunctionName=published, Qualifier="1", ProvisionedConcurrentExecutions=2
    )
    assert asked["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (asked["Status"], asked["RequestedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2)
    assert asked["AllocatedProvisionedConcurrentExecutions"] == 0
    ready = eventually(lambda: (found := config(caller, published, "1"))["Status"] == "READY" and found)
    assert ready["AllocatedProvisionedConcurrentExecutions"] == ready["AvailableProvisionedConcurrentExecutions"] == 2
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(caller.call(published, {"wait": 1.0}, Qualifier="1"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: config(caller, published, "1")["AvailableProvisionedConcurrentExecutions"] == 0)
    spilled = caller.call(published, Qualifier="1")
    for thread in threads:
        thread.join()
    assert {answer["kind"] for answer in answers} == {"provisioned-concurrency"}
    assert len({answer["here"] for answer in answers}) == 2
    assert all(answer["born"] < answer["begun"] for answer in answers)
    assert spilled["kind"] == "on-demand"
    assert caller.call(published)["kind"] == "on-demand"  # $LATEST has none
    # No start is seen by a caller.
    log = caller.client.invoke(FunctionName=published, Qualifier="1", LogType="Tail", Payload=b"{}")
    assert b"Init Duration" not in base64.b64decode(log["LogResult"])


def test_provisioned__follows_its_alias(caller: Caller, published: str) -> None:
    caller.client.create_alias(FunctionName=published, Name="live", FunctionVersion="1")
    provision(caller, published, "live", 1)
    first = caller.call(published, Qualifier="live")
    assert first["kind"] == "provisioned-concurrency"
    caller.client.update_function_code(FunctionName=published, ZipFile=zip_of({"app.py": CODE + "\n# two\n"}))
    # A change of $LATEST leaves the version's environments alone.
    assert caller.call(published, Qualifier="live")["here"] == first["here"]
    two = caller.client.publish_version(FunctionName=published)["Version"]
    caller.client.update_alias(FunctionName=published, Name="live", FunctionVersion=two)
    eventually(lambda: config(caller, published, "live")["Status"] == "READY")
    second = caller.call(published, Qualifier="live")
    assert (second["kind"], second["here"] == first["here"]) == ("provisioned-concurrency", False)
    assert caller.call(published, Qualifier="1")["kind"] == "on-demand"
    (listed,) = caller.client.list_provisioned_concurrency_configs(FunctionName=published)["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"].endswith(f":{published}:live")
    assert listed["Status"] == "READY"
    caller.client.delete_provisioned_concurrency_config(FunctionName=published, Qualifier="live")
    with pytest.raises(ClientError, match="No Provisioned Concurrency Config found for this function"):
        config(caller, published, "live")
    eventually(lambda: caller.call(published, Qualifier="live")["kind"] == "on-demand")


def test_provisioned__weights_of_an_alias_share_it(caller: Caller, published: str) -> None:
    caller.client.update_function_code(FunctionName=published, ZipFile=zip_of({"app.py": CODE + "\n# two\n"}))
    two = caller.client.publish_version(FunctionName=published)["Version"]
    caller.client.create_alias(
        FunctionName=published, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {two: 0.5}}
    )
    provision(caller, published, "live", 2)
    kinds = {(version, caller.call(published, Qualifier=version)["kind"]) for version in ("1", two)}
    assert kinds == {("1", "provisioned-concurrency"), (two, "provisioned-concurrency")}


def test_provisioned__an_environment_that_ends_is_replaced(caller: Caller) -> None:
    name = caller.make(CODE.replace("if event and", "if event == 'die': os._exit(3)\n    if event and"), Publish=True)
    provision(caller, name, "1", 1)
    first = caller.call(name, Qualifier="1")
    assert caller.call(name, "die", Qualifier="1")["errorType"] == "Runtime.ExitError"
    eventually(lambda: config(caller, name, "1")["Status"] == "READY")
    second = caller.call(name, Qualifier="1")
    assert (second["kind"], second["here"] != first["here"]) == ("provisioned-concurrency", True)
    caller.client.delete_function(FunctionName=name)


def test_provisioned__code_that_can_not_start_fails_it(caller: Caller, client: Callable[..., Any]) -> None:
    name = caller.make("raise RuntimeError('not today')\n", Publish=True)
    caller.client.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    failed = eventually(lambda: (found := config(caller, name, "1"))["Status"] == "FAILED" and found)
    assert failed["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert failed["AllocatedProvisionedConcurrentExecutions"] == 0

    def said() -> bool:
        events = client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        text = "".join(event["message"] for event in events)
        return "not today" in text and "INIT_REPORT" in text and "Phase: init\tStatus: error" in text

    def logged() -> bool:
        try:
            return said()
        except ClientError:
            return False

    eventually(logged)
    caller.client.delete_function(FunctionName=name)


def test_provisioned__limits_and_errors(caller: Caller, published: str) -> None:
    put = caller.client.put_provisioned_concurrency_config

    def refused(code: str, qualifier: str, count: int) -> str:
        with pytest.raises(ClientError) as error:
            put(FunctionName=published, Qualifier=qualifier, ProvisionedConcurrentExecutions=count)
        assert error.value.response["Error"]["Code"] == code
        return str(error.value.response["Error"]["Message"])

    assert refused("InvalidParameterValueException", "$LATEST", 1) == (
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    )
    assert refused("ResourceNotFoundException", "7", 1).startswith("Function not found")
    assert "is greater than account's unreserved concurrency [16]" in refused("InvalidParameterValueException", "1", 17)
    assert "below its minimum value of [1]" in refused("InvalidParameterValueException", "1", 16)
    caller.client.put_function_concurrency(FunctionName=published, ReservedConcurrentExecutions=2)
    assert refused("InvalidParameterValueException", "1", 3) == (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )
    caller.client.create_alias(FunctionName=published, Name="live", FunctionVersion="1")
    provision(caller, published, "live", 2)
    assert refused("ResourceConflictException", "1", 1) == "Version is pointed by a Provisioned Concurrency alias"
    with pytest.raises(ClientError, match="should not be lower than function's total provisioned concurrency"):
        caller.client.put_function_concurrency(FunctionName=published, ReservedConcurrentExecutions=1)
    # All that is reserved is provisioned: nothing is left for $LATEST.
    with pytest.raises(ClientError) as error:
        caller.call(published)
    assert error.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert caller.call(published, Qualifier="live")["kind"] == "provisioned-concurrency"


def test_provisioned__metrics_and_the_bill(
    caller: Caller, published: str, client: Callable[..., Any], server: HeadraceServer
) -> None:
    provision(caller, published, "1", 1)
    caller.call(published, Qualifier="1")
    thread = threading.Thread(target=lambda: caller.call(published, {"wait": 1.0}, Qualifier="1"))
    thread.start()
    eventually(lambda: config(caller, published, "1")["AvailableProvisionedConcurrentExecutions"] == 0)
    assert caller.call(published, Qualifier="1")["kind"] == "on-demand"
    thread.join()
    now = server.page("/_headrace/clock")["now"]
    dimensions = [{"Name": "FunctionName", "Value": published}, {"Name": "Resource", "Value": f"{published}:1"}]

    def total(metric: str, statistic: str) -> float:
        points = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=metric, Dimensions=dimensions, StartTime=now - 600, EndTime=now + 600,
            Period=3600, Statistics=[statistic],
        )["Datapoints"]  # fmt: skip
        return float(sum(point[statistic] for point in points))

    eventually(lambda: total("ProvisionedConcurrencyInvocations", "Sum") == 2)
    assert total("ProvisionedConcurrencySpilloverInvocations", "Sum") == 1
    assert total("ProvisionedConcurrencyUtilization", "Maximum") == 1

    def used() -> dict[str, Any]:
        rows = server.page("/_headrace/lambda/usage")["functions"]
        return next(row for row in rows if row["function"] == published and row["account"] == caller.role.split(":")[4])

    row = eventually(lambda: (found := used())["provisioned_seconds"] and found)
    # One environment is paid for in pieces of five minutes.
    assert row["provisioned_seconds"] == 300
    assert row["provisioned_billed_ms"] >= 1000
    assert row["requests"] == 3
    server.advance(301)
    eventually(lambda: used()["provisioned_seconds"] == 600)
    kept = {
        **os.environ, "HEADRACE_PORT": str(server.port), "HEADRACE_DATA": str(server.data),
        "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
    }  # fmt: skip
    command = [sys.executable, "-m", "headrace.cli.main", "bill"]
    shown = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(rf"{published} .*\n  of that, provisioned +150\.0 GiB s ", shown), shown


def test_provisioned__is_there_again_after_a_kill(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = HeadraceServer(tmp_path_factory.mktemp("provisioned") / "data").start()
    try:
        account = "000000000000"
        server.client("iam").create_role(
            RoleName="r",
            AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": '
            '{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}',
        )
        caller = Caller(server.client("lambda"), f"arn:aws:iam::{account}:role/r")
        name = caller.make(CODE, Publish=True)
        provision(caller, name, "1", 2)
        server.kill()
        server.start()
        eventually(lambda: config(caller, name, "1")["Status"] == "READY")
        assert config(caller, name, "1")["AvailableProvisionedConcurrentExecutions"] == 2
        assert caller.call(name, Qualifier="1")["kind"] == "provisioned-concurrency"
    finally:
        server.stop()
