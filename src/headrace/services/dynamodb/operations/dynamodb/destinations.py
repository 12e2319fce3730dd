"""Operations on Kinesis streams as destinations of a table's changes."""

from typing import Any

from msgspec.structs import replace

from headrace.kit.errors import AccessDeniedException, ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import errors, feeds, limits, state
from headrace.services.dynamodb.state import Destination, Feed, StreamRow, Table

ACTIVE, DISABLED = "ACTIVE", "DISABLED"


@operation
def enable_kinesis_streaming_destination(
    ctx: Context, *, table_name: str, stream_arn: str, enable_kinesis_streaming_configuration: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Put every change of the table from now on into a Kinesis stream of the account, as JSON.

    Differs from AWS: the answer says ENABLING, and whoever asks next hears ACTIVE.
    """
    table = state.described(ctx, table_name)
    held = _held(ctx, table, stream_arn)
    if held is not None and held.status != DISABLED:
        raise _wrong_state("enable", "DISABLED or ENABLE_FAILED")
    if len(table.row.feeds) >= limits.DESTINATIONS_MAX:
        raise errors.LimitExceededException(f"A table has {limits.DESTINATIONS_MAX} Kinesis streaming destinations at most.")
    _check_target(ctx, stream_arn)
    given = enable_kinesis_streaming_configuration or {}
    precision = given.get("ApproximateCreationDateTimePrecision") or feeds.MILLISECOND
    row, number, now = table.row, state.next_number(ctx.tx), ctx.clock.now()
    log = StreamRow(number, row.name, str(number), "NEW_AND_OLD_IMAGES", now, row.partition, row.sort, limits.STREAM_SHARDS)
    state.FEEDS.put(ctx.tx, Feed(log, stream_arn, precision), ctx.account, ctx.region, row.name, number)
    destination = Destination(number, ACTIVE, precision)
    state.DESTINATIONS.put(ctx.tx, destination, ctx.account, ctx.region, row.name, stream_arn)
    state.save(ctx, replace(row, feeds=[*row.feeds, number]))
    ctx.tx.announce(state.FEEDS_TOPIC)
    return _answer(table, stream_arn, "ENABLING", "Enable", precision)


@operation
def disable_kinesis_streaming_destination(
    ctx: Context, *, table_name: str, stream_arn: str, enable_kinesis_streaming_configuration: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Put later changes there no more; those that were made before still arrive."""
    table = state.described(ctx, table_name)
    held = _active(ctx, table, stream_arn, "disable")
    feeds.close(ctx, table, held)
    held.status = DISABLED
    state.DESTINATIONS.put(ctx.tx, held, ctx.account, ctx.region, table.row.name, stream_arn)
    state.save(ctx, replace(table.row, feeds=[number for number in table.row.feeds if number != held.feed]))
    return _answer(table, stream_arn, "DISABLING", "Enable", held.precision)


@operation
def update_kinesis_streaming_destination(
    ctx: Context, *, table_name: str, stream_arn: str, update_kinesis_streaming_configuration: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Set the precision of the times in the records."""
    table = state.described(ctx, table_name)
    held = _active(ctx, table, stream_arn, "update")
    precision = (update_kinesis_streaming_configuration or {}).get("ApproximateCreationDateTimePrecision")
    if precision is None:
        raise ValidationException(
            "Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration "
            "cannot be null or contain only null values"
        )
    if precision == held.precision:
        raise ValidationException(
            f"Invalid Request: Precision is already set to the desired value of {precision} for tableId: "
            f"{table.row.uuid}, kdsArn: {stream_arn}"
        )
    feed = state.FEEDS.get(ctx.tx, ctx.account, ctx.region, table.row.name, held.feed)
    assert feed is not None
    held.precision = feed.precision = precision
    state.FEEDS.put(ctx.tx, feed, ctx.account, ctx.region, table.row.name, held.feed)
    state.DESTINATIONS.put(ctx.tx, held, ctx.account, ctx.region, table.row.name, stream_arn)
    return _answer(table, stream_arn, "UPDATING", "Update", precision)


@operation(read_only=True)
def describe_kinesis_streaming_destination(ctx: Context, *, table_name: str) -> dict[str, Any]:
    """The streams that get the table's changes, or did."""
    table = state.described(ctx, table_name)
    found = state.DESTINATIONS.scan(ctx.tx, ctx.account, ctx.region, table.row.name)
    return {
        "TableName": table.row.name,
        "KinesisDataStreamDestinations": [
            {
                "StreamArn": key[-1],
                "DestinationStatus": one.status,
                "ApproximateCreationDateTimePrecision": one.precision,
            }
            for key, one in found
        ],
    }


def _held(ctx: Context, table: Table, stream_arn: str) -> Destination | None:
    return state.DESTINATIONS.get(ctx.tx, ctx.account, ctx.region, table.row.name, stream_arn)


def _active(ctx: Context, table: Table, stream_arn: str, verb: str) -> Destination:
    held = _held(ctx, table, stream_arn)
    if held is None or held.status != ACTIVE:
        raise _wrong_state(verb, "ACTIVE")
    return held


def _check_target(ctx: Context, stream_arn: str) -> None:
    """The stream is there, and whoever asks may put records into it himself: the table's changes go there in his name."""
    if not ctx.principal.is_root and not ctx.ports.authority.allows(ctx, ctx.principal, "kinesis:PutRecords", stream_arn):
        raise AccessDeniedException(
            f"User: {ctx.principal.arn} is not authorized to perform: kinesis:PutRecords on resource: {stream_arn}"
        )
    try:
        ctx.ports.sources["kinesis"].shards(ctx, stream_arn)
    except LookupError:
        raise errors.ResourceNotFoundException(f"Requested resource not found: Stream: {stream_arn} not found") from None


def _wrong_state(verb: str, needed: str) -> ValidationException:
    return ValidationException(
        f"Table is not in a valid state to {verb} Kinesis Streaming Destination: KinesisStreamingDestination must be {needed} to "
        f"perform {verb.upper()} operation."
    )


def _answer(table: Table, stream_arn: str, status: str, verb: str, precision: str) -> dict[str, Any]:
    return {
        "TableName": table.row.name,
        "StreamArn": stream_arn,
        "DestinationStatus": status,
        f"{verb}KinesisStreamingConfiguration": {"ApproximateCreationDateTimePrecision": precision},
    }
