"""Who is connected to which channel, and what is passed between them.

A channel has one master and ten viewers at most; a new connection of the same role and id takes the place of the old one. What
can't be delivered waits in memory for the channel's time to live.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping

from headrace.kit.errors import AccessDeniedException
from headrace.operation import Context, Line, Socket
from headrace.services.video.errors import ClientLimitExceededException, InvalidArgumentException
from headrace.services.video.signaling import channels, messages
from headrace.services.video.signaling.channels import Channel
from headrace.services.video.signaling.messages import Message, Refused

# AWS's own: viewers of a channel, and messages of one connection in a second.
VIEWERS_MAX = 10
RATES_PER_SECOND = {"SDP_OFFER": 5, "SDP_ANSWER": 50, "ICE_CANDIDATE": 20}
WAITING_PER_CHANNEL_MAX = 1000
MASTER = ""


class _Waiting:
    """A message that could not be delivered yet."""

    __slots__ = ("recipient", "text", "until")

    def __init__(self, recipient: str, text: str, until: float) -> None:
        self.recipient, self.text, self.until = recipient, text, until


class _Room:
    """A channel's connections by client id; the master's is empty."""

    def __init__(self) -> None:
        self.connected: dict[str, Line] = {}
        self.waiting: deque[_Waiting] = deque(maxlen=WAITING_PER_CHANNEL_MAX)


class Relay:
    """All rooms of this server."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
        self._lock = threading.Lock()

    def join(self, arn: str, client: str, line: Line) -> None:
        """Connect a client; who had its place is hung up on. ClientLimitExceededException when the room is full."""
        with self._lock:
            room = self._rooms.setdefault(arn, _Room())
            viewers = len(room.connected) - (MASTER in room.connected)
            if client != MASTER and client not in room.connected and viewers >= VIEWERS_MAX:
                raise ClientLimitExceededException(f"A channel has {VIEWERS_MAX} viewers at most.")
            before = room.connected.get(client)
            room.connected[client] = line
            now = time.monotonic()
            for waiting in [one for one in room.waiting if one.recipient == client]:
                room.waiting.remove(waiting)
                if waiting.until > now:
                    line.send(waiting.text)
        if before is not None:
            before.send(messages.GO_AWAY)
            before.hang_up()

    def leave(self, arn: str, client: str, line: Line) -> None:
        """Disconnect a client, unless another connection took its place."""
        with self._lock:
            room = self._rooms.get(arn)
            if room is None:
                return
            if room.connected.get(client) is line:
                del room.connected[client]
            now = time.monotonic()
            while room.waiting and room.waiting[0].until <= now:
                room.waiting.popleft()
            if not room.connected and not room.waiting:
                del self._rooms[arn]

    def deliver(self, arn: str, recipient: str, text: str, ttl_seconds: float) -> bool:
        """Pass a text on, or let it wait; whether it was passed on."""
        with self._lock:
            room = self._rooms.setdefault(arn, _Room())
            line = room.connected.get(recipient)
            if line is not None:
                line.send(text)
                return True
            room.waiting.append(_Waiting(recipient, text, time.monotonic() + ttl_seconds))
            return False

    def close(self, arn: str) -> None:
        """Hang up on everybody in a channel: it was deleted."""
        with self._lock:
            room = self._rooms.pop(arn, None)
        for line in room.connected.values() if room is not None else ():
            line.send(messages.GO_AWAY)
            line.hang_up()

    def connected(self, arn: str) -> list[str]:
        """The clients in a channel; the master's id is empty."""
        with self._lock:
            room = self._rooms.get(arn)
            return list(room.connected) if room is not None else []


RELAY = Relay()


class Client:
    """One connection: `operation.Conversation`."""

    def __init__(self, channel: Channel, client: str, line: Line) -> None:
        self._channel = channel
        self._client = client
        self._line = line
        self._sent: dict[str, deque[float]] = {}

    def received(self, text: str) -> None:
        """Pass a message on, or say why not if its sender wants to know."""
        try:
            message = messages.read(text)
            if message is not None:
                self._pass_on(message)
        except Refused as refusal:
            if refusal.correlation_id or refusal.kind == "BadRequestException":
                self._line.send(messages.status(refusal))

    def _pass_on(self, message: Message) -> None:
        self._check_rate(message)
        if self._client != MASTER and message.recipient:
            raise Refused(
                "InvalidArgumentException",
                "A viewer's messages go to the master: they name no recipient.",
                message.correlation_id,
            )
        if self._client == MASTER and not message.recipient:
            raise Refused("InvalidArgumentException", "A master's message must name its recipient.", message.correlation_id)
        recipient = message.recipient if self._client == MASTER else MASTER
        RELAY.deliver(self._channel.arn, recipient, messages.delivered(message, self._client), self._channel.ttl_seconds)

    def _check_rate(self, message: Message) -> None:
        now, most = time.monotonic(), RATES_PER_SECOND[message.action]
        sent = self._sent.setdefault(message.action, deque(maxlen=most))
        if len(sent) == most and now - sent[0] < 1.0:
            raise Refused("LimitExceededException", "Rate exceeded.", message.correlation_id, 429)
        sent.append(now)

    def ended(self) -> None:
        """The connection is over."""
        RELAY.leave(self._channel.arn, self._client, self._line)


def connect(ctx: Context, query: Mapping[str, str], line: Line) -> Client:
    """ConnectAsMaster, or with X-Amz-ClientId ConnectAsViewer."""
    client = query.get("X-Amz-ClientId", MASTER)
    if client and not messages.is_client_id(client):
        raise InvalidArgumentException("X-Amz-ClientId is not valid.")
    channel = ctx.snapshot(lambda inner: channels.find(inner, query["X-Amz-ChannelARN"]))
    action = "kinesisvideo:ConnectAsViewer" if client else "kinesisvideo:ConnectAsMaster"
    if not ctx.principal.is_root and not ctx.ports.authority.allows(ctx, ctx.principal, action, channel.arn):
        raise AccessDeniedException(
            f"User: {ctx.principal.arn} is not authorized to perform: {action} on resource: {channel.arn}"
        )
    RELAY.join(channel.arn, client, line)
    return Client(channel, client, line)


SOCKETS = {("/", "X-Amz-ChannelARN"): Socket("kinesisvideo", connect)}
