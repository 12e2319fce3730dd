"""Which operation a request names."""

import gzip

import pytest

from headrace.wire.identify import Target, Unidentified, bucket_of_host, identify, needs_body
from headrace.wire.protocols.table import protocol as protocol_of
from headrace.wire.request import HttpRequest


def scope(service: str) -> dict[str, str]:
    return {
        "authorization": f"AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{service}/aws4_request, "
        "SignedHeaders=host, Signature=0"
    }


def ask(method: str, path: str, query: str = "", service: str = "s3", body: bytes = b"", **headers: str) -> Target:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return identify(HttpRequest(method, path, query, {**(scope(service) if service else {}), **named}, body))


def test_targets__json_and_cbor() -> None:
    target = ask("POST", "/", x_amz_target="Kinesis_20131202.PutRecord", content_type="application/x-amz-json-1.1")
    assert (target.service.name, target.operation.name, target.protocol) == ("kinesis", "PutRecord", "json")
    assert (
        ask("POST", "/", x_amz_target="Kinesis_20131202.PutRecord", content_type="application/x-amz-cbor-1.1").protocol == "cbor"
    )
    assert ask("POST", "/", x_amz_target="KinesisAnalytics_20180523.ListApplications").service.name == "kinesisanalyticsv2"
    assert ask("POST", "/", x_amz_target="DynamoDBStreams_20120810.GetRecords").service.name == "dynamodbstreams"
    rpc = ask("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", smithy_protocol="rpc-v2-cbor")
    assert (rpc.service.name, rpc.operation.name, rpc.protocol) == ("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor")


def test_actions__by_version_and_by_signing_name() -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert needs_body(HttpRequest("POST", "/", "", {"content-type": form}))
    assert not needs_body(HttpRequest("POST", "/", "", {"content-type": form, "x-amz-target": "x"}))
    target = ask("POST", "/", service="iam", content_type=form, body=b"Action=ListRoles&Version=2010-05-08")
    assert (target.service.name, target.operation.name, target.protocol) == ("iam", "ListRoles", "query")
    assert (
        ask("POST", "/", service="", content_type=form, body=b"Version=2011-06-15&Action=AssumeRoleWithWebIdentity").service.name
        == "sts"
    )
    assert ask("POST", "/", service="monitoring", content_type=form, body=b"Action=PutMetricData").service.name == "cloudwatch"
    packed = gzip.compress(b"Action=PutMetricData&Version=2010-08-01")
    assert (
        ask("POST", "/", service="monitoring", content_type=form, content_encoding="gzip", body=packed).service.name
        == "cloudwatch"
    )
    assert ask("GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", service="sts").operation.name == "GetCallerIdentity"
    assert ask("GET", "/bkt/k", "Action=GetCallerIdentity&Version=2011-06-15").operation.name == "GetObject"


@pytest.mark.parametrize(
    ("service", "method", "path", "expected"),
    [
        ("ses", "POST", "/v2/email/outbound-emails", "sesv2.SendEmail"),
        ("ses", "GET", "/v2/email/identities/a%40b.c", "sesv2.GetEmailIdentity"),
        ("kinesisvideo", "POST", "/createStream", "kinesisvideo.CreateStream"),
        ("kinesisvideo", "POST", "/getMedia", "kinesis-video-media.GetMedia"),
        ("kinesisvideo", "POST", "/getHLSStreamingSessionURL", "kinesis-video-archived-media.GetHLSStreamingSessionURL"),
        ("lambda", "POST", "/2015-03-31/functions", "lambda.CreateFunction"),
        ("lambda", "POST", "/2015-03-31/functions/", "lambda.CreateFunction"),
        ("lambda", "GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3A%3A0%3Afunction%3Af", "lambda.GetFunction"),
        ("lambda", "POST", "/2015-03-31/functions/f/invocations", "lambda.Invoke"),
        ("", "POST", "/2015-03-31/functions/f/invocations", "lambda.Invoke"),
    ],
)
def test_paths__of_rest_json_services(service: str, method: str, path: str, expected: str) -> None:
    target = ask(method, path, service=service)
    assert f"{target.service.name}.{target.operation.name}" == expected


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "expected", "key"),
    [
        ("GET", "/", "", {}, "ListBuckets", None),
        ("GET", "/bkt", "", {}, "ListObjects", None),
        ("GET", "/bkt/", "list-type=2", {}, "ListObjectsV2", None),
        ("GET", "/bkt", "location", {}, "GetBucketLocation", None),
        ("GET", "/bkt", "versions", {}, "ListObjectVersions", None),
        ("PUT", "/bkt", "lifecycle", {}, "PutBucketLifecycleConfiguration", None),
        ("PUT", "/bkt/a%2Fb//c/", "", {}, "PutObject", "a/b//c/"),
        ("PUT", "/bkt/k", "", {"x-amz-copy-source": "x"}, "CopyObject", "k"),
        ("PUT", "/bkt/k", "partNumber=1&uploadId=x", {}, "UploadPart", "k"),
        ("PUT", "/bkt/k", "partNumber=1&uploadId=x", {"x-amz-copy-source": "x"}, "UploadPartCopy", "k"),
        ("GET", "/bkt/k", "uploadId=x", {}, "ListParts", "k"),
        ("GET", "/bkt/k", "versionId=x", {}, "GetObject", "k"),
        ("POST", "/bkt/k", "uploads=", {}, "CreateMultipartUpload", "k"),
        ("POST", "/bkt/k", "uploadId=x", {}, "CompleteMultipartUpload", "k"),
        ("POST", "/bkt", "delete=", {}, "DeleteObjects", None),
        ("HEAD", "/bkt/k", "", {}, "HeadObject", "k"),
        ("DELETE", "/bkt/k", "tagging", {}, "DeleteObjectTagging", "k"),
        ("GET", "/bkt", "analytics&id=1", {}, "GetBucketAnalyticsConfiguration", None),
    ],
)
def test_paths__of_s3(method: str, path: str, query: str, headers: dict[str, str], expected: str, key: str | None) -> None:
    target = ask(method, path, query, **headers)
    assert (target.operation.name, target.labels.get("Key")) == (expected, key)
    hosted = ask(method, path.removeprefix("/bkt") or "/", query, host="bkt.localhost:4566", **headers)
    if path != "/":
        assert (hosted.operation.name, hosted.labels) == (target.operation.name, target.labels)


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("bucket.s3.amazonaws.com", "bucket"),
        ("my.bucket.s3.us-west-2.amazonaws.com:443", "my.bucket"),
        ("bucket.localhost:4566", "bucket"),
        ("bucket.s3.localhost.localstack.cloud:4566", "bucket"),
        ("s3.amazonaws.com", None),
        ("s3.us-east-1.amazonaws.com", None),
        ("s3.localhost:4566", None),
        ("localhost:4566", None),
        ("127.0.0.1:4566", None),
        ("[::1]:4566", None),
        ("", None),
    ],
)
def test_hosts(host: str, bucket: str | None) -> None:
    assert bucket_of_host(host) == bucket


@pytest.mark.parametrize(
    ("request_", "code", "protocol"),
    [
        (HttpRequest("POST", "/", "", {"x-amz-target": "Nope.Nope"}), "UnknownOperationException", "json"),
        (HttpRequest("POST", "/", "", {"x-amz-target": "DynamoDB_20120810.Nope"}), "UnknownOperationException", "json"),
        (HttpRequest("GET", "/", "Action=Nope&Version=2011-06-15", {}), "InvalidAction", "query"),
        (HttpRequest("POST", "/", "", scope("dynamodb")), "UnknownOperationException", "json"),
        (HttpRequest("GET", "/", "Action=ListQueues&Version=2012-11-05", scope("sqs")), "InvalidAction", "query"),
        (HttpRequest("PATCH", "/bkt/k", "", {}), "MethodNotAllowed", "rest-xml"),
        (HttpRequest("GET", "/nope", "", scope("lambda")), "UnknownOperationException", "rest-json"),
        (
            HttpRequest("POST", "/service/x", "", {"smithy-protocol": "rpc-v2-cbor"}),
            "UnknownOperationException",
            "smithy-rpc-v2-cbor",
        ),
    ],
)
def test_nobodys_requests(request_: HttpRequest, code: str, protocol: str) -> None:
    with pytest.raises(Unidentified) as found:
        identify(request_)
    assert (found.value.code, found.value.protocol) == (code, protocol)
    made = protocol_of(protocol).serialise_error(found.value.service, None, found.value, "id-1")
    assert made.status == found.value.status
    text = str(made.headers) + (made.body.decode("latin-1") if isinstance(made.body, bytes) else "")
    assert code in text
