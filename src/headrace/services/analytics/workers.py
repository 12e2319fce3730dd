"""What Analytics does by itself: a worker for each application that runs, and one for each function that takes its rows."""

import importlib
from typing import Any

from headrace.layers import lease as leases
from headrace.layers import log, pieces
from headrace.operation import Context
from headrace.services.analytics import configuration, functions, limits, references, reports, state
from headrace.services.analytics.checking import CHECKER
from headrace.services.analytics.running import Run
from headrace.services.analytics.state import Application
from headrace.workers import Runner, Worker


class Dispatcher:
    """Starts and ends the runs of applications as their rows in the store say."""

    def __init__(self, runner: Runner, owner: str) -> None:
        self._runner = runner
        self._owner = owner
        self._runs: dict[str, tuple[Run, tuple[bytes, ...]]] = {}
        self._deliveries: set[str] = set()
        self._flink: dict[str, Any] = {}

    def step(self, ctx: Context) -> float:
        """Look which applications run, and whether their inputs got new shards."""
        CHECKER.rest()
        found_all = {
            f"analytics/{one.id}": (one, str(key[0]), str(key[1]))
            for key, one in ctx.snapshot(lambda inner: list(state.APPLICATIONS.scan(inner.tx)))
            if one.status != state.READY
        }
        self._look_at_flink({name: found for name, found in found_all.items() if found[0].flink is not None})
        wanted = {name: found for name, found in found_all.items() if found[0].flink is None}
        for name, (run, topics) in list(self._runs.items()):
            found = wanted.get(name)
            if found is None or found[0].generation != run.generation:
                self._end(name)
            elif (new_topics := _topics(ctx, run)) != topics:
                # New shards: the worker is woken by them, too. The run itself goes on.
                self._runner.remove(name)
                self._runs[name] = (run, new_topics)
                self._runner.add(Worker(name, run.step, new_topics))
        deliveries: dict[str, Delivery] = {}
        for name, (application, account, region) in wanted.items():
            if name not in self._runs:
                run = Run(application, account, region, self._owner)
                self._runs[name] = (run, _topics(ctx, run))
                self._runner.add(Worker(name, run.step, self._runs[name][1]))
            for part in application.outputs:
                service, arn = configuration.target_of(part)
                if service == "lambda":
                    one = Delivery(application, account, region, part["OutputId"], arn, self._owner)
                    deliveries[one.name] = one
        for gone in self._deliveries - set(deliveries):
            self._runner.remove(gone)
        for new in set(deliveries) - self._deliveries:
            self._runner.add(Worker(new, deliveries[new].step, (deliveries[new].topic,)))
        self._deliveries = set(deliveries)
        return limits.LOOK_SECONDS

    def _look_at_flink(self, wanted: dict[str, tuple[Application, str, str]]) -> None:
        for gone in set(self._flink) - set(wanted):
            self._runner.remove(gone)
            self._flink.pop(gone).end()
        for name in set(wanted) - set(self._flink):
            # Read when there is such an application: everybody else's start and memory know nothing of it.
            running = importlib.import_module("headrace.services.analytics.flink.running")
            run = self._flink[name] = running.Run(*wanted[name], self._owner)
            self._runner.add(Worker(name, run.step, (state.APPLICATIONS_TOPIC,)))

    def interrupt(self) -> None:
        """Let no step wait for a Flink cluster: the server is about to stop."""
        for run in self._flink.values():
            run.interrupt()

    def _end(self, name: str) -> None:
        run, _ = self._runs.pop(name)
        self._runner.remove(name)
        run.end()

    def stop(self) -> None:
        """End the engines' processes: the server stops."""
        for run, _ in self._runs.values():
            run.end()
        for flink_run in self._flink.values():
            flink_run.end()
        CHECKER.close()


def _topics(ctx: Context, run: Run) -> tuple[bytes, ...]:
    try:
        return run.topics(ctx)
    except LookupError:
        return ()


class Delivery:
    """Hands the rows in one output's log to its function, in order, until it has taken them."""

    def __init__(self, application: Application, account: str, region: str, output_id: str, arn: str, owner: str) -> None:
        self.name = f"analytics/{application.id}/{application.generation}/{output_id}"
        self._application = application
        self._account = account
        self._region = region
        self._arn = arn
        self._owner = owner
        self._box = state.outbox(application.id, output_id)
        self.topic = log.topic(self._box)
        self._lease_name = f"analytics/{application.id}/{output_id}"
        self._attempt = 0

    def step(self, ctx: Context) -> float | None:
        """Hand over the oldest rows; those that it could not deliver again, until it can."""
        ctx = ctx.at(self._account, self._region)
        now = ctx.clock.now()
        held = ctx.transact(lambda inner: leases.take(inner.tx, self._lease_name, self._owner, now, limits.LEASE_SECONDS))
        if held is None:
            return limits.LEASE_SECONDS / 3
        entries = ctx.snapshot(
            lambda inner: log.read(inner.tx, self._box, 0, limits.LAMBDA_RECORDS_MAX, limits.LAMBDA_SIZE_MAX_BYTES)
        )
        found = list(pieces.join(entries))
        if not found:
            return None
        rows = {f"{first:056d}": row for first, _, row in found}
        try:
            while rows:
                rows = {one: rows[one] for one in functions.deliver(ctx, self._application, self._arn, rows, self._attempt)}
                if rows:
                    self._attempt += 1
                    raise functions.FunctionFailed(f"{len(rows)} rows were not delivered")
        except Exception as error:
            reports.problem(ctx, self._application, "Lambda.DeliveryFailed", str(error))
            ctx.transact(lambda inner: self._keep(inner, found, rows))
            return limits.OUTPUT_RETRY_SECONDS
        self._attempt = 0
        ctx.transact(lambda inner: log.trim(inner.tx, self._box, found[-1][1]))
        return 0.0

    def _keep(self, ctx: Context, found: list[tuple[int, int, bytes]], left: dict[str, bytes]) -> None:
        """Remove the rows that were delivered, up to the first that was not."""
        for first, last, _ in found:
            if f"{first:056d}" in left:
                return
            log.trim(ctx.tx, self._box, last)


_dispatchers: list[Dispatcher] = []


def start(ctx: Context, runner: Runner) -> None:
    """Start what runs as long as the server."""
    dispatcher = Dispatcher(runner, leases.owner_here(ctx.ids.uuid()))
    _dispatchers.append(dispatcher)
    runner.add(Worker("analytics.applications", dispatcher.step, (state.APPLICATIONS_TOPIC,)))
    runner.add(Worker("analytics.sweep", references.sweep))


def stopping() -> None:
    """End what steps wait for."""
    for dispatcher in _dispatchers:
        dispatcher.interrupt()


def stop() -> None:
    """End the engines' processes."""
    while _dispatchers:
        _dispatchers.pop().stop()
