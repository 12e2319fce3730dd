"""Each gap that docs/not-included.md names is refused aloud."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
}
REFUSALS = ("Headrace", "not support", "Unrecognized resource type")


def calls(client: Callable[..., Any], account: str) -> list[tuple[str, str, dict[str, Any]]]:
    """What is tried, on resources that are there: so that nothing but the gap is in the way."""
    bucket = f"gaps-{account}"

    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:us-east-1:{account}:{resource}"

    role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    client("kinesis").create_stream(StreamName="s", ShardCount=1)
    client("s3").create_bucket(Bucket=bucket)
    client("logs").create_log_group(logGroupName="g")
    channel = client("kinesisvideo").create_signaling_channel(ChannelName="c")["ChannelARN"]
    t = client("sns").create_topic(Name="t")["TopicArn"]
    keys = {
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    client("dynamodb").create_table(TableName="ttt", **keys)
    return [
        ("sqs", "create_queue", {"QueueName": "q.fifo", "Attributes": {"FifoQueue": "true"}}),
        ("sqs", "start_message_move_task", {"SourceArn": arn("sqs", "q")}),
        ("sns", "create_topic", {"Name": "t.fifo", "Attributes": {"FifoTopic": "true"}}),
        ("sns", "subscribe", {"TopicArn": t, "Protocol": "email", "Endpoint": "a@b.c"}),
        ("sns", "subscribe", {"TopicArn": t, "Protocol": "https", "Endpoint": "https://b.c"}),
        ("kinesis", "create_queue", {"QueueName": "q", "StreamConfigurationList": [{"StreamARN": arn("kinesis", "stream/s")}]}),
        ("dynamodb", "update_table", {"TableName": "ttt", "MultiRegionConsistency": "STRONG"}),
        ("dynamodb", "update_table", {"TableName": "ttt", "SSESpecification": {"Enabled": True, "KMSMasterKeyId": "alias/mine"}}),
        ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"}),
        (
            "application-autoscaling",
            "describe_scaling_activities",
            {"ServiceNamespace": "dynamodb", "IncludeNotScaledActivities": True},
        ),
        (
            "lambda",
            "create_function",
            {"FunctionName": "n", "Runtime": "ruby3.3", "Handler": "i.h", "Role": role, "Code": {"ZipFile": b"x"}},
        ),
        (
            "lambda",
            "create_function",
            {
                "FunctionName": "n",
                "PackageType": "Image",
                "Role": role,
                "Code": {"ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/a:b"},
            },
        ),
        ("lambda", "list_capacity_providers", {}),
        (
            "firehose",
            "create_delivery_stream",
            {
                "DeliveryStreamName": "h",
                "HttpEndpointDestinationConfiguration": {
                    "EndpointConfiguration": {"Url": "https://a.b"},
                    "S3Configuration": {"RoleARN": role, "BucketARN": f"arn:aws:s3:::{bucket}"},
                },
            },
        ),
        (
            "firehose",
            "create_delivery_stream",
            {
                "DeliveryStreamName": "h",
                "ExtendedS3DestinationConfiguration": {
                    "RoleARN": role,
                    "BucketARN": f"arn:aws:s3:::{bucket}",
                    "DynamicPartitioningConfiguration": {"Enabled": True},
                },
            },
        ),
        ("s3", "put_object_lock_configuration", {"Bucket": bucket, "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}),
        (
            "s3",
            "put_bucket_replication",
            {
                "Bucket": bucket,
                "ReplicationConfiguration": {
                    "Role": role,
                    "Rules": [{"Status": "Enabled", "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"}}],
                },
            },
        ),
        ("s3", "put_bucket_website", {"Bucket": bucket, "WebsiteConfiguration": {"IndexDocument": {"Suffix": "i"}}}),
        (
            "s3",
            "put_bucket_encryption",
            {
                "Bucket": bucket,
                "ServerSideEncryptionConfiguration": {
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
                },
            },
        ),
        (
            "s3",
            "put_bucket_cors",
            {"Bucket": bucket, "CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}},
        ),
        ("redshift", "create_cluster_snapshot", {"SnapshotIdentifier": "s", "ClusterIdentifier": "c"}),
        ("ses", "create_receipt_rule_set", {"RuleSetName": "r"}),
        ("sesv2", "create_contact_list", {"ContactListName": "c"}),
        (
            "sesv2",
            "create_configuration_set_event_destination",
            {
                "ConfigurationSetName": "c",
                "EventDestinationName": "e",
                "EventDestination": {"Enabled": True, "MatchingEventTypes": ["SEND"], "SnsDestination": {"TopicArn": t}},
            },
        ),
        ("iam", "create_group", {"GroupName": "g"}),
        ("iam", "create_login_profile", {"UserName": "u", "Password": "Passw0rd!"}),
        ("sts", "get_federation_token", {"Name": "ab"}),
        (
            "logs",
            "put_metric_filter",
            {
                "logGroupName": "g",
                "filterName": "f",
                "filterPattern": "x",
                "metricTransformations": [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
            },
        ),
        (
            "logs",
            "put_subscription_filter",
            {"logGroupName": "g", "filterName": "f", "filterPattern": "x", "destinationArn": arn("kinesis", "stream/s")},
        ),
        ("logs", "start_query", {"logGroupName": "g", "startTime": 1, "endTime": 2, "queryString": "fields x"}),
        (
            "cloudwatch",
            "put_metric_alarm",
            {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"},
        ),
        ("cloudwatch", "put_dashboard", {"DashboardName": "d", "DashboardBody": "{}"}),
        ("cloudformation", "create_stack_set", {"StackSetName": "s", "TemplateBody": "{}"}),
        (
            "cloudformation",
            "create_stack",
            {
                "StackName": "s",
                "TemplateBody": '{"Resources":{"V":{"Type":"AWS::EC2::VPC","Properties":{"CidrBlock":"10.0.0.0/16"}}}}',
            },
        ),
        ("kinesisvideo", "describe_edge_configuration", {"StreamName": "v"}),
        (
            "kinesisvideo",
            "update_media_storage_configuration",
            {"ChannelARN": channel, "MediaStorageConfiguration": {"Status": "ENABLED"}},
        ),
        (
            "kinesisanalyticsv2",
            "create_application",
            {"ApplicationName": "f", "RuntimeEnvironment": "ZEPPELIN-FLINK-3_0", "ServiceExecutionRole": role},
        ),
        ("kinesisanalyticsv2", "create_snapshot", {"ApplicationName": "f", "SnapshotName": "s"}),
        ("kinesisanalyticsv2", "create_application_presigned_url", {"ApplicationName": "f", "UrlType": "FLINK_DASHBOARD_URL"}),
    ]


def test_gaps__are_refused(client: Callable[..., Any], account: str) -> None:
    for service, operation, parameters in calls(client, account):
        with pytest.raises(ClientError) as refused:
            getattr(client(service), operation)(**parameters)
        assert any(words in str(refused.value) for words in REFUSALS), f"{service} {operation}: {refused.value}"
