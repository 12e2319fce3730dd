"""Layers that other accounts may use, as their policies say."""

import io
import json
import urllib.request
import zipfile
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.gateway.callers import Make, Service, document, refused, statement

from conftest import REGION, HeadraceServer

TRUST = document({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
USING = "import shared\ndef handler(event, context):\n    return shared.WORD\n"


def packed(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as package:
        for name, text in files.items():
            package.writestr(name, text)
    return data.getvalue()


@pytest.fixture
def layer(client: Service) -> str:
    """The ARN of a version of a layer of the account."""
    code = {"ZipFile": packed({"python/shared.py": "WORD = 'from a layer'"})}
    return str(client("lambda").publish_layer_version(LayerName="shared", Content=code)["LayerVersionArn"])


def test_layer__is_used_by_functions_of_another_account(
    client: Service, server: HeadraceServer, other: str, user: Callable[..., Make], layer: str
) -> None:
    owner, root = client("lambda"), server.client("lambda", other)
    ann = user(other, statement("lambda:*"), statement("iam:PassRole"))("lambda")
    bob = bob_with(server, other, statement("lambda:CreateFunction"), statement("iam:PassRole"))
    role = server.client("iam", other).create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    named = {"LayerName": layer.rpartition(":")[0], "VersionNumber": 1}

    def make(caller: Any, name: str) -> Any:
        return caller.create_function(
            FunctionName=name, Role=role, Runtime="python3.13", Handler="app.handler", Layers=[layer],
            Code={"ZipFile": packed({"app.py": USING})},
        )  # fmt: skip

    for caller in (root, ann):
        said = refused(caller.get_layer_version, **named)
        assert said.endswith("because no resource-based policy allows the lambda:GetLayerVersion action")
        assert f"on resource: {layer}" in said
        refused(caller.get_layer_version_by_arn, Arn=layer)
        refused(make, caller=caller, name="using")
    first = owner.add_layer_version_permission(
        LayerName="shared", VersionNumber=1, StatementId="theirs", Action="lambda:GetLayerVersion", Principal=other
    )
    assert json.loads(first["Statement"])["Principal"] == {"AWS": f"arn:aws:iam::{other}:root"}
    for caller in (root, ann):
        found = caller.get_layer_version(**named)
        assert (found["LayerVersionArn"], caller.get_layer_version_by_arn(Arn=layer)["Version"]) == (layer, 1)
        with urllib.request.urlopen(found["Content"]["Location"]) as package:
            assert zipfile.ZipFile(io.BytesIO(package.read())).namelist() == ["python/shared.py"]
    refused(make, caller=bob, name="using")
    made = make(ann, "using")
    assert made["Layers"][0]["Arn"] == layer
    assert json.loads(root.invoke(FunctionName="using")["Payload"].read()) == "from a layer"
    # What is not lent stays the owner's alone, and is not taken for a layer of the caller's with that name.
    for call in (root.delete_layer_version, root.get_layer_version_policy):
        with pytest.raises(ClientError):
            call(**named)
    assert owner.get_layer_version(LayerName="shared", VersionNumber=1)["Version"] == 1

    with pytest.raises(ClientError, match="PreconditionFailed"):
        owner.remove_layer_version_permission(
            LayerName="shared", VersionNumber=1, StatementId="theirs", RevisionId="00000000-0000-0000-0000-000000000000"
        )
    owner.remove_layer_version_permission(
        LayerName="shared", VersionNumber=1, StatementId="theirs", RevisionId=first["RevisionId"]
    )
    refused(root.get_layer_version, **named)
    refused(make, caller=root, name="another")
    assert json.loads(root.invoke(FunctionName="using")["Payload"].read()) == "from a layer", "what has it keeps it"


def bob_with(server: HeadraceServer, account: str, *statements: dict[str, object]) -> Any:
    """Lambda as one more user of an account sees it."""
    iam = server.client("iam", account)
    iam.create_user(UserName="bob")
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document(*statements))
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    return boto3.client(
        "lambda", endpoint_url=server.url, region_name=REGION, aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"], config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip
