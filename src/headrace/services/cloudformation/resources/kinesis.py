"""Resource types of Kinesis Data Streams and Firehose."""

from typing import Any

from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    ResourceFailed,
    changed,
    pairs,
    pick,
    tag_changes,
    tags_of,
)  # fmt: skip

_RETENTION_HOURS_DEFAULT = 24


def _create_stream(call: Call, name: str, properties: Properties) -> str:
    mode = properties.get("StreamModeDetails")
    count = properties.get("ShardCount")
    if count is None and (mode or {}).get("StreamMode", "PROVISIONED") == "PROVISIONED":
        count = 1
    tags = tags_of(properties) or None
    size = pick(properties, "MaxRecordSizeInKiB")
    call("kinesis", "CreateStream", StreamName=name, ShardCount=count, StreamModeDetails=mode, Tags=tags, **size)
    return name


def _summary(call: Call, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call("kinesis", "DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]
    return found


def _read_stream(call: Call, name: str, properties: Properties) -> Attributes:
    found = _summary(call, name)
    return {"Arn": found["StreamARN"], "StreamId": found.get("StreamId", "")}


def _stream_ready(call: Call, name: str, properties: Properties) -> bool:
    return bool(_summary(call, name)["StreamStatus"] == "ACTIVE")


def _finish_stream(call: Call, name: str, properties: Properties) -> None:
    _set_retention(call, name, properties)
    _set_metrics(call, name, properties)
    encryption = properties.get("StreamEncryption")
    if encryption:
        call("kinesis", "StartStreamEncryption", StreamName=name, **encryption)


def _set_retention(call: Call, name: str, properties: Properties) -> None:
    wanted = int(properties.get("RetentionPeriodHours", _RETENTION_HOURS_DEFAULT))
    has = _summary(call, name)["RetentionPeriodHours"]
    if wanted != has:
        operation = "IncreaseStreamRetentionPeriod" if wanted > has else "DecreaseStreamRetentionPeriod"
        call("kinesis", operation, StreamName=name, RetentionPeriodHours=wanted)


def _set_metrics(call: Call, name: str, properties: Properties) -> None:
    wanted = set(properties.get("DesiredShardLevelMetrics") or ())
    has = set(_summary(call, name)["EnhancedMonitoring"][0]["ShardLevelMetrics"])
    if "ALL" not in wanted and has - wanted:
        call("kinesis", "DisableEnhancedMonitoring", StreamName=name, ShardLevelMetrics=sorted(has - wanted))
    if wanted - has:
        call("kinesis", "EnableEnhancedMonitoring", StreamName=name, ShardLevelMetrics=sorted(wanted - has))


def _update_stream(call: Call, name: str, new: Properties, old: Properties) -> bool:
    has = _summary(call, name)
    if has["StreamStatus"] != "ACTIVE":
        return False
    mode = (new.get("StreamModeDetails") or {}).get("StreamMode", "PROVISIONED")
    if has.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED") != mode:
        call("kinesis", "UpdateStreamMode", StreamARN=has["StreamARN"], StreamModeDetails={"StreamMode": mode})
        return False
    count = new.get("ShardCount")
    if mode == "PROVISIONED" and count is not None and int(count) != has["OpenShardCount"]:
        call("kinesis", "UpdateShardCount", StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
        return False
    _set_retention(call, name, new)
    _set_metrics(call, name, new)
    size = new.get("MaxRecordSizeInKiB")
    if size is not None and int(size) != has["MaxRecordSizeInKiB"]:
        call("kinesis", "UpdateMaxRecordSize", StreamARN=has["StreamARN"], MaxRecordSizeInKiB=size)
    added, removed = tag_changes(new, old)
    if added:
        call("kinesis", "AddTagsToStream", StreamName=name, Tags=added)
    if removed:
        call("kinesis", "RemoveTagsFromStream", StreamName=name, TagKeys=removed)
    if changed(new, old, "StreamEncryption"):
        encryption = new.get("StreamEncryption")
        operation = "StartStreamEncryption" if encryption else "StopStreamEncryption"
        call("kinesis", operation, StreamName=name, **(encryption or old["StreamEncryption"]))
    return True


def _delete_stream(call: Call, name: str, properties: Properties) -> None:
    call("kinesis", "DeleteStream", StreamName=name, EnforceConsumerDeletion=True)


def _create_consumer(call: Call, name: str, properties: Properties) -> str:
    answer = call("kinesis", "RegisterStreamConsumer", StreamARN=properties["StreamARN"], ConsumerName=properties["ConsumerName"])
    return str(answer["Consumer"]["ConsumerARN"])


def _adopt_consumer(call: Call, name: str, properties: Properties) -> str | None:
    wanted = {"StreamARN": properties["StreamARN"], "ConsumerName": properties["ConsumerName"]}
    return str(call("kinesis", "DescribeStreamConsumer", **wanted)["ConsumerDescription"]["ConsumerARN"])


def _describe_consumer(call: Call, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = call("kinesis", "DescribeStreamConsumer", ConsumerARN=arn)["ConsumerDescription"]
    return found


def _read_consumer(call: Call, arn: str, properties: Properties) -> Attributes:
    found = _describe_consumer(call, arn)
    return {
        "ConsumerARN": arn,
        "ConsumerName": found["ConsumerName"],
        "ConsumerStatus": found["ConsumerStatus"],
        "StreamARN": properties["StreamARN"],
        "ConsumerCreationTimestamp": str(int(found["ConsumerCreationTimestamp"])),
    }


def _consumer_ready(call: Call, arn: str, properties: Properties) -> bool:
    return bool(_describe_consumer(call, arn)["ConsumerStatus"] == "ACTIVE")


def _delete_consumer(call: Call, arn: str, properties: Properties) -> None:
    call("kinesis", "DeregisterStreamConsumer", ConsumerARN=arn)


def _put_policy(call: Call, name: str, properties: Properties) -> str:
    arn = str(properties["ResourceArn"])
    call("kinesis", "PutResourcePolicy", ResourceARN=arn, Policy=properties["ResourcePolicy"])
    return arn


def _adopt_policy(call: Call, name: str, properties: Properties) -> str | None:
    return str(properties["ResourceArn"])


def _read_policy(call: Call, arn: str, properties: Properties) -> Attributes:
    call("kinesis", "GetResourcePolicy", ResourceARN=arn)
    return {}


def _update_policy(call: Call, arn: str, new: Properties, old: Properties) -> None:
    _put_policy(call, arn, new)


def _delete_policy(call: Call, arn: str, properties: Properties) -> None:
    call("kinesis", "DeleteResourcePolicy", ResourceARN=arn)


# Destination: the property, and the member of UpdateDestination with what its inner members are called there.
_DESTINATIONS = {
    "S3DestinationConfiguration": ("S3DestinationUpdate", {}),
    "ExtendedS3DestinationConfiguration": ("ExtendedS3DestinationUpdate", {"S3BackupConfiguration": "S3BackupUpdate"}),
    "RedshiftDestinationConfiguration": (
        "RedshiftDestinationUpdate", {"S3Configuration": "S3Update", "S3BackupConfiguration": "S3BackupUpdate"},
    ),
    "HttpEndpointDestinationConfiguration": ("HttpEndpointDestinationUpdate", {"S3Configuration": "S3Update"}),
}  # fmt: skip
_ENCRYPTION = "DeliveryStreamEncryptionConfigurationInput"


def _create_delivery(call: Call, name: str, properties: Properties) -> str:
    call(
        "firehose", "CreateDeliveryStream", DeliveryStreamName=name, Tags=pairs(tags_of(properties)) or None,
        **pick(properties, "DeliveryStreamType", "KinesisStreamSourceConfiguration", _ENCRYPTION, *_DESTINATIONS),
    )  # fmt: skip
    return name


def _describe_delivery(call: Call, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call("firehose", "DescribeDeliveryStream", DeliveryStreamName=name)["DeliveryStreamDescription"]
    return found


def _read_delivery(call: Call, name: str, properties: Properties) -> Attributes:
    return {"Arn": _describe_delivery(call, name)["DeliveryStreamARN"]}


def _delivery_ready(call: Call, name: str, properties: Properties) -> bool:
    found = _describe_delivery(call, name)
    if found["DeliveryStreamStatus"] == "CREATING_FAILED":
        raise ResourceFailed(
            f"The delivery stream {name} can't be created: {found.get('FailureDescription', {}).get('Details', '')}"
        )
    return bool(found["DeliveryStreamStatus"] == "ACTIVE")


def _update_delivery(call: Call, name: str, new: Properties, old: Properties) -> bool:
    found = _describe_delivery(call, name)
    if found["DeliveryStreamStatus"] != "ACTIVE":
        return False
    for destination, (member, renamed) in _DESTINATIONS.items():
        if destination in new and new[destination] != old.get(destination):
            settings = {renamed.get(key, key): value for key, value in new[destination].items()}
            if "S3BackupUpdate" in settings or destination != "RedshiftDestinationConfiguration":
                settings = {key: value for key, value in settings.items() if value is not None}
            call(
                "firehose", "UpdateDestination", DeliveryStreamName=name, CurrentDeliveryStreamVersionId=found["VersionId"],
                DestinationId=found["Destinations"][0]["DestinationId"], **{member: settings},
            )  # fmt: skip
    added, removed = tag_changes(new, old)
    if added:
        call("firehose", "TagDeliveryStream", DeliveryStreamName=name, Tags=pairs(added))
    if removed:
        call("firehose", "UntagDeliveryStream", DeliveryStreamName=name, TagKeys=removed)
    if changed(new, old, _ENCRYPTION):
        if new.get(_ENCRYPTION):
            call("firehose", "StartDeliveryStreamEncryption", DeliveryStreamName=name, **{_ENCRYPTION: new[_ENCRYPTION]})
        else:
            call("firehose", "StopDeliveryStreamEncryption", DeliveryStreamName=name)
    return True


def _other_destination(new: Properties, old: Properties) -> bool:
    return {name for name in _DESTINATIONS if name in new} != {name for name in _DESTINATIONS if name in old}


def _delete_delivery(call: Call, name: str, properties: Properties) -> None:
    call("firehose", "DeleteDeliveryStream", DeliveryStreamName=name)


KINDS = (
    Kind(
        type="AWS::Kinesis::Stream",
        naming=Naming("Name", 128),
        fixed=("Name",),
        mutable=(
            "ShardCount", "RetentionPeriodHours", "StreamModeDetails", "StreamEncryption", "MaxRecordSizeInKiB",
            "DesiredShardLevelMetrics", "Tags",
        ),
        attributes=("Arn", "StreamId"),
        create=_create_stream, ready=_stream_ready, finish=_finish_stream, read=_read_stream, update=_update_stream,
        delete=_delete_stream, slow=True,
    ),
    Kind(
        type="AWS::Kinesis::StreamConsumer",
        required=("ConsumerName", "StreamARN"),
        fixed=("ConsumerName", "StreamARN"),
        attributes=("ConsumerARN", "ConsumerName", "ConsumerStatus", "ConsumerCreationTimestamp", "StreamARN"),
        create=_create_consumer, adopt=_adopt_consumer, ready=_consumer_ready, read=_read_consumer, delete=_delete_consumer,
        slow=True,
    ),
    Kind(
        type="AWS::Kinesis::ResourcePolicy",
        required=("ResourceArn", "ResourcePolicy"),
        fixed=("ResourceArn",),
        mutable=("ResourcePolicy",),
        create=_put_policy, adopt=_adopt_policy, read=_read_policy, update=_update_policy, delete=_delete_policy,
    ),
    Kind(
        type="AWS::KinesisFirehose::DeliveryStream",
        naming=Naming("DeliveryStreamName", 64),
        fixed=("DeliveryStreamName", "DeliveryStreamType", "KinesisStreamSourceConfiguration"),
        mutable=(*_DESTINATIONS, _ENCRYPTION, "Tags"),
        attributes=("Arn",),
        create=_create_delivery, ready=_delivery_ready, read=_read_delivery, update=_update_delivery, delete=_delete_delivery,
        replaces=_other_destination, slow=True,
    ),
)  # fmt: skip
