"""Typed rows: one struct a key, kept as MessagePack."""

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction
from headrace.store.tuples import Item

T = TypeVar("T")


class Records(Generic[T]):
    """The rows of one family: `Records(("iam", "role"), Role)`. The rest of a row's key is given at each call."""

    def __init__(self, space: tuple[Item, ...], kind: type[T]) -> None:
        self._space = space
        self._prefix = tuples.pack(space)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def key(self, *key: Item) -> bytes:
        """The store's key of a row."""
        return self._prefix + tuples.pack(key)

    def get(self, tx: ReadTransaction, *key: Item) -> T | None:
        """The row at the key, or None."""
        raw = tx.get(self._prefix + tuples.pack(key))
        return None if raw is None else self._decode(raw)

    def put(self, tx: Transaction, row: T, *key: Item) -> None:
        """Write the row at the key."""
        tx.set(self._prefix + tuples.pack(key), self._encode(row))

    def decode(self, raw: bytes) -> T:
        """The row in a value of the store, for who walks the keys himself."""
        return self._decode(raw)

    def delete(self, tx: Transaction, *key: Item) -> None:
        """Remove the row, if it is there."""
        tx.clear(self._prefix + tuples.pack(key))

    def scan(
        self,
        tx: ReadTransaction,
        *prefix: Item,
        after: tuple[Item, ...] | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[tuple[Item, ...], T]]:
        """(key, row) of all rows whose key begins with the prefix; `after` is a whole key to go on behind."""
        begin, end = tuples.range_of((*self._space, *prefix))
        if after is not None and reverse:
            end = self.key(*after)
        elif after is not None:
            begin = self.key(*after) + b"\x00"
        skip = len(self._space)
        for key, raw in tx.range(begin, end, limit=limit, reverse=reverse):
            yield tuples.unpack(key)[skip:], self._decode(raw)

    def delete_all(self, tx: Transaction, *prefix: Item) -> int:
        """Remove all rows whose key begins with the prefix; how many there were."""
        return tx.clear_range(*tuples.range_of((*self._space, *prefix)))
