"""Bodies as they come in: aws-chunked with or without signatures and trailers, plain ones with a hash, gzip with a bound.

A decoder is fed pieces of any size and gives back payload; it holds no more than one header line. What it gives back is to be
believed only once `finish` has returned: a wrong hash or signature is found at the end of the chunk or body that it covers.
"""

import hmac
import zlib
from collections.abc import Mapping
from hashlib import sha256

from headrace.kit.errors import AwsError, RequestEntityTooLarge, SerializationException
from headrace.wire import checksums
from headrace.wire import signature_errors as refuse
from headrace.wire.verified import Verified

CHUNK_LINE_BYTES_MAX = 1024
TRAILERS_BYTES_MAX = 8192
CHUNK_BYTES_MAX = 1 << 40

EMPTY_SHA256 = sha256(b"").hexdigest()

_S3 = "rest-xml"


class IncompleteBody(AwsError):
    """The body is shorter or longer than it said, or its chunks cannot be read."""

    code = "IncompleteBody"


class MalformedTrailerError(AwsError):
    """The trailers after the last chunk are not those that were announced."""

    code = "MalformedTrailerError"


class BodyDecoder:
    """A body without aws-chunked: its payload is itself. Also the base of the chunked one."""

    def __init__(self, verified: Verified | None, headers: Mapping[str, str]) -> None:
        self._verified = verified
        self._expected = verified.payload_sha256 if verified is not None and verified.payload == "hashed" else ""
        self._hash = sha256() if self._expected else None
        self._declared = checksums.declared(headers)
        self._running = {algorithm: checksums.new(algorithm) for algorithm, _ in self._declared}

    @property
    def checksums(self) -> Mapping[str, str]:
        """The checksums of the payload so far, by algorithm: those that the request named."""
        return {algorithm: checksum.base64() for algorithm, checksum in self._running.items()}

    def feed(self, data: bytes) -> bytes:
        """Take in what came, give back the payload in it."""
        self._take(data)
        return data

    def finish(self) -> None:
        """Say that all has come. Raises AwsError if it is not what was signed or announced."""
        if self._hash is not None and not hmac.compare_digest(self._hash.hexdigest(), self._expected):
            raise refuse.payload_mismatch(_S3, self._expected, self._hash.hexdigest())
        for algorithm, wanted in self._declared:
            checksums.refuse_mismatch(algorithm, wanted, self._running[algorithm].base64())

    def _take(self, payload: bytes) -> None:
        if self._hash is not None:
            self._hash.update(payload)
        for checksum in self._running.values():
            checksum.update(payload)


class ChunkedDecoder(BodyDecoder):
    """aws-chunked: SIZE[;chunk-signature=…]\\r\\n DATA \\r\\n … 0[;…]\\r\\n [trailers] \\r\\n"""

    def __init__(self, verified: Verified | None, headers: Mapping[str, str]) -> None:
        super().__init__(verified, headers)
        kind = verified.payload if verified is not None else "unsigned-trailer"
        self._signed = kind in ("chunks", "chunks-trailer")
        self._has_trailers = kind != "chunks"
        self._announced = {name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",") if name.strip()}
        for name in self._announced:
            algorithm = name.removeprefix(checksums.HEADER_PREFIX)
            if algorithm in checksums.ALGORITHMS:
                self._running.setdefault(algorithm, checksums.new(algorithm))
        length = headers.get("x-amz-decoded-content-length", "")
        self._length = int(length) if length.isdecimal() and len(length) < 16 else None
        self._previous = verified.signature if verified is not None else ""
        self._buffer = bytearray()
        self._state = "line"  # line, data, gap, trailers, done
        self._left = self._total = 0
        self._chunk_signature = ""
        self._chunk_hash = sha256()

    def feed(self, data: bytes) -> bytes:
        """Take in what came, give back the payload in it."""
        out: list[bytes] = []
        view = memoryview(data)
        while view and self._state != "done":
            if self._state == "data":
                piece = bytes(view[: self._left])
                view = view[len(piece) :]
                self._data(piece)
                out.append(piece)
            else:
                view = self._control(view)
        if len(view):
            raise IncompleteBody("The request body has more than its chunks")
        return b"".join(out)

    def finish(self) -> None:
        """Say that all has come. Raises AwsError if it is not what was signed or announced."""
        if self._state == "trailers" and not self._buffer.strip():
            # The empty line after the last chunk may be missing where no trailer was announced.
            self._trailers({})
        if self._state != "done":
            raise IncompleteBody("The request body terminated unexpectedly")
        if self._length is not None and self._total != self._length:
            raise IncompleteBody("You did not provide the number of bytes specified by the Content-Length HTTP header")
        super().finish()

    def _control(self, view: memoryview) -> memoryview:
        """Take bytes up to the end of a line; act on the line when it is whole."""
        at = bytes(view).find(b"\n") if len(view) <= 4096 else bytes(view[:4096]).find(b"\n")
        taken = view[: at + 1] if at >= 0 else view[:4096]
        self._buffer += taken
        limit = TRAILERS_BYTES_MAX if self._state == "trailers" else CHUNK_LINE_BYTES_MAX
        if len(self._buffer) > limit:
            raise IncompleteBody("A chunk's header is too long")
        if at >= 0:
            self._line()
        return view[len(taken) :]

    def _line(self) -> None:
        if self._state == "trailers":
            if not self._buffer.strip() or self._buffer.endswith((b"\r\n\r\n", b"\n\n")):
                self._trailers(_parse_trailers(bytes(self._buffer)))
            return
        line = bytes(self._buffer).rstrip(b"\r\n")
        self._buffer.clear()
        if self._state == "gap":
            if line:
                raise IncompleteBody("A chunk is longer than it said")
            self._state = "line"
            return
        size, _, extension = line.partition(b";")
        try:
            self._left = int(size, 16)
        except ValueError:
            raise IncompleteBody("A chunk's size cannot be read") from None
        if not 0 <= self._left <= CHUNK_BYTES_MAX or size.strip().startswith((b"+", b"-", b"0x")):
            raise IncompleteBody("A chunk's size cannot be read")
        name, _, value = extension.partition(b"=")
        self._chunk_signature = value.decode("latin-1").strip() if name.strip() == b"chunk-signature" else ""
        if self._left:
            self._state = "data"
            return
        self._end_chunk()
        self._state = "trailers"

    def _data(self, piece: bytes) -> None:
        self._left -= len(piece)
        self._total += len(piece)
        if self._length is not None and self._total > self._length:
            raise IncompleteBody("You did not provide the number of bytes specified by the Content-Length HTTP header")
        if self._signed:
            self._chunk_hash.update(piece)
        self._take(piece)
        if not self._left:
            self._end_chunk()
            self._state = "gap"

    def _end_chunk(self) -> None:
        if not self._signed:
            return
        verified = self._verified
        assert verified is not None
        text = (
            f"AWS4-HMAC-SHA256-PAYLOAD\n{verified.amz_date}\n{verified.scope}\n{self._previous}\n"
            f"{EMPTY_SHA256}\n{self._chunk_hash.hexdigest()}"
        )
        self._check(text, self._chunk_signature, verified)
        self._chunk_hash = sha256()

    def _trailers(self, trailers: Mapping[str, str]) -> None:
        signature = trailers.get("x-amz-trailer-signature", "")
        plain = {name: value for name, value in trailers.items() if name != "x-amz-trailer-signature"}
        if plain and not self._has_trailers:
            raise MalformedTrailerError("The request contained trailing data that was not announced")
        if self._announced - plain.keys() or plain.keys() - self._announced:
            raise MalformedTrailerError("The request contained trailing data that was not well-formed")
        verified = self._verified
        if self._signed and self._has_trailers and verified is not None and (plain or signature):
            canonical = "".join(f"{name}:{plain[name]}\n" for name in sorted(plain))
            text = (
                f"AWS4-HMAC-SHA256-TRAILER\n{verified.amz_date}\n{verified.scope}\n{self._previous}\n"
                f"{sha256(canonical.encode()).hexdigest()}"
            )
            self._check(text, signature, verified)
        for algorithm, value in checksums.declared(plain):
            self._declared.append((algorithm, value))
        self._state = "done"

    def _check(self, text: str, signature: str, verified: Verified) -> None:
        expected = hmac.digest(verified.signing_key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise refuse.mismatch(_S3)
        self._previous = expected


def body_decoder(verified: Verified | None, headers: Mapping[str, str]) -> BodyDecoder:
    """The decoder for a request's body. `verified` is None for an anonymous request."""
    chunked = verified is not None and verified.payload in ("chunks", "chunks-trailer", "unsigned-trailer")
    if verified is None:
        chunked = headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    if not chunked and "aws-chunked" in headers.get("content-encoding", ""):
        chunked = "x-amz-decoded-content-length" in headers
    return ChunkedDecoder(verified, headers) if chunked else BodyDecoder(verified, headers)


def decode_body(headers: Mapping[str, str], body: bytes, limit_bytes: int) -> bytes:
    """Undo Content-Encoding: gzip, giving no more than the limit. Raises RequestEntityTooLarge, SerializationException."""
    if "gzip" not in headers.get("content-encoding", "").lower():
        return body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise SerializationException("The request body is not gzip, as its Content-Encoding says") from None
    if len(plain) > limit_bytes:
        raise RequestEntityTooLarge(f"The request body is larger than {limit_bytes} bytes when unpacked")
    if not unpacker.eof:
        raise SerializationException("The gzip request body is cut short")
    return plain


def _parse_trailers(data: bytes) -> dict[str, str]:
    found = {}
    for line in data.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.strip():
            found[name.strip().lower()] = value.strip()
    return found
