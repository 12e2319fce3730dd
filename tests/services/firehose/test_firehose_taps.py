"""Delivery streams are read by others, too: what a reader holds stays in the buffer, and nothing else does."""

from typing import Any

import pytest
from tests.services.firehose.fakes import ACCOUNT, NOW, REGION, S3, House

from headrace.layers import log
from headrace.services.firehose import limits, state
from headrace.services.firehose.taps import Tap

TAP = Tap()
ARN = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/d"
MIB = 1 << 20


@pytest.fixture
def house() -> House:
    made = House()
    made.create(s3_destination_configuration={**S3, "BufferingHints": NOW})
    return made


def read(house: House, position: str, limit: int = 1000, size_max_bytes: int = MIB) -> Any:
    (shard,) = TAP.shards(house.context(), ARN)
    return TAP.read(house.context(), ARN, shard.shard_id, position, limit, size_max_bytes)


def hold(house: House, position: str, reader: str = "one", until: float | None = None) -> None:
    TAP.hold(house.context(), ARN, house.stream().id, reader, position, until)


def kept(house: House) -> int:
    return len(house.context().snapshot(lambda ctx: log.read(ctx.tx, state.log_of(house.stream().id), 0, 100_000)))


def test_held__is_read_although_it_was_delivered(house: House) -> None:
    hold(house, TAP.start(house.context(), ARN, house.stream().id, "LATEST"))
    for n in range(5):
        house.put(b"%d" % n)
        house.step()
    batch = read(house, "0")
    assert [one.data for one in batch.records] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(house.objects_below()) == 5
    hold(house, batch.records[2].sequence_number)
    assert [one.data for one in read(house, "0").records] == [b"3", b"4"]
    TAP.release(house.context(), ARN, "one")
    assert kept(house) == 0


def test_held__not_what_is_still_to_be_delivered(house: House) -> None:
    house.create_another("slow", s3_destination_configuration={**S3, "Prefix": "slow/"})
    house.put(b"a", b"b")
    hold(house, read(house, "0").position)
    assert kept(house) == 2
    house.step()
    assert kept(house) == 0
    assert list(house.objects_below().values()) == [b"ab"]


def test_two_readers__the_slower_one_decides(house: House) -> None:
    hold(house, "0", "slow")
    hold(house, "0", "fast")
    house.put(b"a", b"b")
    house.step()
    hold(house, "2", "fast")
    assert kept(house) == 2
    hold(house, "1", "slow")
    assert kept(house) == 1


def test_hold__is_over_at_its_time_and_after_a_day(house: House) -> None:
    hold(house, "0", until=house.clock.now() + 60)
    house.put(b"a")
    house.step()
    assert kept(house) == 1
    house.clock.advance(61)
    house.put(b"b")
    house.step()
    assert kept(house) == 0
    hold(house, "2")
    house.put(b"c" * 200_000)
    house.step()
    house.clock.advance(limits.HELD_SECONDS_MAX + 1)
    house.put(b"d")
    house.step()
    assert [one.data for one in read(house, "0").records] == [b"d"]


def test_large_records__are_read_whole_by_the_smallest_read(house: House) -> None:
    hold(house, "0")
    house.put(b"x" * 1_000_000, b"y")
    batch = read(house, "0", 1, 1)
    assert [one.data for one in batch.records] == [b"x" * 1_000_000]
    assert batch.millis_behind > 0
    last = read(house, batch.records[0].sequence_number, 1, 1)
    assert (last.records[0].data, last.millis_behind) == (b"y", 0)


def test_much_that_was_held__goes_in_pieces(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRIM_ENTRIES_PER_TRANSACTION", 10)
    hold(house, "0")
    for n in range(7):
        house.put_batch(*[b"%d" % n] * 7)
        house.step()
    assert kept(house) == 49
    TAP.release(house.context(), ARN, "one")
    house.put(b"last")
    house.step()
    assert kept(house) == 0
    assert b"".join(house.objects_below().values()).count(b"6") == 7


def test_new_stream_of_an_old_name__is_another_shard(house: House) -> None:
    old = house.stream().id
    with pytest.raises(LookupError):
        TAP.shards(house.context(), ARN + "x")
    with pytest.raises(LookupError):
        TAP.read(house.context(), ARN, "another", "0", 1, 1)
    house.context().transact(lambda ctx: state.remove(ctx.tx, ACCOUNT, REGION, house.stream()))
    house.create(s3_destination_configuration={**S3, "BufferingHints": NOW})
    assert TAP.shards(house.context(), ARN)[0].shard_id != old
