"""Query and Scan through boto3: key conditions, order, pages, filters, projections, indexes, segments."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[..., Any]


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


@pytest.fixture
def db(client: Client) -> Any:
    made = client("dynamodb")
    kinds = {"p": "S", "s": "N", "colour": "S", "size": "N", "name": "S"}
    made.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
        BillingMode="PAY_PER_REQUEST",
        LocalSecondaryIndexes=[
            {
                "IndexName": "local",
                "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "name", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "global",
                "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}, {"AttributeName": "size", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["extra"]},
            },
            {
                "IndexName": "all",
                "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            },
        ],
    )
    for p in ("a", "b"):
        for s in (-20, -3, 0, 1.5, 2, 10, 100):
            item = {
                "p": {"S": p}, "s": {"N": str(s)}, "colour": {"S": "red" if s > 0 else "blue"}, "size": {"N": str(abs(s))},
                "name": {"S": f"n{abs(s):05}"}, "extra": {"S": f"{p}{s}"}, "secret": {"S": "x"},
            }  # fmt: skip
            made.put_item(TableName="things", Item=item)
    return made


def sorts(answer: dict[str, Any]) -> list[float]:
    return [float(item["s"]["N"]) for item in answer["Items"]]


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("p = :p", {}, [-20, -3, 0, 1.5, 2, 10, 100]),
        (":p = p", {}, [-20, -3, 0, 1.5, 2, 10, 100]),
        ("p = :p AND s = :a", {":a": "1.50"}, [1.5]),
        ("s > :a AND p = :p", {":a": "2"}, [10, 100]),
        ("p = :p AND :a < s", {":a": "2"}, [10, 100]),
        ("p = :p AND s >= :a", {":a": "2"}, [2, 10, 100]),
        ("p = :p AND s < :a", {":a": "-3"}, [-20]),
        ("(p = :p) AND (s <= :a)", {":a": "-3"}, [-20, -3]),
        ("p = :p AND s BETWEEN :a AND :b", {":a": "-3", ":b": "2"}, [-3, 0, 1.5, 2]),
    ],
)
def test_query__key_conditions(db: Any, condition: str, values: dict[str, str], expected: list[float]) -> None:
    given = {":p": {"S": "a"}, **{name: {"N": text} for name, text in values.items()}}
    query = {"TableName": "things", "KeyConditionExpression": condition, "ExpressionAttributeValues": given}
    assert sorts(db.query(**query)) == expected
    assert sorts(db.query(**query, ScanIndexForward=False)) == expected[::-1]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("index", [None, "local", "global", "all"])
def test_query__pages_join_up(db: Any, index: str | None, forward: bool) -> None:
    name, value = ("colour", "red") if index in ("global", "all") else ("p", "a")
    query = {
        "TableName": "things", "KeyConditionExpression": "#k = :k", "ExpressionAttributeNames": {"#k": name},
        "ExpressionAttributeValues": {":k": {"S": value}}, "ScanIndexForward": forward,
        **({"IndexName": index} if index else {}),
    }  # fmt: skip
    whole = db.query(**query)["Items"]
    paged = []
    start: dict[str, Any] = {}
    while True:
        page = db.query(**query, Limit=2, **start)
        assert page["Count"] == page["ScannedCount"] == len(page["Items"])
        paged += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert paged == whole
    assert len(whole) == (8 if index in ("global", "all") else 7)


def test_query__a_page_ends_at_a_mebibyte(db: Any) -> None:
    for number in range(5):
        db.put_item(TableName="things", Item={"p": {"S": "big"}, "s": {"N": str(number)}, "x": {"S": "x" * 300_000}})
    query = {
        "TableName": "things", "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "big"}},
        "Select": "COUNT",
    }  # fmt: skip
    first = db.query(**query)
    assert (first["Count"], first["LastEvaluatedKey"]["s"]["N"]) == (4, "3")
    assert "Items" not in first
    second = db.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert second["Count"] == 1
    assert "LastEvaluatedKey" not in second


def test_query__filter_and_projection(db: Any) -> None:
    found = db.query(
        TableName="things", KeyConditionExpression="p = :p", FilterExpression="colour = :c AND size(extra) > :n",
        ProjectionExpression="extra", ExpressionAttributeValues={":p": {"S": "a"}, ":c": {"S": "red"}, ":n": {"N": "2"}},
    )  # fmt: skip
    assert found["Items"] == [{"extra": {"S": "a1.5"}}, {"extra": {"S": "a10"}}, {"extra": {"S": "a100"}}]
    assert (found["Count"], found["ScannedCount"]) == (3, 7)


def test_query__indexes_show_what_they_project(db: Any) -> None:
    query = {
        "TableName": "things", "KeyConditionExpression": "colour = :c AND #z = :z", "IndexName": "global",
        "ExpressionAttributeNames": {"#z": "size"}, "ExpressionAttributeValues": {":c": {"S": "blue"}, ":z": {"N": "20"}},
    }  # fmt: skip
    items = db.query(**query)["Items"]
    assert sorted(item["extra"]["S"] for item in items) == ["a-20", "b-20"]
    assert set(items[0]) == {"p", "s", "colour", "size", "extra"}
    assert refused(db.query, **query, Select="ALL_ATTRIBUTES") == (
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index "
        "global because its projection type is not ALL"
    )
    assert "does not project" in refused(db.query, **query, ProjectionExpression="secret")
    assert refused(db.query, **query, ConsistentRead=True) == ("Consistent reads are not supported on global secondary indexes")
    local = {
        "TableName": "things", "KeyConditionExpression": "p = :p AND begins_with(#n, :n)", "IndexName": "local",
        "ExpressionAttributeNames": {"#n": "name"}, "ExpressionAttributeValues": {":p": {"S": "a"}, ":n": {"S": "n000"}},
    }  # fmt: skip
    found = db.query(**local, ConsistentRead=True)["Items"]
    assert [item["name"]["S"] for item in found] == ["n00000", "n00002", "n00003", "n00010", "n00020"]
    assert set(found[0]) == {"p", "s", "name"}
    assert "secret" in db.query(**local, Select="ALL_ATTRIBUTES")["Items"][0]


def test_query__an_index_follows_its_items(db: Any) -> None:
    def reds() -> int:
        return int(
            db.query(
                TableName="things", IndexName="all", KeyConditionExpression="colour = :c",
                ExpressionAttributeValues={":c": {"S": "red"}}, Select="COUNT",
            )["Count"]
        )  # fmt: skip

    key = {"p": {"S": "a"}, "s": {"N": "2"}}
    assert reds() == 8
    db.update_item(
        TableName="things", Key=key, UpdateExpression="SET colour = :c", ExpressionAttributeValues={":c": {"S": "blue"}}
    )
    assert reds() == 7
    db.update_item(TableName="things", Key=key, UpdateExpression="REMOVE colour")
    assert reds() == 7
    db.put_item(TableName="things", Item={**key, "colour": {"S": "red"}})
    assert reds() == 8
    db.delete_item(TableName="things", Key=key)
    assert reds() == 7


REFUSED = [
    ("s = :n", {":n": {"N": "1"}}, "Query condition missed key schema element: p"),
    ("p = :p AND colour = :n", {":n": {"S": "1"}}, "Query condition missed key schema element: s"),
    ("p > :p", {}, "Query key condition not supported"),
    (
        "p = :p OR s = :n",
        {":n": {"N": "1"}},
        "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: OR",
    ),
    (
        "p = :p AND s <> :n",
        {":n": {"N": "1"}},
        "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: <>",
    ),
    (
        "p = :p AND s > :n AND s < :m",
        {":n": {"N": "1"}, ":m": {"N": "2"}},
        "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
    ),
    (
        "p = :p AND s = :n",
        {":n": {"S": "1"}},
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ),
    (
        "p = :p AND contains(s, :n)",
        {":n": {"N": "1"}},
        "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: contains",
    ),
    (
        "p = :p AND size(s) = :n",
        {":n": {"N": "1"}},
        "Invalid KeyConditionExpression: KeyConditionExpressions cannot contain nested operations",
    ),
    ("p = :p", {":n": {"N": "1"}}, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:n}"),
]


@pytest.mark.parametrize(("condition", "values", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_query__refuses(db: Any, condition: str, values: dict[str, Any], message: str) -> None:
    given = {":p": {"S": "a"}, **values} if ":p" in condition else values
    query = {"TableName": "things", "KeyConditionExpression": condition, "ExpressionAttributeValues": given}
    assert refused(db.query, **query) == message


def test_query__refuses_more(db: Any) -> None:
    query = {"TableName": "things", "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    assert refused(db.query, **query, IndexName="nothing") == "The table does not have the specified index: nothing"
    assert refused(
        db.query, **{**query, "ExpressionAttributeValues": {":p": {"S": "a"}, ":s": {"N": "1"}}}, FilterExpression="s = :s"
    ) == ("Filter Expression can only contain non-primary key attributes: Primary key attribute: s")
    assert refused(db.query, **query, ExclusiveStartKey={"p": {"S": "b"}, "s": {"N": "1"}}) == (
        "The provided starting key is outside query boundaries based on provided conditions"
    )
    assert refused(db.query, **query, ExclusiveStartKey={"p": {"S": "a"}}).startswith("The provided starting key is invalid")
    assert refused(db.query, TableName="things") == (
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    )


def test_query__older_parameters(db: Any) -> None:
    found = db.query(
        TableName="things",
        KeyConditions={
            "p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]},
            "s": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "0"}, {"N": "10"}]},
        },
        QueryFilter={"colour": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "blue"}]}},
        AttributesToGet=["s"],
    )
    assert found["Items"] == [{"s": {"N": "1.5"}}, {"s": {"N": "2"}}, {"s": {"N": "10"}}]


def test_scan__whole_in_pages_and_in_segments(db: Any) -> None:
    whole = db.scan(TableName="things")
    assert whole["Count"] == 14
    pages = db.get_paginator("scan").paginate(TableName="things", PaginationConfig={"PageSize": 3})
    assert [item for page in pages for item in page["Items"]] == whole["Items"]
    for number in range(150):
        db.put_item(TableName="things", Item={"p": {"S": f"p{number}"}, "s": {"N": "1"}})
    found = [
        item["p"]["S"] + item["s"]["N"]
        for segment in range(4)
        for page in db.get_paginator("scan").paginate(
            TableName="things", TotalSegments=4, Segment=segment, PaginationConfig={"PageSize": 10}
        )
        for item in page["Items"]
    ]
    assert len(found) == len(set(found)) == 164
    assert refused(db.scan, TableName="things", TotalSegments=2, Segment=2) == (
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
        "Segment: 2 is not less than TotalSegments: 2"
    )


def test_scan__filters_and_indexes(db: Any) -> None:
    blue = {"FilterExpression": "colour = :c", "ExpressionAttributeValues": {":c": {"S": "blue"}}}
    assert db.scan(TableName="things", **blue, Select="COUNT")["Count"] == 6
    assert db.scan(TableName="things", IndexName="all", **blue)["ScannedCount"] == 14
    older = {"colour": {"ComparisonOperator": "IN", "AttributeValueList": [{"S": "blue"}, {"S": "green"}]}}
    assert db.scan(TableName="things", ScanFilter=older)["Count"] == 6
    db.put_item(TableName="things", Item={"p": {"S": "plain"}, "s": {"N": "1"}})
    assert db.scan(TableName="things", IndexName="all", Select="COUNT")["Count"] == 14


def test_query__a_long_page_is_read_whole(db: Any) -> None:
    """Beyond a few hundred items the page is read in a thread: it must be the same page."""
    for begin in range(0, 1000, 25):
        batch = [{"PutRequest": {"Item": {"p": {"S": "long"}, "s": {"N": str(n)}}}} for n in range(begin, begin + 25)]
        db.batch_write_item(RequestItems={"things": batch})
    query = {"TableName": "things", "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "long"}}}
    assert sorts(db.query(**query)) == list(range(1000))
    odd = db.query(**query, FilterExpression="attribute_exists(extra)")
    assert (odd["Count"], odd["ScannedCount"]) == (0, 1000)
    assert db.scan(TableName="things", Select="COUNT")["Count"] == 1014
