"""Blobs in a local folder: written beside their place, flushed, renamed into it.

The files are in the form of `blobs_format`. Their names are random, spread over 256 folders.
"""

import contextlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from headrace.store import blobs_format
from headrace.store.blobs import BlobRef

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
        folder.chmod(0o700)
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
                size_bytes, sha256 = blobs_format.write(file, (data,) if isinstance(data, bytes) else data)
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
            length = os.fstat(file.fileno()).st_size
            foot = os.pread(file.fileno(), blobs_format.FOOT_SIZE_BYTES, max(0, length - blobs_format.FOOT_SIZE_BYTES))
            blobs_format.check_foot(foot, length, blob_id)
        except BaseException:
            file.close()
            raise
        extent = blobs_format.extent(length, start, end)
        file.seek(extent.begin)
        return blobs_format.read(file, blob_id, extent)

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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
