"""Mappings' concurrency, provisioned pollers and own metrics, through boto3."""

import datetime
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually
from headrace.services.lambda_ import polling
from headrace.services.lambda_.state import Mapping

Caller = Any
SLOW = """
    import time
    def handler(event, context):
        began = time.time()
        time.sleep(0.7)
        print("SPAN", began, time.time())
"""


@pytest.fixture
def queue(client: Callable[..., Any]) -> Any:
    """Makes queues: (client, URL, ARN)."""

    def make(name: str = "source") -> tuple[Any, str, str]:
        sqs = client("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        return sqs, url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    return make


def most_at_once(client: Callable[..., Any], name: str, count: int) -> int:
    """How many invocations ran at one time, when so many have ended."""

    def spans() -> Any:
        events = client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="SPAN")["events"]
        return events if len(events) == count else None

    times: list[tuple[float, int]] = []
    for event in eventually(spans, 60):
        _, began, ended = event["message"].split()
        times += [(float(began), 1), (float(ended), -1)]
    running = most = 0
    for _, change in sorted(times):
        running += change
        most = max(most, running)
    return most


@pytest.mark.parametrize(
    ("config", "least", "most"),
    [
        ({"ScalingConfig": {"MaximumConcurrency": 2}}, 2, 2),
        ({}, 3, 5),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 4, "MaximumPollers": 4}}, 6, 16),
    ],
)
def test_queue__concurrency(
    caller: Caller, client: Callable[..., Any], queue: Any, config: dict[str, Any], least: int, most: int
) -> None:
    sqs, url, arn = queue()
    name = caller.make(SLOW)
    for start in (0, 10):
        sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(start + n), "MessageBody": "x"} for n in range(10 if start == 0 else 2)]
        )
    made = caller.client.create_event_source_mapping(EventSourceArn=arn, FunctionName=name, BatchSize=1, **config)
    assert {key: made[key] for key in config} == config
    assert least <= most_at_once(client, name, 12) <= most


def test_queue__settings_are_changed_and_taken_away(caller: Caller, queue: Any) -> None:
    _, _, arn = queue()
    name = caller.make("def handler(e, c):\n    pass\n")
    made = caller.client.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=name,
        ProvisionedPollerConfig={"MaximumPollers": 9},
        MetricsConfig={"Metrics": ["EventCount"]},
    )
    assert made["ProvisionedPollerConfig"] == {"MinimumPollers": 2, "MaximumPollers": 9}
    assert made["MetricsConfig"] == {"Metrics": ["EventCount"]}
    changed = caller.client.update_event_source_mapping(
        UUID=made["UUID"], ProvisionedPollerConfig={}, ScalingConfig={"MaximumConcurrency": 7}, MetricsConfig={"Metrics": []}
    )
    assert changed["ScalingConfig"] == {"MaximumConcurrency": 7}
    assert not {"ProvisionedPollerConfig", "MetricsConfig"} & set(changed)
    assert "ScalingConfig" not in caller.client.update_event_source_mapping(UUID=made["UUID"], ScalingConfig={})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ScalingConfig": {"MaximumConcurrency": 2}, "ProvisionedPollerConfig": {"MinimumPollers": 2}},
            "cannot be specified together",
        ),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 9, "MaximumPollers": 3}}, "less than or equal to"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 1}}, "at least 2"),
        ({"ProvisionedPollerConfig": {"PollerGroupName": "g"}}, "Unsupported 'PollerGroupName' parameter"),
        ({"MetricsConfig": {"Metrics": ["KafkaMetrics"]}}, "KafkaMetrics"),
    ],
)
def test_queue__refuses(caller: Caller, queue: Any, changes: dict[str, Any], message: str) -> None:
    _, _, arn = queue()
    name = caller.make("def handler(e, c):\n    pass\n")
    with pytest.raises(ClientError, match=message) as error:
        caller.client.create_event_source_mapping(EventSourceArn=arn, FunctionName=name, **changes)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"


@pytest.mark.parametrize("member", ["ScalingConfig", "ProvisionedPollerConfig"])
def test_stream__has_no_pollers(caller: Caller, client: Callable[..., Any], member: str) -> None:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
    name = caller.make("def handler(e, c):\n    pass\n")
    config = {"MaximumConcurrency": 2} if member == "ScalingConfig" else {"MinimumPollers": 2}
    with pytest.raises(ClientError, match=f"Unsupported '{member}' parameter for given event source mapping type"):
        caller.client.create_event_source_mapping(
            EventSourceArn=arn, FunctionName=name, StartingPosition="LATEST", **{member: config}
        )


class Counts:
    """The event counts of one mapping."""

    def __init__(self, client: Callable[..., Any], server: HeadraceServer, mapping_id: str) -> None:
        self.cloudwatch, self.server, self.mapping_id = client("cloudwatch"), server, mapping_id

    def of(self, name: str) -> float:
        now = datetime.datetime.fromtimestamp(self.server.page("/_headrace/clock")["now"], datetime.UTC)
        found = self.cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=f"{name}EventCount", Statistics=["Sum"], Period=86_400,
            Dimensions=[{"Name": "EventSourceMappingUUID", "Value": self.mapping_id}],
            StartTime=now - datetime.timedelta(days=2), EndTime=now + datetime.timedelta(days=1),
        )  # fmt: skip
        return float(sum(point["Sum"] for point in found["Datapoints"]))

    def are(self, **wanted: int) -> bool:
        found = {name: self.of(name) for name in wanted}
        assert found == wanted
        return True


def test_queue__event_counts(caller: Caller, client: Callable[..., Any], queue: Any, server: HeadraceServer) -> None:
    sqs, url, arn = queue()
    name = caller.make(
        "def handler(e, c):\n"
        "    bad = [r['messageId'] for r in e['Records'] if r['body'] == '{\"n\": 3}']\n"
        "    return {'batchItemFailures': [{'itemIdentifier': one} for one in bad]}\n"
    )
    bodies = [json.dumps({"n": n}) for n in range(5)] + [json.dumps({"other": 1})]
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)])
    made = caller.client.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=name, MetricsConfig={"Metrics": ["EventCount"]},
        FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"body": {"n": [{"exists": True}]}})}]},
    )  # fmt: skip
    counts = Counts(client, server, made["UUID"])
    assert eventually(lambda: counts.are(Polled=6, FilteredOut=1, Invoked=5, FailedInvoke=1, Deleted=5))


@pytest.mark.parametrize("destination", [True, False])
def test_stream__event_counts(
    caller: Caller, client: Callable[..., Any], queue: Any, server: HeadraceServer, destination: bool
) -> None:
    _, _, arn = queue("failed")
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    stream = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
    name = caller.make("def handler(e, c):\n    raise ValueError\n")
    kinesis.put_records(StreamName="s", Records=[{"Data": json.dumps({"n": n}).encode(), "PartitionKey": "k"} for n in (1, 2, 3)])
    made = caller.client.create_event_source_mapping(
        EventSourceArn=stream, FunctionName=name, StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=1,
        MetricsConfig={"Metrics": ["EventCount"]},
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"data": {"n": [{"numeric": ["<", 3]}]}})}]},
        **({"DestinationConfig": {"OnFailure": {"Destination": arn}}} if destination else {}),
    )  # fmt: skip
    counts = Counts(client, server, made["UUID"])
    left = (
        {"OnFailureDestinationDelivered": 2, "Dropped": 0} if destination else {"OnFailureDestinationDelivered": 0, "Dropped": 2}
    )
    # Two attempts with two records each: they were polled once, and handed over twice.
    assert eventually(lambda: counts.are(Polled=3, FilteredOut=1, Invoked=4, FailedInvoke=4, **left))


def test_pollers__are_bounded_by_the_environments() -> None:
    mapping = Mapping(
        id=str(uuid.uuid4()), account="1", region="r", source_arn="arn:aws:sqs:r:1:q", function="f", qualifier=None,
        starting_position="", modified_at=time.time(), pollers=(3, 200),
    )  # fmt: skip
    assert polling.pollers_of(mapping, 16) == (3, 16)
    assert polling.pollers_of(mapping, 2) == (2, 2)
    assert polling.concurrency_of(mapping, 3, 1000) == 30
    assert polling.concurrency_of(mapping, 3, 16) == 16
