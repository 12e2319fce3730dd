"""Decisions, pure: which updates a checkpoint may bring. The sentences are the service's."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.services.lambda_.errors import InvalidParameterValueException

ERROR_BYTES_MAX = 32_768
CHAINED_BYTES_MAX = 1_048_576
Shape = Mapping[str, Any]

_ACTIONS = {
    "STEP": ("START", "SUCCEED", "FAIL", "RETRY"),
    "CONTEXT": ("START", "SUCCEED", "FAIL"),
    "WAIT": ("START", "CANCEL"),
    "CALLBACK": ("START",),
    "CHAINED_INVOKE": ("START",),
    "EXECUTION": ("SUCCEED", "FAIL"),
}
_EXISTS = {
    "CONTEXT": "Cannot start a CONTEXT that already exist.",
    "WAIT": "Cannot start a WAIT that already exist.",
    "CALLBACK": "Cannot start a CALLBACK that already exist.",
    "CHAINED_INVOKE": "Cannot start a CHAINED_INVOKE operation that already exists.",
}


def check_updates(updates: Sequence[Shape], find: Callable[[str], Shape | None]) -> None:
    """InvalidParameterValueException unless the updates, as one checkpoint, may follow what `find` knows of operations."""
    ends = [update for update in updates if update["Type"] == "EXECUTION"]
    _refuse(len(ends) > 1, "Cannot checkpoint multiple EXECUTION updates.")
    _refuse(bool(ends) and updates[-1]["Type"] != "EXECUTION", "EXECUTION checkpoint must be the last update.")
    seen: dict[str, Shape] = {}
    for update in updates:
        last = seen.get(update["Id"])
        pair = last is not None and last["Type"] in ("STEP", "CONTEXT") and last["Action"] == "START" != update["Action"]
        _refuse(last is not None and not pair, "Cannot checkpoint multiple operations with the same ID.")
        if parent_id := update.get("ParentId"):
            parent = seen.get(parent_id) or find(parent_id)
            _refuse(parent is None or parent["Type"] != "CONTEXT", "Invalid parent operation id.")
        _check(update, {**last, "Status": "STARTED"} if last is not None else find(update["Id"]))
        seen[update["Id"]] = update


def _check(update: Shape, current: Shape | None) -> None:
    kind, action = update["Type"], update["Action"]
    if current is not None:
        for member, what in (("Type", "type"), ("SubType", "subtype"), ("Name", "name"), ("ParentId", "parent id")):
            text = "Inconsistent parent operation id." if member == "ParentId" else f"Inconsistent operation {what}."
            _refuse(update.get(member) is not None and update[member] != current.get(member), text)
    error, payload = update.get("Error"), update.get("Payload")
    too_large = error is not None and len(json.dumps(error)) > ERROR_BYTES_MAX
    _refuse(too_large, f"Error object size must be less than {ERROR_BYTES_MAX} bytes.")
    _refuse(
        kind == "CHAINED_INVOKE" and payload is not None and len(payload.encode()) > CHAINED_BYTES_MAX,
        f"CHAINED_INVOKE input payload size must be less than or equal to {CHAINED_BYTES_MAX} bytes.",
    )
    _refuse(action not in _ACTIONS[kind], "Invalid action for the given operation type.")
    _refuse(action == "FAIL" and payload is not None, "Cannot provide a Payload for FAIL action.")
    _refuse(action == "SUCCEED" and error is not None, "Cannot provide an Error for SUCCEED action.")
    _check_transition(update, None if current is None else str(current["Status"]))


def _check_transition(update: Shape, status: str | None) -> None:
    kind, action = update["Type"], update["Action"]
    if kind == "STEP" and status is not None:
        words = {"START": "to start", "RETRY": "to re-attempt"}.get(action, "to close")
        allowed = ("READY",) if action == "START" else ("STARTED", "READY")
        _refuse(status not in allowed, f"Invalid current STEP state {words}.")
    elif kind in _EXISTS and action == "START":
        _refuse(status is not None, _EXISTS[kind])
    elif kind == "CONTEXT":
        _refuse(status not in (None, "STARTED"), "Invalid current CONTEXT state to close.")
    elif kind == "WAIT":
        _refuse(status != "STARTED", "Cannot cancel a WAIT that does not exist or has already completed.")
    if action == "RETRY":
        options = update.get("StepOptions")
        _refuse(not (options or {}).get("NextAttemptDelaySeconds"), "Invalid StepOptions for the given action.")
        both = update.get("Error") is not None and update.get("Payload") is not None
        _refuse(both, "Cannot provide both error and payload to RETRY a STEP.")
    if kind == "CHAINED_INVOKE":
        _chained_invoke(update.get("ChainedInvokeOptions"))
    if kind == "WAIT" and action == "START":
        _refuse(not (update.get("WaitOptions") or {}).get("WaitSeconds"), "Invalid WaitOptions for the given action.")


def _chained_invoke(options: Mapping[str, Any] | None) -> None:
    _refuse(options is None, "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.")
    for member in ("TenantId", "XAmznTraceId"):
        if (options or {}).get(member):
            raise UnsupportedParameter(f"Headrace does not support ChainedInvokeOptions.{member} yet. Leave it out.")


def _refuse(when: bool, text: str) -> None:
    if when:
        raise InvalidParameterValueException(text)
