"""Items through boto3: put, get, update, delete."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[..., Any]


@pytest.fixture
def db(client: Client) -> Any:
    made = client("dynamodb")
    made.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
            {"AttributeName": "kind", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-kind",
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return made


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def key(id: str = "a", at: int = 1) -> dict[str, Any]:
    return {"id": {"S": id}, "at": {"N": str(at)}}


def test_put_item__then_get(db: Any) -> None:
    item = {
        **key(), "s": {"S": "é"}, "n": {"N": "1.500"}, "b": {"B": b"\x00\xff"}, "t": {"BOOL": False}, "z": {"NULL": True},
        "l": {"L": [{"S": "x"}, {"M": {}}]}, "ss": {"SS": ["q", "p"]}, "ns": {"NS": ["10", "9"]}, "bs": {"BS": [b"b", b"a"]},
        "e": {"S": ""},
    }  # fmt: skip
    assert "Attributes" not in db.put_item(TableName="things", Item=item, ReturnValues="ALL_OLD")
    expected = {**item, "n": {"N": "1.5"}, "ss": {"SS": ["p", "q"]}, "ns": {"NS": ["9", "10"]}, "bs": {"BS": [b"a", b"b"]}}
    assert db.get_item(TableName="things", Key=key())["Item"] == expected
    assert db.get_item(TableName="things", Key=key(at=2)).get("Item") is None
    old = db.put_item(TableName="things", Item=key(), ReturnValues="ALL_OLD")
    assert old["Attributes"] == expected
    assert db.get_item(TableName="things", Key={"id": {"S": "a"}, "at": {"N": "1.0"}})["Item"] == key()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"at": {"N": "1"}}, "One or more parameter values were invalid: Missing the key id in the item"),
        (
            {"id": {"N": "1"}, "at": {"N": "1"}},
            "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N",
        ),
        (
            {"id": {"S": ""}, "at": {"N": "1"}},
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
            "string value. Key: id",
        ),
        (
            {**key("x" * 2049)},
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
        (
            {**key(), "kind": {"N": "1"}},
            "One or more parameter values were invalid: "
            "Type mismatch for Index Key kind Expected: S Actual: N IndexName: by-kind",
        ),
        (
            {**key(), "kind": {"S": ""}},
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
            "The AttributeValue for a key attribute cannot contain an empty string value. IndexName: by-kind, IndexKey: kind",
        ),
        ({**key(), "x": {"S": "x" * (400 << 10)}}, "Item size has exceeded the maximum allowed size"),
        (
            {**key(), "x": {"N": "1e200"}},
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        ({**key(), "x": {"SS": []}}, "One or more parameter values were invalid: An string set  may not be empty"),
    ],
)
def test_put_item__refuses(db: Any, item: dict[str, Any], message: str) -> None:
    assert refused(db.put_item, TableName="things", Item=item) == ("ValidationException", message)


def test_put_item__a_large_item(db: Any) -> None:
    item = {**key(), "x": {"S": "x" * 390_000}}
    db.put_item(TableName="things", Item=item)
    assert db.get_item(TableName="things", Key=key())["Item"] == item


def test_operations__refuse_a_missing_table_and_wrong_keys(db: Any) -> None:
    missing = ("ResourceNotFoundException", "Requested resource not found")
    assert refused(db.put_item, TableName="nothing", Item=key()) == missing
    assert refused(db.get_item, TableName="nothing", Key=key()) == missing
    wrong = ("ValidationException", "The provided key element does not match the schema")
    assert refused(db.get_item, TableName="things", Key={"id": {"S": "a"}}) == wrong
    assert refused(db.get_item, TableName="things", Key={**key(), "x": {"S": "a"}}) == wrong
    assert refused(db.delete_item, TableName="things", Key={"id": {"N": "1"}, "at": {"N": "1"}}) == wrong


def test_put_item__condition(db: Any) -> None:
    new_only = {"TableName": "things", "ConditionExpression": "attribute_not_exists(id)"}
    db.put_item(Item={**key(), "v": {"N": "1"}}, **new_only)
    with pytest.raises(db.exceptions.ConditionalCheckFailedException) as caught:
        db.put_item(Item=key(), ReturnValuesOnConditionCheckFailure="ALL_OLD", **new_only)
    assert caught.value.response["Error"]["Message"] == "The conditional request failed"
    assert caught.value.response["Item"] == {**key(), "v": {"N": "1"}}
    with pytest.raises(db.exceptions.ConditionalCheckFailedException) as caught:
        db.put_item(Item=key(), **new_only)
    assert "Item" not in caught.value.response


def test_update_item__return_values(db: Any) -> None:
    update = {
        "TableName": "things", "Key": key(), "UpdateExpression": "SET a = :a, m.x = :x",
        "ExpressionAttributeValues": {":a": {"N": "2"}, ":x": {"S": "new"}},
    }  # fmt: skip
    db.put_item(TableName="things", Item={**key(), "a": {"N": "1"}, "m": {"M": {"x": {"S": "old"}, "y": {"S": "kept"}}}})
    assert db.update_item(**update, ReturnValues="UPDATED_OLD")["Attributes"] == {
        "a": {"N": "1"},
        "m": {"M": {"x": {"S": "old"}}},
    }
    assert db.update_item(**update, ReturnValues="UPDATED_NEW")["Attributes"] == {
        "a": {"N": "2"},
        "m": {"M": {"x": {"S": "new"}}},
    }
    whole = {**key(), "a": {"N": "2"}, "m": {"M": {"x": {"S": "new"}, "y": {"S": "kept"}}}}
    assert db.update_item(**update, ReturnValues="ALL_NEW")["Attributes"] == whole
    assert db.update_item(**update, ReturnValues="ALL_OLD")["Attributes"] == whole
    assert "Attributes" not in db.update_item(**update)


def test_update_item__makes_an_item(db: Any) -> None:
    made = db.update_item(
        TableName="things", Key=key(), UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )  # fmt: skip
    assert made["Attributes"] == {**key(), "n": {"N": "1"}}
    assert db.update_item(TableName="things", Key=key(at=9)) is not None
    assert db.get_item(TableName="things", Key=key(at=9))["Item"] == key(at=9)


def test_update_item__refuses(db: Any) -> None:
    code, message = refused(
        db.update_item,
        TableName="things",
        Key=key(),
        UpdateExpression="SET id = :x",
        ExpressionAttributeValues={":x": {"S": "b"}},
    )
    assert code == "ValidationException"
    assert message == ("One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key")
    code, message = refused(db.update_item, TableName="things", Key=key(), UpdateExpression="SET a")
    assert message == 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "a"'
    code, message = refused(db.update_item, TableName="things", Key=key(), ExpressionAttributeNames={"#a": "a"})
    assert message == "ExpressionAttributeNames can only be specified when using expressions"
    assert db.get_item(TableName="things", Key=key()).get("Item") is None


def test_delete_item(db: Any) -> None:
    db.put_item(TableName="things", Item={**key(), "v": {"N": "1"}})
    delete = {
        "TableName": "things", "Key": key(), "ConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": {"N": "2"}},
    }  # fmt: skip
    assert refused(db.delete_item, **delete)[0] == "ConditionalCheckFailedException"
    gone = db.delete_item(TableName="things", Key=key(), ReturnValues="ALL_OLD")
    assert gone["Attributes"] == {**key(), "v": {"N": "1"}}
    assert "Attributes" not in db.delete_item(TableName="things", Key=key(), ReturnValues="ALL_OLD")
    assert db.get_item(TableName="things", Key=key()).get("Item") is None


def test_get_item__projection(db: Any) -> None:
    db.put_item(TableName="things", Item={**key(), "m": {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}, "name": {"S": "n"}})
    found = db.get_item(TableName="things", Key=key(), ProjectionExpression="m.x, #n", ExpressionAttributeNames={"#n": "name"})
    assert found["Item"] == {"m": {"M": {"x": {"N": "1"}}}, "name": {"S": "n"}}
    assert db.get_item(TableName="things", Key=key(), AttributesToGet=["name"])["Item"] == {"name": {"S": "n"}}


def test_consumed_capacity(db: Any) -> None:
    item = {**key(), "x": {"S": "x" * 3000}, "kind": {"S": "k"}}
    used = db.put_item(TableName="things", Item=item, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert used == {
        "TableName": "things", "CapacityUnits": 6.0, "Table": {"CapacityUnits": 3.0},
        "GlobalSecondaryIndexes": {"by-kind": {"CapacityUnits": 3.0}},
    }  # fmt: skip
    read = {"TableName": "things", "Key": key(), "ReturnConsumedCapacity": "TOTAL"}
    assert db.get_item(**read)["ConsumedCapacity"] == {"TableName": "things", "CapacityUnits": 0.5}
    assert db.get_item(**read, ConsistentRead=True)["ConsumedCapacity"]["CapacityUnits"] == 1.0


def test_older_parameters(db: Any) -> None:
    db.put_item(TableName="things", Item={**key(), "v": {"N": "1"}}, Expected={"id": {"Exists": False}})
    again = {"TableName": "things", "Item": key(), "Expected": {"id": {"Exists": False}}}
    assert refused(db.put_item, **again)[0] == "ConditionalCheckFailedException"
    changed = db.update_item(
        TableName="things", Key=key(), ReturnValues="ALL_NEW",
        AttributeUpdates={"v": {"Action": "ADD", "Value": {"N": "4"}}, "w": {"Value": {"S": "new"}}, "x": {"Action": "DELETE"}},
        Expected={"v": {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "1"}]}},
    )  # fmt: skip
    assert changed["Attributes"] == {**key(), "v": {"N": "5"}, "w": {"S": "new"}}
    code, message = refused(
        db.put_item, TableName="things", Item=key(), Expected={"v": {"Exists": False}}, ConditionExpression="attribute_exists(id)"
    )
    assert (code, message) == (
        "ValidationException",
        "Can not use both expression and non-expression parameters in the same request: "
        "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
    )
