"""What is written for a destination."""

import gzip
import io
import json
import zipfile
from datetime import datetime

import pytest

from headrace.services.firehose.engine import staging


def test_parse_jdbc_url__names_the_cluster_and_the_database() -> None:
    url = "jdbc:redshift://reports.c0ffee.us-east-1.redshift.amazonaws.com:5439/dev"
    assert staging.parse_jdbc_url(url) == ("reports", 5439, "dev")
    serverless = "jdbc:redshift://group.123456789012.us-east-1.redshift-serverless.amazonaws.com:5439/sales"
    assert staging.parse_jdbc_url(serverless) == ("group", 5439, "sales")


def test_parse_jdbc_url__refuses_other_urls() -> None:
    with pytest.raises(ValueError, match="not the JDBC URL"):
        staging.parse_jdbc_url("jdbc:mysql://host.example:3306/db")


def test_object_name__has_aws_form() -> None:
    name = staging.object_name("overdrawn", 2, datetime(2024, 3, 4, 5, 6, 7), "7f2c", ".gz")
    assert name == "overdrawn-2-2024-03-04-05-06-07-7f2c.gz"


def test_object_body__joins_records_and_compresses() -> None:
    records = [b"a", b"bc", b""]
    assert staging.object_body(records, b"", "UNCOMPRESSED") == b"abc"
    assert staging.object_body(records, b"\n", "UNCOMPRESSED") == b"a\nbc\n\n"
    assert gzip.decompress(staging.object_body(records, b"\n", "GZIP")) == b"a\nbc\n\n"
    with zipfile.ZipFile(io.BytesIO(staging.object_body(records, b"", "ZIP"))) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [b"abc"]


def test_object_body__is_the_same_each_time() -> None:
    assert staging.object_body([b"x" * 1000], b"", "GZIP") == staging.object_body([b"x" * 1000], b"", "GZIP")


def test_manifest__names_the_object() -> None:
    assert json.loads(staging.manifest("bucket", "a/b c")) == {"entries": [{"url": "s3://bucket/a/b c", "mandatory": True}]}


def test_copy_statement__as_aws_writes_it() -> None:
    statement = staging.copy_statement("overdue", "id, name", "s3://b/m's", "arn:aws:iam::1:role/r", "json 'auto'")
    assert statement == (
        "COPY overdue (id, name) FROM 's3://b/m''s' CREDENTIALS 'aws_iam_role=arn:aws:iam::1:role/r' MANIFEST json 'auto';"
    )
    assert staging.copy_statement("t", "", "s3://b/m", "r", "").startswith("COPY t FROM 's3://b/m'")
