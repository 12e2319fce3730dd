"""Objects through boto3: written, read in parts and under conditions, copied, deleted."""

import base64
import hashlib
import http.client
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError
from tests.services.s3.refusals import refused

from conftest import eventually

SIZES = [0, 1, 8192, 8193, 300_000, 1_500_000]


@pytest.mark.parametrize("size", SIZES)
def test_put_object__comes_back(s3: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="a/b c+ü%.bin", Body=data, ContentType="image/png", Metadata={"who": "me"})
    assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert put["ChecksumCRC32"] == base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    got = s3.get_object(Bucket=bucket, Key="a/b c+ü%.bin", ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    assert got["ContentLength"] == size
    assert (got["ContentType"], got["Metadata"]) == ("image/png", {"who": "me"})
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    head = s3.head_object(Bucket=bucket, Key="a/b c+ü%.bin")
    assert head["ContentLength"] == size
    assert head["ETag"] == put["ETag"]


@pytest.mark.parametrize("payload", ["signed", "unsigned"])
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_put_object__checksums(client: Callable[..., Any], bucket: str, algorithm: str, payload: str) -> None:
    s3 = client("s3", config=Config(s3={"payload_signing_enabled": payload == "signed"}, retries={"max_attempts": 0}))
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt")
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 20_000, ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_put_object__without_a_checksum_has_aws_default(client: Callable[..., Any], bucket: str) -> None:
    s3 = client("s3", config=Config(request_checksum_calculation="when_required"))
    s3.put_object(Bucket=bucket, Key="k", Body=b"123456789")
    # The check value of CRC-64/NVME in the catalogue of CRCs.
    expected = base64.b64encode(0xAE8B14860A799888.to_bytes(8, "big")).decode()
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumCRC64NVME"] == expected


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_put_object__refuses_what_does_not_fit_its_digest(s3: Any, bucket: str, size: int) -> None:
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x" * size, ContentMD5=wrong) == ("BadDigest", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x" * size, ContentMD5="zzz")[0] == "InvalidDigest"
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x" * size, ChecksumSHA256=wrong) == ("BadDigest", 400)
    assert refused(s3.head_object, Bucket=bucket, Key="k") == ("404", 404)


def test_put_object__conditions(s3: Any, bucket: str) -> None:
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*") == ("PreconditionFailed", 412)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first["ETag"])
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"4", IfMatch=first["ETag"]) == ("PreconditionFailed", 412)
    assert refused(s3.put_object, Bucket=bucket, Key="other", Body=b"4", IfMatch=first["ETag"]) == ("NoSuchKey", 404)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


def test_put_object__limits(s3: Any, bucket: str) -> None:
    assert refused(s3.put_object, Bucket=bucket, Key="k" * 1025, Body=b"")[0] == "KeyTooLongError"
    assert refused(s3.put_object, Bucket=bucket, Key="k", Metadata={"a": "x" * 2048})[0] == "MetadataTooLarge"
    assert refused(s3.put_object, Bucket=bucket, Key="k", StorageClass="WARM")[0] == "InvalidStorageClass"
    assert refused(s3.put_object, Bucket=bucket, Key="k", ACL="public-read")[0] == "AccessControlListNotSupported"
    assert refused(s3.put_object, Bucket=bucket, Key="k", ServerSideEncryption="aws:kms") == ("NotImplemented", 501)
    assert refused(s3.put_object, Bucket=bucket, Key="k", ObjectLockMode="GOVERNANCE") == ("NotImplemented", 501)
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"x", StorageClass="STANDARD_IA", ServerSideEncryption="AES256")
    assert s3.head_object(Bucket=bucket, Key="k" * 1024)["StorageClass"] == "STANDARD_IA"


@pytest.mark.parametrize("size", [100, 200_000, 1_000_000])
def test_get_object__ranges(s3: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    for text, part in (
        ("bytes=0-0", data[:1]),
        ("bytes=10-", data[10:]),
        ("bytes=-7", data[-7:]),
        (f"bytes={size // 2}-{size * 2}", data[size // 2 :]),
    ):
        got = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert got["Body"].read() == part
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        start = size - len(part) if text != "bytes=0-0" else 0
        assert got["ContentRange"] == f"bytes {start}-{start + len(part) - 1}/{size}"
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=9-3")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refused(s3.get_object, Bucket=bucket, Key="k", Range=f"bytes={size}-") == ("InvalidRange", 416)


def test_get_object__conditions(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    head = s3.head_object(Bucket=bucket, Key="k")
    etag, changed = head["ETag"], head["LastModified"]
    assert refused(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag) == ("304", 304)
    assert refused(s3.get_object, Bucket=bucket, Key="k", IfModifiedSince=changed) == ("304", 304)
    assert refused(s3.get_object, Bucket=bucket, Key="k", IfMatch='"x"') == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=etag, IfUnmodifiedSince=changed)["Body"].read() == b"1"
    assert refused(s3.head_object, Bucket=bucket, Key="k", IfMatch='"x"') == ("412", 412)


def test_get_object__response_overrides(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", CacheControl="no-cache", ContentEncoding="gzip")
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/x", ResponseContentDisposition="attachment")
    assert (got["ContentType"], got["ContentDisposition"], got["CacheControl"]) == ("text/x", "attachment", "no-cache")
    assert got["ContentEncoding"] == "gzip"


def test_get_object__missing(s3: Any, bucket: str) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey) as caught:
        s3.get_object(Bucket=bucket, Key="none")
    assert caught.value.response["Error"]["Key"] == "none"
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.get_object(Bucket=bucket + "x", Key="none")
    s3.put_object(Bucket=bucket, Key="k")
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="abc") == ("NoSuchVersion", 404)


@pytest.mark.parametrize("version", ["s3v4", None])
def test_presigned_urls(client: Callable[..., Any], bucket: str, version: str | None) -> None:
    s3 = client("s3", config=Config(signature_version=version))
    data = os.urandom(100_000)
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "dir/ä b"})
    # Not urllib: it adds a Content-Type, which the older signature covers.
    connection = http.client.HTTPConnection(urlsplit(put).netloc)
    connection.request("PUT", put.partition(urlsplit(put).netloc)[2], body=data)
    assert connection.getresponse().status == 200
    connection.close()
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "dir/ä b", "ResponseContentType": "x/y"})
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == data
        assert answer.headers["content-type"] == "x/y"
        assert answer.headers["content-length"] == "100000"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(get.replace("dir/", "dir2/"))
    assert caught.value.code == 403
    caught.value.close()


def test_put_object__streams_a_large_body(s3: Any, bucket: str) -> None:
    size = 40_000_000
    block = bytes(range(256)) * 4096

    class Endless:
        """Sends itself in pieces; boto3 sees a file."""

        def __init__(self) -> None:
            self.at = 0

        def read(self, count: int = -1) -> bytes:
            count = size - self.at if count < 0 else min(count, size - self.at)
            start = self.at % 256
            self.at += count
            return (block * (count // len(block) + 2))[start : start + count]

        def tell(self) -> int:
            return self.at

        def seek(self, to: int, whence: int = 0) -> int:
            self.at = to if whence == 0 else self.at + to if whence == 1 else size + to
            return self.at

    s3.put_object(Bucket=bucket, Key="k", Body=Endless(), ContentLength=size)
    body = s3.get_object(Bucket=bucket, Key="k")["Body"]
    digest, expected = hashlib.sha256(), hashlib.sha256(Endless().read())
    for chunk in body.iter_chunks(1 << 20):
        digest.update(chunk)
    assert digest.digest() == expected.digest()


def test_copy_object(s3: Any, bucket: str) -> None:
    data = os.urandom(100_000)
    s3.put_object(Bucket=bucket, Key="from ü", Body=data, Metadata={"a": "1"}, ContentType="a/b", Tagging="t=1")
    source = {"Bucket": bucket, "Key": "from ü"}
    copied = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"], got["TagCount"]) == (data, {"a": "1"}, "a/b", 1)
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source, Metadata={"b": "2"}, MetadataDirective="REPLACE")
    head = s3.head_object(Bucket=bucket, Key="to")
    assert (head["Metadata"], head["ContentType"]) == ({"b": "2"}, "binary/octet-stream")
    assert refused(s3.copy_object, Bucket=bucket, Key="from ü", CopySource=source) == ("InvalidRequest", 400)
    none = {"Bucket": bucket, "Key": "none"}
    assert refused(s3.copy_object, Bucket=bucket, Key="x", CopySource=none) == ("NoSuchKey", 404)
    failing = {"CopySourceIfNoneMatch": head["ETag"]}
    assert refused(s3.copy_object, Bucket=bucket, Key="x", CopySource=source, **failing) == ("PreconditionFailed", 412)


def test_delete_objects(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert s3.delete_object(Bucket=bucket, Key="a")["ResponseMetadata"]["HTTPStatusCode"] == 204
    s3.delete_object(Bucket=bucket, Key="never")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "none"}, {"Key": "c", "VersionId": "v"}]})
    assert answer["Deleted"] == [{"Key": "b"}, {"Key": "none"}, {"Key": "c", "VersionId": "v"}]
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c"]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c", "ETag": "other"}], "Quiet": True})
    assert [(one["Key"], one["Code"]) for one in quiet["Errors"]] == [("c", "PreconditionFailed")]


def test_object_tagging(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Tagging="a=1")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "b", "Value": "2"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "b", "Value": "2"}]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_accounts__do_not_see_each_other(s3: Any, bucket: str, server: Any) -> None:
    other = server.client("s3", account="999999999999")
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert refused(other.put_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert refused(other.create_bucket, Bucket=bucket) == ("BucketAlreadyExists", 409)


@pytest.fixture
def blob_files(server: Any) -> Callable[[], set[str]]:
    return lambda: {path.name for path in (server.data / "blobs" / "spaces" / "s3").glob("??/*")}


def test_blobs__of_replaced_and_deleted_objects_go(s3: Any, bucket: str, server: Any, blob_files: Callable[[], set[str]]) -> None:
    before = blob_files()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 20_000)
    (first,) = blob_files() - before
    s3.put_object(Bucket=bucket, Key="k", Body=b"y" * 20_000)
    (second,) = blob_files() - before - {first}
    server.advance(301)
    eventually(lambda: first not in blob_files())
    assert second in blob_files()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"y" * 20_000
    s3.delete_object(Bucket=bucket, Key="k")
    server.advance(301)
    eventually(lambda: second not in blob_files())


def test_corrupt_blob__is_never_sent(s3: Any, bucket: str, server: Any, blob_files: Callable[[], set[str]]) -> None:
    before = blob_files()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 20_000)
    (name,) = blob_files() - before
    path = server.data / "blobs" / "spaces" / "s3" / name[:2] / name
    raw = bytearray(path.read_bytes())
    raw[10_000] ^= 1
    path.write_bytes(raw)
    assert refused(s3.get_object, Bucket=bucket, Key="k")[1] == 500


def test_corrupt_blob__breaks_off_a_stream(s3: Any, bucket: str, server: Any, blob_files: Callable[[], set[str]]) -> None:
    before = blob_files()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 3_000_000)
    (name,) = blob_files() - before
    path = server.data / "blobs" / "spaces" / "s3" / name[:2] / name
    raw = bytearray(path.read_bytes())
    raw[2_000_000] ^= 1
    path.write_bytes(raw)
    body = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="DISABLED")["Body"]
    with pytest.raises((IncompleteReadError, ResponseStreamingError, ReadTimeoutError)):
        body.read()
    body.close()
