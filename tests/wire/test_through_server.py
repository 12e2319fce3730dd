"""The wire through a real server: what only a whole HTTP request shows."""

import base64
import datetime
import hashlib
import hmac
import http.client
import io
import secrets
import urllib.error
import urllib.request
from typing import Any

import boto3
import botocore.auth
import cbor2
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from headrace.wire import sigv4


@pytest.fixture
def bucket(client: Any) -> tuple[Any, str]:
    s3, name = client("s3"), f"wire-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name)
    return s3, name


@pytest.mark.parametrize("key", ["plain", "a b/c+d", "ünï/✓", "x//y/", "~tilde-._", "per%cent", "q?=&#", "(paren)'*!"])
def test_s3__keys_of_every_kind(bucket: tuple[Any, str], key: str) -> None:
    s3, name = bucket
    s3.put_object(Bucket=name, Key=key, Body=b"data", Metadata={"Colour": "blue"})
    assert s3.get_object(Bucket=name, Key=key)["Body"].read() == b"data"
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=name)["Contents"]] == [key]
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": key})) as answer:
        assert answer.read() == b"data"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_s3__checksums(bucket: tuple[Any, str], algorithm: str, size: int) -> None:
    s3, name = bucket
    data = secrets.token_bytes(size)
    s3.put_object(Bucket=name, Key="k", Body=io.BytesIO(data), ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=name, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    assert got[f"Checksum{algorithm}"]
    with pytest.raises(ClientError) as found:
        s3.put_object(Bucket=name, Key="k", Body=data + b"!", **{f"Checksum{algorithm}": got[f"Checksum{algorithm}"]})
    assert found.value.response["Error"]["Code"] in ("BadDigest", "InvalidRequest")


def test_s3__an_upload_in_signed_chunks(server: Any, bucket: tuple[Any, str]) -> None:
    s3, name = bucket
    access_key, secret = keys_of(s3)
    data = secrets.token_bytes(200_000)
    status = chunked_upload(server.port, f"/{name}/chunked", access_key, secret, data, spoil=False)
    assert status == 200
    assert s3.get_object(Bucket=name, Key="chunked")["Body"].read() == data
    assert chunked_upload(server.port, f"/{name}/spoiled", access_key, secret, data, spoil=True) == 403
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=name)["Contents"]] == ["chunked"]


def keys_of(client: Any) -> tuple[str, str]:
    found = client._request_signer._credentials.get_frozen_credentials()
    return found.access_key, found.secret_key


def chunked_upload(port: int, path: str, access_key: str, secret: str, data: bytes, *, spoil: bool) -> int:
    """An upload as SDKs for Java and Go make it over plain HTTP."""
    pieces = [data[at : at + 65536] for at in range(0, len(data), 65536)] + [b""]

    class Streaming(botocore.auth.S3SigV4Auth):  # type: ignore[misc]
        def payload(self, request: Any) -> str:
            return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

    url = f"http://127.0.0.1:{port}{path}"
    headers = {"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": str(len(data))}
    made = AWSRequest(method="PUT", url=url, headers=headers)
    Streaming(Credentials(access_key, secret), "s3", "us-east-1").add_auth(made)
    sent = {name: str(value) for name, value in made.headers.items()}
    date = sent["X-Amz-Date"]
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    key = sigv4.signing_key(secret, date[:8], "us-east-1", "s3")
    body, previous = b"", sent["Authorization"].rpartition("Signature=")[2]
    for piece in pieces:
        previous = chunk_signature(key, date, scope, previous, piece)
        shown = piece[:-1] + b"!" if spoil and piece == pieces[1] else piece
        body += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + shown + b"\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("PUT", path, body, sent)
    status = connection.getresponse().status
    connection.close()
    return status


def chunk_signature(key: bytes, date: str, scope: str, previous: str, piece: bytes) -> str:
    empty, own = hashlib.sha256().hexdigest(), hashlib.sha256(piece).hexdigest()
    text = f"AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{empty}\n{own}"
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def test_s3__a_presigned_upload_and_its_end(bucket: tuple[Any, str]) -> None:
    s3, name = bucket
    url = s3.generate_presigned_url("put_object", Params={"Bucket": name, "Key": "up", "ContentType": "text/x"}, ExpiresIn=60)
    request = urllib.request.Request(url, b"data", {"Content-Type": "text/x"}, method="PUT")
    urllib.request.urlopen(request).close()
    assert s3.get_object(Bucket=name, Key="up")["ContentType"] == "text/x"
    tampered = url.replace("/up?", "/other?")
    with pytest.raises(urllib.error.HTTPError) as found:
        urllib.request.urlopen(urllib.request.Request(tampered, b"data", {"Content-Type": "text/x"}, method="PUT"))
    assert found.value.code == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in found.value.read()


def test_kinesis__in_cbor_as_its_java_sdk_speaks(server: Any, client: Any) -> None:
    kinesis, name = client("kinesis"), f"wire-{secrets.token_hex(6)}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    access_key, secret = keys_of(kinesis)

    def call(operation: str, **parameters: Any) -> Any:
        headers = {"X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": "application/x-amz-cbor-1.1"}
        made = AWSRequest(method="POST", url=f"{server.url}/", data=cbor2.dumps(parameters), headers=headers)
        botocore.auth.SigV4Auth(Credentials(access_key, secret), "kinesis", "us-east-1").add_auth(made)
        request = urllib.request.Request(made.url, made.data, dict(made.headers.items()))
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.headers["Content-Type"] == "application/x-amz-cbor-1.1"
            return cbor2.loads(answer.read(), semantic_decoders={1: lambda value, *_: ("millis", value)})

    server.advance(60)
    put = call("PutRecord", StreamName=name, Data=b"\x00\xff", PartitionKey="p")
    assert put["ShardId"] == "shardId-000000000000"
    iterator = call("GetShardIterator", StreamName=name, ShardId=put["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    (record,) = call("GetRecords", ShardIterator=iterator)["Records"]
    assert record["Data"] == b"\x00\xff"
    assert record["ApproximateArrivalTimestamp"][0] == "millis"
    assert record["ApproximateArrivalTimestamp"][1] > datetime.datetime(2020, 1, 1).timestamp() * 1000


def test_errors__arrive_as_boto3_exceptions_of_their_class(client: Any) -> None:
    kinesis, lambda_, iam = client("kinesis"), client("lambda"), client("iam")
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.describe_stream_summary(StreamName="no-such-stream")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_function(FunctionName="no-such-function")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="no-such-role")
    with pytest.raises(ClientError, match="1 validation error detected: Value 'a b' at 'streamName' failed to satisfy"):
        kinesis.describe_stream_summary(StreamName="a b")


def test_signature__of_a_stranger(server: Any) -> None:
    for service, call, code in (
        ("kinesis", "list_streams", "UnrecognizedClientException"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("lambda", "list_functions", "UnrecognizedClientException"),
    ):
        stranger = boto3.client(
            service,
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="STRANGER",
            aws_secret_access_key="x",
            config=Config(retries={"max_attempts": 0}),
        )
        with pytest.raises(ClientError) as found:
            getattr(stranger, call)()
        assert found.value.response["Error"]["Code"] == code
        assert found.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"StreamName":5}', b"[" * 100_000, base64.b64encode(b"x" * 1000)])
def test_broken_bodies__get_400_and_leave_the_server_standing(server: Any, client: Any, body: bytes) -> None:
    kinesis = client("kinesis")
    access_key, secret = keys_of(kinesis)
    headers = {"X-Amz-Target": "Kinesis_20131202.PutRecord", "Content-Type": "application/x-amz-json-1.1"}
    made = AWSRequest(method="POST", url=f"{server.url}/", data=body, headers=headers)
    botocore.auth.SigV4Auth(Credentials(access_key, secret), "kinesis", "us-east-1").add_auth(made)
    with pytest.raises(urllib.error.HTTPError) as found:
        urllib.request.urlopen(urllib.request.Request(made.url, body, dict(made.headers.items())), timeout=30)
    assert found.value.code == 400
    assert b"SerializationException" in found.value.read()
    kinesis.list_streams()
