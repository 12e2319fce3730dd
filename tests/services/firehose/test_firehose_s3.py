"""Delivery to S3 by a running server: from PutRecord to the object."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.services.firehose.conftest import naming, role_for
from tests.services.firehose.fakes import NOW, ROLE, S3

from conftest import HeadraceServer, eventually


@pytest.fixture
def s3(client: Callable[..., Any]) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any, account: str) -> str:
    name = f"bucket-{account}"
    s3.create_bucket(Bucket=name)
    return name


def to(bucket: str, **members: Any) -> dict[str, Any]:
    return {**S3, "BucketARN": f"arn:aws:s3:::{bucket}", "BufferingHints": NOW, **members}


def bodies(s3: Any, bucket: str, prefix: str = "") -> list[bytes]:
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in found]


def test_put_record__is_an_object_at_once(s3: Any, firehose: Any, bucket: str) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=to(bucket, Prefix="in/"))
    firehose.put_record(DeliveryStreamName="d", Record={"Data": b"hello"})
    assert eventually(lambda: bodies(s3, bucket, "in/20")) == [b"hello"]


def test_put_record_batch__arrives_whole(s3: Any, firehose: Any, bucket: str) -> None:
    firehose.create_delivery_stream(
        DeliveryStreamName="d", ExtendedS3DestinationConfiguration=to(bucket, CompressionFormat="GZIP")
    )
    expected = b""
    for batch in range(10):
        records = [{"Data": b"%d.%d," % (batch, number)} for number in range(500)]
        firehose.put_record_batch(DeliveryStreamName="d", Records=records)
        expected += b"".join(record["Data"] for record in records)

    def delivered() -> bytes:
        return b"".join(gzip.decompress(body) for body in bodies(s3, bucket))

    eventually(lambda: len(delivered()) == len(expected))
    assert sorted(delivered().split(b",")) == sorted(expected.split(b","))


def test_interval__moves_with_the_clock(server: HeadraceServer, s3: Any, firehose: Any, bucket: str) -> None:
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 900}
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=to(bucket, BufferingHints=hints))
    firehose.put_record(DeliveryStreamName="d", Record={"Data": b"a"})
    firehose.put_record(DeliveryStreamName="d", Record={"Data": b"b"})
    assert bodies(s3, bucket) == []
    server.advance(901)
    assert eventually(lambda: bodies(s3, bucket)) == [b"ab"]


def test_kinesis_source__each_record_once(client: Callable[..., Any], s3: Any, firehose: Any, bucket: str, account: str) -> None:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=2)
    source = {"KinesisStreamARN": f"arn:aws:kinesis:us-east-1:{account}:stream/s", "RoleARN": ROLE}
    firehose.create_delivery_stream(
        DeliveryStreamName="d",
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration=source,
        S3DestinationConfiguration=to(bucket),
    )
    for batch in range(5):
        entries = [{"Data": b"%d," % (batch * 100 + n), "PartitionKey": f"k{n}"} for n in range(100)]
        kinesis.put_records(StreamName="s", Records=entries)
    kinesis.split_shard(StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
    kinesis.put_record(StreamName="s", Data=b"500,", PartitionKey="k", ExplicitHashKey="0")

    def delivered() -> list[int]:
        return sorted(int(number) for body in bodies(s3, bucket) for number in body.split(b",") if number)

    eventually(lambda: len(delivered()) >= 501)
    assert delivered() == list(range(501))


def test_watching__metrics_count_and_failures_are_logged(
    server: HeadraceServer, client: Callable[..., Any], s3: Any, firehose: Any, bucket: str
) -> None:
    options = {"Enabled": True, "LogGroupName": "/aws/kinesisfirehose/d", "LogStreamName": "S3Delivery"}
    missing = to(f"missing-{bucket}", CloudWatchLoggingOptions=options)
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=missing)
    firehose.put_record_batch(DeliveryStreamName="d", Records=[{"Data": b"a"}, {"Data": b"b"}])

    def logged() -> Any:
        found = client("logs").get_log_events(logGroupName="/aws/kinesisfirehose/d", logStreamName="S3Delivery")
        return found["events"]

    line = json.loads(eventually(logged)[0]["message"])
    assert (line["errorCode"], line["destination"]) == ("S3.NoSuchBucket", f"arn:aws:s3:::missing-{bucket}")
    s3.create_bucket(Bucket=f"missing-{bucket}")

    def delivered() -> bool:
        server.advance(2)
        return bodies(s3, f"missing-{bucket}") == [b"ab"]

    eventually(delivered)

    def measured() -> Any:
        return client("cloudwatch").list_metrics(Namespace="AWS/Firehose", MetricName="DeliveryToS3.Records")["Metrics"]

    assert eventually(measured)[0]["Dimensions"] == [{"Name": "DeliveryStreamName", "Value": "d"}]


FUNCTION = """
import base64

def handler(event, context):
    answers = []
    for record in event["records"]:
        text = base64.b64decode(record["data"]).decode()
        result = {"drop": "Dropped", "fail": "ProcessingFailed"}.get(text, "Ok")
        data = base64.b64encode((text.upper() + ";").encode()).decode()
        answers.append({"recordId": record["recordId"], "result": result, "data": data})
    return {"records": answers}
"""


def test_transformation__by_a_function(client: Callable[..., Any], s3: Any, firehose: Any, bucket: str, role: str) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", FUNCTION)
    arn = client("lambda").create_function(
        FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=role, Code={"ZipFile": package.getvalue()}
    )["FunctionArn"]
    processor = {"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": arn}]}
    firehose.create_delivery_stream(
        DeliveryStreamName="d",
        ExtendedS3DestinationConfiguration=to(bucket, ProcessingConfiguration={"Enabled": True, "Processors": [processor]}),
    )
    records = [{"Data": data} for data in (b"one", b"drop", b"two", b"fail")]
    firehose.put_record_batch(DeliveryStreamName="d", Records=records)
    assert eventually(lambda: bodies(s3, bucket, "20")) == [b"ONE;TWO;"]
    (failed,) = bodies(s3, bucket, "processing-failed/20")
    line = json.loads(failed)
    assert (line["rawData"], line["errorCode"]) == ("ZmFpbA==", "Lambda.ProcessingFailedStatus")


def test_transformation__by_another_accounts_function(
    server: HeadraceServer, account: str, s3: Any, firehose: Any, bucket: str, role: str
) -> None:
    other = f"{(int(account) + 5 * 10**11) % 10**12:012d}"
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", FUNCTION)
    owner = server.client("lambda", other)
    arn = owner.create_function(
        FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=role_for(server.client("iam", other)),
        Code={"ZipFile": package.getvalue()},
    )["FunctionArn"]  # fmt: skip
    parameters = {"LambdaArn": arn, "NumberOfRetries": "0"}
    processor = {"Type": "Lambda", "Parameters": [{"ParameterName": n, "ParameterValue": v} for n, v in parameters.items()]}
    firehose.create_delivery_stream(
        DeliveryStreamName="d",
        ExtendedS3DestinationConfiguration=to(bucket, ProcessingConfiguration={"Enabled": True, "Processors": [processor]}),
    )
    firehose.put_record(DeliveryStreamName="d", Record={"Data": b"one"})
    (failed,) = eventually(lambda: bodies(s3, bucket, "processing-failed/20"))
    assert json.loads(failed)["errorCode"] == "Lambda.InvokeAccessDenied"
    owner.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal=role)
    firehose.put_record(DeliveryStreamName="d", Record={"Data": b"two"})
    assert eventually(lambda: bodies(s3, bucket, "20")) == [b"TWO;"]


def test_kill__nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        s3, firehose = server.client("s3"), naming(server.client("firehose"), role_for(server.client("iam")))
        s3.create_bucket(Bucket="kill")
        firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=to("kill"))
        put = 0
        for _ in range(3):
            for _ in range(20):
                firehose.put_record(DeliveryStreamName="d", Record={"Data": b"%d," % put})
                put += 1
            server.kill()
            server.start()

        def delivered() -> list[int]:
            return sorted(int(number) for body in bodies(s3, "kill") for number in body.split(b",") if number)

        eventually(lambda: len(delivered()) >= put)
        assert delivered() == list(range(put))
    finally:
        server.stop()
