"""Calling functions through boto3."""

import base64
import json
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

Caller = Any
ECHO = "def handler(event, context):\n    return event\n"


def test_invoke__answers(caller: Caller) -> None:
    name = caller.make(ECHO)
    answer = caller.client.invoke(FunctionName=name, Payload=b'{"a": "\xc3\xa4"}')
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {"a": "ä"}


def test_invoke__by_arn_and_without_an_event(caller: Caller) -> None:
    arn = caller.client.get_function(FunctionName=caller.make(ECHO))["Configuration"]["FunctionArn"]
    assert json.loads(caller.client.invoke(FunctionName=arn)["Payload"].read()) == {}


def test_invoke__error_and_log_tail(caller: Caller) -> None:
    name = caller.make("def handler(e, c):\n    print('looking')\n    raise LookupError('no account')\n")
    answer = caller.client.invoke(FunctionName=name, LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    payload = json.loads(answer["Payload"].read())
    assert (payload["errorType"], payload["errorMessage"]) == ("LookupError", "no account")
    log = base64.b64decode(answer["LogResult"]).decode()
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert f"START RequestId: {request_id} Version: $LATEST\nlooking\n[ERROR] LookupError: no account" in log
    assert f"\nREPORT RequestId: {request_id}\tDuration: " in log


def test_invoke__timeout(caller: Caller) -> None:
    name = caller.make("import time\ndef handler(e, c):\n    time.sleep(9)\n", Timeout=1)
    answer = caller.client.invoke(FunctionName=name)
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read()) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {answer['ResponseMetadata']['RequestId']} Error: Task timed out after 1.00 seconds",
    }


def test_invoke__environment_is_as_on_aws(caller: Caller, account: str) -> None:
    name = caller.make(
        "import os\ndef handler(e, c):\n    return [dict(os.environ), c.function_name, c.memory_limit_in_mb, c.log_group_name]\n",
        MemorySize=256,
        Environment={"Variables": {"MINE": "1"}},
    )
    variables, function, memory, group = caller.call(name)
    assert (function, memory, group) == (name, "256", f"/aws/lambda/{name}")
    expected = {
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "_HANDLER": "app.handler",
        "TZ": ":UTC",
        "MINE": "1",
    }
    assert {key: variables[key] for key in expected} == expected
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_invoke__not_json(caller: Caller) -> None:
    name = caller.make(ECHO)
    with pytest.raises(ClientError) as error:
        caller.client.invoke(FunctionName=name, Payload=b"{no")
    assert error.value.response["Error"]["Code"] == "InvalidRequestContentException"
    assert error.value.response["Error"]["Message"].startswith("Could not parse request body into json: ")


def test_invoke__dry_run(caller: Caller) -> None:
    assert caller.client.invoke(FunctionName=caller.make(ECHO), InvocationType="DryRun")["StatusCode"] == 204


def test_invoke__client_context(caller: Caller) -> None:
    name = caller.make("def handler(e, c):\n    return c.client_context.custom\n")
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    assert caller.call(name, ClientContext=context) == {"k": "v"}


def test_invoke__large_payloads(caller: Caller) -> None:
    name = caller.make("def handler(e, c):\n    return e\n", MemorySize=512)
    text = "z" * (6 * 1024 * 1024 - 10)
    assert caller.call(name, text) == text
    with pytest.raises(ClientError) as error:
        caller.client.invoke(FunctionName=name, Payload=json.dumps("z" * 6 * 1024 * 1024).encode())
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_invoke__reserved_concurrency_throttles(caller: Caller) -> None:
    name = caller.make("import time\ndef handler(e, c):\n    time.sleep(e)\n", Timeout=10)
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as error:
        caller.call(name, 0)
    assert error.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert error.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    assert caller.client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 1
    running = threading.Thread(target=lambda: caller.call(name, 2))
    running.start()
    time.sleep(0.7)
    with pytest.raises(ClientError, match="Rate Exceeded"):
        caller.call(name, 0)
    running.join()
    caller.client.delete_function_concurrency(FunctionName=name)
    assert caller.client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions") is None
    assert caller.call(name, 0) is None


def test_invoke__secrets_and_data_of_the_server_are_out_of_reach(caller: Caller, server: Any) -> None:
    name = caller.make(
        "import os\ndef handler(e, c):\n"
        "    found = []\n"
        "    for path in e:\n"
        "        try:\n            found.append(os.listdir(path))\n"
        "        except OSError as error:\n            found.append(error.errno)\n"
        "    return found\n"
    )
    assert set(caller.call(name, [str(server.data), str(server.data / "store"), "/home"])) <= {2, 13}


def test_get_account_settings(caller: Caller) -> None:
    assert caller.client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"] == 16
