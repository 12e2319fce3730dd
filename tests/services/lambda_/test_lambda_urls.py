"""Functions behind HTTP: by host name and by path, whole and streamed."""

import base64
import http.client
import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from headrace.services.lambda_.engine import runtimes

Caller = Any
ECHO = """
import json
def handler(e, c):
    return {'statusCode': 201, 'headers': {'X-Own': 'a'}, 'cookies': ['a=1', 'b=2'], 'body': json.dumps(e)}
"""
STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 202, headers: { "content-type": "text/plain" } });
  for (const part of ["one,", "two,", "three"]) { stream.write(part); await new Promise((r) => setTimeout(r, 150)); }
  stream.end();
});
"""


@pytest.fixture
def ask(server: Any) -> Iterator[Callable[..., Any]]:
    """Sends a request to a function's URL: to its host, or with `by_path` to the server's own."""

    opened_ones: list[Any] = []

    def send(
        url: str, method: str = "GET", path: str = "/", body: bytes | None = None, by_path: bool = False, **headers: str
    ) -> Any:
        parsed = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        if by_path:
            path = f"/_function-url/{(parsed.hostname or '').partition('.')[0]}{path}"
        else:
            headers = {"Host": parsed.netloc, **headers}
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        opened_ones.extend((answer, connection))
        return answer

    yield send
    for one in opened_ones:
        one.close()


def opened(caller: Caller, name: str, **arguments: Any) -> str:
    """A function's URL that everybody may use."""
    caller.client.add_permission(
        FunctionName=name, StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    made: str = caller.client.create_function_url_config(FunctionName=name, AuthType="NONE", **arguments)["FunctionUrl"]
    return made


def test_url__a_permission_for_one_account_lets_in_nobody_unsigned(caller: Caller, ask: Callable[..., Any]) -> None:
    name = caller.make(ECHO)
    url = caller.client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    assert ask(url).status == 403

    def permit(statement: str, **more: Any) -> None:
        caller.client.add_permission(
            FunctionName=name, StatementId=statement, Action="lambda:InvokeFunctionUrl", Principal="*",
            FunctionUrlAuthType="NONE", **more,
        )  # fmt: skip

    permit("one-account", SourceAccount="123456789012")
    permit("one-organization", PrincipalOrgID="o-a1b2c3d4e5")
    assert ask(url).status == 403
    permit("via-the-url", InvokedViaFunctionUrl=True)
    assert ask(url).status == 201


@pytest.mark.parametrize("by_path", [False, True])
def test_url__event_and_answer(caller: Caller, ask: Callable[..., Any], by_path: bool) -> None:
    url = opened(caller, caller.make(ECHO))
    answer = ask(
        url, "POST", "/a%20b/c?x=1&x=2&y=%C3%A4", b'{"k": 1}', by_path=by_path, Cookie="u=1; v=2", Content_Type="application/json"
    )  # fmt: skip
    assert (answer.status, answer.getheader("x-own")) == (201, "a")
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    event = json.loads(answer.read())
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/a%20b/c", "x=1&x=2&y=%C3%A4")
    assert event["queryStringParameters"] == {"x": "1,2", "y": "ä"}
    assert (event["body"], event["isBase64Encoded"], event["cookies"]) == ('{"k": 1}', False, ["u=1", "v=2"])
    assert event["requestContext"]["http"]["method"] == "POST"
    assert "cookie" not in event["headers"]


def test_url__bytes_both_ways(caller: Caller, ask: Callable[..., Any]) -> None:
    url = opened(
        caller, caller.make("def handler(e, c):\n    return {'statusCode': 200, 'body': e['body'], 'isBase64Encoded': True}\n")
    )
    data = bytes(range(256))
    assert ask(url, "POST", "/", data, Content_Type="image/png").read() == data
    plain = opened(caller, caller.make("def handler(e, c):\n    return {'any': 'thing'}\n"))
    answer = ask(plain)
    assert (answer.status, answer.getheader("content-type"), json.loads(answer.read())) == (
        200,
        "application/json",
        {"any": "thing"},
    )
    failing = opened(caller, caller.make("def handler(e, c):\n    raise ValueError('secret')\n"))
    answer = ask(failing)
    assert (answer.status, answer.read()) == (502, b'{"Message": "Internal Server Error"}')


def test_url__who_may(caller: Caller, ask: Callable[..., Any], server: Any, client: Callable[..., Any]) -> None:
    name = caller.make(ECHO)
    url = caller.client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    assert ask(url).status == 403, "nobody was let in yet"
    assert ask(url.replace("//", "//x")).status == 403
    caller.client.update_function_url_config(FunctionName=name, AuthType="AWS_IAM")
    assert ask(url).status == 403
    keys = caller.client._request_signer._credentials
    frozen = keys.get_frozen_credentials()
    request = botocore.awsrequest.AWSRequest("GET", url, headers={"Host": urllib.parse.urlsplit(url).netloc})
    botocore.auth.SigV4Auth(frozen, "lambda", caller.client.meta.region_name).add_auth(request)
    signed = {key: value for key, value in request.headers.items() if key != "Host"}
    answer = ask(url, **signed)
    assert answer.status == 201
    assert "iam" in json.loads(answer.read())["requestContext"]["authorizer"]
    forged = {**signed, "Authorization": signed["Authorization"][:-4] + "0000"}
    assert ask(url, **forged).status == 403


def test_url__cors(caller: Caller, ask: Callable[..., Any]) -> None:
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-a"], "MaxAge": 60}
    url = opened(caller, caller.make(ECHO), Cors=cors)
    asked = {"Origin": "https://a.example", "Access_Control_Request_Method": "PUT"}
    answer = ask(url, "OPTIONS", **asked)
    assert (answer.status, answer.getheader("access-control-allow-origin")) == (200, "https://a.example")
    assert (answer.getheader("access-control-allow-methods"), answer.getheader("access-control-max-age")) == ("GET,PUT", "60")
    assert ask(url, Origin="https://a.example").getheader("access-control-allow-origin") == "https://a.example"
    assert ask(url, Origin="https://b.example").getheader("access-control-allow-origin") is None


def test_url_config__life(caller: Caller, ask: Callable[..., Any]) -> None:
    name = caller.make(ECHO)
    url = opened(caller, name)
    with pytest.raises(ClientError, match="FunctionUrlConfig exists for this Lambda function"):
        caller.client.create_function_url_config(FunctionName=name, AuthType="NONE")
    found = caller.client.get_function_url_config(FunctionName=name)
    assert (found["FunctionUrl"], found["AuthType"], found["InvokeMode"]) == (url, "NONE", "BUFFERED")
    version = caller.client.publish_version(FunctionName=name)["Version"]
    caller.client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    caller.client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="AWS_IAM")
    listed = caller.client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert [one["AuthType"] for one in listed] == ["NONE", "AWS_IAM"]
    caller.client.delete_function_url_config(FunctionName=name)
    with pytest.raises(ClientError, match="does not exist"):
        caller.client.get_function_url_config(FunctionName=name)
    assert ask(url).status == 403


@pytest.mark.skipif(not runtimes.find_node(), reason="no Node.js on this machine")
def test_url__streams(caller: Caller, ask: Callable[..., Any], zipped: Any) -> None:
    name = caller.make("", Runtime="nodejs20.x", Code={"ZipFile": zipped({"app.js": STREAM})}, Timeout=20)
    url = opened(caller, name, InvokeMode="RESPONSE_STREAM")
    answer = ask(url)
    assert (answer.status, answer.getheader("content-type")) == (202, "text/plain")
    parts = []
    while part := answer.read1(65536):
        parts.append(part)
    assert b"".join(parts) == b"one,two,three"
    assert len(parts) >= 2, "they came one by one"
    answer = caller.client.invoke_with_response_stream(FunctionName=name, Payload=b"{}", LogType="Tail")
    events = list(answer["EventStream"])
    whole = b"".join(event["PayloadChunk"]["Payload"] for event in events if "PayloadChunk" in event)
    assert whole.endswith(bytes(8) + b"one,two,three")
    assert b"REPORT RequestId" in base64.b64decode(events[-1]["InvokeComplete"]["LogResult"])


def test_invoke_with_response_stream__of_functions_that_do_not_stream(caller: Caller) -> None:
    name = caller.make("def handler(e, c):\n    return 1 / e\n")
    events = list(caller.client.invoke_with_response_stream(FunctionName=name, Payload=b"2")["EventStream"])
    assert events[0]["PayloadChunk"]["Payload"] == b"0.5"
    events = list(caller.client.invoke_with_response_stream(FunctionName=name, Payload=b"0")["EventStream"])
    assert events[-1]["InvokeComplete"]["ErrorCode"] == "Unhandled"
    assert json.loads(events[-1]["InvokeComplete"]["ErrorDetails"])["errorType"] == "ZeroDivisionError"
