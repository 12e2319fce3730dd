"""Shards are merged by the time at which their records came, however deep each of them is."""

from types import SimpleNamespace
from typing import Any

import pytest

from headrace.ports import SourceBatch, SourceRecord, SourceShard
from headrace.services.analytics import inputs as module
from headrace.services.analytics.inputs import Inputs, Read

ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/s"


class Source:
    """Shards in memory: the arrival times of their records, in seconds; a position is a count."""

    def __init__(self, shards: dict[str, list[float]], closed: dict[str, str] | None = None) -> None:
        self.times = shards
        self.closed = closed or {}

    def shards(self, scope: Any, arn: str) -> list[SourceShard]:
        children = {child: parent for parent, child in self.closed.items()}
        return [SourceShard(one, (children[one],) if one in children else (), one in self.closed) for one in self.times]

    def start(self, scope: Any, arn: str, shard_id: str, where: str | float) -> str:
        return "0"

    def read(self, scope: Any, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int) -> SourceBatch:
        begin = int(position)
        end = min(begin + limit, len(self.times[shard_id]))
        records = [
            SourceRecord(str(place + 1), b"%d" % self.times[shard_id][place], "k", self.times[shard_id][place], {})
            for place in range(begin, end)
        ]
        left = len(self.times[shard_id]) - end
        return SourceBatch(records, str(end), shard_id in self.closed and not left, left)


def reader(source: Source, monkeypatch: pytest.MonkeyPatch, records_per_step: int) -> tuple[Inputs, Any]:
    monkeypatch.setattr(module.limits, "RECORDS_PER_STEP", records_per_step)
    part = {"InputId": "1.1", "NamePrefix": "S", "InputParallelism": {"Count": 1}, "KinesisStreamsInput": {"ResourceARN": ARN}}
    application: Any = SimpleNamespace(id="a", code="", inputs=[part], starts={"1.1": "TRIM_HORIZON"})
    ctx: Any = SimpleNamespace(ports=SimpleNamespace(sources={"kinesis": source}, taps={}), snapshot=lambda body: {})
    return Inputs(ctx, application), ctx


def steps(inputs: Inputs, ctx: Any) -> list[Read]:
    """Read until nothing is left; each step is kept, as a commit would."""
    found: list[Read] = []
    while not found or found[-1].taken or not found[-1].caught_up:
        found.append(inputs.read(ctx))
        inputs.positions.update(found[-1].positions)
    return found


def arrivals(found: list[Read]) -> list[int]:
    return [one // 1000 for read in found if "S_001" in read.records for one in read.records["S_001"].arrival_ms]


def test_deep_and_shallow_shards__in_the_order_of_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source({"shardId-0": [float(n) for n in range(0, 100)], "shardId-1": [10.0, 95.0], "shardId-2": [50.5]})
    found = steps(*reader(source, monkeypatch, 9))
    assert arrivals(found) == sorted(int(time) for times in source.times.values() for time in times)
    assert [read.caught_up for read in found[:-2]] == [False] * (len(found) - 2)


def test_closed_shard__its_children_come_before_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source({"shardId-0": [1.0, 2.0], "shardId-1": [3.0, 4.0]}, closed={"shardId-0": "shardId-1"})
    found = steps(*reader(source, monkeypatch, 100))
    assert arrivals(found) == [1, 2, 3, 4]
    assert not found[0].caught_up
    assert found[-1].caught_up


def test_clock_that_was_set_back__loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source({"shardId-0": [50.0, 40.0, 41.0, 60.0, 42.0, 70.0], "shardId-1": [45.0, 65.0]})
    found = steps(*reader(source, monkeypatch, 4))
    assert sorted(arrivals(found)) == [40, 41, 42, 45, 50, 60, 65, 70]
