"""Versions through boto3, against a plain list of what was written."""

import random
from typing import Any

import pytest
from tests.services.s3.refusals import refused


def enable(s3: Any, bucket: str, status: str = "Enabled") -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def read(s3: Any, bucket: str, key: str, version: str | None = None) -> bytes:
    named = {} if version is None else {"VersionId": version}
    body: bytes = s3.get_object(Bucket=bucket, Key=key, **named)["Body"].read()
    return body


def listed(s3: Any, bucket: str, **parameters: Any) -> list[tuple[str, str, bool, bool]]:
    """(key, version id, whether it is the latest, whether it is a delete marker), page by page."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **parameters):
        rows = [(one, False) for one in page.get("Versions", ())] + [(one, True) for one in page.get("DeleteMarkers", ())]
        found += [(one["Key"], one["VersionId"], one["IsLatest"], marker) for one, marker in rows]
    return found


@pytest.mark.parametrize("size", [5, 20_000])
def test_versions__of_one_key(s3: Any, bucket: str, size: int) -> None:
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"0" * size)
    assert "VersionId" not in first
    enable(s3, bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    one = s3.put_object(Bucket=bucket, Key="k", Body=b"1" * size)["VersionId"]
    two = s3.put_object(Bucket=bucket, Key="k", Body=b"2" * size)["VersionId"]
    assert read(s3, bucket, "k") == b"2" * size
    assert [read(s3, bucket, "k", version) for version in ("null", one, two)] == [b"0" * size, b"1" * size, b"2" * size]
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"]) == ("MethodNotAllowed", 405)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    gone = s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker["VersionId"])
    assert read(s3, bucket, "k") == b"2" * size
    s3.delete_object(Bucket=bucket, Key="k", VersionId=two)
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == one
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert listed(s3, bucket) == [("k", one, True, False)]
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId=two) == ("NoSuchVersion", 404)
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k", "VersionId": one})
    assert read(s3, bucket, "copy", copied["VersionId"]) == b"1" * size
    s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=one, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=one)["TagSet"] == [{"Key": "a", "Value": "1"}]


def test_versions__suspended(s3: Any, bucket: str) -> None:
    enable(s3, bucket)
    one = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    enable(s3, bucket, "Suspended")
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"a")["VersionId"] == "null"
    s3.put_object(Bucket=bucket, Key="k", Body=b"b")
    assert listed(s3, bucket) == [("k", "null", True, False), ("k", one, False, False)]
    assert s3.delete_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert listed(s3, bucket) == [("k", one, False, False), ("k", "null", True, True)]
    enable(s3, bucket)
    two = s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    enable(s3, bucket, "Suspended")
    s3.put_object(Bucket=bucket, Key="k", Body=b"c")
    assert [version for _, version, _, _ in listed(s3, bucket)] == ["null", two, one]


def test_versions__random_histories(s3: Any, bucket: str) -> None:
    enable(s3, bucket)
    chance = random.Random(7)
    model: dict[str, list[tuple[str, bytes | None]]] = {}
    for number in range(60):
        key = chance.choice(["a", "a/x", "a/y", "b", "b/c/d"])
        history = model.setdefault(key, [])
        choice = chance.random()
        if choice < 0.6:
            body = str(number).encode()
            history.insert(0, (s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"], body))
        elif choice < 0.8:
            history.insert(0, (s3.delete_object(Bucket=bucket, Key=key)["VersionId"], None))
        elif history:
            version, _ = history.pop(chance.randrange(len(history)))
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
    expected = {
        (key, version, at == 0, body is None) for key, history in model.items() for at, (version, body) in enumerate(history)
    }
    for page_size in (1, 3, 1000):
        assert set(listed(s3, bucket, PaginationConfig={"PageSize": page_size})) == expected
    answer = s3.list_object_versions(Bucket=bucket)
    order = [(one["Key"], one["VersionId"]) for one in answer["Versions"]]
    assert order == [(key, version) for key in sorted(model) for version, body in model[key] if body is not None]
    visible = {key: history[0][1] for key, history in model.items() if history and history[0][1] is not None}
    assert {one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", ())} == set(visible)
    for key, body in visible.items():
        assert read(s3, bucket, key) == body
    rolled = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert {one["Prefix"] for one in rolled["CommonPrefixes"]} == {
        key.partition("/")[0] + "/" for key, history in model.items() if "/" in key and history
    }
    by_digit = s3.list_object_versions(Bucket=bucket, Delimiter="3")
    assert "CommonPrefixes" not in by_digit
