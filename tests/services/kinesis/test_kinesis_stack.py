"""Streams and consumers of stacks."""

import json
from collections.abc import Callable
from typing import Any

from conftest import eventually


def template(**properties: Any) -> str:
    return json.dumps(
        {
            "Resources": {
                "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "s", **properties}},
                "Reader": {
                    "Type": "AWS::Kinesis::StreamConsumer",
                    "Properties": {"ConsumerName": "reader", "StreamARN": {"Fn::GetAtt": ["Stream", "Arn"]}},
                },
            },
            "Outputs": {"Reader": {"Value": {"Ref": "Reader"}}},
        }
    )


def test_stack__a_stream_is_updated_in_place_and_keeps_its_consumer(client: Callable[..., Any]) -> None:
    formation, kinesis = client("cloudformation"), client("kinesis")

    def status() -> str:
        return str(formation.describe_stacks(StackName="st")["Stacks"][0]["StackStatus"])

    formation.create_stack(StackName="st", TemplateBody=template(ShardCount=2))
    eventually(lambda: status() == "CREATE_COMPLETE", 40)
    (consumer,) = kinesis.list_stream_consumers(
        StreamARN=kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
    )["Consumers"]
    kinesis.put_record(StreamName="s", Data=b"kept", PartitionKey="k")
    wanted = {
        "ShardCount": 4, "RetentionPeriodHours": 48, "Tags": [{"Key": "a", "Value": "b"}], "MaxRecordSizeInKiB": 2048,
        "DesiredShardLevelMetrics": ["IncomingBytes"],
    }  # fmt: skip
    formation.update_stack(StackName="st", TemplateBody=template(**wanted))
    eventually(lambda: status() == "UPDATE_COMPLETE", 40)
    summary = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["RetentionPeriodHours"], summary["ConsumerCount"]) == (4, 48, 1)
    assert (summary["MaxRecordSizeInKiB"], summary["EnhancedMonitoring"]) == (2048, [{"ShardLevelMetrics": ["IncomingBytes"]}])
    assert kinesis.list_tags_for_stream(StreamName="s")["Tags"] == [{"Key": "a", "Value": "b"}]
    (output,) = formation.describe_stacks(StackName="st")["Stacks"][0]["Outputs"]
    assert output["OutputValue"] == consumer["ConsumerARN"]
    first = kinesis.get_shard_iterator(StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    second = kinesis.get_shard_iterator(StreamName="s", ShardId="shardId-000000000001", ShardIteratorType="TRIM_HORIZON")
    found = [kinesis.get_records(ShardIterator=one["ShardIterator"])["Records"] for one in (first, second)]
    assert [record["Data"] for records in found for record in records] == [b"kept"]
    formation.delete_stack(StackName="st")
    eventually(lambda: kinesis.list_streams()["StreamNames"] == [], 40)
