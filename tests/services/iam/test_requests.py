"""What requests need, by a table."""

import pytest

from headrace.services.iam.engine.requests import Place, needs

HERE = Place("111122223333", "us-east-1", "arn:aws:iam::111122223333:user/ann")


def arn(service, resource):
    return f"arn:aws:{service}:us-east-1:111122223333:{resource}"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("dynamodb", "GetItem", {"TableName": "T"}, [("dynamodb:GetItem", arn("dynamodb", "table/T"))]),
        (
            "dynamodb",
            "CancelBulkOperation",
            {"BulkOperationArn": arn("dynamodb", "table/T/bulk-operation/1")},
            [("dynamodb:CancelBulkOperation", arn("dynamodb", "table/T/bulk-operation/1"))],
        ),
        ("dynamodb", "Query", {"TableName": "T", "IndexName": "I"}, [("dynamodb:Query", arn("dynamodb", "table/T/index/I"))]),
        (
            "dynamodb",
            "DescribeGlobalTable",
            {"GlobalTableName": "t"},
            [("dynamodb:DescribeGlobalTable", "arn:aws:dynamodb::111122223333:global-table/t")],
        ),
        (
            "application-autoscaling",
            "RegisterScalableTarget",
            {"RoleARN": "arn:aws:iam::111122223333:role/r"},
            [("application-autoscaling:RegisterScalableTarget", "*")],
        ),
        ("dynamodb", "ListTables", {}, [("dynamodb:ListTables", arn("dynamodb", "table/*"))]),
        (
            "dynamodb",
            "BatchGetItem",
            {"RequestItems": {"T": {}, "U": {}}},
            [("dynamodb:BatchGetItem", arn("dynamodb", "table/T")), ("dynamodb:BatchGetItem", arn("dynamodb", "table/U"))],
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "T"}}, {"ConditionCheck": {"TableName": "U"}}]},
            [("dynamodb:PutItem", arn("dynamodb", "table/T")), ("dynamodb:ConditionCheckItem", arn("dynamodb", "table/U"))],
        ),
        ("dynamodb", "ExecuteStatement", {"Statement": "insert into T"}, [("dynamodb:PartiQLInsert",)]),
        ("dynamodb", "ExecuteStatement", {"Statement": "FROM T WHERE a = 1 SET b = 2"}, [("dynamodb:PartiQLUpdate",)]),
        ("dynamodb", "ExecuteStatement", {"Statement": "-- SELECT\n/* x */delete/**/from T"}, [("dynamodb:PartiQLDelete",)]),
        ("dynamodbstreams", "GetRecords", {"ShardIterator": "x"}, [("dynamodb:GetRecords",)]),
        (
            "dynamodbstreams",
            "DescribeStream",
            {"StreamArn": arn("dynamodb", "table/T/stream/L")},
            [("dynamodb:DescribeStream", arn("dynamodb", "table/T/stream/L"))],
        ),
        ("kinesis", "PutRecord", {"StreamName": "S"}, [("kinesis:PutRecord", arn("kinesis", "stream/S"))]),
        ("kinesis", "PutRecord", {"StreamARN": "arn:x:::1:stream/S"}, [("kinesis:PutRecord", arn("kinesis", "stream/S"))]),
        ("firehose", "PutRecord", {"DeliveryStreamName": "D"}, [("firehose:PutRecord", arn("firehose", "deliverystream/D"))]),
        ("lambda", "Invoke", {"FunctionName": "f"}, [("lambda:InvokeFunction", arn("lambda", "function:f"))]),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "f", "Qualifier": "live"},
            [("lambda:InvokeFunction", arn("lambda", "function:f:live"))],
        ),
        ("lambda", "ListFunctions", {}, [("lambda:ListFunctions", "*")]),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "k/x"}, [("s3:GetObject", "arn:aws:s3:::b/k/x")]),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("s3", "ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
        (
            "s3",
            "CopyObject",
            {"Bucket": "b", "Key": "k", "CopySource": "c/%64"},
            [("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::c/d")],
        ),
        (
            "s3",
            "CopyObject",
            {"Bucket": "b", "Key": "k", "CopySource": "/c/d?versionId=1"},
            [("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::c/d")],
        ),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y"}]}},
            [("s3:DeleteObject", "arn:aws:s3:::b/x"), ("s3:DeleteObject", "arn:aws:s3:::b/y")],
        ),
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": "http://localhost:4566/444455556666/q"},
            [("sqs:SendMessage", "arn:aws:sqs:us-east-1:444455556666:q")],
        ),
        ("sns", "Publish", {"TopicArn": "arn:t"}, [("sns:Publish", "arn:t")]),
        ("sns", "Unsubscribe", {"SubscriptionArn": "arn:aws:sns:r:1:t:u"}, [("sns:Unsubscribe", "arn:aws:sns:r:1:t")]),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s"},
            [("logs:PutLogEvents", arn("logs", "log-group:g:log-stream:s"))],
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "g"},
            [("logs:CreateLogGroup", arn("logs", "log-group:g"), arn("logs", "log-group:g:*"))],
        ),
        (
            "sesv2",
            "SendEmail",
            {"FromEmailAddress": "Ann <ann@example.com>", "Content": {}},
            [("ses:SendEmail", arn("ses", "identity/ann@example.com"), arn("ses", "identity/example.com"))],
        ),
        ("cloudwatch", "PutMetricData", {"Namespace": "N"}, [("cloudwatch:PutMetricData", "*")]),
        ("iam", "GetRole", {"RoleName": "r"}, [("iam:GetRole", "arn:aws:iam::111122223333:role/r")]),
        ("iam", "CreateAccessKey", {}, [("iam:CreateAccessKey", HERE.caller)]),
        ("sts", "AssumeRole", {"RoleArn": "arn:r"}, []),
    ],
)
def test_needs__table(service, operation, parameters, expected):
    found = [(need.action, *need.resources) for need in needs(service, operation, parameters, HERE)]
    assert found == expected
