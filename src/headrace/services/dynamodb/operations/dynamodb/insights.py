"""Contributor insights of tables and global indexes: switched on and off, described, listed."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import errors, insights, limits, state
from headrace.services.dynamodb.state import TableRow


@operation
def update_contributor_insights(
    ctx: Context,
    *,
    table_name: str,
    contributor_insights_action: str,
    index_name: str | None = None,
    contributor_insights_mode: str | None = None,
) -> dict[str, Any]:
    """Switch contributor insights on or off. Differs from AWS: that is done at once, so they are ENABLED or DISABLED already."""
    row = _own_row(ctx, table_name, index_name)
    enabled = contributor_insights_action == "ENABLE"
    insights.switch(ctx, row, index_name or "", enabled=enabled, mode=contributor_insights_mode)
    return _summary(row, index_name or "")


@operation(read_only=True)
def describe_contributor_insights(ctx: Context, *, table_name: str, index_name: str | None = None) -> dict[str, Any]:
    """Whether a table's or an index's keys are counted, and the names of the rules that CloudWatch has of it."""
    row = _own_row(ctx, table_name, index_name)
    name = index_name or ""
    answer = _summary(row, name)
    own = row.insights.get(name)
    if own is not None:
        answer["LastUpdateDateTime"] = own.changed_at
        answer["ContributorInsightsRuleList"] = [insights.rule_name(row, name, rule) for rule in insights.rules_of(row, name)]
    return answer


@operation(read_only=True)
def list_contributor_insights(
    ctx: Context, *, table_name: str | None = None, next_token: str | None = None, max_results: int | None = None
) -> dict[str, Any]:
    """The state of a table's insights and of those of its global indexes; without a table, of all tables."""
    count = max_results or limits.INSIGHTS_PAGE
    if not 0 < count <= limits.INSIGHTS_PAGE:
        raise ValidationException(f"MaxResults must be between 1 and {limits.INSIGHTS_PAGE}")
    after = tuple(next_token.split("/", 1)) if next_token else None
    if after is not None and len(after) != 2:
        raise ValidationException("The NextToken is not valid")
    if table_name is not None:
        rows = [state.described(ctx, table_name).row]
    else:
        rows = [row for _, row in state.TABLES.scan(ctx.tx, ctx.account, ctx.region) if after is None or row.name >= after[0]]
    found: list[dict[str, Any]] = []
    for row in rows:
        for name in ("", *sorted(index.name for index in row.indexes if not index.local)):
            if after is not None and (row.name, name) <= after:
                continue
            if len(found) == count:
                last = found[-1]
                token = f"{last['TableName']}/{last.get('IndexName', '')}"
                return {"ContributorInsightsSummaries": found, "NextToken": token}
            found.append(_summary(row, name))
    return {"ContributorInsightsSummaries": found}


def _own_row(ctx: Context, table_name: str, index_name: str | None) -> TableRow:
    row = state.own_row(ctx, state.described(ctx, table_name).row.name)
    if index_name is not None and not any(index.name == index_name and not index.local for index in row.indexes):
        raise errors.ResourceNotFoundException(f"Requested resource not found: Table: {row.name}, Index: {index_name} not found")
    return row


def _summary(row: TableRow, index_name: str) -> dict[str, Any]:
    own = row.insights.get(index_name)
    answer = {"TableName": row.name, "ContributorInsightsStatus": "ENABLED" if own is not None and own.enabled else "DISABLED"}
    if index_name:
        answer["IndexName"] = index_name
    if own is not None and own.enabled:
        answer["ContributorInsightsMode"] = own.mode
    return answer
