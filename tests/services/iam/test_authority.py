"""The port Authority on a store in memory: keys, sessions and permissions, and that changes are known at once."""

import json

import pytest

from headrace.kit.accounts import account_credentials
from headrace.kit.clock import Clock
from headrace.kit.errors import AccessDeniedException
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.operation import Context
from headrace.ports import Ports, Principal
from headrace.services.iam import limits, state, workers
from headrace.services.iam.errors import AccessDenied, NoSuchEntityException
from headrace.services.iam.service import SERVICE, Iam
from headrace.store.blobs_local import LocalBlobs
from headrace.store.memory import MemoryStore

ACCOUNT = "111122223333"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT)
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/T"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
        ],
    }
)


def policy(action, resource="*", effect="Allow", **more):
    statement = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def ctx(tmp_path):
    store = MemoryStore()
    yield Context(
        account=ACCOUNT, region="us-east-1", service="iam", request_id="r", principal=ROOT, store=store,
        blobs=LocalBlobs(tmp_path), clock=Clock(), ids=Ids(), ports=Ports(),
        settings=Settings(root_access_key_id="ROOT", root_secret_access_key="secret"),
    )  # fmt: skip
    store.close()


@pytest.fixture
def iam():
    return Iam()


def call(ctx, name, model="iam", **values):
    bound = SERVICE.bound(model)[name]
    return (ctx.snapshot if bound.mark.read_only else ctx.transact)(lambda inner: bound.call(inner, values))


def make_user(ctx, iam, name="ann"):
    call(ctx, "CreateUser", UserName=name)
    key = call(ctx, "CreateAccessKey", UserName=name)["AccessKey"]
    return key["AccessKeyId"], iam.credentials(ctx, key["AccessKeyId"]).principal


def test_credentials__of_roots(ctx, iam):
    assert iam.credentials(ctx, "ROOT").principal.arn == "arn:aws:iam::000000000000:root"
    key, secret = account_credentials("secret", ACCOUNT)
    found = iam.credentials(ctx, key)
    assert (found.secret_access_key, found.principal.arn) == (secret, ROOT.arn)
    assert iam.credentials(ctx, "AKIAUNKNOWN") is None


def test_credentials__change_is_known_at_once(ctx, iam):
    key, principal = make_user(ctx, iam)
    assert principal.arn == f"arn:aws:iam::{ACCOUNT}:user/ann"
    call(ctx, "UpdateAccessKey", UserName="ann", AccessKeyId=key, Status="Inactive")
    assert iam.credentials(ctx, key) is None
    call(ctx, "UpdateAccessKey", UserName="ann", AccessKeyId=key, Status="Active")
    assert iam.credentials(ctx, key) is not None


def test_credentials__are_read_once(ctx, iam, monkeypatch):
    key, _ = make_user(ctx, iam)
    monkeypatch.setattr(ctx.store, "snapshot", None)
    assert iam.credentials(ctx, key) is not None


def test_allows__users(ctx, iam):
    assert iam.allows(ctx, ROOT, "dynamodb:GetItem", TABLE)
    _, ann = make_user(ctx, iam)
    assert not iam.allows(ctx, ann, "dynamodb:GetItem", TABLE)
    call(ctx, "PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=policy("dynamodb:*", TABLE))
    assert iam.allows(ctx, ann, "dynamodb:GetItem", TABLE)
    assert not iam.allows(ctx, ann, "dynamodb:GetItem", TABLE + "2")
    call(ctx, "AttachUserPolicy", UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess")
    assert iam.allows(ctx, ann, "dynamodb:GetItem", TABLE + "2")
    call(ctx, "PutUserPolicy", UserName="ann", PolicyName="no", PolicyDocument=policy("dynamodb:GetItem", effect="Deny"))
    assert not iam.allows(ctx, ann, "dynamodb:GetItem", TABLE)
    assert iam.allows(ctx, ann, "dynamodb:PutItem", TABLE)


def test_allows__variables_and_tags(ctx, iam):
    _, ann = make_user(ctx, iam)
    own = policy("s3:GetObject", "arn:aws:s3:::homes/${aws:username}/*")
    call(ctx, "PutUserPolicy", UserName="ann", PolicyName="own", PolicyDocument=own)
    assert iam.allows(ctx, ann, "s3:GetObject", "arn:aws:s3:::homes/ann/x")
    assert not iam.allows(ctx, ann, "s3:GetObject", "arn:aws:s3:::homes/bob/x")
    team = policy("sqs:*", Condition={"StringEquals": {"aws:PrincipalTag/team": "bank"}})
    call(ctx, "PutUserPolicy", UserName="ann", PolicyName="team", PolicyDocument=team)
    assert not iam.allows(ctx, ann, "sqs:SendMessage", "arn:aws:sqs:us-east-1:1:q")
    call(ctx, "TagUser", UserName="ann", Tags=[{"Key": "team", "Value": "bank"}])
    assert iam.allows(ctx, ann, "sqs:SendMessage", "arn:aws:sqs:us-east-1:1:q")


def test_allows__never_more_than_the_boundary(ctx, iam):
    _, ann = make_user(ctx, iam)
    call(ctx, "PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=policy("*"))
    boundary = "arn:aws:iam::aws:policy/AmazonSQSFullAccess"
    call(ctx, "PutUserPermissionsBoundary", UserName="ann", PermissionsBoundary=boundary)
    assert iam.allows(ctx, ann, "sqs:SendMessage", "*")
    assert not iam.allows(ctx, ann, "sns:Publish", "*")


def make_role(ctx, document):
    arn = call(ctx, "CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    call(ctx, "PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=document)
    return arn


def test_assume__a_service_that_is_trusted(ctx, iam):
    arn = make_role(ctx, policy("dynamodb:GetItem", TABLE))
    given = iam.assume(ctx, arn, "function-1", "lambda.amazonaws.com")
    assert given.access_key_id.startswith("ASIA")
    assert given.principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/function-1"
    found = iam.credentials(ctx, given.access_key_id)
    assert (found.secret_access_key, found.session_token) == (given.secret_access_key, given.session_token)
    assert iam.allows(ctx, found.principal, "dynamodb:GetItem", TABLE)
    assert not iam.allows(ctx, found.principal, "dynamodb:PutItem", TABLE)
    with pytest.raises(AccessDenied):
        iam.assume(ctx, arn, "x", "firehose.amazonaws.com")
    with pytest.raises(NoSuchEntityException):
        iam.assume(ctx, arn + "2", "x", "lambda.amazonaws.com")


def test_session__lives_as_long_as_it_says_and_is_swept(ctx, iam):
    arn = make_role(ctx, policy("*"))
    keys = [iam.assume(ctx, arn, f"s{number}", "lambda.amazonaws.com").access_key_id for number in range(3)]
    assert ctx.snapshot(lambda inner: state.SESSION_COUNT.get(inner.tx, ACCOUNT)) == 3
    ctx.clock.advance(3599)
    assert iam.credentials(ctx, keys[0]) is not None
    ctx.clock.advance(2)
    assert iam.credentials(ctx, keys[0]) is None
    workers.sweep_sessions(ctx)
    assert ctx.snapshot(lambda inner: list(state.SESSIONS.scan(inner.tx))) == []
    assert ctx.snapshot(lambda inner: state.SESSION_COUNT.get(inner.tx, ACCOUNT)) == 0


def test_session__policies_only_narrow(ctx, iam):
    arn = make_role(ctx, policy(["dynamodb:*", "sqs:*"]))
    values = {"RoleArn": arn, "RoleSessionName": "s", "Policy": policy(["dynamodb:GetItem", "sns:Publish"])}
    given = call(ctx, "AssumeRole", "sts", **values)["Credentials"]
    principal = iam.credentials(ctx, given["AccessKeyId"]).principal
    assert iam.allows(ctx, principal, "dynamodb:GetItem", TABLE)
    assert not iam.allows(ctx, principal, "dynamodb:PutItem", TABLE)
    assert not iam.allows(ctx, principal, "sns:Publish", "*")


def test_session__loses_its_rights_with_its_role(ctx, iam):
    arn = make_role(ctx, policy("*"))
    principal = iam.assume(ctx, arn, "s", "lambda.amazonaws.com").principal
    assert iam.allows(ctx, principal, "sqs:SendMessage", "*")
    call(ctx, "DeleteRolePolicy", RoleName="r", PolicyName="p")
    call(ctx, "DeleteRole", RoleName="r")
    assert not iam.allows(ctx, principal, "sqs:SendMessage", "*")


def test_sessions__are_bounded(ctx, iam, monkeypatch):
    monkeypatch.setattr(limits, "SESSIONS_PER_ACCOUNT_MAX", 2)
    arn = make_role(ctx, policy("*"))
    for _ in range(2):
        iam.assume(ctx, arn, "s", "lambda.amazonaws.com")
    with pytest.raises(Exception, match="Rate exceeded"):
        iam.assume(ctx, arn, "s", "lambda.amazonaws.com")


def test_memory__does_not_keep_what_is_not_committed(ctx, iam):
    _, ann = make_user(ctx, iam)

    def body(inner):
        bound = SERVICE.bound("iam")["PutUserPolicy"]
        bound.call(inner, {"UserName": "ann", "PolicyName": "p", "PolicyDocument": policy("*")})
        assert iam.allows(inner, ann, "sqs:SendMessage", "*")
        raise LookupError

    with pytest.raises(LookupError):
        ctx.transact(body)
    assert not iam.allows(ctx, ann, "sqs:SendMessage", "*")


def test_check__requests(ctx, iam):
    iam.check(ctx, ROOT, "dynamodb", "DeleteTable", {"TableName": "T"})
    _, ann = make_user(ctx, iam)
    with pytest.raises(AccessDeniedException) as caught:
        iam.check(ctx, ann, "dynamodb", "GetItem", {"TableName": "T"})
    assert caught.value.message == (
        f"User: {ann.arn} is not authorized to perform: dynamodb:GetItem on resource: {TABLE} "
        "because no identity-based policy allows the dynamodb:GetItem action"
    )
    document = policy(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:GetRecords"], TABLE)
    call(ctx, "PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=document)
    iam.check(ctx, ann, "dynamodb", "GetItem", {"TableName": "T"})
    iam.check(ctx, ann, "dynamodbstreams", "GetRecords", {"ShardIterator": "opaque"})
    both = {"TransactItems": [{"Put": {"TableName": "T"}}, {"Put": {"TableName": "U"}}]}
    with pytest.raises(AccessDeniedException, match="table/U"):
        iam.check(ctx, ann, "dynamodb", "TransactWriteItems", both)
    call(ctx, "PutUserPolicy", UserName="ann", PolicyName="no", PolicyDocument=policy("dynamodb:*", effect="Deny"))
    with pytest.raises(AccessDeniedException, match="explicit deny"):
        iam.check(ctx, ann, "dynamodbstreams", "GetRecords", {"ShardIterator": "opaque"})
    iam.check(ctx, ann, "sts", "GetCallerIdentity", {})


def test_check__what_sam_policies_allow_is_what_the_bank_does(ctx, iam):
    """The documents that SAM makes of DynamoDBReadPolicy, SESCrudPolicy and FirehoseWritePolicy."""
    here = f"us-east-1:{ACCOUNT}"
    table, stream = f"arn:aws:dynamodb:{here}:table/Accounts", f"arn:aws:firehose:{here}:deliverystream/Reports"
    arn = make_role(ctx, policy(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem"], [table, f"{table}/index/*"]))
    identity = f"arn:aws:ses:{here}:identity/bank@example.com"
    call(ctx, "PutRolePolicy", RoleName="r", PolicyName="ses", PolicyDocument=policy(["ses:SendEmail"], identity))
    call(ctx, "PutRolePolicy", RoleName="r", PolicyName="fh", PolicyDocument=policy(["firehose:PutRecordBatch"], stream))
    call(ctx, "AttachRolePolicy", RoleName="r", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    function = iam.assume(ctx, arn, "f", "lambda.amazonaws.com").principal
    iam.check(ctx, function, "dynamodb", "GetItem", {"TableName": "Accounts"})
    iam.check(ctx, function, "dynamodb", "BatchGetItem", {"RequestItems": {"Accounts": {}}})
    iam.check(ctx, function, "sesv2", "SendEmail", {"FromEmailAddress": "bank@example.com", "Content": {}})
    iam.check(ctx, function, "firehose", "PutRecordBatch", {"DeliveryStreamName": "Reports"})
    iam.check(ctx, function, "logs", "PutLogEvents", {"logGroupName": "/aws/lambda/f", "logStreamName": "s"})
    for service, operation, members in (
        ("dynamodb", "PutItem", {"TableName": "Accounts"}),
        ("dynamodb", "GetItem", {"TableName": "Transactions"}),
        ("sesv2", "SendEmail", {"FromEmailAddress": "eve@example.net", "Content": {}}),
        ("s3", "ListBuckets", {}),
    ):
        with pytest.raises(AccessDeniedException):
            iam.check(ctx, function, service, operation, members)
