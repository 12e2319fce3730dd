"""Blobs in an S3-compatible bucket: for several nodes, and for more data than one disk has.

An object is in the form of `blobs_format`, so what comes back is verified here, whatever the bucket does. A blob is gathered in
a temporary file first, because its length and digest go before it.
"""

import hashlib
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from headrace.store import blobs_format
from headrace.store.blobs import BlobRef, CorruptBlob
from headrace.store.bucket import Bucket, BucketError

MEMORY_SIZE_MAX_BYTES = 1 << 20

_ID = re.compile(r"[0-9a-f]{32}\Z")
_SPACE = re.compile(r"[a-z0-9]{1,32}\Z")
_RANGE = re.compile(r"bytes \d+-\d+/(\d+)\Z")


class BucketBlobs:
    """Blobs in a bucket, below a prefix."""

    def __init__(self, bucket: Bucket, prefix: str = "blobs/") -> None:
        self._bucket, self._prefix = bucket, prefix

    def put(self, data: bytes | Iterable[bytes]) -> BlobRef:
        """Keep the bytes; as durable on return as the bucket is. BucketError."""
        blob_id = secrets.token_hex(16)
        with tempfile.SpooledTemporaryFile(MEMORY_SIZE_MAX_BYTES) as file:
            writer = _Hashing(file)  # type: ignore[arg-type]
            size_bytes, sha256 = blobs_format.write(writer, (data,) if isinstance(data, bytes) else data)
            self._bucket.put(self._key(blob_id), file, writer.size_bytes, writer.digest.hexdigest())  # type: ignore[arg-type]
        return BlobRef(blob_id, size_bytes, sha256)

    def open(self, blob_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes start <= i < end, chunk by chunk, each verified; with all of them, their SHA-256, too."""
        if start == 0 and end is None:
            answer = self._bucket.get(self._key(blob_id))
            if answer is None:
                raise KeyError(blob_id)
            length = int(answer.headers.get("content-length", "-1"))
            if length < blobs_format.FOOT_SIZE_BYTES:
                answer.body.close()
                raise CorruptBlob(f"blob {blob_id}: its end is missing")
            return blobs_format.read(answer.body, blob_id, blobs_format.extent(length, 0, None))
        length = self._length(blob_id)
        part = blobs_format.extent(length, start, end)
        if part.start == part.end:
            return iter(())
        answer = self._bucket.get(self._key(blob_id), f"bytes={part.begin}-{part.stop - 1}")
        if answer is None:
            raise KeyError(blob_id)
        if int(answer.headers.get("content-length", "-1")) != part.stop - part.begin:
            answer.body.close()
            raise CorruptBlob(f"blob {blob_id}: the bucket gave another part than was asked for")
        return blobs_format.read(answer.body, blob_id, part)

    def get(self, blob_id: str) -> bytes:
        """All bytes at once, verified."""
        return b"".join(self.open(blob_id))

    def delete(self, blob_id: str) -> None:
        """Remove a blob, if it is there."""
        self._bucket.delete(self._key(blob_id))

    def sweep(self, is_referenced: Callable[[str], bool], older_than_seconds: float) -> int:
        """Delete blobs of this space that nobody refers to and that are older than that; how many."""
        limit = time.time() - older_than_seconds
        count = 0
        for listed in self._bucket.list(self._prefix):
            blob_id = listed.key.rpartition("/")[2]
            own = listed.key == self._prefix + blob_id[:2] + "/" + blob_id and _ID.match(blob_id)
            if own and listed.modified_at < limit and not is_referenced(blob_id):
                self._bucket.delete(listed.key)
                count += 1
        return count

    def space(self, name: str) -> "BucketBlobs":
        """A prefix of its own, with blobs and a sweep of its own."""
        if not _SPACE.match(name):
            raise ValueError(f"no name for a space of blobs: {name!r}")
        return BucketBlobs(self._bucket, f"{self._prefix}spaces/{name}/")

    def _key(self, blob_id: str) -> str:
        if not _ID.match(blob_id):
            raise KeyError(blob_id)
        return f"{self._prefix}{blob_id[:2]}/{blob_id}"

    def _length(self, blob_id: str) -> int:
        """The length of a blob's object, from its foot."""
        answer = self._bucket.get(self._key(blob_id), f"bytes=-{blobs_format.FOOT_SIZE_BYTES}")
        if answer is None:
            raise KeyError(blob_id)
        foot = answer.body.read(blobs_format.FOOT_SIZE_BYTES)
        answer.body.read()
        answer.body.close()
        found = _RANGE.match(answer.headers.get("content-range", ""))
        if found is None:
            raise BucketError("the bucket does not know ranges")
        length = int(found.group(1))
        blobs_format.check_foot(foot, length, blob_id)
        return length


class _Hashing:
    """Writes to a file, and counts and digests what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        self._file.write(data)
        self.digest.update(data)
        self.size_bytes += len(data)
