"""A bucket's policy and public access block: kept, shown, and without effect."""

import json
from typing import Any

import pytest
from tests.services.s3.refusals import refused

DENIED = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}


def test_policy__is_kept_and_has_no_effect(s3: Any, bucket: str) -> None:
    assert refused(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [DENIED]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    s3.put_object(Bucket=bucket, Key="k", Body=b"not denied: the policy is not evaluated")
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)


@pytest.mark.parametrize(
    "policy",
    [
        "no json",
        "[]",
        "{}",
        json.dumps({"Statement": [{**DENIED, "Effect": "Maybe"}]}),
        json.dumps({"Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}),
        json.dumps({"Statement": [{**DENIED, "Sid": "x" * 21_000}]}),
    ],
)
def test_policy__refuses(s3: Any, bucket: str, policy: str) -> None:
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=policy) == ("MalformedPolicy", 400)


def test_public_access_block(s3: Any, bucket: str) -> None:
    def shown() -> Any:
        return s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]

    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    assert shown() == dict.fromkeys(names, True)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert shown() == {**dict.fromkeys(names, False), "BlockPublicAcls": True}
    s3.delete_public_access_block(Bucket=bucket)
    assert refused(s3.get_public_access_block, Bucket=bucket) == ("NoSuchPublicAccessBlockConfiguration", 404)
