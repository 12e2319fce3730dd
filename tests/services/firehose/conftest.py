"""A role for delivery streams, and a client that names it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.services.firehose.fakes import ROLE


def role_for(iam: Any) -> str:
    """Make a role that Firehose and Lambda may assume, and that may do everything; its ARN."""
    trusted = {
        "Effect": "Allow",
        "Principal": {"Service": ["firehose.amazonaws.com", "lambda.amazonaws.com"]},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    arn = iam.create_role(RoleName="firehose", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="firehose", PolicyName="all", PolicyDocument=json.dumps(everything))
    return str(arn)


def naming(firehose: Any, role: str) -> Any:
    """Let a client send this role where a test wrote ROLE."""

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: replace(one) for name, one in value.items()}
        return role if value == ROLE else value

    firehose.meta.events.register("provide-client-params.firehose", lambda params, **_: replace(params))
    return firehose


@pytest.fixture
def role(client: Callable[..., Any]) -> str:
    """A role of this test's account."""
    return role_for(client("iam"))


@pytest.fixture
def firehose(client: Callable[..., Any], role: str) -> Any:
    """A Firehose client in this test's account."""
    return naming(client("firehose"), role)
