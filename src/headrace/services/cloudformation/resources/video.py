"""Resource types of Kinesis Video Streams."""

from typing import Any

from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    changed,
    pick,
    tag_changes,
    tags_of,
)

_SERVICE = "kinesisvideo"


def _create_stream(call: Call, name: str, properties: Properties) -> str:
    settings = pick(properties, "DataRetentionInHours", "DeviceName", "KmsKeyId", "MediaType")
    call(_SERVICE, "CreateStream", StreamName=name, Tags=tags_of(properties) or None, **settings)
    return name


def _describe_stream(call: Call, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call(_SERVICE, "DescribeStream", StreamName=name)["StreamInfo"]
    return found


def _read_stream(call: Call, name: str, properties: Properties) -> Attributes:
    return {"Arn": _describe_stream(call, name)["StreamARN"]}


def _update_stream(call: Call, name: str, new: Properties, old: Properties) -> None:
    if changed(new, old, "DeviceName", "MediaType"):
        settings = {key: new[key] for key in ("DeviceName", "MediaType") if key in new}
        call(_SERVICE, "UpdateStream", StreamName=name, CurrentVersion=_describe_stream(call, name)["Version"], **settings)
    found = _describe_stream(call, name)
    change = int(new.get("DataRetentionInHours", 0)) - found["DataRetentionInHours"]
    if change:
        call(
            _SERVICE, "UpdateDataRetention", StreamName=name, CurrentVersion=found["Version"],
            Operation="INCREASE_DATA_RETENTION" if change > 0 else "DECREASE_DATA_RETENTION",
            DataRetentionChangeInHours=abs(change),
        )  # fmt: skip
    added, removed = tag_changes(new, old)
    if added:
        call(_SERVICE, "TagStream", StreamName=name, Tags=added)
    if removed:
        call(_SERVICE, "UntagStream", StreamName=name, TagKeyList=removed)


def _delete_stream(call: Call, name: str, properties: Properties) -> None:
    call(_SERVICE, "DeleteStream", StreamARN=_describe_stream(call, name)["StreamARN"])


def _create_channel(call: Call, name: str, properties: Properties) -> str:
    pairs = [{"Key": key, "Value": value} for key, value in tags_of(properties).items()]
    call(
        _SERVICE, "CreateSignalingChannel", ChannelName=name, Tags=pairs or None,
        ChannelType=properties.get("Type", "SINGLE_MASTER"), SingleMasterConfiguration=_ttl(properties),
    )  # fmt: skip
    return name


def _ttl(properties: Properties) -> dict[str, int]:
    return {"MessageTtlSeconds": int(properties.get("MessageTtlSeconds", 60))}


def _describe_channel(call: Call, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call(_SERVICE, "DescribeSignalingChannel", ChannelName=name)["ChannelInfo"]
    return found


def _read_channel(call: Call, name: str, properties: Properties) -> Attributes:
    return {"Arn": _describe_channel(call, name)["ChannelARN"]}


def _update_channel(call: Call, name: str, new: Properties, old: Properties) -> None:
    found = _describe_channel(call, name)
    arn = found["ChannelARN"]
    if changed(new, old, "MessageTtlSeconds"):
        version = found["Version"]
        call(_SERVICE, "UpdateSignalingChannel", ChannelARN=arn, CurrentVersion=version, SingleMasterConfiguration=_ttl(new))
    added, removed = tag_changes(new, old)
    if added:
        call(_SERVICE, "TagResource", ResourceARN=arn, Tags=[{"Key": key, "Value": value} for key, value in added.items()])
    if removed:
        call(_SERVICE, "UntagResource", ResourceARN=arn, TagKeyList=removed)


def _delete_channel(call: Call, name: str, properties: Properties) -> None:
    call(_SERVICE, "DeleteSignalingChannel", ChannelARN=_describe_channel(call, name)["ChannelARN"])


KINDS = (
    Kind(
        type="AWS::KinesisVideo::Stream",
        naming=Naming("Name", 256),
        fixed=("Name", "KmsKeyId"),
        mutable=("DataRetentionInHours", "DeviceName", "MediaType", "Tags"),
        attributes=("Arn",),
        create=_create_stream, read=_read_stream, update=_update_stream, delete=_delete_stream,
    ),
    Kind(
        type="AWS::KinesisVideo::SignalingChannel",
        naming=Naming("Name", 256),
        fixed=("Name", "Type"),
        mutable=("MessageTtlSeconds", "Tags"),
        attributes=("Arn",),
        create=_create_channel, read=_read_channel, update=_update_channel, delete=_delete_channel,
    ),
)  # fmt: skip
