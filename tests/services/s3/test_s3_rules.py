"""S3's decisions: names, ranges, conditions, tags; listing against a plain list; checksums of parts."""

import base64
import hashlib
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.s3 import digests, errors, rules
from headrace.services.s3.listing import Place, page


@pytest.mark.parametrize("name", ["abc", "a-b.c1", "0aa", "a" * 63])
def test_check_bucket_name__takes(name: str) -> None:
    rules.check_bucket_name(name)


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Abc", "a_b", "-abc", "abc-", "a..b", "a.-b", "192.168.5.4", "xn--abc", "abc-s3alias", "a\nb", "äbc"]
)
def test_check_bucket_name__refuses(name: str) -> None:
    with pytest.raises(errors.InvalidBucketName):
        rules.check_bucket_name(name)


@pytest.mark.parametrize(
    ("text", "size_bytes", "span"),
    [
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=2-", 10, (2, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-30", 10, (0, 10)),
        ("bytes=5-100", 10, (5, 10)),
        ("bytes=5-4", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("lines=0-1", 10, None),
        (None, 10, None),
    ],
)
def test_span(text: str | None, size_bytes: int, span: tuple[int, int] | None) -> None:
    assert rules.span(text, size_bytes) == span


@pytest.mark.parametrize(("text", "size_bytes"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_span__outside(text: str, size_bytes: int) -> None:
    with pytest.raises(errors.InvalidRange):
        rules.span(text, size_bytes)


def test_check_read__precedence() -> None:
    fits = rules.Conditions(match='"abc"', unmodified_since=1.0)
    rules.check_read(fits, "abc", 100.0)
    with pytest.raises(errors.PreconditionFailed):
        rules.check_read(rules.Conditions(unmodified_since=99.0), "abc", 100.5)
    with pytest.raises(errors.NotModified):
        rules.check_read(rules.Conditions(none_match='"x", W/"abc"'), "abc", 100.0)
    with pytest.raises(errors.NotModified):
        rules.check_read(rules.Conditions(modified_since=100.0), "abc", 100.9)
    rules.check_read(rules.Conditions(none_match="other", modified_since=200.0), "abc", 100.0)
    with pytest.raises(errors.PreconditionFailed):
        rules.check_read(rules.Conditions(none_match="*"), "abc", 100.0, source=True)


def test_check_write() -> None:
    rules.check_write(None, "*", None, "k")
    with pytest.raises(errors.PreconditionFailed):
        rules.check_write(None, "*", "abc", "k")
    rules.check_write('"abc"', None, "abc", "k")
    with pytest.raises(errors.PreconditionFailed):
        rules.check_write('"abd"', None, "abc", "k")
    with pytest.raises(errors.NoSuchKey):
        rules.check_write('"abd"', None, None, "k")


def test_copy_source() -> None:
    assert rules.copy_source("/b/a%2Bb%20c?versionId=v") == ("b", "a+b c", "v")
    assert rules.copy_source("b/x/y") == ("b", "x/y", None)
    for text in ("b", "/b/", "", "arn:aws:s3:x/y"):
        with pytest.raises(errors.InvalidArgument):
            rules.copy_source(text)


def test_tags_of_header() -> None:
    assert rules.tags_of_header("a=1&b=x%20y&c=") == {"a": "1", "b": "x y", "c": ""}
    for text in ("a=1&a=2", "aws:x=1", "=1", "a=" + "x" * 257, "&".join(f"k{n}=v" for n in range(11)), "a=%3C"):
        with pytest.raises(errors.InvalidTag):
            rules.tags_of_header(text)


keys = st.lists(st.text(alphabet="ab/\x00é\U0001f600", min_size=1, max_size=6), unique=True, max_size=20)


@given(keys=keys, prefix=st.text("ab/", max_size=3), delimiter=st.sampled_from(["", "/", "b", "ab"]), limit=st.integers(1, 5))
def test_page__all_pages_are_the_whole(keys: list[str], prefix: str, delimiter: str, limit: int) -> None:
    ordered = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)

    def scan(place: Place) -> Iterator[tuple[str, None]]:
        for key in ordered:
            if key.encode() > place.key.encode() and not (place.group and key.startswith(place.key)):
                yield key, None

    expected: list[str] = []
    for key in ordered:
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        shown = key if at < 0 else "group " + key[: at + len(delimiter)]
        if shown not in expected:
            expected.append(shown)
    found: list[str] = []
    place, pages = None, 0
    while True:
        one = page(scan, prefix, delimiter, place, limit)
        assert len(one.rows) + len(one.groups) <= limit
        found += [key for key, _ in one.rows] + ["group " + group for group in one.groups]
        place, pages = one.next, pages + 1
        if place is None:
            break
    assert sorted(found) == sorted(expected)
    assert pages == max(1, -(-len(expected) // limit))


def test_page__limit_zero_is_empty_and_not_truncated() -> None:
    assert page(lambda place: iter([("a", None)]), "", "", None, 0) == ([], [], None)


@given(parts=st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_full_object__is_the_checksum_of_the_whole(parts: list[bytes]) -> None:
    def crc(data: bytes) -> str:
        return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()

    assert digests.full_object("CRC32", [(crc(part), len(part)) for part in parts]) == crc(b"".join(parts))


def test_composite__is_made_of_the_parts_digests() -> None:
    parts = [b"hello", b"world"]
    etags = [hashlib.md5(part).hexdigest() for part in parts]
    whole = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    assert digests.composite_etag(etags, 2) == whole + "-2"
    sums = [base64.b64encode(hashlib.sha256(part).digest()).decode() for part in parts]
    both = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
    assert digests.composite("SHA256", sums, 2) == base64.b64encode(both).decode() + "-2"
