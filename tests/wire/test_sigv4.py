"""Signatures made by botocore's signers, and by AWS's own documented examples."""

import datetime
import time
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.wire.sampler import lower_headers

from headrace.kit.errors import AwsError
from headrace.wire import sigv4
from headrace.wire.body import body_decoder
from headrace.wire.request import HttpRequest
from headrace.wire.verified import Verified

KEYS = {"AKID": ("secret", None), "ASIA": ("secret2", "to/ken+=="), "AK/ID": ("secret3", None)}
JSON = {
    "X-Amz-Target": "DynamoDB_20120810.PutItem",
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Meta-A": " two   words ",
}


def now() -> float:
    return time.time()


def credentials(key: str = "AKID") -> Credentials:
    secret, token = KEYS[key]
    return Credentials(key, secret, token)


def signed(
    signer: Any,
    method: str = "POST",
    url: str = "http://localhost:4566/",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
) -> HttpRequest:
    made = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
    made.context["client_config"] = None
    signer.add_auth(made)
    prepared = made.prepare()
    parts = urlsplit(prepared.url)
    return HttpRequest(method, parts.path, parts.query, {**lower_headers(prepared.headers), "host": "localhost:4566"}, body)


def verify(request: HttpRequest, at: float | None = None, protocol: str = "json") -> Verified:
    return sigv4.verify(request, KEYS.get, now() if at is None else at, protocol)


def refused(request: HttpRequest, at: float | None = None, protocol: str = "json") -> AwsError:
    with pytest.raises(AwsError) as found:
        verify(request, at, protocol)
    return found.value


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "url", ["/", "/a/b", "/a%20b/%C3%A9?b=2&a=1%20x&a=&z", "/x//y/../z/", "/a?Action=X&b=%2B%26", "/~tilde-_.?q=~"]
)
def test_header__what_botocore_signs_is_accepted(key: str, url: str) -> None:
    request = signed(
        botocore.auth.SigV4Auth(credentials(key), "dynamodb", "eu-west-1"), url="http://localhost:4566" + url, headers=JSON
    )
    verified = verify(request)
    assert (verified.access_key_id, verified.region, verified.service) == (key, "eu-west-1", "dynamodb")
    assert verified.payload == "hashed"
    assert "x-amz-target" in verified.signed_headers


@pytest.mark.parametrize(
    "path",
    ["/bucket/a%20b//c/../d", "/bucket/%C3%A9%2B%28x%29", "/bucket/key?uploads", "/b/k?partNumber=1&uploadId=a%2Fb", "/b/~x"],
)
def test_s3__paths_are_encoded_once(path: str) -> None:
    signer = botocore.auth.S3SigV4Auth(credentials(), "s3", "us-east-1")
    verified = verify(signed(signer, "PUT", "http://localhost:4566" + path, b"data"), protocol="rest-xml")
    assert verified.payload == "hashed"


@pytest.mark.parametrize("key", ["AKID", "ASIA"])
def test_presigned__valid_until_it_expires(key: str) -> None:
    signer = botocore.auth.S3SigV4QueryAuth(credentials(key), "s3", "us-east-1", expires=60)
    request = signed(signer, "GET", "http://localhost:4566/bucket/a%20key?versionId=x%2By", b"")
    verified = verify(request, protocol="rest-xml")
    assert verified.presigned
    assert verified.payload == "unsigned"
    error = refused(request, now() + 62, "rest-xml")
    assert (error.code, error.message, error.status) == ("AccessDenied", "Request has expired", 403)
    request.query_string = request.query_string.replace("Expires=60", "Expires=600")
    assert refused(request, protocol="rest-xml").code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("key", ["AKID", "ASIA"])
@pytest.mark.parametrize("url", ["/bucket/a%20key%2B", "/bucket/k?versionId=a%2Fb&partNumber=3&other=1", "/bucket?uploads"])
def test_presigned__the_older_kind(key: str, url: str) -> None:
    signer = botocore.auth.HmacV1QueryAuth(credentials(key), expires=60)
    headers = {"Content-Type": "text/x", "x-amz-acl": "private"}
    request = signed(signer, "PUT", "http://localhost:4566" + url, b"", headers)
    request.headers.pop("x-amz-acl")  # type: ignore[attr-defined]
    verified = verify(request, protocol="rest-xml")
    assert (verified.access_key_id, verified.payload, verified.presigned) == (key, "unsigned", True)
    assert refused(request, now() + 62, "rest-xml").message == "Request has expired"
    assert refused(request).code in ("InvalidSignatureException", "IncompleteSignatureException")
    request.method = "DELETE"
    assert refused(request, protocol="rest-xml").code == "SignatureDoesNotMatch"


def test_presigned__query_services() -> None:
    signer = botocore.auth.SigV4QueryAuth(credentials(), "sts", "us-east-1", expires=60)
    request = signed(signer, "GET", "http://localhost:4566/?Action=GetCallerIdentity&Version=2011-06-15", b"")
    assert verify(request, protocol="query").service == "sts"


@pytest.mark.parametrize(
    ("protocol", "codes"),
    [
        (
            "json",
            (
                "UnrecognizedClientException",
                "InvalidSignatureException",
                "MissingAuthenticationTokenException",
                "IncompleteSignatureException",
            ),
        ),
        ("query", ("InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationToken", "IncompleteSignature")),
        ("rest-xml", ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidRequest")),
    ],
)
def test_refusals__each_protocol_has_its_own_codes(protocol: str, codes: tuple[str, ...]) -> None:
    signer = botocore.auth.SigV4Auth(Credentials("NOBODY", "x"), "sts", "us-east-1")
    assert refused(signed(signer), protocol=protocol).code == codes[0]
    signer = botocore.auth.SigV4Auth(Credentials("AKID", "wrong"), "sts", "us-east-1")
    assert refused(signed(signer), protocol=protocol).code == codes[1]
    assert refused(HttpRequest("POST", "/", "", {"host": "h"}, b""), protocol=protocol).code == codes[2]
    assert refused(HttpRequest("POST", "/", "", {"host": "h", "authorization": "Basic eA=="}), protocol=protocol).code == codes[3]


def test_refusals__the_sentences_are_those_of_aws() -> None:
    request = signed(botocore.auth.SigV4Auth(Credentials("AKID", "wrong"), "dynamodb", "us-east-1"))
    error = refused(request)
    assert error.message == (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
        "and signing method. Consult the service documentation for details."
    )
    assert error.status == 403
    assert refused(HttpRequest("POST", "/", "", {}, b"")).message == "Missing Authentication Token"
    late = signed(botocore.auth.SigV4Auth(credentials(), "dynamodb", "us-east-1"))
    date = late.headers["x-amz-date"]
    at = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC).timestamp() + 3600
    amz = datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    limit = datetime.datetime.fromtimestamp(at - 900, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    assert refused(late, at).message == f"Signature expired: {date} is now earlier than {limit} ({amz} - 15 min.)"
    assert refused(late, at - 7200).message.startswith(f"Signature not yet current: {date} is still later than ")
    assert refused(late, at, "rest-xml").code == "RequestTimeTooSkewed"


@pytest.mark.parametrize("change", ["body", "path", "query", "method", "header", "target"])
def test_tampering__every_signed_part_counts(change: str) -> None:
    request = signed(botocore.auth.SigV4Auth(credentials(), "dynamodb", "us-east-1"), headers=JSON)
    headers = dict(request.headers)
    changed = HttpRequest(request.method, request.raw_path, request.query_string, headers, request.body)
    if change == "body":
        changed.body = b'{"a":1}'
    elif change == "path":
        changed.raw_path = "/x"
    elif change == "query":
        changed.query_string = "a=b"
    elif change == "method":
        changed.method = "PUT"
    elif change == "header":
        headers["x-amz-meta-a"] = "else"
    else:
        headers["x-amz-target"] = "DynamoDB_20120810.DeleteTable"
    assert refused(changed).code == "InvalidSignatureException"
    verify(request)


def test_tampering__an_unsigned_steering_header_is_refused() -> None:
    request = signed(botocore.auth.SigV4Auth(credentials(), "dynamodb", "us-east-1"))
    with_target = {**request.headers, "x-amz-target": "DynamoDB_20120810.DeleteTable"}
    error = refused(HttpRequest("POST", "/", "", with_target, request.body))
    assert "'x-amz-target' must be a 'SignedHeader'" in error.message


@pytest.mark.parametrize("token", ["", "other"])
def test_token__must_be_the_keys_own(token: str) -> None:
    request = signed(botocore.auth.SigV4Auth(Credentials("ASIA", "secret2", token or None), "dynamodb", "us-east-1"))
    assert refused(request).code == "UnrecognizedClientException"
    request = signed(botocore.auth.SigV4Auth(Credentials("AKID", "secret", "surplus"), "dynamodb", "us-east-1"))
    assert refused(request).message == "The security token included in the request is invalid."


def test_unsigned_payload__only_where_aws_allows_it() -> None:
    class Unsigned(botocore.auth.SigV4Auth):  # type: ignore[misc]
        def payload(self, request: Any) -> str:
            request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
            return "UNSIGNED-PAYLOAD"

    def make(service: str) -> HttpRequest:
        signer = Unsigned(credentials(), service, "us-east-1")
        return signed(signer, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})

    assert verify(make("s3"), protocol="rest-xml").payload == "unsigned"
    assert verify(make("kinesisvideo"), protocol="rest-json").payload == "unsigned"
    assert refused(make("dynamodb")).code == "InvalidSignatureException"


@pytest.mark.parametrize("payload", [b"", None])
def test_video__an_endless_body_may_be_signed_as_if_it_were_empty(payload: bytes | None) -> None:
    request = signed(
        botocore.auth.SigV4Auth(credentials(), "kinesisvideo", "us-east-1"), url="http://localhost:4566/putMedia", body=b""
    )
    request.body = payload
    assert verify(request, protocol="rest-json").region == "us-east-1"
    request.headers["x-amzn-stream-name"] = "unsigned, and no x-amz- header"  # type: ignore[index]
    verify(request, protocol="rest-json")
    request.raw_path = "/getMedia"
    assert refused(request, protocol="rest-json").code == "InvalidSignatureException"


def test_presigned__a_surplus_hash_header_changes_nothing() -> None:
    signer = botocore.auth.S3SigV4QueryAuth(credentials(), "s3", "us-east-1", expires=60)
    request = signed(signer, "PUT", "http://localhost:4566/bucket/key", b"")
    request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"  # type: ignore[index]
    assert verify(request, protocol="rest-xml").payload == "unsigned"


def test_s3__the_body_must_be_the_signed_one() -> None:
    request = signed(botocore.auth.S3SigV4Auth(credentials(), "s3", "us-east-1"), "PUT", "http://localhost:4566/b/k", b"data")
    request.body = b"other"
    assert refused(request, protocol="rest-xml").code == "XAmzContentSHA256Mismatch"
    request.body = None  # streamed: the decoder checks it
    verified = verify(request, protocol="rest-xml")
    decoder = body_decoder(verified, request.headers)
    assert decoder.feed(b"da") + decoder.feed(b"ta") == b"data"
    decoder.finish()
    decoder = body_decoder(verified, request.headers)
    decoder.feed(b"tada")
    with pytest.raises(AwsError, match="x-amz-content-sha256"):
        decoder.finish()


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/us-east-1/x/aws4_request, SignedHeaders=host, Signature=0",
        "AWS AKID:c2lnbmF0dXJl",
        "AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 SignedHeaders=host",
        "AWS4-HMAC-SHA256",
        "",
        "AWS4-HMAC-SHA256 Credential=AKID/2026/us-east-1/x/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=AKID/20269999/us-east-1/x/aws4_request, SignedHeaders=host, Signature=\u00e9",
    ],
)
@pytest.mark.parametrize("protocol", ["json", "query", "rest-xml"])
def test_odd_headers__are_refused_not_crashed_on(authorization: str, protocol: str) -> None:
    headers = {"host": "h", "authorization": authorization, "x-amz-date": "20269999T000000Z"}
    assert refused(HttpRequest("POST", "/", "", headers, b""), protocol=protocol).status in (400, 403)


DOCUMENTED = {"AKIAIOSFODNN7EXAMPLE": ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)}
DOCUMENTED_AT = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC).timestamp()


def documented_upload(payload: str, signed_headers: str, signature: str, **extra: str) -> tuple[Verified, dict[str, str]]:
    headers = {
        "host": "s3.amazonaws.com",
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": payload,
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "content-length": "66824",
        **{name.replace("_", "-"): value for name, value in extra.items()},
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={signed_headers},Signature={signature}",
    }
    request = HttpRequest("PUT", "/examplebucket/chunkObject.txt", "", headers, None)
    return sigv4.verify(request, DOCUMENTED.get, DOCUMENTED_AT, "rest-xml"), headers


def test_chunks__the_documented_example() -> None:
    verified, headers = documented_upload(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    )
    assert verified.payload == "chunks"
    body = (
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + b"a" * 65536 + b"\r\n"
        b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + b"a" * 1024 + b"\r\n"
        b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
    )
    for size in (len(body), 1000, 7):
        decoder = body_decoder(verified, headers)
        assert b"".join(decoder.feed(body[at : at + size]) for at in range(0, len(body), size)) == b"a" * 66560
        decoder.finish()
    decoder = body_decoder(verified, headers)
    with pytest.raises(AwsError) as found:
        decoder.feed(body.replace(b"aaa\r\n400", b"aab\r\n400"))
    assert found.value.code == "SignatureDoesNotMatch"


def test_chunks_with_trailer__the_documented_example() -> None:
    verified, headers = documented_upload(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        x_amz_trailer="x-amz-checksum-crc32c",
    )
    assert verified.payload == "chunks-trailer"
    body = (
        b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" + b"a" * 65536 + b"\r\n"
        b"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" + b"a" * 1024 + b"\r\n"
        b"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
        b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
    )
    decoder = body_decoder(verified, headers)
    assert decoder.feed(body) == b"a" * 66560
    decoder.finish()
    assert decoder.checksums == {"crc32c": "sOO8/Q=="}
    decoder = body_decoder(verified, headers)
    with pytest.raises(AwsError):
        decoder.feed(body.replace(b"sOO8/Q==", b"sOO8/A=="))
