"""The blob store: data too large for the key-value store, kept beside it and referred to by id.

A blob is written whole before anybody refers to it, and never changed. One that nobody refers to (its writer died before the
commit, or its row was removed) is found and deleted by `sweep`. Whoever sweeps knows the references of one space only, so each
service that sweeps keeps its blobs in a space of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec


class CorruptBlob(Exception):
    """What lies on disk is not what was written."""


class BlobRef(msgspec.Struct, frozen=True, array_like=True):
    """Where a blob is, how large, and the SHA-256 (hex) of its bytes."""

    id: str
    size_bytes: int
    sha256: str


class Blobs(Protocol):
    """A place for blobs. KeyError: no such blob."""

    def put(self, data: bytes | Iterable[bytes]) -> BlobRef:
        """Keep the bytes; durable on return."""

    def open(self, blob_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes start <= i < end, chunk by chunk, each verified. CorruptBlob when they are damaged."""

    def get(self, blob_id: str) -> bytes:
        """All bytes at once, verified."""

    def delete(self, blob_id: str) -> None:
        """Remove a blob, if it is there."""

    def sweep(self, is_referenced: Callable[[str], bool], older_than_seconds: float) -> int:
        """Delete blobs of this space that nobody refers to and that are older than that; how many."""

    def space(self, name: str) -> "Blobs":
        """A part of the store with blobs and a sweep of its own. The name is of lower case letters and digits."""
