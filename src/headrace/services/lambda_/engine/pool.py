"""Which execution environments there are, which are free, and how many there may be.

An environment serves one invocation at a time and is kept warm behind it. The one that was used last is used first, so that
those nobody needs grow idle and are stopped.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.services.lambda_.engine.environment import Environment
from headrace.services.lambda_.engine.function import Function, Throttled


@dataclass
class Pool:
    """Counts and keeps environments. All methods may be called from any thread; none of them waits for anything."""

    size_max: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _idle: dict[str, list[Environment]] = field(default_factory=dict)
    _busy: Counter[str] = field(default_factory=Counter)
    _slots: set[int] = field(default_factory=set)

    def take_idle(self, function: Function, reserved: int | None) -> Environment | None:
        """A warm environment of this very revision, now busy; None when one must be made. Throttled."""
        with self._lock:
            if reserved is not None and self._busy[function.arn] >= reserved:
                raise Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
            self._busy[function.arn] += 1
            warm = self._idle.get(key_of(function))
            # One that is too old is left where it is: the housekeeping ends it.
            if not warm or warm[-1].expires_at <= time.monotonic():
                return None
            found = warm.pop()
        if found.frozen:
            found.thaw()
        return found

    def enter(self, function: Function) -> None:
        """An invocation begins in an environment that is not of the pool; `release` ends it."""
        with self._lock:
            self._busy[function.arn] += 1

    def take_slot(self) -> tuple[int, Environment | None]:
        """Room for a new environment, and the idle one that must go to make it. Throttled when all are busy."""
        with self._lock:
            free = next((slot for slot in range(self.size_max) if slot not in self._slots), None)
            if free is not None:
                self._slots.add(free)
                return free, None
            oldest = min((one for warm in self._idle.values() for one in warm), key=lambda one: one.used_at, default=None)
            if oldest is None:
                raise Throttled("ConcurrentInvocationLimitExceeded")
            self._idle[key_of(oldest.function)].remove(oldest)
            return oldest.slot, oldest

    def release(self, function: Function, environment: Environment | None) -> None:
        """The invocation is over; the environment stays warm, unless it ended (None)."""
        with self._lock:
            self._busy[function.arn] -= 1
            if not self._busy[function.arn]:
                del self._busy[function.arn]
            if environment is not None:
                self._idle.setdefault(key_of(environment.function), []).append(environment)

    def freeze_idle(self, idle_seconds: float) -> bool:
        """Freeze the environments that were idle for so long; whether others will be."""
        more = False
        with self._lock:
            before = time.monotonic() - idle_seconds
            for environment in (one for warm in self._idle.values() for one in warm):
                if environment.frozen:
                    continue
                if environment.used_at > before:
                    more = True
                else:
                    environment.freeze()
        return more

    def give_back(self, slot: int) -> None:
        """An environment was stopped: its place is free."""
        with self._lock:
            self._slots.discard(slot)

    def busy(self, arn: str) -> int:
        """How many invocations of a function run now."""
        return self._busy.get(arn, 0)

    def total_busy(self) -> int:
        """How many invocations run now."""
        return sum(self._busy.values())

    def take_stale(self, used_before: float, now: float) -> list[Environment]:
        """Take the idle environments that nobody used since, whose time is over, or whose process ended."""
        return self._take_where(lambda one: one.used_at < used_before or one.expires_at < now or not one.check())

    def retire(self, arn: str, version: str | None = None) -> list[Environment]:
        """Take the idle environments of a function, or of one version. Busy ones are never used again: their key is gone."""
        return self._take_where(lambda one: one.function.arn == arn and version in (None, one.function.version))

    def take_all(self) -> list[Environment]:
        """Take every idle environment."""
        return self._take_where(lambda one: True)

    def _take_where(self, wanted: Callable[[Environment], bool]) -> list[Environment]:
        with self._lock:
            found = []
            for key, warm in list(self._idle.items()):
                gone = [one for one in warm if wanted(one)]
                found += gone
                left = [one for one in warm if one not in gone]
                if left:
                    self._idle[key] = left
                else:
                    del self._idle[key]
            return found


def key_of(function: Function) -> str:
    """Which environments may run a function: those of this very revision."""
    return f"{function.arn}\n{function.version}\n{function.revision}"
