"""Checks SQL when it is given: in a process of the engine's that stays for a while, for the next check or for a start."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from headrace.services.analytics import configuration, errors, limits
from headrace.services.analytics.engine.client import Engine
from headrace.services.analytics.engine.schema import SqlError, StreamSchema
from headrace.services.analytics.state import Application

T = TypeVar("T")


class Checker:
    """One engine process for all checks, which run one after another. An application that starts takes it over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._used_at = 0.0
        self._was_taken = False

    def check(self, application: Application) -> None:
        """CodeValidationException says where an application's code is wrong. A reference table may be added later."""
        try:
            self._compile(application)
        except SqlError as error:
            if not configuration.can_come_later(application, error.message):
                raise errors.CodeValidationException(error.sentence()) from None

    def check_whole(self, application: Application) -> None:
        """InvalidApplicationConfigurationException unless an application can run."""
        try:
            self._compile(application)
        except SqlError as error:
            raise errors.InvalidApplicationConfigurationException(error.sentence()) from None

    def _compile(self, application: Application) -> list[StreamSchema]:
        inputs, references = configuration.inputs_of(application), configuration.references_of(application)
        return self.ask(lambda engine: engine.check(application.code, inputs, references))

    def ask(self, what: Callable[[Engine], T]) -> T:
        """Ask the process, started if need be: one after another, for its answers name no question."""
        with self._lock:
            self._used_at = time.monotonic()
            if self._engine is None:
                self._engine = Engine()
            return what(self._engine)

    def take(self) -> Engine:
        """An engine for an application that starts: the one that has just checked it, for a new one takes its time."""
        if not self._lock.acquire(blocking=False):
            return Engine()  # it is busy with a check
        try:
            taken, self._engine = self._engine, None
            self._was_taken = True
            return taken if taken is not None and taken.process_id is not None else Engine()
        finally:
            self._lock.release()

    def rest(self) -> None:
        """End the process when nobody has used it for a while; get one ready in the place of one that was taken."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._was_taken and self._engine is None:
                # Who starts one application often starts another: its process is ready then.
                self._engine = Engine()
                self._engine.start()
            self._was_taken = False
            if self._engine is not None and time.monotonic() - self._used_at > limits.CHECKER_IDLE_SECONDS:
                self._engine.close()
                self._engine = None
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None


CHECKER = Checker()
