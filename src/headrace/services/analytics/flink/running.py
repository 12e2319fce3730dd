"""Brings about what is wanted of one Flink application: a step looks at its status, and does the next thing towards it.

Each step reads the application anew and commits under the lease and the application's status and generation, so it does not
matter which process does it, nor whether the one before came to its end. Jobs have ids that are committed first.
"""

import contextlib
import json
import math
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from headrace.layers import lease as leases
from headrace.operation import Context
from headrace.ports import Metric
from headrace.roles import RoleRefused
from headrace.services.analytics import limits, reports, state
from headrace.services.analytics.flink import applications, code, installation, jobs
from headrace.services.analytics.flink import state as kept
from headrace.services.analytics.flink.jobs import Cluster, SavepointFailed, Seen
from headrace.services.analytics.flink.rest import FlinkRefused, Rest, Unreachable
from headrace.services.analytics.flink.state import Job, Snapshot
from headrace.services.analytics.state import Application

Body = Callable[[Context, Application], None]


class Changed(Exception):
    """The application is not any more what this step saw."""


class Run:
    """What one process does for one application."""

    def __init__(self, application: Application, account: str, region: str, owner: str) -> None:
        self.name = f"analytics/{application.id}"
        self._id, self._application_name = application.id, application.name
        self._account, self._region, self._owner = account, region, owner
        self._cluster = Cluster(application.id)
        self._lease: leases.Lease | None = None
        self._ended = False
        self._said = ""
        self._measured_at = 0.0
        self._phases: dict[str, Callable[[Context, Application], float | None]] = {
            state.STARTING: self._start,
            state.UPDATING: self._start,
            state.ROLLING_BACK: self._start,
            state.RUNNING: self._watch,
            state.STOPPING: self._stop,
            state.FORCE_STOPPING: self._force_stop,
            state.DELETING: self._delete,
        }

    def interrupt(self) -> None:
        """Let no step wait any longer: the server stops."""
        self._ended = True
        self._cluster.interrupt()

    def end(self) -> None:
        """Do nothing more here, and end a cluster that is here."""
        self._ended = True
        self._cluster.close()

    def step(self, ctx: Context) -> float | None:
        """Do the next thing."""
        if self._ended:
            return None
        ctx = ctx.at(self._account, self._region)
        if not self._hold(ctx):
            self._cluster.close()
            return limits.LEASE_SECONDS / 3
        application = ctx.snapshot(
            lambda inner: state.APPLICATIONS.get(inner.tx, self._account, self._region, self._application_name)
        )
        if application is None or application.id != self._id or application.status not in self._phases:
            self._cluster.close()
            return None
        self._tell(ctx, application)
        try:
            return self._phases[application.status](ctx, application)
        except Changed:
            return 0.0
        except (RoleRefused, installation.NotInstalled) as error:
            return self._troubled(ctx, application, type(error).__name__, str(error), fatal=True)
        except (Unreachable, FlinkRefused, OSError) as error:
            if self._ended:
                return None
            return self._troubled(ctx, application, "ClusterUnreachable", str(error), fatal=False)
        finally:
            self._tell(ctx, application)

    def _hold(self, ctx: Context) -> bool:
        now = ctx.clock.now()
        if self._lease is None or self._lease.until - now < limits.LEASE_SECONDS / 2:
            self._lease = ctx.transact(
                lambda inner: leases.take(inner.tx, self.name, self._owner, inner.clock.now(), limits.LEASE_SECONDS)
            )
        return self._lease is not None

    def _commit(self, ctx: Context, seen: Application, what: Body) -> None:
        """Change the application, unless it is another one by now."""

        def body(inner: Context) -> None:
            found = state.APPLICATIONS.get(inner.tx, self._account, self._region, self._application_name)
            if found is None or (found.id, found.generation, found.status) != (seen.id, seen.generation, seen.status):
                raise Changed
            if self._lease is None:
                raise Changed
            try:
                leases.check(inner.tx, self.name, self._lease)
            except leases.LeaseLost:
                raise Changed from None
            what(inner, found)
            state.save(inner, found)

        ctx.transact(body)

    def _keep(self, ctx: Context, application: Application, job: Job) -> None:
        self._commit(ctx, application, lambda inner, found: kept.JOBS.put(inner.tx, job, found.id))

    def _job(self, ctx: Context) -> Job | None:
        return ctx.snapshot(lambda inner: kept.JOBS.get(inner.tx, self._id))

    # Coming to run.

    def _start(self, ctx: Context, application: Application) -> float | None:
        job = self._job(ctx)
        if job is not None and job.generation != application.generation:
            return self._leave(ctx, application, job)
        if job is None:
            job = self._new_job(ctx, application)
        rest = self._cluster.ready(ctx, application)
        seen = jobs.look(rest, job.id)
        if seen is None:
            return self._submit(ctx, application, job, rest)
        if seen.runs:
            self._commit(ctx, application, self._has_started)
            reports.note(ctx, application, "The application's job runs.")
            return limits.FLINK_WATCH_SECONDS
        failures = rest.failures(job.id)
        late = ctx.clock.now() - job.asked_at > limits.FLINK_START_SECONDS_MAX
        if seen.ended or late or len(failures) >= limits.FLINK_START_FAILURES_MAX:
            self._fail(ctx, application, failures[0] if failures else f"the job does not come to run: it is {seen.state}")
            return 0.0
        return limits.FLINK_LOOK_SECONDS

    def _new_job(self, ctx: Context, application: Application) -> Job:
        made: list[Job] = []

        def body(inner: Context, found: Application) -> None:
            begun_from = _restore_path(inner, found)
            job = Job(secrets.token_hex(16), found.generation, inner.clock.now(), begun_from)
            kept.JOBS.put(inner.tx, job, found.id)
            made[:] = [job]

        self._commit(ctx, application, body)
        return made[0]

    def _submit(self, ctx: Context, application: Application, job: Job, rest: Rest) -> float:
        """Give the job to the cluster; one that was there before goes on from its newest checkpoint, under a new id."""
        if job.not_before > ctx.clock.now():
            return min(limits.FLINK_WATCH_SECONDS, job.not_before - ctx.clock.now())
        checkpoint = jobs.newest_checkpoint(ctx, application.id, job)
        job = msgspec.structs.replace(job, asked_at=ctx.clock.now(), trigger="")
        if checkpoint:
            job = msgspec.structs.replace(job, id=secrets.token_hex(16), begun_from=checkpoint, checkpoint="")
        self._keep(ctx, application, job)
        try:
            jobs.submit(ctx, self._cluster, rest, application, job)
        except FlinkRefused as error:
            if application.status == state.RUNNING:
                self._again(ctx, application, job, str(error))
            else:
                self._fail(ctx, application, str(error))
        return limits.FLINK_LOOK_SECONDS

    def _has_started(self, ctx: Context, application: Application) -> None:
        application.status = state.RUNNING
        if application.version not in application.ran[-1:]:
            application.ran = [*application.ran[-9:], application.version]
        kept.end(ctx, application, kept.SUCCESSFUL)

    def _leave(self, ctx: Context, application: Application, job: Job) -> float:
        """End the job of the generation before: an update goes on from a snapshot of it."""
        flink = application.flink
        assert flink is not None
        wanted = application.status == state.UPDATING and flink.restore.get("ApplicationRestoreType") in (
            None, "RESTORE_FROM_LATEST_SNAPSHOT",
        )  # fmt: skip
        path: str | None = ""
        if wanted:
            try:
                path = self._save(ctx, application, job)
            except SavepointFailed as error:
                reports.problem(ctx, application, "SnapshotFailed", f"The newest checkpoint takes its place: {error}")
                path = jobs.newest_checkpoint(ctx, application.id, job)
            if path is None:
                return limits.FLINK_LOOK_SECONDS
        self._cancel(ctx, job)

        def body(inner: Context, found: Application) -> None:
            if path:
                _put_snapshot(inner, found, path, found.updated_from or found.version)
            kept.JOBS.delete(inner.tx, found.id)

        self._commit(ctx, application, body)
        return 0.0

    def _fail(self, ctx: Context, application: Application, text: str) -> None:
        """Give up what is under way: the application rests, or goes back to the version that ran before."""
        job = self._job(ctx)
        if job is not None:
            # It may be that nothing answers any more: this is why it is given up.
            with contextlib.suppress(Unreachable, FlinkRefused):
                self._cancel(ctx, job)
        self._cluster.close()
        flink = application.flink
        assert flink is not None

        def body(inner: Context, found: Application) -> None:
            kept.JOBS.delete(inner.tx, found.id)
            kept.end(inner, found, kept.FAILED, text)
            if application.status == state.UPDATING and flink.rollback:
                went = applications.rolled_back(inner, found)
                if went is not None:
                    # It was saved by that; what is saved again below is the same.
                    for name in found.__struct_fields__:
                        setattr(found, name, getattr(went[0], name))
                    return
            _rest(inner, found)

        self._commit(ctx, application, body)
        reports.problem(ctx, application, "StartFailed", text)

    # Running.

    def _watch(self, ctx: Context, application: Application) -> float | None:
        job = self._job(ctx) or self._new_job(ctx, application)
        rest = self._cluster.ready(ctx, application)
        seen = jobs.look(rest, job.id)
        if seen is None:
            return self._submit(ctx, application, job, rest)
        if seen.state == "FAILED":
            failures = rest.failures(job.id)
            self._again(ctx, application, job, failures[0] if failures else "the job failed")
            return limits.FLINK_LOOK_SECONDS
        if seen.ended:
            self._finish(ctx, application, seen)
            return None
        if seen.state != "RUNNING":
            self._explain(ctx, application, rest.failures(job.id))
        elif seen.runs and job.failures and seen.duration_ms > limits.FLINK_FAILURE_WAIT_MAX_SECONDS * 1000:
            self._keep(ctx, application, msgspec.structs.replace(job, failures=0))
        self._save_snapshots(ctx, application, job, rest)
        if time.monotonic() - self._measured_at > limits.METRICS_EVERY_SECONDS:
            self._measure(ctx, application, job, rest, seen)
        waiting = ctx.snapshot(lambda inner: any(one.status == kept.CREATING for one in kept.snapshots(inner, application)))
        return limits.FLINK_LOOK_SECONDS if waiting else limits.FLINK_WATCH_SECONDS

    def _again(self, ctx: Context, application: Application, job: Job, text: str) -> None:
        """A job failed for good: another one goes on from the newest checkpoint, a while later."""
        checkpoint = jobs.newest_checkpoint(ctx, application.id, job) or job.begun_from
        wait = min(limits.FLINK_FAILURE_WAIT_MAX_SECONDS, 2.0**job.failures)
        now = ctx.clock.now()
        new = Job(
            secrets.token_hex(16),
            application.generation,
            now,
            checkpoint,
            failures=min(job.failures + 1, 10),
            not_before=now + wait,
        )
        self._keep(ctx, application, new)
        reports.problem(ctx, application, "JobFailed", text)

    def _finish(self, ctx: Context, application: Application, seen: Seen) -> None:
        """The job came to its end by itself, or was cancelled at the cluster."""

        def body(inner: Context, found: Application) -> None:
            kept.JOBS.delete(inner.tx, found.id)
            _rest(inner, found)

        self._commit(ctx, application, body)
        self._cluster.close()
        reports.note(ctx, application, f"The application's job has ended: {seen.state}.")

    def _explain(self, ctx: Context, application: Application, failures: list[str]) -> None:
        if failures and failures[0] != self._said:
            self._said = failures[0]
            reports.problem(ctx, application, "JobRestarted", failures[0])

    def _save_snapshots(self, ctx: Context, application: Application, job: Job, rest: Rest) -> None:
        for one in ctx.snapshot(lambda inner: kept.snapshots(inner, application)):
            if one.status != kept.CREATING:
                continue
            if one.job != job.id or not one.trigger:
                trigger = rest.begin_savepoint(job.id, jobs.savepoints(ctx, application.id))
                self._put(ctx, application, msgspec.structs.replace(one, job=job.id, trigger=trigger))
                continue
            try:
                path = rest.savepoint(job.id, one.trigger)
            except FlinkRefused as error:
                reports.problem(ctx, application, "SnapshotFailed", str(error))
                self._put(ctx, application, msgspec.structs.replace(one, status=kept.FAILED))
                continue
            if path is not None:
                self._put(ctx, application, msgspec.structs.replace(one, status=kept.READY, path=path))

    def _put(self, ctx: Context, application: Application, one: Snapshot) -> None:
        self._commit(ctx, application, lambda inner, found: kept.SNAPSHOTS.put(inner.tx, one, found.id, one.name))

    def _measure(self, ctx: Context, application: Application, job: Job, rest: Rest, seen: Seen) -> None:
        self._measured_at = time.monotonic()
        flink = application.flink
        assert flink is not None
        found = rest.checkpoints(job.id)
        last = (found.get("latest") or {}).get("completed") or {}
        kpus = math.ceil(flink.parallelism["Parallelism"] / flink.parallelism["ParallelismPerKPU"])
        values = [
            Metric("KPUs", kpus, "Count"),
            Metric("uptime", seen.duration_ms if seen.runs else 0, "Milliseconds"),
            Metric("numberOfFailedCheckpoints", (found.get("counts") or {}).get("failed", 0), "Count"),
        ]
        if last:
            values.append(Metric("lastCheckpointDuration", last["end_to_end_duration"], "Milliseconds"))
            values.append(Metric("lastCheckpointSize", last["state_size"], "Bytes"))
        reports.metrics(ctx, application, values)
        path = str(last.get("external_path") or "")
        if ctx.settings.flink_url and path and path != job.checkpoint:
            self._keep(ctx, application, msgspec.structs.replace(job, checkpoint=path))
        jobs.tidy(ctx, application, job)

    # Ending.

    def _stop(self, ctx: Context, application: Application) -> float | None:
        job = self._job(ctx)
        flink = application.flink
        assert flink is not None
        path: str | None = ""
        if job is not None and flink.snapshots:
            try:
                path = self._save(ctx, application, job)
            except SavepointFailed as error:
                text = str(error)
                self._commit(ctx, application, lambda inner, found: _goes_on(inner, found, text))
                reports.problem(ctx, application, "SnapshotFailed", f"The application was not stopped: {text}")
                return 0.0
            if path is None:
                return limits.FLINK_LOOK_SECONDS
        if job is not None:
            self._cancel(ctx, job)

        def body(inner: Context, found: Application) -> None:
            if path:
                _put_snapshot(inner, found, path, found.version)
            kept.JOBS.delete(inner.tx, found.id)
            kept.end(inner, found, kept.SUCCESSFUL)
            _rest(inner, found)

        self._commit(ctx, application, body)
        self._cluster.close()
        return None

    def _save(self, ctx: Context, application: Application, job: Job) -> str | None:
        """End a job with a savepoint: where it is, or None as long as it is under way.

        A job that is not there any more has its newest checkpoint instead (nothing, if it has none). SavepointFailed.
        """
        rest = self._cluster.reached(ctx)
        seen = jobs.look(rest, job.id) if rest is not None else None
        if rest is None or seen is None or (seen.ended and not job.trigger):
            return jobs.newest_checkpoint(ctx, application.id, job) or job.begun_from
        if not (seen.runs or job.trigger) and ctx.clock.now() - job.asked_at < limits.FLINK_START_SECONDS_MAX:
            return None  # it was just given to the cluster, and comes to run
        try:
            if not job.trigger:
                trigger = rest.stop(job.id, jobs.savepoints(ctx, application.id))
                self._keep(ctx, application, msgspec.structs.replace(job, trigger=trigger))
                return None
            return rest.savepoint(job.id, job.trigger)
        except FlinkRefused as error:
            attempts = job.trigger_attempts + 1
            if attempts >= limits.FLINK_SAVEPOINT_ATTEMPTS_MAX:
                raise SavepointFailed(str(error)) from None
            self._keep(ctx, application, msgspec.structs.replace(job, trigger="", trigger_attempts=attempts))
            return None

    def _force_stop(self, ctx: Context, application: Application) -> float | None:
        job = self._job(ctx)
        if job is not None:
            self._cancel(ctx, job)

        def body(inner: Context, found: Application) -> None:
            kept.JOBS.delete(inner.tx, found.id)
            kept.end(inner, found, kept.SUCCESSFUL)
            _rest(inner, found)

        self._commit(ctx, application, body)
        self._cluster.close()
        return None

    def _delete(self, ctx: Context, application: Application) -> float | None:
        job = self._job(ctx)
        if job is not None:
            self._cancel(ctx, job)
        self._cluster.close()
        jobs.remove_files(ctx, application)
        code.drop(ctx, application)
        ctx.transact(lambda inner: _forget(inner, application))
        return None

    def _cancel(self, ctx: Context, job: Job) -> None:
        rest = self._cluster.reached(ctx)
        if rest is not None and ctx.settings.flink_url:
            rest.cancel(job.id)
        self._cluster.close()

    # What goes wrong, and what is told.

    def _troubled(self, ctx: Context, application: Application, kind: str, text: str, *, fatal: bool) -> float:
        """The cluster can't be used: what is to start is given up at once or after a while, what runs is tried again."""
        job = self._job(ctx)
        since = ctx.clock.now() - job.asked_at if job is not None and job.generation == application.generation else 0.0
        starting = application.status in (state.STARTING, state.UPDATING, state.ROLLING_BACK)
        if starting and (fatal or since > limits.FLINK_START_SECONDS_MAX):
            with contextlib.suppress(Changed):
                self._fail(ctx, application, text)
            return 0.0
        if text != self._said:
            self._said = text
            reports.problem(ctx, application, kind, text)
        if kind == "ClusterUnreachable" and not ctx.settings.flink_url and application.status == state.RUNNING:
            self._cluster.close()
        return limits.OUTPUT_RETRY_SECONDS * 2

    def _tell(self, ctx: Context, application: Application) -> None:
        lines = self._cluster.lines()
        if not lines:
            return
        own = {"applicationARN": application.arn, "applicationVersionId": str(application.version), "messageSchemaVersion": "1"}
        events: list[tuple[int, str]] = []
        for line in lines:
            found: dict[str, Any] = {**jobs.message(line), **own}
            events.append((ctx.clock.now_ms(), json.dumps(found)))
        reports.write(ctx, application, events)


def _restore_path(ctx: Context, application: Application) -> str:
    """Where the state lies that an application is to begin with; nothing for none."""
    flink = application.flink
    assert flink is not None
    kind = flink.restore.get("ApplicationRestoreType", "RESTORE_FROM_LATEST_SNAPSHOT")
    if kind == "SKIP_RESTORE_FROM_SNAPSHOT":
        return ""
    if kind == "RESTORE_FROM_CUSTOM_SNAPSHOT":
        named = kept.SNAPSHOTS.get(ctx.tx, application.id, flink.restore["SnapshotName"])
        return named.path if named is not None else ""
    found = kept.newest(ctx, application)
    return found.path if found is not None else ""


def _put_snapshot(ctx: Context, application: Application, path: str, version: int) -> None:
    """Keep what was saved when a job ended as a snapshot, by a name of the service's own."""
    made = Snapshot(ctx.ids.uuid(), ctx.clock.now(), version, application.runtime, kept.READY, path)
    kept.SNAPSHOTS.put(ctx.tx, made, application.id, made.name)


def _rest(ctx: Context, application: Application) -> None:
    """Let an application rest: snapshots that were under way have failed."""
    application.status = state.READY
    for one in kept.snapshots(ctx, application):
        if one.status == kept.CREATING:
            kept.SNAPSHOTS.put(ctx.tx, msgspec.structs.replace(one, status=kept.FAILED), application.id, one.name)


def _goes_on(ctx: Context, application: Application, text: str) -> None:
    """An application that could not be stopped."""
    application.status = state.RUNNING
    kept.end(ctx, application, kept.FAILED, text)
    job = kept.JOBS.get(ctx.tx, application.id)
    if job is not None:
        kept.JOBS.put(ctx.tx, msgspec.structs.replace(job, trigger="", trigger_attempts=0), application.id)


def _forget(ctx: Context, application: Application) -> None:
    """Forget an application that was deleted."""
    found = state.APPLICATIONS.get(ctx.tx, ctx.account, ctx.region, application.name)
    if found is not None and found.id == application.id:
        kept.drop(ctx, found)
        state.drop_all(ctx, found)
