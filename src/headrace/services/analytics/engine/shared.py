"""Records on their way to the engine's process, in memory that both sides see: nothing is copied through the socket.

There are two places for them: while the process computes what lies in one, the server lays what comes next into the other.
"""

import mmap
import os
import tempfile
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from headrace.services.analytics.engine.schema import Columns

PLACES = 2
_BUFFERS_MAX = 1024  # of one call: IOV_MAX


class Laid(msgspec.Struct, array_like=True):
    """Records that lie in shared memory: in which place, from where to where; and what is said of each of them."""

    place: int
    start: int
    sizes: bytes
    arrival_ms: bytes
    partition_keys: list[str] | str
    sequence_numbers: list[str] | str
    shard_ids: list[str] | str


class Given(NamedTuple):
    """Records as the process works on them. Their bytes are views: they last as long as the step."""

    data: Sequence[bytes]
    arrival_ms: "array[int]"
    partition_keys: Sequence[str]
    sequence_numbers: Sequence[str]
    shard_ids: Sequence[str]


class Writer:
    """The server's side."""

    def __init__(self) -> None:
        self.files = [_memory() for _ in range(PLACES)]
        self._place = 0

    def lay(self, records: dict[str, Columns]) -> dict[str, Laid]:
        """Put the records of each stream where the process finds them."""
        self._place = (self._place + 1) % PLACES
        laid: dict[str, Laid] = {}
        start = 0
        for stream, one in records.items():
            sizes = array("I", map(len, one.data))
            laid[stream] = Laid(
                self._place, start, sizes.tobytes(), array("q", one.arrival_ms).tobytes(),
                _short(one.partition_keys), _short(one.sequence_numbers), _short(one.shard_ids),
            )  # fmt: skip
            start = self._write(start, one.data)
        return laid

    def _write(self, start: int, data: Sequence[bytes]) -> int:
        for first in range(0, len(data), _BUFFERS_MAX):
            part = data[first : first + _BUFFERS_MAX]
            wanted = sum(map(len, part))
            if os.pwritev(self.files[self._place], part, start) != wanted:
                raise OSError("the records do not fit into memory")
            start += wanted
        return start

    def close(self) -> None:
        """Give the memory back."""
        while self.files:
            os.close(self.files.pop())


class Reader:
    """The process's side."""

    def __init__(self, files: Sequence[int]) -> None:
        self._files = files
        self._views: dict[int, memoryview] = {}

    def given(self, laid: Laid) -> Given:
        """The records that were laid."""
        sizes, arrival_ms = array("I", laid.sizes), array("q", laid.arrival_ms)
        count = len(sizes)
        view = self._view(laid.place, laid.start + sum(sizes))
        data: list[Any] = []
        begin = laid.start
        for size in sizes:
            data.append(view[begin : begin + size])
            begin += size
        return Given(
            data, arrival_ms, _long(laid.partition_keys, count), _long(laid.sequence_numbers, count), _long(laid.shard_ids, count)
        )

    def _view(self, place: int, end: int) -> memoryview:
        view = self._views.get(place)
        if view is None or len(view) < end:
            if not end:
                return memoryview(b"")
            file = self._files[place]
            view = self._views[place] = memoryview(mmap.mmap(file, os.fstat(file).st_size, access=mmap.ACCESS_READ))
        return view


def _memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("records")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _short(values: Sequence[str]) -> list[str] | str:
    """One value where all are the same."""
    if values and list(values).count(values[0]) == len(values):
        return values[0]
    return list(values)


def _long(values: list[str] | str, count: int) -> list[str]:
    return [values] * count if isinstance(values, str) else values
