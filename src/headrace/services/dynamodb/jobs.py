"""Jobs: copies of tables that are made in the background, a bounded number of items at a time, while writes go on.

A job has three steps. It copies what is there, in order of the places. Then it undoes, the newest first, what was changed since
the moment that the copy is of: the table's history has the items as they were before. So the copy is of one moment, however long
it takes. Last it finishes, which depends on its kind (`finishers`). Where it stands is kept, so it goes on after a kill.
"""

from collections.abc import Callable, Sequence

import msgspec

from headrace.layers import lease as leases
from headrace.layers import log
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.services.dynamodb import history, items, limits, state
from headrace.services.dynamodb.engine import keys
from headrace.services.dynamodb.state import Table
from headrace.store.api import Transaction
from headrace.store.tuples import after_prefix

JOBS_TOPIC = b"dynamodb:jobs"
COPY, UNDO, FINISH = "copy", "undo", "finish"


class Job(msgspec.Struct, omit_defaults=True):
    """A copy that is being made.

    `subject` is the id of what the job makes (a backup, an export, an import), or the name of the table that is restored.
    `source` is the prefix of the items that are copied, none when nothing is. `history_id` and `since`: what has a larger number
    in this history is undone. The copy goes into the table `target`, or into the space of the number `space`.
    """

    number: int
    kind: str
    account: str
    region: str
    subject: str
    source: bytes = b""
    history_id: int = 0
    since: int = 0
    target: str = ""
    space: int = 0
    held: str = ""
    step: str = COPY
    after: bytes = b""
    undone: int = 0
    # Where the finisher stands.
    place: bytes = b""
    progress: list[int] = []


JOBS = Records(("dynamodb", "job"), Job)
# What ends a job, or does one more piece of its end: whether it is done.
Finisher = Callable[[Context, Job, leases.Lease], bool]


class Later(Exception):
    """A job's next piece has to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def begin(ctx: Context, job: Job) -> None:
    """Let the worker do a job, in the running transaction."""
    JOBS.put(ctx.tx, job, job.number)
    ctx.tx.announce(JOBS_TOPIC)


def hold(ctx: Context, name: str) -> tuple[int, int]:
    """Have a table's changes written down as long as a job needs them: (history id, number of the last change until now)."""
    row = state.own_row(ctx, name)
    if not row.history_id:
        row.history_id = state.next_number(ctx.tx)
    row.holds += 1
    state.TABLES.put(ctx.tx, row, ctx.account, ctx.region, name)
    return row.history_id, log.last(ctx.tx, history.log_of(row.history_id))


def release(ctx: Context, name: str) -> None:
    """The opposite of `hold`."""
    row = state.TABLES.get(ctx.tx, ctx.account, ctx.region, name)
    if row is None or not row.holds:
        return
    row.holds -= 1
    if not row.holds and not row.recovery_days and row.history_id:
        state.doom(ctx.tx, [history.log_of(row.history_id)])
        row.history_id = 0
    state.TABLES.put(ctx.tx, row, ctx.account, ctx.region, name)


def lease_of(job: Job) -> str:
    """The name of a job's lease."""
    return f"dynamodb.job/{job.number}"


class Runner:
    """The worker's step: one piece of each job. `owner` tells this process's leases from others'."""

    def __init__(self, finishers: dict[str, Finisher]) -> None:
        self._finishers = finishers
        self._owner = ""

    def step(self, ctx: Context) -> float | None:
        """Do a piece of every job; at once again while there are some."""
        self._owner = self._owner or leases.owner_here(ctx.ids.uuid())
        found = ctx.snapshot(lambda inner: [job for _, job in JOBS.scan(inner.tx)])
        waits = [self._piece(ctx.at(job.account, job.region), job) for job in found]
        return min((wait for wait in waits if wait is not None), default=None)

    def _piece(self, ctx: Context, job: Job) -> float | None:
        """The seconds until the job's next piece; None when another process does the job."""
        lease = ctx.transact(
            lambda inner: leases.take(inner.tx, lease_of(job), self._owner, inner.clock.now(), limits.JOB_LEASE_SECONDS)
        )
        if lease is None:
            return None
        try:
            if job.step == COPY:
                _copy(ctx, job, lease)
            elif job.step == UNDO:
                _undo(ctx, job, lease)
            elif self._finishers[job.kind](ctx, job, lease):
                ctx.transact(lambda inner: _end(inner, job, lease))
        except Later as later:
            return later.seconds
        except leases.LeaseLost:
            return None
        return 0.0


def save(ctx: Context, job: Job, lease: leases.Lease) -> None:
    """Keep where a job stands, in the running transaction, and renew the lease. LeaseLost when another process does the job."""
    leases.check(ctx.tx, lease_of(job), lease)
    leases.take(ctx.tx, lease_of(job), lease.owner, ctx.clock.now(), limits.JOB_LEASE_SECONDS)
    JOBS.put(ctx.tx, job, job.number)


def _end(ctx: Context, job: Job, lease: leases.Lease) -> None:
    leases.check(ctx.tx, lease_of(job), lease)
    if job.held:
        release(ctx, job.held)
    JOBS.delete(ctx.tx, job.number)


def _copy(ctx: Context, job: Job, lease: leases.Lease) -> None:
    found = ctx.snapshot(lambda inner: _items(inner, job.source, job.after)) if job.source else []
    ended = sum(len(stored) for _, stored in found) < limits.JOB_SIZE_PER_STEP_BYTES and len(found) < limits.JOB_ITEMS_PER_STEP

    def body(inner: Context) -> None:
        moved = msgspec.structs.replace(job, after=found[-1][0] if found else job.after)
        _put(inner, moved, found)
        if ended:
            moved.step = UNDO
            if moved.history_id:
                # Nothing is copied any more: what is changed from now on does not matter.
                moved.undone = log.last(inner.tx, history.log_of(moved.history_id)) + 1
            else:
                moved.step = FINISH
        save(inner, moved, lease)

    ctx.transact(body)


def _items(ctx: Context, source: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
    first = source + after + b"\x00" if after else source
    found: list[tuple[bytes, bytes]] = []
    size_bytes = 0
    for key, stored in ctx.tx.range(first, after_prefix(source), limit=limits.JOB_ITEMS_PER_STEP):
        found.append((key[len(source) :], stored))
        size_bytes += len(stored)
        if size_bytes >= limits.JOB_SIZE_PER_STEP_BYTES:
            break
    return found


def _undo(ctx: Context, job: Job, lease: leases.Lease) -> None:
    past = history.log_of(job.history_id)
    entries = ctx.snapshot(
        lambda inner: history.backwards(inner.tx, past, job.undone, job.since, limits.HISTORY_RECORDS_PER_STEP)
    )

    def body(inner: Context) -> None:
        moved = msgspec.structs.replace(job, undone=entries[-1][0] if entries else job.undone)
        _put(inner, moved, [(entry.place, entry.old) for _, entry in entries])
        if len(entries) < limits.HISTORY_RECORDS_PER_STEP:
            moved.step = FINISH
        save(inner, moved, lease)

    ctx.transact(body)


def _put(ctx: Context, job: Job, found: Sequence[tuple[bytes, bytes | None]]) -> None:
    """Put items (None: none) at places of the job's table or space."""
    if job.space:
        put_in_space(ctx.tx, state.space_of(job.space), found)
        return
    table = state.find(ctx, job.target)
    assert table is not None
    for place, stored in found:
        put_in_table(ctx, table, place, stored)


def put_in_space(tx: Transaction, space: bytes, found: Sequence[tuple[bytes, bytes | None]]) -> None:
    """Put items (None: none) at places of a space."""
    for place, stored in found:
        if stored is None:
            tx.clear(space + place)
        else:
            tx.set(space + place, stored)


def put_in_table(ctx: Context, table: Table, place: bytes, stored: bytes | None) -> None:
    """Put an item (None: none) at a place of a table that is being made."""
    old = ctx.tx.get(table.prefix + place)
    if stored is None:
        if old is not None:
            items.write(ctx.tx, table, place, old, None, keys.key_of(table.schema, items.decode(old)), ctx.clock.now_ms())
        return
    items.write(ctx.tx, table, place, old, stored, items.decode(stored), ctx.clock.now_ms())
