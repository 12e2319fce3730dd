"""The names of actions in policies: the service's prefix and, nearly always, the operation's name."""

import re

_PREFIXES = {
    "sesv2": "ses",
    "dynamodbstreams": "dynamodb",
    "kinesis-video-media": "kinesisvideo",
    "kinesis-video-archived-media": "kinesisvideo",
    "kinesis-video-signaling": "kinesisvideo",
    "kinesis-video-put-media": "kinesisvideo",
    "kinesisanalyticsv2": "kinesisanalytics",
}

_RENAMED = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeAsync": "lambda:InvokeFunction",
    "lambda:InvokeWithResponseStream": "lambda:InvokeFunction",
    "lambda:GetLayerVersionByArn": "lambda:GetLayerVersion",
    "s3:HeadObject": "s3:GetObject",
    "s3:GetObjectAttributes": "s3:GetObject",
    "s3:SelectObjectContent": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListParts": "s3:ListMultipartUploadParts",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:UploadPartCopy": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "s3:GetBucketCors": "s3:GetBucketCORS",
    "s3:PutBucketCors": "s3:PutBucketCORS",
    "s3:DeleteBucketCors": "s3:PutBucketCORS",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "s3:DeleteBucketTagging": "s3:PutBucketTagging",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}

# The parts of TransactGetItems and TransactWriteItems are asked for one by one.
TRANSACTED = {
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}

# Without a user's name, these are about the caller.
# Those of STS that nobody needs a permission for: who may assume a role is asked for where its trust policy is read.
FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken", "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"})

# Who may be given a role by a request to one of these services (iam:PassRole).
ROLE_TAKERS = {
    "lambda": "lambda.amazonaws.com",
    "firehose": "firehose.amazonaws.com",
    "cloudformation": "cloudformation.amazonaws.com",
    "kinesisanalytics": "kinesisanalytics.amazonaws.com",
    "redshift": "redshift.amazonaws.com",
}
ROLE_GIVING = ("Create", "Update", "Add", "Modify", "Delete", "Continue")
ROLE_MEMBERS = frozenset({"Role", "RoleARN", "RoleArn", "ServiceExecutionRole", "IamRoles", "DefaultIamRoleArn"})

OF_ONESELF = frozenset({"iam:CreateAccessKey", "iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:GetUser"})

# What may stand before a statement's first word, as DynamoDB reads it.
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)
# An UPDATE may begin with FROM.
_STATEMENTS = {
    "FROM": "PartiQLUpdate",
    "SELECT": "PartiQLSelect",
    "INSERT": "PartiQLInsert",
    "UPDATE": "PartiQLUpdate",
    "DELETE": "PartiQLDelete",
}


def of(service: str, operation: str) -> str:
    """The action of an operation of an AWS model, as policies name it."""
    action = f"{_PREFIXES.get(service, service)}:{operation}"
    return _RENAMED.get(action, action)


def of_statement(statement: str) -> str:
    """The action of a PartiQL statement."""
    found = _FIRST_WORD.match(statement)
    word = found[1].upper() if found else ""
    return f"dynamodb:{_STATEMENTS.get(word, 'PartiQLSelect')}"
