"""AWS's managed policies, those that concern what Headrace runs: their names and what they allow."""

import hashlib
import json
from base64 import b32encode
from functools import lru_cache

CREATED_AT = 1423242000.0  # 6 February 2015, when AWS published the first of them
PREFIX = "arn:aws:iam::aws:policy/"

_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_NETWORK = (
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
)  # fmt: skip
_XRAY = (
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
    "xray:GetSamplingStatisticSummaries",
)  # fmt: skip

_SCALING = (
    "DeleteScalingPolicy", "DeregisterScalableTarget", "DescribeScalableTargets", "DescribeScalingActivities",
    "DescribeScalingPolicies", "PutScalingPolicy", "RegisterScalableTarget",
)  # fmt: skip

_READ_SERVICES = (
    "application-autoscaling", "cloudformation", "cloudwatch", "dynamodb", "firehose", "iam", "kinesis", "kinesisanalytics",
    "kinesisvideo", "lambda", "logs", "redshift", "redshift-data", "s3", "ses", "sns", "sqs",
)  # fmt: skip
_READING = [f"{service}:{verb}*" for service in _READ_SERVICES for verb in ("Get", "List", "Describe")]
_READING += ["dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "logs:FilterLogEvents"]

# Name below PREFIX -> the actions allowed on every resource.
_ALLOWED: dict[str, tuple[str, ...]] = {
    "AdministratorAccess": ("*",),
    "AmazonDynamoDBFullAccess": (
        "dynamodb:*", "dax:*", "cloudwatch:*", "kinesis:*", "lambda:*", "iam:PassRole",
        *(f"application-autoscaling:{operation}" for operation in _SCALING),
    ),
    "AmazonDynamoDBReadOnlyAccess": (
        "dynamodb:BatchGetItem", "dynamodb:Describe*", "dynamodb:GetItem", "dynamodb:GetRecords",
        "dynamodb:GetShardIterator", "dynamodb:List*", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQLSelect",
    ),
    "AmazonKinesisFullAccess": ("kinesis:*",),
    "AmazonKinesisReadOnlyAccess": ("kinesis:Get*", "kinesis:List*", "kinesis:Describe*"),
    "AmazonKinesisFirehoseFullAccess": ("firehose:*",),
    "AmazonKinesisFirehoseReadOnlyAccess": ("firehose:Describe*", "firehose:List*"),
    "AmazonKinesisAnalyticsFullAccess": (
        "kinesisanalytics:*", "kinesis:*", "firehose:DescribeDeliveryStream", "firehose:ListDeliveryStreams",
        "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics", "logs:GetLogEvents", "iam:ListPolicyVersions",
        "iam:ListRoles",
    ),
    "AmazonKinesisAnalyticsReadOnly": ("kinesisanalytics:Describe*", "kinesisanalytics:Get*", "kinesisanalytics:List*"),
    "AmazonKinesisVideoStreamsFullAccess": ("kinesisvideo:*",),
    "AmazonKinesisVideoStreamsReadOnlyAccess": ("kinesisvideo:Describe*", "kinesisvideo:Get*", "kinesisvideo:List*"),
    "AmazonRedshiftFullAccess": ("redshift:*", "redshift-serverless:*", "redshift-data:*", "cloudwatch:*", "sns:*"),
    "AmazonRedshiftReadOnlyAccess": ("redshift:Describe*", "redshift:ViewQueriesInConsole"),
    "AmazonRedshiftDataFullAccess": (
        "redshift-data:*", "redshift:GetClusterCredentials", "redshift-serverless:GetCredentials",
        "secretsmanager:GetSecretValue",
    ),
    "AmazonS3FullAccess": ("s3:*", "s3-object-lambda:*"),
    "AmazonS3ReadOnlyAccess": ("s3:Get*", "s3:List*", "s3:Describe*"),
    "AmazonSESFullAccess": ("ses:*",),
    "AmazonSESReadOnlyAccess": ("ses:Get*", "ses:List*", "ses:BatchGetMetricData"),
    "AmazonSNSFullAccess": ("sns:*",),
    "AmazonSNSReadOnlyAccess": ("sns:GetTopicAttributes", "sns:List*"),
    "AmazonSQSFullAccess": ("sqs:*",),
    "AmazonSQSReadOnlyAccess": (
        "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues", "sqs:ListQueues",
    ),
    "AWSLambda_FullAccess": (
        "lambda:*", "cloudformation:Describe*", "cloudwatch:*", "iam:ListRoles", "iam:PassRole", "logs:*", "s3:Get*",
    ),
    "AWSLambda_ReadOnlyAccess": ("lambda:Get*", "lambda:List*"),
    "AWSLambdaExecute": ("logs:*", "s3:GetObject", "s3:PutObject"),
    "AWSLambdaInvocation-DynamoDB": (
        "lambda:InvokeFunction", "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ),
    "AWSXRayDaemonWriteAccess": _XRAY,
    "AWSXrayWriteOnlyAccess": _XRAY,
    "CloudWatchFullAccess": ("cloudwatch:*", "logs:*", "sns:*"),
    "CloudWatchReadOnlyAccess": ("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*"),
    "CloudWatchLogsFullAccess": ("logs:*",),
    "CloudWatchLogsReadOnlyAccess": ("logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents"),
    "CloudWatchLambdaInsightsExecutionRolePolicy": _LOGS,
    "AWSCloudFormationFullAccess": ("cloudformation:*",),
    "AWSCloudFormationReadOnlyAccess": ("cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*"),
    "IAMFullAccess": ("iam:*",),
    "IAMReadOnlyAccess": ("iam:Get*", "iam:List*", "iam:Simulate*"),
    "service-role/AWSLambdaBasicExecutionRole": _LOGS,
    "service-role/AWSLambdaBasicDurableExecutionRolePolicy": (
        "lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState", *_LOGS,
    ),
    "service-role/AWSLambdaKinesisExecutionRole": (
        "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator",
        "kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard", *_LOGS,
    ),
    "service-role/AWSLambdaDynamoDBExecutionRole": (
        "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams", *_LOGS,
    ),
    "service-role/AWSLambdaSQSQueueExecutionRole": (
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", *_LOGS,
    ),
    "service-role/AWSLambdaRole": ("lambda:InvokeFunction",),
    "service-role/AWSLambdaVPCAccessExecutionRole": (*_LOGS, *_NETWORK),
    "service-role/AWSLambdaENIManagementAccess": _NETWORK,
    "service-role/AmazonAPIGatewayPushToCloudWatchLogs": ("logs:*",),
}  # fmt: skip
# Those that are not a plain list of allowed actions.
_STATEMENTS: dict[str, list[dict[str, object]]] = {
    "PowerUserAccess": [
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"],
            "Resource": "*",
        },
    ],
    "ReadOnlyAccess": [{"Effect": "Allow", "Action": _READING, "Resource": "*"}],
}


def is_aws(arn: str) -> bool:
    """Whether an ARN is that of one of AWS's own policies."""
    return arn.startswith(PREFIX)


def names() -> list[str]:
    """The ARNs of all policies here, sorted."""
    return sorted(PREFIX + name for name in (*_ALLOWED, *_STATEMENTS))


@lru_cache(maxsize=128)
def document(arn: str) -> str | None:
    """The policy's document, or None when AWS's policy is not here."""
    name = arn.removeprefix(PREFIX)
    statements: list[dict[str, object]] | None = _STATEMENTS.get(name)
    if name in _ALLOWED:
        statements = [{"Effect": "Allow", "Action": list(_ALLOWED[name]), "Resource": "*"}]
    return None if statements is None else json.dumps({"Version": "2012-10-17", "Statement": statements})


def policy_id(arn: str) -> str:
    """A stable id for one of AWS's policies."""
    return "ANPA" + b32encode(hashlib.sha256(arn.encode()).digest()).decode()[:17]
