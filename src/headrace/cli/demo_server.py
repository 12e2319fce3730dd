"""The demo's server: a process of its own, so that it can be killed."""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from headrace.kit.settings import Settings

START_SECONDS_MAX = 30.0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port(wanted: int) -> int:
    """The wanted port, or another one when it is taken."""
    if _is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DemoServer:
    """Starts, kills and stops `headrace up` on a folder."""

    def __init__(self, settings: Settings, data: Path) -> None:
        self.data = data
        self.region = settings.region
        self.port = _free_port(settings.port)
        self._environment = {
            **os.environ,
            "HEADRACE_DATA": str(data),
            "HEADRACE_PORT": str(self.port),
            "HEADRACE_REDSHIFT_PORT": str(_free_port(settings.redshift_port)),
            "HEADRACE_ROOT_ACCESS_KEY_ID": "HRDEMO" + secrets.token_hex(7).upper(),
            "HEADRACE_ROOT_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint of all AWS protocols."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start and wait for the first answer; the seconds that took."""
        began = time.monotonic()
        log = self.data / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "headrace.cli.main", "up"], env=self._environment, stdout=output, stderr=output
            )
        while True:
            try:
                self._get("/_headrace/health")
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() - began > START_SECONDS_MAX:
                    raise SystemExit(f"headrace: the server did not start:\n{log.read_text()[-4000:]}") from None
                time.sleep(0.005)
        took = time.monotonic() - began
        # What `headrace env --data …` reads; the server itself was given the keys.
        keys = self._environment
        (self.data / "credentials.json").write_text(
            json.dumps(
                {
                    "access_key_id": keys["HEADRACE_ROOT_ACCESS_KEY_ID"],
                    "secret_access_key": keys["HEADRACE_ROOT_SECRET_ACCESS_KEY"],
                }
            )
        )
        return took

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def page(self, path: str) -> Any:
        """The JSON of a page of the server."""
        return json.loads(self._get(path))

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    def client(self, service: str, *, attempts: int = 1) -> Any:
        """A boto3 client with the server's root credentials."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self._environment["HEADRACE_ROOT_ACCESS_KEY_ID"],
            aws_secret_access_key=self._environment["HEADRACE_ROOT_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": attempts}, connect_timeout=5, read_timeout=30),
        )


class Killer:
    """Kills the server at random moments and starts it again, spread over the play."""

    def __init__(self, server: DemoServer, kills: int, seed: int) -> None:
        self.count = 0
        self._server = server
        self._moments = sorted(random.Random(seed).uniform(0.05, 0.95) for _ in range(kills))
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, share_played: Callable[[], float]) -> None:
        """Begin; `share_played` says how far the play is, 0 to 1."""
        self._thread = threading.Thread(target=self._kill, args=(share_played,), daemon=True)
        self._thread.start()

    def _kill(self, share_played: Callable[[], float]) -> None:
        for moment in self._moments:
            while share_played() < moment:
                if self._stopping.wait(0.003):
                    return
            self._server.kill()
            self.count += 1
            self._server.start()

    def stop(self) -> None:
        """Wait for a restart that is under way; kill no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
