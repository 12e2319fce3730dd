"""The capacity that is used, as CloudWatch shows it."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

TABLE: dict[str, Any] = {
    "TableName": "world",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        }
    ],
}


def used(server: HeadraceServer, watch: Any, metric: str, index: str | None = None) -> list[tuple[float, float, float]]:
    """(sum, number, largest) of each minute of the last hour."""
    dimensions = [{"Name": "TableName", "Value": "world"}]
    if index is not None:
        dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": index})
    now = server.page("/_headrace/clock")["now"]
    start = now // 60 * 60 - 3600
    found = watch.get_metric_statistics(
        Namespace="AWS/DynamoDB", MetricName=metric, Dimensions=dimensions, StartTime=start, EndTime=start + 3660, Period=60,
        Statistics=["Sum", "SampleCount", "Maximum"],
    )["Datapoints"]  # fmt: skip
    return [(one["Sum"], one["SampleCount"], one["Maximum"]) for one in sorted(found, key=lambda one: one["Timestamp"])]


def test_what_is_used__is_counted_by_the_minute(server: HeadraceServer, account: str) -> None:
    db, watch = server.client("dynamodb", account), server.client("cloudwatch", account)
    db.create_table(**TABLE)
    for number in range(3):
        db.put_item(TableName="world", Item={"id": {"S": str(number)}, "g": {"S": "x"}})
    db.put_item(TableName="world", Item={"id": {"S": "big"}, "text": {"S": "x" * 2500}})
    db.get_item(TableName="world", Key={"id": {"S": "big"}})
    db.get_item(TableName="world", Key={"id": {"S": "big"}}, ConsistentRead=True)
    asked = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "x"}}}
    db.query(TableName="world", IndexName="by-g", **asked)
    server.advance(60)
    db.delete_item(TableName="world", Key={"id": {"S": "1"}})

    def total(metric: str, index: str | None = None) -> tuple[float, ...]:
        return tuple(map(sum, zip(*(one[:2] for one in used(server, watch, metric, index)), strict=True)))

    eventually(lambda: total("ConsumedWriteCapacityUnits") == (7.0, 5))
    eventually(lambda: total("ConsumedWriteCapacityUnits", "by-g") == (4.0, 4))
    eventually(lambda: total("ConsumedReadCapacityUnits") == (1.5, 2))
    eventually(lambda: total("ConsumedReadCapacityUnits", "by-g") == (0.5, 1))
    minutes = used(server, watch, "ConsumedWriteCapacityUnits")
    # What was used before the clock went on stands in its own minute, though it is handed on later.
    assert minutes[-1] == (1.0, 1, 1.0)
    assert max(one[2] for one in minutes[:-1]) == 3.0


def test_what_is_throttled__is_counted__and_a_stop_keeps_it(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data", environment={"HEADRACE_ENFORCE_LIMITS": "true"}).start()
    db = server.client("dynamodb")
    db.create_table(**TABLE)
    big = {"id": {"S": "big"}, "text": {"S": "x" * 390_000}}
    db.put_item(TableName="world", Item=big)
    for _ in range(2):
        with pytest.raises(ClientError):
            db.put_item(TableName="world", Item=big)
    assert server.stop() == 0
    server.start()
    watch = server.client("cloudwatch")
    assert sum(one[0] for one in used(server, watch, "WriteThrottleEvents")) == 2.0
    assert sum(one[0] for one in used(server, watch, "ConsumedWriteCapacityUnits")) == 381.0
    server.kill()
