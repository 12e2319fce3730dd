"""Enhanced fan-out: consumers, and what is pushed to them."""

import base64
import contextlib
import gzip
import http.client
import json
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError

from conftest import ROOT_SECRET, HeadraceServer, eventually
from headrace.kit.accounts import account_credentials
from headrace.services.kinesis import limits
from headrace.wire.eventstream import decode_messages

SHARD = "shardId-000000000000"


@pytest.fixture
def kinesis(client: Callable[..., Any]) -> Any:
    made = client("kinesis")
    made.create_stream(StreamName="s", ShardCount=1)
    return made


@pytest.fixture
def stream_arn(kinesis: Any) -> str:
    return str(kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"])


@pytest.fixture
def consumer_arn(kinesis: Any, stream_arn: str) -> str:
    return register(kinesis, stream_arn, "c")


def register(kinesis: Any, stream_arn: str, name: str) -> str:
    return str(kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName=name)["Consumer"]["ConsumerARN"])


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


_readers: list["Reader"] = []


@pytest.fixture(autouse=True)
def closing_readers() -> Iterator[None]:
    yield
    while _readers:
        _readers.pop().close()


class Reader:
    """Follows a subscription on a thread of its own; `next` gives its events."""

    def __init__(self, kinesis: Any, consumer_arn: str, shard: str = SHARD, **position: Any) -> None:
        self.response = kinesis.subscribe_to_shard(
            ConsumerARN=consumer_arn, ShardId=shard, StartingPosition=position or {"Type": "LATEST"}
        )
        self._events: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        _readers.append(self)

    def close(self) -> None:
        """Go away without a word."""
        connection = self.response["EventStream"]._raw_stream
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            connection.shutdown()
        self._thread.join()
        self.response["EventStream"].close()

    def _read(self) -> None:
        try:
            for event in self.response["EventStream"]:
                self._events.put(event["SubscribeToShardEvent"])
            self._events.put(None)
        except Exception as error:
            self._events.put(error)

    def next(self, timeout_seconds: float = 15.0) -> Any:
        """The next event; None at the end of the stream; an exception is raised."""
        found = self._events.get(timeout=timeout_seconds)
        if isinstance(found, Exception):
            raise found
        return found

    def data(self, count: int) -> list[bytes]:
        """The data of the next records."""
        found: list[bytes] = []
        while len(found) < count:
            found += [record["Data"] for record in self.next()["Records"]]
        return found


def put(kinesis: Any, *data: bytes) -> list[str]:
    return [kinesis.put_record(StreamName="s", PartitionKey="k", Data=one)["SequenceNumber"] for one in data]


def test_consumers__are_registered_described_listed_and_deregistered(kinesis: Any, stream_arn: str) -> None:
    made = kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName="app", Tags={"team": "bank"})["Consumer"]
    assert (made["ConsumerName"], made["ConsumerStatus"]) == ("app", "CREATING")
    created = made["ConsumerCreationTimestamp"]
    assert made["ConsumerARN"] == f"{stream_arn}/consumer/app:{int(created.timestamp())}"
    expected = {**made, "ConsumerStatus": "ACTIVE"}
    for asked in ({"ConsumerARN": made["ConsumerARN"]}, {"StreamARN": stream_arn, "ConsumerName": "app"}):
        assert kinesis.describe_stream_consumer(**asked)["ConsumerDescription"] == {**expected, "StreamARN": stream_arn}
    assert kinesis.list_stream_consumers(StreamARN=stream_arn)["Consumers"] == [expected]
    assert kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["ConsumerCount"] == 1
    assert kinesis.list_tags_for_resource(ResourceARN=made["ConsumerARN"])["Tags"] == [{"Key": "team", "Value": "bank"}]
    assert kinesis.list_tags_for_stream(StreamName="s")["Tags"] == []
    kinesis.deregister_stream_consumer(StreamARN=stream_arn, ConsumerName="app")
    assert kinesis.list_stream_consumers(StreamARN=stream_arn)["Consumers"] == []
    assert refused(kinesis.describe_stream_consumer, ConsumerARN=made["ConsumerARN"])[0] == "ResourceNotFoundException"


def test_consumers__names_are_unique_and_twenty_fit(kinesis: Any, stream_arn: str) -> None:
    for number in range(20):
        register(kinesis, stream_arn, f"c{number:02}")
    code, message = refused(kinesis.register_stream_consumer, StreamARN=stream_arn, ConsumerName="c00")
    assert code == "ResourceInUseException"
    assert "already exists" in message
    assert refused(kinesis.register_stream_consumer, StreamARN=stream_arn, ConsumerName="c20")[0] == "LimitExceededException"
    pages = kinesis.get_paginator("list_stream_consumers").paginate(StreamARN=stream_arn, PaginationConfig={"PageSize": 8})
    names = [[one["ConsumerName"] for one in page["Consumers"]] for page in pages]
    assert [len(page) for page in names] == [8, 8, 4]
    assert [name for page in names for name in page] == [f"c{number:02}" for number in range(20)]


def test_consumers__a_stream_with_consumers_is_deleted_only_with_force(kinesis: Any, stream_arn: str, consumer_arn: str) -> None:
    reader = Reader(kinesis, consumer_arn)
    assert refused(kinesis.delete_stream, StreamName="s")[0] == "ResourceInUseException"
    kinesis.delete_stream(StreamName="s", EnforceConsumerDeletion=True)
    with pytest.raises(EventStreamError, match="ResourceNotFoundException"):
        reader.next()
    kinesis.create_stream(StreamName="s", ShardCount=1)
    assert kinesis.list_stream_consumers(StreamARN=stream_arn)["Consumers"] == []


def test_subscribe__pushes_what_is_put_within_milliseconds(kinesis: Any, consumer_arn: str) -> None:
    put(kinesis, b"before")
    reader = Reader(kinesis, consumer_arn)
    delays = []
    for number in range(20):
        (sequence,) = put(kinesis, b"%d" % number)
        acknowledged_at = time.perf_counter()
        event = reader.next()
        delays.append(time.perf_counter() - acknowledged_at)
        (record,) = event["Records"]
        assert (record["Data"], record["PartitionKey"], record["SequenceNumber"]) == (b"%d" % number, "k", sequence)
        assert event["MillisBehindLatest"] == 0
        assert event["ContinuationSequenceNumber"] == sequence
    assert sorted(delays)[len(delays) // 2] < 0.05


def test_subscribe__every_starting_position(kinesis: Any, stream_arn: str, server: HeadraceServer) -> None:
    sequences = put(kinesis, b"0", b"1")
    time.sleep(0.005)
    between = time.time() + server.page("/_headrace/clock")["now"] - time.time()
    time.sleep(0.005)
    sequences += put(kinesis, b"2", b"3")
    for number, (position, expected) in enumerate(
        [
            ({"Type": "TRIM_HORIZON"}, [b"0", b"1", b"2", b"3"]),
            ({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": sequences[1]}, [b"1", b"2", b"3"]),
            ({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": sequences[1]}, [b"2", b"3"]),
            ({"Type": "AT_TIMESTAMP", "Timestamp": between}, [b"2", b"3"]),
        ]
    ):
        reader = Reader(kinesis, register(kinesis, stream_arn, f"c{number}"), **position)
        assert reader.data(len(expected)) == expected
    arn = register(kinesis, stream_arn, "refused")
    for position in (
        {"Type": "AT_SEQUENCE_NUMBER"},
        {"Type": "AT_TIMESTAMP"},
        {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "12"},
    ):
        asked = {"ConsumerARN": arn, "ShardId": SHARD, "StartingPosition": position}
        assert refused(kinesis.subscribe_to_shard, **asked)[0] == "InvalidArgumentException"
    asked = {"ConsumerARN": arn, "ShardId": "shardId-000000000009", "StartingPosition": {"Type": "LATEST"}}
    assert refused(kinesis.subscribe_to_shard, **asked)[0] == "ResourceNotFoundException"
    assert refused(kinesis.subscribe_to_shard, **{**asked, "ShardId": SHARD}, DryRun=True)[0] == "DryRunOperationException"
    assert Reader(kinesis, arn).response["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_subscribe__heartbeats_say_where_the_subscription_is(kinesis: Any, consumer_arn: str, stream_arn: str) -> None:
    reader = Reader(kinesis, consumer_arn)
    (sequence,) = put(kinesis, b"1")
    assert reader.data(1) == [b"1"]
    heartbeat = reader.next(limits.HEARTBEAT_SECONDS + 3)
    assert (heartbeat["Records"], heartbeat["MillisBehindLatest"]) == ([], 0)
    put(kinesis, b"2")
    other = register(kinesis, stream_arn, "other")
    position = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": heartbeat["ContinuationSequenceNumber"]}
    assert Reader(kinesis, other, **position).data(1) == [b"2"]
    assert int(heartbeat["ContinuationSequenceNumber"]) >= int(sequence)


def test_subscribe__a_second_one_is_refused_and_takes_over_later(kinesis: Any, consumer_arn: str, server: HeadraceServer) -> None:
    first = Reader(kinesis, consumer_arn)
    asked = {"ConsumerARN": consumer_arn, "ShardId": SHARD, "StartingPosition": {"Type": "LATEST"}}
    code, message = refused(kinesis.subscribe_to_shard, **asked)
    assert code == "ResourceInUseException"
    assert message.startswith("Another active subscription exists for this consumer")
    server.advance(limits.TAKEOVER_AFTER_SECONDS + 0.1)
    second = Reader(kinesis, consumer_arn)
    with pytest.raises(EventStreamError, match="ResourceInUseException"):
        first.next()
    put(kinesis, b"x")
    assert second.data(1) == [b"x"]


def test_subscribe__ends_after_five_minutes_and_with_its_consumer(
    kinesis: Any, consumer_arn: str, stream_arn: str, server: HeadraceServer
) -> None:
    reader = Reader(kinesis, consumer_arn)
    server.advance(limits.SUBSCRIPTION_SECONDS + 1)
    while (event := reader.next(limits.HEARTBEAT_SECONDS + 3)) is not None:
        assert event["Records"] == []
    other = register(kinesis, stream_arn, "other")
    reader = Reader(kinesis, other)
    kinesis.deregister_stream_consumer(ConsumerARN=other)
    with pytest.raises(EventStreamError, match="ResourceNotFoundException"):
        reader.next()


def test_subscribe__a_shard_ends_with_its_children(kinesis: Any, consumer_arn: str, stream_arn: str) -> None:
    reader = Reader(kinesis, consumer_arn)
    put(kinesis, b"last")
    assert reader.data(1) == [b"last"]
    kinesis.split_shard(StreamName="s", ShardToSplit=SHARD, NewStartingHashKey=str(1 << 127))
    end = reader.next()
    assert end["Records"] == []
    assert "ContinuationSequenceNumber" not in end
    assert [(one["ShardId"], one["ParentShards"]) for one in end["ChildShards"]] == [
        ("shardId-000000000001", [SHARD]),
        ("shardId-000000000002", [SHARD]),
    ]
    assert reader.next() is None
    # Who comes later gets the records and the end.
    late = Reader(kinesis, register(kinesis, stream_arn, "late"), Type="TRIM_HORIZON")
    whole = late.next()
    assert [record["Data"] for record in whole["Records"]] == [b"last"]
    assert len(whole["ChildShards"]) == 2
    assert late.next() is None


def test_subscribe__ten_get_all_in_order(kinesis: Any, stream_arn: str, client: Callable[..., Any]) -> None:
    readers = [Reader(client("kinesis"), register(kinesis, stream_arn, f"c{number}")) for number in range(10)]
    for number in range(30):
        records = [{"PartitionKey": "k", "Data": b"%d %d" % (number, part)} for part in range(20)]
        kinesis.put_records(StreamName="s", Records=records)
    expected = [b"%d %d" % (number, part) for number in range(30) for part in range(20)]
    for reader in readers:
        assert reader.data(len(expected)) == expected


def test_subscribe__a_large_record_comes_whole(kinesis: Any, consumer_arn: str) -> None:
    reader = Reader(kinesis, consumer_arn)
    large = os.urandom(1_000_000)
    put(kinesis, b"small", large, b"after")
    assert reader.data(3) == [b"small", large, b"after"]


def signed(server: HeadraceServer, account: str, target: str, body: bytes, kind: str, **headers: str) -> dict[str, str]:
    """The headers of a request to Kinesis, signed as all SDKs do."""
    request = AWSRequest(
        "POST",
        server.url + "/",
        data=body,
        headers={"X-Amz-Target": f"Kinesis_20131202.{target}", "Content-Type": kind, **headers},
    )
    SigV4Auth(Credentials(*account_credentials(ROOT_SECRET, account)), "kinesis", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def subscription(server: HeadraceServer, account: str, consumer_arn: str, where: str = "TRIM_HORIZON") -> socket.socket:
    """A connection on which a subscription was asked for, and nothing was read."""
    asked = {"ConsumerARN": consumer_arn, "ShardId": SHARD, "StartingPosition": {"Type": where}}
    body = json.dumps(asked).encode()
    headers = signed(server, account, "SubscribeToShard", body, "application/x-amz-json-1.1")
    connection = socket.create_connection(("127.0.0.1", server.port))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST / HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Content-Length: {len(body)}", *lines, "", ""])
    connection.sendall(head.encode() + body)
    return connection


def anonymous_memory_mib(server: HeadraceServer) -> float:
    assert server.process is not None
    with open(f"/proc/{server.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024


def test_subscribe__a_reader_that_stands_still_holds_little_memory(
    kinesis: Any, consumer_arn: str, server: HeadraceServer, account: str
) -> None:
    data = [os.urandom(1_000_000) for _ in range(8)]
    with subscription(server, account, consumer_arn) as connection:
        put(kinesis, *data)
        before = anonymous_memory_mib(server)
        for _ in range(8):
            put(kinesis, *data)
        assert anonymous_memory_mib(server) - before < 40
        # It is let go in the end; what it was sent is whole and in order.
        received = b""
        connection.settimeout(30)
        response = http.client.HTTPResponse(connection)
        response.begin()
        while len(received) < 9_000_000 and (part := response.read1(1 << 20)):
            received += part
    whole = received[: _last_whole(received)]
    events = [
        json.loads(message.payload) for message in decode_messages(whole) if message.headers[":event-type"] != "initial-response"
    ]
    found = [base64.b64decode(record["Data"]) for event in events for record in event["Records"]]
    assert found[:6] == data[:6]


def _last_whole(data: bytes) -> int:
    at = 0
    while at + 4 <= len(data) and at + int.from_bytes(data[at : at + 4], "big") <= len(data):
        at += int.from_bytes(data[at : at + 4], "big")
    return at


@pytest.fixture
def http2(server: HeadraceServer, account: str, tmp_path: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Runs curl with HTTP/2 and prior knowledge."""
    running: list[subprocess.Popen[bytes]] = []

    def run(target: str, body: bytes, kind: str, **headers: str) -> subprocess.Popen[bytes]:
        path = tmp_path / f"body{len(running)}"
        path.write_bytes(body)
        lines = [
            part
            for name, value in signed(server, account, target, body, kind, **headers).items()
            for part in ("-H", f"{name}: {value}")
        ]
        command = ["curl", "--silent", "--show-error", "--no-buffer", "--http2-prior-knowledge", "-w", "%{stderr}%{http_version}"]
        command += [*lines, "--data-binary", f"@{path}", server.url + "/"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return running[-1]

    yield run
    for one in running:
        one.kill()
        one.communicate()


def test_wire__http2_with_prior_knowledge_cbor_and_gzip(
    kinesis: Any, http2: Callable[..., subprocess.Popen[bytes]], consumer_arn: str, server: HeadraceServer
) -> None:
    cbor, as_json = "application/x-amz-cbor-1.1", "application/x-amz-json-1.1"
    body = cbor2.dumps({"StreamName": "s", "PartitionKey": "k", "Data": b"in cbor"})
    output, version = http2("PutRecord", body, cbor).communicate(timeout=20)
    assert version == b"2"
    sequence = cbor2.loads(output)["SequenceNumber"]
    packed = gzip.compress(
        json.dumps({"StreamName": "s", "PartitionKey": "k", "Data": base64.b64encode(b"packed").decode()}).encode()
    )
    output, _ = http2("PutRecord", packed, as_json, **{"Content-Encoding": "gzip"}).communicate(timeout=20)
    later = json.loads(output)["SequenceNumber"]
    assert int(later) > int(sequence)
    asked = {"ConsumerARN": consumer_arn, "ShardId": SHARD, "StartingPosition": {"Type": "TRIM_HORIZON"}}
    for kind, encode, decode in (
        (cbor, cbor2.dumps, lambda raw: cbor2.loads(raw, semantic_decoders={1: lambda value, *_: value / 1000})),
        (as_json, lambda value: json.dumps(value).encode(), json.loads),
    ):
        curl = http2("SubscribeToShard", encode(asked), kind)
        assert curl.stdout is not None
        received = b""
        while received.count(b"SubscribeToShardEvent") < 1 or _last_whole(received) != len(received):
            received += os.read(curl.stdout.fileno(), 1 << 16)
        first, event = list(decode_messages(received))
        assert (first.headers[":event-type"], event.headers[":event-type"]) == ("initial-response", "SubscribeToShardEvent")
        assert event.headers[":content-type"] == kind
        payload = decode(event.payload)
        assert [record["SequenceNumber"] for record in payload["Records"]] == [sequence, later]
        assert abs(payload["Records"][0]["ApproximateArrivalTimestamp"] - server.page("/_headrace/clock")["now"]) < 60
        kinesis.deregister_stream_consumer(ConsumerARN=consumer_arn)
        stream = consumer_arn.partition("/consumer")[0]
        asked["ConsumerARN"] = consumer_arn = register(kinesis, stream, "again")


def test_server__stops_at_once_though_somebody_follows(tmp_path: Any) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    kinesis = server.client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
    reader = Reader(kinesis, register(kinesis, arn, "c"))
    put(kinesis, b"1")
    assert reader.data(1) == [b"1"]
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert reader.next() is None


def test_subscribe__holds_no_thread(kinesis: Any, stream_arn: str, server: HeadraceServer) -> None:
    assert server.process is not None
    tasks = f"/proc/{server.process.pid}/task"
    before = len(os.listdir(tasks))
    readers = [Reader(kinesis, register(kinesis, stream_arn, f"c{number}")) for number in range(10)]
    put(kinesis, b"1")
    assert [reader.data(1) for reader in readers] == [[b"1"]] * 10
    assert eventually(lambda: len(os.listdir(tasks)) - before < 5)
