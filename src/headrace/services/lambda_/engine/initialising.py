"""The start of an environment that is no part of an invocation: what the log says of it."""

import json
import time
from typing import Any

from headrace.services.lambda_.engine.environment import Environment
from headrace.services.lambda_.engine.runtime_api import Message


class Initialising:
    """One environment that is started before anybody calls."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._begun = time.monotonic()
        self._common: dict[str, Any] = {"initializationType": environment.initialisation, "phase": "init"}

    def begin(self, version: str, note: str) -> None:
        """Its process was started."""
        function, journal = self._environment.function, self._environment.journal
        record = {**self._common, "functionName": function.name, "functionVersion": function.version}
        journal.event("platform.initStart", {**record, **({"runtimeVersion": version} if version else {})})
        if note:
            journal.say(f"INIT_START {note}")

    def failed(self, message: Message | None, status: str = "error", kind: str = "") -> str:
        """It came to nothing: the runtime said why (`message`), or an extension (`kind`), or it ended, or time was up."""
        if message is not None:
            kind = _error_type(message.body)
        elif status == "error" and not kind:
            kind = "Runtime.OutOfMemory" if self._environment.ran_out_of_memory() else "Runtime.ExitError"
        told = {**self._common, "status": status, **({"errorType": kind} if kind else {})}
        duration_ms = round((time.monotonic() - self._begun) * 1000, 3)
        self._environment.journal.event("platform.initRuntimeDone", told)
        self._environment.journal.event("platform.initReport", {**told, "metrics": {"durationMs": duration_ms}})
        return kind or status


def _error_type(body: bytes) -> str:
    try:
        return str(json.loads(body)["errorType"])
    except (ValueError, KeyError, TypeError):
        return "Runtime.Unknown"
