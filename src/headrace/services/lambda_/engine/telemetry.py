"""AWS's Telemetry API, and the older Logs API: events go in batches to subscribers inside an environment.

The sandbox hands out sockets that were made in its network, so the server speaks to a subscriber where it is and reaches nothing
else. Each subscriber has a thread. What is sent to an environment that stands still lies in its socket until it goes on.
"""

import contextlib
import ctypes
import json
import re
import select
import socket
import struct
import threading
import time
import urllib.parse
from collections import deque
from typing import Any, NamedTuple

from headrace.services.lambda_.engine import platform_events

TELEMETRY_PATH, LOGS_PATH = "/2022-07-01/telemetry", "/2020-08-15/logs"
_TYPES = ("platform", "function", "extension")
_SCHEMAS = {
    TELEMETRY_PATH: ("2022-07-01", "2022-12-13", "2025-01-29"),
    LOGS_PATH: ("2020-08-15", "2021-03-18"),
}
_BUFFERING = {
    # Name: (default of the Telemetry API, default of the Logs API, least, most).
    "maxItems": (1_000, 10_000, 1_000, 10_000),
    "maxBytes": (262_144, 262_144, 262_144, 1_048_576),
    "timeoutMs": (1_000, 1_000, 25, 30_000),
}
_HOSTS = ("sandbox.localdomain", "sandbox", "localhost", "127.0.0.1")
_VISIBLE = re.compile(r"[!-~]+")
_BEHIND = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."
_EARLY_MAX = 1_000
_EARLY_BYTES_MAX = 1_048_576
_RECORD_BYTES = 512
_BATCHES_HELD = 4
_CLOSE_SECONDS = 1.0
_RETRY_SECONDS = 0.1
_RETRY_SECONDS_MAX = 2.0
_ANSWER_BYTES_MAX = 64 * 1024
_libc: Any = ctypes.CDLL(None, use_errno=True)


class Invalid(ValueError):
    """A subscription that AWS refuses; the text says why."""


class Subscription(NamedTuple):
    """What a subscriber asked for."""

    path: str
    schema: str
    types: tuple[str, ...]
    protocol: str
    port: int
    target: str
    items_max: int
    bytes_max: int
    timeout_seconds: float


def parse(path: str, body: bytes) -> Subscription:
    """A request to subscribe. Invalid with all that is wrong."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("Could not parse the request body") from None
    if not isinstance(asked, dict):
        raise Invalid("Could not parse the request body")
    wrong: list[str] = []
    older = path == LOGS_PATH
    schema = asked.get("schemaVersion", _SCHEMAS[path][0] if older else "")
    if schema not in _SCHEMAS[path]:
        wrong.append(f"schemaVersion should be one of {', '.join(_SCHEMAS[path])}")
    destination = asked.get("destination")
    protocol, port, target = _destination(destination if isinstance(destination, dict) else {}, wrong)
    types = asked.get("types") or (("platform", "function") if older and "types" not in asked else ())
    if not types:
        wrong.append("types should not be empty")
    elif not isinstance(types, list | tuple) or not all(isinstance(one, str) and one in _TYPES for one in types):
        wrong.append(f"types should be among {', '.join(_TYPES)}")
    buffering = asked.get("buffering") or {}
    if not isinstance(buffering, dict):
        raise Invalid("buffering is not an object")
    numbers = _buffering(buffering, older, wrong)
    if wrong:
        raise Invalid("; ".join(wrong))
    return Subscription(path, schema, tuple(types), protocol, port, target, numbers[0], numbers[1], numbers[2] / 1000)


def _destination(asked: dict[str, Any], wrong: list[str]) -> tuple[str, int, str]:
    protocol = str(asked.get("protocol", "")).upper()
    if protocol not in ("HTTP", "TCP"):
        wrong.append("protocol should be HTTP or TCP")
    uri = asked.get("URI", asked.get("uri", ""))
    if protocol == "TCP":
        port = asked.get("port", 0)
        if isinstance(uri, str) and uri:
            with contextlib.suppress(ValueError):
                port = urllib.parse.urlsplit(uri).port or port
        if type(port) is not int or not 0 < port < 65_536:
            wrong.append("port is not provided")
            port = 0
        return protocol, port, ""
    try:
        parts = urllib.parse.urlsplit(uri)
        port = parts.port or 0
        if not _VISIBLE.fullmatch(uri):
            raise ValueError(uri)
    except (ValueError, TypeError, AttributeError):
        wrong.append("URI is not valid")
        return protocol, 0, ""
    if parts.scheme != "http":
        wrong.append("URI scheme should be http")
    if parts.hostname not in _HOSTS:
        wrong.append("URI host should be sandbox.localdomain")
    if not port:
        wrong.append("URI port is not provided")
    return protocol, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _buffering(asked: dict[str, Any], older: bool, wrong: list[str]) -> list[int]:
    found = []
    for name, (default, default_older, least, most) in _BUFFERING.items():
        value = asked.get(name, default_older if older else default)
        if type(value) is not int or not least <= value <= most:
            wrong.append(f"buffering {name} should be between {least} and {most}")
            value = default
        found.append(value)
    return found


def older_events(kind: str, record: Any, schema: str) -> list[tuple[str, Any]]:
    """What an event of the Telemetry API is in the Logs API: nothing, one or two events."""
    if kind in ("function", "extension", "platform.logsSubscription", "platform.logsDropped", "platform.extension"):
        return [(kind, record)]
    if kind == "platform.start":
        return [(kind, {"requestId": record["requestId"], "version": record["version"]})]
    if kind == "platform.report":
        request_id = {"requestId": record["requestId"]}
        return [("platform.end", request_id), (kind, {**request_id, "metrics": record["metrics"]})]
    if kind == "platform.runtimeDone" and schema != "2020-08-15":
        status = {"error": "failure"}.get(record["status"], record["status"])
        return [(kind, {"requestId": record["requestId"], "status": status})]
    return []


class Telemetry:
    """The events of one environment, and who gets them."""

    def __init__(self, logs_are_json: bool) -> None:
        self._logs_are_json = logs_are_json
        self._early: list[tuple[int, str, Any]] = []
        self._early_bytes = 0
        self._sockets: list[socket.socket] = []
        self._subscribers: dict[str, _Subscriber] = {}
        self.collecting = True
        """Until the initialisation is over, events are kept for those who will subscribe."""

    @property
    def heard(self) -> bool:
        """Whether anybody gets events."""
        return bool(self._subscribers)

    def take(self, sockets: list[socket.socket]) -> None:
        """Sockets of the sandbox's network: one for each subscriber."""
        self._sockets += sockets

    def hear(self, time_ms: int, kind: str, record: Any) -> None:
        """Take an event; nobody waits for its delivery."""
        if self.collecting and len(self._early) < _EARLY_MAX and self._early_bytes < _EARLY_BYTES_MAX:
            self._early.append((time_ms, kind, record))
            self._early_bytes += len(record) if isinstance(record, str) else _RECORD_BYTES
        for subscriber in self._subscribers.values():
            self._give(subscriber, time_ms, kind, record)

    def subscribe(self, name: str, asked: Subscription) -> None:
        """Begin to deliver to an extension, or change how. Invalid when there are too many."""
        old = self._subscribers.pop(name, None)
        if old is not None:
            old.stop()
        if not self._sockets:
            raise Invalid("There are too many subscriptions")
        subscriber = _Subscriber(asked, self._sockets.pop())
        for time_ms, kind, record in self._early:
            self._give(subscriber, time_ms, kind, record)
        self._subscribers[name] = subscriber

    def settle(self) -> None:
        """The initialisation is over: whoever did not subscribe never will."""
        self.collecting = False
        self._early.clear()
        for unused in self._sockets:
            unused.close()
        self._sockets.clear()

    @property
    def idle(self) -> bool:
        """Whether everything was delivered."""
        return all(subscriber.idle for subscriber in self._subscribers.values())

    def hurry(self) -> None:
        """Deliver all there is at once: the environment is about to end."""
        for subscriber in self._subscribers.values():
            subscriber.hurry()

    def stop(self) -> None:
        """End all deliveries."""
        for subscriber in self._subscribers.values():
            subscriber.stop()
        for unused in self._sockets:
            unused.close()
        self._subscribers = {}
        self._sockets = []

    def _give(self, subscriber: "_Subscriber", time_ms: int, kind: str, record: Any) -> None:
        asked = subscriber.asked
        if kind.partition(".")[0] not in asked.types:
            return
        if kind == "function" and self._logs_are_json and asked.schema >= "2022-12-13" and record.startswith("{"):
            with contextlib.suppress(ValueError):
                record = json.loads(record)
        events = older_events(kind, record, asked.schema) if asked.path == LOGS_PATH else [(kind, record)]
        for name, content in events:
            subscriber.offer(platform_events.as_json(time_ms, name, content).encode())


class _Subscriber:
    """Batches for one destination, and the thread that delivers them."""

    def __init__(self, asked: Subscription, sending: socket.socket) -> None:
        self.asked = asked
        self._socket = sending
        self._changed = threading.Condition()
        self._items: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._dropped = [0, 0]
        self._hurry = False
        self._stopped = False
        self._connected = False
        threading.Thread(target=self._run, name="lambda-telemetry", daemon=True).start()

    def offer(self, item: bytes) -> None:
        """Take one event; it is dropped, and counted, when too many wait."""
        with self._changed:
            if self._held_bytes + len(item) > _BATCHES_HELD * self.asked.bytes_max:
                self._dropped[0] += 1
                self._dropped[1] += len(item)
                return
            self._items.append((time.monotonic(), item))
            self._held_bytes += len(item)
            if len(self._items) == 1 or self._full():
                self._changed.notify_all()

    def hurry(self) -> None:
        """Wait for nothing more."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread, which closes the socket."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be delivered."""
        return not self._items

    def _full(self) -> bool:
        return len(self._items) >= self.asked.items_max or self._held_bytes >= self.asked.bytes_max

    def _batch(self) -> list[bytes]:
        """The next batch, when it is full or old enough; empty at the end."""
        with self._changed:
            while not self._stopped:
                due = self._items[0][0] + self.asked.timeout_seconds if self._items else float("inf")
                if self._items and (self._hurry or self._full() or time.monotonic() >= due):
                    found: list[bytes] = []
                    size = 0
                    for _, item in self._items:
                        if found and (len(found) >= self.asked.items_max or size + len(item) > self.asked.bytes_max):
                            break
                        found.append(item)
                        size += len(item)
                    return found
                self._changed.wait(None if due == float("inf") else max(0.0, due - time.monotonic()))
            return []

    def _run(self) -> None:
        retry_seconds = _RETRY_SECONDS
        with contextlib.closing(self._socket):
            while batch := self._batch():
                try:
                    self._deliver(batch)
                except (OSError, ValueError):
                    self._disconnect()
                    with self._changed:
                        self._changed.wait_for(lambda: self._stopped, retry_seconds)
                    retry_seconds = min(2 * retry_seconds, _RETRY_SECONDS_MAX)
                    continue
                retry_seconds = _RETRY_SECONDS
                self._delivered(len(batch))

    def _delivered(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._held_bytes -= len(self._items.popleft()[1])
            if self._dropped[0] and "platform" in self.asked.types:
                record = {"reason": _BEHIND, "droppedRecords": self._dropped[0], "droppedBytes": self._dropped[1]}
                item = platform_events.as_json(time.time() * 1000, "platform.logsDropped", record).encode()
                self._items.append((time.monotonic(), item))
                self._held_bytes += len(item)
            self._dropped = [0, 0]

    def _deliver(self, batch: list[bytes]) -> None:
        if not self._connected:
            self._socket.connect(("127.0.0.1", self.asked.port))
            self._connected = True
        if self.asked.protocol == "TCP":
            self._socket.sendall(b"\n".join(batch) + b"\n")
            return
        body = b"[" + b",".join(batch) + b"]"
        head = f"POST {self.asked.target} HTTP/1.1\r\nHost: sandbox.localdomain:{self.asked.port}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        answer = b""
        while not _whole(answer) and (more := self._socket.recv(4096)):
            answer += more
        if _whole(answer) and select.select([self._socket], [], [], _CLOSE_SECONDS)[0]:
            # To its end: who disconnects earlier resets the connection under the subscriber's feet.
            self._socket.recv(1)
        self._disconnect()
        status = answer.split(b" ", 2)[1:2]
        if not status or not status[0].startswith(b"2"):
            raise ValueError("the subscriber did not take the batch")

    def _disconnect(self) -> None:
        """Make the socket as new: another one can't be made in the sandbox's network from here."""
        self._connected = False
        if not self._stopped:
            _libc.connect(self._socket.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)


def _whole(answer: bytes) -> bool:
    """Whether an answer needs no more reading: what follows a head that says no length ends with the connection."""
    head, ended, body = answer.partition(b"\r\n\r\n")
    if not ended:
        return len(answer) > _ANSWER_BYTES_MAX
    found = re.search(rb"\r\ncontent-length: *(\d{1,9})", head, re.IGNORECASE)
    return len(body) >= (int(found[1]) if found else _ANSWER_BYTES_MAX) or len(body) > _ANSWER_BYTES_MAX
