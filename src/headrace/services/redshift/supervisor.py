"""The warehouse processes of this server: started when a cluster is made or first used, started again when they die."""

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from headrace.operation import Context
from headrace.services.redshift import limits, objects, state
from headrace.services.redshift.engine.control import Channel, RemoteError
from headrace.services.redshift.state import Cluster

log = logging.getLogger(__name__)


class Warehouse:
    """One running process and the line to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: Channel) -> None:
        self.process = process
        self.channel = channel

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def end(self) -> None:
        """Close the files in order, then the process; by force when it takes too long."""
        with contextlib.suppress(ConnectionError, RemoteError, TimeoutError):
            self.channel.call("close", timeout_s=limits.STOP_TIMEOUT_S)
        self.channel.close()
        try:
            self.process.wait(limits.STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """All warehouse processes of this server."""

    def __init__(self) -> None:
        self._running: dict[str, Warehouse] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._stopping = False

    def _lock(self, folder: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(folder, threading.Lock())

    def channel(self, ctx: Context, cluster: Cluster) -> Channel:
        """The line to a cluster's process, which is started when it does not run. ConnectionError when it cannot be."""
        found = self._running.get(cluster.folder)
        if found is not None and found.alive:
            return found.channel
        with self._lock(cluster.folder):
            found = self._running.get(cluster.folder)
            if found is not None and found.alive:
                return found.channel
            if self._stopping:
                raise ConnectionError("the server is stopping")
            if found is not None:
                log.warning(
                    "the warehouse %s has ended with status %s: started again", cluster.identifier, found.process.returncode
                )
                found.channel.close()
            started = self._running[cluster.folder] = self._start(ctx, cluster)
            return started.channel

    def _start(self, ctx: Context, cluster: Cluster) -> Warehouse:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "headrace.services.redshift.engine.warehouse", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**_environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        here = ctx.at(account=ctx.account, region=ctx.region)
        channel = Channel(
            ours,
            {
                "fetch": lambda **arguments: objects.fetch(here, **_with_role(cluster, arguments)),
                "store": lambda **arguments: objects.store(here, **_with_role(cluster, arguments)),
                "credentials": lambda user: temporary_hashes(here, cluster.identifier, user),
            },
            lambda: None,
        )
        channel.start()
        warehouse = Warehouse(process, channel)
        try:
            channel.call(
                "open", folder=str(folder(ctx, cluster)), host=ctx.settings.host, port=cluster.port, database=cluster.database,
                master=cluster.master, master_hash=cluster.master_hash, memory_limit_mb=ctx.settings.redshift_memory_mib,
                timeout_s=limits.START_TIMEOUT_S,
            )  # fmt: skip
        except (RemoteError, TimeoutError, ConnectionError) as error:
            process.kill()
            process.wait()
            channel.close()
            raise ConnectionError(f"the warehouse {cluster.identifier} cannot start: {error}") from error
        return warehouse

    def stop(self, cluster: Cluster) -> None:
        """End a cluster's process."""
        with self._lock(cluster.folder):
            found = self._running.pop(cluster.folder, None)
            if found is not None:
                found.end()

    def stop_all(self) -> None:
        """End every process."""
        self._stopping = True
        running, self._running = self._running, {}
        threads = [threading.Thread(target=warehouse.end) for warehouse in running.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def restart_allowed(self) -> None:
        """The server has started (again, in tests that start several in one process)."""
        self._stopping = False

    def process_id(self, cluster: Cluster) -> int | None:
        """The process of a cluster, if it runs."""
        found = self._running.get(cluster.folder)
        return found.process.pid if found is not None and found.alive else None


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "HEADRACE_LOG_LEVEL", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _with_role(cluster: Cluster, arguments: dict[str, Any]) -> dict[str, Any]:
    role = arguments["role"]
    if role == "default":
        if not cluster.default_role:
            raise objects.AccessDenied("IAM_ROLE DEFAULT: the cluster has no default role")
        return {**arguments, "role": cluster.default_role}
    return arguments


def folder(ctx: Context, cluster: Cluster) -> Path:
    """Where a cluster's files lie."""
    return Path(ctx.settings.data).absolute() / "redshift" / cluster.folder


def remove_files(ctx: Context, cluster: Cluster) -> None:
    """Remove a deleted cluster's files."""
    shutil.rmtree(folder(ctx, cluster), ignore_errors=True)


def temporary_hashes(ctx: Context, identifier: str, user: str) -> list[str]:
    """The hashes of the temporary passwords that are good now."""

    def body(inner: Context) -> list[str]:
        now = inner.clock.now()
        rows = state.TEMPORARY.scan(inner.tx, ctx.account, ctx.region, identifier, user, limit=1000)
        return [row.hashed for _, row in rows if row.expires_at > now]

    return ctx.snapshot(body)


def free_port(ctx: Context, wanted: int | None) -> int:
    """A port that no cluster has and that can be listened on: the wanted one, else the first one from the setting on."""
    taken = {cluster.port for _, cluster in state.CLUSTERS.scan(ctx.tx)}
    first = ctx.settings.redshift_port
    candidates: list[int] = [*([wanted] if wanted else []), *range(first, first + limits.PORTS_TRIED_MAX)]
    for port in candidates:
        if port not in taken and _can_listen(ctx.settings.host, port):
            return port
    raise ConnectionError(f"no free port from {first} on")


def _can_listen(host: str, port: int) -> bool:
    try:
        with socket.create_server((host, port)):
            return True
    except OSError:
        return False


SUPERVISOR = Supervisor()
