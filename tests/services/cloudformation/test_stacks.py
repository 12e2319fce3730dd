"""Stacks on a real server, through boto3: made, changed, rolled back, removed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import eventually

Client = Callable[..., Any]

STREAM = """
Parameters:
  Hours: {Type: Number, Default: 24}
Resources:
  Stream:
    Type: AWS::Kinesis::Stream
    Properties: {ShardCount: 1, RetentionPeriodHours: !Ref Hours}
Outputs:
  Name: {Value: !Ref Stream}
  Arn: {Value: !GetAtt Stream.Arn, Description: where it is}
"""

SEVERAL = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: read
          PolicyDocument:
            Version: '2012-10-17'
            Statement: [{Effect: Allow, Action: 'kinesis:GetRecords', Resource: !GetAtt Stream.Arn}]
  Stream:
    Type: AWS::Kinesis::Stream
    Properties: {ShardCount: '2', Tags: [{Key: own, Value: !Ref AWS::StackName}]}
Outputs:
  RoleArn: {Value: !GetAtt Role.Arn, Export: {Name: !Sub '${AWS::StackName}-role'}}
"""


def settled(cloudformation: Any, name: str) -> dict[str, Any]:
    def look() -> Any:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return stack if not stack["StackStatus"].endswith("IN_PROGRESS") else None

    found: dict[str, Any] = eventually(look)
    return found


def make(cloudformation: Any, name: str, template: str, status: str = "CREATE_COMPLETE", **more: Any) -> dict[str, Any]:
    stack_id = cloudformation.create_stack(StackName=name, TemplateBody=template, **more)["StackId"]
    stack = settled(cloudformation, stack_id)
    assert stack["StackStatus"] == status, events(cloudformation, stack_id)
    return stack


def events(cloudformation: Any, name: str) -> list[tuple[str, str, str | None]]:
    found = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return [(e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason")) for e in reversed(found)]


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def physical(cloudformation: Any, name: str) -> dict[str, str]:
    found = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    return {item["LogicalResourceId"]: item.get("PhysicalResourceId", "") for item in found}


def test_create_stack__makes_resources_and_tells_of_them(client: Client, account: str) -> None:
    cloudformation = client("cloudformation")
    stack = make(cloudformation, "one", STREAM, Tags=[{"Key": "team", "Value": "x"}])
    name = outputs(stack)["Name"]
    assert name.startswith("one-Stream-")
    assert outputs(stack)["Arn"] == f"arn:aws:kinesis:us-east-1:{account}:stream/{name}"
    assert client("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["OpenShardCount"] == 1
    assert client("kinesis").list_tags_for_stream(StreamName=name)["Tags"] == [{"Key": "team", "Value": "x"}]
    assert events(cloudformation, "one") == [
        ("one", "CREATE_IN_PROGRESS", "User Initiated"),
        ("Stream", "CREATE_IN_PROGRESS", None),
        ("Stream", "CREATE_IN_PROGRESS", "Resource creation Initiated"),
        ("Stream", "CREATE_COMPLETE", None),
        ("one", "CREATE_COMPLETE", None),
    ]
    with pytest.raises(ClientError, match=r"AlreadyExistsException.*already exists"):
        cloudformation.create_stack(StackName="one", TemplateBody=STREAM)


def test_create_stack__references_capabilities_and_exports(client: Client, account: str) -> None:
    cloudformation = client("cloudformation")
    with pytest.raises(ClientError, match=r"InsufficientCapabilities.*Requires capabilities : \[CAPABILITY_IAM\]"):
        cloudformation.create_stack(StackName="several", TemplateBody=SEVERAL)
    make(cloudformation, "several", SEVERAL, Capabilities=["CAPABILITY_IAM"])
    names = physical(cloudformation, "several")
    policy = client("iam").get_role_policy(RoleName=names["Role"], PolicyName="read")["PolicyDocument"]
    assert policy["Statement"][0]["Resource"] == f"arn:aws:kinesis:us-east-1:{account}:stream/{names['Stream']}"
    exports = cloudformation.list_exports()["Exports"]
    assert [(export["Name"], export["Value"]) for export in exports] == [
        ("several-role", f"arn:aws:iam::{account}:role/{names['Role']}")
    ]
    user = "Resources: {S: {Type: AWS::Kinesis::Stream, Properties: {Tags: [{Key: r, Value: !ImportValue several-role}]}}}"
    make(cloudformation, "user", user)
    assert cloudformation.list_imports(ExportName="several-role")["Imports"] == ["user"]
    cloudformation.delete_stack(StackName="several")
    stack = settled(cloudformation, "several")
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert stack["StackStatusReason"] == "Export several-role cannot be deleted as it is in use by user"
    for name in ("user", "several"):
        stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=name)
        assert settled(cloudformation, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert client("kinesis").list_streams()["StreamNames"] == []
    assert client("iam").list_roles()["Roles"] == []
    with pytest.raises(ClientError, match="Stack with id several does not exist"):
        cloudformation.describe_stacks(StackName="several")


def test_create_stack__rolls_back(client: Client) -> None:
    client("kinesis").create_stream(StreamName="taken", ShardCount=1)
    template = """
Resources:
  Good: {Type: AWS::Kinesis::Stream}
  Bad: {Type: AWS::Kinesis::Stream, Properties: {Name: taken}, DependsOn: Good}
"""
    cloudformation = client("cloudformation")
    stack = make(cloudformation, "back", template, "ROLLBACK_COMPLETE")
    reason = "taken already exists in stack or account (HandlerErrorCode: AlreadyExists)"
    assert ("Bad", "CREATE_FAILED", reason) in events(cloudformation, "back")
    assert ("Good", "DELETE_COMPLETE", None) in events(cloudformation, "back")
    assert client("kinesis").list_streams()["StreamNames"] == ["taken"]
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        cloudformation.update_stack(StackName="back", TemplateBody=STREAM)
    kept = make(cloudformation, "kept", template, "CREATE_FAILED", OnFailure="DO_NOTHING")
    assert len(client("kinesis").list_streams()["StreamNames"]) == 2
    assert kept["StackStatusReason"] == "The following resource(s) failed to create: [Bad]."
    gone = make(cloudformation, "gone", template, "DELETE_COMPLETE", OnFailure="DELETE")
    assert gone["StackId"] != stack["StackId"]


def test_create_stack__export_that_is_not_there(client: Client) -> None:
    cloudformation = client("cloudformation")
    template = "Resources: {A: {Type: AWS::Kinesis::Stream, Properties: {Name: !ImportValue nope}}}"
    make(cloudformation, "import", template, "ROLLBACK_COMPLETE")
    assert ("A", "CREATE_FAILED", "No export named nope found.") in events(cloudformation, "import")


def test_update_stack__in_place_replaced_removed(client: Client) -> None:
    cloudformation, kinesis = client("cloudformation"), client("kinesis")
    make(cloudformation, "up", STREAM)
    name = physical(cloudformation, "up")["Stream"]
    with pytest.raises(ClientError, match=r"No updates are to be performed\."):
        cloudformation.update_stack(StackName="up", UsePreviousTemplate=True)
    cloudformation.update_stack(
        StackName="up", UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Hours", "ParameterValue": "48"}]
    )
    assert settled(cloudformation, "up")["StackStatus"] == "UPDATE_COMPLETE"
    assert physical(cloudformation, "up")["Stream"] == name
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert summary["RetentionPeriodHours"] == 48
    replaced = STREAM.replace("{ShardCount: 1,", "{Name: other, ShardCount: 1,") + "  Extra: {Value: '1'}\n"
    cloudformation.update_stack(
        StackName="up", TemplateBody=replaced, Parameters=[{"ParameterKey": "Hours", "UsePreviousValue": True}]
    )
    stack = settled(cloudformation, "up")
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert outputs(stack)["Name"] == "other"
    assert outputs(stack)["Extra"] == "1"
    assert kinesis.list_streams()["StreamNames"] == ["other"]
    two = "Resources: {Another: {Type: AWS::Kinesis::Stream, Properties: {Name: another}}}"
    cloudformation.update_stack(StackName="up", TemplateBody=two)
    assert settled(cloudformation, "up")["StackStatus"] == "UPDATE_COMPLETE"
    assert kinesis.list_streams()["StreamNames"] == ["another"]
    assert physical(cloudformation, "up") == {"Another": "another"}


def test_update_stack__rolls_back_to_what_was(client: Client) -> None:
    cloudformation, kinesis = client("cloudformation"), client("kinesis")
    kinesis.create_stream(StreamName="taken", ShardCount=1)
    make(cloudformation, "undo", STREAM)
    name = physical(cloudformation, "undo")["Stream"]
    bad = (
        STREAM.replace("!Ref Hours", "72").replace("Outputs:", "  New: {Type: AWS::Kinesis::Stream, DependsOn: Stream}\nOutputs:")
        .replace("Outputs:", "  Bad: {Type: AWS::Kinesis::Stream, Properties: {Name: taken}, DependsOn: New}\nOutputs:")
    )  # fmt: skip
    cloudformation.update_stack(StackName="undo", TemplateBody=bad)
    assert settled(cloudformation, "undo")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", events(cloudformation, "undo")
    assert kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["RetentionPeriodHours"] == 24
    assert sorted(kinesis.list_streams()["StreamNames"]) == sorted([name, "taken"])
    assert physical(cloudformation, "undo") == {"Stream": name}
    assert "72" not in cloudformation.get_template(StackName="undo")["TemplateBody"]


def test_update_stack__left_as_it_failed_and_mended(client: Client) -> None:
    cloudformation, kinesis = client("cloudformation"), client("kinesis")
    kinesis.create_stream(StreamName="taken", ShardCount=1)
    make(cloudformation, "mend", STREAM)
    bad = STREAM.replace("{ShardCount: 1,", "{Name: taken, ShardCount: 1,")
    cloudformation.update_stack(StackName="mend", TemplateBody=bad, DisableRollback=True)
    assert settled(cloudformation, "mend")["StackStatus"] == "UPDATE_FAILED"
    wrong = STREAM.replace("{ShardCount: 1,", "{Name: odd, ShardCount: x,")
    cloudformation.update_stack(StackName="mend", TemplateBody=wrong, DisableRollback=True)
    assert settled(cloudformation, "mend")["StackStatus"] == "UPDATE_FAILED"
    good = STREAM.replace("{ShardCount: 1,", "{Name: good, ShardCount: 1,")
    cloudformation.update_stack(StackName="mend", TemplateBody=good)
    assert settled(cloudformation, "mend")["StackStatus"] == "UPDATE_COMPLETE", events(cloudformation, "mend")
    assert sorted(kinesis.list_streams()["StreamNames"]) == ["good", "taken"]
    assert physical(cloudformation, "mend") == {"Stream": "good"}


def test_change_sets(client: Client) -> None:
    cloudformation = client("cloudformation")
    made = cloudformation.create_change_set(
        StackName="set", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=STREAM,
        Parameters=[{"ParameterKey": "Hours", "ParameterValue": "30"}],
    )  # fmt: skip
    assert cloudformation.describe_stacks(StackName="set")["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    found = cloudformation.describe_change_set(ChangeSetName=made["Id"])
    assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert [(c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"]) for c in found["Changes"]] == [
        ("Add", "Stream")
    ]
    cloudformation.execute_change_set(ChangeSetName="first", StackName="set")
    assert settled(cloudformation, "set")["StackStatus"] == "CREATE_COMPLETE"
    cloudformation.create_change_set(
        StackName="set", ChangeSetName="none", UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Hours", "UsePreviousValue": True}],
    )  # fmt: skip
    found = cloudformation.describe_change_set(ChangeSetName="none", StackName="set")
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert found["StatusReason"] == (
        "The submitted information didn't contain changes. Submit different information to create a change set."
    )
    with pytest.raises(ClientError, match="InvalidChangeSetStatus"):
        cloudformation.execute_change_set(ChangeSetName="none", StackName="set")
    changed = STREAM.replace("{ShardCount: 1,", "{Name: fixed, ShardCount: 1,")
    cloudformation.create_change_set(StackName="set", ChangeSetName="second", TemplateBody=changed)
    change = cloudformation.describe_change_set(ChangeSetName="second", StackName="set")["Changes"][0]["ResourceChange"]
    assert (change["Action"], change["Replacement"]) == ("Modify", "True")
    assert {d["Target"]["Name"] for d in change["Details"]} == {"Name", "RetentionPeriodHours"}
    cloudformation.execute_change_set(ChangeSetName="second", StackName="set")
    assert settled(cloudformation, "set")["StackStatus"] == "UPDATE_COMPLETE"
    names = [s["ChangeSetName"] for s in cloudformation.list_change_sets(StackName="set")["Summaries"]]
    assert names == ["second"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Resources: {A: {Type: AWS::EC2::Instance}}", "Unrecognized resource types: [AWS::EC2::Instance]"),
        ("Resources: {A: {Type: AWS::Kinesis::Stream, Properties: {Foo: 1}}}", "extraneous key [Foo] is not permitted"),
        ("Resources: {A: {Type: AWS::Kinesis::Stream}}\nOutputs: {O: {Value: !GetAtt A.Foo}}",
         "Template error: resource A does not support attribute type Foo in Fn::GetAtt"),
        ("Resources: {A: {Type: AWS::Kinesis::Stream, DependsOn: A}}", "Circular dependency between resources: [A]"),
        ("Transform: AWS::Other\nResources: {A: {Type: AWS::Kinesis::Stream}}", "No transform named AWS::Other found."),
        ("x" * 51_201, "Member must have length less than or equal to 51200"),
    ],
)  # fmt: skip
def test_create_stack__refuses(client: Client, template: str, message: str) -> None:
    cloudformation = client("cloudformation")
    with pytest.raises(ClientError) as raised:
        cloudformation.create_stack(StackName="bad", TemplateBody=template)
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    assert message in raised.value.response["Error"]["Message"]
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.describe_stacks(StackName="bad")


def test_parameters__no_echo_and_deletion_policy(client: Client) -> None:
    template = """
Parameters: {Secret: {Type: String, NoEcho: true}}
Resources:
  Kept: {Type: AWS::Kinesis::Stream, DeletionPolicy: Retain, Properties: {Tags: [{Key: s, Value: !Ref Secret}]}}
  Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
"""
    cloudformation = client("cloudformation")
    stack = make(cloudformation, "echo", template, Parameters=[{"ParameterKey": "Secret", "ParameterValue": "hidden"}])
    assert stack["Parameters"] == [{"ParameterKey": "Secret", "ParameterValue": "****"}]
    name = physical(cloudformation, "echo")["Kept"]
    cloudformation.delete_stack(StackName="echo")
    assert settled(cloudformation, stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert ("Kept", "DELETE_SKIPPED", None) in events(cloudformation, stack["StackId"])
    assert client("kinesis").list_streams()["StreamNames"] == [name]


def test_termination_protection_policy_and_lists(client: Client) -> None:
    cloudformation = client("cloudformation")
    make(cloudformation, "safe", STREAM, EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cloudformation.delete_stack(StackName="safe")
    cloudformation.update_termination_protection(StackName="safe", EnableTerminationProtection=False)
    cloudformation.set_stack_policy(StackName="safe", StackPolicyBody='{"Statement": []}')
    assert cloudformation.get_stack_policy(StackName="safe")["StackPolicyBody"] == '{"Statement": []}'
    assert [s["StackName"] for s in cloudformation.list_stacks()["StackSummaries"]] == ["safe"]
    resource = cloudformation.describe_stack_resource(StackName="safe", LogicalResourceId="Stream")["StackResourceDetail"]
    assert resource["ResourceStatus"] == "CREATE_COMPLETE"
    assert len(cloudformation.list_stack_resources(StackName="safe")["StackResourceSummaries"]) == 1
    found = cloudformation.describe_stack_resources(PhysicalResourceId=resource["PhysicalResourceId"])
    assert found["StackResources"][0]["StackName"] == "safe"
    cloudformation.delete_stack(StackName="never-there")


def test_validate_and_summary(client: Client) -> None:
    cloudformation = client("cloudformation")
    found = cloudformation.validate_template(TemplateBody=SEVERAL)
    assert found["Capabilities"] == ["CAPABILITY_IAM"]
    assert found["CapabilitiesReason"] == "The following resource(s) require capabilities: [AWS::IAM::Role]"
    summary = cloudformation.get_template_summary(TemplateBody=STREAM)
    assert summary["ResourceTypes"] == ["AWS::Kinesis::Stream"]
    assert summary["Parameters"][0]["ParameterKey"] == "Hours"
    as_json = json.dumps({"Resources": {"A": {"Type": "AWS::Kinesis::Stream"}}})
    assert cloudformation.validate_template(TemplateBody=as_json)["Parameters"] == []
