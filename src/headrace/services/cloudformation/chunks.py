"""Rows of any size: packed, compressed, and cut into pieces that the store takes as values."""

import zlib
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction
from headrace.store.tuples import Item

T = TypeVar("T")

PIECE_SIZE_MAX_BYTES = 60_000


class Chunks(Generic[T]):
    """As `layers.records.Records`, without a limit on a row's size. Every key of a family has the same number of items."""

    def __init__(self, space: tuple[Item, ...], kind: type[T]) -> None:
        self._space = space
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def get(self, tx: ReadTransaction, *key: Item) -> T | None:
        """The row at the key, or None."""
        return next((row for _, row in self.scan(tx, *key)), None)

    def put(self, tx: Transaction, row: T, *key: Item) -> None:
        """Write the row at the key."""
        self.delete(tx, *key)
        packed = zlib.compress(self._encode(row), 1)
        for number, start in enumerate(range(0, len(packed), PIECE_SIZE_MAX_BYTES)):
            tx.set(tuples.pack((*self._space, *key, number)), packed[start : start + PIECE_SIZE_MAX_BYTES])

    def delete(self, tx: Transaction, *prefix: Item) -> None:
        """Remove all rows whose key begins with the prefix."""
        tx.clear_range(*tuples.range_of((*self._space, *prefix)))

    def scan(self, tx: ReadTransaction, *prefix: Item, reverse: bool = False) -> Iterator[tuple[tuple[Item, ...], T]]:
        """(key, row) of all rows whose key begins with the prefix."""
        skip = len(self._space)
        found: dict[tuple[Item, ...], list[bytes]] = {}
        last: tuple[Item, ...] | None = None
        for raw_key, piece in tx.range(*tuples.range_of((*self._space, *prefix)), reverse=reverse):
            key = tuples.unpack(raw_key)[skip:-1]
            if last is not None and key != last:
                yield last, self._join(found.pop(last), reverse)
            found.setdefault(key, []).append(piece)
            last = key
        if last is not None:
            yield last, self._join(found[last], reverse)

    def _join(self, pieces: list[bytes], reverse: bool) -> T:
        return self._decode(zlib.decompress(b"".join(reversed(pieces) if reverse else pieces)))
