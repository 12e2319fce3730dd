"""How things flow, as the server tells it: every kind of link, what waits, what fails, and what functions call."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from conftest import REGION, HeadraceServer, eventually

TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": [f"{name}.amazonaws.com" for name in ("lambda", "firehose", "kinesisanalytics")]},
    "Action": "sts:AssumeRole",
}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
CODE = """
import boto3, json

def handler(event, context):
    for record in event["Records"]:
        if "kinesis" in record:
            raise ValueError("no clicks, please")
    boto3.client("sqs").list_queues()
"""


class Account:
    """One account of the server, and what the server says of it."""

    def __init__(self, server: HeadraceServer, client: Callable[..., Any], account: str) -> None:
        self.server, self.client, self.id = server, client, account
        document = {"Version": "2012-10-17", "Statement": [TRUST]}
        iam = client("iam")
        self.role = iam.create_role(RoleName="all", AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
        allowed = json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING]})
        iam.put_role_policy(RoleName="all", PolicyName="all", PolicyDocument=allowed)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{self.id}:{resource}"

    def function(self, name: str) -> str:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("code.py", CODE)
        made = self.client("lambda").create_function(
            FunctionName=name, Runtime="python3.11", Role=self.role, Handler="code.handler", Code={"ZipFile": packed.getvalue()}
        )
        return str(made["FunctionArn"])

    def queue(self, name: str, **attributes: str) -> str:
        policy = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": self.arn("sqs", name)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        self.client("sqs").create_queue(QueueName=name, Attributes={"Policy": document, **attributes})
        return self.arn("sqs", name)

    def flows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By source and target, those of this account."""
        found = self.server.page("/_headrace/flows")["flows"]
        mine = [one for one in found if self.id in one["source"] + one["target"]]
        return {(one["source"], one["target"]): one for one in mine}

    def calls(self) -> dict[str, int]:
        """What sessions of the account's roles asked for."""
        found = self.server.page("/_headrace/flows")["calls"]
        return {name: count for arn, counts in found.items() if f":{self.id}:" in arn for name, count in counts.items()}


@pytest.fixture
def mine(server: HeadraceServer, client: Callable[..., Any], account: str) -> Account:
    return Account(server, client, account)


def test_mapping__says_how_far_behind_it_is_and_why(mine: Account) -> None:
    function = mine.function("picky")
    kinesis, stream = mine.client("kinesis"), mine.arn("kinesis", "stream/clicks")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    mine.client("lambda").create_event_source_mapping(
        FunctionName="picky", EventSourceArn=stream, StartingPosition="TRIM_HORIZON",
        DestinationConfig={"OnFailure": {"Destination": mine.queue("given-up")}},
    )  # fmt: skip
    flows = mine.flows()
    assert flows[stream, function] == {
        "source": stream, "target": function, "by": "event source mapping", "state": "enabled", "behind_seconds": 0.0,
        "waiting": None, "problem": "",
    }  # fmt: skip
    assert flows[function, mine.arn("sqs", "given-up")]["by"] == "batches given up"
    kinesis.put_record(StreamName="clicks", PartitionKey="a", Data=b"click")

    def failing() -> Any:
        found = mine.flows()[stream, function]
        return found if "no clicks, please" in found["problem"] else None

    assert eventually(failing)["behind_seconds"] > 0


def test_table__to_a_function_that_calls_others_and_to_a_stream(mine: Account) -> None:
    function = mine.function("quiet")
    mine.client("kinesis").create_stream(StreamName="changes", ShardCount=1)
    dynamodb, table = mine.client("dynamodb"), mine.arn("dynamodb", "table/orders")
    made = dynamodb.create_table(
        TableName="orders", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )  # fmt: skip
    feed = made["TableDescription"]["LatestStreamArn"]
    dynamodb.enable_kinesis_streaming_destination(TableName="orders", StreamArn=mine.arn("kinesis", "stream/changes"))
    mine.client("lambda").create_event_source_mapping(FunctionName="quiet", EventSourceArn=feed, StartingPosition="LATEST")
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "1"}})
    assert mine.flows()[feed, function]["by"] == "event source mapping"
    assert mine.flows()[table, mine.arn("kinesis", "stream/changes")]["by"] == "stream destination"

    def called() -> Any:
        dynamodb.put_item(TableName="orders", Item={"id": {"S": mine.server.page("/_headrace/clock")["now"].hex()}})
        return mine.calls().get("sqs.ListQueues")

    assert eventually(called) >= 1


def test_delivery_stream__says_what_waits(mine: Account) -> None:
    bucket = f"flows-{mine.id}"
    mine.client("s3").create_bucket(Bucket=bucket)
    firehose = mine.client("firehose")
    stream = firehose.create_delivery_stream(
        DeliveryStreamName="late",
        ExtendedS3DestinationConfiguration={
            "RoleARN": mine.role, "BucketARN": f"arn:aws:s3:::{bucket}",
            "BufferingHints": {"IntervalInSeconds": 900, "SizeInMBs": 128},
        },
    )["DeliveryStreamARN"]  # fmt: skip
    link = (stream, f"arn:aws:s3:::{bucket}")
    assert (mine.flows()[link]["waiting"], mine.flows()[link]["behind_seconds"]) == (0, 0.0)
    firehose.put_record_batch(DeliveryStreamName="late", Records=[{"Data": b"a"}, {"Data": b"b"}])
    assert mine.flows()[link]["waiting"] == 2
    assert eventually(lambda: mine.flows()[link]["behind_seconds"] > 0)


def test_delivery_stream__reads_a_stream(mine: Account) -> None:
    bucket = f"flows-{mine.id}"
    mine.client("s3").create_bucket(Bucket=bucket)
    mine.client("kinesis").create_stream(StreamName="clicks", ShardCount=1)
    source = mine.arn("kinesis", "stream/clicks")
    stream = mine.client("firehose").create_delivery_stream(
        DeliveryStreamName="taken", DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": source, "RoleARN": mine.role},
        ExtendedS3DestinationConfiguration={"RoleARN": mine.role, "BucketARN": f"arn:aws:s3:::{bucket}"},
    )["DeliveryStreamARN"]  # fmt: skip
    assert mine.flows()[source, stream]["by"] == "source"


def test_messages__topics_queues_and_buckets(mine: Account) -> None:
    dead = mine.queue("dead")
    work = mine.queue("work", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 3}))
    topic = mine.client("sns").create_topic(Name="news")["TopicArn"]
    mine.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=work)
    bucket = f"flows-{mine.id}"
    s3 = mine.client("s3")
    s3.create_bucket(Bucket=bucket)
    told = {"QueueConfigurations": [{"QueueArn": work, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=told)
    function = mine.function("outcomes")
    mine.client("lambda").put_function_event_invoke_config(
        FunctionName="outcomes", DestinationConfig={"OnSuccess": {"Destination": work}, "OnFailure": {"Destination": topic}}
    )
    mine.client("lambda").update_function_configuration(FunctionName="outcomes", DeadLetterConfig={"TargetArn": dead})
    assert {link: one["by"] for link, one in mine.flows().items()} == {
        (work, dead): "after 3 receipts",
        (topic, work): "subscription",
        (f"arn:aws:s3:::{bucket}", work): "notification",
        (function, work): "on success",
        (function, topic): "on failure",
        (function, dead): "dead letters",
    }


def test_application__its_inputs_and_outputs(mine: Account) -> None:
    for name in ("ticks", "highs"):
        mine.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    source, target = mine.arn("kinesis", "stream/ticks"), mine.arn("kinesis", "stream/highs")
    schema = {
        "RecordFormat": {"RecordFormatType": "JSON", "MappingParameters": {"JSONMappingParameters": {"RecordRowPath": "$"}}},
        "RecordColumns": [{"Name": "PRICE", "SqlType": "DOUBLE", "Mapping": "$.price"}],
    }
    application = mine.client("kinesisanalyticsv2").create_application(
        ApplicationName="highs", RuntimeEnvironment="SQL-1_0", ServiceExecutionRole=mine.role,
        ApplicationConfiguration={
            "ApplicationCodeConfiguration": {
                "CodeContent": {"TextContent": 'CREATE OR REPLACE STREAM "OUT" (price DOUBLE);'}, "CodeContentType": "PLAINTEXT",
            },
            "SqlApplicationConfiguration": {
                "Inputs": [{"NamePrefix": "IN", "InputSchema": schema, "KinesisStreamsInput": {"ResourceARN": source}}],
                "Outputs": [
                    {
                        "Name": "OUT", "DestinationSchema": {"RecordFormatType": "JSON"},
                        "KinesisStreamsOutput": {"ResourceARN": target},
                    }
                ],
            },
        },
    )["ApplicationDetail"]["ApplicationARN"]  # fmt: skip
    flows = mine.flows()
    assert (flows[source, application]["by"], flows[source, application]["state"]) == ("SQL input", "ready")
    assert flows[application, target]["by"] == "SQL output OUT"
