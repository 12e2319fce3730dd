"""AWS's Extensions API, spoken with the extensions of one environment. Whoever drives the environment's sockets drives this.

External extensions are programs below /opt/extensions; internal ones are parts of the runtime's process. Each registers while
the environment starts, asks for its first event when it is ready, and for another one when it is done with the last.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.services.lambda_.engine import platform_events, telemetry
from headrace.services.lambda_.engine.function import Function
from headrace.services.lambda_.engine.journal import Journal
from headrace.services.lambda_.engine.runtime_api import Connection, Message
from headrace.services.lambda_.engine.telemetry import Invalid, Telemetry

PREFIX = "/2020-01-01/extension/"
EXTENSIONS_MAX = 10
EXTERNAL_SHUTDOWN_SECONDS, INTERNAL_SHUTDOWN_SECONDS = 2.0, 0.5
_IDENTIFIER = "lambda-extension-identifier"
_ERROR_TYPE = "Lambda-Extension-Function-Error-Type"
_REFUSED, _INVALID, _NOT_FOUND = 403, 400, 404


class ExtensionFailed(Exception):
    """An extension ended, or said that it can't go on: nothing in the environment can. `kind` is AWS's type of error."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(kind, why)
        self.kind = kind
        self.why = why


class _Refused(Exception):
    def __init__(self, kind: str, text: str, status: int = _REFUSED) -> None:
        super().__init__(kind, text)
        self.kind, self.text, self.status = kind, text, status


@dataclass(slots=True)
class Extension:
    """One extension. `busy`: it got an event and did not ask for another yet."""

    name: str
    external: bool
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "Started"
    events: tuple[str, ...] = ()
    waiting: Connection | None = None
    busy: bool = False
    held: dict[str, Any] | None = None
    error: str = ""
    ended: bool = False


class Extensions:
    """The extensions of one environment, and what they were told."""

    def __init__(self, function: Function, journal: Journal, heard: Telemetry) -> None:
        self._function = function
        self._journal = journal
        self._telemetry = heard
        self._all: list[Extension] = []
        self._open = True
        self.failure: ExtensionFailed | None = None
        self.closing = False

    def launch(self, names: list[str]) -> None:
        """External extensions are about to be started."""
        self._all += [Extension(name, external=True) for name in names]

    @property
    def any(self) -> bool:
        """Whether there are any: those of the runtime's process too."""
        return bool(self._all)

    @property
    def launched(self) -> bool:
        """Whether there are external ones."""
        return any(one.external for one in self._all)

    def registered(self) -> bool:
        """Whether every external extension has registered: the runtime may start."""
        return all(one.state != "Started" for one in self._all)

    def ready(self) -> bool:
        """Whether all have asked for their first event."""
        return all(one.state == "Ready" for one in self._all)

    def busy(self) -> bool:
        """Whether one still works on the last event."""
        return any(one.busy for one in self._all)

    def settle(self) -> None:
        """The initialisation is over: nobody registers or subscribes any more."""
        self._open = False
        self._telemetry.settle()
        for one in self._all:
            self._say(one)

    def shutdown_seconds(self) -> float:
        """How long the environment's end may take."""
        if self.launched:
            return EXTERNAL_SHUTDOWN_SECONDS
        return INTERNAL_SHUTDOWN_SECONDS if self._all else 0.0

    def invoke(self, headers: Mapping[str, str], deadline_ms: int) -> None:
        """Tell those who want to know that the function is invoked; `headers` are those that its runtime gets."""
        event = {
            "eventType": "INVOKE",
            "deadlineMs": deadline_ms,
            "requestId": headers["Lambda-Runtime-Aws-Request-Id"],
            "invokedFunctionArn": headers["Lambda-Runtime-Invoked-Function-Arn"],
            "tracing": platform_events.tracing(headers["Lambda-Runtime-Trace-Id"]),
        }
        self._tell("INVOKE", event)

    def shut_down(self, reason: str, deadline_ms: int) -> list[str]:
        """Tell those who want to know that this is the end: the reason as AWS names it; the others, who are to be killed."""
        self._tell("SHUTDOWN", {"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms})
        return [one.name for one in self._all if one.external and not one.ended and "SHUTDOWN" not in one.events]

    def gone(self) -> bool:
        """Whether every external extension has ended."""
        return all(one.ended for one in self._all if one.external)

    def left(self) -> list[str]:
        """The external extensions that have not ended."""
        return [one.name for one in self._all if one.external and not one.ended]

    def ended(self, name: str, status: int, launch_error: str) -> None:
        """An external extension's process ended, or could not be started."""
        one = next((one for one in self._all if one.external and one.name == name and not one.ended), None)
        if one is None:
            return
        one.ended, one.busy, one.waiting = True, False, None
        if self.closing:
            return
        kind = one.error or ("Extension.LaunchError" if launch_error else "Extension.Crash")
        if launch_error:
            one.state = "LaunchError"
        one.error = kind
        self._say(one)
        self.failure = ExtensionFailed(kind, launch_error or platform_events.ending(status) or "exit code 0")

    def forget(self, connection: Connection) -> None:
        """A connection was closed."""
        for one in self._all:
            if one.waiting is connection:
                one.waiting = None

    def answer(self, connection: Connection, message: Message) -> None:
        """Answer a request, or keep the connection until there is an event. OSError when it is broken."""
        try:
            if message.target == f"{PREFIX}register" and message.method == "POST":
                self._register(connection, message)
            elif message.target == f"{PREFIX}event/next" and message.method == "GET":
                self._next(connection, message)
            elif message.target in (f"{PREFIX}init/error", f"{PREFIX}exit/error") and message.method == "POST":
                self._fail(connection, message)
            elif message.target.rstrip("/") in (telemetry.TELEMETRY_PATH, telemetry.LOGS_PATH) and message.method == "PUT":
                self._subscribe(connection, message)
            else:
                raise _Refused("NotFound", f"There is no {message.method} {message.target[:100]}", _NOT_FOUND)
        except _Refused as refused:
            connection.reply(refused.status, {"errorType": refused.kind, "errorMessage": refused.text})

    def _tell(self, kind: str, event: dict[str, Any]) -> None:
        for one in self._all:
            if kind not in one.events or one.ended:
                continue
            one.busy = True
            connection, one.waiting = one.waiting, None
            if connection is None:
                one.held = event
                continue
            one.state = "Running"
            try:
                connection.reply(200, event, {"Lambda-Extension-Event-Identifier": str(uuid.uuid4())})
            except OSError:
                one.held = event

    def _register(self, connection: Connection, message: Message) -> None:
        name = message.headers.get("lambda-extension-name", "")
        if not name:
            raise _Refused("Extension.InvalidExtensionName", "Empty extension name")
        try:
            asked = json.loads(message.body or b"{}")
            events = tuple(str(event) for event in asked.get("events") or ())
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise _Refused("InvalidRequestFormat", str(error)) from None
        one = next((one for one in self._all if one.name == name), None)
        allowed = ("INVOKE", "SHUTDOWN") if one is not None and one.external else ("INVOKE",)
        for event in events:
            if event not in allowed:
                why = "ShutdownEventNotSupportedForInternalExtension" if event == "SHUTDOWN" else "InvalidEventType"
                raise _Refused("Extension.InvalidEventType", f"{event}: {why}")
        if one is None:
            if not self._open:
                raise _Refused("Extension.RegistrationClosed", "Extension registration closed already")
        elif not one.external:
            raise _Refused("Extension.InvalidExtensionState", "Extension with this name already registered")
        elif one.state != "Started":
            raise self._wrong_state(one, "Registered")
        if sum(known.state != "Started" for known in self._all) >= EXTENSIONS_MAX:
            raise _Refused("Extension.TooManyExtensions", f"Extension limit ({EXTENSIONS_MAX}) reached")
        if one is None:
            one = Extension(name, external=False)
            self._all.append(one)
        one.state, one.events = "Registered", events
        function = self._function
        told = {"functionName": function.name, "functionVersion": function.version, "handler": function.handler}
        if "accountid" in message.headers.get("lambda-extension-accept-feature", "").lower():
            told["accountId"] = function.arn.split(":")[4]
        connection.reply(200, told, {"Lambda-Extension-Identifier": one.id})

    def _next(self, connection: Connection, message: Message) -> None:
        one = self._identify(message)
        if one.ended or one.error:
            raise self._wrong_state(one, "Ready")
        event, one.held = one.held, None
        if event is not None:
            one.state = "Running"
            connection.reply(200, event, {"Lambda-Extension-Event-Identifier": str(uuid.uuid4())})
            return
        one.state, one.waiting, one.busy = "Ready", connection, False

    def _fail(self, connection: Connection, message: Message) -> None:
        one = self._identify(message)
        said = message.headers.get(_ERROR_TYPE.lower())
        if not said:
            raise _Refused("Extension.MissingHeader", f"{_ERROR_TYPE} not found")
        at_start = message.target.endswith("init/error")
        if one.error or (at_start and one.state != "Registered"):
            raise self._wrong_state(one, "InitError" if at_start else "ExitError")
        one.state = "InitError" if at_start else "ExitError"
        one.error = f"Extension.{one.state}"
        connection.reply(202, {"status": "OK"})
        if not one.external and not self.closing:
            self._say(one)
            self.failure = ExtensionFailed(one.error, said)

    def _subscribe(self, connection: Connection, message: Message) -> None:
        one = self._identify(message)
        path = message.target.rstrip("/")
        older = path == telemetry.LOGS_PATH
        if not self._open:
            which = "Logs" if older else "Telemetry"
            raise _Refused(f"{which}.SubscriptionClosed", f"{which} API subscription is closed already")
        try:
            asked = telemetry.parse(path, message.body)
            self._telemetry.subscribe(one.name, asked)
        except Invalid as wrong:
            raise _Refused("ValidationError", str(wrong), _INVALID) from None
        connection.reply(200, "OK")
        kind = "platform.logsSubscription" if older else "platform.telemetrySubscription"
        self._journal.event(kind, {"name": one.name, "state": "Subscribed", "types": list(asked.types)})

    def _identify(self, message: Message) -> Extension:
        given = message.headers.get(_IDENTIFIER, "")
        if not given:
            raise _Refused("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
        try:
            uuid.UUID(given)
        except ValueError:
            raise _Refused("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier") from None
        one = next((one for one in self._all if one.id == given and one.state != "Started"), None)
        if one is None:
            raise _Refused("Extension.UnknownExtensionIdentifier", f"Unknown extension {given}")
        return one

    def _wrong_state(self, one: Extension, wanted: str) -> _Refused:
        text = f"State transition from {one.state} to {wanted} failed for extension {one.name}."
        return _Refused("Extension.InvalidExtensionState", f"{text} Error: State transition is not allowed")

    def _say(self, one: Extension) -> None:
        record = {"name": one.name, "state": one.state, "events": list(one.events)}
        self._journal.event("platform.extension", {**record, **({"errorType": one.error} if one.error else {})})


def deadline_ms(seconds: float) -> int:
    """A moment so far from now, as events write it."""
    return int((time.time() + seconds) * 1000)
