"""Back pressure: how much of what was sent to a client has not arrived there yet.

The HTTP server takes whatever it is given into a queue without a bound, and says nothing of when it leaves. The kernel does: it
counts the bytes that the other end of a connection has acknowledged. So whoever sends more than a little asks here first, and a
client that reads slowly, or not at all, holds a bounded number of bytes. The count is of a whole connection; over HTTP/2 the
streams of one share its room.
"""

import asyncio
import contextlib
import os
import socket
import struct

ROOM_BYTES = 4 << 20
# So much is sent between two looks at the connection.
LOOK_AFTER_BYTES = 256 << 10
LOOK_PAUSE_MIN_SECONDS = 0.001
LOOK_PAUSE_MAX_SECONDS = 0.05
# A server that stops waits so long for clients to take what they were sent.
END_GRACE_SECONDS = 3.0

_INFO_SIZE_BYTES = 136
_ACKNOWLEDGED_OFFSET = 120  # tcp_info.tcpi_bytes_acked


class Drains:
    """The connections that something is sent over, by the client's address."""

    def __init__(self) -> None:
        self._drains: dict[str, Drain] = {}
        self.ending = False

    def open(self, client: str) -> "Drain":
        """The connection of a client; `close` it when all is sent."""
        drain = self._drains.get(client)
        if drain is None:
            drain = self._drains[client] = Drain(client, self)
        drain.senders += 1
        return drain

    def forget(self, client: str) -> None:
        """Nothing is sent to the client any more."""
        self._drains.pop(client, None)

    def end(self) -> None:
        """The server stops: nobody waits any more, and a moment later those who still take nothing are cut off."""
        self.ending = True
        for drain in self._drains.values():
            asyncio.get_running_loop().call_later(END_GRACE_SECONDS, drain.cut)


class Drain:
    """What is on its way over one connection."""

    def __init__(self, client: str, drains: Drains) -> None:
        self.senders = 0
        self._client = client
        self._drains = drains
        host, _, port = client.rpartition(":")
        self._peer = (host.strip("[]"), int(port) if port.isdecimal() else 0)
        self._descriptor = _find(self._peer)
        self._sent_bytes = _acknowledged(self._descriptor, self._peer) or 0
        self._unseen_bytes = 0

    def close(self) -> None:
        """One sender is done."""
        self.senders -= 1
        if not self.senders:
            self._drains.forget(self._client)

    def cut(self) -> None:
        """End the connection, if the client has not taken all."""
        acknowledged = _acknowledged(self._descriptor, self._peer)
        if self._descriptor is not None and acknowledged is not None and acknowledged < self._sent_bytes:
            with contextlib.suppress(OSError):
                connection = socket.socket(fileno=os.dup(self._descriptor))
                with connection:
                    connection.shutdown(socket.SHUT_RDWR)

    async def room(self, size_bytes: int, wait_max_seconds: float) -> bool:
        """Wait until there is room for so many bytes more, and count them; False when there was none for too long."""
        self._unseen_bytes += size_bytes
        if self._unseen_bytes > LOOK_AFTER_BYTES and not await self._drained(wait_max_seconds):
            return False
        self._sent_bytes += size_bytes
        return True

    async def _drained(self, wait_max_seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_max_seconds
        pause_seconds = LOOK_PAUSE_MIN_SECONDS
        while True:
            acknowledged = _acknowledged(self._descriptor, self._peer)
            if acknowledged is None:
                # The connection is gone, which sending will tell; or this system does not count.
                return True
            # Framing, and answers to others over the connection, are acknowledged beside what is counted here.
            self._sent_bytes = max(self._sent_bytes, acknowledged)
            if self._sent_bytes - acknowledged < ROOM_BYTES or self._drains.ending:
                self._unseen_bytes = 0
                return True
            if loop.time() > until:
                # What is stuck stays with the stream that is given up; the others go on.
                self._sent_bytes = acknowledged
                return False
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LOOK_PAUSE_MAX_SECONDS)


def _find(peer: tuple[str, int]) -> int | None:
    """The descriptor of this process's connection to a peer."""
    try:
        descriptors = os.listdir("/proc/self/fd")
    except OSError:
        return None
    return next((int(one) for one in descriptors if _acknowledged(int(one), peer) is not None), None)


def _acknowledged(descriptor: int | None, peer: tuple[str, int]) -> int | None:
    """How many bytes the peer acknowledged since the connection began; None when the descriptor is not its any more."""
    if descriptor is None:
        return None
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        address = connection.getpeername()
        if not isinstance(address, tuple) or address[1] != peer[1] or address[0].removeprefix("::ffff:") != peer[0]:
            return None
        information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE_BYTES)
        return int(struct.unpack_from("Q", information, _ACKNOWLEDGED_OFFSET)[0])
    except (OSError, AttributeError, struct.error):
        return None
    finally:
        # The descriptor is the HTTP server's: it stays open.
        connection.detach()
