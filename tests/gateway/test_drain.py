"""Answers in parts take no more memory than their reader takes bytes."""

import hashlib
import os
import socket
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conftest import HeadraceServer

SIZE_BYTES = 100 << 20


def test_download__a_slow_reader_holds_little_memory_and_gets_all(server: HeadraceServer, client: Callable[..., Any]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="slow-reader")
    data = os.urandom(SIZE_BYTES)
    s3.put_object(Bucket="slow-reader", Key="large", Body=data)
    link = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": "slow-reader", "Key": "large"}))
    before = anonymous_memory_mib(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(f"GET {link.path}?{link.query} HTTP/1.1\r\nHost: {link.netloc}\r\n\r\n".encode())
        # Long enough for the whole object, if nothing held it back.
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert anonymous_memory_mib(server) - before < 40
            time.sleep(0.1)
        response = HTTPResponse(connection)
        response.begin()
        assert hashlib.sha256(response.read()).digest() == hashlib.sha256(data).digest()
    s3.delete_object(Bucket="slow-reader", Key="large")


def test_server__stops_though_a_reader_stands_still(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="slow-reader")
    s3.put_object(Bucket="slow-reader", Key="large", Body=bytes(20 << 20))
    link = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": "slow-reader", "Key": "large"}))
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(f"GET {link.path}?{link.query} HTTP/1.1\r\nHost: {link.netloc}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10


def anonymous_memory_mib(server: HeadraceServer) -> float:
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
