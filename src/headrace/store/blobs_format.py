"""The form of a blob as a file or an object: damage is noticed wherever it is, and any part can be read without the rest.

It is a row of chunks of up to 64 KiB, each behind its CRC-32 (4 bytes, big endian, begun with the chunk's number), and a foot:
the blob's size (8 bytes), its SHA-256, and the CRC-32 of both. So a chunk in the wrong place is noticed, and so is a file that
was cut short. The length of the whole gives the size of the blob.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from headrace.store.blobs import CorruptBlob

CHUNK_SIZE_BYTES = 64 << 10
CRC_SIZE_BYTES = 4
STRIDE_BYTES = CHUNK_SIZE_BYTES + CRC_SIZE_BYTES
FOOT_SIZE_BYTES = 8 + 32 + CRC_SIZE_BYTES


class Readable(Protocol):
    """A file, or the body of an answer."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; fewer only at the end."""

    def close(self) -> None:
        """Let go of it."""


class Writable(Protocol):
    """A file."""

    def write(self, data: bytes | bytearray | memoryview, /) -> object:
        """Add the bytes."""


class Extent(NamedTuple):
    """A part of a blob: its bytes start <= i < end of size, which lie in begin <= i < stop of the file."""

    start: int
    end: int
    size_bytes: int
    begin: int
    stop: int

    @property
    def whole(self) -> bool:
        """Whether it is all of the blob; the foot is then part of it."""
        return self.start == 0 and self.end == self.size_bytes


def write(file: Writable, parts: Iterable[bytes]) -> tuple[int, str]:
    """Write a blob; its size, and its SHA-256 (hex)."""
    digest = hashlib.sha256()
    size_bytes = number = 0
    pending = bytearray()
    for part in parts:
        digest.update(part)
        size_bytes += len(part)
        pending += part
        whole = len(pending) - len(pending) % CHUNK_SIZE_BYTES
        with memoryview(pending) as view:
            for start in range(0, whole, CHUNK_SIZE_BYTES):
                _write_chunk(file, number, view[start : start + CHUNK_SIZE_BYTES])
                number += 1
        del pending[:whole]
    if pending:
        _write_chunk(file, number, pending)
    foot = size_bytes.to_bytes(8, "big") + digest.digest()
    file.write(foot + zlib.crc32(foot).to_bytes(CRC_SIZE_BYTES, "big"))
    return size_bytes, digest.hexdigest()


def _write_chunk(file: Writable, number: int, chunk: bytearray | memoryview) -> None:
    file.write(_crc(number, chunk))
    file.write(chunk)


def _crc(number: int, chunk: bytes | bytearray | memoryview) -> bytes:
    return zlib.crc32(chunk, number & 0xFFFFFFFF).to_bytes(CRC_SIZE_BYTES, "big")


def size_of(length: int) -> int:
    """The size of the blob in a file of this length."""
    chunks = -(-(length - FOOT_SIZE_BYTES) // STRIDE_BYTES)
    return length - FOOT_SIZE_BYTES - chunks * CRC_SIZE_BYTES


def extent(length: int, start: int, end: int | None) -> Extent:
    """Where a part of a blob lies in a file of this length."""
    size_bytes = size_of(length)
    end = size_bytes if end is None else max(0, min(end, size_bytes))
    start = min(start, end)
    begin = start // CHUNK_SIZE_BYTES * STRIDE_BYTES
    last = -(-end // CHUNK_SIZE_BYTES) * STRIDE_BYTES
    stop = length if start == 0 and end == size_bytes else min(last, length - FOOT_SIZE_BYTES)
    return Extent(start, end, size_bytes, begin, max(begin, stop))


def check_foot(foot: bytes, length: int, blob_id: str) -> None:
    """CorruptBlob unless this is the foot of a whole file of this length."""
    right = zlib.crc32(foot[:40]).to_bytes(CRC_SIZE_BYTES, "big") == foot[40:]
    if not right or int.from_bytes(foot[:8], "big") != size_of(length):
        raise CorruptBlob(f"blob {blob_id}: its end is damaged or missing")


def read(file: Readable, blob_id: str, part: Extent) -> Iterator[bytes]:
    """The bytes of a part, chunk by chunk, each verified; of the whole, the SHA-256, too. The file stands at its begin."""
    try:
        digest = hashlib.sha256()
        for chunk in _chunks(file, blob_id, part):
            if part.whole:
                digest.update(chunk)
            yield chunk
        if part.whole:
            foot = file.read(FOOT_SIZE_BYTES)
            check_foot(foot, part.stop, blob_id)
            if foot[8:40] != digest.digest():
                raise CorruptBlob(f"blob {blob_id}: its SHA-256 is another")
    finally:
        file.close()


def _chunks(file: Readable, blob_id: str, part: Extent) -> Iterator[bytes]:
    number, skip = divmod(part.start, CHUNK_SIZE_BYTES)
    position = part.start - skip
    while position < part.end:
        raw = file.read(CRC_SIZE_BYTES + min(CHUNK_SIZE_BYTES, part.size_bytes - position))
        chunk = memoryview(raw)[CRC_SIZE_BYTES:]
        if _crc(number, chunk) != raw[:CRC_SIZE_BYTES]:
            raise CorruptBlob(f"blob {blob_id}: the chunk at byte {position} is damaged")
        if wanted := bytes(chunk[skip : part.end - position]):
            yield wanted
        skip = 0
        number += 1
        position += CHUNK_SIZE_BYTES
