"""Layers of templates: a change publishes another version, functions turn to it, and policies say what becomes of the old one."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from conftest import eventually

Client = Callable[..., Any]

ROLE = """
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
"""
FUNCTION = """
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.11
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Layers: [!Ref Layer]
      Code: {ZipFile: "import said\\ndef handler(event, context):\\n    return said.WORD\\n"}
Outputs:
  Function: {Value: !Ref Function}
  Layer: {Value: !Ref Layer}
"""
PLAIN = """
  Layer:
    Type: AWS::Lambda::LayerVersion
    POLICY
    Properties:
      NAME
      Description: says KEY
      CompatibleRuntimes: [python3.11]
      Content: {S3Bucket: BUCKET, S3Key: KEY.zip}
  Permission:
    Type: AWS::Lambda::LayerVersionPermission
    Properties: {LayerVersionArn: !Ref Layer, Action: lambda:GetLayerVersion, Principal: "123456789012"}
"""
SERVERLESS = """
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties:
      LayerName: words
      CompatibleRuntimes: [python3.11]
      ContentUri: s3://BUCKET/KEY.zip
      POLICY
"""


class Stack:
    """A stack with a layer whose content is the key's."""

    def __init__(self, client: Client, account: str) -> None:
        self.cloudformation, self.functions, self.bucket = client("cloudformation"), client("lambda"), f"layers-{account}"
        s3 = client("s3")
        s3.create_bucket(Bucket=self.bucket)
        for word in ("one", "two"):
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr("python/said.py", f"WORD = {word!r}\n")
            s3.put_object(Bucket=self.bucket, Key=f"{word}.zip", Body=packed.getvalue())

    def deploy(self, how: str, layer: str, **changes: str) -> str:
        """The ARN of the layer's version."""
        head = "Transform: AWS::Serverless-2016-10-31\n" if layer is SERVERLESS else ""
        text = f"{head}Resources:{ROLE}{layer}{FUNCTION}"
        for name, value in {"BUCKET": self.bucket, "POLICY": "", "NAME": "", **changes}.items():
            text = text.replace(name, value)
        capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        getattr(self.cloudformation, how)(StackName="s", TemplateBody=text, Capabilities=capabilities)
        self.settle()
        (stack,) = self.cloudformation.describe_stacks(StackName="s")["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.function = outputs["Function"]
        return outputs["Layer"]

    def settle(self) -> None:
        def look() -> Any:
            (stack,) = self.cloudformation.describe_stacks(StackName="s")["Stacks"]
            failed = [e for e in self.cloudformation.describe_stack_events(StackName="s")["StackEvents"] if "FAILED" in str(e)]
            assert "ROLLBACK" not in stack["StackStatus"], failed
            return stack["StackStatus"].endswith("_COMPLETE")

        eventually(look, 60)

    def word(self) -> str:
        """What the function finds in its layer."""
        return str(json.loads(self.functions.invoke(FunctionName=self.function)["Payload"].read()))

    def versions(self, layer: str) -> list[int]:
        return [one["Version"] for one in self.functions.list_layer_versions(LayerName=layer)["LayerVersions"]]

    def delete(self) -> None:
        stack_id = self.cloudformation.describe_stacks(StackName="s")["Stacks"][0]["StackId"]
        self.cloudformation.delete_stack(StackName="s")
        eventually(
            lambda: self.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE", 60
        )


@pytest.fixture
def stack(client: Client, account: str) -> Stack:
    """Nothing is deployed yet; the packages are in their bucket."""
    return Stack(client, account)


@pytest.mark.parametrize("name", ["", "LayerName: words"])
def test_layer__change_publishes_another_version_and_removes_the_old_one(stack: Stack, account: str, name: str) -> None:
    first = stack.deploy("create_stack", PLAIN, KEY="one", NAME=name)
    layer = "words" if name else "s-Layer"
    assert first == f"arn:aws:lambda:us-east-1:{account}:layer:{layer}:1"
    assert stack.word() == "one"
    shown = stack.functions.get_layer_version_by_arn(Arn=first)
    assert (shown["Description"], shown["CompatibleRuntimes"]) == ("says one", ["python3.11"])
    policy = json.loads(stack.functions.get_layer_version_policy(LayerName=layer, VersionNumber=1)["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    second = stack.deploy("update_stack", PLAIN, KEY="two", NAME=name)
    assert second == f"arn:aws:lambda:us-east-1:{account}:layer:{layer}:2"
    assert stack.word() == "two"
    assert eventually(lambda: stack.versions(layer) == [2])
    stack.delete()
    assert stack.versions(layer) == []


def test_layer__policies_retain_its_versions(stack: Stack) -> None:
    kept = "DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain"
    stack.deploy("create_stack", PLAIN, KEY="one", NAME="LayerName: words", POLICY=kept)
    stack.deploy("update_stack", PLAIN, KEY="two", NAME="LayerName: words", POLICY=kept)
    assert stack.versions("words") == [2, 1]
    stack.delete()
    assert stack.versions("words") == [2, 1]


@pytest.mark.parametrize(("policy", "left", "after"), [("", [2, 1], [2, 1]), ("RetentionPolicy: Delete", [2], [])])
def test_serverless_layer__retention_policy(stack: Stack, policy: str, left: list[int], after: list[int]) -> None:
    # AWS's transform names the resource after its content, so that a change makes another one; Retain is what it says by itself.
    stack.deploy("create_stack", SERVERLESS, KEY="one", POLICY=policy)
    assert stack.word() == "one"
    stack.deploy("update_stack", SERVERLESS, KEY="two", POLICY=policy)
    assert stack.word() == "two"
    assert eventually(lambda: stack.versions("words") == left)
    stack.delete()
    assert stack.versions("words") == after
