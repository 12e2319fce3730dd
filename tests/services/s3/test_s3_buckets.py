"""Buckets through boto3."""

import secrets
from typing import Any

import pytest
from tests.services.s3.refusals import refused


def test_create_bucket(s3: Any) -> None:
    name = "test-" + secrets.token_hex(8)
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    s3.create_bucket(Bucket=name)
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == [name]
    assert refused(s3.create_bucket, Bucket="Bad_Name") == ("InvalidBucketName", 400)


def test_create_bucket__elsewhere(server: Any, account: str) -> None:
    s3 = server.client("s3", account, region="eu-west-1")
    name = "test-" + secrets.token_hex(8)
    here = {"LocationConstraint": "eu-west-1"}
    assert refused(s3.create_bucket, Bucket=name)[0] == "IllegalLocationConstraintException"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=here)
    assert refused(s3.create_bucket, Bucket=name, CreateBucketConfiguration=here) == ("BucketAlreadyOwnedByYou", 409)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"


def test_delete_bucket(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k")
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.create_multipart_upload(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.delete_bucket, Bucket=bucket) == ("NoSuchBucket", 404)
    assert refused(s3.head_bucket, Bucket=bucket) == ("404", 404)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_list_buckets__pages(s3: Any) -> None:
    names = sorted(f"test-{secrets.token_hex(8)}" for _ in range(5))
    for name in names:
        s3.create_bucket(Bucket=name)
    found = [
        one["Name"]
        for page in s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2})
        for one in page["Buckets"]
    ]
    assert found == names
    assert [one["Name"] for one in s3.list_buckets(Prefix=names[2])["Buckets"]] == [names[2]]


def test_bucket_tagging(s3: Any, bucket: str) -> None:
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("put_bucket_replication", {"ReplicationConfiguration": {"Role": "r", "Rules": []}}),
        ("get_bucket_website", {}),
    ],
)
def test_unsupported__is_refused_aloud(s3: Any, bucket: str, call: str, parameters: dict[str, Any]) -> None:
    assert refused(getattr(s3, call), Bucket=bucket, **parameters) == ("NotImplemented", 501)


def test_encryption(s3: Any, bucket: str) -> None:
    def wanted(name: str) -> dict[str, Any]:
        return {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": name}}]}

    missing = "ServerSideEncryptionConfigurationNotFoundError"
    assert refused(s3.get_bucket_encryption, Bucket=bucket) == (missing, 404)
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=wanted("AES256"))
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == wanted("AES256")
    kms = {"Bucket": bucket, "ServerSideEncryptionConfiguration": wanted("aws:kms")}
    assert refused(s3.put_bucket_encryption, **kms) == ("NotImplemented", 501)
    s3.delete_bucket_encryption(Bucket=bucket)
    assert refused(s3.get_bucket_encryption, Bucket=bucket) == (missing, 404)


def test_configuration__says_what_is_so(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)
