"""Metrics: putting values in, and reading statistics of them."""

from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.operation import Context, operation
from headrace.services.cloudwatch import limits, rules, state
from headrace.services.cloudwatch.engine import statistics
from headrace.services.cloudwatch.errors import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    MissingRequiredParameterException,
)
from headrace.services.cloudwatch.rules import Point, Series, Slot

Structure = dict[str, Any]


@operation(transaction=False)
def put_metric_data(ctx: Context, *, namespace: str, metric_data: list[Structure] | None = None) -> None:
    """Add values to metrics.

    Differs from AWS: everything is kept by the minute, also with a StorageResolution of one second.
    """
    if not metric_data:
        raise MissingRequiredParameterException("The parameter MetricData is required.")
    if len(metric_data) > limits.METRICS_PER_REQUEST_MAX:
        raise InvalidParameterValueException(
            f"The collection MetricData must not have a size greater than {limits.METRICS_PER_REQUEST_MAX}."
        )
    now = ctx.clock.now()
    batch: dict[Slot, statistics.Statistics] = {}
    for number, datum in enumerate(metric_data, 1):
        minute, unit, one = rules.read_datum(datum, f"MetricData.member.{number}", now)
        series = Series(ctx.account, ctx.region, namespace, datum["MetricName"], rules.dimensions(datum.get("Dimensions")))
        slot = Slot(series, minute, unit)
        batch[slot] = statistics.add(batch[slot], one) if slot in batch else one
    ctx.transact(lambda inner: state.add(inner.tx, batch, now))


@operation(transaction=False)
def get_metric_statistics(
    ctx: Context, *, namespace: str, metric_name: str, start_time: float, end_time: float, period: int,
    dimensions: list[Structure] | None = None, statistics: list[str] | None = None,
    extended_statistics: list[str] | None = None, unit: str | None = None,
) -> Structure:  # fmt: skip
    """Read statistics of one metric; periods are counted from StartTime, and at most 1,440 come back."""
    if not statistics and not extended_statistics:
        raise MissingRequiredParameterException("Must specify either Statistics or ExtendedStatistics")
    if statistics and extended_statistics:
        raise InvalidParameterCombinationException("Statistics and ExtendedStatistics cannot both be specified.")
    names = [rules.check_statistic(name) for name in (statistics or extended_statistics or ())]
    rules.check_period(period)
    rules.check_times(start_time, end_time)
    rules.check_datapoints(start_time, end_time, period)
    series = Series(ctx.account, ctx.region, namespace, metric_name, rules.dimensions(dimensions))
    points = _read(ctx, series, start_time, start_time, end_time, period, unit)
    return {
        "Label": metric_name,
        "Datapoints": [_datapoint(point, names, extended=bool(extended_statistics)) for point in points],
    }


@operation(transaction=False)
def get_metric_data(
    ctx: Context, *, metric_data_queries: list[Structure], start_time: float, end_time: float,
    scan_by: str = "TimestampDescending", max_datapoints: int | None = None,
) -> Structure:  # fmt: skip
    """Read one statistic of each of up to 500 metrics; periods begin at whole multiples of their length.

    Differs from AWS: expressions are refused, and all comes at once: more data points than may come are an error, not a token.
    """
    rules.check_times(start_time, end_time)
    if len(metric_data_queries) > limits.QUERIES_MAX:
        raise InvalidParameterValueException(f"At most {limits.QUERIES_MAX} queries may be asked at one time.")
    results = []
    total = 0
    for query in metric_data_queries:
        result = _answer(ctx, query, start_time, end_time, descending=scan_by == "TimestampDescending")
        total += len(result["Values"])
        if total > min(max_datapoints or limits.QUERY_DATAPOINTS_MAX, limits.QUERY_DATAPOINTS_MAX):
            raise InvalidParameterCombinationException(
                "The queries have more data points than may come at one time. Increase Period, or decrease the time range."
            )
        if query.get("ReturnData", True):
            results.append(result)
    return {"MetricDataResults": results, "Messages": []}


@operation(transaction=False)
def list_metrics(
    ctx: Context, *, namespace: str | None = None, metric_name: str | None = None,
    dimensions: list[Structure] | None = None, next_token: str | None = None, recently_active: str | None = None,
) -> Structure:  # fmt: skip
    """List metrics that got values in the last two weeks (or, with RecentlyActive, three hours), 500 a page."""
    oldest = ctx.clock.now() - (limits.RECENT_SECONDS if recently_active else limits.LISTED_SECONDS)
    after = rules.read_token(next_token)

    def body(inner: Context) -> list[Series]:
        found: list[Series] = []
        rows = state.list_series(inner.tx, inner.account, inner.region, namespace, metric_name, after)
        for series, seen in rows:
            if seen >= oldest and _has(series, dimensions):
                found.append(series)
                if len(found) > limits.LIST_METRICS_MAX:
                    break
        return found

    found = ctx.snapshot(body)
    shown = found[: limits.LIST_METRICS_MAX]
    answer: Structure = {"Metrics": [_show(series) for series in shown]}
    if len(found) > len(shown):
        last = shown[-1]
        answer["NextToken"] = rules.token((last.namespace, last.name, last.dimensions))
    return answer


def _answer(ctx: Context, query: Structure, start: float, end: float, *, descending: bool) -> Structure:
    asked = query.get("MetricStat")
    if query.get("Expression") is not None or asked is None:
        raise UnsupportedParameter("GetMetricData: expressions are not supported; ask for metrics by MetricStat")
    if query.get("AccountId") not in (None, ctx.account):
        raise UnsupportedParameter("GetMetricData: metrics of other accounts are not supported")
    name = rules.check_statistic(asked["Stat"])
    period = rules.check_period(asked["Period"])
    metric = asked["Metric"]
    if not metric.get("Namespace") or not metric.get("MetricName"):
        raise MissingRequiredParameterException("MetricStat.Metric must have a Namespace and a MetricName.")
    dimensions = rules.dimensions(metric.get("Dimensions"))
    series = Series(ctx.account, ctx.region, metric["Namespace"], metric["MetricName"], dimensions)
    begin = int(start) // period * period
    points = _read(ctx, series, begin, begin, end, period, asked.get("Unit"))
    found = [(point.at, value) for point in points if (value := statistics.statistic(point.of, name)) is not None]
    found.sort(key=lambda pair: pair[0], reverse=descending)
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or metric["MetricName"],
        "Timestamps": [at for at, _ in found],
        "Values": [value for _, value in found],
        "StatusCode": "Complete",
    }


def _read(ctx: Context, series: Series, origin: float, start: float, end: float, period: int, unit: str | None) -> list[Point]:
    def body(inner: Context) -> list[Point]:
        rows = []
        for row in state.buckets(inner.tx, series, start, end, unit):
            rows.append(row)
            if len(rows) > limits.READ_BUCKETS_MAX:
                raise InvalidParameterCombinationException("The time range holds too much data. Decrease it.")
        return rules.in_periods(rows, origin, period)

    return ctx.snapshot(body)


def _datapoint(point: Point, names: list[str], *, extended: bool) -> Structure:
    values = {name: value for name in names if (value := statistics.statistic(point.of, name)) is not None}
    own: Structure = {"ExtendedStatistics": values} if extended else values
    return {"Timestamp": point.at, "Unit": point.unit, **own}


def _has(series: Series, wanted: list[Structure] | None) -> bool:
    given = dict(series.dimensions)
    return all(one["Name"] in given and one.get("Value") in (None, given[one["Name"]]) for one in wanted or ())


def _show(series: Series) -> Structure:
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    return {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions}
