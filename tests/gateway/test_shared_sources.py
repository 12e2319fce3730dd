"""What event source mappings may read: what the function's role may, and, of other accounts, what their policies let it."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.gateway.callers import Service, document, statement

from conftest import HeadraceServer

TRUST = statement("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
SEES = """
seen = []
def handler(event, context):
    if event == "seen":
        return seen
    for record in event["Records"]:
        if "kinesis" in record:
            seen.append([record["kinesis"]["partitionKey"], record["invokeIdentityArn"]])
        elif "s3" in record:
            seen.append(record["s3"]["object"]["key"])
        elif "Sns" in record:
            seen.append(record["Sns"]["Message"])
        else:
            seen.append(record.get("body") or record["dynamodb"]["Keys"])
"""
WAIT_SECONDS = 20.0


class Reader:
    """A function in an account, its role, and what it has seen."""

    def __init__(self, client: Service, *allowed: dict[str, Any]) -> None:
        self.iam, self.functions = client("iam"), client("lambda")
        self.role = self.iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document(TRUST))["Role"]["Arn"]
        if allowed:
            self.may(*allowed)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("f.py", SEES)
        self.functions.create_function(
            FunctionName="f", Runtime="python3.11", Role=self.role, Handler="f.handler", Code={"ZipFile": archive.getvalue()}
        )
        # One environment: what it has seen is in its memory.
        self.functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)

    def may(self, *allowed: dict[str, Any]) -> None:
        """Let the role do this, and nothing else."""
        if allowed:
            self.iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=document(*allowed))
        else:
            self.iam.delete_role_policy(RoleName="reader", PolicyName="p")

    def reads(self, arn: str) -> str:
        """Make a mapping; its id."""
        more = {} if ":sqs:" in arn else {"StartingPosition": "TRIM_HORIZON"}
        return str(self.functions.create_event_source_mapping(EventSourceArn=arn, FunctionName="f", **more)["UUID"])

    def refused(self, arn: str) -> str:
        """The message with which a mapping is refused."""
        with pytest.raises(ClientError) as raised:
            self.reads(arn)
        assert raised.value.response["Error"]["Code"] == "InvalidParameterValueException"
        return str(raised.value.response["Error"]["Message"])

    def seen(self) -> list[Any]:
        """What came so far."""
        found: list[Any] = []

        def asked() -> bool:
            try:
                answer = self.functions.invoke(FunctionName="f", Payload=b'"seen"')
            except self.functions.exceptions.TooManyRequestsException:
                return False  # its one environment is busy
            found[:] = json.loads(answer["Payload"].read())
            return True

        until(asked)
        return found

    def result(self, mapping: str) -> str:
        """How the last batch went."""
        return str(self.functions.get_event_source_mapping(UUID=mapping)["LastProcessingResult"])


def until(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def stream_of(kinesis: Any) -> str:
    """The ARN of a new stream."""
    kinesis.create_stream(StreamName="source", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="source", WaiterConfig={"Delay": 1})
    return str(kinesis.describe_stream_summary(StreamName="source")["StreamDescriptionSummary"]["StreamARN"])


def table_of(dynamodb: Any) -> str:
    """The ARN of a new table's stream."""
    return str(
        dynamodb.create_table(
            TableName="table", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )["TableDescription"]["LatestStreamArn"]
    )  # fmt: skip


def test_source__needs_the_rights_of_the_functions_role(client: Service) -> None:
    reader = Reader(client)
    stream, table = stream_of(client("kinesis")), table_of(client("dynamodb"))
    url = client("sqs").create_queue(QueueName="q")["QueueUrl"]
    queue = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    consumer = client("kinesis").register_stream_consumer(StreamARN=stream, ConsumerName="c")["Consumer"]["ConsumerARN"]
    assert reader.refused(stream) == (
        f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, "
        "ListShards, and ListStreams Actions on your stream in IAM."
    )
    assert reader.refused(table) == (
        f"Cannot access stream {table}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, "
        "and ListStreams Actions on your stream in IAM."
    )
    assert reader.refused(queue) == "The function execution role does not have permissions to call ReceiveMessage on SQS"
    reader.may(statement("sqs:ReceiveMessage"), statement("kinesis:DescribeStream"))
    assert reader.refused(queue) == "The function execution role does not have permissions to call DeleteMessage on SQS"
    assert "Cannot access stream" in reader.refused(consumer)
    for name in ("Kinesis", "DynamoDB", "SQSQueue"):
        managed = f"arn:aws:iam::aws:policy/service-role/AWSLambda{name}ExecutionRole"
        reader.iam.attach_role_policy(RoleName="reader", PolicyArn=managed)
    for arn in (stream, table, queue, consumer):
        reader.reads(arn)


def test_stream__of_another_account_is_read_while_its_policy_lets_the_role(
    client: Service, server: HeadraceServer, other: str
) -> None:
    theirs = server.client("kinesis", other)
    stream = stream_of(theirs)
    reader = Reader(client, statement("kinesis:*"))
    assert "Cannot access stream" in reader.refused(stream)
    # Who may not read does not learn what is there.
    assert "Cannot access stream" in reader.refused(f"{stream}s")
    reads = ["kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream", "kinesis:ListShards"]
    policy = document(statement(reads, Principal={"AWS": reader.role}, Resource=stream))
    theirs.put_resource_policy(ResourceARN=stream, Policy=policy)
    mapping = reader.reads(stream)
    theirs.put_record(StreamName="source", PartitionKey="a", Data=b"1")
    # The record says who read it.
    a, b = ["a", reader.role], ["b", reader.role]
    until(lambda: reader.seen() == [a])
    theirs.delete_resource_policy(ResourceARN=stream)
    until(lambda: reader.result(mapping).startswith("PROBLEM: Cannot access stream"))
    theirs.put_record(StreamName="source", PartitionKey="b", Data=b"2")
    assert reader.seen() == [a]
    theirs.put_resource_policy(ResourceARN=stream, Policy=policy)
    until(lambda: reader.seen() == [a, b])
    until(lambda: reader.result(mapping) == "OK")
    reader.may()
    until(lambda: reader.result(mapping).startswith("PROBLEM: Cannot access stream"))


def test_table__of_another_account_is_read(client: Service, server: HeadraceServer, other: str) -> None:
    theirs = server.client("dynamodb", other)
    stream = table_of(theirs)
    reader = Reader(client, statement("dynamodb:*"))
    assert "Cannot access stream" in reader.refused(stream)
    reads = ["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"]
    policy = document(statement(reads, Principal={"AWS": reader.role}, Resource=stream))
    theirs.put_resource_policy(ResourceArn=stream, Policy=policy)
    reader.reads(stream)
    theirs.put_item(TableName="table", Item={"id": {"S": "a"}})
    until(lambda: reader.seen() == [{"id": {"S": "a"}}])


def test_queue__of_another_account_is_read(client: Service, server: HeadraceServer, other: str) -> None:
    theirs = server.client("sqs", other)
    url = theirs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    queue = theirs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    reader = Reader(client, statement("sqs:*"))
    assert reader.refused(queue) == "The function execution role does not have permissions to call ReceiveMessage on SQS"
    policy = document(statement("sqs:*", Principal={"AWS": reader.role}, Resource=queue))
    theirs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    reader.reads(queue)
    theirs.send_message(QueueUrl=url, MessageBody="hello")
    until(lambda: reader.seen() == ["hello"])
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    until(lambda: set(theirs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()) == {"0"})


def test_source__of_another_region_is_refused(client: Service, server: HeadraceServer) -> None:
    reader = Reader(client, statement("kinesis:*"))
    stream = stream_of(client("kinesis"))
    assert reader.refused(stream.replace("us-east-1", "eu-west-1")) == "The event source must be in the region of the function."
