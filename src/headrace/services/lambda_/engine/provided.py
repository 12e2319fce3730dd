"""Execution environments that are set aside: initialised before anybody calls, and used by one version of a function alone.

They lie beside the pool: nothing takes their places away, however long they are idle. Each still needs a slot of the pool.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from headrace.services.lambda_.engine.environment import Environment
from headrace.services.lambda_.engine.function import Function, Share
from headrace.services.lambda_.engine.pool import key_of

RENEW_SECONDS = 120.0


class Kept(NamedTuple):
    """How many environments a version has: those that are initialised, and those of them that are idle."""

    allocated: int
    available: int


@dataclass
class Provided:
    """Keeps environments by version. All methods may be called from any thread; none of them waits for anything."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wanted: dict[str, int] = field(default_factory=dict)
    _idle: dict[str, list[Environment]] = field(default_factory=dict)
    _busy: Counter[str] = field(default_factory=Counter)
    _making: Counter[str] = field(default_factory=Counter)

    def take(self, function: Function) -> Environment | None:
        """An initialised environment of this version, now busy; None when there is none, and a common one must do."""
        if not self._wanted:
            return None
        key = key_of(function)
        with self._lock:
            idle = self._idle.get(key)
            if not idle:
                return None
            found = idle.pop()
            self._busy[key] += 1
        if found.frozen:
            found.thaw()
        return found

    def give_back(self, environment: Environment, sound: bool) -> bool:
        """Its invocation is over; whether it is kept. One that is not must be ended by the caller."""
        key = key_of(environment.function)
        with self._lock:
            self._busy[key] -= 1
            return sound and self._keep(key, environment)

    def add(self, environment: Environment) -> bool:
        """A new environment is initialised; whether it is kept. The place that `begin` took is given back in any case."""
        with self._lock:
            return self._keep(key_of(environment.function), environment)

    def _keep(self, key: str, environment: Environment) -> bool:
        idle = self._idle.setdefault(key, [])
        if len(idle) + self._busy[key] >= self._wanted.get(key, 0):
            return False
        idle.append(environment)
        return True

    def want(self, wanted: Mapping[str, int]) -> list[Environment]:
        """Say how many each version shall have; the environments that must be ended now: too many, too old, or dead."""
        gone = []
        with self._lock:
            self._wanted = dict(wanted)
            now = time.monotonic()
            for key, idle in list(self._idle.items()):
                left = [one for one in idle if one.expires_at > now and one.check()]
                surplus = len(left) + self._busy[key] - wanted.get(key, 0)
                if surplus > 0:
                    left = left[surplus:]
                gone += [one for one in idle if one not in left]
                self._idle[key] = left
                if not left:
                    del self._idle[key]
        return gone

    def renewable(self) -> list[Environment]:
        """Take the idle environments that grow too old soon, of versions that have all they want."""
        before = time.monotonic() + RENEW_SECONDS
        found = []
        with self._lock:
            for key, idle in self._idle.items():
                if len(idle) + self._busy[key] < self._wanted.get(key, 0):
                    continue
                old = next((one for one in idle if one.expires_at < before), None)
                if old is not None:
                    idle.remove(old)
                    found.append(old)
        return found

    def begin(self, key: str) -> bool:
        """Whether one more environment of a version must be made; if so, its place is taken until `end`."""
        with self._lock:
            held = len(self._idle.get(key, ())) + self._busy[key] + self._making[key]
            if held >= self._wanted.get(key, 0):
                return False
            self._making[key] += 1
            return True

    def end(self, key: str) -> None:
        """The making that `begin` allowed is over, however it ended."""
        with self._lock:
            self._making[key] -= 1

    def kept(self, key: str) -> Kept:
        """How many environments a version has."""
        with self._lock:
            idle = len(self._idle.get(key, ()))
            return Kept(idle + self._busy[key], idle)

    def share(self, function: Function, spilled: bool) -> Share | None:
        """How a version's environments are used now; None for one that has none of its own."""
        if not self._wanted or not (wanted := self._wanted.get(key_of(function), 0)):
            return None
        return Share(self._busy[key_of(function)], wanted, spilled)

    def left(self, arn: str, reserved: int | None) -> int | None:
        """What is left of a function's reserved concurrency for common environments: those set aside count as used."""
        if reserved is None or not self._wanted:
            return reserved
        head = arn + "\n"
        with self._lock:
            aside = sum(count - self._busy[key] for key, count in self._wanted.items() if key.startswith(head))
        return reserved - aside

    def freeze_idle(self, idle_seconds: float) -> bool:
        """Freeze the environments that were idle for so long; whether others will be."""
        more = False
        before = time.monotonic() - idle_seconds
        with self._lock:
            for environment in (one for idle in self._idle.values() for one in idle if not one.frozen):
                if environment.used_at > before:
                    more = True
                else:
                    environment.freeze()
        return more

    def take_all(self) -> list[Environment]:
        """Take every idle environment, and want none any more."""
        with self._lock:
            self._wanted = {}
            found = [one for idle in self._idle.values() for one in idle]
            self._idle.clear()
        return found
