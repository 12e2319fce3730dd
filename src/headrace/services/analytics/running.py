"""Runs one application: reads its inputs, lets the engine compute, and commits what was read, kept and given together.

A step reads records, pushes them into the engine's process, and then, in one transaction: the positions of the inputs, the
pieces of the windows' state that changed, and the rows for the outputs. So a crash at any moment changes no result. The engine's
process is ahead of the store by a step, or by two while there is more to read: it computes one while the one before is committed.
Whatever goes wrong, it is opened again from what was kept.
"""

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import NamedTuple

from headrace.kit.errors import AwsError
from headrace.layers import lease as leases
from headrace.layers import log as logs
from headrace.layers import pieces
from headrace.operation import Context
from headrace.ports import Metric
from headrace.roles import RoleRefused
from headrace.services.analytics import configuration, limits, references, reports, rights, state
from headrace.services.analytics.checking import CHECKER
from headrace.services.analytics.engine.client import Engine, EngineError
from headrace.services.analytics.engine.schema import SqlError, Step
from headrace.services.analytics.engine.shared import Laid
from headrace.services.analytics.functions import FunctionFailed
from headrace.services.analytics.inputs import Inputs, Place, Read
from headrace.services.analytics.state import Application, Position

log = logging.getLogger(__name__)


class Stale(Exception):
    """The application was stopped, changed or deleted: this run of it is over."""


class _Next(NamedTuple):
    """What was read, and its records as the engine finds them."""

    read: Read
    laid: Mapping[str, Laid]


class _Made(NamedTuple):
    """A step that was computed and is to be committed."""

    read: Read
    step: Step


class Run:
    """One run of one generation of an application, in this process."""

    def __init__(self, application: Application, account: str, region: str, owner: str) -> None:
        self.generation = application.generation
        self.name = f"analytics/{application.id}"
        self._application = application
        self._account = account
        self._region = region
        self._owner = owner
        self._engine: Engine | None = None
        self._inputs: Inputs | None = None
        self._lease: leases.Lease | None = None
        # What was computed and is to be committed, what is computed meanwhile, and what was read to be computed next.
        self._made: _Made | None = None
        self._begun: Read | None = None
        self._ahead: _Next | None = None
        self._next_ms: int | None = None
        self._reported_at = 0.0
        self._allowed_at = float("-inf")
        self._ended = False
        self._counts: dict[str, float] = {"Records": 0.0, "Bytes": 0.0, "Delivered": 0.0}

    def end(self) -> None:
        """Take nothing more. The step that runs commits nothing, for the generation is another one."""
        self._ended = True
        engine = self._engine
        if engine is not None:
            engine.close()

    def topics(self, ctx: Context) -> tuple[bytes, ...]:
        """What wakes this run."""
        scope = ctx.at(self._account, self._region)
        return Inputs(scope, self._application).topics(scope)

    def step(self, ctx: Context) -> float | None:
        """Read, compute and commit once."""
        if self._ended:
            return None
        ctx = ctx.at(self._account, self._region)
        if not self._hold(ctx):
            return limits.LEASE_SECONDS / 3
        try:
            return self._go_on(ctx)
        except Stale:
            self._reset()
            return None
        except RoleRefused as error:
            reports.problem(ctx, self._application, "RoleRefused", str(error))
            self._reset()
            return limits.OUTPUT_RETRY_SECONDS
        except (FunctionFailed, AwsError, LookupError) as error:
            text = error.message if isinstance(error, AwsError) else str(error)
            reports.problem(ctx, self._application, type(error).__name__, text)
            return limits.OUTPUT_RETRY_SECONDS
        except (SqlError, EngineError) as error:
            self._reset()
            reports.problem(ctx, self._application, "SqlError", str(error))
            return limits.OUTPUT_RETRY_SECONDS * 5
        except ConnectionError as error:
            self._reset()
            if self._ended:
                return None
            reports.problem(ctx, self._application, "EngineEnded", str(error))
            return limits.OUTPUT_RETRY_SECONDS

    def _go_on(self, ctx: Context) -> float | None:
        if time.monotonic() - self._allowed_at > limits.RIGHTS_EVERY_SECONDS:
            rights.check(ctx, self._application)
            self._allowed_at = time.monotonic()
        engine, inputs = self._opened(ctx)
        if self._made is None:
            begun = self._begun or self._begin(ctx, engine, inputs)
            self._begun = None
            if begun is not None and self._goes_ahead(begun):
                # What comes next is read while the engine computes. An input that is gone: the next step says so.
                with contextlib.suppress(AwsError, LookupError):
                    self._ahead = self._read(ctx, engine, inputs)
            self._made = None if begun is None else _Made(begun, engine.end_step())
        made = self._made
        if made is None:
            return self._wait(ctx)
        self._next_ms = made.step.next_ms
        if self._begun is None and self._goes_ahead(made.read):
            # The engine computes while this step is committed.
            with contextlib.suppress(AwsError, LookupError):  # an input that is gone: the next step says so
                self._begun = self._begin(ctx, engine, inputs)
        ctx.transact(lambda inner: self._commit(inner, made))
        self._made = None
        self._count(ctx, made)
        return 0.0 if made.read.taken or not made.read.caught_up else self._wait(ctx)

    def _opened(self, ctx: Context) -> tuple[Engine, Inputs]:
        if self._engine is not None and self._inputs is not None:
            return self._engine, self._inputs
        application = self._application
        if self._engine is not None:  # it was opened, and then something was missing
            self._engine.close()
        engine = self._engine = CHECKER.take()
        kept = ctx.snapshot(lambda inner: state.pieces(inner.tx, application.id))
        engine.open(
            application.code, configuration.inputs_of(application), configuration.references_of(application), kept or None
        )
        for part in application.references:
            engine.load_reference(part["TableName"], references.content(ctx, application, part))
        inputs = Inputs(ctx, application)
        self._next_ms = 0
        inputs.positions.update(ctx.transact(lambda inner: self._mark_running(inner, inputs)))
        self._inputs = inputs
        return engine, inputs

    def _mark_running(self, ctx: Context, inputs: Inputs) -> dict[Place, Position]:
        current = self._current(ctx)
        if current.status != state.RUNNING:
            current.status = state.RUNNING
            state.save(ctx, current)
        return inputs.begin(ctx)

    def _current(self, ctx: Context) -> Application:
        found = state.APPLICATIONS.get(ctx.tx, self._account, self._region, self._application.name)
        if (
            self._ended or found is None or found.id != self._application.id or found.generation != self.generation
            or found.status == state.READY
        ):  # fmt: skip
            raise Stale
        return found

    def _begin(self, ctx: Context, engine: Engine, inputs: Inputs) -> Read | None:
        """Read, and let the engine compute; None when there is nothing to do."""
        read, laid = self._ahead or self._read(ctx, engine, inputs)
        self._ahead = None
        now_ms = ctx.clock.now_ms() - limits.CLOCK_BEHIND_MS
        due = self._next_ms is not None and self._next_ms <= now_ms
        if not read.taken and not read.positions and not (due and read.caught_up):
            return None
        # While there is more to read, time is what the records say; then it is the clock's.
        engine.begin_step(
            laid, now_ms if read.caught_up else None, configuration.outputs_of(self._application), failures=read.failures
        )
        return read

    def _read(self, ctx: Context, engine: Engine, inputs: Inputs) -> _Next:
        read = inputs.read(ctx) if self._has_processors() else ctx.snapshot(inputs.read)
        laid = engine.lay(read.records)
        inputs.positions.update(read.positions)
        return _Next(read, laid)

    def _goes_ahead(self, read: Read) -> bool:
        """Whether there is more to do behind this. A function is not asked ahead: it may fail."""
        return not read.caught_up and not self._has_processors()

    def _has_processors(self) -> bool:
        return any("InputProcessingConfiguration" in part for part in self._application.inputs)

    def _wait(self, ctx: Context) -> float | None:
        if self._next_ms is None:
            return None
        return max(0.001, (self._next_ms + limits.CLOCK_BEHIND_MS - ctx.clock.now_ms()) / 1000)

    def _commit(self, ctx: Context, made: _Made) -> None:
        self._current(ctx)
        if self._lease is None or self._inputs is None:
            raise Stale
        try:
            leases.check(ctx.tx, self.name, self._lease)
        except leases.LeaseLost:
            raise Stale from None
        self._inputs.hold(ctx, made.read.positions)
        state.put_pieces(ctx.tx, self._application.id, made.step.pieces)
        for part in self._application.outputs:
            rows = made.step.encoded.get(part["Name"], ())
            service, arn = configuration.target_of(part)
            if not rows:
                continue
            if service == "lambda":
                box = state.outbox(self._application.id, part["OutputId"])
                logs.append(ctx.tx, box, [entry for row in rows for entry in pieces.split(row)])
                continue
            ctx.ports.batch_sinks[service].send_all(ctx, arn, rows)

    def _hold(self, ctx: Context) -> bool:
        now = ctx.clock.now()
        if self._lease is None or self._lease.until - now < limits.LEASE_SECONDS / 2:
            self._lease = ctx.transact(
                lambda inner: leases.take(inner.tx, self.name, self._owner, inner.clock.now(), limits.LEASE_SECONDS)
            )
            if self._lease is None:
                self._reset()
        return self._lease is not None

    def _reset(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = self._inputs = self._made = self._begun = self._ahead = None

    def _count(self, ctx: Context, made: _Made) -> None:
        counts = self._counts
        counts["Records"] += made.read.taken
        counts["Bytes"] += made.read.size_bytes
        counts["Delivered"] += sum(len(rows) for rows in made.step.encoded.values())
        now = time.monotonic()
        if now - self._reported_at < limits.METRICS_EVERY_SECONDS:
            return
        self._reported_at = now
        flow_in, flow_out = (("Flow", "Input"),), (("Flow", "Output"),)
        reports.metrics(
            ctx,
            self._application,
            [
                Metric("KPUs", 1, "Count"),
                Metric("MillisBehindLatest", made.read.behind_ms, "Milliseconds", flow_in),
                Metric("Records", counts["Records"], "Count", flow_in),
                Metric("Bytes", counts["Bytes"], "Bytes", flow_in),
                Metric("Records", counts["Delivered"], "Count", flow_out),
            ],
        )
        self._counts = dict.fromkeys(counts, 0.0)
