"""Callers of other accounts, and users."""

from collections.abc import Callable

import boto3
import pytest
from botocore.config import Config
from tests.gateway.callers import Make, document

from conftest import REGION, HeadraceServer


@pytest.fixture
def other(account: str) -> str:
    """Another account."""
    return f"{(int(account) + 5 * 10**11) % 10**12:012d}"


@pytest.fixture
def user(server: HeadraceServer) -> Callable[..., Make]:
    """user(account, statement, …) makes clients of the user `ann` with these policies of her own."""

    def make(account: str, *statements: dict[str, object]) -> Make:
        iam = server.client("iam", account)
        iam.create_user(UserName="ann")
        if statements:
            iam.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=document(*statements))
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        return lambda service: boto3.client(
            service, endpoint_url=server.url, region_name=REGION, aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"], config=Config(retries={"max_attempts": 0}),
        )  # fmt: skip

    return make
