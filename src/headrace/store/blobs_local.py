"""Blobs in a local folder: written beside their place, flushed, renamed into it.

A file is a row of chunks of up to 64 KiB, each behind its CRC-32 (4 bytes, big endian, begun with the chunk's number), and a
foot: the blob's size (8 bytes), its SHA-256, and the CRC-32 of both. So any part of a blob can be read and verified without the
rest, a chunk that lies in the wrong place is noticed, and so is a file that was cut short. The names are random, spread over
256 folders.
"""

import contextlib
import hashlib
import os
import re
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from headrace.store.blobs import BlobRef, CorruptBlob

CHUNK_SIZE_BYTES = 64 << 10
_CRC_SIZE_BYTES = 4
_STRIDE_BYTES = CHUNK_SIZE_BYTES + _CRC_SIZE_BYTES
_FOOT_SIZE_BYTES = 8 + 32 + _CRC_SIZE_BYTES
_TEMPORARY = "incoming"
_SPACES = "spaces"

_ID = re.compile(r"[0-9a-f]{32}\Z")
_SPACE = re.compile(r"[a-z0-9]{1,32}\Z")


class LocalBlobs:
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / _TEMPORARY
        self._spaces: dict[str, LocalBlobs] = {}
        self._lock = threading.Lock()
        # A folder that a crash could take away again would take its blobs with it.
        new = not self._incoming.exists()
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (folder / f"{number:02x}").mkdir(exist_ok=True)
        self._incoming.mkdir(exist_ok=True)
        if new:
            for changed in (folder, *list(folder.parents)[:3]):
                _sync_folder(changed)
        self._syncs = [_FolderSync(folder / f"{number:02x}") for number in range(256)]

    def put(self, data: bytes | Iterable[bytes]) -> BlobRef:
        """Keep the bytes; durable on return."""
        blob_id = secrets.token_hex(16)
        temporary = self._incoming / blob_id
        try:
            with temporary.open("xb") as file:
                size_bytes, sha256 = _write(file, (data,) if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._path(blob_id))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._syncs[int(blob_id[:2], 16)].sync()
        return BlobRef(blob_id, size_bytes, sha256)

    def open(self, blob_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes start <= i < end, chunk by chunk, each verified; with all of them, their SHA-256, too."""
        try:
            file = self._path(blob_id).open("rb")
        except FileNotFoundError:
            raise KeyError(blob_id) from None
        try:
            size_bytes, sha256 = _read_foot(file, blob_id)
        except BaseException:
            file.close()
            raise
        end = size_bytes if end is None else min(end, size_bytes)
        if start == 0 and end == size_bytes:
            return _read_all(file, blob_id, size_bytes, sha256)
        return _read(file, blob_id, start, end, size_bytes)

    def get(self, blob_id: str) -> bytes:
        """All bytes at once, verified."""
        return b"".join(self.open(blob_id))

    def delete(self, blob_id: str) -> None:
        """Remove a blob, if it is there."""
        self._path(blob_id).unlink(missing_ok=True)

    def sweep(self, is_referenced: Callable[[str], bool], older_than_seconds: float) -> int:
        """Delete blobs of this space that nobody refers to and that are older than that, and what writers left half done."""
        limit = time.time() - older_than_seconds
        count = 0
        for folder in [self._incoming, *(sync.folder for sync in self._syncs)]:
            for entry in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat().st_mtime < limit and (folder == self._incoming or not is_referenced(entry.name)):
                        os.unlink(entry.path)
                        count += 1
        return count

    def space(self, name: str) -> "LocalBlobs":
        """A folder inside this one, with blobs and a sweep of its own."""
        if not _SPACE.match(name):
            raise ValueError(f"no name for a space of blobs: {name!r}")
        with self._lock:
            if name not in self._spaces:
                self._spaces[name] = LocalBlobs(self._folder / _SPACES / name)
            return self._spaces[name]

    def _path(self, blob_id: str) -> Path:
        if not _ID.match(blob_id):
            raise KeyError(blob_id)
        return self._folder / blob_id[:2] / blob_id


class _FolderSync:
    """Makes a folder's names durable. Those who wait while one flush runs share the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._changed = threading.Condition()
        self._asked = self._done = 0
        self._running = False

    def sync(self) -> None:
        """Return once all names that are in the folder now are on disk."""
        with self._changed:
            self._asked += 1
            mine = self._asked
            while self._running and self._done < mine:
                self._changed.wait()
            if self._done >= mine:
                return
            self._running = True
            covered = self._asked
        try:
            _sync_folder(self.folder)
        except BaseException:
            covered = 0
            raise
        finally:
            with self._changed:
                self._running = False
                self._done = max(self._done, covered)
                self._changed.notify_all()


def _write(file: BinaryIO, parts: Iterable[bytes]) -> tuple[int, str]:
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
    file.write(foot + zlib.crc32(foot).to_bytes(_CRC_SIZE_BYTES, "big"))
    return size_bytes, digest.hexdigest()


def _write_chunk(file: BinaryIO, number: int, chunk: bytearray | memoryview) -> None:
    file.write(_crc(number, chunk))
    file.write(chunk)


def _crc(number: int, chunk: bytes | bytearray | memoryview) -> bytes:
    return zlib.crc32(chunk, number & 0xFFFFFFFF).to_bytes(_CRC_SIZE_BYTES, "big")


def _read_foot(file: BinaryIO, blob_id: str) -> tuple[int, bytes]:
    """The size and the SHA-256 of a blob."""
    length = os.fstat(file.fileno()).st_size
    foot = os.pread(file.fileno(), _FOOT_SIZE_BYTES, max(0, length - _FOOT_SIZE_BYTES))
    size_bytes = int.from_bytes(foot[:8], "big")
    chunks = -(-size_bytes // CHUNK_SIZE_BYTES)
    right = zlib.crc32(foot[:40]).to_bytes(_CRC_SIZE_BYTES, "big") == foot[40:]
    if not right or length != size_bytes + chunks * _CRC_SIZE_BYTES + _FOOT_SIZE_BYTES:
        raise CorruptBlob(f"blob {blob_id}: its end is damaged or missing")
    return size_bytes, foot[8:40]


def _read_all(file: BinaryIO, blob_id: str, size_bytes: int, sha256: bytes) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for chunk in _read(file, blob_id, 0, size_bytes, size_bytes):
        digest.update(chunk)
        yield chunk
    if digest.digest() != sha256:
        raise CorruptBlob(f"blob {blob_id}: its SHA-256 is another")


def _read(file: BinaryIO, blob_id: str, start: int, end: int, size_bytes: int) -> Iterator[bytes]:
    with file:
        number, skip = divmod(start, CHUNK_SIZE_BYTES)
        file.seek(number * _STRIDE_BYTES)
        position = start - skip
        while position < end:
            raw = file.read(_CRC_SIZE_BYTES + min(CHUNK_SIZE_BYTES, size_bytes - position))
            chunk = memoryview(raw)[_CRC_SIZE_BYTES:]
            if _crc(number, chunk) != raw[:_CRC_SIZE_BYTES]:
                raise CorruptBlob(f"blob {blob_id}: the chunk at byte {position} is damaged")
            if wanted := bytes(chunk[skip : end - position]):
                yield wanted
            skip = 0
            number += 1
            position += CHUNK_SIZE_BYTES


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
