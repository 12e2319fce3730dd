"""The delivery protocol: each record reaches the destination, and a Redshift table exactly once, whatever dies when.

    1. fix     one transaction: take the lease, close the batch if its time is up, write the Delivery row. From here on the
               batch's range, its object keys and its manifest id are fixed.
    2. carry   transform, stage to the fixed keys, COPY with the fixed manifest id.
    3. finish  one transaction: under the lease, trim the buffer and remove the Delivery row; and fix the next batch.

A process that dies in between leaves the Delivery row. Whoever takes the lease then carries the same batch out again: the same
objects are written over, and the warehouse knows the manifest id and adds nothing. A batch whose trimming takes several
transactions is marked `delivered` in the first of them, so a half-trimmed one is never delivered again.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from headrace.layers import lease as leases
from headrace.layers import log
from headrace.operation import Context
from headrace.services.firehose import buffer, carry, limits, state

_DELIVERIES_PER_STEP = 50

logger = logging.getLogger(__name__)


class Fixed(NamedTuple):
    """A delivery that this process holds."""

    stream: state.DeliveryStream
    lease: leases.Lease
    delivery: state.Delivery


@contextlib.contextmanager
def _renewed(renew: Callable[[], None]) -> Iterator[None]:
    """Renew a lease from time to time while a batch is carried: a slow COPY or function is no reason to begin anew elsewhere."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            try:
                renew()
            except Exception:
                logger.warning("a lease could not be renewed", exc_info=True)
            over.wait(limits.LEASE_SECONDS / 3)

    first = threading.Timer(limits.LEASE_SECONDS / 3, run)
    first.daemon = True
    first.start()
    try:
        yield
    finally:
        over.set()
        first.cancel()


class Deliverer:
    """Delivers the batches of one delivery stream, in order. `step` is a worker's step."""

    def __init__(self, stream_id: str, of: state.Pending, owner: str) -> None:
        self._id = stream_id
        self._of = of
        self._owner = owner
        self._lease_name = f"firehose/{stream_id}"

    def step(self, ctx: Context) -> float | None:
        """Deliver what is due; seconds until the next batch is."""
        ctx = ctx.at(self._of.account, self._of.region)
        wait = ctx.snapshot(self._wait)
        if wait is None or wait > 0:
            return wait
        fixed = ctx.transact(self._fix)
        for _ in range(_DELIVERIES_PER_STEP):
            if fixed is None:
                return None
            if (wait := fixed.delivery.not_before - ctx.clock.now()) > 0:
                return wait
            held = fixed
            try:
                self._carry(ctx, held)
                fixed = self._finish(ctx, held)
            except leases.LeaseLost:
                return limits.LOOK_AGAIN_SECONDS
            except carry.DeliveryFailed as error:
                return self._failed(ctx, held, error)
        return 0.0

    def _wait(self, ctx: Context) -> float | None:
        """Seconds until something is to be done: 0 now, None when the buffer is empty. Looks without writing."""
        stream = self._stream(ctx)
        if stream is None:
            return None
        delivery = state.DELIVERIES.get(ctx.tx, self._id)
        if delivery is not None:
            return max(0.0, delivery.not_before - ctx.clock.now())
        if buffer.closed(ctx.tx, self._id) is not None:
            return 0.0
        gauge = buffer.gauge(ctx.tx, self._id)
        if gauge is None:
            return None
        return max(0.0, gauge.oldest_ms / 1000 + stream.destination.interval_seconds - ctx.clock.now())

    def _fix(self, ctx: Context) -> Fixed | None:
        """Step 1. None when there is nothing to do, or another process does it."""
        stream = self._stream(ctx)
        if stream is None:
            return None
        lease = leases.take(ctx.tx, self._lease_name, self._owner, ctx.clock.now(), limits.LEASE_SECONDS)
        if lease is None:
            return None
        delivery = state.DELIVERIES.get(ctx.tx, self._id) or self._begin(ctx, stream)
        if delivery is None:
            leases.release(ctx.tx, self._lease_name, self._owner)
            return None
        return Fixed(stream, lease, delivery)

    def _begin(self, ctx: Context, stream: state.DeliveryStream) -> state.Delivery | None:
        batch = buffer.closed(ctx.tx, self._id)
        gauge = buffer.gauge(ctx.tx, self._id)
        if batch is None and gauge is not None and self._wait(ctx) == 0:
            batch = buffer.close(ctx.tx, stream, gauge, log.last(ctx.tx, state.log_of(self._id)))
        if batch is None:
            return None
        state.BATCHES.delete(ctx.tx, self._id, batch.through)
        delivery = state.Delivery(batch, ctx.ids.uuid(), stream.version, stream.destination, ctx.clock.now())
        state.DELIVERIES.put(ctx.tx, delivery, self._id)
        return delivery

    def _carry(self, ctx: Context, fixed: Fixed) -> None:
        """Step 2."""
        if fixed.delivery.delivered:
            return

        def staged() -> None:
            """What was staged is what will be loaded, although a function might transform differently the next time."""
            self._update(ctx, fixed, msgspec.structs.replace(fixed.delivery, staged=True))

        with _renewed(lambda: self._renew(ctx)):
            carry.carry(ctx, fixed.stream, fixed.delivery, staged)

    def _renew(self, ctx: Context) -> None:
        ctx.transact(lambda inner: leases.take(inner.tx, self._lease_name, self._owner, inner.clock.now(), limits.LEASE_SECONDS))

    def _finish(self, ctx: Context, fixed: Fixed) -> Fixed | None:
        """Step 3; what was fixed next."""
        if ctx.snapshot(lambda inner: self._is_too_much(inner, fixed)):
            while ctx.transact(lambda inner: self._trim(inner, fixed)):
                pass
        return ctx.transact(lambda inner: self._end(inner, fixed))

    def _trim(self, ctx: Context, fixed: Fixed) -> bool:
        """Trim a piece of a batch that is too large for one transaction. False: the rest fits into the last one."""
        if not self._is_too_much(ctx, fixed):
            return False
        self._check(ctx, fixed)
        log.trim(ctx.tx, state.log_of(self._id), self._removable(ctx, fixed), limits.TRIM_ENTRIES_PER_TRANSACTION)
        state.DELIVERIES.put(ctx.tx, msgspec.structs.replace(fixed.delivery, delivered=True), self._id)
        return True

    def _is_too_much(self, ctx: Context, fixed: Fixed) -> bool:
        """Whether there is more to be removed than one transaction does: the batch, and what a reader held before it."""
        through = self._removable(ctx, fixed)
        oldest = log.first(ctx.tx, state.log_of(self._id)) or through
        return through - oldest >= limits.TRIM_ENTRIES_PER_TRANSACTION

    def _removable(self, ctx: Context, fixed: Fixed) -> int:
        return buffer.removable(ctx.tx, self._id, fixed.delivery.batch.through, ctx.clock.now())

    def _end(self, ctx: Context, fixed: Fixed) -> Fixed | None:
        stream = self._check(ctx, fixed)
        log.trim(ctx.tx, state.log_of(self._id), self._removable(ctx, fixed), limits.TRIM_ENTRIES_PER_TRANSACTION)
        state.DELIVERIES.delete(ctx.tx, self._id)
        buffer.unmark_full(ctx.tx, self._of.account, self._of.region, stream)
        if buffer.gauge(ctx.tx, self._id) is None and buffer.closed(ctx.tx, self._id) is None:
            state.PENDING.delete(ctx.tx, self._id)
        # When nothing more is due this gives the lease back, so that the process that gets the next record delivers it.
        return self._fix(ctx)

    def _failed(self, ctx: Context, fixed: Fixed, error: carry.DeliveryFailed) -> float:
        """Remember the failure and try again later; or give the load up when its time is over."""
        now = ctx.clock.now()
        stored = ctx.snapshot(lambda inner: state.DELIVERIES.get(inner.tx, self._id)) or fixed.delivery
        wait: float = min(limits.RETRY_FIRST_SECONDS * 2**stored.attempts, limits.RETRY_MAX_SECONDS)
        since = None
        if error.is_load:
            since = now if stored.failing_since is None else stored.failing_since
        carry.report_failure(ctx, fixed.stream, stored, error)
        try:
            if since is not None:
                left = since + carry.retry_seconds(stored) - now
                if left <= 0 and self._give_up(ctx, fixed, stored):
                    return 0.0
                wait = min(wait, left) if left > 0 else wait
            later = msgspec.structs.replace(
                stored,
                attempts=min(stored.attempts + 1, 20),
                failing_since=since,
                not_before=now + wait,
            )
            self._update(ctx, fixed, later)
        except leases.LeaseLost:
            return limits.LOOK_AGAIN_SECONDS
        return wait

    def _give_up(self, ctx: Context, fixed: Fixed, delivery: state.Delivery) -> bool:
        """Skip a batch whose load failed for too long. False when not even the manifest that names it could be written."""
        try:
            carry.give_up(ctx, fixed.stream, delivery)
        except carry.DeliveryFailed as error:
            carry.report_failure(ctx, fixed.stream, delivery, error)
            return False
        self._finish(ctx, fixed)
        return True

    def _update(self, ctx: Context, fixed: Fixed, delivery: state.Delivery) -> None:
        def body(inner: Context) -> None:
            self._check(inner, fixed)
            state.DELIVERIES.put(inner.tx, delivery, self._id)

        ctx.transact(body)

    def _check(self, ctx: Context, fixed: Fixed) -> state.DeliveryStream:
        """LeaseLost unless the delivery is still ours: the lease is held, and nobody finished or deleted it."""
        leases.check(ctx.tx, self._lease_name, fixed.lease)
        stream = self._stream(ctx)
        stored = state.DELIVERIES.get(ctx.tx, self._id)
        if stream is None or stored is None or stored.id != fixed.delivery.id:
            raise leases.LeaseLost(self._lease_name)
        return stream

    def _stream(self, ctx: Context) -> state.DeliveryStream | None:
        stream = state.STREAMS.get(ctx.tx, self._of.account, self._of.region, self._of.name)
        return stream if stream is not None and stream.id == self._id else None
