"""What is computed of bytes while they pass: MD5 for the ETag, and the checksum that the caller chose."""

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping

import anycrc

from headrace.kit.errors import UnsupportedParameter
from headrace.services.s3 import errors
from headrace.wire import checksums

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5")
DEFAULT_ALGORITHM = "CRC64NVME"
_CRCS = {"CRC32": (anycrc.Model("CRC32"), 4), "CRC32C": (anycrc.Model("CRC32C"), 4), "CRC64NVME": (anycrc.Model("CRC64-NVME"), 8)}


class Wanted:
    """The checksums that a caller sent, and the one to keep."""

    def __init__(
        self, md5: str | None = None, algorithm: str | None = None, sent: Mapping[str, str | None] | None = None
    ) -> None:
        self.md5 = None if md5 is None else _md5(md5)
        self.sent = {name: value for name, value in (sent or {}).items() if value is not None}
        if len(self.sent) > 1:
            raise errors.InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
        chosen = next(iter(self.sent), algorithm)
        if chosen is not None and chosen not in ALGORITHMS:
            raise UnsupportedParameter(f"Headrace does not compute the checksum {chosen}; it has {', '.join(ALGORITHMS)}.")
        self.algorithm = chosen or DEFAULT_ALGORITHM
        if algorithm is not None and self.sent and algorithm != chosen:
            raise errors.InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")


class Passing:
    """Computes while bytes pass, and refuses them at their end if they are not what was announced."""

    def __init__(self, wanted: Wanted, length: int | None, size_max_bytes: int) -> None:
        self._wanted, self._length, self._size_max_bytes = wanted, length, size_max_bytes
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksum = checksums.new(wanted.algorithm)
        self.size_bytes = 0

    def through(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts again. Raises at their end what is wrong with them."""
        for part in parts:
            self.size_bytes += len(part)
            if self.size_bytes > self._size_max_bytes:
                raise too_large(self.size_bytes, self._size_max_bytes)
            self._md5.update(part)
            self._checksum.update(part)
            yield part
        self._check()

    def _check(self) -> None:
        if self._length is not None and self.size_bytes != self._length:
            raise errors.IncompleteBody(
                "You did not provide the number of bytes specified by the Content-Length HTTP header"
            )  # fmt: skip
        if self._wanted.md5 not in (None, self._md5.digest()):
            raise errors.BadDigest(
                "The Content-MD5 you specified did not match what we received.",
                ExpectedDigest=b64encode(self._wanted.md5 or b"").decode(), 
                CalculatedDigest=b64encode(self._md5.digest()).decode(),
            )  # fmt: skip
        for name, value in self._wanted.sent.items():
            if value != self._checksum.base64():
                raise errors.bad_checksum(name)

    @property
    def etag(self) -> str:
        """The MD5 in hexadecimal digits."""
        return self._md5.hexdigest()

    @property
    def checksums(self) -> dict[str, str]:
        """The checksum that is kept, by its algorithm."""
        return {self._wanted.algorithm: self._checksum.base64()}


def too_large(size_bytes: int, size_max_bytes: int) -> errors.EntityTooLarge:
    """The body is larger than it may be."""
    return errors.EntityTooLarge(
        "Your proposed upload exceeds the maximum allowed size", ProposedSize=size_bytes, MaxSizeAllowed=size_max_bytes
    )  # fmt: skip


def composite_etag(etags: Iterable[str], count: int) -> str:
    """The ETag of an object of parts: the MD5 of their MD5s."""
    whole = hashlib.md5(b"".join(bytes.fromhex(etag) for etag in etags), usedforsecurity=False)
    return f"{whole.hexdigest()}-{count}"


def composite(algorithm: str, values: Iterable[str], count: int) -> str:
    """The checksum of the parts' checksums."""
    checksum = checksums.new(algorithm)
    checksum.update(b"".join(map(b64decode, values)))
    return f"{checksum.base64()}-{count}"


def full_object(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """The checksum of the whole from the CRCs of its parts and their sizes."""
    model, length = _CRCS[algorithm]
    value = 0
    for text, size_bytes in parts:
        value = model.combine(value, int.from_bytes(b64decode(text), "big"), size_bytes)
    return b64encode(value.to_bytes(length, "big")).decode()


def _md5(text: str) -> bytes:
    try:
        found = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != 16:
        raise errors.InvalidDigest("The Content-MD5 you specified was invalid.", **{"Content-MD5": text})
    return found
