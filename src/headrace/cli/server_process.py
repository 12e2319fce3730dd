"""A server in a process of its own, for commands that bring theirs: so it can be killed, and leaves nothing behind."""

import dataclasses
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from headrace.cli import clients
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


class ServerProcess:
    """Starts, kills and stops `headrace up` on a folder: as settings say, but on free ports of loopback, with keys of its own."""

    def __init__(self, settings: Settings, data: Path) -> None:
        self.settings = dataclasses.replace(
            settings,
            host="127.0.0.1",
            tls_certificate="",
            tls_key="",
            data=data,
            port=_free_port(settings.port),
            redshift_port=_free_port(settings.redshift_port),
            root_access_key_id="HR" + secrets.token_hex(9).upper(),
            root_secret_access_key=secrets.token_urlsafe(30),
        )
        self._environment = {**os.environ, **self.settings.variables()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The folder that it keeps everything in."""
        return self.settings.data

    @property
    def port(self) -> int:
        """The port of every AWS protocol."""
        return self.settings.port

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
        (self.data / "credentials.json").write_text(
            json.dumps(
                {
                    "access_key_id": self.settings.root_access_key_id,
                    "secret_access_key": self.settings.root_secret_access_key,
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
        return clients.client(self.settings, service, wait_seconds=30, attempts=attempts)
