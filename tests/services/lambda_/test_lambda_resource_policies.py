"""A function's policy as one document, and as the statements that AddPermission adds."""

import json

import pytest
from botocore.exceptions import ClientError

from services.lambda_.conftest import Caller


def test_resource_policy__put_shown_and_removed(caller: Caller) -> None:
    lambda_ = caller.client
    name = caller.make("def handler(e, c): pass\n")
    arn = lambda_.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    statement = {
        "Sid": "one", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",
        "Resource": arn,
    }  # fmt: skip
    put = lambda_.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert json.loads(put["Policy"])["Statement"] == [statement]
    lambda_.add_permission(FunctionName=name, StatementId="two", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com")
    found = lambda_.get_resource_policy(ResourceArn=arn)
    assert [one["Sid"] for one in json.loads(found["Policy"])["Statement"]] == ["one", "two"]
    assert found["Policy"] == lambda_.get_policy(FunctionName=name)["Policy"]
    with pytest.raises(ClientError) as stale:
        lambda_.delete_resource_policy(ResourceArn=arn, RevisionId=put["RevisionId"])
    assert stale.value.response["Error"]["Code"] == "PreconditionFailedException"
    for wrong in ("{", "{}", json.dumps({"Statement": [{"Effect": "Allow"}]})):
        with pytest.raises(ClientError) as refused:
            lambda_.put_resource_policy(ResourceArn=arn, Policy=wrong)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    lambda_.delete_resource_policy(ResourceArn=arn, RevisionId=found["RevisionId"])
    with pytest.raises(ClientError) as gone:
        lambda_.get_resource_policy(ResourceArn=arn)
    assert gone.value.response["Error"]["Code"] == "ResourceNotFoundException"
