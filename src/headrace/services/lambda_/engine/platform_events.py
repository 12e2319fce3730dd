"""What the platform says of an environment and of its invocations: AWS's events, and how logs of either format show them."""

import json
import time
from collections.abc import Callable
from typing import Any

from headrace.services.lambda_.engine import log_lines

_SIGNALS = {6: "aborted", 9: "killed", 11: "segmentation fault", 15: "terminated"}
LEVELS = {"TRACE": 0, "DEBUG": 1, "INFO": 2, "WARN": 3, "ERROR": 4, "FATAL": 5}
_LEVEL_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL", **{name: name for name in LEVELS}}
_QUIET_WHEN_FINE = {"platform.initRuntimeDone", "platform.initReport", "platform.runtimeDone"}
_FINE = {"success", "Ready", "Registered", "Subscribed"}


def stamp(time_ms: float) -> str:
    """A time as AWS's events and logs write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000)) + f".{int(time_ms) % 1000:03d}Z"


def level(kind: str, record: dict[str, Any]) -> str:
    """How important an event is, as AWS's table of system logs has it."""
    if kind == "platform.logsDropped" or record.get("status", record.get("state", "success")) not in _FINE:
        return "WARN"
    return "DEBUG" if kind in _QUIET_WHEN_FINE else "INFO"


def level_of_line(line: bytes) -> str:
    """The level that a function gave a line of its log: JSON says one, INFO when it is none; "" when the line is no JSON."""
    if not line.startswith(b"{"):
        return ""
    try:
        value = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(value, dict):
        return ""
    return _LEVEL_NAMES.get(str(value.get("level", value.get("log_level", "INFO"))).upper(), "INFO")


def as_json(time_ms: float, kind: str, record: Any) -> str:
    """An event in a log of the format JSON."""
    return json.dumps({"time": stamp(time_ms), "type": kind, "record": record}, separators=(",", ":"), ensure_ascii=False)


def as_text(kind: str, record: dict[str, Any]) -> list[str]:
    """The lines of an event in a log of plain text; most events have none."""
    maker = _TEXTS.get(kind)
    return maker(record) if maker is not None else []


def ending(status: int) -> str:
    """How a process ended, as AWS writes it; nothing for a status of 0. Status as subprocess gives it, or as a shell does."""
    code = 128 - status if status < 0 else status
    return "signal: " + _SIGNALS.get(code - 128, str(code - 128)) if code > 128 else f"exit status {code}" if code else ""


def tracing(value: str) -> dict[str, str]:
    """A trace header, in an event."""
    return {"type": "X-Amzn-Trace-Id", "value": value}


def function_error_type(kind: str) -> str:
    """The type of an error that a function reported, as events name it: AWS shows its own types alone."""
    return kind if kind.startswith(("Runtime.", "Function.", "Sandbox.", "Extension.")) else "Function.Unknown"


def _start(record: dict[str, Any]) -> list[str]:
    return [log_lines.start_line(record["requestId"], record["version"])]


def _report(record: dict[str, Any]) -> list[str]:
    numbers = record["metrics"]
    status, kind = record["status"], record.get("errorType", "")
    shown = ""
    if status == "timeout":
        shown = "timeout"
    elif status != "success" and not kind.startswith("Function."):
        shown = f"error\tError Type: {kind}"
    report = log_lines.report_line(
        record["requestId"], numbers["durationMs"], numbers["billedDurationMs"], numbers["memorySizeMB"],
        numbers["maxMemoryUsedMB"], numbers.get("initDurationMs"), shown,
    )  # fmt: skip
    return [log_lines.end_line(record["requestId"]), report]


def _init_report(record: dict[str, Any]) -> list[str]:
    if record["status"] == "success":
        return []
    kind = f"\tError Type: {record['errorType']}" if record.get("errorType") else ""
    duration_ms = record["metrics"]["durationMs"]
    return [f"INIT_REPORT Init Duration: {duration_ms:.2f} ms\tPhase: {record['phase']}\tStatus: {record['status']}{kind}"]


def _extension(record: dict[str, Any]) -> list[str]:
    kind = f"\tError Type: {record['errorType']}" if record.get("errorType") else ""
    return [f"EXTENSION\tName: {record['name']}\tState: {record['state']}\tEvents: [{','.join(record['events'])}]{kind}"]


def _subscription(record: dict[str, Any]) -> list[str]:
    types = ", ".join(record["types"])
    return [f"TELEMETRY\tName: {record['name']}\tState: {record['state']}\tTypes: [{types}]"]


_TEXTS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "platform.start": _start,
    "platform.report": _report,
    "platform.initReport": _init_report,
    "platform.extension": _extension,
    "platform.telemetrySubscription": _subscription,
    "platform.logsSubscription": lambda record: [text.replace("TELEMETRY", "LOGS", 1) for text in _subscription(record)],
}
