"""Checksums of bodies: x-amz-checksum-* and Content-MD5, all at once or piece by piece."""

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol
from zlib import crc32

import anycrc

from headrace.kit.errors import AwsError

HEADER_PREFIX = "x-amz-checksum-"

_CRC32C = anycrc.Model("CRC32C")
_CRC64NVME = anycrc.Model("CRC64-NVME")


class BadDigest(AwsError):
    """The body is not the one whose checksum was sent."""

    code = "BadDigest"


class InvalidDigest(AwsError):
    """A Content-MD5 that is none."""

    code = "InvalidDigest"


class InvalidRequest(AwsError):
    """A checksum header that is none."""

    code = "InvalidRequest"


class Checksum(Protocol):
    """A checksum in the making."""

    name: str

    def update(self, data: bytes) -> None:
        """Take in more of the body."""

    def base64(self) -> str:
        """The checksum of what was taken in so far, as its header carries it."""


class _Hash:
    """SHA-1, SHA-256 and MD5."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._state = hashlib.new(name, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self._state.update(data)

    def base64(self) -> str:
        return b64encode(self._state.digest()).decode()


class _Crc:
    """The three CRCs; each continues from what came out so far."""

    _STEPS: ClassVar[Mapping[str, tuple[Callable[[bytes, int], int], int]]] = {
        "crc32": (crc32, 4),
        "crc32c": (_CRC32C.calc, 4),
        "crc64nvme": (_CRC64NVME.calc, 8),
    }

    def __init__(self, name: str) -> None:
        self.name = name
        self._step, self._length = self._STEPS[name]
        self._value: int | None = None

    def update(self, data: bytes) -> None:
        if data:
            self._value = self._step(data, self._value or 0)

    def base64(self) -> str:
        return b64encode((self._value or 0).to_bytes(self._length, "big")).decode()


ALGORITHMS: Mapping[str, Callable[[str], Checksum]] = {
    "crc32": _Crc,
    "crc32c": _Crc,
    "crc64nvme": _Crc,
    "sha1": _Hash,
    "sha256": _Hash,
    "sha512": _Hash,
    "md5": _Hash,
}


def new(algorithm: str) -> Checksum:
    """A checksum to be filled. KeyError for an algorithm that is not spoken here."""
    name = algorithm.lower()
    return ALGORITHMS[name](name)


def declared(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The checksums that a request's headers name: (algorithm, base64). Raises InvalidRequest or InvalidDigest."""
    found = []
    md5 = headers.get("content-md5")
    if md5 is not None:
        if _length(md5) != 16:
            raise InvalidDigest("The Content-MD5 you specified was invalid.", **{"Content-MD5": md5})
        found.append(("md5", md5))
    for name, value in headers.items():
        if not name.startswith(HEADER_PREFIX):
            continue
        algorithm = name[len(HEADER_PREFIX) :]
        if algorithm in ALGORITHMS:
            if _length(value) != _length(new(algorithm).base64()):
                raise InvalidRequest(f"Value for {name} header is invalid.")
            found.append((algorithm, value))
    return found


def refuse_mismatch(algorithm: str, wanted: str, computed: str) -> None:
    """Raise BadDigest unless both are the same."""
    if wanted == computed:
        return
    if algorithm == "md5":
        raise BadDigest(
            "The Content-MD5 you specified did not match what we received.",
            ExpectedDigest=wanted,
            CalculatedDigest=computed,
        )
    raise BadDigest(f"The {algorithm.upper()} you specified did not match the calculated checksum.")


def verify_checksums(headers: Mapping[str, str], body: bytes) -> None:
    """Check a whole body against every checksum that its headers name. Raises BadDigest, InvalidDigest, InvalidRequest."""
    for algorithm, wanted in declared(headers):
        checksum = new(algorithm)
        checksum.update(body)
        refuse_mismatch(algorithm, wanted, checksum.base64())


def _length(text: str) -> int:
    try:
        return len(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return -1
