"""Checks SQL when it is given: in a process of the engine's that stays for a while, for the next one."""

import threading
import time

from headrace.services.analytics import configuration, errors, limits
from headrace.services.analytics.engine.client import Engine
from headrace.services.analytics.engine.schema import SqlError, StreamSchema
from headrace.services.analytics.state import Application


class Checker:
    """One engine process for all checks, which run one after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._used_at = 0.0

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
        return self.engine().check(
            application.code, configuration.inputs_of(application), configuration.references_of(application)
        )

    def engine(self) -> Engine:
        """The process, started if need be. It answers one call after another."""
        with self._lock:
            self._used_at = time.monotonic()
            if self._engine is None:
                self._engine = Engine()
            return self._engine

    def rest(self) -> None:
        """End the process when nobody has used it for a while."""
        with self._lock:
            if self._engine is not None and time.monotonic() - self._used_at > limits.CHECKER_IDLE_SECONDS:
                self._engine.close()
                self._engine = None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None


CHECKER = Checker()
