"""The store: an ordered map of byte strings with serializable, durable transactions.

Everything that Headrace keeps is laid out on this map. `transact` runs a body that reads and writes; when it returns, what the
body wrote is on disk. A body may be run more than once, so it has no effect but on its transaction. A body that raises leaves
no trace, and fails alone even when it was committed in one group with others.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from headrace.store.signals import Signals

T = TypeVar("T")

KEY_SIZE_MAX_BYTES = 4096


class StoreUnavailable(Exception):
    """The store can't commit now (disk full, I/O error). Nothing of the body was kept; the caller may try again."""


class ReadTransaction(Protocol):
    """One consistent view of the map."""

    def get(self, key: bytes) -> bytes | None:
        """The value at the key, or None."""

    def range(
        self, begin: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs with begin <= key < end in order of their keys (from the last one when `reverse`)."""


class Transaction(ReadTransaction, Protocol):
    """A view of the map that sees its own writes."""

    def set(self, key: bytes, value: bytes) -> None:
        """Put the value at the key."""

    def clear(self, key: bytes) -> None:
        """Remove the key, if it is there."""

    def clear_range(self, begin: bytes, end: bytes) -> int:
        """Remove all keys with begin <= key < end; how many there were."""

    def announce(self, topic: bytes) -> None:
        """Wake who waits for the topic once this transaction is durable."""


class Store(Protocol):
    """The map. Methods block the calling thread; `submit` does not."""

    signals: Signals

    def transact(self, body: Callable[[Transaction], T]) -> T:
        """Run the body in a serializable transaction; durable when this returns. StoreUnavailable if it can't be."""

    def submit(self, body: Callable[[Transaction], T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """As `transact`, without waiting: `done(result, error)` is called on the committing thread and must be quick."""

    def snapshot(self, body: Callable[[ReadTransaction], T]) -> T:
        """Run the body on one consistent view, which holds all that was durable when it began."""

    def close(self) -> None:
        """Finish what was begun and close the files."""
