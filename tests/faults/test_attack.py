"""What an attacker tries from outside, from inside a function, and from another account."""

import http.client
import io
import json
import socket
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually
from headrace.wire.identify import identify
from headrace.wire.request import HttpRequest

Client = Callable[..., Any]
PEEK = """
import json, os, urllib.error, urllib.request

def handler(event, context):
    port = os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]
    seen = {}
    for method, path in (("GET", "status"), ("GET", "mail"), ("DELETE", "mail"), ("POST", "clock")):
        url = f"http://127.0.0.1:{port}/_headrace/{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
                seen[f"{method} {path}"] = answer.status
        except urllib.error.HTTPError as error:
            seen[f"{method} {path}"] = error.code
    return seen
"""


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadraceServer]:
    running = HeadraceServer(tmp_path_factory.mktemp("attack") / "data").start()
    yield running
    assert running.stop() == 0


def make_function(functions: Any, iam: Any, source: str) -> str:
    document = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="runs", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [document]})
    )
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("app.py", source)
    made = functions.create_function(
        FunctionName="mine", Runtime="python3.11", Handler="app.handler", Role=role["Role"]["Arn"],
        Code={"ZipFile": package.getvalue()},
    )  # fmt: skip
    return str(made["FunctionArn"])


def ask(server: HeadraceServer, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


# ---- from inside a function -------------------------------------------------------------------------------------------


def test_function__does_not_see_the_pages_of_the_machines_user(client: Client) -> None:
    functions = client("lambda")
    make_function(functions, client("iam"), PEEK)
    answer = json.load(functions.invoke(FunctionName="mine")["Payload"])
    assert answer == {"GET status": 403, "GET mail": 403, "DELETE mail": 403, "POST clock": 403}


# ---- from another account ---------------------------------------------------------------------------------------------


def test_function__of_another_account_is_not_run(client: Client, server: HeadraceServer, account: str) -> None:
    arn = make_function(client("lambda"), client("iam"), "def handler(event, context):\n    return 1\n")
    stranger = f"{(int(account) + 5 * 10**11) % 10**12:012d}"
    theirs = server.client("lambda", stranger)
    make_function(theirs, server.client("iam", stranger), "def handler(event, context):\n    return 2\n")
    assert code_of(lambda: theirs.invoke(FunctionName=arn)) in ("AccessDeniedException", "InvalidParameterValueException")
    wanted = {"FunctionName": "mine", "DestinationConfig": {"OnSuccess": {"Destination": arn}}}
    assert code_of(lambda: theirs.put_function_event_invoke_config(**wanted)) == "InvalidParameterValueException"
    statement = {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}
    server.client("iam", stranger).put_role_policy(
        RoleName="runs", PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    assert code_of(lambda: theirs.put_function_event_invoke_config(**wanted)) == "InvalidParameterValueException"
    # Who was let in once, and is not any more.
    owner = client("lambda")
    owner.add_permission(FunctionName="mine", StatementId="s", Action="lambda:InvokeFunction", Principal=stranger)
    theirs.put_function_event_invoke_config(**wanted)
    owner.remove_permission(FunctionName="mine", StatementId="s")
    theirs.invoke(FunctionName="mine", InvocationType="Event")
    eventually(lambda: f"is not authorized to perform lambda:InvokeFunction on {arn}" in server.log_text())


def test_role__of_another_account_is_not_given_to_a_function(client: Client, server: HeadraceServer, account: str) -> None:
    make_function(client("lambda"), client("iam"), "def handler(event, context):\n    return 1\n")
    functions = server.client("lambda", f"{(int(account) + 5 * 10**11) % 10**12:012d}")
    role = f"arn:aws:iam::{account}:role/runs"
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("app.py", "import os\ndef handler(event, context):\n    return os.environ['AWS_SECRET_ACCESS_KEY']\n")
    code = {"ZipFile": package.getvalue()}
    assert (
        code_of(
            lambda: functions.create_function(
                FunctionName="thief", Runtime="python3.11", Handler="app.handler", Role=role, Code=code
            )
        )
        == "InvalidParameterValueException"
    )


# ---- from a web page --------------------------------------------------------------------------------------------------


def test_pages__are_not_offered_to_other_origins(server: HeadraceServer) -> None:
    preflight = ask(server, "OPTIONS", "/_headrace/mail", Access_Control_Request_Method="DELETE", Origin="https://evil.example")
    assert preflight.getheader("access-control-allow-origin") is None
    assert ask(server, "DELETE", "/_headrace/mail", Origin="https://evil.example").status == 403
    assert ask(server, "DELETE", "/_headrace/mail", Origin="null").status == 403
    assert ask(server, "GET", "/_headrace/mail", Sec_Fetch_Site="cross-site").status == 403
    assert ask(server, "GET", "/_headrace/mail", Host=f"evil.example:{server.port}").status == 403
    assert ask(server, "GET", "/_headrace/mail", Origin=server.url).status == 200


def test_s3__a_document_in_a_browser_is_not_of_the_servers_origin(client: Client, server: HeadraceServer, account: str) -> None:
    s3 = client("s3")
    bucket = f"pages-{account}"
    s3.create_bucket(Bucket=bucket)
    for size in (10, 3 << 20):
        s3.put_object(Bucket=bucket, Key="x.html", Body=b"x" * size, ContentType="text/html")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x.html"})
        answer = ask(server, "GET", url.removeprefix(server.url), Sec_Fetch_Dest="document")
        assert answer.status == 200
        policy = answer.getheader("content-security-policy") or ""
        assert policy.startswith("sandbox ")
        assert "allow-same-origin" not in policy
        assert ask(server, "GET", url.removeprefix(server.url)).getheader("content-security-policy") is None


# ---- from the network, without credentials ------------------------------------------------------------------------------


def test_announced_bodies__that_never_come_take_no_room(victim: HeadraceServer) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\nContent-Length: 70000000\r\n\r\n{"
    endless = head.replace(b"Content-Length: 70000000", b"Transfer-Encoding: chunked")
    with ExitStack() as stack:
        for raw in [head, endless] * 20:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=30))
            connection.sendall(raw)
        time.sleep(0.2)
        assert victim.client("kinesis").list_streams()["StreamNames"] == []
        large = [{"Data": b"x" * 900_000, "PartitionKey": "k"} for _ in range(5)]
        assert (
            code_of(lambda: victim.client("kinesis").put_records(StreamName="no", Records=large)) == "ResourceNotFoundException"
        )


def test_long_headers__are_read_in_no_time() -> None:
    hostile = "Credential=a/20260101/" * 3000
    begun = time.monotonic()
    identify(HttpRequest("GET", "/b/k", "", {"authorization": hostile, "host": "x"}))
    identify(HttpRequest("GET", "/b/k", "X-Amz-" + "X-Amz-Credential=a/20260101/" * 3000, {"host": "x"}))
    assert time.monotonic() - begun < 0.5


def test_signature__for_one_service_does_not_open_another(server: HeadraceServer) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Kinesis_20131202.ListStreams"}
    request = AWSRequest("POST", f"{server.url}/", data=b"{}", headers=headers)
    SigV4Auth(Credentials(ROOT_KEY, ROOT_SECRET), "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/", b"{}", dict(request.headers.items()))
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert "correct service: 'kinesis'" in text
    assert answer.status in (400, 403)


def test_response_headers__cannot_be_injected(client: Client, server: HeadraceServer, account: str) -> None:
    s3 = client("s3")
    bucket = f"headers-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    parameters = {"Bucket": bucket, "Key": "x", "ResponseContentDisposition": "a\r\nX-Injected: yes"}
    url = s3.generate_presigned_url("get_object", Params=parameters)
    answer = ask(server, "GET", url.removeprefix(server.url))
    assert answer.getheader("x-injected") is None
    assert ask(server, "GET", "/_headrace/health").status == 200


# ---- from another user of the machine -----------------------------------------------------------------------------------


def test_data_folder__is_closed_to_other_users(victim: HeadraceServer) -> None:
    victim.client("kinesis").list_streams()
    for name in ("store", "blobs"):
        assert stat.S_IMODE((victim.data / name).stat().st_mode) == 0o700, name
    for path in Path(victim.data).rglob("*.json"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_log__holds_no_secret(server: HeadraceServer) -> None:
    assert ROOT_SECRET not in server.log_text()
