"""Multipart uploads through boto3 and its transfer manager."""

import base64
import hashlib
import io
import os
import zlib
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from tests.services.s3.refusals import refused

MIB = 1 << 20


def crc(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_upload_fileobj__in_parts(s3: Any, bucket: str) -> None:
    data = os.urandom(17 * MIB + 5)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)
    s3.upload_fileobj(io.BytesIO(data), bucket, "big", Config=config, ExtraArgs={"ContentType": "a/b"})
    pieces = [data[at : at + 5 * MIB] for at in range(0, len(data), 5 * MIB)]
    whole = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces)).hexdigest()
    head = s3.head_object(Bucket=bucket, Key="big", ChecksumMode="ENABLED")
    assert head["ETag"] == f'"{whole}-4"'
    assert (head["ContentLength"], head["ContentType"]) == (len(data), "a/b")
    assert head["ChecksumCRC32"] == crc(b"".join(base64.b64decode(crc(piece)) for piece in pieces)) + "-4"
    assert head["ChecksumType"] == "COMPOSITE"
    out = io.BytesIO()
    s3.download_fileobj(bucket, "big", out, Config=config)
    assert out.getvalue() == data
    across = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}")["Body"].read()
    assert across == data[5 * MIB - 3 : 5 * MIB + 3]
    part = s3.get_object(Bucket=bucket, Key="big", PartNumber=4)
    assert (part["Body"].read(), part["PartsCount"]) == (data[15 * MIB :], 4)
    assert refused(s3.get_object, Bucket=bucket, Key="big", PartNumber=5)[1] == 416
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    parts = s3.get_object_attributes(Bucket=bucket, Key="big", ObjectAttributes=["ObjectParts", "ObjectSize"])
    assert (parts["ObjectSize"], parts["ObjectParts"]["TotalPartsCount"]) == (len(data), 4)


def begin(s3: Any, bucket: str, **parameters: Any) -> str:
    upload_id: str = s3.create_multipart_upload(Bucket=bucket, Key="k", **parameters)["UploadId"]
    return upload_id


def put_part(s3: Any, bucket: str, upload_id: str, number: int, data: bytes) -> dict[str, Any]:
    answer = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=number, Body=data)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def test_complete_multipart_upload__full_object_checksum(s3: Any, bucket: str) -> None:
    upload_id = begin(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    first, second = os.urandom(5 * MIB), os.urandom(77)
    parts = [put_part(s3, bucket, upload_id, 3, first), put_part(s3, bucket, upload_id, 8, second)]
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}, ChecksumCRC32=crc(first + second),
        ChecksumType="FULL_OBJECT", MpuObjectSize=5 * MIB + 77,
    )  # fmt: skip
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (crc(first + second), "FULL_OBJECT")
    again = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]
    assert s3.get_object(Bucket=bucket, Key="k", PartNumber=2)["Body"].read() == second


def test_complete_multipart_upload__refuses(s3: Any, bucket: str) -> None:
    upload_id = begin(s3, bucket)
    one, two = put_part(s3, bucket, upload_id, 1, b"small"), put_part(s3, bucket, upload_id, 2, b"end")

    def complete(*parts: dict[str, Any], upload: str = upload_id) -> tuple[str, int]:
        return refused(
            s3.complete_multipart_upload, Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": list(parts)}
        )

    assert complete(two, one) == ("InvalidPartOrder", 400)
    assert complete({**one, "ETag": '"0"'}) == ("InvalidPart", 400)
    assert complete({"PartNumber": 9, "ETag": one["ETag"]}) == ("InvalidPart", 400)
    assert complete(one, two) == ("EntityTooSmall", 400)
    assert complete(one, upload="nope") == ("NoSuchUpload", 404)
    assert refused(s3.complete_multipart_upload, Bucket=bucket, Key="k", UploadId=upload_id)[0] == "MalformedXML"
    assert refused(s3.upload_part, Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=10_001)[0] == "InvalidArgument"
    assert refused(s3.head_object, Bucket=bucket, Key="k") == ("404", 404)


def test_list_parts__and_uploads(s3: Any, bucket: str) -> None:
    upload_id = begin(s3, bucket)
    for number in (1, 2, 5):
        put_part(s3, bucket, upload_id, number, b"x" * number)
    put_part(s3, bucket, upload_id, 2, b"other")
    found = [
        (one["PartNumber"], one["Size"])
        for page in s3.get_paginator("list_parts").paginate(
            Bucket=bucket, Key="k", UploadId=upload_id, PaginationConfig={"PageSize": 2}
        )
        for one in page["Parts"]
    ]
    assert found == [(1, 1), (2, 5), (5, 5)]
    second = begin(s3, bucket)
    other = s3.create_multipart_upload(Bucket=bucket, Key="dir/x")["UploadId"]
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert {(one["Key"], one["UploadId"]) for page in pages for one in page["Uploads"]} == {
        ("k", upload_id), ("k", second), ("dir/x", other),
    }  # fmt: skip
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in rolled["CommonPrefixes"]] == ["dir/"]
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=second)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=second)


def test_upload_part_copy(s3: Any, bucket: str) -> None:
    data = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    source = {"Bucket": bucket, "Key": "source"}
    upload_id = begin(s3, bucket)
    parts = []
    for number, text in ((1, f"bytes=0-{5 * MIB - 1}"), (2, f"bytes={5 * MIB}-{6 * MIB - 1}")):
        copied = s3.upload_part_copy(
            Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=number, CopySource=source, CopySourceRange=text
        )
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data
