"""Policies of resources, seen by boto3: who is let in, from the account and from others, and who is kept out."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.gateway.callers import Make, Service, document, refused, statement

from conftest import HeadraceServer


@pytest.fixture
def stream(client: Service) -> str:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    return str(kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"])


def put(kinesis: Any, arn: str) -> Any:
    return kinesis.put_record(StreamARN=arn, Data=b"x", PartitionKey="k")


READING = ["kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards", "kinesis:DescribeStreamSummary"]


def test_other_account__both_must_allow(
    client: Service, server: HeadraceServer, other: str, user: Callable[..., Make], stream: str
) -> None:
    kinesis, root = client("kinesis"), server.client("kinesis", other)
    ann = user(other, statement("kinesis:PutRecord"))("kinesis")
    for caller in (root, ann):
        assert "because no resource-based policy allows the kinesis:PutRecord action" in refused(put, kinesis=caller, arn=stream)
    allow = statement(["kinesis:Put*", *READING], Principal={"AWS": other}, Resource=stream)
    kinesis.put_resource_policy(ResourceARN=stream, Policy=document(allow))
    assert json.loads(kinesis.get_resource_policy(ResourceARN=stream)["Policy"])["Statement"] == [allow]
    for caller in (root, ann):
        assert put(caller, stream)["ShardId"]
    message = refused(ann.list_shards, StreamARN=stream)
    assert message.endswith("because no identity-based policy allows the kinesis:ListShards action")
    place = {"StreamARN": stream, "ShardId": root.list_shards(StreamARN=stream)["Shards"][0]["ShardId"]}
    at = root.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    assert [one["Data"] for one in root.get_records(StreamARN=stream, ShardIterator=at)["Records"]] == [b"x", b"x"]
    assert root.describe_stream_summary(StreamARN=stream)["StreamDescriptionSummary"]["StreamARN"] == stream
    # What can't be shared is not, whatever the policy says.
    with pytest.raises(ClientError):
        root.delete_stream(StreamARN=stream)
    kinesis.delete_resource_policy(ResourceARN=stream)
    refused(put, kinesis=root, arn=stream)
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.get_resource_policy(ResourceARN=stream)


def test_other_account__a_policy_goes_with_its_stream(client: Service, server: HeadraceServer, other: str, stream: str) -> None:
    kinesis, root = client("kinesis"), server.client("kinesis", other)
    kinesis.put_resource_policy(ResourceARN=stream, Policy=document(statement("*", Principal="*", Resource=stream)))
    put(root, stream)
    kinesis.delete_stream(StreamName="s")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    refused(put, kinesis=root, arn=stream)


def test_same_account__either_may_allow_and_a_deny_ends_it(
    client: Service, account: str, user: Callable[..., Make], stream: str
) -> None:
    kinesis = client("kinesis")
    ann = user(account, statement("kinesis:ListShards"))("kinesis")
    arn = f"arn:aws:iam::{account}:user/ann"

    def policy(*statements: dict[str, Any]) -> None:
        kinesis.put_resource_policy(ResourceARN=stream, Policy=document(*statements))

    assert "no identity-based policy allows" in refused(put, kinesis=ann, arn=stream)
    for principal, lets_in in ((arn, True), ("*", True), (account, False), (f"arn:aws:iam::{account}:user/bob", False)):
        policy(statement("kinesis:PutRecord", Principal={"AWS": principal}, Resource=stream))
        if lets_in:
            assert put(ann, stream)["ShardId"]
        else:
            assert "no identity-based policy allows" in refused(put, kinesis=ann, arn=stream)
    everybody = {"Principal": "*", "Resource": stream}
    policy(statement("*", **everybody), statement("kinesis:PutRecord", "Deny", Principal={"AWS": arn}, Resource=stream))
    assert refused(put, kinesis=ann, arn=stream).endswith("with an explicit deny in a resource-based policy")
    refused(ann.put_record, StreamName="s", Data=b"x", PartitionKey="k")
    # A NotAction denies all the rest; a name that is left out is not denied.
    policy({"Effect": "Deny", "NotAction": "kinesis:ListShards", **everybody})
    assert ann.list_shards(StreamName="s")["Shards"]
    refused(ann.describe_stream_summary, StreamName="s")
    policy(statement("*", **everybody), statement("*", "Deny", NotPrincipal={"AWS": arn}, Resource=stream))
    assert put(ann, stream)["ShardId"]
    policy(statement("*", **everybody), statement("*", "Deny", NotPrincipal={"AWS": [account]}, Resource=stream))
    refused(put, kinesis=ann, arn=stream)


def test_conditions__are_held_to(client: Service, account: str, user: Callable[..., Make], stream: str) -> None:
    kinesis = client("kinesis")
    ann = user(account)("kinesis")
    for name, lets_in in (("ann", True), ("a*", False), ("bob", False)):
        condition = {"StringEquals": {"aws:username": name}}
        body = document(statement("kinesis:PutRecord", Principal="*", Resource=stream, Condition=condition))
        kinesis.put_resource_policy(ResourceARN=stream, Policy=body)
        if lets_in:
            put(ann, stream)
        else:
            refused(put, kinesis=ann, arn=stream)


def test_deny__fits_an_iterator_without_its_streams_name(
    client: Service, account: str, user: Callable[..., Make], stream: str
) -> None:
    kinesis = client("kinesis")
    ann = user(account, statement("kinesis:*"))("kinesis")
    at = ann.get_shard_iterator(StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="LATEST")["ShardIterator"]
    assert ann.get_records(ShardIterator=at)["Records"] == []
    deny = statement("kinesis:GetRecords", "Deny", Principal="*", Resource=stream)
    kinesis.put_resource_policy(ResourceARN=stream, Policy=document(deny))
    assert "explicit deny" in refused(ann.get_records, ShardIterator=at)
    assert kinesis.get_records(ShardIterator=at)["Records"] == []


def test_consumer__has_a_policy_of_its_own(client: Service, server: HeadraceServer, other: str, stream: str) -> None:
    kinesis, root = client("kinesis"), server.client("kinesis", other)
    consumer = kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="c")["Consumer"]["ConsumerARN"]
    kinesis.put_record(StreamName="s", Data=b"pushed", PartitionKey="k")
    wanted = {"ShardId": "shardId-000000000000", "StartingPosition": {"Type": "TRIM_HORIZON"}}
    kinesis.put_resource_policy(ResourceARN=stream, Policy=document(statement("*", Principal="*", Resource="*")))
    refused(root.subscribe_to_shard, ConsumerARN=consumer, **wanted)
    allow = statement(["kinesis:SubscribeToShard", "kinesis:DescribeStreamConsumer"], Principal={"AWS": other}, Resource=consumer)
    kinesis.put_resource_policy(ResourceARN=consumer, Policy=document(allow))
    events = root.subscribe_to_shard(ConsumerARN=consumer, **wanted)["EventStream"]
    assert next(iter(events))["SubscribeToShardEvent"]["Records"][0]["Data"] == b"pushed"
    events.close()
    assert root.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["StreamARN"] == stream
    kinesis.deregister_stream_consumer(ConsumerARN=consumer)
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.get_resource_policy(ResourceARN=consumer)


@pytest.mark.parametrize(
    "policy",
    [
        "{}",
        "no json",
        document(statement("kinesis:PutRecord")),
        document(statement("kinesis:PutRecord", Principal={"AWS": "ann"}, Resource="*")),
        document(statement("PutRecord", Principal="*", Resource="*")),
        document(statement("*", Principal="*", Resource="*", Condition={"Sometimes": {"a": "b"}})),
    ],
)
def test_put_resource_policy__refuses_what_is_none(client: Service, stream: str, policy: str) -> None:
    kinesis = client("kinesis")
    with pytest.raises(kinesis.exceptions.InvalidArgumentException):
        kinesis.put_resource_policy(ResourceARN=stream, Policy=policy)


def test_table__its_policy_lets_a_user_in_and_keeps_one_out(
    client: Service, account: str, user: Callable[..., Make], server: HeadraceServer, other: str
) -> None:
    db = client("dynamodb")
    keys = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"}
    table = db.create_table(TableName="ttt", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], **keys)["TableDescription"]
    ann, wanted = user(account)("dynamodb"), {"TableName": "ttt", "Key": {"id": {"S": "1"}}}
    assert "no identity-based policy allows" in refused(ann.get_item, **wanted)
    everybody = statement("dynamodb:*", Principal="*", Resource=table["TableArn"])
    db.put_resource_policy(ResourceArn=table["TableArn"], Policy=document(everybody))
    assert "Item" not in ann.get_item(**wanted)
    deny = statement("dynamodb:GetItem", "Deny", Principal={"AWS": f"arn:aws:iam::{account}:user/ann"}, Resource="*")
    db.put_resource_policy(ResourceArn=table["TableArn"], Policy=document(everybody, deny))
    assert "explicit deny in a resource-based policy" in refused(ann.get_item, **wanted)
    # Everybody is everybody: other accounts of the server as well.
    assert "Item" not in server.client("dynamodb", other).get_item(TableName=table["TableArn"], Key=wanted["Key"])
    db.delete_resource_policy(ResourceArn=table["TableArn"])
    assert "no identity-based policy allows" in refused(ann.get_item, **wanted)
