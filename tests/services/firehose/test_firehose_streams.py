"""Delivery streams through boto3: what is kept, shown, changed and refused."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.services.firehose.fakes import REDSHIFT, ROLE, S3

KMS = {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:a:123456789012:key/k"}}


def processing(kind: str) -> dict[str, Any]:
    return {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": kind}]}}


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def described(firehose: Any, name: str = "d") -> dict[str, Any]:
    return firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]


def test_create__s3_with_defaults(firehose: Any, account: str, role: str) -> None:
    answer = firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=S3)
    arn = f"arn:aws:firehose:us-east-1:{account}:deliverystream/d"
    assert answer["DeliveryStreamARN"] == arn
    shape = described(firehose)
    assert (shape["DeliveryStreamARN"], shape["DeliveryStreamStatus"], shape["VersionId"]) == (arn, "ACTIVE", "1")
    assert shape["DeliveryStreamType"] == "DirectPut"
    (destination,) = shape["Destinations"]
    assert destination == {
        "DestinationId": "destinationId-000000000001",
        "S3DestinationDescription": {
            "RoleARN": role,
            "BucketARN": "arn:aws:s3:::bucket",
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
            "CompressionFormat": "UNCOMPRESSED",
            "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
            "CloudWatchLoggingOptions": {"Enabled": False},
        },
    }


def test_create__extended_s3_shows_both_descriptions(firehose: Any) -> None:
    processing = {
        "Enabled": True,
        "Processors": [
            {"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": "arn:aws:lambda:a:1:function:f"}]}
        ],
    }
    firehose.create_delivery_stream(
        DeliveryStreamName="d",
        ExtendedS3DestinationConfiguration={
            **S3, "Prefix": "a/", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}, "CompressionFormat": "GZIP",
            "FileExtension": ".jsonl", "CustomTimeZone": "Europe/Berlin", "ProcessingConfiguration": processing,
        },
    )  # fmt: skip
    (destination,) = described(firehose)["Destinations"]
    extended = destination["ExtendedS3DestinationDescription"]
    assert extended["BufferingHints"] == {"SizeInMBs": 1, "IntervalInSeconds": 0}
    assert extended["ProcessingConfiguration"] == processing
    assert (extended["FileExtension"], extended["CustomTimeZone"], extended["S3BackupMode"]) == (
        ".jsonl", "Europe/Berlin", "Disabled",
    )  # fmt: skip
    assert destination["S3DestinationDescription"]["Prefix"] == "a/"


def test_create__redshift_keeps_the_password_to_itself(firehose: Any) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", RedshiftDestinationConfiguration=REDSHIFT)
    (destination,) = described(firehose)["Destinations"]
    shape = destination["RedshiftDestinationDescription"]
    assert (shape["Username"], shape["ClusterJDBCURL"]) == ("loader", REDSHIFT["ClusterJDBCURL"])
    assert shape["RetryOptions"] == {"DurationInSeconds": 3600}
    assert shape["S3DestinationDescription"]["Prefix"] == "stage/"
    assert "secret-password" not in str(described(firehose))


def test_create__twice_is_an_error(firehose: Any, account: str) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=S3)
    expected = ("ResourceInUseException", f"Firehose d under accountId {account} already exists")
    assert error_of(firehose.create_delivery_stream, DeliveryStreamName="d", S3DestinationConfiguration=S3) == expected


@pytest.mark.parametrize(
    ("configuration", "code", "text"),
    [
        ({}, "InvalidArgumentException", "Exactly one destination"),
        ({"Prefix": "!{timestamp:yyyy}/"}, "InvalidArgumentException", "ErrorOutputPrefix cannot be null"),
        ({"CompressionFormat": "Snappy"}, "NotImplemented", "Snappy"),
        ({"CustomTimeZone": "Mars/Olympus"}, "InvalidArgumentException", "Mars/Olympus"),
        ({"DynamicPartitioningConfiguration": {"Enabled": True}}, "NotImplemented", "DynamicPartitioning"),
        ({"DataFormatConversionConfiguration": {"Enabled": True}}, "NotImplemented", "DataFormatConversion"),
        ({"EncryptionConfiguration": KMS}, "NotImplemented", "KMS"),
        ({"S3BackupMode": "Enabled"}, "InvalidArgumentException", "S3BackupConfiguration"),
        (processing("Lambda"), "InvalidArgumentException", "LambdaArn"),
        (processing("MetadataExtraction"), "NotImplemented", "Metadata"),
    ],
)  # fmt: skip
def test_create__refuses(firehose: Any, configuration: dict[str, Any], code: str, text: str) -> None:
    arguments = {"ExtendedS3DestinationConfiguration": {**S3, **configuration}} if configuration else {}
    found, message = error_of(firehose.create_delivery_stream, DeliveryStreamName="d", **arguments)
    assert (found, text in message) == (code, True)
    assert firehose.list_delivery_streams()["DeliveryStreamNames"] == []


def test_create__refuses_destinations_that_are_not_there(firehose: Any) -> None:
    http = {"EndpointConfiguration": {"Url": "https://example.com"}, "S3Configuration": S3}
    code, message = error_of(firehose.create_delivery_stream, DeliveryStreamName="d", HttpEndpointDestinationConfiguration=http)
    assert (code, "HttpEndpointDestinationConfiguration" in message) == ("NotImplemented", True)


def test_create__redshift_refuses_prefix_expressions_and_foreign_urls(firehose: Any) -> None:
    s3 = {**REDSHIFT["S3Configuration"], "Prefix": "!{timestamp:yyyy}/"}
    for changed in ({"S3Configuration": s3}, {"Username": None}):
        configuration = {name: value for name, value in {**REDSHIFT, **changed}.items() if value is not None}
        code, _ = error_of(
            firehose.create_delivery_stream, DeliveryStreamName="d", RedshiftDestinationConfiguration=configuration
        )
        assert code == "InvalidArgumentException"


def test_create__refuses_roles_that_cannot_be_assumed(firehose: Any, account: str) -> None:
    missing = f"arn:aws:iam::{account}:role/missing"
    code, message = error_of(
        firehose.create_delivery_stream, DeliveryStreamName="d", S3DestinationConfiguration={**S3, "RoleARN": missing}
    )
    assert (code, message) == (
        "InvalidArgumentException", f"Firehose is unable to assume role {missing}. Please check the role provided.",
    )  # fmt: skip
    foreign = {**S3, "RoleARN": "arn:aws:iam::999999999999:role/firehose"}
    code, message = error_of(firehose.create_delivery_stream, DeliveryStreamName="d", S3DestinationConfiguration=foreign)
    assert (code, message) == ("InvalidArgumentException", "Cross-account pass role is not allowed.")


def test_list__pages_and_filters(firehose: Any) -> None:
    for name in "bac":
        firehose.create_delivery_stream(DeliveryStreamName=name, S3DestinationConfiguration=S3)
    first = firehose.list_delivery_streams(Limit=2)
    assert (first["DeliveryStreamNames"], first["HasMoreDeliveryStreams"]) == (["a", "b"], True)
    rest = firehose.list_delivery_streams(ExclusiveStartDeliveryStreamName="b")
    assert (rest["DeliveryStreamNames"], rest["HasMoreDeliveryStreams"]) == (["c"], False)
    assert firehose.list_delivery_streams(DeliveryStreamType="KinesisStreamAsSource")["DeliveryStreamNames"] == []


def test_update__changes_what_it_names(firehose: Any) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", ExtendedS3DestinationConfiguration={**S3, "Prefix": "a/"})
    arguments = {"DeliveryStreamName": "d", "DestinationId": "destinationId-000000000001"}
    hints = {"SizeInMBs": 7, "IntervalInSeconds": 70}
    firehose.update_destination(
        CurrentDeliveryStreamVersionId="1", ExtendedS3DestinationUpdate={"BufferingHints": hints}, **arguments
    )
    shape = described(firehose)
    extended = shape["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (shape["VersionId"], extended["Prefix"], extended["BufferingHints"]) == ("2", "a/", hints)
    code, message = error_of(
        firehose.update_destination, CurrentDeliveryStreamVersionId="1", S3DestinationUpdate={"Prefix": "b/"}, **arguments
    )
    assert code == "ConcurrentModificationException"
    assert message == ("Cannot update firehose: d since the current version id: 2 and specified version id: 1 do not match")
    code, _ = error_of(firehose.update_destination, CurrentDeliveryStreamVersionId="2", RedshiftDestinationUpdate={}, **arguments)
    assert code == "InvalidArgumentException"


def test_delete__and_missing_streams(firehose: Any, account: str) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=S3)
    firehose.put_record(DeliveryStreamName="d", Record={"Data": b"x"})
    firehose.delete_delivery_stream(DeliveryStreamName="d")
    expected = ("ResourceNotFoundException", f"Firehose d under account {account} not found.")
    assert error_of(firehose.describe_delivery_stream, DeliveryStreamName="d") == expected
    assert error_of(firehose.put_record, DeliveryStreamName="d", Record={"Data": b"x"}) == expected
    assert error_of(firehose.delete_delivery_stream, DeliveryStreamName="d") == expected


def test_put__answers_with_record_ids_and_refuses_too_much(firehose: Any) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=S3)
    one = firehose.put_record(DeliveryStreamName="d", Record={"Data": b"x"})
    many = firehose.put_record_batch(DeliveryStreamName="d", Records=[{"Data": b"%d" % n} for n in range(500)])
    assert (one["Encrypted"], many["FailedPutCount"]) == (False, 0)
    ids = {response["RecordId"] for response in many["RequestResponses"]} | {one["RecordId"]}
    assert len(ids) == 501
    large = [{"Data": b"x" * 1_000_000}] * 5
    code, message = error_of(firehose.put_record_batch, DeliveryStreamName="d", Records=large)
    assert (code, message) == ("InvalidArgumentException", "Records size exceeds 4 MB limit")
    code, _ = error_of(firehose.put_record, DeliveryStreamName="d", Record={"Data": b"x" * 1_024_001})
    assert code == "ValidationException"


def test_tags(firehose: Any) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=S3, Tags=[{"Key": "b", "Value": "2"}])
    firehose.tag_delivery_stream(DeliveryStreamName="d", Tags=[{"Key": "a", "Value": "1"}, {"Key": "c"}])
    page = firehose.list_tags_for_delivery_stream(DeliveryStreamName="d", Limit=2)
    assert page["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert page["HasMoreTags"]
    firehose.untag_delivery_stream(DeliveryStreamName="d", TagKeys=["a", "b"])
    assert [tag["Key"] for tag in firehose.list_tags_for_delivery_stream(DeliveryStreamName="d")["Tags"]] == ["c"]


def test_encryption__is_kept_and_shown(firehose: Any) -> None:
    firehose.create_delivery_stream(DeliveryStreamName="d", S3DestinationConfiguration=S3)
    assert described(firehose)["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    firehose.start_delivery_stream_encryption(DeliveryStreamName="d")
    assert described(firehose)["DeliveryStreamEncryptionConfiguration"] == {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}
    assert firehose.put_record(DeliveryStreamName="d", Record={"Data": b"x"})["Encrypted"]
    firehose.stop_delivery_stream_encryption(DeliveryStreamName="d")
    assert described(firehose)["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}


def test_kinesis_source__takes_no_put(client: Callable[..., Any], firehose: Any, account: str) -> None:
    client("kinesis").create_stream(StreamName="s", ShardCount=1)
    source = {"KinesisStreamARN": f"arn:aws:kinesis:us-east-1:{account}:stream/s", "RoleARN": ROLE}
    arguments = {"DeliveryStreamName": "d", "DeliveryStreamType": "KinesisStreamAsSource", "S3DestinationConfiguration": S3}
    code, _ = error_of(firehose.create_delivery_stream, **arguments)
    assert code == "InvalidArgumentException"
    firehose.create_delivery_stream(KinesisStreamSourceConfiguration=source, **arguments)
    shown = described(firehose)["Source"]["KinesisStreamSourceDescription"]
    assert shown["KinesisStreamARN"] == source["KinesisStreamARN"]
    code, message = error_of(firehose.put_record, DeliveryStreamName="d", Record={"Data": b"x"})
    assert (code, "KinesisStreamAsSource" in message) == ("InvalidArgumentException", True)
