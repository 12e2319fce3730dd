"""Tables through boto3: create, describe, list, update, delete; tags and limits."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import eventually

Client = Callable[..., Any]


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def simple(name: str = "simple", **more: Any) -> dict[str, Any]:
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }


def index(name: str, partition: str, sort: str | None = None, **projection: Any) -> dict[str, Any]:
    schema = [{"AttributeName": partition, "KeyType": "HASH"}]
    if sort is not None:
        schema.append({"AttributeName": sort, "KeyType": "RANGE"})
    return {"IndexName": name, "KeySchema": schema, "Projection": projection or {"ProjectionType": "ALL"}}


def test_create_table__describes_what_was_asked(client: Client, account: str) -> None:
    db = client("dynamodb")
    made = db.create_table(
        TableName="whole",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in (("p", "S"), ("s", "N"), ("g", "B"), ("l", "S"))
        ],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        LocalSecondaryIndexes=[index("local", "p", "l", ProjectionType="KEYS_ONLY")],
        GlobalSecondaryIndexes=[
            {
                **index("global", "g", ProjectionType="INCLUDE", NonKeyAttributes=["x"]),
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        Tags=[{"Key": "team", "Value": "blue"}],
        DeletionProtectionEnabled=True,
    )["TableDescription"]
    assert made["TableStatus"] == "ACTIVE"
    assert made["TableArn"] == f"arn:aws:dynamodb:us-east-1:{account}:table/whole"
    assert made["KeySchema"] == [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}]
    assert made["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert made["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert made["LatestStreamArn"] == f"{made['TableArn']}/stream/{made['LatestStreamLabel']}"
    assert made["DeletionProtectionEnabled"] is True
    (local,), (everywhere,) = made["LocalSecondaryIndexes"], made["GlobalSecondaryIndexes"]
    assert local["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert local["IndexArn"] == f"{made['TableArn']}/index/local"
    assert everywhere["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}
    assert everywhere["IndexStatus"] == "ACTIVE"
    assert db.describe_table(TableName="whole")["Table"] == made
    assert db.describe_table(TableName=made["TableArn"])["Table"] == made
    db.get_waiter("table_exists").wait(TableName="whole", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    assert db.list_tags_of_resource(ResourceArn=made["TableArn"])["Tags"] == [{"Key": "team", "Value": "blue"}]


REFUSED = [
    (
        simple("with space"),
        "1 validation error detected: Value 'with space' at 'tableName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    ),
    (simple("ab"), "TableName must be at least 3 characters long and at most 255 characters long"),
    (
        simple(AttributeDefinitions=[]),
        "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [id], AttributeDefinitions: []",
    ),
    (
        simple(KeySchema=[{"AttributeName": "id", "KeyType": "RANGE"}]),
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ),
    (
        simple(KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}]),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ),
    (
        simple(AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "more")]),
        "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match "
        "number of attributes defined in AttributeDefinitions",
    ),
    (
        simple(BillingMode="PROVISIONED"),
        "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when "
        "BillingMode is PROVISIONED",
    ),
    (
        simple(ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}),
        "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when "
        "BillingMode is PAY_PER_REQUEST",
    ),
    (
        simple(LocalSecondaryIndexes=[index("local", "id", "id")]),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ),
    (
        simple(GlobalSecondaryIndexes=[index("one", "id"), index("one", "id")]),
        "One or more parameter values were invalid: Duplicate index name: one",
    ),
    (
        simple(GlobalSecondaryIndexes=[index("one", "id", ProjectionType="ALL", NonKeyAttributes=["x"])]),
        "One or more parameter values were invalid: ProjectionType is ALL, but NonKeyAttributes is specified",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[case[1][-50:] for case in REFUSED])
def test_create_table__refuses(client: Client, arguments: dict[str, Any], message: str) -> None:
    assert refused(client("dynamodb").create_table, **arguments) == ("ValidationException", message)


def test_create_table__of_a_name_that_is_there(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**simple())
    assert refused(db.create_table, **simple()) == ("ResourceInUseException", "Table already exists: simple")


def test_list_tables__pages(client: Client) -> None:
    db = client("dynamodb")
    names = [f"table-{number}" for number in range(5)]
    for name in reversed(names):
        db.create_table(**simple(name))
    first = db.list_tables(Limit=2)
    assert first == {**first, "TableNames": names[:2], "LastEvaluatedTableName": "table-1"}
    assert [
        name for page in db.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2}) for name in page["TableNames"]
    ] == names
    assert client("dynamodb", region="eu-west-1").list_tables()["TableNames"] == []


def test_delete_table__and_create_again(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**simple(DeletionProtectionEnabled=True))
    db.put_item(TableName="simple", Item={"id": {"S": "a"}})
    assert refused(db.delete_table, TableName="simple")[0] == "ValidationException"
    db.update_table(TableName="simple", DeletionProtectionEnabled=False)
    assert db.delete_table(TableName="simple")["TableDescription"]["TableStatus"] == "DELETING"
    missing = ("ResourceNotFoundException", "Requested resource not found: Table: simple not found")
    assert refused(db.describe_table, TableName="simple") == missing
    assert refused(db.delete_table, TableName="simple") == missing
    db.create_table(**simple())
    assert db.scan(TableName="simple")["Items"] == []


def test_item_count(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**simple())
    for name in ("a", "b", "c"):
        db.put_item(TableName="simple", Item={"id": {"S": name}, "x": {"S": "12345"}})
    db.put_item(TableName="simple", Item={"id": {"S": "a"}})
    db.delete_item(TableName="simple", Key={"id": {"S": "b"}})
    table = db.describe_table(TableName="simple")["Table"]
    assert (table["ItemCount"], table["TableSizeBytes"]) == (2, 3 + 9)


def test_update_table__adds_and_removes_an_index(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**simple())
    for number in range(450):
        if number % 25 == 0:
            batch = [
                {"PutRequest": {"Item": {"id": {"S": f"{n:04d}"}, "colour": {"S": "red" if n % 3 else "blue"}}}}
                for n in range(number, number + 25)
            ]
            db.batch_write_item(RequestItems={"simple": batch})
    db.put_item(TableName="simple", Item={"id": {"S": "odd"}, "colour": {"N": "1"}})
    db.update_table(
        TableName="simple",
        AttributeDefinitions=[{"AttributeName": "colour", "AttributeType": "S"}, {"AttributeName": "id", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index("by-colour", "colour", "id")}],
    )

    def status() -> str:
        return str(db.describe_table(TableName="simple")["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"])

    eventually(lambda: status() == "ACTIVE")
    blue = db.query(
        TableName="simple", IndexName="by-colour", KeyConditionExpression="colour = :c",
        ExpressionAttributeValues={":c": {"S": "blue"}},
    )  # fmt: skip
    assert [item["id"]["S"] for item in blue["Items"]] == [f"{n:04d}" for n in range(0, 450, 3)]
    # The item that could not be in the index can still be changed and deleted.
    db.update_item(
        TableName="simple",
        Key={"id": {"S": "odd"}},
        UpdateExpression="SET colour = :c",
        ExpressionAttributeValues={":c": {"S": "odd"}},
    )
    db.delete_item(TableName="simple", Key={"id": {"S": "odd"}})
    db.update_table(TableName="simple", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-colour"}}])
    described = db.describe_table(TableName="simple")["Table"]
    assert "GlobalSecondaryIndexes" not in described
    assert described["AttributeDefinitions"] == [{"AttributeName": "id", "AttributeType": "S"}]
    db.put_item(TableName="simple", Item={"id": {"S": "free"}, "colour": {"N": "1"}})


def test_update_table__billing(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**simple())
    units = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}
    changed = db.update_table(TableName="simple", BillingMode="PROVISIONED", ProvisionedThroughput=units)["TableDescription"]
    assert changed["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
    assert "BillingModeSummary" not in changed
    back = db.update_table(TableName="simple", BillingMode="PAY_PER_REQUEST")["TableDescription"]
    assert back["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_tags(client: Client) -> None:
    db = client("dynamodb")
    arn = db.create_table(**simple())["TableDescription"]["TableArn"]
    db.tag_resource(ResourceArn=arn, Tags=[{"Key": f"k{n:02d}", "Value": "v"} for n in range(12)])
    db.untag_resource(ResourceArn=arn, TagKeys=["k00"])
    pages = list(db.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn))
    assert [tag["Key"] for page in pages for tag in page["Tags"]] == [f"k{n:02d}" for n in range(1, 12)]
    assert refused(db.tag_resource, ResourceArn=arn + "x", Tags=[{"Key": "a", "Value": "b"}])[0] == "ResourceNotFoundException"


def test_limits_and_endpoints(client: Client) -> None:
    db = client("dynamodb")
    assert db.describe_limits()["TableMaxReadCapacityUnits"] == 40000
    assert len(db.describe_endpoints()["Endpoints"]) == 1
