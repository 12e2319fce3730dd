"""Bad input: the server stays up, its memory stays bounded, and every answer is a 4xx."""

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer

COUNT = 10_000
MEMORY_GROWTH_MAX_MIB = 96
TARGETS = (
    "DynamoDB_20120810.PutItem",
    "DynamoDB_20120810.Query",
    "Kinesis_20131202.PutRecords",
    "Kinesis_20131202.GetRecords",
    "Firehose_20150804.PutRecordBatch",
    "Logs_20140328.PutLogEvents",
    "No_Such.Thing",
)
SERVICES = {
    "DynamoDB_20120810": "dynamodb",
    "Kinesis_20131202": "kinesis",
    "Firehose_20150804": "firehose",
    "Logs_20140328": "logs",
}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadraceServer]:
    running = HeadraceServer(tmp_path_factory.mktemp("malformed") / "data").start()
    yield running
    assert running.stop() == 0


def resident_mib(server: HeadraceServer) -> float:
    assert server.process is not None
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the server is gone")


def bad_body(chance: random.Random) -> bytes:
    """Truncated, of wrong types, of absurd size or depth, or no JSON at all."""
    kinds = (
        lambda: b'{"TableName": "x", "Item": {"a": {"S": "tr',
        lambda: b'{"TableName": 7, "Item": [1, 2], "StreamName": {"x": 1}, "Records": "no"}',
        lambda: b'{"TableName": "x", "Limit": ' + b"9" * chance.randrange(1, 5000) + b"}",
        lambda: b'{"Item": ' + b'{"L": [' * chance.randrange(50, 3000) + b"]}" * 40,
        lambda: b"[" * chance.randrange(100, 50_000),
        lambda: chance.randbytes(chance.randrange(0, 2000)),
        lambda: b'{"TableName": "\\ud800", "StreamName": "\xff\xfe"}',
        lambda: b'{"TableName": "x", "Item": {"n": {"N": "1e' + b"9" * 300 + b'"}}}',
        lambda: b"null",
        lambda: b'{"a":' * 200 + b"NaN" + b"}" * 200,
    )
    return chance.choice(kinds)()


def signed(body: bytes, target: str, port: int, *, key: str = ROOT_KEY, secret: str = ROOT_SECRET) -> list[tuple[str, str]]:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    request = AWSRequest("POST", f"http://127.0.0.1:{port}/", data=body, headers=headers)
    SigV4Auth(Credentials(key, secret), SERVICES.get(target.split(".", maxsplit=1)[0], "dynamodb"), "us-east-1").add_auth(request)
    return [(name, value) for name, value in request.headers.items()]


def request_bytes(chance: random.Random, port: int) -> bytes:
    target = chance.choice(TARGETS)
    body = bad_body(chance)
    secret = "wrong" if chance.random() < 0.1 else ROOT_SECRET
    headers = dict(signed(body, target, port, secret=secret))
    twist = chance.random()
    if twist < 0.05:
        headers["Authorization"] = headers["Authorization"][: chance.randrange(len(headers["Authorization"]))]
    elif twist < 0.08:
        headers["X-Amz-Date"] = "yesterday"
    elif twist < 0.11:
        headers["Content-Encoding"] = "gzip"
    elif twist < 0.14:
        headers["Content-Type"] = chance.choice(("application/x-amz-cbor-1.1", "text/xml", "application/x-www-form-urlencoded"))
    path = chance.choice(("/", "/", "/", "/bucket/key?uploads", "/2015-03-31/functions/x/invocations", "/%zz", "/v2/email/x"))
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("utf-8", "replace") + body


def status_of(raw: bytes, port: int) -> int:
    """Send one request on a connection of its own; the answer's status, or 0 when it was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw)
        head = b""
        while b"\r\n" not in head:
            try:
                part = connection.recv(4096)
            except ConnectionError:
                return 0
            if not part:
                return 0
            head += part
    return int(head.split(b" ", 2)[1])


@pytest.mark.timeout(300)
def test_malformed__ten_thousand_requests_are_refused(victim: HeadraceServer) -> None:
    chance = random.Random(20261123)
    for _ in range(200):
        status_of(request_bytes(chance, victim.port), victim.port)
    before_mib = resident_mib(victim)
    statuses: dict[int, int] = {}
    for _ in range(COUNT):
        raw = request_bytes(chance, victim.port)
        status = status_of(raw, victim.port)
        statuses[status] = statuses.get(status, 0) + 1
        # 501 says that Headrace does not support it; everything else is the caller's fault.
        assert 400 <= status < 500 or status == 501, (status, raw[:2000], victim.log_text()[-3000:])
    assert sum(statuses.values()) == COUNT
    assert resident_mib(victim) - before_mib < MEMORY_GROWTH_MAX_MIB
    assert "Traceback" not in victim.log_text()
    assert victim.client("kinesis").list_streams()["StreamNames"] == []


def test_slow_senders__do_not_hold_up_others(victim: HeadraceServer) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\nContent-Length: 1000000\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=30))
            connection.sendall(head)
        for _ in range(20):
            assert victim.client("kinesis").list_streams()["StreamNames"] == []


def test_half_requests__leave_nothing_behind(victim: HeadraceServer) -> None:
    for cut in range(1, 60):
        with socket.create_connection(("127.0.0.1", victim.port), timeout=30) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n0123456789"[:cut])
    assert victim.client("kinesis").list_streams()["StreamNames"] == []
