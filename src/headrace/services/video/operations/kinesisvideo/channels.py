"""Operations on signaling channels."""

from collections.abc import Sequence
from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.video import errors, naming
from headrace.services.video.signaling import channels
from headrace.services.video.signaling.channels import Channel
from headrace.services.video.signaling.relay import RELAY

TAGS_MAX = 50
PAGE_DEFAULT = 10_000


@operation
def create_signaling_channel(
    ctx: Context, *, channel_name: str, channel_type: str = channels.SINGLE_MASTER,
    single_master_configuration: dict[str, Any] | None = None, tags: list[dict[str, str]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Make a channel with one master. It is active at once."""
    if channel_type != channels.SINGLE_MASTER:
        raise errors.InvalidArgumentException("SINGLE_MASTER is the only supported channel type.")
    if channels.CHANNELS.get(ctx.tx, ctx.account, ctx.region, channel_name) is not None:
        raise errors.ResourceInUseException(f"The channel {channel_name} under account {ctx.account} exists already.")
    ttl_seconds = (single_master_configuration or {}).get("MessageTtlSeconds") or channels.TTL_DEFAULT_SECONDS
    channel = Channel(ctx.account, ctx.region, channel_name, ctx.clock.now(), "", ttl_seconds)
    channels.save(ctx, channel)
    tag_rows.add(ctx.tx, channel.arn, tag_rows.from_list(tags))
    return {"ChannelARN": channel.arn}


def _info(channel: Channel) -> dict[str, Any]:
    return {
        "ChannelName": channel.name, "ChannelARN": channel.arn, "ChannelType": channels.SINGLE_MASTER,
        "ChannelStatus": "ACTIVE", "CreationTime": channel.created_at, "Version": channel.version,
        "SingleMasterConfiguration": {"MessageTtlSeconds": channel.ttl_seconds},
    }  # fmt: skip


@operation(read_only=True)
def describe_signaling_channel(
    ctx: Context, *, channel_name: str | None = None, channel_arn: str | None = None
) -> dict[str, Any]:
    """What is known of a channel."""
    return {"ChannelInfo": _info(channels.find(ctx, channel_arn, channel_name))}


@operation(read_only=True)
def list_signaling_channels(
    ctx: Context, *, max_results: int | None = None, next_token: str | None = None,
    channel_name_condition: dict[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The channels whose names begin with a text, by name."""
    begin = (channel_name_condition or {}).get("ComparisonValue", "")
    after = None if next_token is None else naming.read_token(next_token, "channels", str)
    key = None if after is None else (ctx.account, ctx.region, after)
    most = max_results or PAGE_DEFAULT
    found: list[Channel] = []
    for _, channel in channels.CHANNELS.scan(ctx.tx, ctx.account, ctx.region, after=key):
        if channel.name.startswith(begin):
            if len(found) == most:
                return {"ChannelInfoList": [*map(_info, found)], "NextToken": naming.write_token("channels", found[-1].name)}
            found.append(channel)
    return {"ChannelInfoList": [_info(channel) for channel in found]}


@operation
def update_signaling_channel(
    ctx: Context, *, channel_arn: str, current_version: str, single_master_configuration: dict[str, Any] | None = None
) -> None:
    """Change how long a channel keeps what it can't deliver; it holds for new connections."""
    channel = channels.find(ctx, channel_arn)
    _check_version(channel, current_version)
    if single_master_configuration and "MessageTtlSeconds" in single_master_configuration:
        channel.ttl_seconds = single_master_configuration["MessageTtlSeconds"]
    channels.save(ctx, channel)


@operation(transaction=False)
def delete_signaling_channel(ctx: Context, *, channel_arn: str, current_version: str | None = None) -> None:
    """Delete a channel, and hang up on who is connected."""

    def body(inner: Context) -> None:
        channel = channels.find(inner, channel_arn)
        if current_version is not None:
            _check_version(channel, current_version)
        channels.CHANNELS.delete(inner.tx, channel.account, channel.region, channel.name)
        tag_rows.drop(inner.tx, channel.arn)

    ctx.transact(body)
    RELAY.close(channel_arn)


def _check_version(channel: Channel, version: str) -> None:
    if channel.version != version:
        raise errors.VersionMismatchException(
            f"The version {version} of the channel {channel.name} is not the latest one, {channel.version}."
        )


@operation(read_only=True)
def get_signaling_channel_endpoint(
    ctx: Context, *, channel_arn: str, single_master_channel_endpoint_configuration: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Where a channel's WebSocket (WSS) and its API (HTTPS) are: at this server. Without TLS here they are ws:// and http://."""
    channels.find(ctx, channel_arn)
    protocols: Sequence[str] = (single_master_channel_endpoint_configuration or {}).get("Protocols") or ["WSS", "HTTPS"]
    if "WEBRTC" in protocols:
        raise errors.InvalidArgumentException("The channel is not configured for ingestion.")
    address = naming.data_endpoint(ctx.settings)
    addresses = {"HTTPS": address, "WSS": "ws" + address.removeprefix("http")}
    return {"ResourceEndpointList": [{"Protocol": name, "ResourceEndpoint": addresses[name]} for name in protocols]}


@operation(read_only=True)
def describe_media_storage_configuration(
    ctx: Context, *, channel_name: str | None = None, channel_arn: str | None = None
) -> dict[str, Any]:
    """That a channel's media is not stored: it goes from peer to peer."""
    channels.find(ctx, channel_arn, channel_name)
    return {"MediaStorageConfiguration": {"Status": "DISABLED"}}


@operation
def update_media_storage_configuration(ctx: Context, *, channel_arn: str, media_storage_configuration: dict[str, Any]) -> None:
    """Refused, but for DISABLED, which is so: Headrace is no peer that could take a channel's media in."""
    channels.find(ctx, channel_arn)
    if media_storage_configuration["Status"] != "DISABLED":
        raise UnsupportedParameter("Headrace does not store the media of signaling channels. See the service's README.")


@operation
def tag_resource(ctx: Context, *, resource_arn: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a channel, or give new values to those that are there."""
    arn = channels.find(ctx, resource_arn).arn
    given = tag_rows.from_list(tags)
    if len({**tag_rows.get(ctx.tx, arn), **given}) > TAGS_MAX:
        raise errors.TagsPerResourceExceededLimitException(f"A channel has {TAGS_MAX} tags at most.")
    tag_rows.add(ctx.tx, arn, given)


@operation
def untag_resource(ctx: Context, *, resource_arn: str, tag_key_list: list[str]) -> None:
    """Take tags away from a channel."""
    tag_rows.remove(ctx.tx, channels.find(ctx, resource_arn).arn, tag_key_list)


@operation(read_only=True, accepts=("next_token",))
def list_tags_for_resource(ctx: Context, *, resource_arn: str) -> dict[str, Any]:
    """All tags of a channel: there are 50 at most, so one page holds them."""
    return {"Tags": dict(sorted(tag_rows.get(ctx.tx, channels.find(ctx, resource_arn).arn).items()))}
