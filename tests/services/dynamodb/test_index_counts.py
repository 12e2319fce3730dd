"""How many items an index has, and their size: exact after every kind of change, and while it is filled under writes."""

import threading
from collections.abc import Callable
from typing import Any

from tests.conftest import eventually

Client = Callable[..., Any]
ITEMS = 700


def create(db: Any, *indexes: dict[str, Any]) -> None:
    more = {"GlobalSecondaryIndexes": list(indexes)} if indexes else {}
    db.create_table(
        TableName="counted", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (("pk", "g") if indexes else ("pk",))],
        **more,
    )  # fmt: skip


def index(name: str, **projection: Any) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": projection}


def counts(db: Any) -> dict[str, tuple[int, int]]:
    found = db.describe_table(TableName="counted")["Table"].get("GlobalSecondaryIndexes", [])
    return {one["IndexName"]: (one["ItemCount"], one["IndexSizeBytes"]) for one in found}


def put(db: Any, key: str, **texts: str) -> None:
    db.put_item(TableName="counted", Item={"pk": {"S": key}, **{name: {"S": text} for name, text in texts.items()}})


def test_counts__follow_each_change(client: Client) -> None:
    db = client("dynamodb")
    some = index("some", ProjectionType="INCLUDE", NonKeyAttributes=["v"])
    create(db, index("all", ProjectionType="ALL"), index("keys", ProjectionType="KEYS_ONLY"), some)
    assert counts(db) == {"all": (0, 0), "keys": (0, 0), "some": (0, 0)}
    put(db, "a", g="x", v="1234", w="12")
    # pk + a, g + x, v + 1234, w + 12: names and values in bytes.
    assert counts(db) == {"all": (1, 3 + 2 + 5 + 3), "keys": (1, 5), "some": (1, 10)}
    put(db, "b", v="1")
    assert counts(db)["all"] == (1, 13)
    put(db, "b", g="yy", v="1")
    assert counts(db) == {"all": (2, 13 + 8), "keys": (2, 5 + 6), "some": (2, 10 + 8)}
    change = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": {"S": "123456"}}}
    db.update_item(TableName="counted", Key={"pk": {"S": "b"}}, **change)
    assert counts(db) == {"all": (2, 26), "keys": (2, 11), "some": (2, 23)}
    put(db, "b", g="zzz", v="123456")
    assert counts(db) == {"all": (2, 27), "keys": (2, 12), "some": (2, 24)}
    db.update_item(TableName="counted", Key={"pk": {"S": "a"}}, UpdateExpression="REMOVE g")
    db.delete_item(TableName="counted", Key={"pk": {"S": "b"}})
    assert counts(db) == {"all": (0, 0), "keys": (0, 0), "some": (0, 0)}


def test_counts__of_an_index_that_is_filled_while_items_change(client: Client) -> None:
    db = client("dynamodb")
    create(db)
    for first in range(0, ITEMS, 25):
        rows = [
            {"pk": {"S": f"{number:04d}"}, "g": {"S": "x"}, "v": {"S": "v" * (number % 7)}} for number in range(first, first + 25)
        ]
        db.batch_write_item(RequestItems={"counted": [{"PutRequest": {"Item": row}} for row in rows]})
    changed = threading.Thread(target=lambda: [_change(db, number) for number in range(0, ITEMS, 3)])
    changed.start()
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")]
    made = {"Create": index("late", ProjectionType="INCLUDE", NonKeyAttributes=["v"])}
    db.update_table(TableName="counted", AttributeDefinitions=definitions, GlobalSecondaryIndexUpdates=[made])
    changed.join()
    eventually(lambda: db.describe_table(TableName="counted")["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE")
    seen = [row for page in db.get_paginator("scan").paginate(TableName="counted", IndexName="late") for row in page["Items"]]
    assert 0 < len(seen) < ITEMS
    size_bytes = sum(len(name) + len(value["S"]) for row in seen for name, value in row.items())
    assert counts(db) == {"late": (len(seen), size_bytes)}
    db.update_table(TableName="counted", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "late"}}])
    assert counts(db) == {}


def _change(db: Any, number: int) -> None:
    """One of three is removed, one leaves the index, one grows."""
    key = f"{number:04d}"
    if number % 9 == 0:
        db.delete_item(TableName="counted", Key={"pk": {"S": key}})
    elif number % 9 == 3:
        put(db, key, v="out")
    else:
        put(db, key, g="yy", v="longer than it was")
