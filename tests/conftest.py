"""Fixtures: a real server on a free port with its own data folder, and boto3 clients on it, each test with its own account."""

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from headrace.kit.accounts import account_credentials

REGION = "us-east-1"
ROOT_KEY, ROOT_SECRET = "HRTESTROOTKEY", "test-root-secret-0123456789"
_accounts = itertools.count(random.SystemRandom().randrange(10**11, 9 * 10**11))


def eventually(check: Callable[[], Any], timeout_seconds: float = 20.0) -> Any:
    """Wait until check() gives something true, and return it; what it last gave or raised is the failure's text."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            value, failure = check(), None
        except Exception as error:
            value, failure = None, error
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {timeout_seconds} s; last: {failure or value!r}") from failure
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class HeadraceServer:
    """A server process that can be killed and started again on its data."""

    def __init__(self, data: Path, *flags: str, port: int | None = None, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self.redshift_port = free_port()
        self.flags = flags
        self.environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "headrace.cli.main", "up", "--test-clock", *self.flags]

    def start(self) -> "HeadraceServer":
        self.log = (self.data.parent / f"{self.data.name}.log").open("ab")
        self.process = subprocess.Popen(
            self.command(),
            env={
                **os.environ,
                "HEADRACE_DATA": str(self.data),
                "HEADRACE_PORT": str(self.port),
                "HEADRACE_REDSHIFT_PORT": str(self.redshift_port),
                "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY,
                "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
                **self.environment,
            },
            stdout=self.log,
            stderr=self.log,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/_headrace/health", timeout=5).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise AssertionError(f"the server did not start:\n{self.log_text()}") from None
                time.sleep(0.01)

    def log_text(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.log.close()
        return status

    def page(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}{path}", data=data, timeout=10) as answer:
            return json.load(answer)

    def advance(self, seconds: float) -> None:
        """Move the server's clock forward."""
        self.page("/_headrace/clock", {"advance_seconds": seconds})

    def client(self, service: str, account: str = "000000000000", region: str = REGION, **arguments: Any) -> Any:
        key, secret = account_credentials(ROOT_SECRET, account)
        arguments.setdefault("config", Config(retries={"max_attempts": 0}, read_timeout=60))
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret, **arguments
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadraceServer]:
    """The server that all tests of this process share."""
    running = HeadraceServer(tmp_path_factory.mktemp("headrace") / "data").start()
    yield running
    running.stop()


@pytest.fixture
def account() -> str:
    """An account that no other test uses."""
    return f"{next(_accounts) % 10**12:012d}"


@pytest.fixture
def client(server: HeadraceServer, account: str) -> Callable[..., Any]:
    """client("kinesis") is a boto3 client on the server, in this test's own account."""

    def make(service: str, **arguments: Any) -> Any:
        return server.client(service, account, **arguments)

    return make
