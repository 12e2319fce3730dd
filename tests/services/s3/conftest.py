"""A client, and a bucket of its own for each test: names are shared by all accounts."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def s3(client: Callable[..., Any]) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = "test-" + secrets.token_hex(8)
    s3.create_bucket(Bucket=name)
    return name
