"""One invocation as it runs: its times, its events, and the sentences about what came of it."""

import json
import signal
import time
from typing import Any

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine import platform_events
from headrace.services.lambda_.engine.environment import Environment
from headrace.services.lambda_.engine.function import Outcome, Request
from headrace.services.lambda_.engine.runtime_api import Message

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
        self._answer: tuple[bytes, str, str] = b"", "", ""
        self._answered_at = 0.0
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

    def answered(self, message: Message) -> None:
        """The runtime answered; its extensions may still work."""
        self._content_type = message.content_type or self._content_type
        if self._gathered_bytes and message.kind == "response" and self._request.parts is None:
            too_large = self._gathered_bytes if self._gathered_bytes > limits.PAYLOAD_RESPONSE_BYTES_MAX else 0
            message = Message("response", message.request_id, bytes(self._gathered), too_large)
        if message.kind == "init_error":
            kind = _error_type(message.body)
            self._initialisation_failed(kind)
            return self._runtime_done(message.body, "error", kind)
        if message.too_large_bytes:
            text = (
                f"Response payload size ({message.too_large_bytes} bytes) exceeded maximum allowed payload size "
                f"({limits.PAYLOAD_RESPONSE_BYTES_MAX} bytes)."
            )
            body = _error("Function.ResponseSizeTooLarge", text)
            return self._runtime_done(body, "error", "Function.ResponseSizeTooLarge")
        if message.kind == "error":
            kind = platform_events.function_error_type(_error_type(message.body))
            return self._runtime_done(message.body, "error", kind)
        return self._runtime_done(message.body, "success", "")

    def early(self) -> Outcome:
        """What a caller gets who does not wait for the extensions; there was an answer."""
        body, status, _ = self._answer
        return Outcome(body, None if status == "success" else "Unhandled", 0, 0, None, 0, b"", self._content_type)

    def finish(self, init_ms: float | None) -> Outcome:
        """All is done that the answered invocation gave to do."""
        return self._close(*self._answer, init_ms)

    def timed_out(self, init_ms: float | None) -> Outcome:
        """The function did not answer in time; whoever calls this stops the environment."""
        if not self._started:
            self._initialisation_failed("", "timeout")
            self.begin()
        text = f"Task timed out after {self._function.timeout_seconds:.2f} seconds"
        request_id = self._request.request_id
        self._environment.journal.say(f"{platform_events.stamp(time.time() * 1000)} {request_id} {text}")
        body = _error("Sandbox.Timedout", f"RequestId: {request_id} Error: {text}")
        return self._close(body, "timeout", "", init_ms)

    def exited(self, status: int, init_ms: float | None) -> Outcome:
        """The process ended before it answered."""
        kind = "Runtime.ExitError"
        if self._environment.ran_out_of_memory():
            kind, status = "Runtime.OutOfMemory", -signal.SIGKILL
        how = platform_events.ending(status)
        why = f"Runtime exited with error: {how}" if how else "Runtime exited without providing a reason"
        return self.broke(kind, why, init_ms)

    def broke(self, kind: str, why: str, init_ms: float | None) -> Outcome:
        """The environment, or an extension in it, failed so that nothing can go on."""
        if not self._started:
            self._initialisation_failed(kind)
            self.begin()
        text = f"RequestId: {self._request.request_id} Error: {why}"
        self._environment.journal.say(f"{text}\n{kind}")
        return self._close(_error(kind, text), "error", kind, init_ms)

    def _initialisation_failed(self, kind: str, status: str = "error") -> None:
        environment = self._environment
        told = {**_INITIALISATION, "status": status, **({"errorType": kind} if kind else {})}
        if environment.init_ms is None:
            environment.journal.event("platform.initRuntimeDone", told)
            init_ms = (time.monotonic() - self._begun) * 1000
            environment.journal.event("platform.initReport", {**told, "metrics": {"durationMs": round(init_ms, 3)}})

    def _runtime_done(self, body: bytes, status: str, kind: str) -> None:
        """The runtime has done with the event: what the caller gets is known."""
        self._answer = body, status, kind
        if not self._started:
            return
        now = self._answered_at = time.monotonic()
        if not self._environment.journal.detailed:
            return
        metrics = {"durationMs": round(self._duration_ms(now, status), 3), "producedBytes": self._gathered_bytes or len(body)}
        record = {**self._common(status, kind), "metrics": metrics, "spans": self._spans(now)}
        self._environment.journal.event("platform.runtimeDone", {**record, "tracing": platform_events.tracing(self._trace)})

    def _common(self, status: str, kind: str) -> dict[str, Any]:
        return {"requestId": self._request.request_id, "status": status, **({"errorType": kind} if kind else {})}

    def _duration_ms(self, now: float, status: str) -> float:
        return self._function.timeout_seconds * 1000 if status == "timeout" else (now - self._begun) * 1000

    def _close(self, body: bytes, status: str, kind: str, init_ms: float | None) -> Outcome:
        function, journal = self._function, self._environment.journal
        if not self._answered_at:
            self._runtime_done(body, status, kind)
        now, extensions_ms = self._answered_at or time.monotonic(), None
        if self._environment.extensions.any:
            now = time.monotonic()
            extensions_ms = (now - (self._answered_at or now)) * 1000
        duration_ms = self._duration_ms(now, status)
        billed_ms = max(1, -int(-(duration_ms + (init_ms or 0)) // 1))
        used = self._environment.peak_mib()
        report = {**self._common(status, kind), "metrics": _metrics(duration_ms, billed_ms, function.memory_mib, used, init_ms)}
        journal.event("platform.report", {**report, "tracing": platform_events.tracing(self._trace)})
        error = None if status == "success" else "Unhandled"
        return Outcome(body, error, duration_ms, billed_ms, init_ms, used, journal.tail(), self._content_type, extensions_ms)

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
