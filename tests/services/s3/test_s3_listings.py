"""Lists through boto3, against a plain dict."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.services.s3.refusals import refused

KEYS = [
    "a", "a/", "a/b", "a/b/c", "a//d", "a0", "b&<>\"'", "b/1", "b/2/3", "c d", "c+d", "é/x", "é/y", "z%2F", "~",
    "dir/" + "x" * 900, "\U0001f600", "\uffee",
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(server: Any) -> tuple[Any, str]:
    s3 = server.client("s3", account="123123123123")
    bucket = "listing-" + str(server.port)
    s3.create_bucket(Bucket=bucket)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=key.encode()), KEYS))
    return s3, bucket


def model(prefix: str, delimiter: str, after: str) -> tuple[list[str], list[str]]:
    """Keys and groups in order, as S3 defines them."""
    keys, groups = [], []
    for key in sorted(KEYS, key=str.encode):
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            keys.append(key)
        elif key[: at + len(delimiter)] not in groups:
            groups.append(key[: at + len(delimiter)])
    return keys, groups


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefix=st.sampled_from(["", "a", "a/", "b", "é", "none", "c"]),
    delimiter=st.sampled_from(["", "/", "b", "+"]),
    after=st.sampled_from(["", "a", "a/b", "b/2", "c d", "zz"]),
    page_size=st.integers(1, 7),
)
def test_list_objects_v2(filled: tuple[Any, str], prefix: str, delimiter: str, after: str, page_size: int) -> None:
    s3, bucket = filled
    keys: list[str] = []
    groups: list[str] = []
    parameters = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter, "StartAfter": after}
    for page in s3.get_paginator("list_objects_v2").paginate(**parameters, PaginationConfig={"PageSize": page_size}):
        assert page["KeyCount"] <= page_size
        keys += [one["Key"] for one in page.get("Contents", ())]
        groups += [one["Prefix"] for one in page.get("CommonPrefixes", ())]
    assert (keys, groups) == model(prefix, delimiter, after)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=st.sampled_from(["", "a", "a/", "b"]), delimiter=st.sampled_from(["", "/"]), page_size=st.integers(1, 4))
def test_list_objects(filled: tuple[Any, str], prefix: str, delimiter: str, page_size: int) -> None:
    s3, bucket = filled
    keys: list[str] = []
    groups: list[str] = []
    parameters = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter}
    for page in s3.get_paginator("list_objects").paginate(**parameters, PaginationConfig={"PageSize": page_size}):
        keys += [one["Key"] for one in page.get("Contents", ())]
        groups += [one["Prefix"] for one in page.get("CommonPrefixes", ())]
    assert (keys, groups) == model(prefix, delimiter, "")


def test_list_objects_v2__what_it_tells(filled: tuple[Any, str]) -> None:
    s3, bucket = filled
    (one,) = s3.list_objects_v2(Bucket=bucket, Prefix="a/b/c", FetchOwner=True)["Contents"]
    assert (one["Size"], one["StorageClass"], one["Owner"]["ID"]) == (5, "STANDARD", "123123123123")
    empty = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert (empty["KeyCount"], empty["IsTruncated"], empty["MaxKeys"]) == (0, False, 0)
    assert refused(s3.list_objects_v2, Bucket=bucket, ContinuationToken="@@@")[0] == "InvalidArgument"
    assert refused(s3.list_objects_v2, Bucket=bucket, MaxKeys=-1)[0] == "InvalidArgument"
    assert refused(s3.list_objects_v2, Bucket=bucket + "x") == ("NoSuchBucket", 404)
