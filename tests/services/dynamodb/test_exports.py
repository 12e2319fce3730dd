"""Exports to S3 and imports from there, through boto3: files, manifests, formats, errors, kills."""

import base64
import gzip
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import zstandard
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

from headrace.services.dynamodb import imports, sources

Client = Callable[..., Any]
CREATION = {
    "TableName": "made",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
    "BillingMode": "PAY_PER_REQUEST",
}
RICH = {
    "id": {"S": 'a "quoted" \\ line\nand ümlaut 😀'},
    "n": {"N": "-1.50"},
    "null": {"NULL": True},
    "true": {"BOOL": False},
    "it's": {"S": "quote's"},
    "bytes": {"B": b"\x00\xff"},
    "sets": {"M": {"s": {"SS": ["x", "y"]}, "n": {"NS": ["1", "2.5"]}, "b": {"BS": [b"\x01"]}}},
    "list": {"L": [{"N": "10000000000000000000000000000000000001"}, {"L": []}, {"M": {}}, {"S": ""}]},
}


def items(db: Any, table: str) -> list[Any]:
    found = [item for page in db.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]
    return sorted(found, key=lambda item: (item["id"]["S"], float(item["n"]["N"])))


def export(db: Any, arn: str, bucket: str, **more: Any) -> Any:
    begun = db.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket, **more)["ExportDescription"]
    assert begun["ExportStatus"] == "IN_PROGRESS"

    def check() -> Any:
        described = db.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
        return described if described["ExportStatus"] != "IN_PROGRESS" else None

    return eventually(check, 40)


def imported(db: Any, **arguments: Any) -> Any:
    arguments.setdefault("TableCreationParameters", CREATION)
    begun = db.import_table(**arguments)["ImportTableDescription"]
    assert begun["ImportStatus"] == "IN_PROGRESS"

    def check() -> Any:
        described = db.describe_import(ImportArn=begun["ImportArn"])["ImportTableDescription"]
        return described if described["ImportStatus"] != "IN_PROGRESS" else None

    return eventually(check, 40)


@pytest.fixture
def bucket(client: Client, account: str) -> str:
    client("s3").create_bucket(Bucket=f"exports-{account}")
    return f"exports-{account}"


@pytest.fixture
def table(client: Client) -> str:
    """The ARN of a table with recovery."""
    db = client("dynamodb")
    arn = db.create_table(**{**CREATION, "TableName": "source"})["TableDescription"]["TableArn"]
    db.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    return str(arn)


def data_lines(s3: Any, bucket: str, described: Any) -> list[bytes]:
    """The lines of an export's files, found by its manifests, whose checksums hold."""

    def read(key: str) -> bytes:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    summary_key = described["ExportManifest"]
    summary = json.loads(read(summary_key))
    assert read(summary_key.replace(".json", ".md5")) == base64.b64encode(hashlib.md5(read(summary_key)).digest())
    lines: list[bytes] = []
    for listed in read(summary["manifestFilesS3Key"]).splitlines():
        file = json.loads(listed)
        data = read(file["dataFileS3Key"])
        assert file["md5Checksum"] == base64.b64encode(hashlib.md5(data).digest()).decode()
        found = gzip.decompress(data).splitlines()
        assert len(found) == file["itemCount"]
        lines += found
    assert summary["itemCount"] == described["ItemCount"] == len(lines)
    assert summary["exportArn"] == described["ExportArn"]
    return lines


def test_export_in_both_formats_and_back(client: Client, table: str, bucket: str) -> None:
    db, s3 = client("dynamodb"), client("s3")
    db.put_item(TableName="source", Item=RICH)
    for number in range(60):
        db.put_item(TableName="source", Item={"id": {"S": "x"}, "n": {"N": str(number)}})
    there = items(db, "source")
    for form in ("DYNAMODB_JSON", "ION"):
        described = export(db, table, bucket, ExportFormat=form, S3Prefix=form.lower())
        assert described["ExportStatus"] == "COMPLETED", described
        assert described["ExportManifest"].startswith(f"{form.lower()}/AWSDynamoDB/")
        lines = data_lines(s3, bucket, described)
        assert len(lines) == 61
        assert lines[0].startswith(b'{"Item":{' if form == "DYNAMODB_JSON" else b"$ion_1_0 {Item:{")
        folder = described["ExportManifest"].rpartition("/")[0] + "/data/"
        done = imported(
            db, S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": folder}, InputFormat=form, InputCompressionType="GZIP"
        )
        assert (done["ImportStatus"], done["ImportedItemCount"], done["ErrorCount"]) == ("COMPLETED", 61, 0)
        assert items(db, "made") == there
        db.delete_table(TableName="made")
    assert len(db.list_exports(TableArn=table)["ExportSummaries"]) == 2
    assert len(db.list_imports()["ImportSummaryList"]) == 2


def test_export__as_it_was(client: Client, table: str, bucket: str, server: HeadraceServer) -> None:
    db = client("dynamodb")
    db.put_item(TableName="source", Item={"id": {"S": "a"}, "n": {"N": "1"}, "v": {"S": "then"}})
    server.advance(2)
    at = server.page("/_headrace/clock")["now"]
    server.advance(2)
    db.put_item(TableName="source", Item={"id": {"S": "a"}, "n": {"N": "1"}, "v": {"S": "now"}})
    db.put_item(TableName="source", Item={"id": {"S": "a"}, "n": {"N": "2"}})
    described = export(db, table, bucket, ExportTime=at)
    (line,) = data_lines(client("s3"), bucket, described)
    assert json.loads(line) == {"Item": {"id": {"S": "a"}, "n": {"N": "1"}, "v": {"S": "then"}}}


def test_export__incremental(client: Client, table: str, bucket: str, server: HeadraceServer) -> None:
    db = client("dynamodb")

    def put(number: int, text: str) -> None:
        db.put_item(TableName="source", Item={"id": {"S": "a"}, "n": {"N": str(number)}, "v": {"S": text}})

    def wait() -> float:
        server.advance(1000)
        at = float(server.page("/_headrace/clock")["now"])
        server.advance(10)
        return at

    put(1, "old")
    put(2, "goes")
    begin = wait()
    put(1, "between")
    put(1, "new")
    put(3, "made")
    put(4, "made and gone")
    for number in (2, 4):
        db.delete_item(TableName="source", Key={"id": {"S": "a"}, "n": {"N": str(number)}})
    end = wait()
    put(1, "later")
    window = {"ExportFromTime": begin, "ExportToTime": end}
    described = export(db, table, bucket, ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=window)
    assert described["ExportStatus"] == "COMPLETED", described
    found = {line["Keys"]["n"]["N"]: line for line in map(json.loads, data_lines(client("s3"), bucket, described))}
    assert sorted(found) == ["1", "2", "3"]
    assert found["1"]["OldImage"]["v"] == {"S": "old"}
    assert found["1"]["NewImage"]["v"] == {"S": "new"}
    assert begin < int(found["1"]["Metadata"]["WriteTimestampMicros"]["N"]) / 1e6 < end
    assert "NewImage" not in found["2"]
    assert "OldImage" not in found["3"]


def test_export__refused(client: Client, bucket: str, table: str) -> None:
    db = client("dynamodb")
    db.create_table(**{**CREATION, "TableName": "plain"})

    def code(**arguments: Any) -> str:
        with pytest.raises(ClientError) as caught:
            db.export_table_to_point_in_time(S3Bucket=bucket, **arguments)
        return str(caught.value.response["Error"]["Code"])

    assert code(TableArn=table.replace("source", "plain")) == "PointInTimeRecoveryUnavailableException"
    assert code(TableArn=table.replace("source", "nowhere")) == "TableNotFoundException"
    assert code(TableArn=table, ExportTime=1000) == "InvalidExportTimeException"
    assert export(db, table, "no-such-bucket-here")["FailureCode"] == "S3NoSuchBucket"
    first = db.export_table_to_point_in_time(TableArn=table, S3Bucket=bucket, ClientToken="t")["ExportDescription"]
    again = db.export_table_to_point_in_time(TableArn=table, S3Bucket=bucket, ClientToken="t")["ExportDescription"]
    assert first["ExportArn"] == again["ExportArn"]
    assert code(TableArn=table, ClientToken="t", S3Prefix="other") == "ExportConflictException"


def test_import__csv_and_compression(client: Client, bucket: str) -> None:
    db, s3 = client("dynamodb"), client("s3")
    text = 'id,n,text\na,1,"x, and ""y"""\na,2,\nb,nothing,z\nshort,4\n'
    for number, (kind, data) in enumerate(
        (("NONE", text.encode()), ("GZIP", gzip.compress(text[:20].encode()) + gzip.compress(text[20:].encode())),
         ("ZSTD", zstandard.compress(text.encode())))
    ):  # fmt: skip
        s3.put_object(Bucket=bucket, Key=f"in/{number}/data", Body=data)
        done = imported(
            db, S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": f"in/{number}/"}, InputFormat="CSV", InputCompressionType=kind
        )
        assert (done["ImportStatus"], done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]) == (
            "COMPLETED", 4, 2, 2,
        )  # fmt: skip
        assert items(db, "made") == [
            {"id": {"S": "a"}, "n": {"N": "1"}, "text": {"S": 'x, and "y"'}},
            {"id": {"S": "a"}, "n": {"N": "2"}, "text": {"S": ""}},
        ]
        stream = done["ImportArn"].rpartition("/")[2] + "/error"
        events = client("logs").get_log_events(logGroupName="/aws-dynamodb/imports", logStreamName=stream)["events"]
        assert [json.loads(event["message"])["itemS3Pointer"]["key"] for event in events] == [f"in/{number}/data"] * 2
        db.delete_table(TableName="made")
    for kind, data in (("GZIP", gzip.compress(text.encode())), ("ZSTD", zstandard.compress(text.encode()))):
        s3.put_object(Bucket=bucket, Key=f"cut/{kind}/data", Body=data[:-6])
        source = {"S3Bucket": bucket, "S3KeyPrefix": f"cut/{kind}/"}
        done = imported(db, S3BucketSource=source, InputFormat="CSV", InputCompressionType=kind)
        stream = done["ImportArn"].rpartition("/")[2] + "/error"
        events = client("logs").get_log_events(logGroupName="/aws-dynamodb/imports", logStreamName=stream)["events"]
        assert f"ends within its {kind} data" in events[-1]["message"]
        assert done["ErrorCount"] == len(events)
        db.delete_table(TableName="made")
    options = {"Csv": {"Delimiter": ";", "HeaderList": ["n", "id"]}}
    s3.put_object(Bucket=bucket, Key="plain/data", Body=b"7;q\n")
    source = {"S3Bucket": bucket, "S3KeyPrefix": "plain/"}
    imported(db, S3BucketSource=source, InputFormat="CSV", InputFormatOptions=options)
    assert items(db, "made") == [{"id": {"S": "q"}, "n": {"N": "7"}}]


def test_import__object_that_cannot_be_read_counts_once_over_restarts() -> None:
    objects = SimpleNamespace(open=lambda ctx, bucket, key: [b"no gzip at all"])
    row = SimpleNamespace(compression="GZIP", form="DYNAMODB_JSON")
    source = SimpleNamespace(bucket="b", key="k")

    def found(skip: int) -> list[Any]:
        ctx: Any = SimpleNamespace(ports=SimpleNamespace(objects=objects))
        return list(imports._records(ctx, cast("Any", row), cast("Any", None), cast("Any", source), skip))

    ((key, number, error),) = found(0)
    assert (key, type(error)) == ("k", sources.Unreadable)
    assert found(number + 1) == []


def test_import__errors(client: Client, bucket: str) -> None:
    db, s3 = client("dynamodb"), client("s3")
    lines = [
        '{"Item":{"id":{"S":"a"},"n":{"N":"1"}}}', "{not json", '{"Other":1}', '{"Item":{"id":{"S":"a"}}}', "",
        '{"Item":{"id":{"S":"a"},"n":{"N":"x"}}}', '{"Item":{"id":{"S":"a"},"n":{"N":"1"},"v":{"S":"later"}}}',
        '{"Item":{"id":{"S":"a"},"n":{"N":"1"},"v":{"S":5}}}', '{"Item":{"id":{"S":"a"},"n":"1"}}',
    ]  # fmt: skip
    s3.put_object(Bucket=bucket, Key="in/a", Body="\n".join(lines).encode())
    done = imported(db, S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "in/"}, InputFormat="DYNAMODB_JSON")
    assert (done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]) == (8, 2, 6)
    assert items(db, "made") == [{"id": {"S": "a"}, "n": {"N": "1"}, "v": {"S": "later"}}]
    lost = {**CREATION, "TableName": "lost"}
    failed = imported(db, S3BucketSource={"S3Bucket": "no-such-bucket-here"}, InputFormat="ION", TableCreationParameters=lost)
    assert (failed["ImportStatus"], failed["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert "lost" not in db.list_tables()["TableNames"]


@pytest.mark.timeout(120)
def test_import_and_export__killed_in_the_middle(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        db, s3 = server.client("dynamodb"), server.client("s3")
        s3.create_bucket(Bucket="the-bucket")
        for file in range(4):
            lines = [f'{{"Item":{{"id":{{"S":"f{file}"}},"n":{{"N":"{n}"}}}}}}' for n in range(2000)]
            s3.put_object(Bucket="the-bucket", Key=f"in/{file}", Body="\n".join(lines).encode())
        arn = db.import_table(
            S3BucketSource={"S3Bucket": "the-bucket", "S3KeyPrefix": "in/"}, InputFormat="DYNAMODB_JSON",
            TableCreationParameters=CREATION,
        )["ImportTableDescription"]["ImportArn"]  # fmt: skip
        for _ in range(3):
            time.sleep(0.05)
            server.kill()
            server.start()
        eventually(lambda: db.describe_import(ImportArn=arn)["ImportTableDescription"]["ImportStatus"] == "COMPLETED", 60)
        done = db.describe_import(ImportArn=arn)["ImportTableDescription"]
        assert (done["ImportedItemCount"], done["ErrorCount"]) == (8000, 0)
        assert len(items(db, "made")) == db.describe_table(TableName="made")["Table"]["ItemCount"] == 8000
        db.update_continuous_backups(TableName="made", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
        table = db.describe_table(TableName="made")["Table"]["TableArn"]
        arn = db.export_table_to_point_in_time(TableArn=table, S3Bucket="the-bucket")["ExportDescription"]["ExportArn"]
        for _ in range(2):
            time.sleep(0.05)
            server.kill()
            server.start()
        described = eventually(
            lambda: (found := db.describe_export(ExportArn=arn)["ExportDescription"])["ExportStatus"] == "COMPLETED" and found, 60
        )
        lines_found = data_lines(s3, "the-bucket", described)
        assert len(set(lines_found)) == 8000
    finally:
        server.kill()
