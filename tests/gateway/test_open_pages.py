"""Open pages and WebSockets stand beside AWS's protocols, and take nothing away from them."""

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import ROOT_SECRET, HeadraceServer
from tests.services.video.websocket import Refused, WebSocket, signed

from headrace.kit.accounts import account_credentials


def status(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type()


def test_open_pages__leave_objects_of_the_same_path_alone(
    server: HeadraceServer, client: Callable[..., Any], account: str
) -> None:
    path = "hls/v1/getHLSMasterPlaylist.m3u8"
    assert status(f"{server.url}/{path}?SessionToken=x") == (403, "application/json")
    assert status(f"{server.url}/{path}") == (403, "application/xml"), "S3's answer to a stranger"
    assert status(f"{server.url}/{path}?SessionToken=x", "POST")[1] == "application/xml"
    s3 = client("s3")
    bucket, _, key = f"hls-{account}/{path}".partition("/")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=b"mine")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"mine"


def test_open_pages__are_found_by_their_whole_path(server: HeadraceServer) -> None:
    assert status(f"{server.url}/hls/v1/../../_headrace/status?SessionToken=x")[0] != 200
    assert status(f"{server.url}/hls/v1/player/player.html?SessionToken=x")[1] == "application/xml"


@pytest.mark.parametrize(("path", "expected"), [("/elsewhere", 404), ("/", 404)])
def test_sockets__are_refused_where_there_is_none(server: HeadraceServer, path: str, expected: int) -> None:
    with pytest.raises(Refused) as caught:
        WebSocket(f"{server.url.replace('http', 'ws')}{path}")
    assert caught.value.status == expected


def test_sockets__are_not_opened_without_a_signature(server: HeadraceServer) -> None:
    with pytest.raises(Refused) as caught:
        WebSocket(f"{server.url.replace('http', 'ws')}/?X-Amz-ChannelARN=arn:aws:kinesisvideo:us-east-1:1:channel/a/1")
    assert caught.value.status == 403


def test_sockets__an_oversized_text_ends_the_conversation(
    server: HeadraceServer, client: Callable[..., Any], account: str
) -> None:
    arn = client("kinesisvideo").create_signaling_channel(ChannelName="door")["ChannelARN"]
    key, secret = account_credentials(ROOT_SECRET, account)
    with WebSocket(signed(server.url.replace("http", "ws"), key, secret, X_Amz_ChannelARN=arn)) as master:
        master.send("x" * (128 * 1024 + 1))
        assert master.receive() is None
