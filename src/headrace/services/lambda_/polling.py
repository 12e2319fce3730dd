"""Who reads queues: a few threads for each enabled mapping wait for messages and hand batches to others.

A mapping has one poller; with ProvisionedPollerConfig it has as many as that says, more while all of them find full batches.
"""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from headrace.operation import Context
from headrace.services.lambda_ import limits, mappings, queues, state
from headrace.services.lambda_.queues import RECEIVE_MAX, Message
from headrace.services.lambda_.state import Mapping

WAIT_SECONDS = 1
LOOK_SECONDS = 1.0
FAILURE_WAIT_SECONDS = 1.0
IDLE_RECEIPTS_MAX = 10

log = logging.getLogger(__name__)


class Pollers:
    """The pollers of all mappings."""

    def __init__(self) -> None:
        self._running: dict[str, _Poller] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def step(self, ctx: Context) -> float:
        """Start and stop pollers as mappings come and go, and change their number."""
        wanted = {one.id: one for one in ctx.snapshot(_queue_mappings) if mappings.reader(ctx, one) is not None}
        with self._lock:
            for mapping_id in [one for one in self._running if one not in wanted]:
                self._running.pop(mapping_id).stopping.set()
            for mapping_id, mapping in wanted.items():
                if mapping_id not in self._running and not self._stopping:
                    self._running[mapping_id] = _Poller(ctx.at(mapping.account, mapping.region), mapping_id)
                if mapping_id in self._running:
                    self._running[mapping_id].fit(mapping)
        return LOOK_SECONDS

    def start(self) -> None:
        """Called before the first request."""
        self._stopping = False

    def stop(self) -> None:
        """Receive no more, and wait a moment for what runs."""
        with self._lock:
            self._stopping = True
            pollers = list(self._running.values())
            self._running.clear()
        for poller in pollers:
            poller.stopping.set()
        deadline = time.monotonic() + WAIT_SECONDS + 1
        for poller in pollers:
            poller.join(deadline)


class Room:
    """So many batches at one time; the number may change meanwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0
        self._limit = 0

    def resize(self, limit: int) -> None:
        """Let so many in. Those that are in stay."""
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    def enter(self, timeout_seconds: float) -> bool:
        """Take a place; False when none came free in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken < self._limit, timeout_seconds):
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        """Give the place back."""
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    def wait_until_empty(self, timeout_seconds: float) -> None:
        """Wait until all have left, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken, timeout_seconds)


def pollers_of(mapping: Mapping, environments_max: int) -> tuple[int, int]:
    """The least and the most pollers of a mapping: never more than there can be environments for what they find."""
    if mapping.pollers is None:
        return 1, 1
    least, most = mapping.pollers
    return min(least, environments_max), min(most, environments_max)


def concurrency_of(mapping: Mapping, pollers: int, environments_max: int) -> int:
    """How many batches of a mapping may be with its function at one time, when it has so many pollers."""
    if mapping.pollers is not None:
        wanted = pollers * limits.POLLER_CONCURRENCY_MAX
    else:
        wanted = mapping.concurrency_max or limits.QUEUE_CONCURRENCY_DEFAULT
    return max(1, min(wanted, environments_max))


class _Poller:
    """Reads one queue for one mapping."""

    def __init__(self, ctx: Context, mapping_id: str) -> None:
        self._ctx = ctx
        self._mapping_id = mapping_id
        self.stopping = threading.Event()
        self._room = Room()
        self._lock = threading.Lock()
        self._threads: dict[int, threading.Thread] = {}
        self._full: dict[int, bool] = {}
        self._wanted = 0
        self._bounds = (1, 1)
        self._deliveries = ThreadPoolExecutor(ctx.settings.lambda_concurrency, thread_name_prefix="lambda-queue")

    def fit(self, mapping: Mapping) -> None:
        """Have as many pollers, and as much room, as the mapping says."""
        most = self._ctx.settings.lambda_concurrency
        with self._lock:
            self._bounds = pollers_of(mapping, most)
            if self._threads and all(self._full.get(number) for number in self._threads):
                self._wanted *= 2
            self._wanted = min(max(self._wanted, self._bounds[0]), self._bounds[1])
            self._room.resize(concurrency_of(mapping, self._wanted, most))
            for number in range(self._wanted):
                if number not in self._threads:
                    name = f"lambda-queue-{self._mapping_id[:8]}-{number}"
                    thread = self._threads[number] = threading.Thread(target=self._poll, args=(number,), name=name, daemon=True)
                    thread.start()

    def join(self, deadline: float) -> None:
        """Wait until then for the end of the pollers, and of what is with the function."""
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))
        self._room.wait_until_empty(max(0.0, deadline - time.monotonic()))
        self._deliveries.shutdown(wait=False)

    def _poll(self, number: int) -> None:
        idle = 0
        while not self.stopping.is_set():
            try:
                found = self._once(number)
                idle = 0 if found else idle + 1
            except Exception as error:
                if not self.stopping.is_set():
                    log.warning("messages for mapping %s can't be received: %s", self._mapping_id, error)
                self.stopping.wait(FAILURE_WAIT_SECONDS)
            if self._is_spare(number, idle):
                return

    def _is_spare(self, number: int, idle: int) -> bool:
        """Whether this poller ends: there are to be fewer, or it is the last and found nothing for a while."""
        with self._lock:
            least, most = self._bounds
            last = number == self._wanted - 1
            if number < most and not (number >= least and last and idle >= IDLE_RECEIPTS_MAX):
                return False
            self._wanted = min(self._wanted, number)
            self._threads.pop(number, None)
            self._full.pop(number, None)
            return True

    def _once(self, number: int) -> bool:
        """Receive one batch and hand it over; whether there was one."""
        if not self._room.enter(WAIT_SECONDS):
            return True  # all that can be done is being done
        handed = False
        try:
            mapping = self._ctx.snapshot(lambda inner: state.MAPPINGS.get(inner.tx, self._mapping_id))
            if mapping is None or not mapping.enabled:
                self.stopping.wait(WAIT_SECONDS)
                return False
            queue_url = queues.url(self._ctx, mapping.source_arn)
            messages = self._receive(mapping, queue_url)
            self._full[number] = len(messages) >= mapping.batch_size
            if messages:
                self._deliveries.submit(self._deliver, mapping, queue_url, messages)
                handed = True
            return handed
        finally:
            if not handed:
                self._room.leave()

    def _receive(self, mapping: Mapping, queue_url: str) -> list[Message]:
        """A batch: what is there, or what comes within the mapping's window."""
        found: list[Message] = []
        deadline = 0.0
        while len(found) < mapping.batch_size and not self.stopping.is_set():
            asked = {
                "QueueUrl": queue_url,
                "MaxNumberOfMessages": min(RECEIVE_MAX, mapping.batch_size - len(found)),
                "WaitTimeSeconds": WAIT_SECONDS if not found or mapping.window_seconds else 0,
                "AttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            }
            some = queues.call(self._ctx, mapping.source_arn, "ReceiveMessage", asked).get("Messages") or []
            if some and not found:
                deadline = time.monotonic() + mapping.window_seconds
            found += some
            if not found or (not some and time.monotonic() >= deadline):
                break
        return found

    def _deliver(self, mapping: Mapping, queue_url: str, messages: list[Message]) -> None:
        try:
            queues.deliver(self._ctx, mapping, queue_url, messages)
        except Exception as error:
            # They come back by themselves.
            log.warning("a batch for %s was not handled: %s", mapping.function, error, exc_info=log.isEnabledFor(logging.DEBUG))
        finally:
            self._room.leave()


def _queue_mappings(ctx: Context) -> list[Mapping]:
    return [
        mapping
        for _, mapping in state.MAPPINGS.scan(ctx.tx)
        if mapping.enabled and mappings.source_service(mapping.source_arn) == "sqs"
    ]
