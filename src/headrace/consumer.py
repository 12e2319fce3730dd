"""The consumer: reads a stream's shards, hands batches to a handler, and keeps its place. Written once.

Event source mappings, Firehose sources and Analytics inputs are all this consumer over a `RecordSource`. Of each subscription
and shard it keeps a checkpoint (position, attempts, the batch that fails) in the store; a lease decides which process reads,
and a checkpoint is only written under the lease. A batch is handled at least once: after a crash it is handled again.

Layout: ("consumer", subscription, shard) → `Checkpoint`.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, runtime_checkable
from zlib import crc32

import msgspec

from headrace.layers import lease as leases
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Principal, RecordSource, SourceRecord
from headrace.workers import Runner, Worker

LEASE_SECONDS = 30.0
LOOK_FOR_SHARDS_SECONDS = 1.0
RETRY_WAIT_MIN_SECONDS = 0.1
RETRY_WAIT_MAX_SECONDS = 60.0
NOT_NOW_WAIT_SECONDS = 0.05
READ_SIZE_MAX_BYTES = 6 << 20
PARALLEL_THREADS_MAX = 64

log = logging.getLogger(__name__)


class Subscription(msgspec.Struct, frozen=True):
    """One reader of one stream, and how it wants to be served.

    `attempts_max` and `age_max_seconds` are None for "until it works". With `bisect` a batch that fails is halved before it is
    tried again. `window_seconds`: wait so long for a batch to fill. `parallel`: hand over so many parts of a shard at once,
    each partition key always in the same part. With `fixed_batches` the extent of a batch is kept before it is handled, so that
    it is handled again with the same records after a crash, however many more have come: its `batch_id` is the same, too.
    With `watches_quiet` the handler is a `QuietHandler`. `reader`: the ARN of the role that reads, which events may name.
    """

    id: str
    account: str
    region: str
    source_arn: str
    start: str | float = "TRIM_HORIZON"
    batch_size_max: int = 100
    batch_size_max_bytes: int = READ_SIZE_MAX_BYTES
    window_seconds: float = 0.0
    parallel: int = 1
    attempts_max: int | None = None
    age_max_seconds: float | None = None
    bisect: bool = False
    fixed_batches: bool = False
    watches_quiet: bool = False
    reader: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a batch: all done; or failed, from `failed_from` (a sequence number) on or as a whole."""

    error: str | None = None
    failed_from: str | None = None


class NotNow(Exception):
    """Raised by a handler that can't take records at this moment: nothing is counted, and they are offered again soon."""


class Handler(Protocol):
    """What a subscription does with its records."""

    def handle(self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord]) -> Outcome:
        """Handle the records in order. An exception counts as a failure of the whole batch; NotNow as nothing."""

    def give_up(
        self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord], reason: str, attempts: int
    ) -> None:
        """Put records that will not be tried again where a person finds them.

        `reason` is RetryAttemptsExhausted or RecordAgeExceeded.
        """


@runtime_checkable
class QuietHandler(Protocol):
    """A handler that has something to do when nothing waits in a shard."""

    def quiet(self, ctx: Context, subscription: Subscription, shard_id: str, *, ended: bool) -> float | None:
        """All of the shard was handled; when it has `ended`, this comes before its children are read. In how many seconds to ask
        again; None: when there was something. NotNow: soon.
        """


class Checkpoint(msgspec.Struct, omit_defaults=True):
    """Where a shard's reader is. `sizes` are the sizes of the parts that a failing batch was cut into, the next one first."""

    position: str
    ended: bool = False
    attempts: int = 0
    sizes: list[int] = []
    error: str = ""


CHECKPOINTS = Records(("consumer",), Checkpoint)


class Consumer:
    """All readers of one kind: adds a worker to the runner for each shard of each subscription.

    `subscriptions(ctx)` lists who wants to read now; it is asked every second, and whenever one of `topics` is announced.
    """

    def __init__(
        self,
        name: str,
        subscriptions: Callable[[Context], Iterable[Subscription]],
        handler: Handler,
        *,
        topics: tuple[bytes, ...] = (),
    ) -> None:
        self._name = name
        self._subscriptions = subscriptions
        self._handler = handler
        self._topics = topics
        self._readers: dict[str, _Reader] = {}
        self._owner = ""
        self._pool = ThreadPoolExecutor(PARALLEL_THREADS_MAX, thread_name_prefix=name)

    def worker(self, runner: Runner) -> Worker:
        """The worker that finds subscriptions and shards, and starts and stops their readers."""

        def step(ctx: Context) -> float:
            self._look(ctx, runner)
            return LOOK_FOR_SHARDS_SECONDS

        return Worker(f"{self._name}", step, self._topics)

    def _look(self, ctx: Context, runner: Runner) -> None:
        # One owner for all readers: a subscription that was changed goes on at once, under the lease that is held already.
        self._owner = self._owner or leases.owner_here(ctx.ids.uuid())
        wanted: dict[str, tuple[Subscription, str, RecordSource]] = {}
        for subscription in self._subscriptions(ctx):
            source = ctx.ports.sources[subscription.source_arn.split(":", 3)[2]]
            for shard_id in self._open_shards(ctx, subscription, source):
                wanted[f"{self._name}/{subscription.id}/{shard_id}"] = (subscription, shard_id, source)
        for name in [
            name for name, reader in self._readers.items() if name not in wanted or wanted[name][0] != reader.subscription
        ]:
            self._readers.pop(name).retire(replaced=name in wanted)
            runner.remove(name)
        for name, (subscription, shard_id, source) in wanted.items():
            if name not in self._readers:
                reader = self._readers[name] = _Reader(
                    name, subscription, shard_id, source, self._handler, self._pool, self._owner
                )
                scope = at_source(ctx, subscription.source_arn)
                runner.add(Worker(name, reader.step, (source.topic(scope, subscription.source_arn, shard_id),)))

    def _open_shards(self, ctx: Context, subscription: Subscription, source: RecordSource) -> list[str]:
        """The shards that can be read now: not ended, and no parent that is still to be read."""
        scope = at_source(ctx, subscription.source_arn)
        try:
            shards = scope.snapshot(lambda inner: source.shards(inner, subscription.source_arn))
        except LookupError:
            return []
        ended = {
            shard.shard_id
            for shard in shards
            if (found := ctx.snapshot(lambda inner, s=shard.shard_id: CHECKPOINTS.get(inner.tx, subscription.id, s)))  # type: ignore[misc]
            is not None
            and found.ended
        }
        present = {shard.shard_id for shard in shards}
        return [
            shard.shard_id
            for shard in shards
            if shard.shard_id not in ended and not any(parent in present and parent not in ended for parent in shard.parents)
        ]


def at_source(ctx: Context, source_arn: str, reader: str = "") -> Context:
    """The context in which a stream is read: that of its own account. Who subscribes has seen to it that he may."""
    _, _, _, region, account, _ = source_arn.split(":", 5)
    return ctx.at(account, region, Principal(reader, "", reader.split(":", 5)[4]) if reader else None)


def batch_id(subscription: Subscription, shard_id: str, records: Sequence[SourceRecord]) -> str:
    """24 hexadecimal digits that are the same whenever the same records are handled for the same subscription."""
    extent = (subscription.id, shard_id, records[0].sequence_number, records[-1].sequence_number, str(len(records)))
    return hashlib.sha256("\n".join(extent).encode()).hexdigest()[:24]


class Backlog(NamedTuple):
    """What a subscription has not done: when its oldest record came (None: nothing waits), and what went wrong with it."""

    since: float | None = None
    problem: str = ""

    def behind_seconds(self, now: float) -> float:
        """How long the oldest record has waited."""
        return 0.0 if self.since is None else max(0.0, now - self.since)


def backlog(ctx: Context, subscription: Subscription) -> Backlog:
    """What a subscription has still to do, on one consistent view."""
    scope = at_source(ctx, subscription.source_arn)
    source = ctx.ports.sources[subscription.source_arn.split(":", 3)[2]]

    def body(inner: Context) -> Backlog:
        since: list[float] = []
        problem = ""
        for key, checkpoint in CHECKPOINTS.scan(inner.tx, subscription.id):
            if checkpoint.ended:
                continue
            problem = checkpoint.error or problem
            try:
                batch = source.read(inner, subscription.source_arn, str(key[-1]), checkpoint.position, 1, READ_SIZE_MAX_BYTES)
            except LookupError:
                continue
            since += [record.arrived_at for record in batch.records]
        return Backlog(min(since, default=None), problem)

    return scope.snapshot(body)


def forget(ctx: Context, subscription_id: str) -> None:
    """Remove a subscription's checkpoints, in the running transaction."""
    CHECKPOINTS.delete_all(ctx.tx, subscription_id)


class _Reader:
    """Reads one shard for one subscription: one batch a step."""

    def __init__(
        self,
        name: str,
        subscription: Subscription,
        shard_id: str,
        source: RecordSource,
        handler: Handler,
        pool: ThreadPoolExecutor,
        owner: str,
    ) -> None:
        self.subscription = subscription
        self._name = name
        self._shard_id = shard_id
        self._source = source
        self._handler = handler
        self._pool = pool
        self._owner = owner
        self._lease: leases.Lease | None = None
        self._checkpoint: Checkpoint | None = None
        self._filling_since: float | None = None
        self._not_before = 0.0
        self._retired = False
        self._replaced = False

    def retire(self, *, replaced: bool) -> None:
        """Begin no further batch. One under way is still noted as done, unless another reader takes this one's place."""
        self._retired = True
        self._replaced = replaced

    def step(self, ctx: Context) -> float | None:
        """Read one batch and have it handled."""
        if self._retired:
            return None
        ctx = ctx.at(self.subscription.account, self.subscription.region)
        checkpoint = self._hold(ctx)
        if checkpoint is None:
            return LEASE_SECONDS / 3
        if checkpoint.ended:
            return None
        # New records wake this reader, but a batch that failed waits its time.
        if (wait := self._not_before - ctx.clock.now()) > 0:
            return wait
        wanted = self.subscription
        limit = checkpoint.sizes[0] if checkpoint.sizes else wanted.batch_size_max
        position = checkpoint.position
        batch = ctx.snapshot(
            lambda inner: self._source.read(
                at_source(inner, wanted.source_arn, wanted.reader),
                wanted.source_arn,
                self._shard_id,
                position,
                limit,
                wanted.batch_size_max_bytes,
            )
        )
        records = batch.records
        if not records:
            again: float | None = None
            if wanted.watches_quiet and isinstance(self._handler, QuietHandler):
                try:
                    again = self._handler.quiet(ctx, wanted, self._shard_id, ended=batch.ended)
                except NotNow:
                    return NOT_NOW_WAIT_SECONDS
            if batch.ended or batch.position != checkpoint.position:
                self._save(ctx, Checkpoint(batch.position, ended=batch.ended))
                return 0.0
            return again
        now = ctx.clock.now()
        wait = self._window_left(len(records), limit, now)
        if wait > 0 and not batch.ended and not checkpoint.attempts:
            return wait
        self._filling_since = None
        expired = [r for r in records if wanted.age_max_seconds is not None and now - r.arrived_at > wanted.age_max_seconds]
        if expired:
            self._handler.give_up(ctx, wanted, self._shard_id, expired, "RecordAgeExceeded", checkpoint.attempts)
            self._advance(ctx, checkpoint, len(expired), expired[-1].sequence_number, records, batch.position)
            return 0.0
        if wanted.fixed_batches and not checkpoint.sizes:
            checkpoint = Checkpoint(checkpoint.position, attempts=checkpoint.attempts, sizes=[len(records)])
            self._save(ctx, checkpoint)
        try:
            outcome = self._handle(ctx, records)
        except NotNow:
            return NOT_NOW_WAIT_SECONDS
        if outcome.error is None:
            self._advance(ctx, checkpoint, len(records), records[-1].sequence_number, records, batch.position)
            return 0.0
        return self._failed(ctx, checkpoint, records, outcome, batch.position)

    def _hold(self, ctx: Context) -> Checkpoint | None:
        """Take or renew the lease; the checkpoint while it is ours."""
        now = ctx.clock.now()
        if self._lease is not None and self._checkpoint is not None and self._lease.until - now > LEASE_SECONDS / 2:
            return self._checkpoint

        def body(inner: Context) -> tuple[leases.Lease | None, Checkpoint | None]:
            lease = leases.take(inner.tx, self._name, self._owner, inner.clock.now(), LEASE_SECONDS)
            if lease is None:
                return None, None
            found = CHECKPOINTS.get(inner.tx, self.subscription.id, self._shard_id)
            if found is None:
                wanted = self.subscription
                # What came into a child before anybody looked follows on what was read of its parents, so nothing is left out.
                start = "TRIM_HORIZON" if self._goes_on(inner) else wanted.start
                scope = at_source(inner, wanted.source_arn)
                found = Checkpoint(self._source.start(scope, wanted.source_arn, self._shard_id, start))
                CHECKPOINTS.put(inner.tx, found, wanted.id, self._shard_id)
            return lease, found

        self._lease, self._checkpoint = ctx.transact(body)
        return self._checkpoint

    def _goes_on(self, ctx: Context) -> bool:
        """Whether the shard is the child of one that was read for this subscription."""
        shards = self._source.shards(at_source(ctx, self.subscription.source_arn), self.subscription.source_arn)
        parents = next((shard.parents for shard in shards if shard.shard_id == self._shard_id), ())
        return any(CHECKPOINTS.get(ctx.tx, self.subscription.id, parent) is not None for parent in parents)

    def _save(self, ctx: Context, checkpoint: Checkpoint) -> None:
        lease = self._lease
        if self._replaced or lease is None:
            return

        def body(inner: Context) -> None:
            if self._replaced:
                raise leases.LeaseLost(self._name)
            leases.check(inner.tx, self._name, lease)
            if self._retired and CHECKPOINTS.get(inner.tx, self.subscription.id, self._shard_id) is None:
                return  # it was forgotten with its subscription
            CHECKPOINTS.put(inner.tx, checkpoint, self.subscription.id, self._shard_id)

        try:
            ctx.transact(body)
        except leases.LeaseLost:
            self._lease = self._checkpoint = None
            return
        self._checkpoint = checkpoint

    def _window_left(self, count: int, limit: int, now: float) -> float:
        """Seconds that are left for the batch to fill; 0 when it is full, or has waited long enough."""
        if not self.subscription.window_seconds or count >= limit:
            return 0.0
        if self._filling_since is None:
            self._filling_since = now
        return max(0.0, self._filling_since + self.subscription.window_seconds - now)

    def _handle(self, ctx: Context, records: Sequence[SourceRecord]) -> Outcome:
        parts = self._parts(records)
        if len(parts) == 1:
            return self._handle_part(ctx, records)
        outcomes = list(self._pool.map(lambda part: self._handle_part(ctx, part), parts))
        failures = [(outcome, part) for outcome, part in zip(outcomes, parts, strict=True) if outcome.error is not None]
        if not failures:
            return Outcome()
        # All before the earliest failure is done; what follows it is handled again.
        place = {record.sequence_number: number for number, record in enumerate(records)}
        earliest = min(
            (outcome.failed_from or part[0].sequence_number for outcome, part in failures), key=lambda number: place[number]
        )
        return Outcome(failures[0][0].error, earliest)

    def _parts(self, records: Sequence[SourceRecord]) -> list[Sequence[SourceRecord]]:
        if self.subscription.parallel == 1:
            return [records]
        parts: dict[int, list[SourceRecord]] = {}
        for record in records:
            parts.setdefault(crc32(record.partition_key.encode()) % self.subscription.parallel, []).append(record)
        return list(parts.values())

    def _handle_part(self, ctx: Context, records: Sequence[SourceRecord]) -> Outcome:
        try:
            return self._handler.handle(ctx, self.subscription, self._shard_id, records)
        except NotNow:
            raise
        except Exception as error:
            log.warning("%s: a batch failed: %s", self._name, error, exc_info=log.isEnabledFor(logging.DEBUG))
            return Outcome(f"{type(error).__name__}: {error}")

    def _advance(
        self, ctx: Context, checkpoint: Checkpoint, count: int, last: str, records: Sequence[SourceRecord], after: str
    ) -> None:
        """Go on behind the first `count` records of those that were read."""
        sizes = list(checkpoint.sizes)
        if sizes:
            sizes[0] -= count
            if sizes[0] <= 0:
                sizes.pop(0)
        self._save(ctx, Checkpoint(after if count == len(records) else last, sizes=sizes))

    def _failed(
        self, ctx: Context, checkpoint: Checkpoint, records: Sequence[SourceRecord], outcome: Outcome, after: str
    ) -> float:
        """Skip what was done, then try the rest again, cut it in two, or give it up."""
        wanted = self.subscription
        done = next((n for n, r in enumerate(records) if r.sequence_number == outcome.failed_from), 0)
        left = records[done:]
        position = records[done - 1].sequence_number if done else checkpoint.position
        attempts = 1 if done else checkpoint.attempts + 1
        rest = checkpoint.sizes[1:]
        if wanted.bisect and len(left) > 1:
            # As on AWS, halving a batch does not count as an attempt.
            half = len(left) // 2
            sizes, attempts = [half, len(left) - half, *rest], 0
        elif wanted.attempts_max is not None and attempts > wanted.attempts_max:
            self._handler.give_up(ctx, wanted, self._shard_id, left, "RetryAttemptsExhausted", attempts)
            self._advance(ctx, checkpoint, len(records), records[-1].sequence_number, records, after)
            return 0.0
        else:
            sizes = [len(left), *rest]
        self._save(ctx, Checkpoint(position, attempts=attempts, sizes=sizes, error=(outcome.error or "")[:1000]))
        wait = 0.0 if not attempts else min(RETRY_WAIT_MIN_SECONDS * 2 ** (attempts - 1), RETRY_WAIT_MAX_SECONDS)
        self._not_before = ctx.clock.now() + wait
        return wait
