"""Recursion, runtime updates, code signing, and who may use a layer: kept and shown."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

Caller = Any
ECHO = "def handler(e, c):\n    return e\n"
PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/p/abcdefghij"


def test_recursion_config(caller: Caller) -> None:
    name = caller.make(ECHO)
    assert caller.client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    caller.client.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
    assert caller.client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Allow"


def test_runtime_management_config(caller: Caller) -> None:
    name = caller.make(ECHO)
    assert caller.client.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"] == "Auto"
    version = "arn:aws:lambda:us-east-1::runtime:" + "0" * 64
    caller.client.put_runtime_management_config(FunctionName=name, UpdateRuntimeOn="Manual", RuntimeVersionArn=version)
    found = caller.client.get_runtime_management_config(FunctionName=name)
    assert (found["UpdateRuntimeOn"], found["RuntimeVersionArn"]) == ("Manual", version)
    assert found["FunctionArn"].endswith(f":{name}:$LATEST")
    with pytest.raises(ClientError, match="goes with the update mode Manual"):
        caller.client.put_runtime_management_config(FunctionName=name, UpdateRuntimeOn="Manual")


def test_code_signing_config__life(caller: Caller) -> None:
    publishers = {"SigningProfileVersionArns": [PROFILE]}
    with pytest.raises(ClientError, match="must be Warn"):
        caller.client.create_code_signing_config(
            AllowedPublishers=publishers, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"}
        )
    made = caller.client.create_code_signing_config(AllowedPublishers=publishers, Description="d")["CodeSigningConfig"]
    arn, name = made["CodeSigningConfigArn"], caller.make(ECHO)
    assert caller.client.get_function_code_signing_config(FunctionName=name)["CodeSigningConfigArn"] == ""
    caller.client.put_function_code_signing_config(CodeSigningConfigArn=arn, FunctionName=name)
    assert caller.client.get_function_code_signing_config(FunctionName=name)["CodeSigningConfigArn"] == arn
    (function,) = caller.client.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"]
    assert function.endswith(f":function:{name}")
    with pytest.raises(ClientError, match="attached to a function"):
        caller.client.delete_code_signing_config(CodeSigningConfigArn=arn)
    caller.client.delete_function(FunctionName=name)
    caller.client.update_code_signing_config(CodeSigningConfigArn=arn, Description="new")
    assert caller.client.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"]["Description"] == "new"
    caller.client.delete_code_signing_config(CodeSigningConfigArn=arn)
    with pytest.raises(ClientError, match="CodeSigningConfigNotFoundException"):
        caller.client.get_code_signing_config(CodeSigningConfigArn=arn)


def test_layer_permissions(caller: Caller, zipped: Any) -> None:
    layer = {"LayerName": "l", "VersionNumber": 1}
    caller.client.publish_layer_version(LayerName="l", Content={"ZipFile": zipped({"python/a.py": "A = 1"})})
    with pytest.raises(ClientError, match="No policy is associated"):
        caller.client.get_layer_version_policy(**layer)
    said = caller.client.add_layer_version_permission(
        **layer, StatementId="s", Action="lambda:GetLayerVersion", Principal="123456789012"
    )
    statement = json.loads(said["Statement"])
    assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    policy = json.loads(caller.client.get_layer_version_policy(**layer)["Policy"])
    assert policy["Statement"] == [statement]
    caller.client.remove_layer_version_permission(**layer, StatementId="s")
    with pytest.raises(ClientError, match="No policy is associated"):
        caller.client.get_layer_version_policy(**layer)
