"""What the demo does to its server: kills it."""

import random
import threading
from collections.abc import Callable

from headrace.cli.server_process import ServerProcess


class Killer:
    """Kills the server at random moments and starts it again, spread over the play."""

    def __init__(self, server: ServerProcess, kills: int, seed: int) -> None:
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
