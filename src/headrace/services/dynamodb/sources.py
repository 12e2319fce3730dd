"""Objects in a bucket that hold items: lines of DynamoDB JSON or of Ion, compressed or not. Imports and bulk puts read them."""

import importlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec

from headrace.kit.errors import AwsError
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import ion
from headrace.services.dynamodb.engine.values import Item

_decode_json = msgspec.json.Decoder(dict[str, Any]).decode


# The number of what is wrong with an object as a whole: behind those of all its lines.
WHOLE = 1 << 62


class Unreadable(Exception):
    """A line that is no item, or a file that is not of its form."""


class _Decompressor(Protocol):
    """What zlib and zstandard both have."""

    @property
    def unused_data(self) -> bytes:
        """What follows the end of the compressed data."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed data was seen."""

    def decompress(self, data: bytes, /) -> bytes:
        """The bytes behind some."""


def decompressed(chunks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """The bytes behind chunks that are compressed with GZIP or ZSTD, or with NONE. Unreadable when they are not."""
    if compression == "NONE":
        yield from chunks
        return
    if compression == "GZIP":

        def new() -> _Decompressor:
            return zlib.decompressobj(31)
    else:
        # Loaded when it is first needed: a server that imports nothing does without.
        zstandard = importlib.import_module("zstandard")

        def new() -> _Decompressor:
            return zstandard.ZstdDecompressor().decompressobj()  # type: ignore[no-any-return]

    inner = new()
    begun = False
    for chunk in chunks:
        data = chunk
        while data:
            try:
                yield inner.decompress(data)
            except Exception as error:
                raise Unreadable(f"The object is not compressed with {compression}: {error}") from None
            begun, data = True, inner.unused_data
            if data:
                # A file may be several compressed ones, one behind the other.
                inner = new()
    if begun and not inner.eof:
        raise Unreadable(f"The object ends within its {compression} data: it was cut short")


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of chunks. Unreadable when one is too long."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield _decoded(line)
        if len(rest) > limits.IMPORT_LINE_SIZE_MAX_BYTES:
            raise Unreadable(f"A line is longer than {limits.IMPORT_LINE_SIZE_MAX_BYTES} bytes")
    if rest:
        yield _decoded(rest)


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def json_record(line: str) -> dict[str, Any]:
    """The members of a line of DynamoDB JSON: `Item`, and what stands beside it. Unreadable says what is wrong."""
    try:
        return _decode_json(line.encode())
    except msgspec.MsgspecError as error:
        raise Unreadable(f"The line is no JSON: {error}") from None


def ion_record(line: str) -> dict[str, Any] | None:
    """The members of a line of Ion, each a value in DynamoDB's form; None when it has no value."""
    try:
        found = ion.read(line)
    except (ion.NotIon, AwsError) as error:
        raise Unreadable(f"The line is no Ion: {error}") from None
    if found is None:
        return None
    members: dict[str, Any] = found.get("M", {})
    return members


def item_of(line: str, form: str) -> Item | None:
    """The item of a line; None when it has none."""
    if form != "ION":
        return checked(json_record(line).get("Item"))
    found = ion_record(line)
    return None if found is None else checked(found.get("Item", {}).get("M"))


def checked(item: Any) -> Item:
    """An item, if it has the form of one."""
    if not isinstance(item, dict):
        raise Unreadable('The line has no structure "Item"')
    if not all(isinstance(value, dict) for value in item.values()):
        raise Unreadable("An attribute is not in DynamoDB's form")
    return item
