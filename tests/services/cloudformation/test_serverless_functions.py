"""SAM's functions with an alias, provisioned concurrency and a URL."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from conftest import HeadraceServer, eventually

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Kept: {Type: Number}}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: index.handler
      InlineCode: |
        import os
        def handler(event, context):
            return ["ANSWER", os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
      AutoPublishAlias: live
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: !Ref Kept}
      FunctionUrlConfig: {AuthType: NONE, Cors: {AllowOrigins: ['https://a.example']}}
Outputs:
  Name: {Value: !Ref Function}
  Url: {Value: !GetAtt FunctionUrl.FunctionUrl}
"""


def deploy(client: Callable[..., Any], how: str, kept: str, answer: str) -> dict[str, str]:
    """Make or change the stack, and wait; its outputs."""
    given = [{"ParameterKey": "Kept", "ParameterValue": kept}]
    text = TEMPLATE.replace("ANSWER", answer)
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    getattr(client("cloudformation"), how)(StackName="s", TemplateBody=text, Parameters=given, Capabilities=capabilities)

    def done() -> Any:
        (stack,) = client("cloudformation").describe_stacks(StackName="s")["Stacks"]
        assert "ROLLBACK" not in stack["StackStatus"], client("cloudformation").describe_stack_events(StackName="s")
        return stack if stack["StackStatus"].endswith("_COMPLETE") else None

    return {output["OutputKey"]: output["OutputValue"] for output in eventually(done, 60)["Outputs"]}


def test_serverless__alias_provisioned_and_url(client: Callable[..., Any], server: HeadraceServer) -> None:
    outputs = deploy(client, "create_stack", "1", "one")
    name, functions = outputs["Name"], client("lambda")

    def kept() -> tuple[str, int]:
        found = functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
        return found["Status"], found["AllocatedProvisionedConcurrentExecutions"]

    def ask() -> Any:
        url_id = (urlsplit(outputs["Url"]).hostname or "").partition(".")[0]
        with urllib.request.urlopen(f"{server.url}/_function-url/{url_id}/", timeout=20) as answer:
            return json.load(answer)

    # The stack was complete when the environments were there, not before.
    assert kept() == ("READY", 1)
    assert ask() == ["one", "provisioned-concurrency"]
    assert deploy(client, "update_stack", "2", "two")["Url"] == outputs["Url"]
    assert kept() == ("READY", 2)
    assert functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "2"
    assert ask() == ["two", "provisioned-concurrency"]
    cors = functions.get_function_url_config(FunctionName=name, Qualifier="live")["Cors"]
    assert cors == {"AllowOrigins": ["https://a.example"]}
    client("cloudformation").delete_stack(StackName="s")
    eventually(lambda: name not in [one["FunctionName"] for one in functions.list_functions()["Functions"]])
