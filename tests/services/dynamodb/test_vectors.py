"""Vector indexes: what they hold, what they find, and what they refuse."""

import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually

VECTORS = {"a": [1, 0, 0], "b": [0, 1, 0], "c": [-1, 0, 0], "d": [0.6, 0.8, 0]}


def f32(number: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


def vector(*elements: float) -> list[dict[str, str]]:
    return [{"N": str(one)} for one in elements]


def index(name: str = "near", **more: Any) -> dict[str, Any]:
    given = {
        "IndexName": name, "VectorAttribute": {"AttributeName": "embedding"}, "Dimensions": 3, "DistanceFunction": "COSINE",
        "Projection": {"ProjectionType": "ALL"},
    }  # fmt: skip
    return {**given, **more}


SCHEMA = [
    {"AttributeName": "tenant", "SearchSchemaElementType": "HASH"},
    {"AttributeName": "category", "SearchSchemaElementType": "INLINE_FILTER"},
]


class Table:
    """A table with vector indexes."""

    def __init__(self, dynamodb: Any, *indexes: dict[str, Any], name: str = "things", **more: Any) -> None:
        self.dynamodb, self.name = dynamodb, name
        used = {one["AttributeName"] for given in indexes for one in given.get("SearchSchema", ())}
        dynamodb.create_table(
            TableName=name, BillingMode=more.pop("BillingMode", "PAY_PER_REQUEST"),
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", *sorted(used))],
            **({"VectorIndexes": list(indexes)} if indexes else {}), **more,
        )  # fmt: skip

    def put(self, key: str, elements: Sequence[float] | None = None, **texts: str) -> Any:
        item: dict[str, Any] = {"pk": {"S": key}, **{name: {"S": text} for name, text in texts.items()}}
        if elements is not None:
            item["embedding"] = {"L": vector(*elements)}
        return self.dynamodb.put_item(TableName=self.name, Item=item, ReturnConsumedCapacity="INDEXES")

    def fill(self) -> "Table":
        for key, elements in VECTORS.items():
            self.put(key, elements, label=f"item-{key}")
        return self

    def search(self, *elements: float, on: str = "near", top: int = 10, **more: Any) -> Any:
        return self.dynamodb.search_vectors(
            TableName=self.name, IndexName=on, SearchVector=vector(*elements), TopK=top, **more
        )  # fmt: skip

    def found(self, *elements: float, **more: Any) -> list[str]:
        return [one["Item"]["pk"]["S"] for one in self.search(*elements, **more)["SearchResults"]]

    def scores(self, *elements: float, **more: Any) -> dict[str, float]:
        return {one["Item"]["pk"]["S"]: one["Score"] for one in self.search(*elements, **more)["SearchResults"]}

    def described(self) -> Any:
        return self.dynamodb.describe_table(TableName=self.name)["Table"]


@pytest.fixture
def dynamodb(client: Callable[..., Any]) -> Any:
    return client("dynamodb", config=Config(parameter_validation=False, retries={"total_max_attempts": 1}))


def refused(call: Callable[..., Any], *given: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(*given, **arguments)
    return raised.value.response["Error"]["Code"], raised.value.response["Error"]["Message"]


def test_search__scores_of_each_distance(dynamodb: Any) -> None:
    distances = {"cosine": "COSINE", "euclidean": "EUCLIDEAN", "dot": "DOT_PRODUCT"}
    table = Table(dynamodb, *(index(name, DistanceFunction=one) for name, one in distances.items())).fill()
    assert table.scores(1, 0, 0, on="cosine") == {"a": 0, "d": f32(1 - f32(0.6)), "b": 1, "c": 2}
    assert table.scores(1, 0, 0, on="euclidean") == pytest.approx({"a": 0, "d": math.sqrt(0.8), "b": math.sqrt(2), "c": 2})
    assert table.scores(1, 0, 0, on="dot") == {"a": 1, "d": f32(0.6), "b": 0, "c": -1}
    for name in distances:
        assert table.found(1, 0, 0, on=name) == ["a", "d", "b", "c"]
    assert table.found(1, 0, 0, on="dot", top=2) == ["a", "d"]
    assert "NextToken" not in table.search(1, 0, 0, on="dot", top=100)


def test_search__gives_what_is_projected(dynamodb: Any) -> None:
    only = index("keys", Projection={"ProjectionType": "KEYS_ONLY"})
    some = index("some", Projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["label"]})
    table = Table(dynamodb, index(), only, some)
    table.put("a", [1, 0, 0], label="first", other="x")
    assert table.search(1, 0, 0)["SearchResults"][0]["Item"] == {
        "pk": {"S": "a"}, "label": {"S": "first"}, "other": {"S": "x"},
    }  # fmt: skip
    assert table.search(1, 0, 0, on="keys")["SearchResults"][0]["Item"] == {"pk": {"S": "a"}}
    assert table.search(1, 0, 0, on="some")["SearchResults"][0]["Item"] == {"pk": {"S": "a"}, "label": {"S": "first"}}
    asked = table.search(1, 0, 0, on="keys", ProjectionExpression="pk, embedding")["SearchResults"][0]["Item"]
    assert [float(one["N"]) for one in asked["embedding"]["L"]] == [1, 0, 0]
    assert refused(table.search, 1, 0, 0, on="keys", ProjectionExpression="label")[0] == "ValidationException"


def test_index__has_32_bits_of_what_the_table_has_whole(dynamodb: Any) -> None:
    table = Table(dynamodb, index())
    precise = ["0.1", "16777217", "1.000000059604644775390625"]
    elements = {"L": [{"N": text} for text in precise]}
    dynamodb.put_item(TableName="things", Item={"pk": {"S": "f"}, "embedding": elements})
    assert dynamodb.get_item(TableName="things", Key={"pk": {"S": "f"}})["Item"]["embedding"] == elements
    found = table.search(1, 0, 0, ProjectionExpression="embedding")["SearchResults"][0]["Item"]["embedding"]["L"]
    assert found == [{"N": "0.1"}, {"N": "16777216.0"}, {"N": str(float(found[2]["N"]))}]
    assert f32(float(found[2]["N"])) == f32(float(precise[2]))
    assert len(found[2]["N"]) <= 10


def test_search__within_a_partition_and_with_filters(dynamodb: Any) -> None:
    table = Table(dynamodb, index(SearchSchema=SCHEMA), index("plain"))
    table.put("a", [1, 0, 0], tenant="t1", category="c1")
    table.put("b", [0, 1, 0], tenant="t1", category="c2")
    table.put("c", [1, 0, 0], tenant="t2", category="c1")
    table.put("none", [1, 0, 0], category="c1")
    table.put("bare", [0, 0, 1], tenant="t1")
    values = {":t": {"S": "t1"}, ":c": {"S": "c1"}}
    asked = {"SearchConditionExpression": "tenant = :t", "ExpressionAttributeValues": {":t": {"S": "t1"}}}
    assert set(table.found(1, 0, 0, **asked)) == {"a", "b", "bare"}
    assert table.found(1, 0, 0, **asked)[0] == "a"
    both = {"SearchConditionExpression": "tenant = :t AND category = :c", "ExpressionAttributeValues": values}
    assert table.found(1, 0, 0, **both) == ["a"]
    named = {"ExpressionAttributeNames": {"#t": "tenant"}, "SearchConditionExpression": ":t = #t"}
    assert len(table.found(1, 0, 0, ExpressionAttributeValues={":t": {"S": "t1"}}, **named)) == 3
    assert set(table.found(1, 0, 0, on="plain")) == {"a", "b", "c", "none", "bare"}
    assert table.described()["VectorIndexes"][0]["ItemCount"] == 4


def test_writes__keep_the_index(dynamodb: Any) -> None:
    table = Table(dynamodb, index(SearchSchema=SCHEMA[:1]), index("plain"))
    asked = {"SearchConditionExpression": "tenant = :t", "ExpressionAttributeValues": {":t": {"S": "t1"}}}
    table.put("a", [1, 0, 0], tenant="t1")
    table.put("a", [0, 1, 0], tenant="t1")
    assert table.scores(1, 0, 0, **asked) == {"a": 1}
    update = dynamodb.update_item
    update(
        TableName="things", Key={"pk": {"S": "a"}}, UpdateExpression="SET tenant = :t",
        ExpressionAttributeValues={":t": {"S": "t2"}},
    )  # fmt: skip
    assert table.found(1, 0, 0, **asked) == []
    assert table.found(1, 0, 0, on="plain") == ["a"]
    update(TableName="things", Key={"pk": {"S": "a"}}, UpdateExpression="REMOVE embedding")
    assert table.found(1, 0, 0, on="plain") == []
    table.put("b", [0, 0, 1])
    dynamodb.delete_item(TableName="things", Key={"pk": {"S": "b"}})
    assert [(one["ItemCount"], one["IndexSizeBytes"]) for one in table.described()["VectorIndexes"]] == [(0, 0), (0, 0)]
    dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": "things", "Item": {"pk": {"S": "c"}, "embedding": {"L": vector(1, 1, 1)}}}}]
    )
    dynamodb.execute_statement(Statement="INSERT INTO \"things\" VALUE {'pk': 'p', 'embedding': [1, 0, 0]}")
    assert table.found(1, 0, 0, on="plain") == ["p", "c"]


def test_writes__that_are_no_vectors(dynamodb: Any) -> None:
    table = Table(dynamodb, index("plain"), index("schema", SearchSchema=SCHEMA))
    assert refused(table.put, "x", [1, 0], tenant="t") == (
        "ValidationException",
        "One or more parameter values were invalid. Invalid size for parameter embedding, Expected: 3, Actual: 2 "
        "IndexName: plain",
    )

    def put(embedding: dict[str, Any], tenant: str = "t") -> str:
        item = {"pk": {"S": "x"}, "tenant": {"S": tenant}, "embedding": embedding}
        return refused(dynamodb.put_item, TableName="things", Item=item)[1]

    assert put({"L": [{"N": "1"}, {"S": "oops"}, {"N": "0"}]}) == (
        "One or more parameter values were invalid. Invalid type for parameter embedding[1], "
        "Expected: 32-bit floating point number, Actual: S. IndexName: plain"
    )
    assert put({"L": [{"N": "1"}, {"N": "1E+100"}, {"N": "0"}]}).endswith("Actual: N. IndexName: plain")
    assert put({"S": "no"}) == (
        "One or more parameter values were invalid. Invalid type for parameter embedding, "
        "Expected: 32-bit floating point number list IndexName: plain"
    )
    assert put({"L": vector(0, 0, 1)}, "") == (
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
        "The AttributeValue for a key attribute cannot contain an empty string value. IndexName: schema, IndexKey: tenant"
    )
    table.put("x", [1, 0, 0])
    update = {"UpdateExpression": "SET embedding = :e", "ExpressionAttributeValues": {":e": {"L": vector(1)}}}
    assert "Actual: 1" in refused(dynamodb.update_item, TableName="things", Key={"pk": {"S": "x"}}, **update)[1]
    assert table.found(1, 0, 0, on="plain") == ["x"]


def test_search__what_is_refused(dynamodb: Any) -> None:
    table = Table(dynamodb, index("plain"), index("schema", SearchSchema=SCHEMA))

    def said(*elements: float, **arguments: Any) -> str:
        code, message = refused(table.search, *elements, **{"on": "plain", **arguments})
        assert code == "ValidationException"
        return message

    assert said(1, 0, 0, top=101) == (
        "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive"
    )
    assert "greater than or equal to 1" in said(1, 0, 0, top=0)
    assert said(1, 0) == "Input search vector dimension 2 does not match vector index dimension 3"
    assert said(1, 0, 0, on="nothere") == "The table does not have the specified index: nothere"
    missing = "SearchConditionExpression must be provided when SearchSchema has a HASH key"
    assert said(1, 0, 0, on="schema") == missing
    wrong = "Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression"
    one = {":t": {"S": "t"}}
    assert said(1, 0, 0, on="schema", SearchConditionExpression="tenant < :t", ExpressionAttributeValues=one) == wrong
    two = {**one, ":c": {"S": "c"}}
    text = "tenant = :t AND category < :c"
    assert said(1, 0, 0, on="schema", SearchConditionExpression=text, ExpressionAttributeValues=two) == wrong
    text = "category = :t"
    assert said(1, 0, 0, on="schema", SearchConditionExpression=text, ExpressionAttributeValues=one) == missing
    assert said(1, 0, 0, SearchConditionExpression="tenant = :t", ExpressionAttributeValues=one) == (
        "SearchConditionExpression must not contain any attributes that is not in SearchSchema. Invalid attribute: tenant"
    )
    nested = {"TableName": "things", "IndexName": "plain", "SearchVector": [{"L": vector(1, 0, 0)}], "TopK": 1}
    assert refused(dynamodb.search_vectors, **nested)[1] == (
        "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number attribute"
    )
    gone = refused(dynamodb.search_vectors, **{**nested, "TableName": "nothere"})
    assert gone[0] == "ResourceNotFoundException"


def test_other_reads__do_not_reach_the_index(dynamodb: Any) -> None:
    Table(dynamodb, index())
    assert refused(dynamodb.scan, TableName="things", IndexName="near")[1] == "Scan operation not supported on this index type"
    assert refused(
        dynamodb.query, TableName="things", IndexName="near", KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "a"}},
    )[1] == "Query operation not supported on this index type"  # fmt: skip
    assert refused(dynamodb.execute_statement, Statement='SELECT * FROM "things"."near"')[1] == (
        "Scan operation not supported on this index type"
    )


def test_create__what_is_refused(dynamodb: Any) -> None:
    begin = "One or more parameter values were invalid: "

    def said(*indexes: dict[str, Any], **more: Any) -> str:
        return refused(Table, dynamodb, *indexes, name="refused", **more)[1]

    paid = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}}
    assert said(index(), **paid) == f"{begin}Vector indexes are only supported for PAY_PER_REQUEST tables"
    assert said(index(Dimensions=4097)) == f"{begin}Number of dimensions must be between 1 and 4096 inclusive."
    assert "greater than or equal to 1" in said(index(Dimensions=0))
    assert "length greater than or equal to 3" in said(index("ab"))
    six = [index(f"near-{number}") for number in range(6)]
    assert said(*six) == f"{begin}VectorIndex count exceeds the per-table limit of 5"
    assert said(index(), index("far", Dimensions=4)) == (
        f"{begin}Conflicting attribute definition for 'embedding'. All VectorIndexes on the same vector attribute must use the "
        "same dimensions."
    )
    assert said(index(), index()) == f"{begin}Duplicate index name: near"
    undefined = refused(
        dynamodb.create_table, TableName="refused", BillingMode="PAY_PER_REQUEST", VectorIndexes=[index(SearchSchema=SCHEMA)],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )[1]  # fmt: skip
    assert undefined == f"{begin}One element in SearchSchema is not defined in attribute definitions"
    assert "refused" not in dynamodb.list_tables()["TableNames"]


def test_describe__as_it_was_made(dynamodb: Any) -> None:
    table = Table(dynamodb, index(SearchSchema=SCHEMA, Dimensions=4096))
    described = table.described()
    (found,) = described["VectorIndexes"]
    assert found == {
        **index(SearchSchema=SCHEMA, Dimensions=4096), "IndexStatus": "ACTIVE", "IndexSizeBytes": 0, "ItemCount": 0,
        "IndexArn": f"{described['TableArn']}/index/near",
    }  # fmt: skip


def test_update__adds_and_takes_away(dynamodb: Any, server: HeadraceServer) -> None:
    table = Table(dynamodb)
    for key, elements in VECTORS.items():
        table.put(key, elements)
    table.put("short", [1, 2])
    table.put("without")
    change = dynamodb.update_table
    change(TableName="things", VectorIndexUpdates=[{"Create": index()}])
    assert table.found(1, 0, 0) == ["a", "d", "b", "c"]
    assert table.described()["VectorIndexes"][0]["ItemCount"] == 4
    assert refused(change, TableName="things", VectorIndexUpdates=[{"Create": index("x-1")}, {"Create": index("x-2")}]) == (
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )
    assert refused(change, TableName="things", VectorIndexUpdates=[{"Create": index()}])[0] == "ValidationException"
    assert "PAY_PER_REQUEST" in refused(
        change, TableName="things", BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )[1]  # fmt: skip
    change(TableName="things", VectorIndexUpdates=[{"Delete": {"IndexName": "near"}}])
    assert "VectorIndexes" not in table.described()
    assert refused(change, TableName="things", VectorIndexUpdates=[{"Delete": {"IndexName": "near"}}])[0] == (
        "ResourceNotFoundException"
    )
    change(TableName="things", VectorIndexUpdates=[{"Create": index()}])
    assert len(table.found(1, 0, 0)) == 4


def test_update__fills_a_large_table_beside_writes(dynamodb: Any) -> None:
    table = Table(dynamodb)
    chance = random.Random(3)
    puts = [
        {"PutRequest": {"Item": {"pk": {"S": f"k{n}"}, "embedding": {"L": vector(*(chance.random() for _ in range(3)))}}}}
        for n in range(5_000)  # so many that the index is not full when the table is to be removed
    ]
    for at in range(0, len(puts), 25):
        dynamodb.batch_write_item(RequestItems={"things": puts[at : at + 25]})
    dynamodb.update_table(TableName="things", VectorIndexUpdates=[{"Create": index()}])
    status = table.described()["VectorIndexes"][0]
    if status["IndexStatus"] == "CREATING":
        assert status["Backfilling"] is True
        assert refused(dynamodb.delete_table, TableName="things") == (
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: "
            "Cannot delete table while indexes are being created, updated, or deleted.",
        )
    table.put("k5", [9, 9, 9])
    dynamodb.delete_item(TableName="things", Key={"pk": {"S": "k6"}})
    table.put("new", [1, 1, 1])
    eventually(lambda: table.described()["VectorIndexes"][0]["IndexStatus"] == "ACTIVE")
    assert table.described()["VectorIndexes"][0]["ItemCount"] == len(puts)
    assert {"k5", "new"} == set(table.found(1, 1, 1, top=2))


def test_search__finds_what_looking_at_all_does(dynamodb: Any) -> None:
    chance = random.Random(5)
    wide = {"Dimensions": 16}
    distances = ("COSINE", "EUCLIDEAN", "DOT_PRODUCT")
    table = Table(dynamodb, *(index(one.lower(), DistanceFunction=one, **wide) for one in distances))
    made = {f"k{n}": [f32(chance.uniform(-2, 2)) for _ in range(16)] for n in range(150)}
    for key, elements in made.items():
        table.put(key, elements)
    asked = [f32(chance.uniform(-2, 2)) for _ in range(16)]

    def dot(left: Sequence[float], right: Sequence[float]) -> float:
        return math.fsum(a * b for a, b in zip(left, right, strict=True))

    expected = {
        "cosine": lambda v: 1 - dot(asked, v) / math.sqrt(dot(asked, asked) * dot(v, v)),
        "euclidean": lambda v: math.sqrt(math.fsum((a - b) ** 2 for a, b in zip(asked, v, strict=True))),
        "dot_product": lambda v: -dot(asked, v),
    }
    for name, rank in expected.items():
        nearest = sorted(made, key=lambda key: rank(made[key]))[:20]
        found = table.scores(*asked, on=name, top=20)
        assert list(found) == nearest
        sign = -1 if name == "dot_product" else 1
        assert list(found.values()) == pytest.approx([sign * rank(made[key]) for key in nearest], rel=1e-6)


def test_capacity__is_told_in_bytes_of_vectors(dynamodb: Any) -> None:
    table = Table(dynamodb, index())
    first = table.put("a", [1, 0, 0])["ConsumedCapacity"]
    assert first["CapacityUnits"] == first["Table"]["CapacityUnits"] == 1
    assert first["VectorIndexes"] == {"near": {"VectorWriteRequestBytes": 1024}}
    assert "VectorIndexes" not in table.put("a", [1, 0, 0])["ConsumedCapacity"]
    assert "VectorIndexes" not in table.put("b", label="no vector")["ConsumedCapacity"]
    total = dynamodb.put_item(
        TableName="things", Item={"pk": {"S": "c"}, "embedding": {"L": vector(1, 1, 1)}}, ReturnConsumedCapacity="TOTAL"
    )["ConsumedCapacity"]
    assert total == {"TableName": "things", "CapacityUnits": 1.0}
    for wanted in ("TOTAL", "INDEXES"):
        assert table.search(1, 0, 0, ReturnConsumedCapacity=wanted)["ConsumedCapacity"] == {"VectorSearchRequestBytes": 1024}
    assert "ConsumedCapacity" not in table.search(1, 0, 0, ReturnConsumedCapacity="NONE")


def test_restored_table__has_the_index(dynamodb: Any) -> None:
    Table(dynamodb, index(), index("far", DistanceFunction="EUCLIDEAN")).fill()
    backup = dynamodb.create_backup(TableName="things", BackupName="one")["BackupDetails"]["BackupArn"]

    def available() -> Any:
        described = dynamodb.describe_backup(BackupArn=backup)["BackupDescription"]
        return described if described["BackupDetails"]["BackupStatus"] == "AVAILABLE" else None

    kept = eventually(available)["SourceTableFeatureDetails"]["VectorIndexes"]
    assert kept == [index(), index("far", DistanceFunction="EUCLIDEAN")]
    dynamodb.restore_table_from_backup(TargetTableName="again", BackupArn=backup, VectorIndexOverride=[index("far")])
    eventually(lambda: dynamodb.describe_table(TableName="again")["Table"]["TableStatus"] == "ACTIVE")
    found = dynamodb.search_vectors(TableName="again", IndexName="far", SearchVector=vector(1, 0, 0), TopK=1)
    assert found["SearchResults"][0]["Item"]["pk"] == {"S": "a"}
    assert [one["IndexName"] for one in dynamodb.describe_table(TableName="again")["Table"]["VectorIndexes"]] == ["far"]


def test_search__asks_for_its_own_permission(
    server: HeadraceServer, client: Callable[..., Any], dynamodb: Any, account: str
) -> None:
    Table(dynamodb, index()).fill()
    iam = client("iam")
    iam.create_user(UserName="finder")
    keys = iam.create_access_key(UserName="finder")["AccessKey"]
    finder = boto3.client(
        "dynamodb", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
    )  # fmt: skip
    asked = {"TableName": "things", "IndexName": "near", "SearchVector": vector(1, 0, 0), "TopK": 1}
    arn = f"arn:aws:dynamodb:us-east-1:{account}:table/things/index/near"
    code, message = refused(finder.search_vectors, **asked)
    assert code == "AccessDeniedException"
    assert f"dynamodb:SearchVectors on resource: {arn}" in message
    allowed = {"Effect": "Allow", "Action": "dynamodb:SearchVectors", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="finder", PolicyName="search", PolicyDocument=document)
    assert finder.search_vectors(**asked)["SearchResults"][0]["Item"]["pk"] == {"S": "a"}
