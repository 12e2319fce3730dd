"""Whose turn it is: work on the stacks for which there is something to do, a bounded piece at a time.

A lease decides which process works on a stack. Within a process several threads do: `_Desk` remembers who has which stack, and
when a stack that waits for something wants to be looked at again.
"""

import threading
import time
import uuid

from headrace.layers import lease as leases
from headrace.operation import Context
from headrace.ports import Principal
from headrace.services.cloudformation import job as jobs
from headrace.services.cloudformation import limits, pending, provision, removal

PHASES = {
    "CREATE_IN_PROGRESS": provision.advance,
    "UPDATE_IN_PROGRESS": provision.advance,
    "ROLLBACK_IN_PROGRESS": removal.remove_all,
    "DELETE_IN_PROGRESS": removal.remove_all,
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": removal.clean_up,
    "UPDATE_ROLLBACK_IN_PROGRESS": removal.roll_back,
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": removal.clean_up,
}
_Key = tuple[str, str, str]


class _Desk:
    """Which stacks this process works on, and when it wants to look at the others again."""

    def __init__(self) -> None:
        self.owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._busy: set[_Key] = set()
        self._due: dict[_Key, float] = {}

    def pick(self, keys: list[_Key]) -> tuple[_Key | None, float | None]:
        """(a stack to work on now, or None; then the seconds until one wants to be looked at)."""
        with self._lock:
            now = time.monotonic()
            self._due = {key: due for key, due in self._due.items() if key in keys}
            free = sorted((self._due.get(key, 0.0), key) for key in keys if key not in self._busy)
            if not free:
                return None, None
            due, key = free[0]
            if due > now:
                return None, due - now
            self._busy.add(key)
            return key, None

    def put_back(self, key: _Key, wait: float) -> None:
        """Let a stack be looked at again after some seconds."""
        with self._lock:
            self._busy.discard(key)
            self._due[key] = time.monotonic() + wait


_desk = _Desk()


def take(ctx: Context, keys: list[_Key]) -> float | None:
    """Take one of the stacks that have something to do, and do a bounded piece of it."""
    key, wait = _desk.pick(keys)
    if key is None:
        return wait
    wait = limits.POLL_SLOW_SECONDS
    try:
        wait = _work_on(ctx, *key)
    finally:
        _desk.put_back(key, wait)
    return 0.0


def _work_on(ctx: Context, account: str, region: str, stack_id: str) -> float:
    ctx = ctx.at(account, region, Principal(f"arn:aws:iam::{account}:root", account, account))
    name, now = f"cloudformation {stack_id}", ctx.clock.now()
    lease = ctx.transact(lambda inner: leases.take(inner.tx, name, _desk.owner, now, limits.LEASE_SECONDS))
    if lease is None:
        return limits.POLL_SLOW_SECONDS
    try:
        return _steps(ctx, name, lease, stack_id)
    except jobs.Changed:
        return 0.0
    except leases.LeaseLost:
        return limits.POLL_SLOW_SECONDS


def _steps(ctx: Context, name: str, lease: leases.Lease, stack_id: str) -> float:
    job = jobs.load(ctx, name, lease, stack_id)
    phase = None if job is None else PHASES.get(job.stack.status)
    if job is None or phase is None:
        ctx.transact(lambda inner: pending.WORK.delete(inner.tx, inner.account, inner.region, stack_id))
        return 0.0
    for _ in range(limits.STEPS_PER_TURN):
        job.renew()
        wait = phase(job)
        if wait:
            return wait
    return 0.0
