"""One invocation as it runs: its times, its events, and the sentences about what came of it."""

import json
import time
from typing import Any

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine import platform_events
from headrace.services.lambda_.engine.environment import Environment
from headrace.services.lambda_.engine.function import Outcome, Request
from headrace.services.lambda_.engine.runtime_api import Message

_SIGNALS = {6: "aborted", 9: "killed", 11: "segmentation fault", 15: "terminated"}
_INITIALISATION = {"initializationType": "on-demand", "phase": "init"}


class Running:
    """One invocation. `begin` starts its clock; one of the others ends it with an outcome."""

    def __init__(self, environment: Environment, request: Request) -> None:
        self._environment = environment
        self._function = environment.function
        self._request = request
        self._trace = request.trace or _trace(request.request_id)
        self._started = False
        self._gathered = bytearray()
        self._gathered_bytes = 0
        self._first_part_at = 0.0
        self._content_type = ""
        self._begun = time.monotonic()
        self._begun_ms = 0
        self._report: dict[str, Any] = {}
        self.deadline = self._begun + self._function.timeout_seconds

    def initialise(self, version: str, note: str) -> None:
        """The environment is being made for this invocation."""
        function = self._function
        record = {**_INITIALISATION, "functionName": function.name, "functionVersion": function.version}
        self._environment.journal.event("platform.initStart", {**record, **({"runtimeVersion": version} if version else {})})
        if note:
            self._environment.journal.say(f"INIT_START {note}")

    def begin(self) -> None:
        """The clock starts: an environment's start does not count against the function."""
        record = {"requestId": self._request.request_id, "version": self._function.version}
        self._environment.journal.event("platform.start", {**record, "tracing": platform_events.tracing(self._trace)})
        self._started = True
        self._begun = time.monotonic()
        self._begun_ms = int(time.time() * 1000)
        self.deadline = self._begun + self._function.timeout_seconds

    def headers(self) -> dict[str, str]:
        """What the runtime is told beside the event."""
        request = self._request
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self._function.timeout_seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": request.invoked_arn,
            "Lambda-Runtime-Trace-Id": self._trace,
        }
        if request.client_context:
            headers["Lambda-Runtime-Client-Context"] = request.client_context
        return headers

    def part(self, content_type: str, data: bytes) -> None:
        """Some of a streamed response."""
        self._first_part_at = self._first_part_at or time.monotonic()
        self._content_type = content_type
        self._gathered_bytes += len(data)
        if self._request.parts is not None:
            self._request.parts(content_type, data)
        elif self._gathered_bytes <= limits.PAYLOAD_RESPONSE_BYTES_MAX:
            self._gathered += data

    def finish(self, message: Message, init_ms: float | None) -> Outcome:
        """The runtime answered."""
        self._content_type = message.content_type or self._content_type
        if self._gathered_bytes and message.kind == "response" and self._request.parts is None:
            too_large = self._gathered_bytes if self._gathered_bytes > limits.PAYLOAD_RESPONSE_BYTES_MAX else 0
            message = Message("response", message.request_id, bytes(self._gathered), too_large)
        if message.kind == "init_error":
            kind = _error_type(message.body)
            self._initialisation_failed(kind)
            return self._close(message.body, init_ms, "error", kind)
        if message.too_large_bytes:
            text = (
                f"Response payload size ({message.too_large_bytes} bytes) exceeded maximum allowed payload size "
                f"({limits.PAYLOAD_RESPONSE_BYTES_MAX} bytes)."
            )
            body = _error("Function.ResponseSizeTooLarge", text)
            return self._close(body, init_ms, "error", "Function.ResponseSizeTooLarge")
        if message.kind == "error":
            kind = platform_events.function_error_type(_error_type(message.body))
            return self._close(message.body, init_ms, "error", kind)
        return self._close(message.body, init_ms, "success", "")

    def timed_out(self, init_ms: float | None) -> Outcome:
        """The function did not answer in time; whoever calls this stops the environment."""
        if not self._started:
            self._initialisation_failed("", "timeout")
            self.begin()
        text = f"Task timed out after {self._function.timeout_seconds:.2f} seconds"
        request_id = self._request.request_id
        self._environment.journal.say(f"{platform_events.stamp(time.time() * 1000)} {request_id} {text}")
        body = _error("Sandbox.Timedout", f"RequestId: {request_id} Error: {text}")
        return self._close(body, init_ms, "timeout", "")

    def exited(self, status: int, init_ms: float | None) -> Outcome:
        """The process ended before it answered."""
        code = 128 - status if status < 0 else status
        kind = "Runtime.ExitError"
        if self._environment.ran_out_of_memory():
            kind, code = "Runtime.OutOfMemory", 137
        how = "signal: " + _SIGNALS.get(code - 128, str(code - 128)) if code > 128 else f"exit status {code}"
        why = f"Runtime exited with error: {how}" if code else "Runtime exited without providing a reason"
        return self.broke(kind, why, init_ms)

    def broke(self, kind: str, why: str, init_ms: float | None) -> Outcome:
        """The environment, or an extension in it, failed so that nothing can go on."""
        if not self._started:
            self._initialisation_failed(kind)
            self.begin()
        text = f"RequestId: {self._request.request_id} Error: {why}"
        self._environment.journal.say(f"{text}\n{kind}")
        return self._close(_error(kind, text), init_ms, "error", kind)

    def _initialisation_failed(self, kind: str, status: str = "error") -> None:
        environment = self._environment
        told = {**_INITIALISATION, "status": status, **({"errorType": kind} if kind else {})}
        if environment.init_ms is None:
            environment.journal.event("platform.initRuntimeDone", told)
            init_ms = (time.monotonic() - self._begun) * 1000
            environment.journal.event("platform.initReport", {**told, "metrics": {"durationMs": round(init_ms, 3)}})

    def _close(self, body: bytes, init_ms: float | None, status: str, kind: str) -> Outcome:
        function, journal = self._function, self._environment.journal
        now = time.monotonic()
        duration_ms = (now - self._begun) * 1000
        if status == "timeout":
            duration_ms = function.timeout_seconds * 1000
        common: dict[str, Any] = {"requestId": self._request.request_id, "status": status}
        if kind:
            common["errorType"] = kind
        tracing = platform_events.tracing(self._trace)
        if self._started:
            metrics = {"durationMs": round(duration_ms, 3), "producedBytes": self._gathered_bytes or len(body)}
            journal.event("platform.runtimeDone", {**common, "metrics": metrics, "spans": self._spans(now), "tracing": tracing})
        billed_ms = max(1, -int(-(duration_ms + (init_ms or 0)) // 1))
        used = self._environment.peak_mib()
        self._report = {**common, "metrics": _metrics(duration_ms, billed_ms, function.memory_mib, used, init_ms)}
        self._report["tracing"] = tracing
        journal.event("platform.report", self._report)
        error = None if status == "success" else "Unhandled"
        return Outcome(body, error, duration_ms, billed_ms, init_ms, used, journal.tail(), self._content_type)

    def _spans(self, now: float) -> list[dict[str, Any]]:
        first = self._first_part_at or now
        latency_ms = (first - self._begun) * 1000
        return [
            {"name": name, "start": platform_events.stamp(start_ms), "durationMs": round(duration_ms, 3)}
            for name, start_ms, duration_ms in (
                ("responseLatency", self._begun_ms, latency_ms),
                ("responseDuration", self._begun_ms + latency_ms, (now - first) * 1000),
            )
        ]


def _metrics(duration_ms: float, billed_ms: int, memory_mib: int, used_mib: int, init_ms: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "durationMs": round(duration_ms, 3),
        "billedDurationMs": billed_ms,
        "memorySizeMB": memory_mib,
        "maxMemoryUsedMB": used_mib,
    }
    return found if init_ms is None else {**found, "initDurationMs": round(init_ms, 3)}


def _error(kind: str, text: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": text}, separators=(",", ":")).encode()


def _error_type(body: bytes) -> str:
    try:
        return str(json.loads(body)["errorType"])
    except (ValueError, KeyError, TypeError):
        return "Runtime.Unknown"


def _trace(request_id: str) -> str:
    digits = request_id.replace("-", "")
    return f"Root=1-{int(time.time()):08x}-{digits[:24]:0>24};Parent={digits[-16:]:0>16};Sampled=0"
