"""Policy documents and their evaluation, by tables and by chance."""

import fnmatch
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.iam.engine.documents import MalformedDocument, parse
from headrace.services.iam.engine.evaluation import Caller, Decision, Trust, evaluate, trust
from headrace.services.iam.engine.wildcards import arn_matches, matches, substitute

TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/Accounts"


def statement(**members):
    return {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*", **members}


def document(*statements, version="2012-10-17"):
    return json.dumps({"Version": version, "Statement": list(statements)})


def decide(*statements, action="dynamodb:GetItem", resource=TABLE, context=None):
    return evaluate([parse(document(*statements))], action, resource, context)


@pytest.mark.parametrize(
    ("statements", "action", "expected"),
    [
        ([statement()], "dynamodb:GetItem", Decision.ALLOWED),
        ([statement(Action="DynamoDB:getitem")], "dynamodb:GetItem", Decision.ALLOWED),
        ([statement(Action="dynamodb:*")], "dynamodb:PutItem", Decision.ALLOWED),
        ([statement(Action=["s3:*", "dynamodb:Get*"])], "dynamodb:GetItem", Decision.ALLOWED),
        ([statement(Action="dynamodb:?etItem")], "dynamodb:GetItem", Decision.ALLOWED),
        ([statement()], "dynamodb:PutItem", Decision.IMPLICIT_DENY),
        ([statement(Action="*")], "anything:AtAll", Decision.ALLOWED),
        ([statement(Resource=TABLE)], "dynamodb:GetItem", Decision.ALLOWED),
        ([statement(Resource=TABLE + "2")], "dynamodb:GetItem", Decision.IMPLICIT_DENY),
        ([statement(Resource="arn:aws:dynamodb:*:*:table/*")], "dynamodb:GetItem", Decision.ALLOWED),
        ([statement(), statement(Effect="Deny")], "dynamodb:GetItem", Decision.EXPLICIT_DENY),
        ([statement(Effect="Deny"), statement()], "dynamodb:GetItem", Decision.EXPLICIT_DENY),
        ([statement(), statement(Effect="Deny", Action="s3:*")], "dynamodb:GetItem", Decision.ALLOWED),
    ],
)
def test_evaluate__table(statements, action, expected):
    assert decide(*statements, action=action) is expected


def test_evaluate__not_action_and_not_resource():
    everything_but = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    assert decide(everything_but, action="s3:GetObject") is Decision.ALLOWED
    assert decide(everything_but, action="iam:CreateUser") is Decision.IMPLICIT_DENY
    elsewhere = {"Effect": "Deny", "Action": "*", "NotResource": TABLE}
    assert decide(statement(), elsewhere) is Decision.ALLOWED
    assert decide(statement(), elsewhere, resource=TABLE + "2") is Decision.EXPLICIT_DENY


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "given_values", "expected"),
    [
        ("StringEquals", "aws:username", "ann", ("ann",), True),
        ("StringEquals", "AWS:UserName", ["bob", "ann"], ("ann",), True),
        ("StringEquals", "aws:username", "a*", ("ann",), False),
        ("StringEquals", "aws:username", "a*", ("a*",), True),
        ("StringEquals", "aws:username", "ann", None, False),
        ("StringEqualsIfExists", "aws:username", "ann", None, True),
        ("StringNotEquals", "aws:username", "ann", None, True),
        ("StringNotEquals", "aws:username", ["ann", "bob"], ("bob",), False),
        ("StringEqualsIgnoreCase", "aws:username", "ANN", ("ann",), True),
        ("StringLike", "s3:prefix", "home/*", ("home/ann",), True),
        ("StringNotLike", "s3:prefix", "home/*", ("home/ann",), False),
        ("NumericLessThan", "s3:max-keys", 10, ("9",), True),
        ("NumericLessThan", "s3:max-keys", 10, ("10",), False),
        ("NumericGreaterThanEquals", "s3:max-keys", "10", ("10.0",), True),
        ("NumericEquals", "s3:max-keys", "10", ("ten",), False),
        ("DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", ("2026-01-01T00:00:00Z",), True),
        ("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", ("2026-01-01T00:00:00Z",), False),
        ("Bool", "aws:SecureTransport", True, ("true",), True),
        ("Bool", "aws:SecureTransport", "false", ("true",), False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", ("10.1.2.3",), True),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", ("10.1.2.3",), False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", ("not an address",), False),
        ("ArnLike", "aws:SourceArn", "arn:aws:s3:::*", ("arn:aws:s3:::b",), True),
        ("ArnLike", "aws:SourceArn", "arn:aws:*:b", ("arn:aws:s3:::b",), False),
        ("Null", "aws:TokenIssueTime", "true", None, True),
        ("Null", "aws:TokenIssueTime", "true", ("1",), False),
        ("Null", "aws:TokenIssueTime", "false", ("1",), True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"], ("a", "b"), True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["a"], ("a", "b"), False),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["a"], None, True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["a"], ("a", "b"), True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["c"], ("a", "b"), False),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["c"], None, False),
    ],
)
def test_condition__table(operator, key, wanted, given_values, expected):
    context = {} if given_values is None else {key.lower(): given_values}
    conditional = statement(Condition={operator: {key: wanted}})
    assert bool(decide(conditional, context=context)) is expected


def test_variables__come_from_the_request_and_bring_no_wildcards():
    own = statement(Action="s3:GetObject", Resource="arn:aws:s3:::homes/${aws:username}/*")
    ask = {"action": "s3:GetObject", "resource": "arn:aws:s3:::homes/ann/file"}
    assert decide(own, context={"aws:username": ("ann",)}, **ask)
    assert not decide(own, context={"aws:username": ("bob",)}, **ask)
    assert not decide(own, context={"aws:username": ("*",)}, **ask)
    assert not decide(own, **ask)
    assert substitute("${aws:username, 'nobody'}", {}) == "nobody"


@given(st.text("ab*?", max_size=10), st.text("ab", max_size=12))
def test_matches__agrees_with_regular_expressions(pattern, text):
    assert matches(pattern, text) == (re.match(fnmatch.translate(pattern), text) is not None)


def test_matches__does_not_blow_up():
    assert not matches("a*" * 50 + "c", "a" * 2000)


def test_arn_matches__stays_inside_its_colons():
    assert arn_matches("arn:aws:sns:*:1:t", "arn:aws:sns:us-east-1:1:t")
    assert not arn_matches("arn:aws:sns:*:t", "arn:aws:sns:us-east-1:1:t")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "This policy contains invalid Json"),
        ("[" * 5000, "This policy contains invalid Json"),
        ('{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}', "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        ('{"Version":"2012-10-17"}', "Syntax errors in policy."),
        (document(version="2012-10-17"), "Syntax errors in policy."),
        (document(statement(), version="2020-01-01"), "Syntax errors in policy."),
        (document(statement(Effect="Perhaps")), "Syntax errors in policy."),
        (document(statement(Colour="red")), "Syntax errors in policy."),
        (document({"Effect": "Allow", "Resource": "*"}), "Policy statement must contain actions."),
        (document({"Effect": "Allow", "Action": "s3:*"}), "Policy statement must contain resources."),
        (
            document(statement(Action="GetItem")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (document(statement(Resource="table")), 'Resource table must be in ARN format or "*".'),
        (document(statement(Principal="*")), "Policy document should not specify a principal."),
        (document(statement(Condition={"Sounds": {"a": "b"}})), "Invalid Condition type : Sounds."),
        (
            document(statement(Sid="a"), statement(Sid="a")),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
    ],
)
def test_parse__refuses(text, message):
    with pytest.raises(MalformedDocument, match=f"^{re.escape(message)}$"):
        parse(text)


def assuming(principal, **more):
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (assuming("*", Resource="*"), "Has prohibited field Resource."),
        ({"Effect": "Allow", "Action": "sts:AssumeRole"}, "Missing required field Principal."),
        (assuming("*", Action="s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (assuming({"AWS": "ann"}), 'Invalid principal in policy: "AWS":"ann"'),
    ],
)
def test_parse__refuses_trust(bad, message):
    with pytest.raises(MalformedDocument, match=f"^{re.escape(message)}$"):
        parse(document(bad), "trust")


ANN = Caller(frozenset({"arn:aws:iam::111122223333:user/ann"}), "111122223333")
LAMBDA = Caller(frozenset(), "111122223333", "lambda.amazonaws.com")


@pytest.mark.parametrize(
    ("statements", "caller", "expected"),
    [
        ([assuming({"Service": "lambda.amazonaws.com"})], LAMBDA, Trust.CALLER),
        ([assuming({"Service": ["firehose.amazonaws.com", "lambda.amazonaws.com"]})], LAMBDA, Trust.CALLER),
        ([assuming({"Service": "firehose.amazonaws.com"})], LAMBDA, Trust.DENIED),
        ([assuming({"Service": "lambda.amazonaws.com"})], ANN, Trust.DENIED),
        ([assuming({"AWS": "arn:aws:iam::111122223333:user/ann"})], ANN, Trust.CALLER),
        ([assuming({"AWS": "arn:aws:iam::111122223333:root"})], ANN, Trust.ACCOUNT),
        ([assuming({"AWS": "111122223333"})], ANN, Trust.ACCOUNT),
        ([assuming({"AWS": "444455556666"})], ANN, Trust.DENIED),
        ([assuming("*")], LAMBDA, Trust.DENIED),
        ([assuming("*"), assuming({"AWS": "111122223333"}, Effect="Deny")], ANN, Trust.DENIED),
        ([assuming("*", Condition={"StringEquals": {"sts:ExternalId": "x"}})], ANN, Trust.DENIED),
    ],
)
def test_trust__table(statements, caller, expected):
    assert trust(parse(document(*statements), "trust"), caller, "sts:AssumeRole") is expected


def test_trust__external_id():
    policy = parse(document(assuming("*", Condition={"StringEquals": {"sts:ExternalId": "x"}})), "trust")
    assert trust(policy, ANN, "sts:AssumeRole", {"sts:externalid": ("x",)}) is Trust.ACCOUNT
