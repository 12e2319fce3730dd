"""Operations on messages: send, receive, delete, and how long they stay out of sight."""

import time
from typing import Any

from headrace.operation import Context, operation
from headrace.services.sqs import errors, limits, receiving, rules, sending, state


def _trace(attributes: dict[str, dict[str, Any]] | None) -> str | None:
    for name, value in (attributes or {}).items():
        if name != "AWSTraceHeader":
            raise errors.InvalidParameterValue(f"Message system attribute name '{name}' is invalid.")
        return str(value.get("StringValue") or "")
    return None


def _refuse_fifo(*values: str | None) -> None:
    if any(value is not None for value in values):
        raise errors.InvalidParameterValue(
            "The request include parameter that is not valid for this queue type. Headrace has standard queues only."
        )


@operation
def send_message(
    ctx: Context, *, queue_url: str, message_body: str, delay_seconds: int | None = None,
    message_attributes: dict[str, dict[str, Any]] | None = None,
    message_system_attributes: dict[str, dict[str, Any]] | None = None, message_deduplication_id: str | None = None,
    message_group_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Put a message into a queue. It is on disk when this returns."""
    _refuse_fifo(message_deduplication_id, message_group_id)
    queue = state.find(ctx, queue_url)
    return sending.send(
        ctx, queue, message_body, message_attributes, delay_seconds=delay_seconds, trace=_trace(message_system_attributes)
    )


@operation
def send_message_batch(ctx: Context, *, queue_url: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Put up to ten messages into a queue in one transaction. One that breaks a rule fails alone."""
    queue = state.find(ctx, queue_url)
    rules.check_batch(entries)
    total = sum(rules.size_bytes(entry["MessageBody"], entry.get("MessageAttributes") or {}) for entry in entries)
    if total > limits.BATCH_SIZE_MAX_BYTES:
        raise errors.BatchRequestTooLong(
            f"Batch requests cannot be longer than {limits.BATCH_SIZE_MAX_BYTES} bytes. You have sent {total} bytes."
        )

    def one(entry: dict[str, Any]) -> dict[str, Any]:
        _refuse_fifo(entry.get("MessageDeduplicationId"), entry.get("MessageGroupId"))
        return sending.send(
            ctx, queue, entry["MessageBody"], entry.get("MessageAttributes"), delay_seconds=entry.get("DelaySeconds"),
            trace=_trace(entry.get("MessageSystemAttributes")),
        )  # fmt: skip

    return receiving.each(entries, one)


@operation(transaction=False, accepts=("receive_request_attempt_id",))
def receive_message(
    ctx: Context, *, queue_url: str, attribute_names: list[str] | None = None,
    message_system_attribute_names: list[str] | None = None, message_attribute_names: list[str] | None = None,
    max_number_of_messages: int | None = None, visibility_timeout: int | None = None, wait_time_seconds: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Receive up to ten messages, waiting for the first one if asked to. They stay out of others' sight for a while."""
    limit = 1 if max_number_of_messages is None else max_number_of_messages
    if not 1 <= limit <= limits.RECEIVE_MAX:
        raise errors.bad_value(
            "MaxNumberOfMessages", limit, f"Must be between 1 and {limits.RECEIVE_MAX}, if provided."
        )  # fmt: skip
    _check_seconds("VisibilityTimeout", visibility_timeout, limits.VISIBILITY_MAX_SECONDS)
    _check_seconds("WaitTimeSeconds", wait_time_seconds, limits.RECEIVE_WAIT_MAX_SECONDS)
    queue = ctx.snapshot(lambda inner: state.find(inner, queue_url))
    wait = queue.number("ReceiveMessageWaitTimeSeconds") if wait_time_seconds is None else wait_time_seconds
    asked = receiving.Asked(
        (*(attribute_names or ()), *(message_system_attribute_names or ())), tuple(message_attribute_names or ())
    )
    deadline = time.monotonic() + wait
    while True:
        if ctx.snapshot(lambda inner: receiving.anything(inner, queue_url)):
            found = ctx.transact(lambda inner: receiving.take(inner, queue_url, limit, visibility_timeout, asked))
            if found:
                return {"Messages": found}
        left = deadline - time.monotonic()
        if left <= 0:
            return {}
        receiving.wait(ctx, queue, queue_url, left)


def _check_seconds(name: str, value: int | None, most: int) -> None:
    if value is not None and not 0 <= value <= most:
        raise errors.bad_value(name, value, f"Must be >= 0 and <= {most}, if provided.")


@operation
def delete_message(ctx: Context, *, queue_url: str, receipt_handle: str) -> None:
    """Remove a message that was received. With the handle of an earlier receipt nothing is removed, and it is no error."""
    receiving.delete(ctx, state.find(ctx, queue_url), receipt_handle)


@operation
def delete_message_batch(ctx: Context, *, queue_url: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Remove up to ten messages that were received."""
    queue = state.find(ctx, queue_url)
    rules.check_batch(entries)

    def one(entry: dict[str, Any]) -> dict[str, Any]:
        receiving.delete(ctx, queue, entry["ReceiptHandle"])
        return {}

    return receiving.each(entries, one)


@operation
def change_message_visibility(ctx: Context, *, queue_url: str, receipt_handle: str, visibility_timeout: int) -> None:
    """Keep a message out of others' sight for so long from now on; with 0 it can be received again at once."""
    receiving.change_visibility(ctx, state.find(ctx, queue_url), receipt_handle, visibility_timeout)


@operation
def change_message_visibility_batch(ctx: Context, *, queue_url: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Change how long up to ten messages stay out of sight."""
    queue = state.find(ctx, queue_url)
    rules.check_batch(entries)

    def one(entry: dict[str, Any]) -> dict[str, Any]:
        timeout = entry.get("VisibilityTimeout")
        if timeout is None:
            raise errors.MissingParameter("The request must contain the parameter VisibilityTimeout.")
        receiving.change_visibility(ctx, queue, entry["ReceiptHandle"], timeout)
        return {}

    return receiving.each(entries, one)
