"""What the engine is told, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Line = tuple[int, str]
"""A line of a log: epoch milliseconds and text."""


@dataclass(frozen=True)
class LogSettings:
    """How a function's log is written: Text, or JSON with the least levels that are kept."""

    format: str = "Text"
    application_level: str = "INFO"
    system_level: str = "INFO"


@dataclass(frozen=True)
class Function:
    """One version of a function as it runs. `revision` changes with everything that needs a new execution environment."""

    arn: str
    name: str
    version: str
    revision: str
    handler: str
    code: Path
    runtime: str = "python3.11"
    layers: Path | None = None
    memory_mib: int = 128
    timeout_seconds: float = 3
    temporary_mib: int = 512
    debug_port: int = 0
    """Wait for a debugger on this port of the host when starting; 0: do not."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    logs: LogSettings = LogSettings()
    credentials: Callable[[], tuple[Mapping[str, str], float]] = field(default=lambda: ({}, 86_400.0), repr=False, compare=False)
    """Variables of the execution role and for how many seconds they hold; asked for with each new environment."""


@dataclass(frozen=True)
class Request:
    """One invocation. `lines` gets the log as it is written: (log stream, lines); it must be quick."""

    request_id: str
    payload: bytes
    invoked_arn: str
    client_context: str | None = None
    trace: str | None = None
    lines: Callable[[str, Sequence[Line]], None] | None = None
    parts: Callable[[str, bytes], None] | None = None
    """Gets the content type and the bytes of a streamed response as they come; without it, they are gathered."""
    answered: Callable[["Outcome"], None] | None = None
    """Gets payload and error as soon as the runtime has answered while extensions still work; the outcome knows of them too."""


@dataclass(frozen=True)
class Share:
    """How a version's provisioned environments were used when an invocation began; `spilled`: it got a common one."""

    busy: int
    wanted: int
    spilled: bool


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation. `error`: "Unhandled" or None. `log` is its tail, 4 KiB at most."""

    payload: bytes
    error: str | None
    duration_ms: float
    billed_ms: int
    init_ms: float | None
    memory_used_mib: int
    log: bytes = b""
    content_type: str = ""
    extensions_ms: float | None = None
    """For how long extensions worked after the runtime had answered; None without any."""
    share: Share | None = None
    """Set when the version has provisioned concurrency."""


class Stopped(Exception):
    """The engine was stopped while the function ran: nobody knows what it would have answered."""


class Throttled(Exception):
    """There is no room for one more execution environment; `reason` is AWS's name for why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
