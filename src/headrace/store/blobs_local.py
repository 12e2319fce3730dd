"""Blobs in a local folder: written beside their place, flushed, renamed into it.

A file is a row of chunks of up to 64 KiB, each behind its CRC-32 (4 bytes, big endian), so that any part of a blob can be read
and verified without the rest. The names are random, spread over 256 folders.
"""

import contextlib
import hashlib
import os
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from headrace.store.blobs import BlobRef, CorruptBlob

CHUNK_SIZE_BYTES = 64 << 10
_CRC_SIZE_BYTES = 4
_TEMPORARY = "incoming"


class LocalBlobs:
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / _TEMPORARY
        self._incoming.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (folder / f"{number:02x}").mkdir(exist_ok=True)

    def put(self, data: bytes | Iterable[bytes]) -> BlobRef:
        """Keep the bytes; durable on return."""
        blob_id = secrets.token_hex(16)
        temporary = self._incoming / blob_id
        try:
            with temporary.open("xb") as file:
                size_bytes, sha256 = _write(file, (data,) if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
            path = self._path(blob_id)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        return BlobRef(blob_id, size_bytes, sha256)

    def open(self, blob_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes start <= i < end, chunk by chunk, each verified."""
        try:
            file = self._path(blob_id).open("rb")
        except FileNotFoundError:
            raise KeyError(blob_id) from None
        return _read(file, blob_id, start, end)

    def get(self, blob_id: str) -> bytes:
        """All bytes at once, verified."""
        return b"".join(self.open(blob_id))

    def delete(self, blob_id: str) -> None:
        """Remove a blob, if it is there."""
        self._path(blob_id).unlink(missing_ok=True)

    def sweep(self, is_referenced: Callable[[str], bool], older_than_seconds: float) -> int:
        """Delete blobs that nobody refers to and that are older than that, and what writers left half done."""
        limit = time.time() - older_than_seconds
        count = 0
        for folder in self._folder.iterdir():
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    unwanted = folder.name == _TEMPORARY or not is_referenced(path.name)
                    if path.stat().st_mtime < limit and unwanted:
                        path.unlink()
                        count += 1
        return count

    def _path(self, blob_id: str) -> Path:
        if len(blob_id) != 32 or not blob_id.isalnum():
            raise KeyError(blob_id)
        return self._folder / blob_id[:2] / blob_id


def _write(file: BinaryIO, parts: Iterable[bytes]) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    pending = bytearray()
    for part in parts:
        digest.update(part)
        size_bytes += len(part)
        pending += part
        whole = len(pending) - len(pending) % CHUNK_SIZE_BYTES
        for start in range(0, whole, CHUNK_SIZE_BYTES):
            _write_chunk(file, pending[start : start + CHUNK_SIZE_BYTES])
        del pending[:whole]
    if pending:
        _write_chunk(file, pending)
    return size_bytes, digest.hexdigest()


def _write_chunk(file: BinaryIO, chunk: bytearray) -> None:
    file.write(zlib.crc32(chunk).to_bytes(_CRC_SIZE_BYTES, "big"))
    file.write(chunk)


def _read(file: BinaryIO, blob_id: str, start: int, end: int | None) -> Iterator[bytes]:
    with file:
        number, skip = divmod(start, CHUNK_SIZE_BYTES)
        file.seek(number * (CHUNK_SIZE_BYTES + _CRC_SIZE_BYTES))
        position = start - skip
        while end is None or position < end:
            raw = file.read(_CRC_SIZE_BYTES + CHUNK_SIZE_BYTES)
            if not raw:
                return
            chunk = raw[_CRC_SIZE_BYTES:]
            if zlib.crc32(chunk).to_bytes(_CRC_SIZE_BYTES, "big") != raw[:_CRC_SIZE_BYTES]:
                raise CorruptBlob(f"blob {blob_id}: the chunk at byte {position} is damaged")
            wanted = chunk[skip:] if end is None else chunk[skip : end - position]
            if wanted:
                yield wanted
            skip = 0
            position += CHUNK_SIZE_BYTES


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
