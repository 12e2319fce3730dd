"""Policies of tables, through boto3."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

TABLE = {
    "TableName": "ttt",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def test_policies(client: Callable[..., Any], account: str) -> None:
    db = client("dynamodb")
    arn = db.create_table(**TABLE)["TableDescription"]["TableArn"]
    principal = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "dynamodb:GetItem", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def refused(call: Any, **arguments: Any) -> str:
        with pytest.raises(ClientError) as caught:
            call(**arguments)
        return str(caught.value.response["Error"]["Code"])

    assert refused(db.get_resource_policy, ResourceArn=arn) == "PolicyNotFoundException"
    assert refused(db.put_resource_policy, ResourceArn=arn, Policy="{}") == "ValidationException"
    assert refused(db.put_resource_policy, ResourceArn=arn + "x", Policy=policy) == "ResourceNotFoundException"
    revision = db.put_resource_policy(ResourceArn=arn, Policy=policy, ExpectedRevisionId="NO_POLICY")["RevisionId"]
    found = db.get_resource_policy(ResourceArn=arn)
    assert (found["Policy"], found["RevisionId"]) == (policy, revision)
    assert refused(db.put_resource_policy, ResourceArn=arn, Policy=policy, ExpectedRevisionId="1") == "PolicyNotFoundException"
    assert refused(db.delete_resource_policy, ResourceArn=arn, ExpectedRevisionId="NO_POLICY") == "PolicyNotFoundException"
    assert db.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=revision)["RevisionId"] == revision
    db.delete_resource_policy(ResourceArn=arn)
    db.put_resource_policy(ResourceArn=arn, Policy=policy)
    db.delete_table(TableName="ttt")
    db.create_table(**TABLE)
    assert refused(db.get_resource_policy, ResourceArn=arn) == "PolicyNotFoundException"
