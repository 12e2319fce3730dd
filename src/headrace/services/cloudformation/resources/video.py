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


KINDS = (
    Kind(
        type="AWS::KinesisVideo::Stream",
        naming=Naming("Name", 256),
        fixed=("Name", "KmsKeyId"),
        mutable=("DataRetentionInHours", "DeviceName", "MediaType", "Tags"),
        attributes=("Arn",),
        create=_create_stream, read=_read_stream, update=_update_stream, delete=_delete_stream,
    ),
)  # fmt: skip
