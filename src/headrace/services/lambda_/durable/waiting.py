"""Durable functions seen from outside: started, and waited for."""

import json
import threading
from typing import Any

from headrace.operation import Context
from headrace.services.lambda_.durable import executions
from headrace.services.lambda_.durable import state as kept
from headrace.services.lambda_.durable.state import RUNNING, Execution
from headrace.services.lambda_.engine.function import Outcome
from headrace.services.lambda_.errors import InvalidParameterValueException, ServiceException
from headrace.services.lambda_.state import Version

SYNCHRONOUS_SECONDS_MAX = 900
_LOOK_SECONDS = 1.0
STOPPING = threading.Event()


def run(ctx: Context, version: Version, payload: bytes, name: str | None = None, trace: str = "") -> tuple[Outcome, Execution]:
    """Start an execution and wait for its end."""
    if (version.durable or {})["ExecutionTimeout"] > SYNCHRONOUS_SECONDS_MAX:
        raise InvalidParameterValueException(
            "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes."
        )
    execution = ctx.transact(lambda inner: executions.begin(inner, version, payload, name, trace=trace))
    ended: list[Execution] = []

    def over() -> bool:
        found = ctx.snapshot(lambda inner: kept.EXECUTIONS.get(inner.tx, *execution.key))
        if found is not None and found.status != RUNNING:
            ended.append(found)
        return bool(ended) or found is None or STOPPING.is_set()

    while not ctx.store.signals.wait([kept.topic(execution.id)], _LOOK_SECONDS, over):
        pass
    if not ended:
        raise ServiceException("The server is stopping.")
    return outcome(ended[0]), ended[0]


def outcome(execution: Execution) -> Outcome:
    """An execution's end as that of an invocation."""
    failed = execution.status != "SUCCEEDED"
    payload = (execution.result or "null").encode()
    if failed:
        error: dict[str, Any] = execution.error or {}
        members = ("ErrorType", "ErrorMessage", "ErrorData", "StackTrace")
        payload = json.dumps({m[0].lower() + m[1:]: error[m] for m in members if error.get(m) is not None}).encode()
    return Outcome(payload, "Unhandled" if failed else None, 0.0, 0, None, 0)
