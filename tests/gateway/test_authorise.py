"""What users and roles may do, seen by boto3: the bank's function and no more, refusals in each service's words, no way round."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import REGION, HeadraceServer

BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def statement(action: Any, resource: Any = "*", effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, int, str]:
    """The code, status and text of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def clients(server: HeadraceServer, key: str, secret: str, token: str | None = None) -> Callable[[str], Any]:
    def make(service: str) -> Any:
        return boto3.client(
            service, endpoint_url=server.url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret,
            aws_session_token=token, config=Config(retries={"max_attempts": 0}),
        )  # fmt: skip

    return make


@pytest.fixture
def session(server: HeadraceServer, client: Callable[..., Any], account: str) -> Callable[..., Callable[[str], Any]]:
    """session(statement, …) makes clients of a role's session with these policies."""

    def make(*statements: dict[str, Any], attached: str | None = None, **more: Any) -> Callable[[str], Any]:
        iam = client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
        role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=document(trust), **more)["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName="function", PolicyName="own", PolicyDocument=document(*statements))
        if attached:
            iam.attach_role_policy(RoleName="function", PolicyArn=attached)
        given = client("sts").assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
        return clients(server, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    return make


@pytest.fixture
def user(server: HeadraceServer, client: Callable[..., Any]) -> Callable[..., Callable[[str], Any]]:
    """user(statement, …) makes clients of a user with these policies."""

    def make(*statements: dict[str, Any]) -> Callable[[str], Any]:
        iam = client("iam")
        iam.create_user(UserName="ann")
        if statements:
            iam.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=document(*statements))
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        return clients(server, key["AccessKeyId"], key["SecretAccessKey"])

    return make


def make_table(client: Callable[..., Any], name: str) -> None:
    client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_bank__its_function_does_its_work_and_nothing_else(
    client: Callable[..., Any], session: Callable[..., Any], account: str
) -> None:
    """The statements that SAM makes of the policy templates in examples/bank/template.yaml."""
    make_table(client, "Accounts")
    make_table(client, "Other")
    client("ses").verify_email_identity(EmailAddress="bank@example.com")
    client("s3").create_bucket(Bucket=f"staging-{account}")
    bucket = f"arn:aws:s3:::staging-{account}"
    trust = {"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"}, "Action": "sts:AssumeRole"}
    delivery = client("iam").create_role(RoleName="delivery", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    client("iam").put_role_policy(RoleName="delivery", PolicyName="s3", PolicyDocument=document(statement("s3:*")))
    client("firehose").create_delivery_stream(
        DeliveryStreamName="Reports", ExtendedS3DestinationConfiguration={"RoleARN": delivery, "BucketARN": bucket}
    )
    url = client("sqs").create_queue(QueueName="Failed")["QueueUrl"]
    here = f"{REGION}:{account}"
    table = f"arn:aws:dynamodb:{here}:table/Accounts"
    ses = ["ses:GetIdentityVerificationAttributes", "ses:SendEmail", "ses:SendRawEmail", "ses:VerifyEmailIdentity"]
    function = session(
        statement(
            [f"dynamodb:{name}" for name in ("GetItem", "Scan", "Query", "BatchGetItem", "DescribeTable")],
            [table, f"{table}/index/*"],
        ),
        statement(ses, f"arn:aws:ses:{here}:identity/bank@example.com"),
        statement(["firehose:PutRecord", "firehose:PutRecordBatch"], f"arn:aws:firehose:{here}:deliverystream/Reports"),
        statement(["sqs:SendMessage*"], f"arn:aws:sqs:{here}:Failed"),
        attached=BASIC,
    )
    dynamodb, mail = function("dynamodb"), function("sesv2")
    key = {"id": {"S": "a"}}
    dynamodb.get_item(TableName="Accounts", Key=key)
    dynamodb.batch_get_item(RequestItems={"Accounts": {"Keys": [key]}})
    letter = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
    to = {"ToAddresses": ["ann@example.com"]}
    mail.send_email(FromEmailAddress="bank@example.com", Destination=to, Content=letter)
    function("firehose").put_record(DeliveryStreamName="Reports", Record={"Data": b"{}"})
    function("sqs").send_message(QueueUrl=url, MessageBody="m")
    function("logs").create_log_group(logGroupName="/aws/lambda/f")
    assert function("sts").get_caller_identity()["Account"] == account

    who = f"arn:aws:sts::{account}:assumed-role/function/run"
    assert refused(dynamodb.delete_table, TableName="Accounts") == (
        "AccessDeniedException",
        400,
        f"User: {who} is not authorized to perform: dynamodb:DeleteTable on resource: {table} "
        "because no identity-based policy allows the dynamodb:DeleteTable action",
    )
    for call, parameters in (
        (dynamodb.get_item, {"TableName": "Other", "Key": key}),
        (dynamodb.put_item, {"TableName": "Accounts", "Item": key}),
        (dynamodb.batch_get_item, {"RequestItems": {"Accounts": {"Keys": [key]}, "Other": {"Keys": [key]}}}),
        (dynamodb.transact_get_items, {"TransactItems": [{"Get": {"TableName": "Other", "Key": key}}]}),
        (dynamodb.list_tables, {}),
        (mail.send_email, {"FromEmailAddress": "eve@example.net", "Destination": to, "Content": letter}),
        (function("firehose").delete_delivery_stream, {"DeliveryStreamName": "Reports"}),
        (function("sqs").receive_message, {"QueueUrl": url}),
        (function("logs").delete_log_group, {"logGroupName": "/aws/lambda/f"}),
        (function("s3").list_objects_v2, {"Bucket": f"staging-{account}"}),
        (function("iam").create_user, {"UserName": "eve"}),
        (function("lambda").list_functions, {}),
    ):
        assert refused(call, **parameters)[0].startswith("AccessDenied")
    assert client("dynamodb").describe_table(TableName="Accounts")["Table"]["ItemCount"] == 0


def test_refusals__are_in_each_services_words(user: Callable[..., Any], account: str) -> None:
    ann = user()
    who = f"User: arn:aws:iam::{account}:user/ann is not authorized to perform:"

    def why(action: str) -> str:
        return f"because no identity-based policy allows the {action} action"

    here = f"{REGION}:{account}"
    assert refused(ann("s3").put_object, Bucket="some-bucket", Key="k", Body=b"x") == (
        "AccessDenied", 403, f'{who} s3:PutObject on resource: "arn:aws:s3:::some-bucket/k" {why("s3:PutObject")}',
    )  # fmt: skip
    assert refused(ann("sns").publish, TopicArn=f"arn:aws:sns:{here}:t", Message="m") == (
        "AuthorizationError", 403, f"{who} SNS:Publish on resource: arn:aws:sns:{here}:t {why('SNS:Publish')}",
    )  # fmt: skip
    code, status, text = refused(ann("sqs").create_queue, QueueName="q")
    assert (code, status) == ("AccessDenied", 403)
    assert text == f"{who} sqs:createqueue on resource: arn:aws:sqs:{here}:q {why('sqs:createqueue')}"
    assert refused(ann("iam").list_roles)[:2] == ("AccessDenied", 403)
    assert refused(ann("lambda").invoke, FunctionName="f")[:2] == ("AccessDeniedException", 403)
    assert refused(ann("ses").send_raw_email, RawMessage={"Data": b"From: bank@example.com\r\nTo: a@b.cc\r\n\r\nhi"}) == (
        "AccessDenied", 403,
        f"User `arn:aws:iam::{account}:user/ann' is not authorized to perform `ses:SendRawEmail' on resource "
        f"`arn:aws:ses:{here}:identity/bank@example.com'",
    )  # fmt: skip


def test_deny__holds_however_the_resource_is_spelled(
    client: Callable[..., Any], user: Callable[..., Any], account: str, server: HeadraceServer
) -> None:
    make_table(client, "Secret")
    client("sqs").create_queue(QueueName="secret")
    here = f"{REGION}:{account}"
    secret = [f"arn:aws:dynamodb:{here}:table/Secret", f"arn:aws:sqs:{here}:secret", "arn:aws:s3:::bucket/secret"]
    secret += [f"arn:aws:lambda:{here}:function:secret", f"arn:aws:logs:{here}:log-group:secret*"]
    ann = user(statement("*"), statement("*", secret, "Deny"))
    key = {"id": {"S": "a"}}
    assert "with an explicit deny in an identity-based policy" in refused(
        ann("dynamodb").get_item, TableName="Secret", Key=key
    )[2]  # fmt: skip
    for call, parameters in (
        (ann("dynamodb").get_item, {"TableName": f"arn:aws:dynamodb:{here}:table/Secret/more", "Key": key}),
        (ann("sqs").send_message, {"QueueUrl": f"{server.url}/{account}/secret?/{account}/open", "MessageBody": "m"}),
        (ann("sqs").send_message, {"QueueUrl": f"{server.url}/{account}/%73ecret", "MessageBody": "m"}),
        (ann("s3").copy_object, {"Bucket": "bucket", "Key": "k", "CopySource": "bucket/secret"}),
        (ann("lambda").invoke, {"FunctionName": f"{account}:function:secret"}),
        (ann("logs").filter_log_events, {"logGroupIdentifier": f"arn:aws:logs:{REGION}:999999999999:log-group:secret"}),
    ):
        assert "explicit deny" in refused(call, **parameters)[2]
    ann("dynamodb").list_tables()


def test_pass_role__is_needed_to_give_a_function_a_role(
    client: Callable[..., Any], user: Callable[..., Any], account: str
) -> None:
    ann = user(statement("lambda:*"))
    role = f"arn:aws:iam::{account}:role/admin"
    text = refused(
        ann("lambda").create_function, FunctionName="f", Runtime="python3.11", Handler="a.b", Role=role, Code={"ZipFile": b"x"}
    )[2]
    assert f"not authorized to perform: iam:PassRole on resource: {role} because" in text


def test_boundary__bounds_and_says_so(client: Callable[..., Any], session: Callable[..., Any]) -> None:
    bound = client("iam").create_policy(PolicyName="bound", PolicyDocument=document(statement("sqs:*")))["Policy"]["Arn"]
    bounded = session(statement("*"), PermissionsBoundary=bound)
    bounded("sqs").list_queues()
    text = refused(bounded("dynamodb").list_tables)[2]
    assert text.endswith("because no permissions boundary allows the dynamodb:ListTables action")


def test_paths__of_roles_are_part_of_their_names(client: Callable[..., Any], user: Callable[..., Any], account: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
    client("iam").create_role(RoleName="r", Path="/admin/", AssumeRolePolicyDocument=document(trust))
    ann = user(statement("iam:*"), statement("iam:*", f"arn:aws:iam::{account}:role/admin/*", "Deny"))
    assert "explicit deny" in refused(ann("iam").delete_role, RoleName="r")[2]


def test_change__of_a_policy_holds_at_once(client: Callable[..., Any], user: Callable[..., Any]) -> None:
    ann = user()
    refused(ann("sqs").list_queues)
    client("iam").put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=document(statement("sqs:ListQueues")))
    ann("sqs").list_queues()
    client("iam").delete_user_policy(UserName="ann", PolicyName="own")
    refused(ann("sqs").list_queues)
