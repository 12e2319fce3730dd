"""Bulk puts: objects of a bucket are put into a table that is there."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Client = Callable[..., Any]
TABLE: dict[str, Any] = {
    "TableName": "there",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "n", "AttributeType": "N"},
        {"AttributeName": "g", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "local",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "BillingMode": "PAY_PER_REQUEST",
}
UNMET = {
    "ConditionExpression": "attribute_not_exists(#n) OR v < :v",
    "ExpressionAttributeNames": {"#n": "n"},
    "ExpressionAttributeValues": {":v": {"N": "5"}},
}


def line(n: int, **more: Any) -> str:
    return json.dumps({"Item": {"id": {"S": "a"}, "n": {"N": str(n)}, "g": {"S": f"g{n}"}}, **more})


class Loader:
    """A table, a bucket, and bulk puts of the one into the other."""

    def __init__(self, client: Client, bucket: str) -> None:
        self.db, self.s3, self.bucket = client("dynamodb"), client("s3"), bucket
        self.s3.create_bucket(Bucket=bucket)
        self.table = self.db.create_table(**TABLE)["TableDescription"]

    def object(self, key: str, *lines: str) -> int:
        data = "\n".join(lines).encode()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return len(data)

    def start(self, form: str = "DYNAMODB_JSON", compression: str | None = None, prefix: str = "in/", **more: Any) -> Any:
        source = {"S3Bucket": self.bucket, "S3KeyPrefix": prefix, "InputFormat": form}
        if compression:
            source["InputCompressionType"] = compression
        output = {"S3Bucket": self.bucket, "S3KeyPrefix": "out", "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"]}
        given = {"TableName": "there", "InputS3Configuration": source, "OutputS3Configuration": output, **more}
        begun = self.db.start_bulk_put_items(**given)["BulkOperationDescription"]
        assert begun["BulkOperationStatus"] == "IN_PROGRESS"
        return begun

    def described(self, arn: str) -> Any:
        return self.db.describe_bulk_operation(BulkOperationArn=arn)["BulkOperationDescription"]

    def ended(self, begun: Any) -> Any:
        def check() -> Any:
            found = self.described(begun["BulkOperationArn"])
            return found if "EndTime" in found else None

        return eventually(check, 40)

    def report(self, done: Any, kind: str) -> list[Any]:
        """The lines of a kind, by the manifest."""
        folder = f"out/AWSDynamoDB/{done['BulkOperationArn'].rpartition('/')[2]}"
        manifest = json.loads(self._get(f"{folder}/manifest-summary.json"))
        assert manifest["bulkOperationStatus"] == done["BulkOperationStatus"]
        lines: list[Any] = []
        for file in manifest["files"]:
            assert file["s3Key"].startswith(f"{folder}/data/{file['outputType']}/")
            found = self._get(file["s3Key"]).splitlines()
            assert len(found) == file["itemCount"]
            lines += [json.loads(one) for one in found] if file["outputType"] == kind else []
        return lines

    def _get(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def items(self) -> dict[str, Any]:
        found = [item for page in self.db.get_paginator("scan").paginate(TableName="there") for item in page["Items"]]
        return {f"{item['id']['S']}{item['n']['N']}": item for item in found}


@pytest.fixture
def loader(client: Client, account: str) -> Loader:
    return Loader(client, f"bulk-{account}")


def refused(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_bulk_put__is_seen_by_indexes_and_streams(loader: Loader, client: Client) -> None:
    db = loader.db
    db.put_item(TableName="there", Item={"id": {"S": "a"}, "n": {"N": "1"}, "v": {"S": "old"}})
    size = loader.object("in/1", line(1), line(2), "") + loader.object("in/2", line(3))
    loader.object("other", line(9))
    begun = loader.start(ClientToken="t", PerformanceTier="ACCELERATED")
    done = loader.ended(begun)
    assert done["BulkOperationStatus"] == "COMPLETED"
    assert (done["ProcessedItemCount"], done["FailedItemCount"]) == (3, 0)
    assert done["ProcessedInputBytes"] == done["TotalInputBytes"] == size
    assert (done["PerformanceTier"], done["ClientToken"]) == ("ACCELERATED", "t")
    assert "FailureCode" not in done
    assert done["TableDetails"] == [{"TableName": loader.table["TableArn"], "TableId": loader.table["TableId"]}]
    # id and a; n and a number of two bytes; g and two letters.
    assert done["BulkOperationUsage"] == [
        {
            "TableName": loader.table["TableArn"], "BulkPutBytes": 9 * 9, "Table": {"BulkPutBytes": 3 * 9},
            "LocalSecondaryIndexes": {"local": {"BulkPutBytes": 3 * 9}},
            "GlobalSecondaryIndexes": {"by-g": {"BulkPutBytes": 3 * 9}},
        }
    ]  # fmt: skip
    assert sorted(loader.items()) == ["a1", "a2", "a3"]
    assert "v" not in loader.items()["a1"]
    values = {":g": {"S": "g2"}}
    found = db.query(TableName="there", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues=values)
    assert [item["n"] for item in found["Items"]] == [{"N": "2"}]
    assert changes(client("dynamodbstreams"), loader.table["LatestStreamArn"]) == [
        ("INSERT", "1"), ("INSERT", "2"), ("INSERT", "3"), ("MODIFY", "1"),
    ]  # fmt: skip


def test_bulk_put__is_seen_by_metrics_insights_and_recovery(loader: Loader, client: Client, server: HeadraceServer) -> None:
    db, watch = loader.db, client("cloudwatch")
    db.update_contributor_insights(TableName="there", ContributorInsightsAction="ENABLE")
    db.update_continuous_backups(TableName="there", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    server.advance(2)
    before = server.page("/_headrace/clock")["now"]
    server.advance(2)
    large = {"Item": {"id": {"S": "b"}, "n": {"N": "1"}, "v": {"S": "x" * 2048}}}
    loader.object("in/1", *[line(n) for n in range(1, 6)], json.dumps(large))
    loader.ended(loader.start())
    end = server.page("/_headrace/clock")["now"]
    asked = {"StartTime": end - 3600, "EndTime": end + 120, "Period": 60}

    def used() -> float:
        points = watch.get_metric_statistics(
            Namespace="AWS/DynamoDB", MetricName="ConsumedWriteCapacityUnits", Statistics=["Sum"],
            Dimensions=[{"Name": "TableName", "Value": "there"}], **asked,
        )["Datapoints"]  # fmt: skip
        return sum(float(point["Sum"]) for point in points)

    eventually(lambda: used() == 8.0, 30)
    rule = db.describe_contributor_insights(TableName="there")["ContributorInsightsRuleList"][0]
    report = watch.get_insight_rule_report(RuleName=rule, MaxContributorCount=5, **asked)
    assert [(one["Keys"], one["ApproximateAggregateValue"]) for one in report["Contributors"]] == [(["a"], 5.0), (["b"], 3.0)]
    db.restore_table_to_point_in_time(SourceTableName="there", TargetTableName="then", RestoreDateTime=before)
    eventually(lambda: db.describe_table(TableName="then")["Table"]["TableStatus"] == "ACTIVE", 40)
    assert (db.scan(TableName="then")["Count"], len(loader.items())) == (0, 6)


def changes(streams: Any, arn: str) -> list[tuple[str, str]]:
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        records = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
        found += [(record["eventName"], record["dynamodb"]["Keys"]["n"]["N"]) for record in records]
    return sorted(found)


def test_bulk_put__conditions_and_errors_are_reported(loader: Loader) -> None:
    for n, v in ((1, 4), (2, 5)):
        loader.db.put_item(TableName="there", Item={"id": {"S": "a"}, "n": {"N": str(n)}, "v": {"N": str(v)}})
    loader.object(
        "in/1", line(1, **UNMET), line(2, **UNMET), line(3, **UNMET), "{no json", '{"Other": 1}', '{"Item": {"id": {"S": "a"}}}',
        line(4, Condition="attribute_exists(v)"), line(5, ConditionExpression="v <"),
        line(6, **{**UNMET, "ConditionExpression": 7}), '{"Item": {"id": {"S": "a"}, "n": {"N": "7"}, "g": {"N": "1"}}}',
        '{"Item": {"id": {"S": "a"}, "n": {"N": "8"}, "v": {"S": 5}}}',
    )  # fmt: skip
    done = loader.ended(loader.start())
    assert done["BulkOperationStatus"] == "COMPLETED_WITH_ERRORS"
    assert (done["ProcessedItemCount"], done["FailedItemCount"]) == (11, 8)
    assert sorted(loader.items()) == ["a1", "a2", "a3"]
    assert loader.items()["a2"]["v"] == {"N": "5"}
    (unmet,) = loader.report(done, "CONDITION_CHECK_FAILURE")
    assert unmet == {
        "itemS3Pointer": {"bucket": loader.bucket, "key": "in/1", "itemIndex": 1},
        "Item": {"id": {"S": "a"}, "n": {"N": "2"}, "g": {"S": "g2"}},
        "ExistingItem": {"id": {"S": "a"}, "n": {"N": "2"}, "v": {"N": "5"}},
    }
    faults = {one["itemS3Pointer"]["itemIndex"]: one["errorMessages"][0] for one in loader.report(done, "ERROR")}
    assert sorted(faults) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert "is no JSON" in faults[3]
    assert '"Other"' in faults[4]
    assert "Missing the key n in the item" in faults[5]
    assert '"Condition"' in faults[6]
    assert "Invalid ConditionExpression" in faults[7]
    assert "Type mismatch" in faults[9]


def test_bulk_put__conditions_alone_are_no_errors__and_only_what_is_asked_for_is_reported(loader: Loader) -> None:
    loader.db.put_item(TableName="there", Item={"id": {"S": "a"}, "n": {"N": "2"}, "v": {"N": "5"}})
    loader.object("in/1", line(2, **UNMET))
    done = loader.ended(loader.start())
    assert (done["BulkOperationStatus"], done["FailedItemCount"]) == ("COMPLETED", 0)
    loader.object("in/2", "{")
    output = {"S3Bucket": loader.bucket, "S3KeyPrefix": "out", "OutputType": ["ERROR"]}
    done = loader.ended(loader.start(OutputS3Configuration=output))
    assert (len(loader.report(done, "ERROR")), loader.report(done, "CONDITION_CHECK_FAILURE")) == (1, [])


def test_bulk_put__ion_and_compression(loader: Loader) -> None:
    ion = (
        b'$ion_1_0 {Item:{id:"a",n:1.,s:$dynamodb_SS::["x","y"]}}\n'
        b'{Item:{id:"a",n:2.},ConditionExpression:"attribute_exists(#v) OR n = :n",'
        b"ExpressionAttributeNames:{'#v':\"v\"},ExpressionAttributeValues:{':n':2.}}\n"
        b'{Item:{id:"a",n:3.},Other:1}\n'
    )
    for kind, data in (("GZIP", gzip.compress(ion)), ("ZSTD", zstandard.compress(ion))):
        loader.s3.put_object(Bucket=loader.bucket, Key=f"{kind}/1", Body=data)
        done = loader.ended(loader.start("ION", kind, f"{kind}/"))
        assert (done["ProcessedItemCount"], done["FailedItemCount"], done["TotalInputBytes"]) == (3, 1, len(data))
        assert len(loader.report(done, "CONDITION_CHECK_FAILURE")) == 1
        assert loader.items() == {"a1": {"id": {"S": "a"}, "n": {"N": "1"}, "s": {"SS": ["x", "y"]}}}
    done = loader.ended(loader.start("DYNAMODB_JSON", "GZIP", "ZSTD/"))
    (fault,) = loader.report(done, "ERROR")
    assert fault["itemS3Pointer"] == {"bucket": loader.bucket, "key": "ZSTD/1"}
    assert "not compressed with GZIP" in fault["errorMessages"][0]


def test_bulk_put__tokens_pages_and_refusals(loader: Loader) -> None:
    db = loader.db
    loader.object("in/1", line(1))
    first = loader.start(ClientToken="t")
    assert loader.start(ClientToken="u")["BulkOperationArn"] != first["BulkOperationArn"]
    source = {"S3Bucket": loader.bucket, "S3KeyPrefix": "in/", "InputFormat": "DYNAMODB_JSON"}
    output = {"S3Bucket": loader.bucket, "S3KeyPrefix": "out", "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"]}
    given = {"TableName": "there", "InputS3Configuration": source, "OutputS3Configuration": output, "ClientToken": "t"}
    again = db.start_bulk_put_items(**given)["BulkOperationDescription"]
    assert again["BulkOperationArn"] == first["BulkOperationArn"]
    code, message = refused(db.start_bulk_put_items, **{**given, "MaxWriteRequestUnits": 2000})
    assert (code, message) == ("IdempotentParameterMismatchException", "Request parameters do not match the existing token")
    del given["ClientToken"]
    for _ in range(3):
        loader.start()
    pages = [db.list_bulk_operations(MaxResults=2)]
    while "NextToken" in pages[-1]:
        pages.append(db.list_bulk_operations(MaxResults=2, NextToken=pages[-1]["NextToken"]))
    listed = [one for page in pages for one in page["BulkOperationsSummaryList"]]
    assert [len(page["BulkOperationsSummaryList"]) for page in pages] == [2, 2, 1]
    assert [one["StartTime"] for one in listed] == sorted((one["StartTime"] for one in listed), reverse=True)
    assert len({one["BulkOperationArn"] for one in listed}) == 5
    code, message = refused(db.start_bulk_put_items, **{**given, "TableName": "nowhere"})
    assert (code, message) == ("ResourceNotFoundException", "Requested resource not found: Table: nowhere not found")
    assert refused(db.describe_bulk_operation, BulkOperationArn=loader.table["TableArn"] + "/bulk-operation/none")[0] == (
        "ResourceNotFoundException"
    )
    kms = {**output, "S3SseAlgorithm": "KMS"}
    assert "keys of KMS" in refused(db.start_bulk_put_items, **{**given, "OutputS3Configuration": kms})[1]
    assert "S3Bucket" in refused(db.start_bulk_put_items, **{**given, "OutputS3Configuration": {"OutputType": ["ERROR"]}})[1]
    failed = loader.ended(loader.start(InputS3Configuration={**source, "S3Bucket": "no-such-bucket-here"}))
    assert (failed["BulkOperationStatus"], failed["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    ended = loader.ended(first)
    assert "COMPLETED" in refused(db.cancel_bulk_operation, BulkOperationArn=ended["BulkOperationArn"])[1]


def test_cancel__what_was_put_stays(loader: Loader) -> None:
    # 1024 units a second, and items of 300: the second batch has to wait.
    item = {"id": {"S": "a"}, "v": {"S": "x" * 300 * 1024}}
    loader.object("in/1", *[json.dumps({"Item": {**item, "n": {"N": str(n)}}}) for n in range(24)])
    begun = loader.start(MaxWriteRequestUnits=1024)
    arn = begun["BulkOperationArn"]
    assert begun["MaxWriteRequestUnits"] == 1024
    eventually(lambda: loader.described(arn)["ProcessedItemCount"])
    in_use = {"TableName": "there", "ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]}
    assert "bulk operation in progress" in refused(loader.db.update_table, **in_use)[1]
    cancelled = loader.db.cancel_bulk_operation(BulkOperationArn=arn)
    assert cancelled == {**cancelled, "BulkOperationArn": arn, "BulkOperationStatus": "CANCELLING"}
    done = loader.ended(begun)
    assert (done["BulkOperationStatus"], done["FailureCode"]) == ("CANCELLED", "Cancelled")
    assert 0 < done["ProcessedItemCount"] == len(loader.items()) < 24
    assert 0 < done["ProcessedInputBytes"] <= done["TotalInputBytes"]


def test_bulk_put__a_global_table_is_refused__a_table_that_goes_fails(loader: Loader) -> None:
    loader.object(
        "in/1", *[json.dumps({"Item": {"id": {"S": "a"}, "n": {"N": str(n)}, "v": {"S": "x" * 300 * 1024}}}) for n in range(12)]
    )
    begun = loader.start(MaxWriteRequestUnits=1024)
    eventually(lambda: loader.described(begun["BulkOperationArn"])["ProcessedItemCount"])
    loader.db.delete_table(TableName="there")
    done = loader.ended(begun)
    assert (done["BulkOperationStatus"], done["FailureCode"]) == ("FAILED", "ResourceNotFoundException")
    loader.db.create_table(**TABLE)
    loader.db.update_table(TableName="there", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    with pytest.raises(ClientError, match="part of a global table"):
        loader.start()


def test_bulk_put__waits_where_throughput_is_held_to(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data", "--enforce-limits").start()
    try:
        loader = Loader(server.client, "the-bucket")
        loader.db.update_table(TableName="there", OnDemandThroughput={"MaxWriteRequestUnits": 1})
        # 300 units are there at once; each item uses 200.
        item = {"id": {"S": "a"}, "v": {"S": "x" * 199 * 1024}}
        loader.object("in/1", *[json.dumps({"Item": {**item, "n": {"N": str(n)}}}) for n in range(4)])
        begun = loader.start()
        eventually(lambda: loader.described(begun["BulkOperationArn"])["ProcessedItemCount"] == 2)
        server.advance(400)
        eventually(lambda: loader.described(begun["BulkOperationArn"])["ProcessedItemCount"] >= 3)
        server.advance(400)
        done = loader.ended(begun)
        assert (done["BulkOperationStatus"], done["ProcessedItemCount"]) == ("COMPLETED", 4)
    finally:
        server.kill()


@pytest.mark.timeout(120)
def test_bulk_put__killed_in_the_middle__puts_and_reports_all_once(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        loader = Loader(server.client, "the-bucket")
        for file in range(4):
            lines = [
                "{" if n % 10 == 3 else json.dumps({"Item": {"id": {"S": f"f{file}"}, "n": {"N": str(n)}}}) for n in range(2000)
            ]
            loader.object(f"in/{file}", *lines)
        begun = loader.start()
        for _ in range(4):
            time.sleep(0.05)
            server.kill()
            server.start()
        done = loader.ended(begun)
        assert (done["BulkOperationStatus"], done["ProcessedItemCount"], done["FailedItemCount"]) == (
            "COMPLETED_WITH_ERRORS", 8000, 800,
        )  # fmt: skip
        assert len(loader.items()) == loader.db.describe_table(TableName="there")["Table"]["ItemCount"] == 7200
        pointers = [one["itemS3Pointer"] for one in loader.report(done, "ERROR")]
        assert len({(one["key"], one["itemIndex"]) for one in pointers}) == len(pointers) == 800
        size = loader.db.describe_table(TableName="there")["Table"]["TableSizeBytes"]
        assert done["BulkOperationUsage"][0]["Table"]["BulkPutBytes"] == size
    finally:
        server.kill()
