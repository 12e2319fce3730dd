"""Putting a message into a queue, and moving one to the queue of dead letters."""

from typing import Any

from headrace.ports import Scope
from headrace.services.sqs import errors, limits, rules, state


def send(
    scope: Scope, queue: state.Queue, body: str, attributes: dict[str, dict[str, Any]] | None = None, *,
    delay_seconds: int | None = None, trace: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Put a message into a queue in the running transaction; what SendMessage answers. It keeps the request's trace header."""
    given = attributes or {}
    rules.check_body(body)
    rules.check_message_attributes(given)
    size_bytes, size_max_bytes = rules.size_bytes(body, given), queue.number("MaximumMessageSize")
    if size_bytes > size_max_bytes:
        raise errors.InvalidParameterValue(
            f"One or more parameters are invalid. Reason: Message must be shorter than {size_max_bytes} bytes."
        )
    delay = queue.number("DelaySeconds") if delay_seconds is None else delay_seconds
    if not 0 <= delay <= limits.DELAY_MAX_SECONDS:
        raise errors.bad_value(
            "DelaySeconds", delay, f"DelaySeconds must be >= 0 and <= {limits.DELAY_MAX_SECONDS}."
        )  # fmt: skip
    now = scope.clock.now()
    message = state.Message(scope.ids.uuid(), now, scope.principal.user_id, now + delay)
    state.add(scope.tx, queue, message, state.encode_content(state.Content(body, given, trace or scope.trace_id or None)))
    return {
        "MessageId": message.id,
        "MD5OfMessageBody": rules.md5(body),
        "MD5OfMessageAttributes": rules.md5_of_attributes(given),
        "MD5OfMessageSystemAttributes": rules.md5_of_attributes(
            {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}} if trace else {}
        ),
    }


def bury(scope: Scope, queue: state.Queue, number: int, message: state.Message, target: state.Queue) -> None:
    """Move a message that was received too often. It keeps its id and its age."""
    raw = state.raw_content(scope.tx, queue, number, message)
    state.remove(scope.tx, queue, number, message)
    moved = state.Message(
        message.id, message.sent_at, message.sender, scope.clock.now(), first_received_at=message.first_received_at,
        receives=message.receives, dead_letter_source=queue.arn,
    )  # fmt: skip
    state.add(scope.tx, target, moved, raw)
