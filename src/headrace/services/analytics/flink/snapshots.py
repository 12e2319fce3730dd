"""Snapshots of Flink applications: asked for here, taken by the worker."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from headrace.operation import Context
from headrace.services.analytics import errors, limits, state
from headrace.services.analytics.flink import state as kept
from headrace.services.analytics.flink.rest import FlinkRefused, Rest, Unreachable
from headrace.services.analytics.flink.state import Snapshot
from headrace.services.analytics.state import Application


def create(ctx: Context, name: str, snapshot_name: str) -> None:
    """Ask for a snapshot of an application that runs."""
    application = _application(ctx, name, "CreateApplicationSnapshot")
    assert application.flink is not None
    if not application.flink.snapshots:
        raise errors.InvalidApplicationConfigurationException(f"Snapshots are not enabled for application {name}.")
    if application.status != state.RUNNING:
        raise errors.not_in_state(name, application.status, "snapshotted")
    found = kept.snapshots(ctx, application)
    if any(one.name == snapshot_name for one in found):
        raise errors.ResourceInUseException(f"Snapshot {snapshot_name} of application {name} already exists.")
    if any(one.status == kept.CREATING for one in found):
        raise errors.ResourceInUseException(f"Another snapshot of application {name} is being created.")
    if len(found) >= limits.SNAPSHOTS_MAX:
        raise errors.LimitExceededException(f"An application has at most {limits.SNAPSHOTS_MAX} snapshots.")
    made = Snapshot(snapshot_name, ctx.clock.now(), application.version, application.runtime)
    kept.SNAPSHOTS.put(ctx.tx, made, application.id, snapshot_name)
    ctx.tx.announce(state.APPLICATIONS_TOPIC)


def find(ctx: Context, name: str, snapshot_name: str, operation: str) -> tuple[Application, Snapshot]:
    """A snapshot; ResourceNotFoundException."""
    application = _application(ctx, name, operation)
    found = kept.SNAPSHOTS.get(ctx.tx, application.id, snapshot_name)
    if found is None:
        raise errors.no_part("Snapshot", snapshot_name, name)
    return application, found


def delete(ctx: Context, name: str, snapshot_name: str, created_at: float) -> None:
    """Forget a snapshot, then remove its files."""

    def body(inner: Context) -> tuple[Application, Snapshot]:
        application, found = find(inner, name, snapshot_name, "DeleteApplicationSnapshot")
        if int(found.created_at) != int(created_at):
            raise errors.InvalidArgumentException(f"SnapshotCreationTimestamp is not that of snapshot {snapshot_name}.")
        used = application.flink is not None and application.flink.restore.get("SnapshotName") == snapshot_name
        if found.status == kept.CREATING or (used and application.status in (state.STARTING, state.UPDATING)):
            raise errors.ResourceInUseException(f"Snapshot {snapshot_name} of application {name} is in use.")
        kept.SNAPSHOTS.delete(inner.tx, application.id, snapshot_name)
        return application, found

    application, gone = ctx.transact(body)
    if not gone.path:
        return
    if ctx.settings.flink_url:
        with contextlib.suppress(FlinkRefused, Unreachable):
            Rest(ctx.settings.flink_url).dispose(gone.path)
        return
    path = local_path(gone.path)
    if path is not None and path.is_relative_to(kept.folder(ctx, application.id)):
        shutil.rmtree(path, ignore_errors=True)


def local_path(url: str) -> Path | None:
    """The folder that a savepoint's address names; None where it lies elsewhere."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" and not parts.netloc else None


def described(one: Snapshot) -> Mapping[str, Any]:
    """A snapshot in AWS's shape."""
    return {
        "SnapshotName": one.name,
        "SnapshotStatus": one.status,
        "ApplicationVersionId": one.version,
        "SnapshotCreationTimestamp": one.created_at,
        "RuntimeEnvironment": one.runtime,
    }


def _application(ctx: Context, name: str, operation: str) -> Application:
    application = state.find(ctx, name)
    if application.flink is None:
        raise errors.not_for_sql(operation)
    return application
