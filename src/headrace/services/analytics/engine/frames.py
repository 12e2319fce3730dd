"""What the server and the engine's process say to each other: four bytes of length, then MessagePack."""

import socket
import struct
from typing import Any

import msgspec

_LENGTH = struct.Struct("!I")
FRAME_BYTES_MAX = 1 << 30


def send(connection: socket.socket, value: Any) -> None:
    """Say a value."""
    body = msgspec.msgpack.encode(value)
    connection.sendall(_LENGTH.pack(len(body)))
    connection.sendall(body)


def receive(connection: socket.socket) -> Any:
    """What is said next. EOFError: the other side is gone, or says more than anybody should."""
    (size,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
    if size > FRAME_BYTES_MAX:
        raise EOFError("the message is too long")
    return msgspec.msgpack.decode(_read(connection, size))


def _read(connection: socket.socket, size: int) -> bytearray:
    found = bytearray(size)
    rest = memoryview(found)
    while rest:
        count = connection.recv_into(rest)
        if not count:
            raise EOFError("the connection was closed")
        rest = rest[count:]
    return found
