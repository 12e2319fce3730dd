"""What peers ask beside their WebSocket."""

import threading
from typing import Any

from headrace.kit.errors import ServiceUnavailable
from headrace.operation import Context, operation
from headrace.services.video import errors
from headrace.services.video.signaling import channels, ice, messages
from headrace.services.video.signaling.relay import MASTER, RELAY

ANSWER_WAIT_SECONDS = 15.0


@operation(read_only=True, accepts=("client_id", "service", "username"))
def get_ice_server_config(ctx: Context, *, channel_arn: str) -> dict[str, Any]:
    """The STUN and TURN servers that the setting `video_ice_servers` names; none without it.

    Headrace runs no TURN server: peers on one network need none. The list is the same for every client.
    """
    channels.find(ctx, channel_arn)
    try:
        return {"IceServerList": ice.servers(ctx.settings.video_ice_servers)}
    except ValueError as problem:
        raise ServiceUnavailable(f"The setting video_ice_servers can't be read: {problem}") from None


class _Caller:
    """Waits in a channel, as a viewer does, for the answer to its offer: `operation.Line`."""

    def __init__(self) -> None:
        self.answer = ""
        self.done = threading.Event()

    def send(self, text: str) -> None:
        """Take the master's answer."""
        answer = messages.answer_in(text)
        if answer:
            self.answer = answer
            self.done.set()

    def hang_up(self) -> None:
        """The channel is gone."""
        self.done.set()


@operation(transaction=False)
def send_alexa_offer_to_master(ctx: Context, *, channel_arn: str, sender_client_id: str, message_payload: str) -> dict[str, Any]:
    """Send an SDP offer to the channel's master, and wait for its answer, 15 seconds at most."""
    channel = ctx.snapshot(lambda inner: channels.find(inner, channel_arn))
    if MASTER not in RELAY.connected(channel.arn):
        raise errors.InvalidArgumentException("The channel's master is not connected.")
    caller = _Caller()
    RELAY.join(channel.arn, sender_client_id, caller)
    try:
        offer = messages.Message("SDP_OFFER", message_payload)
        RELAY.deliver(channel.arn, MASTER, messages.delivered(offer, sender_client_id), channel.ttl_seconds)
        caller.done.wait(ANSWER_WAIT_SECONDS)
    finally:
        RELAY.leave(channel.arn, sender_client_id, caller)
    if not caller.answer:
        raise errors.InvalidArgumentException("The channel's master did not answer.")
    return {"Answer": caller.answer}
