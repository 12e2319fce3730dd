"""The server's end of an application's local cluster: started when the application runs, ended when it does not."""

import collections
import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from headrace.services.analytics import limits
from headrace.services.analytics.flink.rest import Rest, Unreachable

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
_LINES_MAX = 5_000
_STOP_SECONDS = 10.0

log = logging.getLogger(__name__)


class LocalCluster:
    """A cluster in processes of its own, under the process that `process.py` is. `generation` is the one it was started for."""

    def __init__(self, order: dict[str, Any], generation: int) -> None:
        self.generation = generation
        self.expires_at: float | None = None
        self._lines: collections.deque[str] = collections.deque(maxlen=_LINES_MAX)
        self._url: list[str] = []
        self._known = threading.Event()
        Path(order["folder"]).mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "headrace.services.analytics.flink.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True,
        )  # fmt: skip
        self._send(order)
        threading.Thread(target=self._listen, name="flink-log", daemon=True).start()
        if not self._known.wait(limits.FLINK_CALL_SECONDS_MAX) or not self._url:
            self.close()
            raise Unreachable("the local Flink cluster does not start; the server's log says why")
        self.rest = Rest(self._url[0])

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def give(self, credentials: dict[str, Any]) -> None:
        """Hand newer credentials of the role over."""
        self._send({"credentials": credentials})

    def lines(self) -> list[str]:
        """What the cluster has logged since this was asked last."""
        found = []
        while self._lines:
            found.append(self._lines.popleft())
        return found

    def close(self) -> None:
        """End it, and all that runs in it."""
        if rest := getattr(self, "rest", None):
            rest.close()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            first = said.readline()
            if first:
                self._url.append(json.loads(first)["url"])
            self._known.set()
            for line in said:
                self._lines.append(line.decode(errors="replace").rstrip())
