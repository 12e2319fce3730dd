"""Global indexes whose keys have several attributes of a kind: made, filled, queried, paged, backed up."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Client = Callable[..., Any]
KINDS = {"pk": "S", "h": "S", "a": "S", "b": "N", "c": "S", "d": "S"}
VALUES = {
    ":h": {"S": "o"}, ":a": {"S": "T"}, ":b": {"N": "2"}, ":c": {"S": "a"}, ":d": {"S": "r"},
    ":x": {"S": "r1"}, ":y": {"S": "r2"},
}  # fmt: skip
ITEMS = {
    "p1": ("T", "2", "b", "r1"), "p2": ("T", "2", "a", "r2"), "p3": ("T", "2", "a", "r1"), "p4": ("T", "-10", "c", "r1"),
    "p5": ("F", "2", "a", "r0"), "p6": ("T", "10", "a\x00", "r1"),
}  # fmt: skip


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def schema(hashes: str, ranges: str = "") -> list[dict[str, str]]:
    keys = [{"AttributeName": name, "KeyType": "HASH"} for name in hashes]
    return keys + [{"AttributeName": name, "KeyType": "RANGE"} for name in ranges]


def definitions(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": KINDS.get(name, "S")} for name in names]


def index(hashes: str, ranges: str = "", name: str = "gsi", projection: str = "ALL") -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": schema(hashes, ranges), "Projection": {"ProjectionType": projection}}


def create(db: Any, *indexes: dict[str, Any], name: str = "many") -> Any:
    used = dict.fromkeys(["pk", *(key["AttributeName"] for one in indexes for key in one["KeySchema"])])
    more = {"GlobalSecondaryIndexes": list(indexes)} if indexes else {}
    return db.create_table(
        TableName=name, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], AttributeDefinitions=definitions(*used),
        BillingMode="PAY_PER_REQUEST", **more,
    )["TableDescription"]  # fmt: skip


def fill(db: Any) -> None:
    for name, (a, b, c, d) in ITEMS.items():
        item = {"pk": {"S": name}, "h": {"S": "o"}, "a": {"S": a}, "b": {"N": b}, "c": {"S": c}, "d": {"S": d}}
        db.put_item(TableName="many", Item=item)
    for name, lacking in (("p7", "c"), ("p8", "a"), ("p9", "h")):
        item = {"pk": {"S": name}, "h": {"S": "o"}, "a": {"S": "T"}, "b": {"N": "1"}, "c": {"S": "c"}, "d": {"S": "d"}}
        db.put_item(TableName="many", Item={key: value for key, value in item.items() if key != lacking})


def query(db: Any, condition: str, **more: Any) -> list[str]:
    values = {name: value for name, value in VALUES.items() if name in condition}
    answer = db.query(
        TableName="many", IndexName="gsi", KeyConditionExpression=condition, ExpressionAttributeValues=values, **more
    )
    return [item["pk"]["S"] for item in answer["Items"]]


@pytest.fixture
def db(client: Client) -> Any:
    made = client("dynamodb")
    create(made, index("h", "abcd"))
    fill(made)
    return made


def test_create_table__shows_the_key_as_it_was_given(client: Client) -> None:
    db = client("dynamodb")
    made = create(db, index("ha", "bc"), index("hab", name="only"))
    assert [one["KeySchema"] for one in made["GlobalSecondaryIndexes"]] == [schema("ha", "bc"), schema("hab")]
    assert db.describe_table(TableName="many")["Table"] == made
    names = [f"n{number}" for number in range(8)]
    most = {"IndexName": "most", "KeySchema": [], "Projection": {"ProjectionType": "KEYS_ONLY"}}
    most["KeySchema"] = [
        {"AttributeName": name, "KeyType": "HASH" if number < 4 else "RANGE"} for number, name in enumerate(names)
    ]
    assert create(db, most, name="most")["GlobalSecondaryIndexes"][0]["KeySchema"] == most["KeySchema"]
    db.put_item(TableName="most", Item={"pk": {"S": "x"}, **{name: {"S": name} for name in names}, "more": {"S": "x"}})
    (item,) = db.scan(TableName="most", IndexName="most")["Items"]
    assert sorted(item) == sorted([*names, "pk"])


@pytest.mark.parametrize(
    ("hashes", "ranges", "words"),
    [
        ("abcde", "", "at most 4 HASH elements"),
        ("h", "abcde", "at most 4 RANGE elements"),
        ("h", "aba", r"stands more than once in the KeySchema of an index: \[h, a, b, a\]"),
    ],
)
def test_create_table__refuses(client: Client, hashes: str, ranges: str, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        create(client("dynamodb"), index(hashes, ranges))


def test_create_table__refuses_other_orders_and_local_indexes(client: Client) -> None:
    db = client("dynamodb")
    mixed = {**index("h"), "KeySchema": [*schema("h", "a"), *schema("b")]}
    with pytest.raises(ClientError, match="HASH elements of an index's KeySchema must come before its RANGE elements"):
        create(db, mixed)
    with pytest.raises(ClientError, match="The first KeySchemaElement is not a HASH key type"):
        create(db, {**index("h"), "KeySchema": schema("", "ab")})
    message = refused(
        db.create_table, TableName="many", KeySchema=schema("h", "a"), AttributeDefinitions=definitions("h", "a", "b", "c"),
        BillingMode="PAY_PER_REQUEST", LocalSecondaryIndexes=[index("h", "bc")],
    )  # fmt: skip
    assert message.startswith("Key Schema too big.")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("h = :h", ["p5", "p4", "p3", "p2", "p1", "p6"]),
        ("h = :h AND a = :a", ["p4", "p3", "p2", "p1", "p6"]),
        ("a = :a AND h = :h AND b = :b", ["p3", "p2", "p1"]),
        ("h = :h AND a = :a AND b < :b", ["p4"]),
        ("h = :h AND a = :a AND b >= :b", ["p3", "p2", "p1", "p6"]),
        ("h = :h AND a = :a AND b = :b AND c > :c", ["p1"]),
        ("h = :h AND a = :a AND b = :b AND c = :c", ["p3", "p2"]),
        ("h = :h AND a = :a AND b = :b AND c = :c AND begins_with(d, :d)", ["p3", "p2"]),
        ("h = :h AND a = :a AND b = :b AND c = :c AND d BETWEEN :x AND :x", ["p3"]),
        ("h = :h AND a = :a AND b = :b AND c = :c AND d = :y", ["p2"]),
    ],
)
def test_query(db: Any, condition: str, expected: list[str]) -> None:
    assert query(db, condition) == expected
    assert query(db, condition, ScanIndexForward=False) == expected[::-1]


GAP = (
    "RANGE key attributes {} must have equality conditions specified in the query because a condition is present on key "
    "attribute {}"
)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("h = :h AND a = :a AND c = :c", GAP.format("b", "c")),
        ("h = :h AND a = :a AND b > :b AND c = :c", GAP.format("b", "c")),
        ("h = :h AND b = :b", GAP.format("a", "b")),
        ("a = :a AND b = :b AND c = :c", "Query condition missed key schema element: h"),
        ("h > :h AND a = :a AND b = :b", "Query key condition not supported"),
        ("h = :h AND zz = :a", "Query key condition not supported"),
        (
            "h = :h AND a = :b AND b = :b",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
    ],
)
def test_query__refuses(db: Any, condition: str, message: str) -> None:
    values = {name: value for name, value in VALUES.items() if name in condition}
    assert message == refused(
        db.query, TableName="many", IndexName="gsi", KeyConditionExpression=condition, ExpressionAttributeValues=values
    )


def test_query__filters_say_nothing_of_the_key(db: Any) -> None:
    message = refused(
        db.query, TableName="many", IndexName="gsi", KeyConditionExpression="h = :h", FilterExpression="d = :x",
        ExpressionAttributeValues={":h": VALUES[":h"], ":x": VALUES[":x"]},
    )  # fmt: skip
    assert message.endswith("Primary key attribute: d")


@pytest.mark.parametrize("forward", [True, False])
def test_query__pages(db: Any, forward: bool) -> None:
    asked = {
        "TableName": "many", "IndexName": "gsi", "KeyConditionExpression": "h = :h", "ScanIndexForward": forward, "Limit": 2,
        "ExpressionAttributeValues": {":h": VALUES[":h"]},
    }  # fmt: skip
    found, start = [], {}
    while True:
        page = db.query(**asked, **start)
        found += [item["pk"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        assert sorted(page["LastEvaluatedKey"]) == ["a", "b", "c", "d", "h", "pk"]
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    expected = ["p5", "p4", "p3", "p2", "p1", "p6"]
    assert found == (expected if forward else expected[::-1])
    start["ExclusiveStartKey"].pop("c")
    assert "does not match the schema" in refused(db.query, **asked, **start)


def test_query__by_key_conditions(db: Any) -> None:
    def equal(value: dict[str, str]) -> dict[str, Any]:
        return {"ComparisonOperator": "EQ", "AttributeValueList": [value]}

    conditions = {"h": equal(VALUES[":h"]), "a": equal(VALUES[":a"])}
    above = {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "-10"}]}
    found = db.query(TableName="many", IndexName="gsi", KeyConditions={**conditions, "b": above})
    assert [item["pk"]["S"] for item in found["Items"]] == ["p3", "p2", "p1", "p6"]
    skipped = {**conditions, "c": equal(VALUES[":c"])}
    assert refused(db.query, TableName="many", IndexName="gsi", KeyConditions=skipped) == GAP.format("b", "c")


def test_several_partition_attributes__are_not_run_together(client: Client) -> None:
    db = client("dynamodb")
    create(db, index("ac", "d"))
    for name, a, c in (("1", "x", "yz"), ("2", "xy", "z"), ("3", "x\x00", "y"), ("4", "x", "\x00y")):
        db.put_item(TableName="many", Item={"pk": {"S": name}, "a": {"S": a}, "c": {"S": c}, "d": {"S": "d"}})

    def found(a: str, c: str) -> list[str]:
        answer = db.query(
            TableName="many", IndexName="gsi", KeyConditionExpression="c = :c AND a = :a",
            ExpressionAttributeValues={":a": {"S": a}, ":c": {"S": c}},
        )  # fmt: skip
        return [item["pk"]["S"] for item in answer["Items"]]

    assert [found("x", "yz"), found("xy", "z"), found("x\x00", "y"), found("x", "\x00y")] == [["1"], ["2"], ["3"], ["4"]]
    alone = refused(
        db.query, TableName="many", IndexName="gsi", KeyConditionExpression="a = :a",
        ExpressionAttributeValues={":a": {"S": "x"}},
    )  # fmt: skip
    assert alone == "Query condition missed key schema element: c"


def test_writes__move_entries_and_check_their_attributes(db: Any) -> None:
    def update(name: str, expression: str, **values: Any) -> None:
        more = {"ExpressionAttributeValues": {f":{key}": value for key, value in values.items()}} if values else {}
        db.update_item(TableName="many", Key={"pk": {"S": name}}, UpdateExpression=expression, **more)

    update("p1", "SET b = :v", v={"N": "-11"})
    update("p2", "REMOVE d")
    db.delete_item(TableName="many", Key={"pk": {"S": "p6"}})
    assert query(db, "h = :h AND a = :a") == ["p1", "p4", "p3"]
    update("p2", "SET d = :v", v={"S": "r0"})
    assert query(db, "h = :h AND a = :a") == ["p1", "p4", "p2", "p3"]
    item = {"pk": {"S": "w"}, "h": {"S": "o"}, "b": {"S": "no number"}}
    assert refused(db.put_item, TableName="many", Item=item) == (
        "One or more parameter values were invalid: Type mismatch for Index Key b Expected: N Actual: S IndexName: gsi"
    )
    half = {"S": "x" * 500}
    long = {"pk": {"S": "w"}, "h": {"S": "o"}, "a": half, "b": {"N": "1"}, "c": half, "d": {"S": "x" * 15}}
    assert "Aggregated size of all range keys" in refused(db.put_item, TableName="many", Item={**long, "d": {"S": "x" * 40}})
    db.put_item(TableName="many", Item=long)


def test_update_table__fills_an_index_of_several_attributes(client: Client) -> None:
    db = client("dynamodb")
    create(db)
    fill(db)
    for begin in range(0, 300, 25):
        batch = [{"PutRequest": {"Item": {"pk": {"S": f"n{begin + number}"}}}} for number in range(25)]
        db.batch_write_item(RequestItems={"many": batch})
    db.update_table(
        TableName="many", AttributeDefinitions=definitions("pk", "h", "a", "b", "c"),
        GlobalSecondaryIndexUpdates=[{"Create": index("ha", "bc")}],
    )  # fmt: skip
    eventually(lambda: db.describe_table(TableName="many")["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE")
    assert query(db, "h = :h AND a = :a AND b = :b") in (["p2", "p3", "p1"], ["p3", "p2", "p1"])
    described = db.update_table(TableName="many", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "gsi"}}])
    assert described["TableDescription"]["AttributeDefinitions"] == definitions("pk")


def test_statements__do_not_read_such_an_index(db: Any) -> None:
    message = "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
    for where in ("", " WHERE h = 'o'", " WHERE h = 5", " WHERE pk = 'p1'", " WHERE h = 'o' ORDER BY a DESC"):
        assert refused(db.execute_statement, Statement=f'SELECT * FROM "many"."gsi"{where}') == message
    batch = [{"Statement": statement} for statement in (
        "SELECT * FROM many.gsi WHERE h = 'o'", "SELECT * FROM many WHERE pk = 'p1'"
    )]  # fmt: skip
    refusal, answer = db.batch_execute_statement(Statements=batch)["Responses"]
    assert refusal["Error"] == {"Code": "ValidationError", "Message": message}
    assert answer["Item"]["pk"] == {"S": "p1"}
    db.execute_statement(Statement="UPDATE many SET b = 3 WHERE pk = 'p1'")
    assert query(db, "h = :h AND a = :a AND b > :b") == ["p1", "p6"]


def test_backup_and_restore__keep_the_index(db: Any) -> None:
    arn = db.create_backup(TableName="many", BackupName="kept")["BackupDetails"]["BackupArn"]

    def described() -> Any:
        found = db.describe_backup(BackupArn=arn)["BackupDescription"]
        return found if found["BackupDetails"]["BackupStatus"] == "AVAILABLE" else None

    features = eventually(described)["SourceTableFeatureDetails"]
    assert features["GlobalSecondaryIndexes"][0]["KeySchema"] == schema("h", "abcd")
    db.restore_table_from_backup(
        TargetTableName="again", BackupArn=arn, GlobalSecondaryIndexOverride=[index("h", "abcd")]
    )  # fmt: skip
    eventually(lambda: db.describe_table(TableName="again")["Table"]["TableStatus"] == "ACTIVE")
    found = db.query(
        TableName="again", IndexName="gsi", KeyConditionExpression="h = :h AND a = :a AND b < :b",
        ExpressionAttributeValues={name: VALUES[name] for name in (":h", ":a", ":b")},
    )  # fmt: skip
    assert [item["pk"]["S"] for item in found["Items"]] == ["p4"]


def active(db: Any, name: str) -> Any:
    def check() -> Any:
        found = db.describe_table(TableName=name)["Table"]
        indexes = found.get("GlobalSecondaryIndexes", ())
        return found if found["TableStatus"] == "ACTIVE" and all(one["IndexStatus"] == "ACTIVE" for one in indexes) else None

    return eventually(check, 40)


def there(db: Any, name: str) -> list[str]:
    """The items of a partition of the index with a prefix of its sort key, of any table."""
    answer = db.query(
        TableName=name, IndexName="gsi", KeyConditionExpression="h = :h AND a = :a AND b = :b",
        ExpressionAttributeValues={value: VALUES[value] for value in (":h", ":a", ":b")},
    )  # fmt: skip
    return [item["pk"]["S"] for item in answer["Items"]]


def test_import__fills_the_index(client: Client, account: str) -> None:
    db, s3 = client("dynamodb"), client("s3")
    bucket = f"keys-{account}"
    s3.create_bucket(Bucket=bucket)
    rows = ["pk,h,a,b,c,d", *(",".join((name, "o", *values)) for name, values in ITEMS.items() if "\x00" not in values[2])]
    s3.put_object(Bucket=bucket, Key="csv/1", Body="\n".join([*rows, "p7,o,T,x,c,d"]).encode())
    made = [{"pk": {"S": name}, **{key: {KINDS[key]: text} for key, text in zip("habcd", ("o", *values), strict=True)}}
            for name, values in ITEMS.items()]  # fmt: skip
    made += [{"pk": {"S": "p7"}, "h": {"S": "o"}, "a": {"S": "T"}}, {"pk": {"S": "p8"}, "h": {"N": "1"}}]
    lines = "\n".join(json.dumps({"Item": item}) for item in made)
    s3.put_object(Bucket=bucket, Key="json/1.gz", Body=gzip.compress(lines.encode()))
    creation = {
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": definitions("pk", *"habcd"), "GlobalSecondaryIndexes": [index("h", "abcd")],
    }  # fmt: skip
    for form, compression, errors, items in (("CSV", "NONE", 1, 5), ("DYNAMODB_JSON", "GZIP", 1, 7)):
        name = f"made-{form}"
        begun = db.import_table(
            S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "csv" if form == "CSV" else "json"}, InputFormat=form,
            InputCompressionType=compression, TableCreationParameters={"TableName": name, **creation},
        )["ImportTableDescription"]  # fmt: skip
        found = active(db, name)
        done = db.describe_import(ImportArn=begun["ImportArn"])["ImportTableDescription"]
        assert (done["ErrorCount"], done["ImportedItemCount"]) == (errors, items)
        assert found["GlobalSecondaryIndexes"][0]["KeySchema"] == schema("h", "abcd")
        # p7 of the JSON has no b, so it is in the table and not in the index.
        assert found["GlobalSecondaryIndexes"][0]["ItemCount"] == len(db.scan(TableName=name, IndexName="gsi")["Items"])
        assert found["GlobalSecondaryIndexes"][0]["ItemCount"] == (5 if form == "CSV" else 6)
        assert there(db, name) == ["p3", "p2", "p1"]


def test_export_and_recovery__keep_items_and_index(db: Any, client: Client, account: str, server: HeadraceServer) -> None:
    recovery = {"PointInTimeRecoveryEnabled": True}
    db.update_continuous_backups(TableName="many", PointInTimeRecoverySpecification=recovery)
    arn = db.describe_table(TableName="many")["Table"]["TableArn"]
    client("s3").create_bucket(Bucket=f"keys-{account}")
    server.advance(2)
    at = server.page("/_headrace/clock")["now"]
    server.advance(2)
    db.put_item(TableName="many", Item={"pk": {"S": "p3"}, "h": {"S": "elsewhere"}})
    begun = db.export_table_to_point_in_time(TableArn=arn, S3Bucket=f"keys-{account}", ExportTime=at)["ExportDescription"]

    def exported() -> Any:
        found = db.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
        return found if found["ExportStatus"] == "COMPLETED" else None

    # Nine items as they were then, those that the index has not among them; they come back into an index of the same key.
    done = eventually(exported, 40)
    assert done["ItemCount"] == len(ITEMS) + 3
    folder = done["ExportManifest"].rpartition("/")[0] + "/data/"
    db.import_table(
        S3BucketSource={"S3Bucket": f"keys-{account}", "S3KeyPrefix": folder}, InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": "back", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": definitions("pk", *"habcd"), "GlobalSecondaryIndexes": [index("h", "abcd")],
        },
    )  # fmt: skip
    db.restore_table_to_point_in_time(SourceTableName="many", TargetTableName="then", RestoreDateTime=at)
    for name in ("back", "then"):
        found = active(db, name)
        assert (found["ItemCount"], found["GlobalSecondaryIndexes"][0]["ItemCount"]) == (9, 6)
        assert found["GlobalSecondaryIndexes"][0]["KeySchema"] == schema("h", "abcd")
        assert there(db, name) == ["p3", "p2", "p1"]
    assert there(db, "many") == ["p2", "p1"]


def test_replicas__have_the_index(client: Client, server: HeadraceServer, account: str) -> None:
    here, other = client("dynamodb"), server.client("dynamodb", account, "eu-west-1")
    create(here, index("h", "abcd"))
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    here.update_table(TableName="many", StreamSpecification=stream)
    fill(here)
    here.update_table(TableName="many", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    found = active(other, "many")
    assert found["GlobalSecondaryIndexes"][0]["KeySchema"] == schema("h", "abcd")
    assert there(other, "many") == ["p3", "p2", "p1"]
    # A change of the middle of the key moves the entry in the other region as well, whichever of them it is made in.
    other.update_item(
        TableName="many", Key={"pk": {"S": "p3"}}, UpdateExpression="SET b = :b", ExpressionAttributeValues={":b": {"N": "3"}}
    )
    here.delete_item(TableName="many", Key={"pk": {"S": "p2"}})
    eventually(lambda: there(here, "many") == there(other, "many") == ["p1"])
    assert other.describe_table(TableName="many")["Table"]["GlobalSecondaryIndexes"][0]["ItemCount"] == 5


def test_a_stack__makes_and_changes_such_an_index(client: Client) -> None:
    cloudformation, db = client("cloudformation"), client("dynamodb")

    def template(hashes: str, ranges: str) -> str:
        table = {
            "TableName": "many", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": definitions("pk", *hashes, *ranges),
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "GlobalSecondaryIndexes": [index(hashes, ranges)],
        }  # fmt: skip
        return json.dumps({"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": table}}})

    def status() -> Any:
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"]
        return None if found.endswith("IN_PROGRESS") else found

    def has() -> Any:
        return db.describe_table(TableName="many")["Table"]["GlobalSecondaryIndexes"][0]["KeySchema"]

    cloudformation.create_stack(StackName="s", TemplateBody=template("h", "abcd"))
    assert eventually(status) == "CREATE_COMPLETE"
    assert has() == schema("h", "abcd")
    fill(db)
    assert there(db, "many") == ["p3", "p2", "p1"]
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(StackName="s", TemplateBody=template("h", "abcd"))
    # Another key is another index under the same name: it is made again, and takes in what is there.
    cloudformation.update_stack(StackName="s", TemplateBody=template("ha", "bc"))
    assert eventually(status, 40) == "UPDATE_COMPLETE"
    assert has() == schema("ha", "bc")
    assert sorted(there(db, "many")) == ["p1", "p2", "p3"]
    cloudformation.delete_stack(StackName="s")
    eventually(lambda: "many" not in db.list_tables()["TableNames"])
