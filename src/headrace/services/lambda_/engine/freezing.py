"""Stops what runs between invocations, as AWS does: all processes of an environment's control group, or its first one."""

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Protocol

from headrace.services.lambda_.engine.memory import Group

IDLE_SECONDS = 0.05
_ROUNDS_MAX = 3


class Freezing(Protocol):
    """Where environments wait."""

    def freeze_idle(self, idle_seconds: float) -> bool:
        """Freeze those that were idle for so long; whether others will be."""


class Freezer:
    """One thread that freezes environments a moment after their last invocation: those in use are never touched."""

    def __init__(self, *pools: Freezing) -> None:
        self._pools = pools
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def notice(self) -> None:
        """An environment became idle. Costs next to nothing."""
        if not self._wanted.is_set():
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lambda-freezer", daemon=True)
                self._thread.start()
            self._wanted.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._wanted.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self._wanted.clear()
            while not self._stopping.wait(IDLE_SECONDS):
                if not sum(pool.freeze_idle(IDLE_SECONDS) for pool in self._pools):
                    break


def freeze(group: Group | None, pid: int) -> None:
    """Let nothing of it run. What it forks meanwhile is found by looking again."""
    if group is not None and group.freeze(True):
        return
    seen: set[int] = set()
    for _ in range(_ROUNDS_MAX):
        new = set(_members(group, pid)) - seen
        if not new:
            return
        seen |= new
        _signal(new, signal.SIGSTOP)


def thaw(group: Group | None, pid: int) -> None:
    """Let it run again."""
    if group is not None and group.freeze(False):
        return
    _signal(set(_members(group, pid)), signal.SIGCONT)


def _members(group: Group | None, pid: int) -> list[int]:
    if group is None:
        return [pid]
    try:
        return [int(line) for line in Path(group.procs).read_text().split()]
    except OSError:
        return [pid]


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        if pid > 0:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
