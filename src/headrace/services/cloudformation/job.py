"""A stack while it is being worked on: what was read of it, and how a piece of work is written down.

Each step is committed before the next one begins, under a lease that fences off whoever held it before: after a crash at any
instant the work goes on where it was.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.kit.errors import AwsError, ServiceUnavailable
from headrace.layers import lease as leases
from headrace.operation import Context
from headrace.services.cloudformation import evaluation, limits, state
from headrace.services.cloudformation.engine.evaluate import Environment
from headrace.services.cloudformation.resources.fit import fit
from headrace.services.cloudformation.resources.kind import Gone, ResourceFailed, is_missing, is_taken
from headrace.services.cloudformation.resources.table import KINDS
from headrace.store.api import StoreUnavailable

log = logging.getLogger(__name__)


class Changed(Exception):
    """The stack was told to do something else in the meantime: look again."""


class StackCall:
    """Calls services on a stack's behalf: the `Call` of resource types."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.account = ctx.account
        self.region = ctx.region

    def __call__(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation, its parameters made to fit."""
        return self._ctx.ports.api.call(self._ctx, service, operation, fit(service, operation, parameters))


@dataclass
class Job:
    """A stack, its resources and the lease under which it is worked on. `used` are the exports that its template asked for."""

    ctx: Context
    lease_name: str
    lease: leases.Lease
    stack: state.Stack
    rows: dict[str, state.Resource]
    template: dict[str, Any] = field(default_factory=dict)
    environment: Environment | None = None
    used: set[str] = field(default_factory=set)

    @property
    def call(self) -> StackCall:
        """How resource types call services."""
        return StackCall(self.ctx)

    def commit(self, body: Callable[[Context, state.Stack], None], *, result: bool = False) -> None:
        """Write down a step. `result`: what a call gave, which is kept even when the stack was told to do something else."""

        def run(inner: Context) -> state.Stack:
            leases.check(inner.tx, self.lease_name, self.lease)
            row = state.STACKS.get(inner.tx, inner.account, inner.region, self.stack.stack_id)
            if row is None or (not result and (row.operation, row.status) != (self.stack.operation, self.stack.status)):
                raise Changed(self.stack.stack_id)
            body(inner, row)
            state.put(inner, row)
            return row

        row = self.ctx.transact(run)
        if (row.operation, row.status) != (self.stack.operation, self.stack.status):
            raise Changed(self.stack.stack_id)
        self.stack = row

    def renew(self) -> None:
        """Keep the lease while the work goes on."""
        now = self.ctx.clock.now()
        if self.lease.until - now < limits.LEASE_SECONDS / 2:
            owner, name = self.lease.owner, self.lease_name
            taken = self.ctx.transact(lambda inner: leases.take(inner.tx, name, owner, now, limits.LEASE_SECONDS))
            if taken is None:
                raise leases.LeaseLost(name)
            self.lease = taken

    def note(self, row: state.Resource, status: str, reason: str | None = None, *, result: bool = False) -> None:
        """Give a resource a status, tell of it, and write the resource down."""

        def body(inner: Context, stack: state.Stack) -> None:
            row.status, row.reason, row.updated_at = status, reason, inner.clock.now()
            state.put_resource(inner, stack, row)
            state.add_event(inner, stack, row, status, reason)

        self.rows[row.name] = row
        self.commit(body, result=result)

    def keep(self, row: state.Resource) -> None:
        """Write a resource down without telling of it."""
        self.rows[row.name] = row
        self.commit(lambda inner, stack: state.put_resource(inner, stack, row), result=True)


def load(ctx: Context, lease_name: str, lease: leases.Lease, stack_id: str) -> Job | None:
    """Read a stack for work; None when there is no such stack."""

    def body(inner: Context) -> tuple[state.Stack | None, dict[str, state.Resource]]:
        row = state.STACKS.get(inner.tx, inner.account, inner.region, stack_id)
        return row, state.resources(inner, stack_id) if row is not None else {}

    row, rows = ctx.snapshot(body)
    if row is None:
        return None
    job = Job(ctx, lease_name, lease, row, rows)
    if row.wanted is not None:
        job.template, transforms = evaluation.load(ctx, row, row.wanted)
        job.environment = evaluation.environment(
            job.template, row, row.wanted, evaluation.existing(job.rows), evaluation.exported(ctx, job.used), transforms
        )
    return job


def failure(error: Exception, kind: str, name: str) -> str:
    """Why a resource failed, as its event says it. What may pass when it is tried again is raised again."""
    if isinstance(error, ServiceUnavailable | StoreUnavailable | leases.LeaseLost | Changed):
        raise error
    if isinstance(error, AwsError):
        if is_taken(error):
            return f"{error.message} (HandlerErrorCode: AlreadyExists)"
        code = "NotFound" if is_missing(error) else "GeneralServiceException" if error.status >= 500 else "InvalidRequest"
        return f'Resource handler returned message: "{error.message}" (HandlerErrorCode: {code})'
    if isinstance(error, ResourceFailed):
        return str(error)
    log.error("resource %s (%s) failed", name, kind, exc_info=error)
    return f"Internal failure: {type(error).__name__}. The server's log has more. (HandlerErrorCode: InternalFailure)"


def is_there(job: Job, kind: str, physical_id: str, properties: Mapping[str, Any]) -> bool:
    """Whether a resource is there."""
    try:
        KINDS[kind].read(job.call, physical_id, properties)
    except Gone:
        return False
    except AwsError as error:
        if is_missing(error):
            return False
        raise
    return True
