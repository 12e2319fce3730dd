"""aws-chunked bodies, gzip bodies and checksums."""

import base64
import gzip
import hashlib
import io
import zlib

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum, Sha256Checksum
from hypothesis import given
from hypothesis import strategies as st

from headrace.kit.errors import AwsError, RequestEntityTooLarge, SerializationException
from headrace.wire import checksums
from headrace.wire.body import body_decoder, decode_body

CHUNKED = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "content-encoding": "aws-chunked"}


def decode(headers: dict[str, str], pieces: list[bytes]) -> bytes:
    decoder = body_decoder(None, headers)
    payload = b"".join(decoder.feed(piece) for piece in pieces)
    decoder.finish()
    return payload


@given(payload=st.binary(max_size=4000), chunk_size=st.integers(1, 900), piece_size=st.integers(1, 700))
def test_chunked__what_botocore_wraps_is_unwrapped(payload: bytes, chunk_size: int, piece_size: int) -> None:
    wrapped = AwsChunkedWrapper(io.BytesIO(payload), Crc32Checksum, "x-amz-checksum-crc32", chunk_size).read()
    headers = {**CHUNKED, "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(len(payload))}
    assert decode(headers, [wrapped[at : at + piece_size] for at in range(0, len(wrapped), piece_size)]) == payload


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60), st.sampled_from([b"5\r\nhello\r\n", b"0\r\n", b"\r\n", b"x-amz-checksum-crc32:", b"\n"])
        )
    )
)
def test_chunked__no_bytes_crash_it(pieces: list[bytes]) -> None:
    decoder = body_decoder(None, {**CHUNKED, "x-amz-decoded-content-length": "5"})
    try:
        for piece in pieces:
            decoder.feed(piece)
        decoder.finish()
    except AwsError as error:
        assert error.status == 400  # noqa: PT017


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:!\r\n\r\n", "InvalidRequest"),
        (b"5\r\nhello\r\n0\r\n\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-sha1:AAAA\r\n\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n", "IncompleteBody"),
        (b"6\r\nhello\r\n", "IncompleteBody"),
        (b"6\r\nhello!\r\n", "IncompleteBody"),
        (b"4\r\nhello\r\n", "IncompleteBody"),
        (b"-5\r\nhello\r\n", "IncompleteBody"),
        (b"zz\r\n", "IncompleteBody"),
        (b"9" * 2000, "IncompleteBody"),
        (b"ffffffffffffffffff\r\n", "IncompleteBody"),
    ],
)
def test_chunked__faults_have_s3s_codes(body: bytes, code: str) -> None:
    headers = {**CHUNKED, "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": "5"}
    with pytest.raises(AwsError) as found:
        decode(headers, [body])
    assert found.value.code == code


def test_chunked__sha256_trailer() -> None:
    wrapped = AwsChunkedWrapper(io.BytesIO(b"hello"), Sha256Checksum, "x-amz-checksum-sha256").read()
    assert decode({**CHUNKED, "x-amz-trailer": "x-amz-checksum-sha256"}, [wrapped]) == b"hello"


def b64(value: int, length: int) -> str:
    return base64.b64encode(value.to_bytes(length, "big")).decode()


# The check values of the CRC catalogue, and hashlib's.
KNOWN = [
    ("crc32", b64(0xCBF43926, 4)),
    ("crc32c", b64(0xE3069283, 4)),
    ("crc64nvme", b64(0xAE8B14860A799888, 8)),
    ("sha1", base64.b64encode(hashlib.sha1(b"123456789").digest()).decode()),
    ("sha256", base64.b64encode(hashlib.sha256(b"123456789").digest()).decode()),
]


@pytest.mark.parametrize(("algorithm", "expected"), KNOWN)
def test_checksums__known_values_whole_and_in_pieces(algorithm: str, expected: str) -> None:
    for pieces in ([b"123456789"], [b"1234", b"", b"56789"], [bytes((c,)) for c in b"123456789"]):
        checksum = checksums.new(algorithm)
        for piece in pieces:
            checksum.update(piece)
        assert checksum.base64() == expected
    checksums.verify_checksums({f"x-amz-checksum-{algorithm}": expected}, b"123456789")
    with pytest.raises(checksums.BadDigest):
        checksums.verify_checksums({f"x-amz-checksum-{algorithm}": expected}, b"12345678")


@given(st.lists(st.binary(max_size=50)))
def test_checksums__crc32_is_zlibs(pieces: list[bytes]) -> None:
    checksum = checksums.new("CRC32")
    for piece in pieces:
        checksum.update(piece)
    assert checksum.base64() == b64(zlib.crc32(b"".join(pieces)), 4)


def test_content_md5() -> None:
    good = base64.b64encode(hashlib.md5(b"data").digest()).decode()
    checksums.verify_checksums({"content-md5": good}, b"data")
    with pytest.raises(checksums.BadDigest, match="The Content-MD5 you specified did not match what we received"):
        checksums.verify_checksums({"content-md5": good}, b"date")
    with pytest.raises(checksums.InvalidDigest):
        checksums.verify_checksums({"content-md5": "no"}, b"data")


def test_plain_body__declared_checksums_are_checked_as_it_streams() -> None:
    headers = {"x-amz-checksum-crc32": KNOWN[0][1]}
    assert decode(headers, [b"12345", b"6789"]) == b"123456789"
    with pytest.raises(checksums.BadDigest):
        decode(headers, [b"12345"])


def test_gzip__within_the_bound() -> None:
    headers = {"content-encoding": "gzip"}
    assert decode_body({}, b"plain", 10) == b"plain"
    assert decode_body(headers, gzip.compress(b"x" * 100), 100) == b"x" * 100
    with pytest.raises(RequestEntityTooLarge):
        decode_body(headers, gzip.compress(b"x" * 10_000_000), 100)
    for broken in (b"no gzip", gzip.compress(b"x" * 100)[:-4], b""):
        with pytest.raises(SerializationException):
            decode_body(headers, broken, 1000)
