"""boto3's resource interface: decimals, and the expressions that its condition builders write."""

from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from tests.conftest import REGION, ROOT_SECRET, HeadraceServer

from headrace.kit.accounts import account_credentials


@pytest.fixture
def table(server: HeadraceServer, account: str) -> Any:
    key_id, secret = account_credentials(ROOT_SECRET, account)
    resource = boto3.resource(
        "dynamodb", endpoint_url=server.url, region_name=REGION, aws_access_key_id=key_id, aws_secret_access_key=secret
    )
    return resource.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_table__items_come_back_as_they_went(table: Any) -> None:
    item = {
        "p": "a", "s": Decimal("1.5"), "list": [1, Decimal("-0.001"), None, True, {"deep": {"x", "y"}}],
        "numbers": {Decimal(1), Decimal("2.5")}, "empty": "", "map": {}, "large": Decimal("1" * 38),
    }  # fmt: skip
    table.put_item(Item=item)
    assert table.get_item(Key={"p": "a", "s": Decimal("1.50")})["Item"] == item


def test_table__condition_builders(table: Any) -> None:
    with table.batch_writer() as batch:
        for number in range(30):
            batch.put_item(Item={"p": "a", "s": number, "name": f"n{number}", "size": number % 3, "tags": ["x", f"t{number}"]})
    found = table.query(
        KeyConditionExpression=Key("p").eq("a") & Key("s").between(5, 20),
        FilterExpression=(Attr("size").eq(1) | Attr("name").begins_with("n1"))
        & ~Attr("tags").contains("t13")
        & (Attr("size").is_in([0, 1]) & Attr("nothing").not_exists())
        & Attr("name").attribute_type("S"),
        ProjectionExpression="s",
    )["Items"]
    expected = [n for n in range(5, 21) if (n % 3 == 1 or str(n).startswith("1")) and n != 13 and n % 3 in (0, 1)]
    assert [int(item["s"]) for item in found] == expected
    assert table.scan(FilterExpression=Attr("name").size().gt(2), Select="COUNT")["Count"] == 20
    table.reload()
    assert table.item_count == 30
    table.delete()
