"""A Kinesis stream as the source: each record is taken once, though the consumer hands it over again."""

from typing import Any

import pytest
from tests.services.firehose.fakes import NOW, ROLE, S3, House

from headrace.kit.errors import AccessDeniedException
from headrace.operation import Context
from headrace.ports import SourceRecord
from headrace.services.firehose import sources
from headrace.services.firehose.service import SERVICE

ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/s"


@pytest.fixture
def house() -> House:
    made = House()
    made.create(
        delivery_stream_type="KinesisStreamAsSource",
        kinesis_stream_source_configuration={"KinesisStreamARN": ARN, "RoleARN": ROLE},
        s3_destination_configuration={**S3, "BufferingHints": NOW},
    )
    return made


def record(number: int) -> SourceRecord:
    return SourceRecord(str(number), b"%d," % number, "k", 1_700_000_000.0, {})


def handle(house: House, *numbers: int, shard: str = "shardId-000000000000") -> Any:
    (subscription,) = sources.subscriptions(house.context())
    records = [record(number) for number in numbers]
    return sources.SourceHandler().handle(house.context(), subscription, shard, records)


def test_subscriptions__begin_when_the_delivery_stream_was_made(house: House) -> None:
    (subscription,) = sources.subscriptions(house.context())
    assert (subscription.source_arn, subscription.account, subscription.region) == (ARN, "123456789012", "us-east-1")
    assert subscription.start == house.stream().created_at
    assert subscription.attempts_max is None


def test_handle__takes_each_record_once(house: House) -> None:
    assert handle(house, 1, 2).error is None
    assert handle(house, 1, 2, 3).error is None
    assert handle(house, 2, shard="shardId-000000000001").error is None
    house.step()
    assert list(house.objects_below().values()) == [b"1,2,3,2,"]


def test_handle__after_a_deletion_takes_nothing(house: House) -> None:
    from headrace.services.firehose.operations import streams

    (subscription,) = sources.subscriptions(house.context())
    house.context().transact(lambda ctx: streams.delete_delivery_stream(ctx, delivery_stream_name="d"))
    house.create(s3_destination_configuration={**S3, "BufferingHints": NOW})
    outcome = sources.SourceHandler().handle(house.context(), subscription, "shardId-000000000000", [record(1)])
    assert outcome.error is None
    assert house.step() is None
    assert not house.objects_below()


def test_sink__puts_with_the_callers_transaction(house: House) -> None:
    house.create_another("e", s3_destination_configuration={**S3, "BufferingHints": NOW})
    arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/e"
    sink = SERVICE.offers["sinks.firehose"]

    def fails(ctx: Context) -> None:
        sink.send(ctx, arn, b"never")
        raise KeyError

    with pytest.raises(KeyError):
        house.context().transact(fails)
    house.context().transact(lambda ctx: sink.send(ctx, arn, b"once"))
    with pytest.raises(AccessDeniedException):
        sink.send(house.context().at(account="999999999999"), arn, b"foreign")
    house.step_of("e")
    assert list(house.objects_below().values()) == [b"once"]
