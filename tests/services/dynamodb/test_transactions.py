"""Batches and transactions through boto3."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[..., Any]


@pytest.fixture
def db(client: Client) -> Any:
    made = client("dynamodb")
    for name in ("one", "two"):
        made.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return made


def key(name: str) -> dict[str, Any]:
    return {"id": {"S": name}}


def put(name: str, table: str = "one", **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": {**key(name), "v": {"N": "1"}}, **more}}


def refused(call: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response: dict[str, Any] = caught.value.response
    return response


def ids(db: Any, table: str = "one") -> list[str]:
    return sorted(item["id"]["S"] for item in db.scan(TableName=table)["Items"])


def test_batch__write_and_get(db: Any) -> None:
    written = db.batch_write_item(
        RequestItems={
            "one": [{"PutRequest": {"Item": {**key(name), "v": {"S": "x"}}}} for name in ("a", "b")],
            "two": [{"PutRequest": {"Item": key("c")}}, {"DeleteRequest": {"Key": key("none")}}],
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert written["UnprocessedItems"] == {}
    assert written["ConsumedCapacity"] == [
        {"TableName": "one", "CapacityUnits": 2.0}, {"TableName": "two", "CapacityUnits": 2.0},
    ]  # fmt: skip
    found = db.batch_get_item(
        RequestItems={
            "one": {"Keys": [key("a"), key("b"), key("z")], "ProjectionExpression": "id"},
            "two": {"Keys": [key("c")], "ConsistentRead": True},
        }
    )
    assert found["Responses"] == {"one": [key("a"), key("b")], "two": [key("c")]}
    assert found["UnprocessedKeys"] == {}


def test_batch__refuses(db: Any) -> None:
    twice = [{"PutRequest": {"Item": key("a")}}, {"DeleteRequest": {"Key": key("a")}}]
    assert refused(db.batch_write_item, RequestItems={"one": twice})["Error"]["Message"] == (
        "Provided list of item keys contains duplicates"
    )
    assert refused(db.batch_get_item, RequestItems={"one": {"Keys": [key("a"), key("a")]}})["Error"]["Message"] == (
        "Provided list of item keys contains duplicates"
    )
    bad = [{"PutRequest": {"Item": key("ok")}}, {"PutRequest": {"Item": {"x": {"S": "no key"}}}}]
    assert refused(db.batch_write_item, RequestItems={"one": bad})["Error"]["Code"] == "ValidationException"
    assert ids(db) == []
    assert refused(db.batch_get_item, RequestItems={"nothing": {"Keys": [key("a")]}})["Error"]["Code"] == (
        "ResourceNotFoundException"
    )


def test_batch_get_item__gives_back_what_does_not_fit(db: Any) -> None:
    names = [f"k{number:02d}" for number in range(45)]
    for name in names:
        db.put_item(TableName="one", Item={**key(name), "x": {"S": "x" * 399_000}})
    wanted = {"one": {"Keys": [key(name) for name in names], "ProjectionExpression": "id"}}
    seen = []
    while wanted:
        answer = db.batch_get_item(RequestItems=wanted)
        seen += [item["id"]["S"] for item in answer["Responses"]["one"]]
        wanted = answer["UnprocessedKeys"]
    assert seen == names


def test_transact_write_items__all_or_none(db: Any) -> None:
    db.transact_write_items(TransactItems=[put("a"), put("b", "two")])
    assert (ids(db), ids(db, "two")) == (["a"], ["b"])
    failing = [
        put("c"),
        put("a", ConditionExpression="attribute_not_exists(id)", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        {"ConditionCheck": {"TableName": "two", "Key": key("b"), "ConditionExpression": "attribute_exists(id)"}},
        {
            "Update": {
                "TableName": "one", "Key": key("u"), "UpdateExpression": "SET v = v + :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }
        },
    ]  # fmt: skip
    answer = refused(db.transact_write_items, TransactItems=failing)
    assert answer["Error"]["Code"] == "TransactionCanceledException"
    assert answer["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed, None, ValidationError]"
    )
    assert answer["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": {**key("a"), "v": {"N": "1"}}},
        {"Code": "None"},
        {"Code": "ValidationError", "Message": "The provided expression refers to an attribute that does not exist in the item"},
    ]
    assert ids(db) == ["a"]


def test_transact_write_items__each_kind(db: Any) -> None:
    db.transact_write_items(TransactItems=[put("a"), put("gone")])
    answer = db.transact_write_items(
        TransactItems=[
            {"ConditionCheck": {"TableName": "two", "Key": key("x"), "ConditionExpression": "attribute_not_exists(id)"}},
            {
                "Update": {
                    "TableName": "one", "Key": key("a"), "UpdateExpression": "ADD v :two", "ConditionExpression": "v = :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}, ":two": {"N": "2"}},
                }
            },
            {"Delete": {"TableName": "one", "Key": key("gone"), "ConditionExpression": "attribute_exists(id)"}},
            put("new"),
        ],
        ReturnConsumedCapacity="TOTAL",
    )  # fmt: skip
    assert answer["ConsumedCapacity"] == [
        {"TableName": "two", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
        {"TableName": "one", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0},
    ]
    assert ids(db) == ["a", "new"]
    assert ids(db, "two") == []
    assert db.get_item(TableName="one", Key=key("a"))["Item"]["v"] == {"N": "3"}


def test_transact_write_items__client_token(db: Any) -> None:
    add = {
        "Update": {
            "TableName": "one", "Key": key("n"), "UpdateExpression": "ADD v :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }  # fmt: skip
    for _ in range(3):
        db.transact_write_items(TransactItems=[add], ClientRequestToken="token-1")
    assert db.get_item(TableName="one", Key=key("n"))["Item"]["v"] == {"N": "1"}
    other = refused(db.transact_write_items, TransactItems=[put("x")], ClientRequestToken="token-1")
    assert other["Error"]["Code"] == "IdempotentParameterMismatchException"
    # A transaction that was cancelled leaves no token.
    failing = put("y", ConditionExpression="attribute_exists(id)")
    assert refused(db.transact_write_items, TransactItems=[failing], ClientRequestToken="token-2")["Error"]["Code"] == (
        "TransactionCanceledException"
    )
    db.transact_write_items(TransactItems=[put("y")], ClientRequestToken="token-2")
    assert ids(db) == ["n", "y"]


def test_transact_write_items__refuses_an_item_twice(db: Any) -> None:
    assert refused(db.transact_write_items, TransactItems=[put("a"), put("a")])["Error"]["Message"] == (
        "Transaction request cannot include multiple operations on one item"
    )


def test_transact_get_items(db: Any) -> None:
    db.transact_write_items(TransactItems=[put("a"), put("b", "two")])
    found = db.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": "one", "Key": key("a")}},
            {"Get": {"TableName": "one", "Key": key("none")}},
            {"Get": {"TableName": "two", "Key": key("b"), "ProjectionExpression": "v"}},
        ]
    )
    assert found["Responses"] == [{"Item": {**key("a"), "v": {"N": "1"}}}, {}, {"Item": {"v": {"N": "1"}}}]
