"""What may be shared with other accounts: which operations a resource's policy can let them do, and where requests name it.

Another account's resource is named by its whole ARN (an iterator of a table's stream begins with it), a queue by its URL, and a
bucket by its name, which all accounts share.
"""

from collections.abc import Callable, Mapping
from typing import Any

_RECORDS = (
    "PutRecord", "PutRecords", "GetShardIterator", "GetRecords", "ListShards", "DescribeStream", "DescribeStreamSummary",
    "DescribeStreamConsumer", "SubscribeToShard",
)  # fmt: skip

_ITEMS = (
    "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem", "TransactGetItems",
    "TransactWriteItems", "DescribeTable", "UpdateTable", "DeleteTable",
)  # fmt: skip

_MESSAGES = (
    "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch", "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue",
)  # fmt: skip
_FUNCTIONS = (
    "Invoke", "InvokeAsync", "InvokeWithResponseStream", "GetFunction", "GetFunctionConfiguration", "GetAlias", "ListAliases",
    "ListVersionsByFunction", "UpdateFunctionCode", "PublishVersion", "GetLayerVersion", "GetLayerVersionByArn",
)  # fmt: skip
_TOPICS = (
    "Publish", "PublishBatch", "Subscribe", "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission",
    "DeleteTopic", "ListSubscriptionsByTopic",
)  # fmt: skip
_OBJECTS = (
    "GetObject", "HeadObject", "GetObjectAttributes", "GetObjectTagging", "GetObjectAcl", "SelectObjectContent", "PutObject",
    "PutObjectTagging", "DeleteObject", "DeleteObjects", "DeleteObjectTagging", "CopyObject", "CreateMultipartUpload",
    "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts", "ListMultipartUploads",
    "HeadBucket", "ListObjects", "ListObjectsV2", "ListObjectVersions", "GetBucketLocation", "GetBucketVersioning",
    "GetBucketTagging", "PutBucketTagging", "GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration",
    "GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "PutBucketVersioning", "GetBucketEncryption",
)  # fmt: skip

SHARED: Mapping[str, frozenset[str]] = {
    "kinesis": frozenset(_RECORDS),
    "dynamodb": frozenset(_ITEMS),
    "dynamodbstreams": frozenset(("DescribeStream", "GetShardIterator", "GetRecords")),
    "sqs": frozenset(_MESSAGES),
    "sns": frozenset(_TOPICS),
    "s3": frozenset(_OBJECTS),
    "lambda": frozenset(_FUNCTIONS),
}


def names_others(service: str, operation: str, parameters: Mapping[str, Any], account: str) -> bool:
    """Whether a request that can be shared names something that may be another account's. Asked at each of root's requests."""
    finder = _FINDERS.get(service)
    return finder is not None and finder(parameters, account) and operation in SHARED[service]


def _by_arn(*members: str) -> Callable[[Mapping[str, Any], str], bool]:
    def find(parameters: Mapping[str, Any], account: str) -> bool:
        # A plain loop: a generator would cost a microsecond at each request.
        for member in members:
            value = parameters.get(member)
            if value is not None and is_elsewhere(value, account):
                return True
        return False

    return find


def is_elsewhere(value: str, account: str) -> bool:
    """Whether a name is an ARN (or a part of one) that holds another account."""
    return value.count(":") > 1 and f":{account}:" not in f":{value}"


def _by_table(parameters: Mapping[str, Any], account: str) -> bool:
    name = parameters.get("TableName")
    if name is not None:
        return is_elsewhere(name, account)
    for name in parameters.get("RequestItems") or ():
        if is_elsewhere(name, account):
            return True
    for item in parameters.get("TransactItems") or ():
        for part in item.values():
            if is_elsewhere(part["TableName"], account):
                return True
    return False


def _by_url(parameters: Mapping[str, Any], account: str) -> bool:
    url = parameters.get("QueueUrl")
    if url is None:
        return bool(parameters.get("QueueOwnerAWSAccountId", account) != account)
    return f"/{account}/" not in url


def _by_bucket(parameters: Mapping[str, Any], account: str) -> bool:
    return "Bucket" in parameters


_FINDERS: Mapping[str, Callable[[Mapping[str, Any], str], bool]] = {
    "kinesis": _by_arn("StreamARN", "ConsumerARN"),
    "dynamodb": _by_table,
    "dynamodbstreams": _by_arn("StreamArn", "ShardIterator"),
    "sqs": _by_url,
    "sns": _by_arn("TopicArn", "TargetArn"),
    "s3": _by_bucket,
    "lambda": _by_arn("FunctionName", "LayerName", "Arn"),
}
