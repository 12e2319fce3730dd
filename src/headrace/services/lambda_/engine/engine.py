"""Runs functions: finds or makes an execution environment, hands it the event, and says what came of it."""

import contextlib
import logging
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine import debugging, memory
from headrace.services.lambda_.engine.environment import FAILURE, TIMEOUT, Environment, Exited
from headrace.services.lambda_.engine.extensions import EXTERNAL_SHUTDOWN_SECONDS, ExtensionFailed
from headrace.services.lambda_.engine.freezing import Freezer
from headrace.services.lambda_.engine.function import Function, Line, Outcome, Request, Stopped
from headrace.services.lambda_.engine.initialising import Initialising
from headrace.services.lambda_.engine.memory import Group
from headrace.services.lambda_.engine.pool import Pool
from headrace.services.lambda_.engine.processes import Nursery
from headrace.services.lambda_.engine.provided import Provided
from headrace.services.lambda_.engine.relay import Relay
from headrace.services.lambda_.engine.running import Running
from headrace.services.lambda_.engine.runtime_api import Message
from headrace.services.lambda_.engine.sandbox import HOSTS, Sandbox

log = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 5.0
_GRACE_LOOK_SECONDS = 0.01
_REMOVE_SECONDS = 1.0


@dataclass(frozen=True)
class EngineSettings:
    """How large the engine may grow, and what its functions reach. `now_ms` times log lines."""

    folder: Path
    endpoint_port: int
    environments_max: int = 16
    idle_seconds: float = 300
    network: str = "server"
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    bubblewrap: str | None = None


class Engine:
    """Execution environments of all functions. `invoke` may be called from any thread, and waits in it."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._groups = memory.parent()
        if self._groups is not None:
            memory.sweep(self._groups[0])
        self.pool = Pool(settings.environments_max)
        self._stopping = False
        self._nursery_lock = threading.Lock()
        self._zygote: Nursery | None = None
        self.provided = Provided()
        self._freezer = Freezer(self.pool, self.provided)
        self._relay = Relay(settings.endpoint_port)
        self._left_groups: list[Group] = []
        self._ending: set[threading.Thread] = set()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        shutil.rmtree(settings.folder, ignore_errors=True)
        settings.folder.mkdir(parents=True, exist_ok=True)
        settings.folder.chmod(0o711)
        hosts = HOSTS if settings.network == "server" else _hosts(settings.folder)
        self._sandbox = Sandbox(network=settings.network, bubblewrap=settings.bubblewrap, hosts=hosts)
        # Processes die with the thread that started them, so one thread that never ends starts them all.
        self._starter = threading.Thread(target=self._start_and_keep_house, name="lambda-starter", daemon=True)
        self._starter.start()

    def isolation(self) -> str:
        """What holds functions, in one line for people."""
        bound = "memory by control groups" if self._groups else "memory by RLIMIT_DATA (no control group can be made)"
        return f"{self._sandbox.isolation()}; {bound}"

    def invoke(self, function: Function, request: Request, reserved: int | None = None) -> Outcome:
        """Run a function once. Throttled when there is no room, Stopped; every failure of the function is an Outcome."""
        if self._stopping:
            raise Stopped
        environment = self._provided(function)
        share = self.provided.share(function, environment is None)
        if environment is None:
            environment = self._warm(function, self.provided.left(function.arn, reserved))
        made = environment is None
        keep = None
        try:
            if environment is None:
                environment = self._make(function)
            outcome, sound = self._run(environment, request, made)
            keep = environment if sound else None
            return outcome if share is None else replace(outcome, share=share)
        finally:
            if environment is not None and environment.provided:
                if not self.provided.give_back(environment, keep is not None):
                    self._end(environment)
                self.pool.release(function, None)
            else:
                if environment is not None and keep is None:
                    self._end(environment)
                self.pool.release(function, keep)
            if keep is not None:
                self._freezer.notice()

    def _provided(self, function: Function) -> Environment | None:
        """An environment that was set aside for this version."""
        while (environment := self.provided.take(function)) is not None:
            if environment.check():
                self.pool.enter(function)
                return environment
            self.provided.give_back(environment, sound=False)
            self._end(environment)
        return None

    def provide(self, function: Function, lines: Callable[[str, Sequence[Line]], None]) -> str:
        """Make and initialise an environment that is set aside for a version; why its code failed, or nothing. Throttled."""
        environment = self._make(function)
        environment.provided = True
        environment.journal.begin(lambda batch: lines(environment.stream, batch))
        told = Initialising(environment)
        told.begin(self._sandbox.version(function.runtime), self._sandbox.note(function.runtime))
        kept, failure = False, ""
        try:
            message = environment.start(lambda: self._open_endpoint(environment), limits.PROVIDED_INITIALISATION_SECONDS_MAX)
            failure = told.failed(message) if message.kind == "init_error" else ""
            environment.used_at = time.monotonic()
            kept = not failure and not self._stopping and self.provided.add(environment)
        except TimeoutError:
            failure = told.failed(None, "timeout")
        except ExtensionFailed as failed:
            failure = told.failed(None, kind=failed.kind)
        except Exited:
            if self._stopping:
                raise Stopped from None
            failure = told.failed(None)
        finally:
            environment.journal.flush()
            if not kept:
                environment.ending = FAILURE if failure else environment.ending
                self._end(environment)
        self._freezer.notice()
        return failure

    def want(self, wanted: Mapping[str, int]) -> None:
        """Set aside so many environments for versions, by their keys; those that are too many end. `provide` makes them."""
        for environment in [*self.provided.want(wanted), *self.provided.renewable()]:
            self._end(environment)

    def _warm(self, function: Function, reserved: int | None) -> Environment | None:
        environment = self.pool.take_idle(function, reserved)
        while environment is not None and not environment.check():
            self._end(environment)
            self.pool.release(function, None)
            environment = self.pool.take_idle(function, reserved)
        return environment

    def _make(self, function: Function) -> Environment:
        slot, gone = self.pool.take_slot()
        if gone is not None:
            self._dismantle(gone)
        day = time.strftime("%Y/%m/%d", time.gmtime(self._settings.now_ms() / 1000))
        stream = f"{day}/[{function.version}]{uuid.uuid4().hex}"
        environment = Environment(function, slot, stream, self._settings.now_ms)
        try:
            variables, seconds = function.credentials()
            environment.expires_at = environment.started_at + min(seconds * 0.8, limits.ENVIRONMENT_AGE_SECONDS_MAX)
            named = {**variables, "AWS_LAMBDA_LOG_STREAM_NAME": stream}
            folder = self._settings.folder / f"{slot}-{uuid.uuid4().hex[:8]}"
            if function.debug_port:
                sandbox = Sandbox(network="host", bubblewrap=self._settings.bubblewrap, more=debugging.PACKAGES)
                self._in_starter(lambda: environment.spawn(sandbox, folder, self._group(), named, None))
                return environment
            nursery = self._nursery()
            if nursery is not None:
                with contextlib.suppress(OSError):
                    environment.spawn(self._sandbox, folder, self._group(), named, nursery)
                    return environment
                log.warning("the zygote did not fork; the environment is started without it")
                self._dismantle(environment)
                environment = Environment(function, slot, stream, self._settings.now_ms)
            self._in_starter(lambda: environment.spawn(self._sandbox, folder, self._group(), named, None))
            return environment
        except BaseException:
            self._end(environment)
            raise

    def warm_up(self) -> None:
        """Let the zygote load already: a function is about to be run for the first time."""
        self._nursery()

    def _nursery(self) -> Nursery | None:
        """The zygote, started if need be; None where there can't be one."""
        if not self._sandbox.may_fork:
            return None
        with self._nursery_lock:
            if self._zygote is not None and self._zygote.alive:
                return self._zygote
            if self._zygote is not None:
                self._zygote.stop()
            found: Nursery = self._in_starter(self._start_zygote)
            self._zygote = found
            return found

    def _start_zygote(self) -> Nursery:
        ours, theirs = socket.socketpair()
        try:
            command = self._sandbox.zygote(self._settings.folder.parent, theirs.fileno())
            environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "en_US.UTF-8"}
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment,
                cwd="/",
            )
        finally:
            theirs.close()
        return Nursery(process, ours)

    def _in_starter(self, job: Callable[[], Any]) -> Any:
        done: Future[Any] = Future()
        self._jobs.put((job, done))
        while True:
            try:
                return done.result(1.0)
            except FutureTimeout:
                if not self._starter.is_alive():
                    raise Stopped from None

    def _group(self) -> Group | None:
        """A control group for one environment."""
        if self._groups is None:
            return None
        path, version = self._groups
        group = Group(path / f"headrace-{os.getpid()}-{uuid.uuid4().hex[:12]}", version)
        group.path.mkdir()
        return group

    def _run(self, environment: Environment, request: Request, made: bool) -> tuple[Outcome, bool]:
        """Drive one invocation; the outcome, and whether the environment can serve another."""
        journal = environment.journal
        give = request.lines
        stream = environment.stream
        journal.begin(None if give is None else lambda batch: give(stream, batch))
        run = Running(environment, request)
        if made:
            run.initialise(self._sandbox.version(environment.function.runtime), self._sandbox.note(environment.function.runtime))
        message: Message | None = None
        try:
            if made:
                first = environment.start(lambda: self._open_endpoint(environment))
                if first.kind == "init_error":
                    message = first
            run.begin()
            if message is None:
                message = environment.run(run.headers(), request.payload, run.deadline, run.part)
            run.answered(message)
            if message.kind != "init_error" and not environment.resting:
                if request.answered is not None:
                    request.answered(run.early())
                environment.rest(run.deadline)
            environment.ending = FAILURE if message.kind == "init_error" else environment.ending
            return run.finish(environment.init_ms if made else None), message.kind != "init_error"
        except TimeoutError:
            environment.ending = TIMEOUT
            return run.timed_out(environment.init_ms if made else None), False
        except ExtensionFailed as failed:
            environment.ending = FAILURE
            return run.broke(failed.kind, failed.why, environment.init_ms if made else None), False
        except Exited as exited:
            environment.ending = FAILURE
            if self._stopping:
                raise Stopped from None
            return run.exited(exited.status, environment.init_ms if made else None), False
        finally:
            environment.used_at = time.monotonic()
            journal.flush()

    def _open_endpoint(self, environment: Environment) -> None:
        if environment.endpoint is not None:
            self._relay.serve(environment.endpoint)

    def _end(self, environment: Environment) -> None:
        """End an environment; nobody waits for its extensions."""

        def end() -> None:
            self._dismantle(environment)
            self.pool.give_back(environment.slot)
            self._ending.discard(threading.current_thread())

        if not environment.extensions.any:
            end()
            return
        thread = threading.Thread(target=end, name="lambda-ending", daemon=True)
        self._ending.add(thread)
        thread.start()

    def _dismantle(self, environment: Environment) -> None:
        environment.shut_down()
        if environment.endpoint is not None:
            # Closed by the thread that accepts on it.
            self._relay.close(environment.endpoint)
            environment.endpoint = None
        environment.stop()
        if environment.group is not None and not environment.group.remove():
            self._left_groups.append(environment.group)

    def retire(self, arn: str, version: str | None = None) -> None:
        """Stop the idle environments of a function (or of one version) because it changed or is gone."""
        for environment in self.pool.retire(arn, version):
            self._end(environment)

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop everything, after a while in which what runs may end. What does not ends as Stopped."""
        self._stopping = True
        deadline = time.monotonic() + grace_seconds
        while self.pool.total_busy() and time.monotonic() < deadline:
            time.sleep(_GRACE_LOOK_SECONDS)
        for environment in [*self.pool.take_all(), *self.provided.take_all()]:
            self._end(environment)
        deadline = time.monotonic() + EXTERNAL_SHUTDOWN_SECONDS + _REMOVE_SECONDS
        for thread in list(self._ending):
            thread.join(max(0.0, deadline - time.monotonic()))
        # The processes die with the thread that started them.
        self._jobs.put(None)
        self._starter.join(5)
        for environment in [*self.pool.take_all(), *self.provided.take_all()]:
            self._end(environment)
        self._freezer.stop()
        if self._zygote is not None:
            self._zygote.stop()
        self._relay.stop()
        deadline = time.monotonic() + _REMOVE_SECONDS
        while self._left_groups and time.monotonic() < deadline:
            time.sleep(_GRACE_LOOK_SECONDS)
            self._remove_left_groups()
        shutil.rmtree(self._settings.folder, ignore_errors=True)

    def _start_and_keep_house(self) -> None:
        due = time.monotonic() + _HOUSEKEEPING_SECONDS
        while True:
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get(timeout=max(0.0, due - time.monotonic()))
                if job is None:
                    return
                work, done = job
                try:
                    done.set_result(work())
                except BaseException as error:
                    done.set_exception(error)
            if time.monotonic() >= due:
                self._keep_house()
                due = time.monotonic() + _HOUSEKEEPING_SECONDS

    def _remove_left_groups(self) -> None:
        for group in list(self._left_groups):
            if group.remove():
                self._left_groups.remove(group)

    def _keep_house(self) -> None:
        self._remove_left_groups()
        now = time.monotonic()
        for environment in self.pool.take_stale(now - self._settings.idle_seconds, now):
            self._end(environment)


def _hosts(folder: Path) -> Path:
    """The host's names, and the one under which extensions listen."""
    own = Path("/etc/hosts")
    found = folder / "hosts"
    found.write_text((own.read_text() if own.exists() else "") + "\n127.0.0.1 sandbox sandbox.localdomain\n")
    found.chmod(0o644)
    return found
