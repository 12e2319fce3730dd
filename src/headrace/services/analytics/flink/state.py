"""What is kept of Flink applications beside their rows.

    ("analytics", "job", application id)                    → Job: the job at the cluster that does the application's work
    ("analytics", "snapshot", application id, name)         → Snapshot
    ("analytics", "operation", application id, operation id) → Operation: what was asked, and what came of it

A job's id is fixed, and committed, before the job is given to the cluster: whoever comes after a crash finds it there, or gives
it again. Files (checkpoints, savepoints) lie in the data folder's `flink/<application id>`, or where the user's own cluster puts
them.
"""

from pathlib import Path

import msgspec

from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.analytics.state import Application

CREATING = "CREATING"
READY = "READY"
FAILED = "FAILED"
IN_PROGRESS = "IN_PROGRESS"
SUCCESSFUL = "SUCCESSFUL"


class Job(msgspec.Struct, omit_defaults=True):
    """A job at the cluster. It began with the state at `begun_from`; `checkpoint` is the newest that is known.

    `generation` is the application's that it runs; `trigger` the id of the savepoint that ends it, once one was asked for.
    `failures` counts jobs of this generation that failed.
    """

    id: str
    generation: int
    asked_at: float
    begun_from: str = ""
    checkpoint: str = ""
    trigger: str = ""
    trigger_attempts: int = 0
    failures: int = 0
    not_before: float = 0.0


class Snapshot(msgspec.Struct, omit_defaults=True):
    """A savepoint of Flink's at `path`. While it is under way `trigger` is its id at the cluster, for the job `job`."""

    name: str
    created_at: float
    version: int
    runtime: str
    status: str = CREATING
    path: str = ""
    job: str = ""
    trigger: str = ""


class Operation(msgspec.Struct, omit_defaults=True):
    """Something that was asked of an application and takes its time. `updated_from` and `_to` are versions."""

    id: str
    name: str
    started_at: float
    ended_at: float | None = None
    status: str = IN_PROGRESS
    error: str = ""
    updated_from: int | None = None
    updated_to: int | None = None
    rolled_back_by: str = ""


JOBS = Records(("analytics", "job"), Job)
SNAPSHOTS = Records(("analytics", "snapshot"), Snapshot)
OPERATIONS = Records(("analytics", "operation"), Operation)


def folder(ctx: Context, application_id: str) -> Path:
    """Where an application's cluster keeps its files."""
    return ctx.settings.data.absolute() / "flink" / application_id


def begin(ctx: Context, application: Application, name: str, updated_from: int | None = None) -> str:
    """Note that an operation begins; its id. One that is under way is cancelled by it."""
    if application.operation:
        end(ctx, application, "CANCELLED")
    made = Operation(ctx.ids.uuid(), name, ctx.clock.now(), updated_from=updated_from)
    if updated_from is not None:
        made.updated_to = application.version
    OPERATIONS.put(ctx.tx, made, application.id, made.id)
    application.operation = made.id
    return made.id


def end(ctx: Context, application: Application, status: str, error: str = "") -> None:
    """Note how the operation under way has ended."""
    found = OPERATIONS.get(ctx.tx, application.id, application.operation) if application.operation else None
    application.operation = ""
    if found is not None:
        found.status, found.error, found.ended_at = status, error, ctx.clock.now()
        OPERATIONS.put(ctx.tx, found, application.id, found.id)


def snapshots(scope: Scope, application: Application) -> list[Snapshot]:
    """The snapshots, the newest first."""
    found = [one for _, one in SNAPSHOTS.scan(scope.tx, application.id)]
    return sorted(found, key=lambda one: (-one.created_at, one.name))


def newest(scope: Scope, application: Application) -> Snapshot | None:
    """The newest snapshot that can be begun from."""
    return next((one for one in snapshots(scope, application) if one.status == READY), None)


def drop(scope: Scope, application: Application) -> None:
    """Forget it all."""
    for records in (JOBS, SNAPSHOTS, OPERATIONS):
        records.delete_all(scope.tx, application.id)
