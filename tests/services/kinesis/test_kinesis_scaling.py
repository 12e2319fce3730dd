"""UpdateShardCount and what else decides how many shards there are."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.kinesis import rules, scaling

DAY = 86_400


@pytest.fixture
def kinesis(client: Callable[..., Any]) -> Any:
    return client("kinesis")


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def scale(kinesis: Any, count: int) -> dict[str, Any]:
    return kinesis.update_shard_count(StreamName="s", TargetShardCount=count, ScalingType="UNIFORM_SCALING")


def shards(kinesis: Any, **shard_filter: Any) -> list[dict[str, Any]]:
    arguments = {"ShardFilter": shard_filter} if shard_filter else {}
    return kinesis.list_shards(StreamName="s", **arguments)["Shards"]


def span(shard: dict[str, Any]) -> tuple[int, int]:
    return int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])


@given(st.lists(st.integers(1, rules.HASH_KEY_END - 1), max_size=8, unique=True), st.integers(1, 12))
def test_uniform__gives_shards_of_one_size_by_splits_and_merges(cuts: list[int], count: int) -> None:
    starts = [0, *sorted(cuts)]
    spans = list(zip(starts, [*(cut - 1 for cut in starts[1:]), rules.HASH_KEY_END - 1], strict=True))
    held = set(spans)
    for step in scaling.uniform(spans, count):
        assert sorted((len(step.closed), len(step.opened))) == [1, 2]
        assert set(step.closed) <= held
        held = held - set(step.closed) | set(step.opened)
    result = sorted(held)
    assert [end + 1 for _, end in result[:-1]] == [start for start, _ in result[1:]]
    assert (result[0][0], result[-1][1], len(result)) == (0, rules.HASH_KEY_END - 1, count)
    for have, want in zip(result, rules.even_ranges(count), strict=True):
        assert abs(have[0] - want[0]) < 1 << 64


def test_uniform__even_shares_that_nearly_meet_make_no_slivers() -> None:
    steps = list(scaling.uniform(rules.even_ranges(3), 6))
    assert len(steps) == 3
    assert all(len(step.closed) == 1 for step in steps)


def test_update_shard_count__doubles_and_halves(kinesis: Any, account: str) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=2)
    put = kinesis.put_record(StreamName="s", Data=b"before", PartitionKey="k")
    arn = f"arn:aws:kinesis:us-east-1:{account}:stream/s"
    answer = scale(kinesis, 4)
    assert {key: answer[key] for key in ("StreamName", "StreamARN", "CurrentShardCount", "TargetShardCount")} == {
        "StreamName": "s", "StreamARN": arn, "CurrentShardCount": 2, "TargetShardCount": 4,
    }  # fmt: skip
    parents, children = shards(kinesis)[:2], shards(kinesis, Type="AT_LATEST")
    assert [span(child) for child in children] == rules.even_ranges(4)
    assert [child["ParentShardId"] for child in children] == [parents[n]["ShardId"] for n in (0, 0, 1, 1)]
    assert all("EndingSequenceNumber" in parent["SequenceNumberRange"] for parent in parents)
    after = kinesis.put_record(StreamName="s", Data=b"after", PartitionKey="k")
    assert int(after["SequenceNumber"]) > int(put["SequenceNumber"])
    scale(kinesis, 2)
    merged = shards(kinesis, Type="AT_LATEST")
    assert [span(shard) for shard in merged] == rules.even_ranges(2)
    assert (merged[0]["ParentShardId"], merged[0]["AdjacentParentShardId"]) == (children[0]["ShardId"], children[1]["ShardId"])


def test_update_shard_count__a_reader_follows_from_parents_to_children(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=2)
    for number, count in enumerate((3, 4, 2)):
        kinesis.put_records(
            StreamName="s", Records=[{"Data": f"{number}/{n}".encode(), "PartitionKey": f"k{n}"} for n in range(20)]
        )
        scale(kinesis, count)
    seen: dict[str, list[str]] = {}
    todo = [shard["ShardId"] for shard in shards(kinesis, Type="AT_TRIM_HORIZON")]
    done: set[str] = set()
    parents = {
        shard["ShardId"]: {shard[name] for name in ("ParentShardId", "AdjacentParentShardId") if name in shard}
        for shard in shards(kinesis)
    }
    while todo:
        shard_id = todo.pop(0)
        if shard_id in done:
            continue
        assert parents[shard_id] <= done or shard_id in todo or not parents[shard_id] - done
        iterator = kinesis.get_shard_iterator(StreamName="s", ShardId=shard_id, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        answer = kinesis.get_records(ShardIterator=iterator)
        for record in answer["Records"]:
            seen.setdefault(record["PartitionKey"], []).append(record["Data"].decode())
        done.add(shard_id)
        for child in answer.get("ChildShards", []):
            if set(child["ParentShards"]) <= done:
                todo.append(child["ShardId"])
    assert seen == {f"k{n}": [f"{number}/{n}" for number in range(3)] for n in range(20)}


def test_update_shard_count__has_the_limits_of_aws(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="s", ShardCount=4)
    code, message = error_of(scale, kinesis=kinesis, count=9)
    assert (code, message) == (
        "InvalidArgumentException",
        "UpdateShardCount cannot scale up over double your current open shard count. "
        "Current open shard count: 4 Target shard count: 9",
    )
    assert "below half" in error_of(scale, kinesis=kinesis, count=1)[1]
    for count in (5, 4) * 5:
        scale(kinesis, count)
    assert error_of(scale, kinesis=kinesis, count=5)[0] == "LimitExceededException"
    kinesis.create_stream(StreamName="d", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    code, _ = error_of(kinesis.update_shard_count, StreamName="d", TargetShardCount=8, ScalingType="UNIFORM_SCALING")
    assert code == "ValidationException"
    assert error_of(kinesis.split_shard, StreamName="d", ShardToSplit="shardId-000000000000", NewStartingHashKey="9")[0] == code


def test_warm_throughput__needs_a_commitment_and_gives_shards(kinesis: Any, account: str) -> None:
    kinesis.create_stream(StreamName="s", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert kinesis.describe_account_settings()["MinimumThroughputBillingCommitment"] == {"Status": "DISABLED"}
    warm = {"StreamName": "s", "WarmThroughputMiBps": 6}
    assert error_of(kinesis.update_stream_warm_throughput, **warm)[0] == "InvalidArgumentException"
    kinesis.update_account_settings(MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    assert kinesis.update_stream_warm_throughput(**warm)["WarmThroughput"] == {"TargetMiBps": 6, "CurrentMiBps": 6}
    assert len(shards(kinesis, Type="AT_LATEST")) == 6
    summary = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["WarmThroughput"]["CurrentMiBps"]) == (6, 6)
    ended = kinesis.update_account_settings(MinimumThroughputBillingCommitment={"Status": "DISABLED"})
    held = ended["MinimumThroughputBillingCommitment"]
    assert held["Status"] == "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
    assert (held["EarliestAllowedEndAt"] - held["StartedAt"]).total_seconds() == DAY


def test_distribution__evenly_needs_no_key(kinesis: Any, account: str) -> None:
    arn = f"arn:aws:kinesis:us-east-1:{account}:stream/s"
    kinesis.create_stream(StreamName="s", StreamModeDetails={"StreamMode": "ON_DEMAND"}, RecordDistributionStrategy="AUTO")
    put = kinesis.put_records(StreamName="s", Records=[{"Data": b"x"} for _ in range(8)])
    assert sorted(record["ShardId"][-1] for record in put["Records"]) == list("00112233")
    kinesis.put_record(StreamName="s", Data=b"x", PartitionKey="k")
    iterator = kinesis.get_shard_iterator(StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    assert "PartitionKey" not in kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"][0]
    kinesis.update_stream_record_distribution_strategy(StreamARN=arn, RecordDistributionStrategy="USER_PARTITION_KEY")
    assert error_of(kinesis.put_record, StreamName="s", Data=b"x")[0] == "ValidationException"
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "PROVISIONED"})
    code, _ = error_of(kinesis.update_stream_record_distribution_strategy, StreamARN=arn, RecordDistributionStrategy="AUTO")
    assert code == "InvalidArgumentException"
