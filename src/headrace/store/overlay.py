"""A transaction's own writes, laid over a view of the store until it commits.

A body that raises has touched nothing but its overlay, so it leaves no trace and can't harm the bodies it shares a commit with.
"""

from collections.abc import Iterator

from headrace.store.api import KEY_SIZE_MAX_BYTES, ReadTransaction


class Overlay:
    """A `Transaction` that keeps its writes to itself."""

    __slots__ = ("_base", "topics", "writes")

    def __init__(self, base: ReadTransaction) -> None:
        self._base = base
        self.writes: dict[bytes, bytes | None] = {}
        self.topics: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """The value at the key, this transaction's own writes included."""
        writes = self.writes
        if key in writes:
            return writes[key]
        return self._base.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        """Put the value at the key."""
        if len(key) > KEY_SIZE_MAX_BYTES:
            raise ValueError(f"a key has {KEY_SIZE_MAX_BYTES} bytes at most, not {len(key)}")
        self.writes[key] = value

    def clear(self, key: bytes) -> None:
        """Remove the key, if it is there."""
        self.writes[key] = None

    def clear_range(self, begin: bytes, end: bytes) -> int:
        """Remove all keys with begin <= key < end; how many there were."""
        keys = [key for key, _ in self.range(begin, end)]
        for key in keys:
            self.writes[key] = None
        return len(keys)

    def announce(self, topic: bytes) -> None:
        """Wake who waits for the topic once this transaction is durable."""
        self.topics.append(topic)

    def range(
        self, begin: bytes, end: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs with begin <= key < end, this transaction's own writes included."""
        own = sorted((key for key in self.writes if begin <= key < end), reverse=reverse)
        if not own:
            return self._base.range(begin, end, limit=limit, reverse=reverse)
        return self._merged(begin, end, own, limit, reverse)

    def _merged(
        self, begin: bytes, end: bytes, own: list[bytes], limit: int | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        count = 0
        for key, value in self._interleaved(begin, end, own, reverse):
            if value is None:
                continue
            if limit is not None and count >= limit:
                return
            yield key, value
            count += 1

    def _interleaved(self, begin: bytes, end: bytes, own: list[bytes], reverse: bool) -> Iterator[tuple[bytes, bytes | None]]:
        written = {key: self.writes[key] for key in own}
        position = 0
        for key, value in self._base.range(begin, end, reverse=reverse):
            while position < len(own) and (own[position] > key if reverse else own[position] < key):
                yield own[position], written[own[position]]
                position += 1
            if position < len(own) and own[position] == key:
                yield key, written[key]
                position += 1
            else:
                yield key, value
        for key in own[position:]:
            yield key, written[key]
