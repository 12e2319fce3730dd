"""The store in memory, for tests: the same contract, with faults on demand.

`Faults` makes it fail as a disk does: a commit that raises, or a crash, after which the store is dead and `reopen` gives the
store that a restarted process would find.
"""

import bisect
import random
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from headrace.store.api import ReadTransaction, StoreUnavailable, Transaction
from headrace.store.overlay import Overlay
from headrace.store.signals import Signals

T = TypeVar("T")


class Crash(BaseException):
    """The simulated process died here. Not an Exception: nothing may catch it and go on."""


class Faults:
    """Decides at each commit, from a seed, whether it works, fails, or the process dies before or after it."""

    def __init__(self, seed: int, *, crash: float = 0.0, fail: float = 0.0) -> None:
        self._random = random.Random(seed)
        self._crash = crash
        self._fail = fail

    def before_commit(self) -> None:
        """Raise StoreUnavailable or Crash now and then: nothing was written."""
        if self._random.random() < self._fail:
            raise StoreUnavailable("the disk is full (simulated)")
        if self._random.random() < self._crash / 2:
            raise Crash

    def after_commit(self) -> None:
        """Crash now and then: all was written, and nobody was told."""
        if self._random.random() < self._crash / 2:
            raise Crash


class MemoryStore:
    """An ordered map in memory; one transaction at a time."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.signals = Signals()
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}
        self._lock = threading.RLock()
        self._inside = False
        self._dead = False
        self._faults = faults

    def transact(self, body: Callable[[Transaction], T]) -> T:
        """Run the body alone; its writes are kept when it returns."""
        with self._lock:
            self._check()
            if self._inside:
                raise RuntimeError("a transaction was begun inside another: join the one that runs")
            overlay = Overlay(self)
            self._inside = True
            try:
                result = body(overlay)
            finally:
                self._inside = False
            try:
                if self._faults:
                    self._faults.before_commit()
                self._apply(overlay.writes)
                if self._faults:
                    self._faults.after_commit()
            except Crash:
                self._dead = True
                raise
        self.signals.announce(dict.fromkeys(overlay.topics))
        return result

    def submit(self, body: Callable[[Transaction], T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """Run the body at once and hand over its outcome."""
        try:
            result = self.transact(body)
        except Exception as error:
            done(None, error)
        else:
            done(result, None)

    def snapshot(self, body: Callable[[ReadTransaction], T]) -> T:
        """Run the body while nobody writes."""
        with self._lock:
            self._check()
            return body(self)

    def close(self) -> None:
        """Refuse what comes from now on."""
        self._dead = True

    def reopen(self) -> "MemoryStore":
        """The store as a restarted process finds it."""
        store = MemoryStore(self._faults)
        store._keys, store._values = list(self._keys), dict(self._values)
        return store

    def get(self, key: bytes) -> bytes | None:
        """The value at the key, or None."""
        return self._values.get(key)

    def range(
        self, begin: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs with begin <= key < end."""
        keys = self._keys[bisect.bisect_left(self._keys, begin) : bisect.bisect_left(self._keys, end)]
        if reverse:
            keys.reverse()
        for key in keys if limit is None else keys[:limit]:
            yield key, self._values[key]

    def _check(self) -> None:
        if self._dead:
            raise StoreUnavailable("the store is closed")

    def _apply(self, writes: dict[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is not None:
                if key not in self._values:
                    bisect.insort(self._keys, key)
                self._values[key] = value
            elif key in self._values:
                del self._values[key]
                del self._keys[bisect.bisect_left(self._keys, key)]
