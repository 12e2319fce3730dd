"""Signaling channels.

    ("video-channel", account, region, name)                → Channel
    ("tags", arn)                                           → its tags

Who is connected, and what waits to be delivered, is in memory (`relay.py`): it means nothing to anybody after a restart.
"""

import re

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.ports import Scope
from headrace.services.video.errors import InvalidArgumentException, ResourceNotFoundException

TTL_DEFAULT_SECONDS = 60
SINGLE_MASTER = "SINGLE_MASTER"
_CHANNEL = re.compile(r"channel/(?P<name>[a-zA-Z0-9_.-]{1,256})/(?P<created>\d{1,20})\Z")


class Channel(msgspec.Struct):
    """A channel's settings. Times are seconds since 1970."""

    account: str
    region: str
    name: str
    created_at: float
    version: str
    ttl_seconds: int = TTL_DEFAULT_SECONDS

    @property
    def arn(self) -> str:
        """The channel's ARN, which ends with the milliseconds of its creation."""
        return arns.arn("kinesisvideo", self.region, self.account, f"channel/{self.name}/{int(self.created_at * 1000)}")


CHANNELS = Records(("video-channel",), Channel)


def find(scope: Scope, arn: str | None, name: str | None = None) -> Channel:
    """The channel of an ARN or a name, of the scope's account. In a transaction or a snapshot. ResourceNotFoundException."""
    if arn:
        account, region, named = _parse(arn)
        found = CHANNELS.get(scope.tx, account, region, named) if account == scope.account else None
        if found is None or found.arn != arn:
            raise not_found(arn, scope.account)
        return found
    if not name:
        raise InvalidArgumentException("Either ChannelName or ChannelARN should be provided.")
    found = CHANNELS.get(scope.tx, scope.account, scope.region, name)
    if found is None:
        raise not_found(name, scope.account)
    return found


def save(scope: Scope, channel: Channel) -> None:
    """Write a channel's row under a new version."""
    channel.version = scope.ids.upper(20)
    CHANNELS.put(scope.tx, channel, channel.account, channel.region, channel.name)


def not_found(what: str, account: str) -> ResourceNotFoundException:
    """No channel of this name or ARN."""
    return ResourceNotFoundException(
        f"The requested channel is not found or not active. Channel {what} under account {account} does not exist."
    )


def _parse(arn: str) -> tuple[str, str, str]:
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise InvalidArgumentException(f"{arn} is not a valid ARN.") from None
    found = _CHANNEL.match(parsed.resource)
    if parsed.service != "kinesisvideo" or found is None:
        raise InvalidArgumentException(f"{arn} is not the ARN of a signaling channel.")
    return parsed.account, parsed.region, found["name"]
