"""Blobs in a bucket of our own S3: the same promises as in a folder."""

import secrets
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from conftest import ROOT_SECRET, HeadraceServer
from headrace.kit.accounts import account_credentials
from headrace.store.blobs import CorruptBlob
from headrace.store.blobs_bucket import BucketBlobs
from headrace.store.blobs_format import CHUNK_SIZE_BYTES
from headrace.store.bucket import Bucket, BucketError


@pytest.fixture
def name(client: Callable[..., Any]) -> str:
    made = "blobs-" + secrets.token_hex(8)
    client("s3").create_bucket(Bucket=made)
    return made


@pytest.fixture
def url(server: HeadraceServer, account: str, name: str) -> str:
    key, secret = account_credentials(ROOT_SECRET, account)
    return f"http://{key}:{quote(secret, safe='')}@127.0.0.1:{server.port}/{name}/some/place?region=us-east-1"


@pytest.fixture
def blobs(url: str) -> Iterator[BucketBlobs]:
    bucket = Bucket(url)
    yield BucketBlobs(bucket)
    bucket.close()


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES + 1, 3 * CHUNK_SIZE_BYTES + 7, 2_000_000])
def test_open__gives_any_part(blobs: BucketBlobs, size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    ref = blobs.put(data[at : at + 100_000] for at in range(0, size, 100_000))
    assert ref.size_bytes == size
    assert blobs.get(ref.id) == data
    for start, end in ((0, None), (0, 10), (10, None), (CHUNK_SIZE_BYTES - 1, CHUNK_SIZE_BYTES + 1), (size, size + 5), (7, 7)):
        assert b"".join(blobs.open(ref.id, start, end)) == data[start:end]


def test_delete_and_sweep(blobs: BucketBlobs) -> None:
    kept, orphan, gone, other = blobs.put(b"kept"), blobs.put(b"orphan"), blobs.put(b"gone"), blobs.space("s3").put(b"other")
    blobs.delete(gone.id)
    blobs.delete(gone.id)
    with pytest.raises(KeyError):
        blobs.open(gone.id)
    assert blobs.sweep(lambda blob_id: blob_id == kept.id, older_than_seconds=3600) == 0
    assert blobs.sweep(lambda blob_id: blob_id == kept.id, older_than_seconds=-1e8) == 1
    assert blobs.get(kept.id) == b"kept"
    with pytest.raises(KeyError):
        blobs.open(orphan.id, 1, 2)
    assert blobs.space("s3").get(other.id) == b"other"
    with pytest.raises(KeyError):
        blobs.get("../../etc")


@pytest.mark.parametrize("change", ["bit", "cut", "empty"])
def test_open__notices_damage(blobs: BucketBlobs, client: Callable[..., Any], name: str, change: str) -> None:
    ref = blobs.put(b"x" * 200_000)
    key = f"some/place/blobs/{ref.id[:2]}/{ref.id}"
    s3 = client("s3")
    raw = bytearray(s3.get_object(Bucket=name, Key=key)["Body"].read())
    raw[100_000] ^= 1
    s3.put_object(Bucket=name, Key=key, Body={"bit": bytes(raw), "cut": bytes(raw[:150_000]), "empty": b""}[change])
    with pytest.raises(CorruptBlob):
        blobs.get(ref.id)
    with pytest.raises((CorruptBlob, BucketError)):
        b"".join(blobs.open(ref.id, 90_000, 110_000))


def test_bucket__says_what_is_wrong(url: str) -> None:
    for wrong in ("http://host/bucket", "ftp://a:b@host/bucket", "http://a:b@host/"):
        with pytest.raises(ValueError, match="a bucket is named"):
            Bucket(wrong)
    bucket = Bucket(url.replace("/blobs-", "/nobody-"))
    with pytest.raises(BucketError, match="NoSuchBucket"):
        BucketBlobs(bucket).put(b"x")
    bucket.close()


def test_server__keeps_its_objects_in_a_bucket(url: str, tmp_path: Path, client: Callable[..., Any], name: str) -> None:
    """A second server, whose large data lies in a bucket of the first."""
    second = HeadraceServer(tmp_path / "data", environment={"HEADRACE_BLOBS_URL": url}).start()
    try:
        s3 = second.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"y" * 1_000_000)
        assert s3.get_object(Bucket="bucket", Key="k", Range="bytes=999990-")["Body"].read() == b"y" * 10
        signed = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"})
        assert signed.startswith(second.url)
        listed = client("s3").list_objects_v2(Bucket=name, Prefix="some/place/blobs/spaces/s3/")
        assert [one["Size"] > 1_000_000 for one in listed["Contents"]] == [True]
        urllib.request.urlopen(f"{second.url}/_headrace/health").close()
    finally:
        second.stop()
