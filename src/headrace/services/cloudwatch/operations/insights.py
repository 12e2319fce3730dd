"""Contributor Insights: the rules that services of this server have, and what they found."""

import json
import math
from collections import defaultdict
from typing import Any

from headrace.operation import Context, operation
from headrace.ports import InsightRule, InsightRules
from headrace.services.cloudwatch import limits, rules
from headrace.services.cloudwatch.errors import InvalidNextToken, InvalidParameterValueException, ResourceNotFoundException

_SCHEMA = json.dumps({"Name": "ServiceLogRule", "Version": 1})
_METRICS = ("UniqueContributors", "MaxContributorValue", "SampleCount", "Sum", "Minimum", "Maximum", "Average")
_Minutes = dict[tuple[str, ...], float]
_Totals = dict[int, float]


@operation(transaction=False)
def describe_insight_rules(ctx: Context, *, next_token: str | None = None, max_results: int | None = None) -> dict[str, Any]:
    """The rules of the services of this server, in the order of their names. Rules of one's own can't be made."""
    count = max_results or limits.INSIGHT_RULES_PAGE
    rules_now = _rules(ctx)
    found = sorted(rules_now)
    if next_token is not None and next_token not in found:
        raise InvalidNextToken("The NextToken is not valid.")
    names = [name for name in found if next_token is None or name > next_token]
    shown = [_rule(rules_now[name][0]) for name in names[:count]]
    return {"InsightRules": shown, **({"NextToken": names[count - 1]} if len(names) > count else {})}


def _rules(ctx: Context) -> dict[str, tuple[InsightRule, InsightRules]]:
    return {rule.name: (rule, source) for source in ctx.ports.insights.values() for rule in source.rules(ctx)}


def _rule(rule: InsightRule) -> dict[str, Any]:
    definition = {
        "Schema": json.loads(_SCHEMA), "AggregateOn": rule.aggregate,
        "Contribution": {"Keys": [f"$.{label}" for label in rule.labels], "Filters": []},
    }  # fmt: skip
    text = json.dumps(definition)
    return {"Name": rule.name, "State": "ENABLED", "Schema": _SCHEMA, "Definition": text, "ManagedRule": True}


@operation(transaction=False)
def get_insight_rule_report(
    ctx: Context, *, rule_name: str, start_time: float, end_time: float, period: int,
    max_contributor_count: int | None = None, metrics: list[str] | None = None, order_by: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The contributors with the most in a range of at most 24 hours, and what they have in each of its periods.

    Differs from AWS: contributors are counted up to as many as the rule's service keeps of a minute.
    """
    count = limits.CONTRIBUTORS_DEFAULT if max_contributor_count is None else max_contributor_count
    if not 0 < count <= limits.CONTRIBUTORS_MAX:
        raise InvalidParameterValueException(f"MaxContributorCount must be between 1 and {limits.CONTRIBUTORS_MAX}.")
    if order_by not in (None, "Sum", "Maximum"):
        raise InvalidParameterValueException("OrderBy must be Sum or Maximum.")
    for name in metrics or ():
        if name not in _METRICS:
            raise InvalidParameterValueException(f"There is no metric {name} of a rule.")
    rules.check_period(period)
    if period % 60:
        raise InvalidParameterValueException("Period must be a multiple of 60.")
    rules.check_times(start_time, end_time)
    if end_time - start_time > limits.REPORT_MAX_SECONDS:
        raise InvalidParameterValueException("A report is of 24 hours at most.")
    rule, source = _rules(ctx).get(rule_name, (None, None))
    if rule is None or source is None:
        raise ResourceNotFoundException(f"The rule {rule_name} does not exist.")
    try:
        found = source.minutes(ctx, rule_name, int(start_time) // 60, math.ceil(end_time / 60))
    except LookupError:
        raise ResourceNotFoundException(f"The rule {rule_name} does not exist.") from None
    periods: dict[int, _Minutes] = {}
    totals: _Totals = defaultdict(float)
    for minute, (all_of_it, sums) in sorted(found.items()):
        start = minute * 60 // period * period
        totals[start] += all_of_it
        part = periods.setdefault(start, defaultdict(float))
        for key, amount in sums.items():
            part[key] += amount
    return _report(rule, totals, periods, count, order_by or "Sum", metrics or [])


def _report(
    rule: InsightRule, totals: _Totals, periods: dict[int, _Minutes], count: int, order_by: str, metrics: list[str]
) -> dict[str, Any]:
    sums: _Minutes = defaultdict(float)
    for part in periods.values():
        for key, amount in part.items():
            sums[key] = max(sums[key], amount) if order_by == "Maximum" else sums[key] + amount
    first = sorted(sums, key=lambda key: (-sums[key], key))[:count]
    answer: dict[str, Any] = {
        "KeyLabels": list(rule.labels), "AggregationStatistic": "SampleCount" if rule.aggregate == "Count" else "Sum",
        "AggregateValue": sum(totals.values()), "ApproximateUniqueCount": len(sums),
        "Contributors": [_contributor(key, sums[key], periods) for key in first],
    }  # fmt: skip
    if metrics:
        answer["MetricDatapoints"] = [_datapoint(start, part, totals[start], metrics) for start, part in periods.items()]
    return answer


def _contributor(key: tuple[str, ...], amount: float, periods: dict[int, _Minutes]) -> dict[str, Any]:
    points = [{"Timestamp": start, "ApproximateValue": part[key]} for start, part in periods.items() if key in part]
    return {"Keys": list(key), "ApproximateAggregateValue": amount, "Datapoints": points}


def _datapoint(start: int, part: _Minutes, whole: float, metrics: list[str]) -> dict[str, Any]:
    most = max(part.values())
    values = {
        "UniqueContributors": len(part), "MaxContributorValue": most, "SampleCount": whole, "Sum": whole, "Maximum": most,
        "Minimum": min(part.values()), "Average": whole / len(part),
    }  # fmt: skip
    return {"Timestamp": start, **{name: values[name] for name in metrics}}
