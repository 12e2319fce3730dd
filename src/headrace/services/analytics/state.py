"""What Analytics keeps.

    ("analytics", "application", account, region, name)            → Application: its configuration, status and run
    ("analytics", "version", account, region, name, version)       → Application, as it was in that version
    ("analytics", "position", application id, input id, shard id)  → Position: how far a shard was read
    ("analytics", "piece", application id, name, n)                the state of windows: a piece of the engine's, cut up
    ("analytics", "reference", application id, table)              → Reference: the copy of an object that is in use
    ("analytics", "outbox", application id, output id)             rows on their way to a function: a log (layers.log)

Flink applications have, beside the first two, what `flink/state.py` names.

What a step of an application read, the state that came of it and the rows that it gave are committed together: after a crash
an application goes on as if nothing had been.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.ports import Scope
from headrace.services.analytics import errors, limits
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction

READY, STARTING, RUNNING = "READY", "STARTING", "RUNNING"
STOPPING, FORCE_STOPPING, UPDATING = "STOPPING", "FORCE_STOPPING", "UPDATING"
ROLLING_BACK, DELETING = "ROLLING_BACK", "DELETING"

APPLICATIONS_TOPIC = b"analytics:applications"


class Flink(msgspec.Struct, omit_defaults=True):
    """What a Flink application has in the place of SQL, its inputs and outputs. In AWS's shapes, with the defaults filled in.

    `code` is where the code was in S3, `blob` is the copy of it that was made then. `restore` and `non_restored` are what the
    last start or update said of the state to begin with.
    """

    checkpoint: dict[str, Any]
    monitoring: dict[str, Any]
    parallelism: dict[str, Any]
    code: dict[str, Any] = {}
    blob: str = ""
    size_bytes: int = 0
    md5: str = ""
    properties: list[dict[str, Any]] = []
    snapshots: bool = True
    rollback: bool = False
    restore: dict[str, Any] = {}
    non_restored: bool = False


class Application(msgspec.Struct, omit_defaults=True):
    """An application. Inputs, outputs and so on are kept as AWS's shapes say, each with its id.

    `starts` are the positions of the inputs that the last start asked for. The generation grows with each start and each change
    of what runs: who runs an older one stops. The last members are those of Flink applications: `operation` is the one that is
    under way, `ran` are the versions that have run, the last one at the end.
    """

    name: str
    id: str
    arn: str
    created_at: float
    updated_at: float
    runtime: str = "SQL-1_0"
    mode: str = ""
    role: str = ""
    description: str = ""
    code: str = ""
    status: str = READY
    version: int = 1
    updated_from: int | None = None
    inputs: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []
    references: list[dict[str, Any]] = []
    logging: list[dict[str, Any]] = []
    window: str = ""
    starts: dict[str, str] = {}
    generation: int = 0
    problem: str = ""
    flink: Flink | None = None
    operation: str = ""
    ran: list[int] = []
    rolled_back_from: int | None = None
    rolled_back_to: int | None = None


class Position(msgspec.Struct, array_like=True):
    """How far a shard was read, and whether it has ended."""

    place: str
    ended: bool = False


class Reference(msgspec.Struct, array_like=True):
    """The copy of a reference table's object that a generation of an application has read."""

    generation: int
    blob: str


APPLICATIONS = Records(("analytics", "application"), Application)
VERSIONS = Records(("analytics", "version"), Application)
POSITIONS = Records(("analytics", "position"), Position)
REFERENCES = Records(("analytics", "reference"), Reference)
_PIECE = ("analytics", "piece")


def application_arn(account: str, region: str, name: str) -> str:
    """The ARN of an application."""
    return arns.arn("kinesisanalytics", region, account, f"application/{name}")


def find(scope: Scope, name: str) -> Application:
    """The application of a name; ResourceNotFoundException."""
    found = APPLICATIONS.get(scope.tx, scope.account, scope.region, name)
    if found is None:
        raise errors.application_not_found(name, scope.account)
    return found


def save(scope: Scope, application: Application) -> None:
    """Keep an application, and wake who runs it."""
    APPLICATIONS.put(scope.tx, application, scope.account, scope.region, application.name)
    scope.tx.announce(APPLICATIONS_TOPIC)


def keep_version(scope: Scope, application: Application) -> None:
    """Remember the application as it is in its version."""
    VERSIONS.put(scope.tx, application, scope.account, scope.region, application.name, application.version)


def outbox(application_id: str, output_id: str) -> bytes:
    """The log of rows for a function."""
    return tuples.pack(("analytics", "outbox", application_id, output_id))


def pieces(tx: ReadTransaction, application_id: str) -> dict[str, bytes]:
    """The engine's state as it was kept."""
    found: dict[str, bytes] = {}
    for key, value in tx.range(*tuples.range_of((*_PIECE, application_id))):
        name = str(tuples.unpack(key)[3])
        found[name] = found.get(name, b"") + value
    return found


def put_pieces(tx: Transaction, application_id: str, changed: Mapping[str, bytes | None]) -> None:
    """Keep what changed in the engine's state: new bytes, or None where a piece is gone."""
    size = limits.STATE_PIECE_MAX_BYTES
    for name, value in changed.items():
        tx.clear_range(*tuples.range_of((*_PIECE, application_id, name)))
        for number, start in enumerate(range(0, len(value or b""), size)):
            tx.set(tuples.pack((*_PIECE, application_id, name, number)), (value or b"")[start : start + size])


def drop_state(tx: Transaction, application_id: str) -> None:
    """Forget the windows' state."""
    tx.clear_range(*tuples.range_of((*_PIECE, application_id)))


def drop_all(scope: Scope, application: Application) -> None:
    """Forget an application and all that it keeps."""
    APPLICATIONS.delete(scope.tx, scope.account, scope.region, application.name)
    VERSIONS.delete_all(scope.tx, scope.account, scope.region, application.name)
    POSITIONS.delete_all(scope.tx, application.id)
    REFERENCES.delete_all(scope.tx, application.id)
    drop_state(scope.tx, application.id)
    scope.tx.clear_range(*tuples.range_of(("analytics", "outbox", application.id)))
    scope.tx.announce(APPLICATIONS_TOPIC)
