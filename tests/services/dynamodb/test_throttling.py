"""Throughput that is held to, where the server is asked to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[HeadraceServer]:
    server = HeadraceServer(tmp_path / "data", environment={"HEADRACE_ENFORCE_LIMITS": "true"}).start()
    yield server
    server.kill()


def make(db: Any, **more: Any) -> None:
    db.create_table(
        TableName="ttt",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        **more,
    )


def until_refused(call: Any, **arguments: Any) -> tuple[int, str, str]:
    """(how often it was let through, code, message)."""
    for count in range(2000):
        try:
            call(**arguments)
        except ClientError as error:
            return count, error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("never refused")


def test_provisioned(strict: HeadraceServer) -> None:
    db = strict.client("dynamodb")
    make(db, ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 2})
    # Five minutes' worth of 2 units a second may come at once; each of these writes uses 20.
    item = {"id": {"S": "a"}, "text": {"S": "x" * (20 * 1024 - 20)}}
    count, code, message = until_refused(db.put_item, TableName="ttt", Item=item)
    assert 30 <= count <= 32
    assert code == "ProvisionedThroughputExceededException"
    assert message == (
        "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level "
        "with the UpdateTable API."
    )
    # Reads have a bucket of their own.
    count, code, _ = until_refused(db.get_item, TableName="ttt", Key={"id": {"S": "a"}}, ConsistentRead=True)
    assert 60 <= count <= 66
    assert until_refused(db.scan, TableName="ttt")[:2] == (0, code)
    statement = {"Statement": "UPDATE ttt SET b = 1 WHERE id = 'a'"}
    assert until_refused(db.execute_statement, **statement)[0] == 0
    strict.advance(60)
    db.put_item(TableName="ttt", Item={"id": {"S": "b"}})
    db.get_item(TableName="ttt", Key={"id": {"S": "b"}})


def test_on_demand(strict: HeadraceServer) -> None:
    db = strict.client("dynamodb")
    make(db, BillingMode="PAY_PER_REQUEST", OnDemandThroughput={"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": -1})
    assert db.describe_table(TableName="ttt")["Table"]["OnDemandThroughput"] == {
        "MaxReadRequestUnits": 1, "MaxWriteRequestUnits": -1,
    }  # fmt: skip
    for _ in range(5):
        db.put_item(TableName="ttt", Item={"id": {"S": "a"}, "text": {"S": "x" * 380_000}})
    count, code, _ = until_refused(db.get_item, TableName="ttt", Key={"id": {"S": "a"}}, ConsistentRead=True)
    assert (1 <= count <= 5, code) == (True, "ThrottlingException")
    db.update_table(TableName="ttt", OnDemandThroughput={"MaxReadRequestUnits": -1})
    db.get_item(TableName="ttt", Key={"id": {"S": "a"}})


def test_not_asked_for(server: HeadraceServer, account: str) -> None:
    db = server.client("dynamodb", account)
    make(db, ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    for _ in range(3):
        db.put_item(TableName="ttt", Item={"id": {"S": "a"}, "text": {"S": "x" * 390_000}})
