"""A durable function in a template."""

import json
from collections.abc import Callable
from typing import Any

from conftest import eventually

TEMPLATE = {
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
                    ],
                }
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": "def handler(event, context):\n    return 1\n"},
                "DurableConfig": {"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7},
            },
        },
    },
    "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
}


def test_function__is_durable_as_its_template_says(client: Callable[..., Any]) -> None:
    stacks = client("cloudformation")
    stacks.create_stack(StackName="s", TemplateBody=json.dumps(TEMPLATE), Capabilities=["CAPABILITY_IAM"])

    def done() -> Any:
        (stack,) = stacks.describe_stacks(StackName="s")["Stacks"]
        assert "ROLLBACK" not in stack["StackStatus"], stacks.describe_stack_events(StackName="s")
        return stack if stack["StackStatus"] == "CREATE_COMPLETE" else None

    (output,) = eventually(done, 60)["Outputs"]
    found = client("lambda").get_function_configuration(FunctionName=output["OutputValue"])
    assert found["DurableConfig"] == {"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7}
