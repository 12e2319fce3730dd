"""Log streams."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.logs import limits, rules, state
from headrace.services.logs.errors import InvalidParameterException

Structure = dict[str, Any]


@operation
def create_log_stream(ctx: Context, *, log_group_name: str, log_stream_name: str) -> None:
    """Make a log stream in a group."""
    state.group(ctx, log_group_name)
    state.create_stream(ctx, log_group_name, log_stream_name)


@operation
def delete_log_stream(ctx: Context, *, log_group_name: str, log_stream_name: str) -> None:
    """Delete a log stream; a worker removes its events by and by."""
    state.drop_stream(ctx, log_group_name, state.stream(ctx, log_group_name, log_stream_name))


@operation(transaction=False)
def describe_log_streams(
    ctx: Context, *, log_group_name: str | None = None, log_group_identifier: str | None = None,
    log_stream_name_prefix: str | None = None, order_by: str = "LogStreamName", descending: bool = False,
    next_token: str | None = None, limit: int | None = None,
) -> Structure:  # fmt: skip
    """List a group's streams, in order of their names or of their last events.

    Differs from AWS: the last event's time is up to date at once.
    """
    if order_by == "LastEventTime" and log_stream_name_prefix is not None:
        raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
    name = rules.group_name(log_group_name, log_group_identifier)
    most = limit or limits.PAGE_ITEMS_DEFAULT

    def body(inner: Context) -> list[state.Stream]:
        state.group(inner, name)
        rows = (row for _, row in state.STREAMS.scan(inner.tx, inner.account, inner.region, name))
        return [row for row in rows if row.name.startswith(log_stream_name_prefix or "")]

    rows = ctx.snapshot(body)
    if order_by == "LastEventTime":
        rows.sort(key=lambda row: (row.last_at_ms or 0, row.name))
    if descending:
        rows.reverse()
    after = rules.decode(next_token)
    names = [row.name for row in rows]
    start = names.index(after) + 1 if after in names else 0
    shown = rows[start : start + most]
    answer: Structure = {"logStreams": [_show(ctx, name, row) for row in shown]}
    if start + most < len(rows):
        answer["nextToken"] = rules.encode(shown[-1].name)
    return answer


def _show(ctx: Context, group: str, row: state.Stream) -> Structure:
    return rules.without_none(
        logStreamName=row.name,
        creationTime=row.created_ms,
        firstEventTimestamp=row.first_at_ms,
        lastEventTimestamp=row.last_at_ms,
        lastIngestionTime=row.ingested_ms,
        uploadSequenceToken=f"{row.last:056d}",
        arn=f"{state.arn(ctx, group)}:log-stream:{row.name}",
        storedBytes=0,
    )
