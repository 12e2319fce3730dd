"""Roles, users, policies and access keys, as boto3 sees them."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def policy(action="dynamodb:*", resource="*", effect="Allow"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]})


@pytest.fixture
def iam(client):
    return client("iam")


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return error["Message"]


def test_role__is_created_and_found(iam, account):
    made = iam.create_role(
        RoleName="runner",
        Path="/apps/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="runs",
        MaxSessionDuration=7200,
        Tags=[{"Key": "team", "Value": "bank"}],
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{account}:role/apps/runner"
    assert made["RoleId"].startswith("AROA")
    assert len(made["RoleId"]) == 21
    role = iam.get_role(RoleName="runner")["Role"]
    assert role["AssumeRolePolicyDocument"] == TRUST
    assert role["Description"] == "runs"
    assert role["MaxSessionDuration"] == 7200
    assert role["Tags"] == [{"Key": "team", "Value": "bank"}]
    assert role["CreateDate"] == made["CreateDate"]


def test_role__refusals(iam):
    assert refused("NoSuchEntity", iam.get_role, RoleName="nobody") == "The role with name nobody cannot be found."
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    message = refused("EntityAlreadyExists", iam.create_role, RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert message == "Role with name r already exists."
    refused("MalformedPolicyDocument", iam.create_role, RoleName="s", AssumeRolePolicyDocument=policy())
    refused("MalformedPolicyDocument", iam.create_role, RoleName="s", AssumeRolePolicyDocument="{")
    refused("NoSuchEntity", iam.get_role, RoleName="s")


def test_roles__are_listed_in_pages(iam):
    for name in "abcde":
        path = "/x/" if name in "bd" else "/"
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))
    pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
    assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/x/")["Roles"]] == ["b", "d"]


def test_role__changes(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.update_role(RoleName="r", Description="new", MaxSessionDuration=3600)
    changed = json.loads(json.dumps(TRUST).replace("lambda", "firehose"))
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=json.dumps(changed))
    role = iam.get_role(RoleName="r")["Role"]
    assert (role["Description"], role["AssumeRolePolicyDocument"]) == ("new", changed)
    iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName="r", TagKeys=["a"])
    assert iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "b", "Value": "2"}]


def test_role__policies_must_go_before_it(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=policy())
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["own"]
    assert iam.get_role_policy(RoleName="r", PolicyName="own")["PolicyDocument"] == json.loads(policy())
    attached = iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert "detach all policies" in refused("DeleteConflict", iam.delete_role, RoleName="r")
    iam.detach_role_policy(RoleName="r", PolicyArn=BASIC)
    refused("NoSuchEntity", iam.detach_role_policy, RoleName="r", PolicyArn=BASIC)
    assert "must delete policies" in refused("DeleteConflict", iam.delete_role, RoleName="r")
    iam.delete_role_policy(RoleName="r", PolicyName="own")
    refused("NoSuchEntity", iam.delete_role_policy, RoleName="r", PolicyName="own")
    iam.delete_role(RoleName="r")
    refused("NoSuchEntity", iam.get_role, RoleName="r")


def test_role__policy_quotas(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    long = policy(action=["dynamodb:GetItem"] * 700)
    message = refused("LimitExceeded", iam.put_role_policy, RoleName="r", PolicyName="p", PolicyDocument=long)
    assert message == "Maximum policy size of 10240 bytes exceeded for role r"
    refused("LimitExceeded", iam.create_policy, PolicyName="p", PolicyDocument=long)
    refused("NoSuchEntity", iam.attach_role_policy, RoleName="r", PolicyArn="arn:aws:iam::aws:policy/NoSuchPolicy")


def test_managed_policy__has_versions(iam, account):
    made = iam.create_policy(PolicyName="p", PolicyDocument=policy("s3:GetObject"), Description="d")["Policy"]
    arn = f"arn:aws:iam::{account}:policy/p"
    assert (made["Arn"], made["DefaultVersionId"], made["AttachmentCount"]) == (arn, "v1", 0)
    refused("EntityAlreadyExists", iam.create_policy, PolicyName="p", PolicyDocument=policy())
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy("s3:PutObject"), SetAsDefault=True)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert version["Document"]["Statement"][0]["Action"] == "s3:PutObject"
    assert version["IsDefaultVersion"]
    assert [one["VersionId"] for one in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v2", "v1"]
    refused("DeleteConflict", iam.delete_policy_version, PolicyArn=arn, VersionId="v2")
    refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert [one["UserName"] for one in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]] == ["ann"]
    refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.detach_user_policy(UserName="ann", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    refused("NoSuchEntity", iam.get_policy, PolicyArn=arn)


def test_managed_policies__are_listed(iam):
    iam.create_policy(PolicyName="mine", PolicyDocument=policy())
    assert [one["PolicyName"] for one in iam.list_policies(Scope="Local")["Policies"]] == ["mine"]
    pages = iam.get_paginator("list_policies").paginate(Scope="All", PaginationConfig={"PageSize": 7})
    everything = [one["PolicyName"] for page in pages for one in page["Policies"]]
    assert everything[0] == "mine"
    assert "AWSLambdaBasicExecutionRole" in everything
    assert len(everything) == len(set(everything)) > 40


def test_user__has_keys(iam, server, account):
    user = iam.create_user(UserName="ann")["User"]
    assert user["Arn"] == f"arn:aws:iam::{account}:user/ann"
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    assert key["AccessKeyId"].startswith("AKIA")
    assert len(key["SecretAccessKey"]) == 40
    ann = as_user(server, key)
    assert ann("sts").get_caller_identity() | {"ResponseMetadata": None} == {
        "UserId": user["UserId"],
        "Account": account,
        "Arn": user["Arn"],
        "ResponseMetadata": None,
    }
    iam.create_access_key(UserName="ann")
    refused("LimitExceeded", iam.create_access_key, UserName="ann")
    refused("DeleteConflict", iam.delete_user, UserName="ann")
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    refused("InvalidClientTokenId", ann("sts").get_caller_identity)
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Active")
    assert ann("sts").get_caller_identity()["Account"] == account
    for one in iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="ann", AccessKeyId=one["AccessKeyId"])
    refused("InvalidClientTokenId", ann("sts").get_caller_identity)
    iam.delete_user(UserName="ann")
    refused("NoSuchEntity", iam.get_user, UserName="ann")


def as_user(server, key, token=None):
    """Clients that sign with an access key."""

    def make(service):
        return boto3.client(
            service,
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key.get("SessionToken"),
        )

    return make


def test_simulation__says_what_would_be_decided(iam):
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=policy("s3:Get*", "arn:aws:s3:::b/*"))

    def decisions(call, **parameters):
        return [one["EvalDecision"] for one in call(**parameters)["EvaluationResults"]]

    asked = {"ActionNames": ["s3:GetObject", "s3:PutObject"], "ResourceArns": ["arn:aws:s3:::b/k"]}
    ask = iam.simulate_principal_policy
    assert decisions(ask, PolicySourceArn=arn, **asked) == ["allowed", "implicitDeny"]
    extra = [policy("s3:PutObject"), policy("s3:GetObject", effect="Deny")]
    assert decisions(ask, PolicySourceArn=arn, PolicyInputList=extra, **asked) == ["explicitDeny", "allowed"]
    assert decisions(iam.simulate_custom_policy, PolicyInputList=extra[:1], **asked) == ["implicitDeny", "allowed"]
    refused("NoSuchEntity", ask, PolicySourceArn=arn + "2", **asked)
    resources = ["arn:aws:s3:::b/k", "arn:aws:s3:::other/k"]
    (one,) = ask(PolicySourceArn=arn, ActionNames=["s3:GetObject"], ResourceArns=resources)["EvaluationResults"]
    assert one["EvalDecision"] == "implicitDeny"
    assert [each["EvalResourceDecision"] for each in one["ResourceSpecificResults"]] == ["allowed", "implicitDeny"]
