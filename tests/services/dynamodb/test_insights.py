"""Contributor insights: which keys are used and throttled most, as CloudWatch reports it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Clients = Callable[..., Any]


def make(db: Any, name: str = "world", **more: Any) -> None:
    db.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": one, "AttributeType": kind} for one, kind in (("id", "S"), ("n", "N"), ("g", "S"))
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                **({"ProvisionedThroughput": more["ProvisionedThroughput"]} if more else {}),
            }
        ],
        **(more or {"BillingMode": "PAY_PER_REQUEST"}),
    )


def enable(db: Any, **more: Any) -> dict[str, str]:
    """The names of the rules by their kind."""
    db.update_contributor_insights(TableName="world", ContributorInsightsAction="ENABLE", **more)
    more.pop("ContributorInsightsMode", None)
    described = db.describe_contributor_insights(TableName="world", **more)
    return {name.split("-")[1]: name for name in described["ContributorInsightsRuleList"]}


def report(server: HeadraceServer, watch: Any, rule: str, **more: Any) -> dict[tuple[str, ...], float]:
    now = server.page("/_headrace/clock")["now"]
    asked = {"RuleName": rule, "StartTime": now - 7200, "EndTime": now + 60, "Period": 60, **more}
    found = watch.get_insight_rule_report(**asked)
    return {tuple(one["Keys"]): one["ApproximateAggregateValue"] for one in found["Contributors"]}


def item(name: str, number: int, **more: str) -> dict[str, Any]:
    return {"id": {"S": name}, "n": {"N": str(number)}, **{key: {"S": text} for key, text in more.items()}}


def test_insights__are_off__and_switched_on_and_off(client: Clients) -> None:
    db = client("dynamodb")
    make(db)
    described = db.describe_contributor_insights(TableName="world")
    assert described["ContributorInsightsStatus"] == "DISABLED"
    assert "ContributorInsightsRuleList" not in described
    rules = enable(db)
    assert sorted(rules) == ["PKC", "PKT", "SKC", "SKT"]
    assert re.fullmatch(r"DynamoDBContributorInsights-PKC-world-\d{13}", rules["PKC"])
    described = db.describe_contributor_insights(TableName="world")
    assert described["ContributorInsightsStatus"] == "ENABLED"
    assert described["ContributorInsightsMode"] == "ACCESSED_AND_THROTTLED_KEYS"
    assert sorted(enable(db, ContributorInsightsMode="THROTTLED_KEYS")) == ["PKT", "SKT"]
    assert sorted(enable(db, IndexName="by-g")) == ["PKC", "PKT"]
    db.update_contributor_insights(TableName="world", ContributorInsightsAction="DISABLE")
    described = db.describe_contributor_insights(TableName="world")
    assert (described["ContributorInsightsStatus"], described["ContributorInsightsRuleList"]) == ("DISABLED", [])
    assert db.describe_contributor_insights(TableName="world", IndexName="by-g")["ContributorInsightsStatus"] == "ENABLED"
    for arguments in ({"TableName": "nobody"}, {"TableName": "world", "IndexName": "nothing"}):
        with pytest.raises(ClientError, match="not found") as refused:
            db.describe_contributor_insights(**arguments)
        assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_insights__are_listed_in_pages(client: Clients) -> None:
    db = client("dynamodb")
    for name in ("world", "aaa", "bbb"):
        make(db, name)
    enable(db, IndexName="by-g")
    found, token = [], {}
    while True:
        page = db.list_contributor_insights(MaxResults=2, **token)
        found += page["ContributorInsightsSummaries"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [(one["TableName"], one.get("IndexName")) for one in found] == [
        (name, index) for name in ("aaa", "bbb", "world") for index in (None, "by-g")
    ]
    assert [one["ContributorInsightsStatus"] for one in found] == ["DISABLED"] * 5 + ["ENABLED"]
    assert db.list_contributor_insights(TableName="world")["ContributorInsightsSummaries"] == found[-2:]


def test_what_is_used__is_counted_by_its_capacity(server: HeadraceServer, client: Clients) -> None:
    db, watch = client("dynamodb"), client("cloudwatch")
    make(db)
    db.put_item(TableName="world", Item=item("before", 1))
    rules, of_index = enable(db), enable(db, IndexName="by-g")
    for number in range(4):
        db.put_item(TableName="world", Item=item("a", number, g="x"))
    db.put_item(TableName="world", Item=item("b", 1, text="x" * 2500))
    db.get_item(TableName="world", Key=item("b", 1), ConsistentRead=True)
    db.update_item(
        TableName="world", Key=item("a", 1), UpdateExpression="SET g = :g", ExpressionAttributeValues={":g": {"S": "y"}}
    )
    db.delete_item(TableName="world", Key=item("a", 3))
    assert report(server, watch, rules["PKC"]) == {("a",): 6.0, ("b",): 4.0}
    assert report(server, watch, rules["SKC"]) == {
        ("b", "1"): 4.0, ("a", "1"): 2.0, ("a", "3"): 2.0, ("a", "0"): 1.0, ("a", "2"): 1.0,
    }  # fmt: skip
    assert report(server, watch, rules["PKT"]) == {}
    # Four entries of x, one of them to y, one away.
    assert report(server, watch, of_index["PKC"]) == {("x",): 6.0, ("y",): 1.0}
    asked = {"KeyConditionExpression": "id = :a", "ExpressionAttributeValues": {":a": {"S": "a"}}, "ConsistentRead": True}
    db.query(TableName="world", **asked)
    db.batch_get_item(RequestItems={"world": {"Keys": [item("b", 1), item("c", 1)], "ConsistentRead": True}})
    db.transact_get_items(TransactItems=[{"Get": {"TableName": "world", "Key": item("c", 1)}}])
    db.execute_statement(Statement="SELECT * FROM world WHERE id = 'a' AND n = 0", ConsistentRead=True)
    found = report(server, watch, rules["PKC"])
    assert found == {("a",): pytest.approx(8.0), ("b",): 5.0, ("c",): 3.0}
    db.query(TableName="world", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": {"S": "y"}})
    assert report(server, watch, of_index["PKC"]) == {("x",): 6.0, ("y",): 1.5}
    assert report(server, watch, rules["PKC"]) == found


def test_an_index_of_several_attributes__counts_them_together(server: HeadraceServer, client: Clients) -> None:
    db, watch = client("dynamodb"), client("cloudwatch")
    make(db)
    key = [("g", "HASH"), ("h", "HASH"), ("i", "RANGE")]
    db.update_table(
        TableName="world",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in key],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "several",
                    "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in key],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    rules = enable(db, IndexName="several")
    db.put_item(TableName="world", Item=item("a", 1, g="x", h="y", i="z"))
    db.put_item(TableName="world", Item=item("a", 2, g="x", h="y", i="w"))
    db.put_item(TableName="world", Item=item("a", 3, g="x", h="y"))
    assert report(server, watch, rules["PKC"]) == {("x", "y"): 2.0}
    assert report(server, watch, rules["SKC"]) == {("x", "y", "z"): 1.0, ("x", "y", "w"): 1.0}
    now = server.page("/_headrace/clock")["now"]
    found = watch.get_insight_rule_report(RuleName=rules["SKC"], StartTime=now - 600, EndTime=now + 60, Period=60)
    assert found["KeyLabels"] == ["g", "h", "i"]


def test_reports__have_periods__a_total__and_the_most_first(server: HeadraceServer, client: Clients) -> None:
    db, watch = client("dynamodb"), client("cloudwatch")
    make(db)
    rule = enable(db)["PKC"]
    for name, count in (("a", 1), ("b", 3), ("c", 2)):
        for number in range(count):
            db.put_item(TableName="world", Item=item(name, number))
    first = server.page("/_headrace/clock")["now"]
    server.advance(120)
    db.put_item(TableName="world", Item=item("a", 9))
    asked = {"RuleName": rule, "StartTime": first - 60, "EndTime": first + 240, "Period": 60}
    found = watch.get_insight_rule_report(**asked, MaxContributorCount=2, Metrics=["Sum", "UniqueContributors"])
    assert (found["KeyLabels"], found["AggregationStatistic"]) == (["id"], "Sum")
    assert (found["AggregateValue"], found["ApproximateUniqueCount"]) == (7.0, 3)
    assert [(one["Keys"], one["ApproximateAggregateValue"]) for one in found["Contributors"]] == [(["b"], 3.0), (["a"], 2.0)]
    assert sum(point["ApproximateValue"] for point in found["Contributors"][1]["Datapoints"]) == 2.0
    assert len(found["Contributors"][1]["Datapoints"]) == 2
    assert found["MetricDatapoints"][-1]["Sum"] == 1.0
    assert sum(point["Sum"] for point in found["MetricDatapoints"]) == 7.0
    assert report(server, watch, rule, StartTime=first + 60) == {("a",): 1.0}
    listed = {one["Name"]: one for one in watch.describe_insight_rules()["InsightRules"]}
    assert listed[rule]["State"] == "ENABLED"
    assert '"Keys": ["$.id"]' in listed[rule]["Definition"]
    for wrong, code in (
        ({"RuleName": "other"}, "ResourceNotFoundException"),
        ({"EndTime": first + 90_000}, "InvalidParameterValue"),
        ({"Period": 50}, "InvalidParameterValue"),
        ({"MaxContributorCount": 101}, "InvalidParameterValue"),
    ):
        with pytest.raises(ClientError) as refused:
            watch.get_insight_rule_report(**{**asked, **wrong})
        assert refused.value.response["Error"]["Code"].startswith(code)


def test_what_was_counted__outlives_a_kill__and_goes_with_the_table(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    db, watch = server.client("dynamodb"), server.client("cloudwatch")
    make(db)
    rule = enable(db)["PKC"]
    db.put_item(TableName="world", Item=item("a", 1))
    # A report keeps what was counted.
    assert report(server, watch, rule) == {("a",): 1.0}
    server.kill()
    server.start()
    db.put_item(TableName="world", Item=item("a", 1))
    assert server.stop() == 0
    server.start()
    assert report(server, watch, rule) == {("a",): 2.0}
    db.delete_table(TableName="world")
    assert watch.describe_insight_rules()["InsightRules"] == []
    make(db)
    again = enable(db)["PKC"]
    assert again != rule
    assert report(server, watch, again) == {}
    server.kill()


def test_what_is_throttled__is_counted(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data", environment={"HEADRACE_ENFORCE_LIMITS": "true"}).start()
    db, watch = server.client("dynamodb"), server.client("cloudwatch")
    make(db, ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    rules = enable(db, ContributorInsightsMode="THROTTLED_KEYS")
    big = item("big", 1, text="x" * 390_000)
    # Five minutes' worth of a unit a second is there, and each of these writes takes 381.
    db.put_item(TableName="world", Item=big)
    for _ in range(3):
        with pytest.raises(ClientError, match="ProvisionedThroughputExceededException"):
            db.put_item(TableName="world", Item=big)
    found = watch.get_insight_rule_report(
        RuleName=rules["SKT"], StartTime=server.page("/_headrace/clock")["now"] - 600,
        EndTime=server.page("/_headrace/clock")["now"] + 60, Period=60,
    )  # fmt: skip
    assert found["AggregationStatistic"] == "SampleCount"
    assert [(one["Keys"], one["ApproximateAggregateValue"]) for one in found["Contributors"]] == [(["big", "1"], 3.0)]
    server.kill()


def test_counts__are_kept_by_themselves(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    db = server.client("dynamodb")
    make(db)
    rule = enable(db)["PKC"]
    db.put_item(TableName="world", Item=item("a", 1))

    def kept() -> bool:
        # Nobody asks for a report, so nobody but the worker keeps it.
        return b"PKC" in (server.data / "store" / "data.mdb").read_bytes()

    eventually(kept)
    # The file has the bytes a moment before the commit is whole; commits come one after another.
    server.client("s3").create_bucket(Bucket="committed-later")
    server.kill()
    server.start()
    assert report(server, server.client("cloudwatch"), rule) == {("a",): 1.0}
    server.kill()
