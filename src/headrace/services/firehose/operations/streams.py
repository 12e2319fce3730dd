"""Operations on delivery streams: create, describe, list, update, delete."""

from typing import Any

import msgspec

from headrace import consumer
from headrace.kit.errors import UnsupportedParameter
from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.firehose import destinations, errors, limits, sources, state
from headrace.services.firehose.roles import ROLES

Members = dict[str, Any]


@operation
def create_delivery_stream(
    ctx: Context,
    *,
    delivery_stream_name: str,
    delivery_stream_type: str | None = None,
    kinesis_stream_source_configuration: Members | None = None,
    delivery_stream_encryption_configuration_input: Members | None = None,
    s3_destination_configuration: Members | None = None,
    extended_s3_destination_configuration: Members | None = None,
    redshift_destination_configuration: Members | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Members:
    """Create a delivery stream to S3 or Redshift, fed by PutRecord or by a Kinesis stream.

    Differs from AWS: it is ACTIVE at once; bucket and cluster are not looked at before the first delivery.
    """
    if state.STREAMS.get(ctx.tx, ctx.account, ctx.region, delivery_stream_name) is not None:
        raise errors.stream_exists(delivery_stream_name, ctx.account)
    kind, destination_given = _one_of(
        s3_destination_configuration, extended_s3_destination_configuration, redshift_destination_configuration
    )
    now = ctx.clock.now()
    stream = state.DeliveryStream(
        delivery_stream_name, ctx.ids.hex(24), delivery_stream_type or state.DIRECT_PUT, now,
        destinations.create(kind, destination_given),
    )  # fmt: skip
    if stream.kind not in (state.DIRECT_PUT, state.KINESIS_SOURCE):
        raise UnsupportedParameter(f"Firehose: the delivery stream type {stream.kind} is not supported yet.")
    if (stream.kind == state.KINESIS_SOURCE) != (kinesis_stream_source_configuration is not None):
        raise errors.InvalidArgumentException(
            "KinesisStreamSourceConfiguration is required for KinesisStreamAsSource delivery streams, and only for them."
        )
    _check_roles(ctx, stream.destination)
    if kinesis_stream_source_configuration is not None:
        if kinesis_stream_source_configuration["KinesisStreamARN"].split(":")[4] != ctx.account:
            raise errors.InvalidArgumentException("The source stream must be in the account of the delivery stream.")
        stream.source = {**kinesis_stream_source_configuration, "DeliveryStartTimestamp": now}
        ctx.tx.announce(state.SOURCES_TOPIC)
    if delivery_stream_encryption_configuration_input is not None:
        stream.encryption = {**delivery_stream_encryption_configuration_input, "Status": "ENABLED"}
    state.STREAMS.put(ctx.tx, stream, ctx.account, ctx.region, stream.name)
    arn = state.stream_arn(ctx.account, ctx.region, stream.name)
    if tags:
        tag_rows.add(ctx.tx, arn, tag_rows.from_list(tags))
    return {"DeliveryStreamARN": arn}


def _one_of(s3: Members | None, extended_s3: Members | None, redshift: Members | None) -> tuple[str, Members]:
    """The one destination that a request gives."""
    given = [
        (kind, members)
        for kind, members in (
            (destinations.S3, s3), (destinations.EXTENDED_S3, extended_s3), (destinations.REDSHIFT, redshift),
        )
        if members is not None
    ]  # fmt: skip
    if len(given) != 1:
        raise errors.InvalidArgumentException("Exactly one destination configuration is supported for a Firehose")
    return given[0]


def _check_roles(ctx: Context, destination: destinations.Destination) -> None:
    for role in destination.roles:
        if role.split(":")[4] != ctx.account:
            raise errors.InvalidArgumentException("Cross-account pass role is not allowed.")
        if not ROLES.can_be_assumed(ctx, role):
            raise errors.InvalidArgumentException(f"Firehose is unable to assume role {role}. Please check the role provided.")


@operation(read_only=True, accepts=("limit", "exclusive_start_destination_id"))
def describe_delivery_stream(ctx: Context, *, delivery_stream_name: str) -> Members:
    """A delivery stream's settings. It has one destination, so there is nothing to page through."""
    stream = state.find(ctx.tx, ctx.account, ctx.region, delivery_stream_name)
    shape: Members = {
        "DeliveryStreamName": stream.name,
        "DeliveryStreamARN": state.stream_arn(ctx.account, ctx.region, stream.name),
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamEncryptionConfiguration": stream.encryption or {"Status": "DISABLED"},
        "DeliveryStreamType": stream.kind,
        "VersionId": str(stream.version),
        "CreateTimestamp": stream.created_at,
        "Destinations": [destinations.describe(stream.destination)],
        "HasMoreDestinations": False,
    }
    if stream.updated_at is not None:
        shape["LastUpdateTimestamp"] = stream.updated_at
    if stream.source:
        shape["Source"] = {"KinesisStreamSourceDescription": stream.source}
    return {"DeliveryStreamDescription": shape}


@operation(read_only=True)
def list_delivery_streams(
    ctx: Context,
    *,
    limit: int | None = None,
    delivery_stream_type: str | None = None,
    exclusive_start_delivery_stream_name: str | None = None,
) -> Members:
    """The names of the account's delivery streams in the region."""
    after = (ctx.account, ctx.region, exclusive_start_delivery_stream_name or "")
    wanted = limit or limits.LIST_STREAMS_DEFAULT
    names: list[str] = []
    for _, stream in state.STREAMS.scan(ctx.tx, ctx.account, ctx.region, after=after):
        if delivery_stream_type in (None, stream.kind):
            names.append(stream.name)
        if len(names) > wanted:
            break
    return {"DeliveryStreamNames": names[:wanted], "HasMoreDeliveryStreams": len(names) > wanted}


@operation
def update_destination(
    ctx: Context,
    *,
    delivery_stream_name: str,
    current_delivery_stream_version_id: str,
    destination_id: str,
    s3_destination_update: Members | None = None,
    extended_s3_destination_update: Members | None = None,
    redshift_destination_update: Members | None = None,
) -> None:
    """Change the destination, if it is still the version that the caller saw. A batch on its way keeps the old one."""
    stream = state.find(ctx.tx, ctx.account, ctx.region, delivery_stream_name)
    if current_delivery_stream_version_id != str(stream.version):
        raise errors.version_differs(stream.name, stream.version, current_delivery_stream_version_id)
    if destination_id != destinations.DESTINATION_ID:
        raise errors.InvalidArgumentException(f"Destination Id {destination_id} not found")
    kind, given = _one_of(s3_destination_update, extended_s3_destination_update, redshift_destination_update)
    destination = destinations.update(stream.destination, kind, given)
    _check_roles(ctx, destination)
    changed = msgspec.structs.replace(stream, destination=destination, version=stream.version + 1, updated_at=ctx.clock.now())
    state.STREAMS.put(ctx.tx, changed, ctx.account, ctx.region, stream.name)
    ctx.tx.announce(state.topic_of(stream.id))


@operation(accepts=("allow_force_delete",))
def delete_delivery_stream(ctx: Context, *, delivery_stream_name: str) -> None:
    """Delete a delivery stream, and with it the records that were not delivered.

    Differs from AWS: it is gone at once, without a DELETING state. There are no grants whose removal could be forced.
    """
    stream = state.find(ctx.tx, ctx.account, ctx.region, delivery_stream_name)
    state.remove(ctx.tx, ctx.account, ctx.region, stream)
    consumer.forget(ctx, sources.subscription_id(stream))
    tag_rows.drop(ctx.tx, state.stream_arn(ctx.account, ctx.region, stream.name))
