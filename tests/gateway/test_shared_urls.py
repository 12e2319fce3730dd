"""Function URLs that want a signature: who is let in, of the account and of others."""

import http.client
import urllib.parse
from typing import Any

import botocore.auth
import botocore.awsrequest
from tests.gateway.callers import Make, Service, document, statement
from tests.gateway.test_shared_resources import function

from conftest import REGION, HeadraceServer


def ask(server: HeadraceServer, url: str, caller: Any) -> int:
    """The status of a signed request."""
    host = urllib.parse.urlsplit(url).netloc
    request = botocore.awsrequest.AWSRequest("GET", url, headers={"Host": host})
    credentials = caller._request_signer._credentials.get_frozen_credentials()
    botocore.auth.SigV4Auth(credentials, "lambda", REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", "/", headers=dict(request.headers.items()))
        return connection.getresponse().status
    finally:
        connection.close()


def test_url__other_accounts_are_let_in_by_the_policy(client: Service, server: HeadraceServer, other: str, user: Any) -> None:
    owner, _ = function(client)
    url = owner.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    make: Make = user(other, statement("lambda:InvokeFunctionUrl"))
    root, ann = server.client("lambda", other), make("lambda")
    assert [ask(server, url, caller) for caller in (root, ann)] == [403, 403]
    owner.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunctionUrl", Principal=other, FunctionUrlAuthType="AWS_IAM"
    )
    assert [ask(server, url, caller) for caller in (root, ann)] == [200, 200]
    owner.remove_permission(FunctionName="f", StatementId="s")
    # A permission for URLs without a signature is none for this one.
    owner.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunctionUrl", Principal=other, FunctionUrlAuthType="NONE"
    )
    assert [ask(server, url, caller) for caller in (root, ann)] == [403, 403]


def test_url__of_an_alias_asks_for_the_aliass_policy(client: Service, server: HeadraceServer, other: str) -> None:
    owner, _ = function(client)
    version = owner.publish_version(FunctionName="f")["Version"]
    owner.create_alias(FunctionName="f", Name="live", FunctionVersion=version)
    url = owner.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="AWS_IAM")["FunctionUrl"]
    root = server.client("lambda", other)
    allow = {"StatementId": "s", "Action": "lambda:InvokeFunctionUrl", "Principal": other, "FunctionUrlAuthType": "AWS_IAM"}
    owner.add_permission(FunctionName="f", **allow)
    assert ask(server, url, root) == 403
    owner.add_permission(FunctionName="f", Qualifier="live", **allow)
    assert ask(server, url, root) == 200


def test_url__users_of_the_account_need_the_right(client: Service, server: HeadraceServer, account: str, user: Any) -> None:
    owner, arn = function(client)
    url = owner.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    signed = {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}
    make: Make = user(account, statement("lambda:InvokeFunctionUrl", Resource=arn, Condition=signed))
    ann = make("lambda")
    assert ask(server, url, ann) == 200
    unsigned = {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
    client("iam").put_user_policy(
        UserName="ann", PolicyName="own",
        PolicyDocument=document(statement("lambda:InvokeFunctionUrl", Resource=arn, Condition=unsigned)),
    )  # fmt: skip
    assert ask(server, url, ann) == 403
