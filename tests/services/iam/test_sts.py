"""Temporary credentials, as boto3 sees them."""

import json

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer
from tests.services.iam.test_roles import TRUST, as_user, policy, refused


def trusting(principal, **more):
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}]}
    )


@pytest.fixture
def iam(client):
    return client("iam")


@pytest.fixture
def ann(iam, server):
    iam.create_user(UserName="ann")
    return as_user(server, iam.create_access_key(UserName="ann")["AccessKey"])


def test_caller_identity__of_root(client, account):
    identity = client("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (account, f"arn:aws:iam::{account}:root")


def test_assume_role__gives_credentials_that_work(iam, ann, client, server, account):
    arn = f"arn:aws:iam::{account}:user/ann"
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trusting({"AWS": arn}))["Role"]
    answer = ann("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="s1", DurationSeconds=900)
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert answer["AssumedRoleUser"] == {
        "AssumedRoleId": f"{role['RoleId']}:s1",
        "Arn": f"arn:aws:sts::{account}:assumed-role/r/s1",
    }
    session = as_user(server, credentials)
    assert session("sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{account}:assumed-role/r/s1"
    stolen = {**credentials, "SessionToken": "wrong"}
    refused("InvalidClientTokenId", as_user(server, stolen)("sts").get_caller_identity)
    refused("AccessDenied", ann("sts").get_access_key_info, AccessKeyId=credentials["AccessKeyId"])
    assert client("sts").get_access_key_info(AccessKeyId=credentials["AccessKeyId"])["Account"] == account


def test_assume_role__asks_the_trust_policy(iam, ann, client, account):
    iam.create_role(RoleName="service", AssumeRolePolicyDocument=json.dumps(TRUST))
    sts = ann("sts")
    arn = f"arn:aws:iam::{account}:role/service"
    message = refused("AccessDenied", sts.assume_role, RoleArn=arn, RoleSessionName="ss")
    assert message == (f"User: arn:aws:iam::{account}:user/ann is not authorized to perform: sts:AssumeRole on resource: {arn}")
    missing = arn + "2"
    refused("AccessDenied", sts.assume_role, RoleArn=missing, RoleSessionName="ss")

    iam.create_role(RoleName="account", AssumeRolePolicyDocument=trusting({"AWS": account}))
    arn = f"arn:aws:iam::{account}:role/account"
    refused("AccessDenied", sts.assume_role, RoleArn=arn, RoleSessionName="ss")
    iam.put_user_policy(UserName="ann", PolicyName="may", PolicyDocument=policy("sts:AssumeRole", arn))
    sts.assume_role(RoleArn=arn, RoleSessionName="ss")
    client("sts").assume_role(RoleArn=arn, RoleSessionName="root")


def test_assume_role__external_id_and_duration(iam, client, account):
    condition = {"StringEquals": {"sts:ExternalId": "42"}}
    document = trusting({"AWS": account}, Condition=condition)
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    sts = client("sts")
    refused("AccessDenied", sts.assume_role, RoleArn=role, RoleSessionName="ss")
    refused("AccessDenied", sts.assume_role, RoleArn=role, RoleSessionName="ss", ExternalId="43")
    sts.assume_role(RoleArn=role, RoleSessionName="ss", ExternalId="42")
    parameters = {"RoleArn": role, "RoleSessionName": "ss", "ExternalId": "42"}
    message = refused("ValidationError", sts.assume_role, DurationSeconds=7200, **parameters)
    assert message == "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."


def test_session_token__is_its_owner(client, server, account):
    root = client("sts").get_session_token()["Credentials"]
    assert as_user(server, root)("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:root"
    refused("AccessDenied", as_user(server, root)("sts").get_session_token)


def test_session__survives_a_kill_and_expires(tmp_path):
    server = HeadraceServer(tmp_path / "data").start()
    try:
        document = trusting({"AWS": "000000000000"})
        role = server.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        given = server.client("sts").assume_role(RoleArn=role, RoleSessionName="ss", DurationSeconds=900)["Credentials"]
        server.kill()
        server.log.close()
        server.start()
        session = as_user(server, given)("sts")
        assert session.get_caller_identity()["Arn"].endswith("assumed-role/r/ss")
        server.advance(901)
        with pytest.raises(ClientError):
            session.get_caller_identity()
    finally:
        server.stop()


def test_web_identity__is_refused(client, account):
    # boto3 does not sign it, and unsigned requests are refused before the operation refuses.
    refused(
        "MissingAuthenticationToken",
        client("sts").assume_role_with_web_identity,
        RoleArn=f"arn:aws:iam::{account}:role/r",
        RoleSessionName="ss",
        WebIdentityToken="token",
    )
