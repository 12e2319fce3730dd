"""Metrics, as boto3 sees them, and the port that adds values up."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

from headrace.ports import Metric
from headrace.services.cloudwatch import limits, state
from headrace.services.cloudwatch.aggregator import Aggregator
from headrace.store.memory import MemoryStore


@pytest.fixture
def cloudwatch(client):
    return client("cloudwatch")


@pytest.fixture
def start(server):
    """The beginning of an hour that is over."""
    now = datetime.fromtimestamp(server.page("/_headrace/clock")["now"], UTC)
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return error["Message"]


def put(cloudwatch, name, *data, namespace="Bank"):
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": name, **datum} for datum in data])


def read(cloudwatch, name, start, *, period=60, **more):
    answer = cloudwatch.get_metric_statistics(
        Namespace="Bank", MetricName=name, StartTime=start, EndTime=start + timedelta(hours=1), Period=period, **more
    )
    assert answer["Label"] == name
    return answer["Datapoints"]


def test_statistics__by_the_minute_and_longer(cloudwatch, start):
    minute = timedelta(minutes=1)
    put(
        cloudwatch,
        "Latency",
        {"Timestamp": start, "Value": 10, "Unit": "Milliseconds"},
        {"Timestamp": start + minute / 2, "Value": 30, "Unit": "Milliseconds"},
        {"Timestamp": start + minute, "Value": 2, "Unit": "Milliseconds"},
    )
    every = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]
    first, second = read(cloudwatch, "Latency", start, Statistics=every)
    assert first == {
        "Timestamp": start, "SampleCount": 2.0, "Sum": 40.0, "Average": 20.0, "Minimum": 10.0, "Maximum": 30.0,
        "Unit": "Milliseconds",
    }  # fmt: skip
    assert (second["Timestamp"], second["Sum"]) == (start + minute, 2.0)
    (both,) = read(cloudwatch, "Latency", start, period=300, Statistics=["Sum", "Maximum"])
    assert (both["Timestamp"], both["Sum"], both["Maximum"]) == (start, 42.0, 30.0)
    assert read(cloudwatch, "Latency", start, Statistics=["Sum"], Unit="Seconds") == []
    assert read(cloudwatch, "Latency", start, Statistics=["Sum"], Dimensions=[{"Name": "a", "Value": "b"}]) == []


def test_statistics__percentiles(cloudwatch, start):
    put(cloudwatch, "P", {"Timestamp": start, "Values": [float(n) for n in range(1, 101)], "Counts": [1.0] * 100})
    (point,) = read(cloudwatch, "P", start, ExtendedStatistics=["p50", "p99"])
    assert point["ExtendedStatistics"]["p50"] == pytest.approx(50, rel=0.02)
    assert point["ExtendedStatistics"]["p99"] == pytest.approx(99, rel=0.02)


def test_statistics__sets_and_counts(cloudwatch, start):
    put(
        cloudwatch,
        "S",
        {"Timestamp": start, "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5}},
        {"Timestamp": start, "Values": [7, 8], "Counts": [2, 1]},
    )
    (point,) = read(cloudwatch, "S", start, Statistics=["SampleCount", "Sum", "Maximum"])
    assert (point["SampleCount"], point["Sum"], point["Maximum"]) == (7, 32, 8)


def test_put__refuses(cloudwatch, start):
    call = cloudwatch.put_metric_data

    def data(**datum):
        return {"Namespace": "Bank", "MetricData": [{"MetricName": "m", **datum}]}

    refused("MissingParameter", call, **data())
    refused("InvalidParameterCombination", call, **data(Value=1, Values=[1]))
    refused("InvalidParameterValue", call, **data(Value=1e200))
    refused("InvalidParameterValue", call, **data(Values=[1, 2], Counts=[1]))
    refused("InvalidParameterValue", call, **data(Value=1, Timestamp=start - timedelta(days=20)))
    refused("InvalidParameterValue", call, **data(Value=1, Timestamp=start + timedelta(days=1)))


def test_read__refuses(cloudwatch, start):
    def ask(code, **more):
        values = {"StartTime": start, "EndTime": start + timedelta(hours=1), "Period": 60, "Statistics": ["Sum"]}
        return refused(code, cloudwatch.get_metric_statistics, Namespace="Bank", MetricName="m", **{**values, **more})

    ask("InvalidParameterValue", Period=90)
    ask("InvalidParameterCombination", EndTime=start)
    assert "exceeds the limit of 1440" in ask("InvalidParameterCombination", EndTime=start + timedelta(days=2))
    refused(
        "InvalidParameterValue",
        cloudwatch.get_metric_statistics,
        Namespace="Bank",
        MetricName="m",
        StartTime=start,
        EndTime=start + timedelta(hours=1),
        Period=60,
        ExtendedStatistics=["tm99"],
    )


def test_get_metric_data__answers_each_query(cloudwatch, start):
    for index in range(3):
        put(cloudwatch, "A", {"Timestamp": start + timedelta(minutes=index), "Value": index + 1})
    put(cloudwatch, "B", {"Timestamp": start, "Value": 9, "Dimensions": [{"Name": "f", "Value": "x"}]})

    def query(name, stat, dimensions=(), **more):
        metric = {"Namespace": "Bank", "MetricName": name, "Dimensions": list(dimensions)}
        return {"Id": name.lower(), "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}, **more}

    times = {"StartTime": start, "EndTime": start + timedelta(minutes=10)}
    a, b = cloudwatch.get_metric_data(
        MetricDataQueries=[query("A", "Sum"), query("B", "Maximum", [{"Name": "f", "Value": "x"}], Label="b!")], **times
    )["MetricDataResults"]
    assert a["Values"] == [3.0, 2.0, 1.0]
    assert a["Timestamps"] == [start + timedelta(minutes=2), start + timedelta(minutes=1), start]
    assert (b["Id"], b["Label"], b["Values"], b["StatusCode"]) == ("b", "b!", [9.0], "Complete")
    (up,) = cloudwatch.get_metric_data(MetricDataQueries=[query("A", "Sum")], ScanBy="TimestampAscending", **times)[
        "MetricDataResults"
    ]
    assert up["Values"] == [1.0, 2.0, 3.0]
    message = refused("NotImplemented", cloudwatch.get_metric_data, MetricDataQueries=[{"Id": "e", "Expression": "a+b"}], **times)
    assert "expressions" in message


def test_list_metrics__by_namespace_name_and_dimension(cloudwatch):
    put(cloudwatch, "A", {"Value": 1}, {"Value": 1, "Dimensions": [{"Name": "f", "Value": "x"}]})
    put(cloudwatch, "B", {"Value": 1, "Dimensions": [{"Name": "g", "Value": "y"}, {"Name": "f", "Value": "x"}]})
    put(cloudwatch, "A", {"Value": 1}, namespace="Other")
    metrics = cloudwatch.list_metrics()["Metrics"]
    assert [(one["Namespace"], one["MetricName"], len(one["Dimensions"])) for one in metrics] == [
        ("Bank", "A", 0), ("Bank", "A", 1), ("Bank", "B", 2), ("Other", "A", 0),
    ]  # fmt: skip
    assert len(cloudwatch.list_metrics(Namespace="Bank", MetricName="A")["Metrics"]) == 2
    assert len(cloudwatch.list_metrics(MetricName="A")["Metrics"]) == 3
    found = cloudwatch.list_metrics(Dimensions=[{"Name": "f", "Value": "x"}])["Metrics"]
    assert [one["MetricName"] for one in found] == ["A", "B"]
    assert len(cloudwatch.list_metrics(RecentlyActive="PT3H")["Metrics"]) == 4


def test_alarms__are_refused_clearly(cloudwatch):
    message = refused("UnknownOperationException", cloudwatch.describe_alarms)
    assert "cloudwatch DescribeAlarms" in message


class Place:
    """As much of a scope as the port needs."""

    account, region = "111122223333", "us-east-1"

    def __init__(self, store, clock):
        self.store, self.clock = store, clock


class StoppedClock:
    def now(self):
        return 1_700_000_000.0


def test_port__adds_up_and_keeps_in_one_commit():
    store = MemoryStore()
    scope = Place(store, StoppedClock())
    port = Aggregator()
    for value in (1.0, 2.0, 3.0):
        port.put(scope, "AWS/Lambda", [Metric("Duration", value, "Milliseconds", (("FunctionName", "f"),))])
    assert port.pending == 1

    def failing(body):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        port.flush(failing, scope.clock.now())
    assert port.pending == 1

    class Inner:
        def __init__(self, tx):
            self.tx = tx

    port.flush(lambda body: store.transact(lambda tx: body(Inner(tx))), scope.clock.now())
    assert port.pending == 0
    ((key, found),) = store.snapshot(lambda tx: list(state.BUCKETS.scan(tx)))
    assert (found.count, found.sum, found.least, found.most, key[-1]) == (3.0, 6.0, 1.0, 3.0, "Milliseconds")
    store.close()


def test_port__is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "PENDING_MAX", 2)
    store = MemoryStore()
    port = Aggregator()
    port.put(Place(store, StoppedClock()), "N", [Metric(f"m{number}", 1.0) for number in range(5)])
    assert port.pending == 2
    store.close()


def test_metrics__are_forgotten_after_their_time(tmp_path):
    server = HeadraceServer(tmp_path / "data").start()
    try:
        cloudwatch = server.client("cloudwatch")
        put(cloudwatch, "A", {"Value": 1})
        server.advance(16 * 86_400)
        now = datetime.fromtimestamp(server.page("/_headrace/clock")["now"], UTC)

        def left():
            return cloudwatch.get_metric_statistics(
                Namespace="Bank",
                MetricName="A",
                StartTime=now - timedelta(days=20),
                EndTime=now,
                Period=86_400,
                Statistics=["Sum"],
            )["Datapoints"]

        eventually(lambda: left() == [])
        assert cloudwatch.list_metrics()["Metrics"] == []
    finally:
        server.stop()
