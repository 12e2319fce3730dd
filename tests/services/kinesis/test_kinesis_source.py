"""What Kinesis offers to other services: reading streams, and putting messages into them."""

import base64
from typing import Any

import pytest

from headrace.kit.clock import Clock
from headrace.kit.errors import AccessDeniedException
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.operation import Context
from headrace.ports import Ports, Principal
from headrace.services.kinesis import limits, state, workers
from headrace.services.kinesis.operations import records, shards, streams
from headrace.services.kinesis.service import StreamSink, StreamSource
from headrace.store.memory import MemoryStore

ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
SHARD = "shardId-000000000000"
SOURCE = StreamSource()


@pytest.fixture
def ctx() -> Context:
    made = Context(
        account="123456789012", region="us-east-1", service="kinesis", request_id="r", store=MemoryStore(),
        principal=Principal("arn:aws:iam::123456789012:root", "u", "123456789012"), blobs=None,  # type: ignore[arg-type]
        clock=Clock(), ids=Ids(3), settings=Settings(), ports=Ports(),
    )  # fmt: skip
    made.transact(lambda inner: streams.create_stream(inner, stream_name="s", shard_count=1))
    return made


def put(ctx: Context, *data: bytes) -> list[str]:
    def one(inner: Context, body: bytes) -> Any:
        return records.put_record(inner, stream_name="s", data=body, partition_key="k", explicit_hash_key="0")

    return [str(ctx.transact(lambda inner, body=body: one(inner, body))["SequenceNumber"]) for body in data]  # type: ignore[misc]


def data_of(batch: Any) -> list[bytes]:
    return [record.data for record in batch.records]


def test_read__gives_records_in_lambdas_form(ctx: Context) -> None:
    (sequence,) = put(ctx, b"data")
    batch = SOURCE.read(ctx, ARN, SHARD, SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON"), 10, 1_000_000)
    (record,) = batch.records
    assert (record.sequence_number, record.data, record.partition_key) == (sequence, b"data", "k")
    assert record.event == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "k",
            "sequenceNumber": sequence,
            "data": base64.b64encode(b"data").decode(),
            "approximateArrivalTimestamp": record.arrived_at,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{SHARD}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:root",
        "awsRegion": "us-east-1",
        "eventSourceARN": ARN,
    }
    assert (batch.ended, batch.millis_behind) == (False, 0)


def test_read__goes_on_from_a_position_or_a_sequence_number(ctx: Context) -> None:
    start = SOURCE.start(ctx, ARN, SHARD, "LATEST")
    sequences = put(ctx, b"1", b"x" * 150_000, b"3")
    first = SOURCE.read(ctx, ARN, SHARD, start, 2, 1_000_000)
    assert data_of(first) == [b"1", b"x" * 150_000][: len(first.records)]
    assert data_of(SOURCE.read(ctx, ARN, SHARD, first.position, 10, 1_000_000))[-1] == b"3"
    assert data_of(SOURCE.read(ctx, ARN, SHARD, sequences[1], 1, 1_000_000)) == [b"3"]
    assert data_of(SOURCE.read(ctx, ARN, SHARD, sequences[0], 1, 10)) == [b"x" * 150_000]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_read_columns__gives_what_read_gives(ctx: Context, limit: int) -> None:
    bodies = [{"Data": b"%d" % number, "PartitionKey": f"k{number}"} for number in range(7)]
    ctx.transact(lambda inner: records.put_records(inner, stream_name="s", records=bodies))
    put(ctx, b"x" * 150_000, b"single")
    StreamSink().send_all(ctx, ARN, [b"a", b"b", b"c"])
    everything = SOURCE.read(ctx, ARN, SHARD, SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON"), 100, 1_000_000).records
    assert [one.data for one in everything[-3:]] == [b"a", b"b", b"c"]
    position, found = SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON"), []
    while (columns := SOURCE.read_columns(ctx, ARN, SHARD, position, limit, 1_000_000)).data:
        assert len(columns.data) <= limit
        for place, data in enumerate(columns.data):
            found.append((data, columns.partition_keys[place], columns.arrived_ms[place], columns.sequence_number(place)))
        assert (columns.millis_behind > 0) == (len(found) < len(everything))
        position = columns.position
    assert found == [(one.data, one.partition_key, round(one.arrived_at * 1000), one.sequence_number) for one in everything]


def test_read__an_empty_read_keeps_its_position(ctx: Context) -> None:
    start = SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON")
    batch = SOURCE.read(ctx, ARN, SHARD, start, 10, 1000)
    assert (batch.records, batch.position, batch.ended) == ([], start, False)


def test_start__at_a_time(ctx: Context) -> None:
    put(ctx, b"1")
    ctx.clock.advance(10)
    put(ctx, b"2")
    start = SOURCE.start(ctx, ARN, SHARD, ctx.clock.now() - 5)
    assert data_of(SOURCE.read(ctx, ARN, SHARD, start, 10, 1000)) == [b"2"]


def test_shards__children_name_their_parents_and_the_parent_ends(ctx: Context) -> None:
    put(ctx, b"1")
    ctx.transact(lambda inner: shards.split_shard(inner, stream_name="s", shard_to_split=SHARD, new_starting_hash_key="1000"))
    found = SOURCE.shards(ctx, ARN)
    assert [(shard.shard_id[-1], shard.parents, shard.closed) for shard in found] == [
        ("0", (), True), ("1", (SHARD,), False), ("2", (SHARD,), False),
    ]  # fmt: skip
    start = SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON")
    assert SOURCE.read(ctx, ARN, SHARD, start, 10, 1000).ended


def test_read__a_closed_shard_that_was_trimmed_ends(ctx: Context) -> None:
    put(ctx, b"old")
    ctx.clock.advance(25 * 3600)
    ctx.transact(lambda inner: shards.split_shard(inner, stream_name="s", shard_to_split=SHARD, new_starting_hash_key="1000"))
    workers.trim_expired_records(ctx)
    batch = SOURCE.read(ctx, ARN, SHARD, SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON"), 10, 1000)
    assert (batch.records, batch.ended) == ([], True)


def test_shards__of_a_missing_stream_is_a_lookup_error(ctx: Context) -> None:
    with pytest.raises(LookupError):
        SOURCE.shards(ctx, ARN + "x")
    with pytest.raises(LookupError):
        SOURCE.read(ctx, ARN, "shardId-000000000009", "0", 10, 1000)


def test_foreign_streams__are_not_touched(ctx: Context) -> None:
    stranger = ctx.at(account="999999999999")
    with pytest.raises(LookupError):
        SOURCE.shards(stranger, ARN)
    with pytest.raises(AccessDeniedException):
        StreamSink().send(stranger, ARN, b"x")


def test_topic__is_announced_with_each_record(ctx: Context) -> None:
    heard: list[int] = []
    ctx.store.signals.listen(SOURCE.topic(ctx, ARN, SHARD), lambda: heard.append(1))
    put(ctx, b"1")
    StreamSink().send(ctx, ARN, b"2", attributes={"partition_key": "k"})
    assert len(heard) == 2
    assert data_of(SOURCE.read(ctx, ARN, SHARD, SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON"), 9, 999)) == [b"1", b"2"]


def test_route__follows_every_change_of_the_shards(ctx: Context) -> None:
    """The routing table is kept between calls: a split, or a new stream of the same name, must not use an old one."""
    for _ in range(3):
        put(ctx, b"x")
        parent = SOURCE.shards(ctx, ARN)[0].shard_id
        ctx.transact(
            lambda inner, parent=parent: shards.split_shard(  # type: ignore[misc]
                inner, stream_name="s", shard_to_split=parent, new_starting_hash_key="1000"
            )
        )
        answer = ctx.transact(
            lambda inner: records.put_record(inner, stream_name="s", data=b"", partition_key="k", explicit_hash_key="1000")
        )
        assert answer["ShardId"] == "shardId-000000000002"
        ctx.transact(lambda inner: streams.delete_stream(inner, stream_name="s"))
        ctx.transact(lambda inner: streams.create_stream(inner, stream_name="s", shard_count=1))


def test_remove_deleted_streams__leaves_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRIM_ENTRIES_PER_STEP", 3)
    put(ctx, *[b"x"] * 10)
    ctx.transact(lambda inner: streams.delete_stream(inner, stream_name="s"))
    while workers.remove_deleted_streams(ctx) is not None:
        pass
    assert ctx.store._keys == []  # type: ignore[attr-defined]


def test_trim__goes_piece_by_piece(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRIM_ENTRIES_PER_STEP", 3)
    put(ctx, *[b"x" * 100_000] * 10)
    ctx.clock.advance(25 * 3600)
    put(ctx, b"new")
    workers.trim_expired_records(ctx)
    start = SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON")
    assert data_of(SOURCE.read(ctx, ARN, SHARD, start, 10, 1_000_000)) == [b"new"]
    assert len([key for key in ctx.store._keys if b"log" in key]) == 2  # type: ignore[attr-defined]


def test_cache__is_bounded(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROUTES_CACHED_MAX", 2)
    for name in "abcd":
        ctx.transact(lambda inner, name=name: streams.create_stream(inner, stream_name=name, shard_count=1))  # type: ignore[misc]
        ctx.transact(lambda inner, name=name: records.put_record(inner, stream_name=name, data=b"", partition_key="k"))  # type: ignore[misc]
    assert len(state._routes) <= 2


def test_read__a_consumer_a_day_behind_is_not_skipped_over(ctx: Context) -> None:
    """Records of three days, trimmed every hour: who reads one hour's worth an hour stays a day behind, and misses none."""
    position = SOURCE.start(ctx, ARN, SHARD, "TRIM_HORIZON")
    expected = [f"{hour}/{number}".encode() for hour in range(72) for number in range(5)]
    seen: list[bytes] = []
    for hour in range(72):
        put(ctx, *expected[hour * 5 : hour * 5 + 5])
        ctx.clock.advance(3590)
        workers.trim_expired_records(ctx)
        if hour >= 23:
            batch = SOURCE.read(ctx, ARN, SHARD, position, 5, 1_000_000)
            position = batch.position
            seen += data_of(batch)
            assert batch.millis_behind > 22 * 3_590_000
    assert seen == expected[: len(seen)]
    assert len(seen) == 49 * 5
    assert data_of(SOURCE.read(ctx, ARN, SHARD, position, 1000, 1_000_000)) == expected[len(seen) :]
