"""Event source mappings through boto3, fed by Kinesis."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually

Caller = Any

SINK = """
    import base64, json, time
    batches = []
    def handler(event, context):
        if event == "batches":
            return batches
        values = [json.loads(base64.b64decode(one["kinesis"]["data"])) for one in event["Records"]]
        batches.append(values)
        {then}
"""


class Stream:
    """A Kinesis stream of one test."""

    def __init__(self, kinesis: Any, name: str, make: bool = True) -> None:
        self.kinesis, self.name = kinesis, name
        if make:
            kinesis.create_stream(StreamName=name, ShardCount=1)
        eventually(lambda: self.describe()["StreamStatus"] == "ACTIVE")
        self.arn = self.describe()["StreamARN"]

    def describe(self) -> Any:
        return self.kinesis.describe_stream(StreamName=self.name)["StreamDescription"]

    def put(self, *values: Any, key: str = "k") -> None:
        records = [{"Data": json.dumps(value).encode(), "PartitionKey": key} for value in values]
        self.kinesis.put_records(StreamName=self.name, Records=records)

    def read(self) -> list[Any]:
        found = []
        for shard in self.describe()["Shards"]:
            iterator = self.kinesis.get_shard_iterator(
                StreamName=self.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            found += self.kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
        return [json.loads(record["Data"]) for record in found]


@pytest.fixture
def stream(client: Callable[..., Any]) -> Stream:
    """A stream with one shard."""
    return Stream(client("kinesis"), "source")


@pytest.fixture
def sink(caller: Caller) -> Callable[..., tuple[str, Callable[[], list[Any]]]]:
    """Makes a function that remembers its batches, and a reader of them."""

    def make(then: str = "return None", **changes: Any) -> tuple[str, Callable[[], list[Any]]]:
        name = caller.make(SINK.replace("{then}", then), **changes)
        caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        return name, lambda: list(caller.call(name, "batches"))

    return make


def flat(batches: list[list[Any]]) -> list[Any]:
    return [value for batch in batches for value in batch]


def test_mapping__feeds_the_function_in_order(caller: Caller, stream: Stream, sink: Any) -> None:
    name, batches = sink()
    stream.put(1, 2, 3)
    made = caller.client.create_event_source_mapping(
        EventSourceArn=stream.arn, FunctionName=name, StartingPosition="TRIM_HORIZON", BatchSize=2
    )
    assert (made["State"], made["BatchSize"], made["MaximumRetryAttempts"]) == ("Creating", 2, -1)
    assert eventually(lambda: flat(batches()) == [1, 2, 3])
    stream.put(*range(4, 20))
    assert eventually(lambda: flat(batches()) == list(range(1, 20)))
    assert all(len(batch) <= 2 for batch in batches())
    got = caller.client.get_event_source_mapping(UUID=made["UUID"])
    assert (got["State"], got["LastProcessingResult"]) == ("Enabled", "OK")


def test_mapping__reads_as_a_registered_consumer(caller: Caller, stream: Stream, sink: Any) -> None:
    name, batches = sink()
    consumer = stream.kinesis.register_stream_consumer(StreamARN=stream.arn, ConsumerName="app")["Consumer"]["ConsumerARN"]
    made = caller.client.create_event_source_mapping(
        EventSourceArn=consumer, FunctionName=name, StartingPosition="TRIM_HORIZON", BatchSize=2
    )
    assert made["EventSourceArn"] == consumer
    stream.put(1, 2, 3)
    assert eventually(lambda: flat(batches()) == [1, 2, 3])
    with pytest.raises(caller.client.exceptions.InvalidParameterValueException, match="Stream not found"):
        caller.client.create_event_source_mapping(
            EventSourceArn=consumer.replace("app", "other"), FunctionName=name, StartingPosition="TRIM_HORIZON"
        )


def test_mapping__record_reaches_the_function_within_milliseconds(caller: Caller, stream: Stream) -> None:
    name = caller.make(
        "import time\nlate = []\ndef handler(e, c):\n    if e == 'late':\n        return late\n"
        "    late.append(time.time() - e['Records'][0]['kinesis']['approximateArrivalTimestamp'])\n"
    )
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    caller.client.create_event_source_mapping(EventSourceArn=stream.arn, FunctionName=name, StartingPosition="TRIM_HORIZON")
    stream.put(0)
    eventually(lambda: len(caller.call(name, "late")) == 1)
    for number in range(10):
        stream.put(number)
        eventually(lambda number=number: len(caller.call(name, "late")) == number + 2)
    warm = sorted(caller.call(name, "late")[1:])
    # The test clock of this server may have been moved by another test: differences alone count.
    assert warm[5] - warm[0] < 0.5


def test_mapping__latest_starts_at_the_end(caller: Caller, stream: Stream, sink: Any) -> None:
    name, batches = sink()
    stream.put("old")
    made = caller.client.create_event_source_mapping(EventSourceArn=stream.arn, FunctionName=name, StartingPosition="LATEST")
    time.sleep(2.5)
    stream.put("new")
    assert eventually(lambda: flat(batches())) == ["new"]
    caller.client.delete_event_source_mapping(UUID=made["UUID"])


def test_mapping__filters(caller: Caller, stream: Stream, sink: Any) -> None:
    name, batches = sink()
    pattern = json.dumps({"data": {"balance": [{"numeric": ["<", 0]}]}})
    caller.client.create_event_source_mapping(
        EventSourceArn=stream.arn,
        FunctionName=name,
        StartingPosition="TRIM_HORIZON",
        FilterCriteria={"Filters": [{"Pattern": pattern}]},
    )
    stream.put({"balance": 5}, {"balance": -1}, {"other": 1}, {"balance": -7}, {"balance": 0})
    assert eventually(lambda: len(flat(batches())) == 2)
    assert flat(batches()) == [{"balance": -1}, {"balance": -7}]


def test_mapping__failing_batch_is_bisected_and_given_up(
    caller: Caller, stream: Stream, sink: Any, client: Callable[..., Any]
) -> None:
    name, batches = sink("if 'poison' in values: raise ValueError('poison')")
    lost = Stream(client("kinesis"), "lost")
    caller.client.create_event_source_mapping(
        EventSourceArn=stream.arn, FunctionName=name, StartingPosition="TRIM_HORIZON", BatchSize=8,
        BisectBatchOnFunctionError=True, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": lost.arn}},
    )  # fmt: skip
    stream.put(1, 2, 3, "poison", 5, 6, 7, 8)
    (record,) = eventually(lost.read, 30)
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["requestContext"]["functionArn"].endswith(f":function:{name}")
    information = record["KinesisBatchInfo"]
    assert (information["batchSize"], information["shardId"], information["streamArn"]) == (1, "shardId-000000000000", stream.arn)
    good = [batch for batch in eventually(lambda: flat(batches())[-1:] == [8] and batches()) if "poison" not in batch]
    assert sorted(flat(good)) == [1, 2, 3, 5, 6, 7, 8]


def test_mapping__reported_items_are_tried_again_from_the_first_one(caller: Caller, stream: Stream) -> None:
    name = caller.make(
        """
        import base64, json
        batches = []
        def handler(event, context):
            if event == "batches":
                return batches
            records = [one["kinesis"] for one in event["Records"]]
            numbers = {one["sequenceNumber"]: json.loads(base64.b64decode(one["data"])) for one in records}
            batches.append(list(numbers.values()))
            if len(batches) == 1:
                return {"batchItemFailures": [{"itemIdentifier": n} for n, value in numbers.items() if value == 3]}
            return {"batchItemFailures": []}
        """
    )
    caller.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    stream.put(1, 2, 3, 4)
    caller.client.create_event_source_mapping(
        EventSourceArn=stream.arn,
        FunctionName=name,
        StartingPosition="TRIM_HORIZON",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    assert eventually(lambda: len(caller.call(name, "batches")) == 2)
    assert caller.call(name, "batches") == [[1, 2, 3, 4], [3, 4]]


def test_mapping__old_records_are_given_up(caller: Caller, stream: Stream, sink: Any, server: Any, client: Any) -> None:
    name, batches = sink()
    lost = Stream(client("kinesis"), "lost")
    stream.put("old")
    server.advance(300)
    stream.put("new")
    caller.client.create_event_source_mapping(
        EventSourceArn=stream.arn, FunctionName=name, StartingPosition="TRIM_HORIZON", MaximumRecordAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": lost.arn}},
    )  # fmt: skip
    assert eventually(lambda: flat(batches())) == ["new"]
    (record,) = eventually(lost.read)
    assert record["requestContext"]["condition"] == "RecordAgeExceeded"


def test_mapping__stops_and_goes_on_where_it_was(caller: Caller, stream: Stream, sink: Any) -> None:
    name, batches = sink()
    made = caller.client.create_event_source_mapping(
        EventSourceArn=stream.arn, FunctionName=name, StartingPosition="TRIM_HORIZON"
    )
    stream.put(1)
    assert eventually(lambda: flat(batches()) == [1])
    changed = caller.client.update_event_source_mapping(UUID=made["UUID"], Enabled=False)
    assert changed["State"] == "Disabling"
    assert caller.client.get_event_source_mapping(UUID=made["UUID"])["State"] == "Disabled"
    stream.put(2)
    time.sleep(1.5)
    assert flat(batches()) == [1]
    caller.client.update_event_source_mapping(UUID=made["UUID"], Enabled=True)
    assert eventually(lambda: flat(batches()) == [1, 2])
    (listed,) = caller.client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    assert listed["UUID"] == made["UUID"]
    assert caller.client.delete_event_source_mapping(UUID=made["UUID"])["State"] == "Deleting"
    with pytest.raises(ClientError) as error:
        caller.client.get_event_source_mapping(UUID=made["UUID"])
    assert error.value.response["Error"]["Message"] == "The resource you requested does not exist."
    assert caller.client.list_event_source_mappings()["EventSourceMappings"] == []


def test_mapping__parallel_parts_keep_each_key_in_order(caller: Caller, stream: Stream) -> None:
    name = caller.make(
        "import base64, json, os\n"
        "def handler(e, c):\n"
        "    import boto3\n"
        "    values = [json.loads(base64.b64decode(r['kinesis']['data'])) for r in e['Records']]\n"
        "    boto3.client('kinesis').put_records(StreamName='out', Records=[\n"
        "        {'Data': json.dumps(v), 'PartitionKey': v[0]} for v in values])\n",
        Timeout=20, MemorySize=512,
    )  # fmt: skip
    out = Stream(stream.kinesis, "out")
    caller.client.create_event_source_mapping(
        EventSourceArn=stream.arn, FunctionName=name, StartingPosition="TRIM_HORIZON", ParallelizationFactor=3, BatchSize=10
    )
    for number in range(10):
        for key in "abcd":
            stream.put([key, number], key=key)
    assert eventually(lambda: len(out.read()) == 40, 40)
    for key in "abcd":
        assert [number for mine, number in out.read() if mine == key] == list(range(10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"FilterCriteria": {"Filters": [{"Pattern": "{no"}]}}, "Invalid filter pattern definition."),
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:{account}:stream/none"}, "Stream not found"),
        ({"EventSourceArn": "arn:aws:nothing:us-east-1:{account}:x"}, "Unrecognized event source"),
        ({"MaximumRecordAgeInSeconds": 5}, "Minimum record age"),
    ],
)
def test_create__refuses(caller: Caller, stream: Stream, account: str, changes: dict[str, Any], message: str) -> None:
    name = caller.make("def handler(e, c):\n    pass\n")
    values = {"EventSourceArn": stream.arn, "FunctionName": name, "StartingPosition": "LATEST", **changes}
    values["EventSourceArn"] = values["EventSourceArn"].replace("{account}", account)
    with pytest.raises(ClientError, match=message) as error:
        caller.client.create_event_source_mapping(**values)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_create__twice(caller: Caller, stream: Stream) -> None:
    name = caller.make("def handler(e, c):\n    pass\n")
    values = {"EventSourceArn": stream.arn, "FunctionName": name, "StartingPosition": "LATEST"}
    made = caller.client.create_event_source_mapping(**values)
    with pytest.raises(ClientError, match=f"existing mapping with UUID {made['UUID']}") as error:
        caller.client.create_event_source_mapping(**values)
    assert error.value.response["Error"]["Code"] == "ResourceConflictException"


def test_mapping__goes_on_at_once_after_a_crash(tmp_path: Any, zipped: Any) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = server.client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust})
    )["Role"]["Arn"]
    reads = "arn:aws:iam::aws:policy/service-role/AWSLambdaKinesisExecutionRole"
    server.client("iam").attach_role_policy(RoleName="r", PolicyArn=reads)
    stream = Stream(server.client("kinesis"), "source")
    body = "seen = []\ndef handler(e, c):\n    if e == 'seen':\n        return seen\n    seen.append(len(e['Records']))\n"
    client = server.client("lambda")
    client.create_function(
        FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=role, Code={"ZipFile": zipped({"app.py": body})}
    )
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    client.create_event_source_mapping(EventSourceArn=stream.arn, FunctionName="f", StartingPosition="TRIM_HORIZON")
    stream.put(1)

    def seen(client: Any) -> int:
        answer = client.invoke(FunctionName="f", Payload=b'"seen"')
        return sum(json.loads(answer["Payload"].read()))

    assert eventually(lambda: seen(client) == 1)
    stream.put(2)
    server.kill()
    server = HeadraceServer(server.data).start()
    try:
        Stream(server.client("kinesis"), "source", make=False).put(3)
        # Below the 30 s of the lease that the first server held.
        assert eventually(lambda: seen(server.client("lambda")) >= 1, 10)
    finally:
        server.stop()


def test_mapping__stopping_the_server_waits_for_no_long_function(tmp_path: Any, zipped: Any) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = server.client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust})
    )["Role"]["Arn"]
    server.client("iam").attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/AmazonKinesisFullAccess")
    source, lost = Stream(server.client("kinesis"), "source"), Stream(server.client("kinesis"), "lost")
    client = server.client("lambda")
    client.create_function(
        FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=role, Timeout=100,
        Code={"ZipFile": zipped({"app.py": "import time\ndef handler(e, c):\n    print('begun')\n    time.sleep(90)\n"})},
    )  # fmt: skip
    client.create_event_source_mapping(
        EventSourceArn=source.arn, FunctionName="f", StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": lost.arn}},
    )  # fmt: skip
    source.put(1)
    eventually(lambda: running(server))
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 15
    server = HeadraceServer(server.data).start()
    try:
        assert Stream(server.client("kinesis"), "lost", make=False).read() == [], "no attempt was counted"
    finally:
        server.kill()


def running(server: HeadraceServer) -> bool:
    """Whether an execution environment of this server runs."""
    code = f"{server.data.parent.name}/{server.data.name}/lambda/code/"
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            if any(code in line and " /var/task " in line for line in mounts.read_text().splitlines()):
                return True
    # Without namespaces it has a folder of its own.
    return any((server.data / "lambda" / "run").glob("*"))
