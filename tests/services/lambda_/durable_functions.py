"""Durable functions for tests: made with AWS's SDK inside, and looked at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_durable_execution_sdk_python as sdk

FOLDER = Path(sdk.__file__).parent
HEAD = """
import json, os
from aws_durable_execution_sdk_python import DurableContext, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, MapConfig, StepConfig
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy

"""
Zipped = Callable[[dict[str, str | bytes]], bytes]


def make(
    client: Callable[..., Any], zipped: Zipped, name: str, body: str, durable: dict[str, int] | None, **changes: Any
) -> None:
    files: dict[str, str | bytes] = {
        f"{FOLDER.name}/{path.relative_to(FOLDER)}": path.read_bytes() for path in FOLDER.rglob("*.py")
    }
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = f"{name}-role"
    iam = client("iam")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=json.dumps(everything))
    arguments: dict[str, Any] = {"Runtime": "python3.13", "Role": arn, "Handler": "app.handler", "Timeout": 20}
    if durable is not None:
        arguments["DurableConfig"] = durable
    code = {"ZipFile": zipped({**files, "app.py": HEAD + body})}
    client("lambda").create_function(FunctionName=name, Code=code, MemorySize=256, **arguments)


def status(client: Any, arn: str) -> str:
    return str(client.get_durable_execution(DurableExecutionArn=arn)["Status"])


def kinds(client: Any, arn: str) -> list[str]:
    return [event["EventType"] for event in client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]]
