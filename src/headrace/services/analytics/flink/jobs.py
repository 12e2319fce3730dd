"""The job of one application at its cluster: begun, looked at, ended. Knows the cluster, and nothing of statuses."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.roles import RoleRefused
from headrace.services.analytics import limits
from headrace.services.analytics.flink import configuration, installation, programs, sandbox
from headrace.services.analytics.flink import state as kept
from headrace.services.analytics.flink.cluster import LocalCluster
from headrace.services.analytics.flink.rest import FlinkRefused, Rest, Unreachable
from headrace.services.analytics.flink.state import Job
from headrace.services.analytics.state import Application

_ENDED = ("FAILED", "CANCELED", "FINISHED", "SUSPENDED")
_PRINCIPAL = "kinesisanalytics.amazonaws.com"


log = logging.getLogger(__name__)


class SavepointFailed(Exception):
    """The state could not be saved; the text says why."""


class Seen(msgspec.Struct):
    """A job as the cluster has it. `runs`: all its tasks do."""

    state: str
    runs: bool
    tasks: int
    duration_ms: int

    @property
    def ended(self) -> bool:
        """Whether it does nothing more."""
        return self.state in _ENDED


class Cluster:
    """The cluster of an application: the user's own, or one here. Used by one thread at a time, but for `interrupt`."""

    def __init__(self, application_id: str) -> None:
        self._id = application_id
        self._local: LocalCluster | None = None
        self._remote: Rest | None = None
        self._bubblewrap: str | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """Let nobody wait for the cluster any more."""
        self._interrupted = True
        for rest in (self._remote, self._local.rest if self._local is not None else None):
            if rest is not None:
                rest.close()

    def close(self) -> None:
        """End the cluster that is here; the user's own goes on."""
        local, self._local = self._local, None
        if local is not None:
            local.close()

    def reached(self, ctx: Context) -> Rest | None:
        """The cluster, unless it is one here that does not run."""
        if ctx.settings.flink_url:
            if self._remote is None:
                self._remote = Rest(ctx.settings.flink_url)
            return self._remote
        return self._local.rest if self._local is not None and self._local.alive else None

    def lines(self) -> list[str]:
        """What a cluster here has logged."""
        return self._local.lines() if self._local is not None else []

    def ready(self, ctx: Context, application: Application) -> Rest:
        """The cluster for this generation of an application, started if need be. Unreachable, NotInstalled, RoleRefused."""
        if self._interrupted:
            raise Unreachable("the server is stopping")
        reached = self.reached(ctx)
        if reached is not None and (self._local is None or self._local.generation == application.generation):
            self._renew(ctx, application)
            return reached
        self.close()
        given, expires_at = _credentials(ctx, application)
        started = self._local = LocalCluster(self._order(ctx, application, given), application.generation)
        started.expires_at = expires_at
        _wait(started)
        return started.rest

    def given_by_file(self, ctx: Context) -> bool:
        """Whether programs find their properties where AWS has them."""
        return not ctx.settings.flink_url and bool(self._bubblewrap)

    def _renew(self, ctx: Context, application: Application) -> None:
        local = self._local
        if local is None or local.expires_at is None:
            return
        if local.expires_at - ctx.clock.now() < limits.FLINK_CREDENTIALS_LEFT_MIN_SECONDS:
            given, local.expires_at = _credentials(ctx, application)
            local.give(given)

    def _order(self, ctx: Context, application: Application, credentials: dict[str, Any]) -> dict[str, Any]:
        flink = application.flink
        assert flink is not None
        found = installation.find(ctx.settings)
        if self._bubblewrap is None:
            self._bubblewrap = sandbox.find()
            if not self._bubblewrap:
                log.warning("bubblewrap is not here: Flink applications run NOT CONFINED, with the server's rights")
        scheme = "https" if ctx.settings.tls_certificate else "http"
        return {
            "folder": str(kept.folder(ctx, application.id)),
            "jars": str(found.jars),
            "java": str(found.java),
            "slots": flink.parallelism["Parallelism"],
            "memory_mib": ctx.settings.flink_memory_mib,
            "log_level": flink.monitoring["LogLevel"],
            "readable": [str(path) for path in _readable(ctx, application, found)],
            "bubblewrap": self._bubblewrap,
            "properties": flink.properties,
            "credentials": credentials,
            "environment": {
                "FLINK_OPT_DIR": str(found.jars.parent / "opt"),
                "AWS_REGION": ctx.region,
                "AWS_DEFAULT_REGION": ctx.region,
                "AWS_ENDPOINT_URL": f"{scheme}://127.0.0.1:{ctx.settings.port}",
            },
        }


def _readable(ctx: Context, application: Application, found: installation.Installation) -> list[Path]:
    """The folders that the cluster's processes need to see."""
    folders = [found.jars, found.java.parent.parent]
    if programs.is_python(application):
        folders += installation.python_folders(installation.find_python(ctx.settings))
        folders.append(installation.python_jar(found).parent)
    return folders


def _credentials(ctx: Context, application: Application) -> tuple[dict[str, Any], float | None]:
    try:
        found = ctx.ports.authority.assume(ctx, application.role, "flink", _PRINCIPAL)
    except AwsError as error:
        raise RoleRefused(error.message) from error
    until = found.expires_at or ctx.clock.now() + 3600
    given = {
        "AccessKeyId": found.access_key_id,
        "SecretAccessKey": found.secret_access_key,
        "Token": found.session_token,
        "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until)),
        "RoleArn": application.role,
    }
    return given, found.expires_at


def _wait(cluster: LocalCluster) -> None:
    """Until the cluster has a task manager; Unreachable."""
    deadline = time.monotonic() + limits.FLINK_CLUSTER_START_SECONDS_MAX
    while time.monotonic() < deadline and cluster.alive:
        try:
            if cluster.rest.overview()["taskmanagers"]:
                return
        except Unreachable:
            if cluster.rest.closed:
                raise
        except FlinkRefused:
            pass  # it is there, and has no leader yet
        time.sleep(0.2)
    raise Unreachable(
        "the local Flink cluster does not start; the application's log stream and the data folder's flink/*/log say why"
    )


def look(rest: Rest, job_id: str) -> Seen | None:
    """A job as the cluster has it; None when it knows none of the id."""
    found = rest.job(job_id)
    if found is None:
        return None
    counts = found.get("status-counts") or {}
    tasks = sum(counts.values())
    active = counts.get("RUNNING", 0) + counts.get("FINISHED", 0)
    return Seen(found["state"], found["state"] == "RUNNING" and tasks == active, tasks, int(found.get("duration") or 0))


def submit(ctx: Context, cluster: Cluster, rest: Rest, application: Application, job: Job) -> None:
    """Give a job to the cluster. FlinkRefused with what the program threw."""
    flink = application.flink
    assert flink is not None
    program = programs.of(ctx, application)
    given = None if cluster.given_by_file(ctx) else _arguments(application)
    jar_id = rest.upload(program.jar, f"{application.name}.jar")
    try:
        rest.run(
            jar_id,
            job.id,
            parallelism=flink.parallelism["Parallelism"],
            savepointPath=job.begun_from or None,
            allowNonRestoredState=flink.non_restored if job.begun_from else None,
            entryClass=program.entry_class or None,
            programArgsList=[*program.arguments, *(given or ())] or None,
            flinkConfiguration={**configuration.job_options(flink), **program.options},
        )
    finally:
        rest.remove(jar_id)


def _arguments(application: Application) -> list[str]:
    """Properties as arguments, for clusters that have no file of them: --GROUP.KEY VALUE."""
    assert application.flink is not None
    found: list[str] = []
    for group in application.flink.properties:
        for name, value in group["PropertyMap"].items():
            found += [f"--{group['PropertyGroupId']}.{name}", value]
    return found


def newest_checkpoint(ctx: Context, application_id: str, job: Job) -> str:
    """The newest checkpoint of a job: looked for on the disk where its cluster is here, else the newest that was heard of."""
    if ctx.settings.flink_url:
        return job.checkpoint
    folder = kept.folder(ctx, application_id) / "checkpoints" / job.id
    found = {int(path.parent.name.removeprefix("chk-")): path.parent for path in folder.glob("chk-*/_metadata")}
    return found[max(found)].as_uri() if found else ""


def savepoints(ctx: Context, application_id: str) -> str | None:
    """Where savepoints are to lie; None: where the user's cluster puts them."""
    return None if ctx.settings.flink_url else (kept.folder(ctx, application_id) / "savepoints").as_uri()


def tidy(ctx: Context, application: Application, job: Job) -> None:
    """Remove the checkpoints of earlier jobs, once this one has its own and no snapshot names them."""
    if ctx.settings.flink_url or not newest_checkpoint(ctx, application.id, job):
        return
    folder = kept.folder(ctx, application.id) / "checkpoints"
    named = [one.path for one in ctx.snapshot(lambda inner: kept.snapshots(inner, application))]
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.name != job.id and not any(f"/{old.name}/" in path for path in named):
            shutil.rmtree(old, ignore_errors=True)


def remove_files(ctx: Context, application: Application) -> None:
    """Remove all that an application's cluster here has written."""
    shutil.rmtree(kept.folder(ctx, application.id), ignore_errors=True)


def message(line: str) -> dict[str, Any]:
    """A line of the cluster's log as AWS writes it to log streams; what programs print is a message, too."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        found = {"message": line, "logger": "stdout", "messageType": "INFO"}
    return {name: value for name, value in found.items() if value != ""}
