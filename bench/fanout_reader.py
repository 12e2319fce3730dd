"""Subscribes to shards and tells how late their records come: the reader of `fanout.py`, in a process of its own.

Arguments: port, how many records to wait for, then ARNs of consumers. The first one's records are looked at, those of the others
only taken. Each record's data begins with the time at which it was about to be sent, in nanoseconds of the monotonic clock.
"""

import base64
import json
import selectors
import socket
import sys
import time

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from servers import KEY, SECRET, client

from headrace.wire.eventstream import decode_messages


def signed(port: int, operation: str, body: bytes) -> bytes:
    """A whole request to Kinesis, as it goes over the wire."""
    headers = {"X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"http://127.0.0.1:{port}/", data=body, headers=headers)
    SigV4Auth(Credentials(KEY, SECRET), "kinesis", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(["POST / HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}", *lines, "", ""])
    return head.encode() + body


def subscribe(port: int, consumer: str, shard: str) -> socket.socket:
    """A connection on which a shard's events come."""
    asked = {"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": {"Type": "LATEST"}}
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(signed(port, "SubscribeToShard", json.dumps(asked).encode()))
    while b"initial-response" not in connection.recv(65536):
        pass
    return connection


class Chunks:
    """Undoes the chunks of HTTP/1.1, and cuts what is in them into messages."""

    def __init__(self) -> None:
        self._raw, self._plain = b"", b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the messages that are whole now."""
        self._raw += data
        while (line := self._raw.find(b"\r\n")) > 0:
            size = int(self._raw[:line], 16)
            if len(self._raw) < line + size + 4:
                break
            self._plain += self._raw[line + 2 : line + 2 + size]
            self._raw = self._raw[line + size + 4 :]
        payloads = []
        while len(self._plain) >= 4 and len(self._plain) >= (size := int.from_bytes(self._plain[:4], "big")):
            payloads += [message.payload for message in decode_messages(self._plain[:size])]
            self._plain = self._plain[size:]
        return payloads


def main() -> None:
    """Read until enough records have come; prints their delays in milliseconds."""
    port, count, consumers = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    shards = [one["ShardId"] for one in client("kinesis", port).list_shards(StreamName="bench")["Shards"]]
    ready = selectors.DefaultSelector()
    for number, consumer in enumerate(consumers):
        for shard in shards:
            connection = subscribe(port, consumer, shard)
            ready.register(connection, selectors.EVENT_READ, Chunks() if number == 0 else None)
    print("ready", flush=True)
    delays: list[float] = []
    while len(delays) < count:
        for key, _ in ready.select():
            data = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
            now = time.monotonic_ns()
            for payload in key.data.feed(data) if key.data is not None else ():
                for record in msgspec.json.decode(payload)["Records"]:
                    delays.append((now - int(base64.b64decode(record["Data"])[:20])) / 1e6)
    print(json.dumps(delays), flush=True)


if __name__ == "__main__":
    main()
