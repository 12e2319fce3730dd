"""What the operations of the second model do to Flink applications. They note what is wanted; a worker brings it about."""

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.operation import Context
from headrace.services.analytics import applications, configuration, errors, references, rights, state
from headrace.services.analytics.flink import code, installation, programs
from headrace.services.analytics.flink import configuration as shapes
from headrace.services.analytics.flink import state as kept
from headrace.services.analytics.state import Application, Flink

Members = Mapping[str, Any]

_ALIVE = (state.STARTING, state.RUNNING, state.UPDATING, state.STOPPING, state.ROLLING_BACK)


def create(ctx: Context, application: Application, given: Members, tags: Any, logging: Any) -> Application:
    """Make an application. Its code is copied from S3 at once."""
    application.flink = shapes.new(given)
    application.mode = application.mode or "STREAMING"
    location = shapes.code_location(given.get("ApplicationCodeConfiguration"))

    def parts(made: Application) -> None:
        applications.take_parts(made, "logging", logging)
        rights.check_roles(ctx, made)
        if location is not None:
            code.take(ctx, made, location)

    try:
        return applications.create(ctx, application, tags, parts)
    except BaseException:
        if application.flink.blob:
            references.blobs(ctx).delete(application.flink.blob)
        raise


def check_can_run(ctx: Context, application: Application) -> None:
    """InvalidApplicationConfigurationException, with what to do, where no Flink is here to run an application."""
    runtime = application.runtime
    python = programs.is_python(application)
    if ctx.settings.flink_url:
        if python:
            raise errors.InvalidApplicationConfigurationException(
                "Headrace runs PyFlink programs only on clusters that it starts itself: start it without --flink-url."
            )
        return
    try:
        found = installation.find(ctx.settings)
        if python:
            installation.find_python(ctx.settings)
            installation.python_jar(found)
    except installation.NotInstalled as error:
        raise errors.InvalidApplicationConfigurationException(f"Headrace can't run Flink applications here. {error}") from None
    if not installation.fits(runtime, found):
        raise errors.InvalidApplicationConfigurationException(f"{runtime} can't be run by Flink {found.version}, which is here.")


def start(ctx: Context, name: str, run: Members) -> str:
    """Let an application run, from a snapshot or without any; the operation's id."""
    if run.get("SqlRunConfigurations"):
        raise errors.not_for_flink("SqlRunConfigurations")
    check_can_run(ctx, ctx.snapshot(lambda inner: state.find(inner, name)))

    def body(inner: Context) -> str:
        application = state.find(inner, name)
        flink = _flink(application)
        if application.status != state.READY:
            raise errors.not_in_state(name, application.status, "started")
        if not flink.blob:
            raise errors.InvalidApplicationConfigurationException(f"Application {name} cannot be started: it has no code.")
        _run_configured(inner, application, run)
        application.status = state.STARTING
        application.generation += 1
        begun = kept.begin(inner, application, "StartApplication")
        state.save(inner, application)
        return begun

    return ctx.transact(body)


def _run_configured(ctx: Context, application: Application, run: Members) -> None:
    flink = application.flink = msgspec.structs.replace(_flink(application))
    flink.restore = shapes.restore(run.get("ApplicationRestoreConfiguration"))
    flink.non_restored = bool((run.get("FlinkRunConfiguration") or {}).get("AllowNonRestoredState"))
    named = flink.restore.get("SnapshotName")
    if named:
        found = kept.SNAPSHOTS.get(ctx.tx, application.id, named)
        if found is None or found.status != kept.READY:
            raise errors.no_part("Snapshot", named, application.name)


def stop(ctx: Context, name: str, force: bool) -> str:
    """Let an application rest, with a snapshot of its state unless it is forced to; the operation's id."""

    def body(inner: Context) -> str:
        application = state.find(inner, name)
        if application.status not in (_ALIVE if force else (state.RUNNING,)):
            raise errors.not_in_state(name, application.status, "stopped")
        application.status = state.FORCE_STOPPING if force else state.STOPPING
        begun = kept.begin(inner, application, "StopApplication")
        state.save(inner, application)
        return begun

    return ctx.transact(body)


def delete(ctx: Context, name: str, created_at: float) -> None:
    """Delete an application, running or not: a worker ends its job first."""

    def body(inner: Context) -> None:
        application = state.find(inner, name)
        if int(application.created_at) != int(created_at):
            raise errors.InvalidArgumentException(f"CreateTimestamp is not that of application {name}.")
        application.status = state.DELETING
        state.save(inner, application)

    ctx.transact(body)


def update(
    ctx: Context, name: str, version: int, given: Members, runtime: str | None, role: str | None, run: Members | None,
    logging: Any,
) -> tuple[Application, str]:  # fmt: skip
    """Change an application. One that runs goes on in its new form, from a snapshot that is taken of the old one."""
    current = ctx.snapshot(lambda inner: state.find(inner, name))
    changed = _changed(ctx, current, version)
    changed.flink = shapes.updated(_flink(current), given)
    changed.runtime, changed.role = runtime or current.runtime, role or current.role
    applications.update_parts(changed, "logging", logging)
    rights.check_roles(ctx, changed)
    update_of_code = given.get("ApplicationCodeConfigurationUpdate")
    location = shapes.code_location(update_of_code, "Update", _flink(current).code)
    if location is not None:
        code.take(ctx, changed, location)
    if current.status == state.RUNNING:
        check_can_run(ctx, changed)
    configuration.check_counts(changed)
    restarts = run is not None or _runs(current) != _runs(changed)
    try:
        return changed, ctx.transact(lambda inner: _update(inner, current, changed, run, restarts))
    except BaseException:
        if location is not None:
            references.blobs(ctx).delete(changed.flink.blob)
        raise


def _changed(ctx: Context, current: Application, version: int) -> Application:
    if current.status not in (state.READY, state.RUNNING):
        raise errors.not_in_state(current.name, current.status, "updated")
    if version != current.version:
        raise errors.version_differs(current.name, current.version, version)
    changed = copy.deepcopy(current)
    changed.version = current.version + 1
    changed.updated_from = current.version
    changed.rolled_back_from = changed.rolled_back_to = None
    return changed


def _update(ctx: Context, current: Application, changed: Application, run: Members | None, restarts: bool) -> str:
    now_kept = state.find(ctx, current.name)
    if now_kept.version != current.version or now_kept.id != current.id:
        raise errors.version_differs(current.name, now_kept.version, current.version)
    if now_kept.status != current.status:
        raise errors.not_in_state(current.name, now_kept.status, "updated")
    changed.operation, changed.ran = now_kept.operation, now_kept.ran
    changed.updated_at = ctx.clock.now()
    begun = kept.begin(ctx, changed, "UpdateApplication", current.version)
    if run is not None or (restarts and changed.status == state.RUNNING):
        _run_configured(ctx, changed, run or {})
    if restarts and changed.status == state.RUNNING:
        changed.status = state.UPDATING
        changed.generation += 1
    else:
        kept.end(ctx, changed, kept.SUCCESSFUL)
        if changed.status == state.RUNNING:
            changed.ran = [*changed.ran[-9:], changed.version]
    state.save(ctx, changed)
    state.keep_version(ctx, changed)
    return begun


def _runs(application: Application) -> tuple[Any, ...]:
    """What an application's job is made of: where it changes, the job begins anew."""
    flink = _flink(application)
    return (
        application.runtime, application.role, flink.blob, flink.properties, flink.checkpoint, flink.monitoring,
        flink.parallelism,
    )  # fmt: skip


def roll_back(ctx: Context, name: str, version: int) -> tuple[Application, str]:
    """Go back to the version that ran before, from the newest snapshot; a new version comes of it."""

    def body(inner: Context) -> tuple[Application, str]:
        application = state.find(inner, name)
        _flink(application)
        if application.status not in (state.UPDATING, state.RUNNING):
            raise errors.not_in_state(name, application.status, "rolled back")
        if version != application.version:
            raise errors.version_differs(name, application.version, version)
        if kept.newest(inner, application) is None:
            raise errors.InvalidRequestException(f"Application {name} cannot be rolled back: it has no snapshot.")
        went = rolled_back(inner, application)
        if went is None:
            raise errors.InvalidRequestException(f"Application {name} cannot be rolled back: no other version of it has run.")
        return went

    return ctx.transact(body)


def rolled_back(ctx: Context, application: Application) -> tuple[Application, str] | None:
    """Make the version that ran before the current one again; None where there is none."""
    before = next((one for one in reversed(application.ran) if one != application.version), None)
    old = None
    if before is not None:
        old = state.VERSIONS.get(ctx.tx, ctx.account, ctx.region, application.name, before)
    if old is None or old.flink is None:
        return None
    new = copy.deepcopy(application)
    new.flink, new.runtime, new.role = old.flink, old.runtime, old.role
    new.flink.restore = {"ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT"}
    new.version = application.version + 1
    new.updated_from, new.rolled_back_from, new.rolled_back_to = application.version, application.version, before
    new.updated_at = ctx.clock.now()
    new.generation += 1
    new.status = state.ROLLING_BACK
    begun = kept.begin(ctx, new, "RollbackApplication", application.version)
    state.save(ctx, new)
    state.keep_version(ctx, new)
    return new, begun


def _flink(application: Application) -> Flink:
    if application.flink is None:
        raise errors.not_for_sql("This")
    return application.flink
