"""Policies of tables and their streams: who is let in from other accounts, and to what."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.gateway.callers import Make, Service, document, refused, statement

from conftest import HeadraceServer

KEY = {"id": {"S": "a"}}


@pytest.fixture
def table(client: Service) -> Any:
    """A table's description, with an index and a stream."""
    return client("dynamodb").create_table(
        TableName="shared",
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("id", "kind")],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[{
            "IndexName": "kinds", "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
        BillingMode="PAY_PER_REQUEST", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]  # fmt: skip


def test_table__other_accounts_are_let_in(
    client: Service, server: HeadraceServer, other: str, user: Callable[..., Make], table: Any
) -> None:
    owner, arn = client("dynamodb"), table["TableArn"]
    root, ann = server.client("dynamodb", other), user(other, statement("dynamodb:*"))("dynamodb")
    stranger = server.client("dynamodb", f"{(int(other) + 1) % 10**12:012d}")
    for caller in (root, ann):
        message = refused(caller.get_item, TableName=arn, Key=KEY)
        assert message.endswith("because no resource-based policy allows the dynamodb:GetItem action")
    kept = statement("dynamodb:*", Principal={"AWS": other}, Resource=[arn, f"{arn}/index/*"])
    owner.put_resource_policy(ResourceArn=arn, Policy=document(kept))
    for caller in (root, ann):
        caller.put_item(TableName=arn, Item={**KEY, "kind": {"S": "k"}})
        assert caller.get_item(TableName=arn, Key=KEY)["Item"]["kind"] == {"S": "k"}
        caller.update_item(TableName=arn, Key=KEY, UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": {"N": "1"}})
        asked = {"KeyConditionExpression": "kind = :k", "ExpressionAttributeValues": {":k": {"S": "k"}}}
        assert caller.query(TableName=arn, IndexName="kinds", **asked)["Count"] == 1
        assert caller.scan(TableName=arn)["Count"] == 1
        assert caller.batch_get_item(RequestItems={arn: {"Keys": [KEY]}})["Responses"][arn][0]["n"] == {"N": "1"}
        caller.batch_write_item(RequestItems={arn: [{"PutRequest": {"Item": {"id": {"S": "b"}}}}]})
        caller.transact_write_items(TransactItems=[{"Delete": {"TableName": arn, "Key": {"id": {"S": "b"}}}}])
        (found,) = caller.transact_get_items(TransactItems=[{"Get": {"TableName": arn, "Key": KEY}}])["Responses"]
        assert found["Item"]["n"] == {"N": "1"}
        assert caller.describe_table(TableName=arn)["Table"]["TableArn"] == arn
        caller.delete_item(TableName=arn, Key=KEY)
    assert owner.scan(TableName="shared")["Count"] == 0
    refused(stranger.scan, TableName=arn)
    # What AWS lets no other account do.
    for call, more in (
        (root.describe_time_to_live, {"TableName": arn}),
        (root.execute_statement, {"Statement": f'SELECT * FROM "{arn}"'}),
    ):
        with pytest.raises(ClientError) as raised:
            call(**more)
        assert raised.value.response["Error"]["Code"] in ("ResourceNotFoundException", "ValidationException")
    owner.delete_resource_policy(ResourceArn=arn)
    refused(root.scan, TableName=arn)


def test_table__a_user_of_another_account_needs_both(client: Service, other: str, user: Callable[..., Make], table: Any) -> None:
    owner, arn = client("dynamodb"), table["TableArn"]
    ann = user(other, statement("dynamodb:GetItem", Resource=arn))("dynamodb")
    named = {"AWS": f"arn:aws:iam::{other}:user/ann"}
    owner.put_resource_policy(ResourceArn=arn, Policy=document(statement("dynamodb:*", Principal=named, Resource=arn)))
    assert "Item" not in ann.get_item(TableName=arn, Key=KEY)
    assert "no identity-based policy allows" in refused(ann.put_item, TableName=arn, Item=KEY)
    deny = statement("dynamodb:GetItem", "Deny", Principal=named, Resource=arn)
    allow = statement("dynamodb:*", Principal=named, Resource=arn)
    owner.put_resource_policy(ResourceArn=arn, Policy=document(allow, deny))
    assert "explicit deny in a resource-based policy" in refused(ann.get_item, TableName=arn, Key=KEY)


def test_stream__other_accounts_read_it(
    client: Service, server: HeadraceServer, other: str, account: str, user: Callable[..., Make], table: Any
) -> None:
    owner, arn = client("dynamodb"), table["LatestStreamArn"]
    root, ann = server.client("dynamodbstreams", other), user(account, statement("dynamodb:*"))("dynamodbstreams")
    refused(root.describe_stream, StreamArn=arn)
    reads = ["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"]
    allow = statement(reads, Principal={"AWS": other}, Resource=arn)
    owner.put_resource_policy(ResourceArn=arn, Policy=document(allow))
    owner.put_item(TableName="shared", Item=KEY)
    found = []
    for shard in root.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        place = root.get_shard_iterator(**asked)["ShardIterator"]
        found += [one["dynamodb"]["Keys"] for one in root.get_records(ShardIterator=place)["Records"]]
    assert found == [KEY]
    # An iterator is of no use to whom the policy does not let in, whatever stream it is said to be of.
    stranger = server.client("dynamodbstreams", f"{(int(other) + 1) % 10**12:012d}")
    refused(stranger.get_records, ShardIterator=place)
    with pytest.raises(ClientError, match="Invalid ShardIterator"):
        root.get_records(ShardIterator=f"{arn[:-3]}000|1|{place.rpartition('|')[2]}".replace(account, other))
    # The account's own users are kept out of GetRecords by it, too.
    ann.get_records(ShardIterator=place)
    deny = statement("dynamodb:GetRecords", "Deny", Principal="*", Resource=arn)
    owner.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    assert "explicit deny in a resource-based policy" in refused(ann.get_records, ShardIterator=place)
