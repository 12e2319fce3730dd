"""How streams, shards and records look in answers."""

import base64
from typing import Any

from headrace.services.kinesis import rules
from headrace.services.kinesis.state import Found, Shard, Stream, stream_arn


def shard(one: Shard) -> dict[str, Any]:
    """The shape Shard."""
    sequences = {"StartingSequenceNumber": rules.sequence_number(one.base, 0, one.created_s * 1000)}
    if one.ending_sequence is not None:
        sequences["EndingSequenceNumber"] = one.ending_sequence
    shape: dict[str, Any] = {
        "ShardId": one.id,
        "HashKeyRange": {"StartingHashKey": one.start, "EndingHashKey": one.end},
        "SequenceNumberRange": sequences,
    }
    if one.parent is not None:
        shape["ParentShardId"] = rules.shard_id(one.parent)
    if one.adjacent_parent is not None:
        shape["AdjacentParentShardId"] = rules.shard_id(one.adjacent_parent)
    return shape


def child(one: Shard) -> dict[str, Any]:
    """The shape ChildShard."""
    return {
        "ShardId": one.id,
        "ParentShards": [rules.shard_id(n) for n in (one.parent, one.adjacent_parent) if n is not None],
        "HashKeyRange": {"StartingHashKey": one.start, "EndingHashKey": one.end},
    }


def description(account: str, region: str, stream: Stream) -> dict[str, Any]:
    """What StreamDescription and StreamDescriptionSummary have in common."""
    shape: dict[str, Any] = {
        "StreamName": stream.name,
        "StreamARN": stream_arn(account, region, stream.name),
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": stream.mode},
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": stream.created_at,
        "EnhancedMonitoring": [{"ShardLevelMetrics": stream.metrics}],
        "EncryptionType": stream.encryption,
    }
    if stream.key_id:
        shape["KeyId"] = stream.key_id
    return shape


def warm_throughput(stream: Stream) -> dict[str, Any]:
    """The shape WarmThroughputObject."""
    return {"TargetMiBps": stream.warm_mibps, "CurrentMiBps": stream.warm_mibps}


def record(found: Found, base: int) -> dict[str, Any]:
    """The shape Record."""
    arrived_ms, partition_key, data = found.entry
    shape: dict[str, Any] = {
        "SequenceNumber": rules.sequence_number(base, found.place, arrived_ms),
        "ApproximateArrivalTimestamp": arrived_ms / 1000,
        "Data": data,
    }
    # Where the stream places records evenly, they need no key.
    if partition_key:
        shape["PartitionKey"] = partition_key
    if found.sealed:
        shape["EncryptionType"] = "KMS"
    return shape


def event(found: Found, base: int, shard_id: str, region: str, arn: str, caller_arn: str) -> dict[str, Any]:
    """A record as a Lambda function receives it."""
    entry = found.entry
    sequence = rules.sequence_number(base, found.place, entry.arrived_ms)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": entry.partition_key,
            "sequenceNumber": sequence,
            "data": base64.b64encode(entry.data).decode(),
            "approximateArrivalTimestamp": entry.arrived_ms / 1000,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": caller_arn,
        "awsRegion": region,
        "eventSourceARN": arn,
    }
