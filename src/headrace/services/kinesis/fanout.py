"""Enhanced fan-out: pushes a shard's records to those who subscribed, on the event loop, without a thread for each.

All subscribers of a shard share its `Tail`. A commit that appends to the shard wakes it (the log's topic), and it wakes those who
wait. The first of them reads the new records and makes them an event; the others, who stand at the same place, take the same
event, which keeps its bytes. A subscriber has one event on its way at a time and reads the next one only when that was taken: a
slow reader falls behind on the log, and holds no more memory than one event.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

from headrace.kit.clock import Clock
from headrace.layers import log
from headrace.services.kinesis import errors, fanout_state, limits, rules, shapes, state
from headrace.store.api import ReadTransaction, Store
from headrace.wire.eventstream import SharedEvent

EVENT = "SubscribeToShardEvent"


class Batch(NamedTuple):
    """What lies behind a place of a shard: an event (None: nothing new), the place behind that, and what follows there."""

    event: SharedEvent | None
    after: int
    more: bool
    ended: bool
    made_at: float
    size_bytes: int


class Subscription(NamedTuple):
    """A consumer's subscription to one shard, as the transaction that began it saw it."""

    id: str
    stream: state.Stream
    consumer: fanout_state.Consumer
    shard: state.Shard
    account: str
    after: int
    began_at: float


class Fanout:
    """All subscriptions of this process."""

    def __init__(self) -> None:
        self._tails: dict[bytes, Tail] = {}
        self._ticking: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.shared = Shared()

    async def events(self, store: Store, clock: Clock, subscription: Subscription) -> AsyncGenerator[dict[str, Any]]:
        """The events of a subscription, until five minutes are over, the shard ends, or it is taken away."""
        tail = self._join(store, clock, subscription)
        after, look_at_claim = subscription.after, tail.claims
        try:
            while clock.now() < subscription.began_at + limits.SUBSCRIPTION_SECONDS:
                if look_at_claim != tail.claims:
                    look_at_claim = tail.claims
                    store.snapshot(lambda tx: check_claim(tx, subscription))
                batch = tail.read(after)
                if batch.event is None:
                    if await tail.wait():
                        continue
                    # Nothing came for a while: say where we are. It may be that another process took over.
                    store.snapshot(lambda tx: check_claim(tx, subscription))
                    batch = tail.read(after)
                    yield tail.heartbeat(after) if batch.event is None else batch.event
                else:
                    yield batch.event
                    if batch.more:
                        # Whoever catches up lets others have the loop.
                        await asyncio.sleep(0)
                after = batch.after
                if batch.ended:
                    return
        finally:
            tail.leave()

    def _join(self, store: Store, clock: Clock, subscription: Subscription) -> "Tail":
        shard_log = state.log_of(subscription.stream, subscription.shard.number)
        tail = self._tails.get(shard_log)
        if tail is None:
            self._loop = asyncio.get_running_loop()
            tail = self._tails[shard_log] = Tail(self, store, clock, subscription, self._loop)
            if self._ticking is None:
                self._tick()
        tail.subscribers += 1
        return tail

    def forget(self, shard_log: bytes) -> None:
        """Nobody follows the shard any more."""
        self._tails.pop(shard_log, None)

    def _tick(self) -> None:
        """Let those who waited long enough have a heartbeat: one timer for all of them."""
        assert self._loop is not None
        if not self._tails:
            self._ticking = None
            return
        now = self._loop.time()
        for tail in self._tails.values():
            tail.end_waits(now)
        self.shared.forget(now - limits.SHARED_BATCH_SECONDS)
        self._ticking = self._loop.call_later(limits.HEARTBEAT_LOOK_SECONDS, self._tick)


class Shared:
    """The batches that several subscribers may still want, newest last: a bounded number of bytes for all shards."""

    def __init__(self) -> None:
        self._batches: OrderedDict[tuple[bytes, int], Batch] = OrderedDict()
        self._size_bytes = 0

    def get(self, shard_log: bytes, after: int, oldest: float) -> Batch | None:
        """The batch behind a place, if it was made at `oldest` or later: what it says of the shard's end is true for a moment."""
        found = self._batches.get((shard_log, after))
        return found if found is not None and found.made_at >= oldest else None

    def put(self, shard_log: bytes, after: int, batch: Batch) -> None:
        """Keep a batch, and let go of the oldest ones that are too many."""
        key = (shard_log, after)
        old = self._batches.pop(key, None)
        self._size_bytes += batch.size_bytes - (0 if old is None else old.size_bytes)
        self._batches[key] = batch
        while self._size_bytes > limits.SHARED_SIZE_MAX_BYTES:
            self._size_bytes -= self._batches.popitem(last=False)[1].size_bytes

    def forget(self, before: float) -> None:
        """Let go of what was made before a time of the loop."""
        while self._batches and next(iter(self._batches.values())).made_at < before:
            self._size_bytes -= self._batches.popitem(last=False)[1].size_bytes


class Tail:
    """One shard as its subscribers follow it. Used on the event loop only, but for what the store's signals call."""

    def __init__(
        self, fanout: Fanout, store: Store, clock: Clock, subscription: Subscription, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.subscribers = 0
        # How often the shard's claims changed: a subscriber that has seen another number looks whether it still holds its own.
        self.claims = 0
        self._fanout = fanout
        self._store = store
        self._clock = clock
        self._loop = loop
        self._stream = subscription.stream
        self._shard = subscription.shard
        self._account = subscription.account
        self._log = state.log_of(self._stream, self._shard.number)
        self._waiting: dict[asyncio.Future[bool], float] = {}
        self._woken = False
        topic = fanout_state.claims_topic(self._stream.id, self._shard.number)
        self._stops = [
            store.signals.listen(log.topic(self._log), self._on_append),
            store.signals.listen(topic, self._calling(self._on_claims)),
        ]

    def leave(self) -> None:
        """A subscriber goes."""
        self.subscribers -= 1
        if not self.subscribers:
            for stop in self._stops:
                stop()
            self._fanout.forget(self._log)

    async def wait(self) -> bool:
        """Wait until there may be something new: True; or until it is time for a heartbeat: False."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._waiting[future] = self._loop.time() + limits.HEARTBEAT_SECONDS
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    def end_waits(self, now: float) -> None:
        """Answer those who waited for a heartbeat's time."""
        for future, until in self._waiting.items():
            if until <= now and not future.done():
                future.set_result(False)

    def wake(self) -> None:
        """Let everybody look."""
        self._woken = False
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            if not future.done():
                future.set_result(True)

    def read(self, after: int) -> Batch:
        """What lies behind a place; ResourceNotFoundException when the shard is gone."""
        now = self._loop.time()
        shared = self._fanout.shared if self.subscribers > 1 else None
        found = shared.get(self._log, after, now - limits.SHARED_BATCH_SECONDS) if shared is not None else None
        if found is not None:
            return found
        batch = self._store.snapshot(lambda tx: self._read(tx, after, now))
        if shared is not None and batch.event is not None:
            shared.put(self._log, after, batch)
        return batch

    def heartbeat(self, after: int) -> dict[str, Any]:
        """An event without records: the subscriber has all there is."""
        return {EVENT: self._event([], after, self._clock.now_ms(), 0)}

    def _read(self, tx: ReadTransaction, after: int, now: float) -> Batch:
        records_max, size_max_bytes = limits.EVENT_RECORDS_MAX, limits.EVENT_SIZE_MAX_BYTES
        found = state.read(tx, self._log, after, records_max, size_max_bytes)
        place = found[-1].last_place if found else after
        if place < log.last(tx, self._log):
            behind_ms = state.behind_ms(tx, self._log, place, self._clock.now_ms())
            closed, more = False, True
        else:
            behind_ms, more = 0, False
            shard = state.SHARDS.get(tx, self._stream.id, self._shard.number)
            if shard is None:
                raise errors.shard_not_found(self._shard.id, self._stream.name, self._account)
            closed = shard.closed_at is not None
        if not found and not closed:
            return Batch(None, place, False, False, now, 0)
        records = [shapes.record(one, self._shard.base) for one in found]
        event = self._event(records, place, found[-1].entry.arrived_ms if found else 0, behind_ms)
        if closed:
            # AWS's sign that the shard has ended: its children, and no place to go on from.
            event["ContinuationSequenceNumber"] = None
            numbers = [one for one in state.shards(tx, self._stream) if self._shard.number in (one.parent, one.adjacent_parent)]
            event["ChildShards"] = [shapes.child(one) for one in numbers]
        size_bytes = sum(len(one.entry.data) for one in found)
        return Batch(SharedEvent({EVENT: event}), place, more, closed, now, size_bytes)

    def _event(self, records: list[dict[str, Any]], place: int, arrived_ms: int, behind_ms: int) -> dict[str, Any]:
        return {
            "Records": records,
            "ContinuationSequenceNumber": rules.sequence_number(self._shard.base, place, arrived_ms),
            "MillisBehindLatest": behind_ms,
        }

    def _on_append(self) -> None:
        # Read and written without a lock: at worst the tail is woken twice.
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self.wake)

    def _on_claims(self) -> None:
        self.claims += 1
        self.wake()

    def _calling(self, function: Callable[[], None]) -> Callable[[], None]:
        def listener() -> None:
            self._loop.call_soon_threadsafe(function)

        return listener


def check_claim(tx: ReadTransaction, subscription: Subscription) -> None:
    """ResourceInUseException when another connection took the subscription, ResourceNotFoundException without its consumer."""
    stream, name = subscription.stream, subscription.consumer.name
    held = fanout_state.CLAIMS.get(tx, stream.id, name, subscription.shard.number)
    if held is not None and held.id != subscription.id:
        raise already_subscribed(subscription.account, stream, subscription.shard, name)
    consumer = fanout_state.CONSUMERS.get(tx, stream.id, name)
    if held is None or consumer is None or consumer.arn != subscription.consumer.arn:
        raise fanout_state.consumer_not_found(name, subscription.account)


def already_subscribed(account: str, stream: state.Stream, shard: state.Shard, consumer: str) -> errors.ResourceInUseException:
    """Another connection has the consumer's subscription to the shard."""
    return errors.ResourceInUseException(
        f"Another active subscription exists for this consumer: {account}:{stream.name}:{shard.id}:{consumer}"
    )


FANOUT = Fanout()
