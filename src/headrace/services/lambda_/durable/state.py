"""What durable executions keep.

("lambda", "durable", account, region, function, id)                   → Execution
("lambda", "durable-named", account, region, function, name)           → str: the id of the execution of a name
("lambda", "durable-started", account, region, function, time, id)     → str: its name; the order in which they began
("lambda", "durable-operation", id, number)                            → Operation
("lambda", "durable-operation-of", id, operation)                      → int: its number
("lambda", "durable-changed", id, change)                              → int: the number of the operation that changed so
("lambda", "durable-event", id, number)                                → dict: an event of the history, as AWS says it
("lambda", "durable-work", account, region, function, id, operation)   → Work for a thread; operation "": an invocation
timers ("lambda", "durable"), named (kind, account, region, function, id, operation)
"""

import base64
import binascii
import json
from typing import Any, NamedTuple

import msgspec

from headrace.kit.arn import arn
from headrace.layers import timer
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.services.lambda_.errors import InvalidParameterValueException, ResourceNotFoundException
from headrace.store.api import ReadTransaction, Transaction

TIMERS = ("lambda", "durable")
TOPIC = b"lambda:durable"
RUNNING = "RUNNING"
DURATION_SECONDS_MAX = 366 * 86_400


class Key(NamedTuple):
    """Which execution."""

    account: str
    region: str
    function: str
    id: str


class Pause(msgspec.Struct):
    """A pause that somebody asked for. `began_at` is 0 while an invocation is still on its way to its next checkpoint."""

    asked_at: float
    reason: str | None
    stops_timeout: bool
    began_at: float = 0.0


class Execution(msgspec.Struct, kw_only=True):
    """A durable execution. `changes` numbers the changes of its operations, of which the function has seen those up to `seen`.

    One that is paused is RUNNING, too: its operations go on. `interrupted`: a pause took the token from the invocation under way.
    `asked` holds the last request to pause and to resume, by its client token, so that a repeated one is known.
    """

    id: str
    name: str
    account: str
    region: str
    function: str
    version: str
    input: str
    started_at: float
    timeout_seconds: int
    retention_days: int
    status: str = RUNNING
    ended_at: float | None = None
    result: str | None = None
    error: dict[str, Any] | None = None
    operations: int = 0
    events: int = 0
    changes: int = 0
    seen: int = 0
    token: int = 0
    invocation: str = ""
    again: bool = False
    failures: int = 0
    updated: list[str] = []
    client_token: str = ""
    token_before: int = -1
    seen_before: int = 0
    parent: list[str] | None = None
    trace: str = ""
    pause: Pause | None = None
    paused_seconds: float = 0.0
    interrupted: bool = False
    asked: dict[str, list[Any]] = {}

    @property
    def shown_status(self) -> str:
        """Its status as AWS says it."""
        if self.status != RUNNING or self.pause is None:
            return self.status
        return "PAUSED" if self.pause.began_at else "PAUSING"

    @property
    def paused(self) -> bool:
        """Whether its function is not to be invoked now."""
        return self.pause is not None and self.pause.began_at > 0

    @property
    def deadline(self) -> float:
        """When it times out. A pause that stops this clock ends with the longest that an execution may take."""
        most = self.started_at + DURATION_SECONDS_MAX
        if self.paused and self.pause is not None and self.pause.stops_timeout:
            return most
        return min(self.started_at + self.timeout_seconds + self.paused_seconds, most)

    @property
    def key(self) -> Key:
        """Where it lies."""
        return Key(self.account, self.region, self.function, self.id)

    @property
    def arn(self) -> str:
        """Its ARN."""
        resource = f"function:{self.function}:{self.version}/durable-execution/{self.name}/{self.id}"
        return arn("lambda", self.region, self.account, resource)

    @property
    def function_arn(self) -> str:
        """The ARN of the version that it runs."""
        return arn("lambda", self.region, self.account, f"function:{self.function}:{self.version}")


class Operation(msgspec.Struct):
    """One operation; `shape` is AWS's Operation with times in seconds."""

    number: int
    changed: int
    shape: dict[str, Any]
    heartbeat_seconds: int = 0
    heartbeat_at: float = 0.0


class Work(msgspec.Struct, frozen=True):
    """Something for a thread: an invocation, or of a function that is called. `owner`: the process that does it."""

    owner: str = ""
    function: str = ""
    payload: str = ""
    trace: str = ""


EXECUTIONS = Records(("lambda", "durable"), Execution)
NAMED = Records(("lambda", "durable-named"), str)
STARTED = Records(("lambda", "durable-started"), str)
OPERATIONS = Records(("lambda", "durable-operation"), Operation)
OPERATION_OF = Records(("lambda", "durable-operation-of"), int)
CHANGED = Records(("lambda", "durable-changed"), int)
EVENTS = Records(("lambda", "durable-event"), dict[str, Any])
WORK = Records(("lambda", "durable-work"), Work)


def put(tx: Transaction, execution: Execution) -> None:
    """Write an execution."""
    EXECUTIONS.put(tx, execution, *execution.key)


def find(ctx: Context, text: str) -> Execution:
    """The execution of an ARN, or AWS's error."""
    parts = text.split("/")
    head = parts[0].split(":")
    if len(parts) != 4 or parts[1] != "durable-execution" or len(head) != 8:
        raise InvalidParameterValueException("Invalid Durable Execution ARN")
    found = EXECUTIONS.get(ctx.tx, head[4], head[3], head[6], parts[3])
    if found is None or found.arn != text or (head[4], head[3]) != (ctx.account, ctx.region):
        raise ResourceNotFoundException("Durable Execution does not exist")
    return found


def operation(tx: ReadTransaction, execution_id: str, operation_id: str) -> Operation | None:
    """An operation of an execution."""
    number = OPERATION_OF.get(tx, execution_id, operation_id)
    return None if number is None else OPERATIONS.get(tx, execution_id, number)


def change(tx: Transaction, execution: Execution, shape: dict[str, Any], old: Operation | None) -> Operation:
    """Write an operation as something that the function has not seen yet. The caller writes the execution."""
    execution.changes += 1
    if old is None:
        execution.operations += 1
        row = Operation(execution.operations, execution.changes, shape)
        OPERATION_OF.put(tx, row.number, execution.id, shape["Id"])
    else:
        CHANGED.delete(tx, execution.id, old.changed)
        row = msgspec.structs.replace(old, changed=execution.changes, shape=shape)
    CHANGED.put(tx, row.number, execution.id, row.changed)
    OPERATIONS.put(tx, row, execution.id, row.number)
    return row


def changed_after(tx: ReadTransaction, execution: Execution, after: int) -> list[dict[str, Any]]:
    """The operations that changed behind a change, in the order of their creation."""
    numbers = sorted(number for _, number in CHANGED.scan(tx, execution.id, after=(execution.id, after)))
    rows = (OPERATIONS.get(tx, execution.id, number) for number in numbers)
    return [row.shape for row in rows if row is not None]


def start_timer(tx: Transaction, kind: str, key: Key, due_at: float, operation_id: str = "") -> None:
    """Let something fall due."""
    timer.start(tx, TIMERS, due_at, (kind, *key, operation_id))
    tx.announce(TOPIC)


def stop_timeout(tx: Transaction, execution: Execution) -> None:
    """The execution's present deadline holds no more."""
    timer.cancel(tx, TIMERS, execution.deadline, ("timeout", *execution.key, ""))


def topic(execution_id: str) -> bytes:
    """Announced when an execution ends."""
    return b"lambda:durable:" + execution_id.encode()


def token(execution: Execution) -> str:
    """The checkpoint token that is valid now."""
    return base64.b64encode(f"{execution.invocation}:{execution.token}".encode()).decode()


def callback_id(key: Key, operation_id: str) -> str:
    """A callback's id, from which its execution is found."""
    return base64.b64encode(json.dumps([*key, operation_id], separators=(",", ":")).encode()).decode()


def callback_of(text: str) -> tuple[Key, str]:
    """What a callback's id says."""
    try:
        *key, operation_id = json.loads(base64.b64decode(text, validate=True))
        return Key(*(str(part) for part in key)), str(operation_id)
    except (ValueError, TypeError, binascii.Error):
        raise InvalidParameterValueException("Invalid callback ID") from None
