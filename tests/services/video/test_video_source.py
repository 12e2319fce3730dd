"""Fragments as a source of records: places, times, topics, and the event that a function gets."""

import json
import time
import uuid
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.services.video import films

from conftest import HeadraceServer, eventually
from headrace.kit.clock import Clock
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.operation import Context
from headrace.ports import Ports, Principal
from headrace.services.video import source, state
from headrace.store.blobs import BlobRef
from headrace.store.memory import MemoryStore

SOURCE = source.FragmentSource()
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
}


@pytest.fixture
def ctx() -> Context:
    return Context(
        account="123456789012", region="us-east-1", service="kinesisvideo", request_id="r", store=MemoryStore(),
        principal=Principal("arn:aws:iam::123456789012:root", "u", "123456789012"), blobs=None,  # type: ignore[arg-type]
        clock=Clock(), ids=Ids(3), settings=Settings(), ports=Ports(),
    )  # fmt: skip


@pytest.fixture
def stream(ctx: Context) -> state.Stream:
    made = state.Stream(ctx.account, ctx.region, "s", "id", "v", 1000.5, retention_hours=1)
    ctx.transact(lambda inner: state.save_stream(inner.tx, made))
    return made


def add(ctx: Context, stream: state.Stream, ordinal: int, at_ms: int) -> None:
    fragment = state.Fragment(0, ordinal, at_ms, at_ms, 2000, 0, 0, 0, "", "c", [("door", "open")])
    tracks = state.Tracks(1_000_000, b"t", [])
    ctx.transact(lambda inner: state.add_fragment(inner.tx, stream, fragment, tracks, BlobRef(f"b{ordinal}", 7, "")))


def numbers(batch: Any) -> list[str]:
    return [record.event["kinesisvideo"]["fragmentNumber"] for record in batch.records]


def test_read__in_the_order_of_commits(ctx: Context, stream: state.Stream) -> None:
    for ordinal in (5, 9, 7):
        add(ctx, stream, ordinal, ordinal * 1000)
    begin = SOURCE.start(ctx, stream.arn, source.SHARD_ID, "TRIM_HORIZON")
    first = SOURCE.read(ctx, stream.arn, source.SHARD_ID, begin, 2, 1 << 20)
    assert numbers(first) == [state.rules.fragment_number(5), state.rules.fragment_number(9)]
    assert first.millis_behind > 0
    second = SOURCE.read(ctx, stream.arn, source.SHARD_ID, first.position, 2, 1 << 20)
    assert numbers(second) == [state.rules.fragment_number(7)]
    assert second.millis_behind == 0
    # A record's sequence number is a position, too.
    again = SOURCE.read(ctx, stream.arn, source.SHARD_ID, first.records[0].sequence_number, 9, 1 << 20)
    assert len(again.records) == 2
    assert json.loads(first.records[0].data)["media"] == {"StreamARN": stream.arn, "Fragments": [state.rules.fragment_number(5)]}
    assert first.records[0].event["kinesisvideo"]["tags"] == {"door": "open"}


def test_start__latest_and_a_time(ctx: Context, stream: state.Stream) -> None:
    for ordinal in (1, 2, 3):
        add(ctx, stream, ordinal, ordinal * 1000)
    latest = SOURCE.start(ctx, stream.arn, source.SHARD_ID, "LATEST")
    assert not SOURCE.read(ctx, stream.arn, source.SHARD_ID, latest, 9, 1).records
    at = SOURCE.start(ctx, stream.arn, source.SHARD_ID, 1.5)
    assert len(SOURCE.read(ctx, stream.arn, source.SHARD_ID, at, 9, 1).records) == 2
    late = SOURCE.start(ctx, stream.arn, source.SHARD_ID, 99.0)
    assert late == latest


def test_read__a_trimmed_position_goes_on_at_the_oldest(ctx: Context, stream: state.Stream) -> None:
    for ordinal in (1, 2, 3):
        add(ctx, stream, ordinal, ordinal * 1000)
    assert ctx.transact(lambda inner: state.remove_fragments(inner.tx, stream.id, 2500, 10)) == ["b1", "b2"]
    begin = SOURCE.start(ctx, stream.arn, source.SHARD_ID, "TRIM_HORIZON")
    assert numbers(SOURCE.read(ctx, stream.arn, source.SHARD_ID, begin, 9, 1)) == [state.rules.fragment_number(3)]


def test_topic__is_announced(ctx: Context, stream: state.Stream) -> None:
    heard: list[int] = []
    stop = ctx.store.signals.listen(SOURCE.topic(ctx, stream.arn, source.SHARD_ID), lambda: heard.append(1))
    add(ctx, stream, 1, 1000)
    stop()
    assert heard == [1]


@pytest.mark.parametrize("arn", ["x", "arn:aws:kinesisvideo:us-east-1:123456789012:stream/s/1", "arn:aws:s3:::b"])
def test_shards__of_no_stream(ctx: Context, stream: state.Stream, arn: str) -> None:
    with pytest.raises(LookupError):
        SOURCE.shards(ctx, arn)


HANDLER = """
import boto3, json, os
media = boto3.client("kinesis-video-archived-media")
def handler(event, context):
    found = []
    for record in event["Records"]:
        data = media.get_media_for_fragment_list(**record["kinesisvideo"]["media"])["Payload"].read()
        found.append({"number": record["kinesisvideo"]["fragmentNumber"], "bytes": len(data)})
    boto3.client("kinesis").put_records(
        StreamName="found", Records=[{"Data": json.dumps(one), "PartitionKey": "a"} for one in found])
"""


def test_lambda__gets_each_fragment_and_its_bytes(server: HeadraceServer, client: Callable[..., Any], account: str) -> None:
    arn = client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=1)["StreamARN"]
    client("kinesis").create_stream(StreamName="found", ShardCount=1)
    iam, function = client("iam"), client("lambda")
    role = iam.create_role(RoleName="watch", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    statement = [
        {"Effect": "Allow", "Action": "kinesisvideo:GetMediaForFragmentList", "Resource": arn},
        {"Effect": "Allow", "Action": "kinesis:PutRecords", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_role_policy(RoleName="watch", PolicyName="p", PolicyDocument=policy)
    code = BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("watch.py", HANDLER)
    function.create_function(
        FunctionName="watch", Runtime="python3.11", Handler="watch.handler", Role=role, Timeout=30,
        Code={"ZipFile": code.getvalue()},
    )  # fmt: skip
    function.create_event_source_mapping(FunctionName="watch", EventSourceArn=arn, StartingPosition="TRIM_HORIZON")
    film = films.film(6)
    wanted = [one["FragmentNumber"] for one in films.put(server, account, "camera", film, start=time.time())[::3]]
    kinesis = client("kinesis")
    iterator = kinesis.get_shard_iterator(StreamName="found", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]

    def seen() -> list[dict[str, Any]]:
        found = [json.loads(one["Data"]) for one in kinesis.get_records(ShardIterator=iterator)["Records"]]
        return found if len(found) >= 3 else []

    found = eventually(seen, 60)
    assert [one["number"] for one in found] == wanted
    assert all(one["bytes"] > len(cluster) for one, cluster in zip(found, films.clusters(film), strict=True))
    with pytest.raises(ClientError, match="Stream not found"):
        function.create_event_source_mapping(
            FunctionName="watch", EventSourceArn=arn.replace("camera", str(uuid.uuid4())), StartingPosition="LATEST"
        )
