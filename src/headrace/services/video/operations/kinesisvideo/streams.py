"""Operations on streams: create, describe, list, change, delete."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.video import errors, limits, naming, state


@operation
def create_stream(
    ctx: Context,
    *,
    stream_name: str,
    device_name: str | None = None,
    media_type: str | None = None,
    kms_key_id: str | None = None,
    data_retention_in_hours: int | None = None,
    tags: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Make a stream; it is ACTIVE at once.

    Differs from AWS: KmsKeyId is kept and shown, and nothing is encrypted with it.
    """
    if state.STREAMS.get(ctx.tx, ctx.account, ctx.region, stream_name) is not None:
        raise errors.ResourceInUseException(f"The stream {stream_name} already exists.")
    retention_hours = data_retention_in_hours or 0
    if retention_hours > limits.RETENTION_MAX_HOURS:
        raise errors.InvalidArgumentException(f"DataRetentionInHours must be {limits.RETENTION_MAX_HOURS} at most.")
    stream = state.Stream(
        account=ctx.account, region=ctx.region, name=stream_name, id=ctx.ids.hex(16), version=ctx.ids.upper(20),
        created_at=ctx.clock.now(), retention_hours=retention_hours, device_name=device_name or "",
        media_type=media_type or "", kms_key_id=kms_key_id or "",
    )  # fmt: skip
    state.save_stream(ctx.tx, stream)
    if tags:
        tag_rows.add(ctx.tx, stream.arn, tags)
    return {"StreamARN": stream.arn}


@operation(read_only=True)
def describe_stream(ctx: Context, *, stream_name: str | None = None, stream_arn: str | None = None) -> dict[str, Any]:
    """What is known of a stream."""
    return {"StreamInfo": _information(ctx, state.find_stream(ctx, stream_name, stream_arn))}


@operation(read_only=True)
def list_streams(
    ctx: Context,
    *,
    max_results: int | None = None,
    next_token: str | None = None,
    stream_name_condition: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A page of the streams, by name, or of those whose names begin with something."""
    wanted = max_results or limits.LIST_STREAMS_DEFAULT
    beginning = (stream_name_condition or {}).get("ComparisonValue") or ""
    after = naming.read_token(next_token, "streams", str) if next_token else beginning
    found: list[state.Stream] = []
    for _, stream in state.STREAMS.scan(ctx.tx, ctx.account, ctx.region, after=(ctx.account, ctx.region, after)):
        if not stream.name.startswith(beginning):
            break
        found.append(stream)
        if len(found) > wanted:
            break
    exact = None if next_token or not beginning else state.STREAMS.get(ctx.tx, ctx.account, ctx.region, beginning)
    found = [*([exact] if exact else []), *found]
    answer: dict[str, Any] = {"StreamInfoList": [_information(ctx, stream) for stream in found[:wanted]]}
    if len(found) > wanted:
        answer["NextToken"] = naming.write_token("streams", found[wanted - 1].name)
    return answer


@operation
def update_stream(
    ctx: Context,
    *,
    current_version: str,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    device_name: str | None = None,
    media_type: str | None = None,
) -> None:
    """Change what a stream says of its device and its media."""
    stream = _of_version(ctx, stream_name, stream_arn, current_version)
    stream.device_name = stream.device_name if device_name is None else device_name
    stream.media_type = stream.media_type if media_type is None else media_type
    _save_changed(ctx, stream)


@operation
def update_data_retention(
    ctx: Context,
    *,
    current_version: str,
    operation: str,
    data_retention_change_in_hours: int,
    stream_name: str | None = None,
    stream_arn: str | None = None,
) -> None:
    """Keep fragments for longer, or for less long. What is too old then is removed by a worker, a few seconds later."""
    stream = _of_version(ctx, stream_name, stream_arn, current_version)
    change = data_retention_change_in_hours if operation == "INCREASE_DATA_RETENTION" else -data_retention_change_in_hours
    hours = stream.retention_hours + change
    if not 0 <= hours <= limits.RETENTION_MAX_HOURS:
        raise errors.InvalidArgumentException(
            f"The retention period would be {hours} hours; it must be from 0 to {limits.RETENTION_MAX_HOURS}."
        )
    stream.retention_hours = hours
    _save_changed(ctx, stream)


@operation
def delete_stream(ctx: Context, *, stream_arn: str, current_version: str | None = None) -> None:
    """Remove a stream; its fragments go a moment later. Producers and readers that are connected are told and let go."""
    stream = state.find_stream(ctx, None, stream_arn)
    if current_version is not None:
        _check_version(stream, current_version)
    tag_rows.drop(ctx.tx, stream.arn)
    state.delete_stream(ctx.tx, stream)


def _information(ctx: Context, stream: state.Stream) -> dict[str, Any]:
    return {
        "DeviceName": stream.device_name or None,
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "MediaType": stream.media_type or None,
        "KmsKeyId": stream.kms_key_id or f"arn:aws:kms:{ctx.region}:{ctx.account}:alias/aws/kinesisvideo",
        "Version": stream.version,
        "Status": "ACTIVE",
        "CreationTime": stream.created_at,
        "DataRetentionInHours": stream.retention_hours,
    }


def _of_version(ctx: Context, name: str | None, arn: str | None, version: str) -> state.Stream:
    stream = state.find_stream(ctx, name, arn)
    _check_version(stream, version)
    return stream


def _check_version(stream: state.Stream, version: str) -> None:
    if stream.version != version:
        raise errors.VersionMismatchException(
            f"The version {version} is not the current one of the stream {stream.name}. Describe it, and try again."
        )


def _save_changed(ctx: Context, stream: state.Stream) -> None:
    stream.version = ctx.ids.upper(20)
    state.save_stream(ctx.tx, stream)
