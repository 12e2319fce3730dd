"""The gateway from outside: who is let in, what is refused and how, and that bad input leaves it standing."""

import http.client
import json
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import REGION, ROOT_KEY, ROOT_SECRET, HeadraceServer

NO_RETRY = Config(retries={"max_attempts": 0})


def kinesis(server: HeadraceServer, key: str = ROOT_KEY, secret: str = ROOT_SECRET, token: str | None = None) -> Any:
    return boto3.client(
        "kinesis", endpoint_url=server.url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret,
        aws_session_token=token, config=NO_RETRY,
    )  # fmt: skip


def raw(server: HeadraceServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_signature__root_is_let_in(server: HeadraceServer) -> None:
    assert "StreamNames" in kinesis(server).list_streams()


def test_signature__wrong_secret(server: HeadraceServer) -> None:
    with pytest.raises(ClientError) as caught:
        kinesis(server, secret="wrong").list_streams()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert "does not match the signature you provided" in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_signature__unknown_key(server: HeadraceServer) -> None:
    with pytest.raises(ClientError) as caught:
        kinesis(server, key="AKIAUNKNOWN").list_streams()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert caught.value.response["Error"]["Message"] == "The security token included in the request is invalid."


def test_signature__clock_skew(server: HeadraceServer) -> None:
    early = datetime.now(UTC) - timedelta(minutes=20)
    with mock.patch("botocore.auth.get_current_datetime", return_value=early), pytest.raises(ClientError) as caught:
        kinesis(server).list_streams()
    assert caught.value.response["Error"]["Message"].startswith("Signature expired: ")


def test_signature__none(server: HeadraceServer) -> None:
    answer, content = raw(
        server, "POST", "/", b"{}", {"x-amz-target": "Kinesis_20131202.ListStreams", "content-type": "application/x-amz-json-1.1"}
    )
    assert answer.status in (400, 403)
    assert json.loads(content)["__type"].endswith("MissingAuthenticationTokenException")


def test_accounts__do_not_see_each_other(server: HeadraceServer) -> None:
    one, two = server.client("kinesis", "111100000001"), server.client("kinesis", "111100000002")
    one.create_stream(StreamName="mine", ShardCount=1)
    assert one.list_streams()["StreamNames"] == ["mine"]
    assert two.list_streams()["StreamNames"] == []


def test_regions__do_not_see_each_other(server: HeadraceServer) -> None:
    here = server.client("kinesis", "111100000003")
    there = server.client("kinesis", "111100000003", region="eu-west-1")
    here.create_stream(StreamName="mine", ShardCount=1)
    assert there.list_streams()["StreamNames"] == []
    assert ":eu-west-1:" not in here.describe_stream_summary(StreamName="mine")["StreamDescriptionSummary"]["StreamARN"]


def test_request_id__is_in_every_answer(server: HeadraceServer) -> None:
    first = kinesis(server).list_streams()["ResponseMetadata"]["RequestId"]
    second = kinesis(server).list_streams()["ResponseMetadata"]["RequestId"]
    assert len(first) == 36
    assert first != second


def test_unsupported_operation__is_refused_clearly(server: HeadraceServer) -> None:
    with pytest.raises(ClientError) as caught:
        server.client("kinesisvideo").describe_edge_configuration(StreamName="v")
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert "does not support kinesisvideo DescribeEdgeConfiguration" in caught.value.response["Error"]["Message"]


def test_validation__in_the_words_of_aws(server: HeadraceServer) -> None:
    client = boto3.client(
        "kinesis", endpoint_url=server.url, region_name=REGION, aws_access_key_id=ROOT_KEY, aws_secret_access_key=ROOT_SECRET,
        config=Config(retries={"max_attempts": 0}, parameter_validation=False),
    )  # fmt: skip
    with pytest.raises(ClientError) as caught:
        client.create_stream(StreamName="no spaces", ShardCount=0)
    message = caught.value.response["Error"]["Message"]
    assert message.startswith("2 validation errors detected: ")
    assert "Value 'no spaces' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression" in message


def test_cors__browsers_may_ask(server: HeadraceServer) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "x-amz-target"}
    answer, _ = raw(server, "OPTIONS", "/", None, {"origin": "https://app.example", **asks})
    assert answer.status == 204
    assert answer.getheader("access-control-allow-origin") == "*"
    assert answer.getheader("access-control-allow-headers") == "x-amz-target"
    answer, _ = raw(server, "POST", "/", b"{}", {"origin": "https://app.example", "x-amz-target": "Kinesis_20131202.ListStreams"})
    assert answer.getheader("access-control-allow-origin") == "*"


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"sec-fetch-site": "cross-site"}, {"host": "127.0.0.1.evil.example:4566"}],
    ids=["rebound name", "foreign page", "look-alike name"],
)
def test_pages__foreign_pages_are_kept_out(server: HeadraceServer, headers: dict[str, str]) -> None:
    assert raw(server, "GET", "/_headrace/status")[0].status == 200
    assert raw(server, "GET", "/_headrace/status", None, headers)[0].status == 403
    allowed = {**headers, "authorization": f"Bearer {ROOT_SECRET}"}
    assert raw(server, "GET", "/_headrace/status", None, allowed)[0].status == 200


def test_body__too_large_is_refused(server: HeadraceServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\nContent-Length: 99999999999\r\n\r\n{}"
        )
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"RequestEntityTooLarge" in answer


def test_body__chunked_is_read(server: HeadraceServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(
        "POST", "/", iter([b'{"Lim', b'it": 1}']), {"x-amz-target": "Kinesis_20131202.ListStreams"}, encode_chunked=True
    )
    answer = connection.getresponse()
    assert b"MissingAuthenticationToken" in answer.read()
    connection.close()


def test_http2__with_prior_knowledge(server: HeadraceServer) -> None:
    ran = subprocess.run(
        ["curl", "--silent", "--http2-prior-knowledge", "--write-out", " %{http_version}", f"{server.url}/_headrace/health"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == '{"status":"running"} 2'


def test_path__nothing_there(server: HeadraceServer, client: Callable[..., Any]) -> None:
    answer, content = raw(server, "GET", "/_headrace/nothing")
    assert (answer.status, json.loads(content)) == (404, {"message": "There is no such page."})
