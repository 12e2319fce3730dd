"""The embedded store: LMDB, with one fsync for all transactions that wait (group commit).

One thread owns LMDB's write transaction. It takes all bodies that wait, runs each on an overlay, applies the overlays of those
that succeeded, and commits once. Readers take snapshots beside it and are never blocked. Several processes may open the same
folder: LMDB's own lock orders their write transactions.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import lmdb

from headrace.store import longkeys
from headrace.store.api import ReadTransaction, StoreUnavailable, Transaction
from headrace.store.overlay import Overlay
from headrace.store.signals import Signals

T = TypeVar("T")
Done = Callable[[Any, BaseException | None], None]

GROUP_SIZE_MAX_BODIES = 512
READERS_MAX = 510

log = logging.getLogger(__name__)


class LmdbStore:
    """A folder with one LMDB environment."""

    def __init__(self, folder: Path, *, size_max_gib: int = 256, size_max_bytes: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # it holds secrets: users' keys, mail, everybody's data
        self.signals = Signals()
        # Runs a piece of work while other busy threads of the process hold still. LMDB's binding gives the interpreter's lock
        # away at every call, and beside a busy thread it gets it back only tens of microseconds later: a hundred times what the
        # call itself takes. Whoever has a busy thread (the gateway's event loop) sets this; see `gateway/pause.py`.
        self.exclusively: Callable[[Callable[[], None]], None] = lambda work: work()
        self._environment = lmdb.open(
            str(folder),
            map_size=size_max_bytes or size_max_gib << 30,
            max_dbs=2,
            max_readers=READERS_MAX,
            metasync=True,
            sync=True,
            # Pages are read in no order: the kernel's read-ahead would only fill its cache.
            readahead=False,
        )
        # A reader that was killed keeps its slot, and with it old pages, until somebody looks.
        self._environment.reader_check()
        self._databases = longkeys.Databases(short=self._environment.open_db(b"short"), long=self._environment.open_db(b"long"))
        # None is put behind the last body when the store closes.
        self._waiting: queue.SimpleQueue[tuple[Callable[[Transaction], Any], Done] | None] = queue.SimpleQueue()
        self._closed = False
        self._committer = threading.Thread(target=self._commit_forever, name="store-commit", daemon=True)
        self._committer.start()

    def submit(self, body: Callable[[Transaction], T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """Queue the body; `done(result, error)` is called on the committing thread."""
        if self._closed:
            raise StoreUnavailable("the store is closing")
        self._waiting.put((body, done))

    def transact(self, body: Callable[[Transaction], T]) -> T:
        """Run the body in a serializable transaction; durable when this returns."""
        if threading.current_thread() is self._committer:
            raise RuntimeError("a transaction was begun inside another: join the one that runs")
        finished = threading.Lock()
        finished.acquire()
        outcome: list[Any] = []

        def done(result: T | None, error: BaseException | None) -> None:
            outcome.append((result, error))
            finished.release()

        self.submit(body, done)
        finished.acquire()
        result, error = outcome[0]
        if error is not None:
            raise error
        return cast(T, result)

    def snapshot(self, body: Callable[[ReadTransaction], T]) -> T:
        """Run the body on one consistent view of what is durable."""
        with self._environment.begin(db=self._databases.short) as transaction:
            return body(_View(transaction, self._databases))

    def close(self) -> None:
        """Commit what waits, then close."""
        self._closed = True
        self._waiting.put(None)
        self._committer.join()
        while not self._waiting.empty():
            # It came while the store closed, behind the mark.
            if (late := self._waiting.get()) is not None:
                late[1](None, StoreUnavailable("the store is closing"))
        self._environment.close()

    def _commit_forever(self) -> None:
        waiting = self._waiting
        while (first := waiting.get()) is not None:
            group = [first]
            while len(group) < GROUP_SIZE_MAX_BODIES and not waiting.empty():
                following = waiting.get()
                if following is None:
                    waiting.put(None)
                    break
                group.append(following)
            self._commit(group)

    def _commit(self, group: list[tuple[Callable[[Transaction], Any], Done]]) -> None:
        try:
            outcomes, topics = self._run(group)
        except (lmdb.Error, OSError) as error:
            if len(group) > 1:
                # One body may be too large for what is left of the disk: the others need not fail with it.
                for one in group:
                    self._commit([one])
                return
            log.warning("the store could not commit: %s", error)
            outcomes, topics = [(group[0][1], None, StoreUnavailable(f"the store can't write: {error}"))], []
        for done, result, failure in outcomes:
            try:
                done(result, failure)
            except Exception:
                log.exception("the receiver of a transaction's outcome failed")
        self.signals.announce(dict.fromkeys(topics))

    def _run(
        self, group: list[tuple[Callable[[Transaction], Any], Done]]
    ) -> tuple[list[tuple[Done, Any, BaseException | None]], list[bytes]]:
        outcomes: list[tuple[Done, Any, BaseException | None]] = []
        topics: list[bytes] = []
        failures: list[BaseException] = []
        with self._environment.begin(db=self._databases.short, write=True) as transaction:

            def work() -> None:
                try:
                    self._run_bodies(transaction, group, outcomes, topics)
                except BaseException as error:
                    failures.append(error)

            self.exclusively(work)
            if failures:
                raise failures[0]
        return outcomes, topics

    def _run_bodies(
        self,
        transaction: lmdb.Transaction,
        group: list[tuple[Callable[[Transaction], Any], Done]],
        outcomes: list[tuple[Done, Any, BaseException | None]],
        topics: list[bytes],
    ) -> None:
        view = _View(transaction, self._databases)
        for body, done in group:
            overlay = Overlay(view)
            try:
                result = body(overlay)
            except lmdb.Error:
                raise
            except Exception as error:
                outcomes.append((done, None, error))
                continue
            longkeys.apply(transaction, self._databases, overlay.writes)
            topics += overlay.topics
            outcomes.append((done, result, None))


class _View:
    """What an LMDB transaction sees, as a `ReadTransaction`."""

    __slots__ = ("_databases", "_transaction")

    def __init__(self, transaction: lmdb.Transaction, databases: longkeys.Databases) -> None:
        self._transaction = transaction
        self._databases = databases

    def get(self, key: bytes) -> bytes | None:
        if len(key) <= longkeys.SEGMENT_SIZE_BYTES and key:
            return cast("bytes | None", self._transaction.get(key))
        return longkeys.get(self._transaction, self._databases, key)

    def range(
        self, begin: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        pairs = longkeys.scan(self._transaction, self._databases, begin, end, reverse=reverse)
        if limit is None:
            return pairs
        return _limited(pairs, limit)


def _limited(pairs: Iterator[tuple[bytes, bytes]], limit: int) -> Iterator[tuple[bytes, bytes]]:
    for _, pair in zip(range(limit), pairs, strict=False):
        yield pair
