"""Functions through boto3: made, changed, versioned, removed."""

import base64
import hashlib
import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Caller = Any
ECHO = "def handler(event, context):\n    return event\n"


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_create_function__says_what_it_made(caller: Caller, account: str, zipped: Callable[..., bytes]) -> None:
    package = zipped({"app.py": ECHO})
    made = caller.client.create_function(
        FunctionName="one", Runtime="python3.11", Handler="app.handler", Role=caller.role, Code={"ZipFile": package},
        Timeout=9, MemorySize=256, Description="d", Environment={"Variables": {"AB": "b"}}, Tags={"t": "u"},
    )  # fmt: skip
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:one"
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(package).digest()).decode()
    assert made["CodeSize"] == len(package)
    assert (made["Timeout"], made["MemorySize"], made["Version"], made["State"]) == (9, 256, "$LATEST", "Active")
    assert made["Environment"] == {"Variables": {"AB": "b"}}
    assert made["LoggingConfig"]["LogGroup"] == "/aws/lambda/one"
    got = caller.client.get_function(FunctionName="one")
    assert {**got["Configuration"], "ResponseMetadata": 0} == {**made, "ResponseMetadata": 0}
    assert got["Tags"] == {"t": "u"}
    with urllib.request.urlopen(got["Code"]["Location"]) as answer:
        assert zipfile.ZipFile(io.BytesIO(answer.read())).namelist() == ["app.py"]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(got["Code"]["Location"].replace("proof=", "proof=0"))
    caller.client.get_waiter("function_active_v2").wait(FunctionName="one")


def test_create_function__twice(caller: Caller) -> None:
    name = caller.make(ECHO)
    with pytest.raises(ClientError) as error:
        caller.make(ECHO, name)
    assert code_of(error) == ("ResourceConflictException", f"Function already exist: {name}")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Code": {"ZipFile": b"no zip"}}, "Could not unzip uploaded file. Please check your file, then try to upload again."),
        ({"Code": {}}, "Please provide a source for function code."),
        (
            {"Runtime": "ruby3.3"},
            "The runtime ruby3.3 is not supported: Headrace runs python3.x, nodejs, java and provided functions.",
        ),
        (
            {"Environment": {"Variables": {"AWS_REGION": "x"}}},
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            "contains reserved keys that are currently not supported for modification. "
            "Reserved keys used in this request: AWS_REGION",
        ),
    ],
)
def test_create_function__refuses(caller: Caller, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError) as error:
        caller.make(ECHO, **changes)
    assert code_of(error) == ("InvalidParameterValueException", message)


def test_create_function__environment_has_a_bound(caller: Caller) -> None:
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        caller.make(ECHO, Environment={"Variables": {"AB": "x" * 4096}})


@pytest.mark.parametrize("path", ["../evil.py", "/evil.py", "a/../../evil.py"])
def test_create_function__no_path_leads_out_of_the_package(caller: Caller, zipped: Callable[..., bytes], path: str) -> None:
    with pytest.raises(ClientError, match="a path that leads out of it"):
        caller.make(ECHO, Code={"ZipFile": zipped({"app.py": ECHO, path: "x"})})


def test_create_function__a_bomb_is_refused(caller: Caller, zipped: Callable[..., bytes]) -> None:
    with pytest.raises(ClientError, match="Unzipped size must be smaller than 262144000 bytes"):
        caller.make(ECHO, Code={"ZipFile": zipped({"app.py": ECHO, "zeros": bytes(262_144_001)})})


def test_get_function__unknown(caller: Caller, account: str) -> None:
    with pytest.raises(ClientError) as error:
        caller.client.get_function(FunctionName="none")
    assert code_of(error) == (
        "ResourceNotFoundException",
        f"Function not found: arn:aws:lambda:us-east-1:{account}:function:none",
    )


def test_update_function_code__next_call_runs_it(caller: Caller, zipped: Callable[..., bytes]) -> None:
    name = caller.make("def handler(e, c):\n    return 1\n")
    assert caller.call(name) == 1
    caller.client.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": "def handler(e, c):\n    return 2\n"}))
    assert caller.call(name) == 2


def test_update_function_configuration(caller: Caller) -> None:
    name = caller.make("import os\ndef handler(e, c):\n    return os.environ.get('XY')\n", Timeout=5, Description="old")
    assert caller.call(name) is None
    before = caller.client.get_function_configuration(FunctionName=name)
    changed = caller.client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"XY": "y"}}, MemorySize=512
    )
    assert (changed["MemorySize"], changed["Timeout"], changed["Description"]) == (512, 5, "old")
    assert changed["RevisionId"] != before["RevisionId"]
    assert caller.call(name) == "y"
    with pytest.raises(ClientError) as error:
        caller.client.update_function_configuration(FunctionName=name, Timeout=6, RevisionId=before["RevisionId"])
    assert code_of(error)[0] == "PreconditionFailedException"


def test_delete_function(caller: Caller) -> None:
    name = caller.make(ECHO)
    assert caller.call(name, 1) == 1
    caller.client.delete_function(FunctionName=name)
    with pytest.raises(ClientError, match="Function not found"):
        caller.call(name)
    assert caller.client.list_functions()["Functions"] == []


def test_list_functions__pages(caller: Caller) -> None:
    names = sorted(caller.make(ECHO, f"list-{number}") for number in range(5))
    pages = list(caller.client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Functions"]) for page in pages] == [2, 2, 1]
    assert [one["FunctionName"] for page in pages for one in page["Functions"]] == names


def test_publish_version__keeps_code_and_configuration(caller: Caller, zipped: Callable[..., bytes], account: str) -> None:
    body = "import os\ndef handler(e, c):\n    return [{n}, c.function_version, os.environ['AWS_LAMBDA_FUNCTION_VERSION']]\n"
    name = caller.make(body.format(n=1))
    first = caller.client.publish_version(FunctionName=name, Description="first")
    assert (first["Version"], first["Description"]) == ("1", "first")
    assert first["FunctionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:{name}:1"
    assert caller.client.publish_version(FunctionName=name)["Version"] == "1", "nothing has changed"
    caller.client.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": body.format(n=2)}), Publish=True)
    assert caller.call(name, Qualifier="1") == [1, "1", "1"]
    assert caller.call(f"{name}:2") == [2, "2", "2"]
    assert caller.call(name) == [2, "$LATEST", "$LATEST"]
    versions = caller.client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [one["Version"] for one in versions] == ["$LATEST", "1", "2"]
    caller.client.delete_function(FunctionName=name, Qualifier="1")
    with pytest.raises(ClientError, match="Function not found"):
        caller.call(name, Qualifier="1")


def test_aliases__name_versions_and_share_calls(caller: Caller, zipped: Callable[..., bytes], account: str) -> None:
    body = "def handler(e, c):\n    return [{n}, c.invoked_function_arn]\n"
    name = caller.make(body.format(n=1), Publish=True)
    made = caller.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert made["AliasArn"] == f"arn:aws:lambda:us-east-1:{account}:function:{name}:live"
    assert caller.call(name, Qualifier="live") == [1, made["AliasArn"]]
    caller.client.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": body.format(n=2)}), Publish=True)
    assert caller.call(name, Qualifier="live")[0] == 1
    caller.client.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert {caller.call(name, Qualifier="live")[0] for _ in range(60)} == {1, 2}
    caller.client.update_alias(
        FunctionName=name, Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}}
    )
    assert {caller.call(name, Qualifier="live")[0] for _ in range(10)} == {2}
    with pytest.raises(ClientError) as error:
        caller.client.delete_function(FunctionName=name, Qualifier="2")
    assert code_of(error)[0] == "ResourceConflictException"
    with pytest.raises(ClientError) as error:
        caller.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert code_of(error) == ("ResourceConflictException", f"Alias already exists: {made['AliasArn']}")
    assert [one["Name"] for one in caller.client.list_aliases(FunctionName=name)["Aliases"]] == ["live"]
    caller.client.delete_alias(FunctionName=name, Name="live")
    with pytest.raises(ClientError) as error:
        caller.client.get_alias(FunctionName=name, Name="live")
    assert code_of(error) == ("ResourceNotFoundException", f"Cannot find alias arn: {made['AliasArn']}")


def test_policy(caller: Caller, account: str) -> None:
    name = caller.make(ECHO)
    added = caller.client.add_permission(
        FunctionName=name, StatementId="s1", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com",
        SourceArn="arn:aws:sns:us-east-1:111122223333:t",
    )  # fmt: skip
    statement = {
        "Sid": "s1",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": f"arn:aws:lambda:us-east-1:{account}:function:{name}",
        "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:sns:us-east-1:111122223333:t"}},
    }
    assert json.loads(added["Statement"]) == statement
    assert json.loads(caller.client.get_policy(FunctionName=name)["Policy"])["Statement"] == [statement]
    with pytest.raises(ClientError) as error:
        caller.client.add_permission(FunctionName=name, StatementId="s1", Action="lambda:InvokeFunction", Principal="*")
    assert code_of(error)[0] == "ResourceConflictException"
    caller.client.remove_permission(FunctionName=name, StatementId="s1")
    with pytest.raises(ClientError) as error:
        caller.client.get_policy(FunctionName=name)
    assert code_of(error)[0] == "ResourceNotFoundException"


def test_tags(caller: Caller) -> None:
    arn = caller.client.get_function(FunctionName=caller.make(ECHO))["Configuration"]["FunctionArn"]
    caller.client.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    caller.client.untag_resource(Resource=arn, TagKeys=["a"])
    assert caller.client.list_tags(Resource=arn)["Tags"] == {"b": "2"}


def test_layers__lie_below_opt(caller: Caller, zipped: Callable[..., bytes], account: str) -> None:
    first = caller.client.publish_layer_version(
        LayerName="shared", Content={"ZipFile": zipped({"python/shared.py": "n = 1\n", "data.txt": "one"})}
    )
    second = caller.client.publish_layer_version(LayerName="over", Content={"ZipFile": zipped({"python/shared.py": "n = 2\n"})})
    assert first["LayerVersionArn"] == f"arn:aws:lambda:us-east-1:{account}:layer:shared:1"
    body = "import shared\ndef handler(e, c):\n    return [shared.n, open('/opt/data.txt').read()]\n"
    name = caller.make(body, Layers=[first["LayerVersionArn"], second["LayerVersionArn"]])
    assert caller.call(name) == [2, "one"]
    assert [one["Version"] for one in caller.client.list_layer_versions(LayerName="shared")["LayerVersions"]] == [1]
    assert {one["LayerName"] for one in caller.client.list_layers()["Layers"]} == {"shared", "over"}
    with pytest.raises(ClientError, match="does not exist"):
        caller.make(body, Layers=[f"arn:aws:lambda:us-east-1:{account}:layer:shared:9"])
