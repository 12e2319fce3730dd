"""Taking messages out of a queue: in sight, in flight, back, or among the dead letters."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.services.sqs import errors, limits, rules, sending, state


class Asked(NamedTuple):
    """Which attributes of messages the receiver wants to see."""

    system: tuple[str, ...]
    message: tuple[str, ...]


def anything(ctx: Context, queue_url: str) -> bool:
    """Whether a message may be received now."""
    return bool(state.receivable(ctx.tx, state.find(ctx, queue_url), ctx.clock.now(), 1))


def wait(ctx: Context, queue: state.Queue, queue_url: str, left_seconds: float) -> None:
    """Wait until a message may be there, at most a second."""
    next_at = ctx.snapshot(lambda inner: state.next_at(inner.tx, queue))
    until_next = limits.POLL_SECONDS if next_at is None else max(0.01, next_at - ctx.clock.now())
    ctx.store.signals.wait(
        [queue.topic],
        min(left_seconds, limits.POLL_SECONDS, until_next),
        lambda: ctx.snapshot(lambda inner: anything(inner, queue_url)),
    )


def take(ctx: Context, queue_url: str, limit: int, timeout_seconds: int | None, asked: Asked) -> list[dict[str, Any]]:
    """Receive messages. Those that were received too often go to the dead letters in the same transaction."""
    queue = state.find(ctx, queue_url)
    now = ctx.clock.now()
    timeout = queue.number("VisibilityTimeout") if timeout_seconds is None else timeout_seconds
    redrive = rules.redrive(queue.attributes.get("RedrivePolicy"))
    oldest = now - queue.number("MessageRetentionPeriod")
    found: list[dict[str, Any]] = []
    for number in state.receivable(ctx.tx, queue, now, limits.EXPIRE_PER_STEP):
        message = state.MESSAGES.get(ctx.tx, queue.id, number)
        if message is None:
            continue
        if message.sent_at < oldest:
            state.remove(ctx.tx, queue, number, message)
            continue
        if redrive is not None and message.receives >= redrive.receives_max and message.dead_letter_source != queue.arn:
            target = _target(ctx, redrive)
            if target is not None and target.id != queue.id:
                sending.bury(ctx, queue, number, message, target)
                continue
        message.receives += 1
        message.first_received_at = message.first_received_at or now
        message.receipt = ctx.ids.random.getrandbits(63)
        state.move(ctx.tx, queue, number, message, now + timeout, state.IN_FLIGHT)
        found.append(_shape(ctx, queue, number, message, asked))
        if len(found) == limit:
            break
    return found


def _target(ctx: Context, redrive: rules.Redrive) -> state.Queue | None:
    """The queue of dead letters; None when it was deleted: the messages then stay, as on AWS."""
    try:
        return state.by_arn(ctx, redrive.target_arn)
    except (errors.QueueDoesNotExist, errors.AccessDenied):
        return None


def _shape(ctx: Context, queue: state.Queue, number: int, message: state.Message, asked: Asked) -> dict[str, Any]:
    content = state.content(ctx.tx, queue, number, message)
    shown = {name: value for name, value in content.attributes.items() if rules.wants(asked.message, name)}
    system = {
        "SenderId": message.sender,
        "SentTimestamp": str(int(message.sent_at * 1000)),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
        "DeadLetterQueueSourceArn": message.dead_letter_source,
        "AWSTraceHeader": content.trace,
    }
    chosen = {name: value for name, value in system.items() if value and ("All" in asked.system or name in asked.system)}
    return {
        "MessageId": message.id,
        "ReceiptHandle": rules.encode_handle(rules.Handle(queue.id, number, message.receipt)),
        "MD5OfBody": rules.md5(content.body),
        "Body": content.body,
        "Attributes": chosen or None,
        "MD5OfMessageAttributes": rules.md5_of_attributes(shown),
        "MessageAttributes": shown or None,
    }


def delete(ctx: Context, queue: state.Queue, handle_text: str) -> None:
    """Remove a message, if the handle is that of its last receipt. ReceiptHandleIsInvalid."""
    handle = rules.decode_handle(handle_text, queue.id)
    message = state.MESSAGES.get(ctx.tx, queue.id, handle.number)
    if message is not None and message.receipt == handle.receipt:
        state.remove(ctx.tx, queue, handle.number, message)


def change_visibility(ctx: Context, queue: state.Queue, handle_text: str, timeout_seconds: int) -> None:
    """Let a message that is in flight come back at another time. ReceiptHandleIsInvalid, MessageNotInflight."""
    if not 0 <= timeout_seconds <= limits.VISIBILITY_MAX_SECONDS:
        raise errors.bad_value(
            "VisibilityTimeout", timeout_seconds,
            f"VisibilityTimeout must be an integer between 0 and {limits.VISIBILITY_MAX_SECONDS}",
        )  # fmt: skip
    handle = rules.decode_handle(handle_text, queue.id)
    message = state.MESSAGES.get(ctx.tx, queue.id, handle.number)
    now = ctx.clock.now()
    if message is None or message.receipt != handle.receipt:
        raise errors.bad_value(
            "ReceiptHandle", handle_text,
            "Message does not exist or is not available for visibility timeout change.",
        )  # fmt: skip
    if message.visible_at <= now:
        raise errors.MessageNotInflight("The specified message isn't in flight.")
    mark = state.IN_FLIGHT if timeout_seconds else state.WAITING
    state.move(ctx.tx, queue, handle.number, message, now + timeout_seconds, mark)
    if not timeout_seconds:
        ctx.tx.announce(queue.topic)


def each(entries: Sequence[dict[str, Any]], one: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Do something for each entry of a batch; what AWS answers of those that went well and of those that did not."""
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        try:
            successful.append({"Id": entry["Id"], **one(entry)})
        except AwsError as error:
            code = error.query_code or error.code or type(error).__name__
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code, "Message": error.message})
    return {"Successful": successful, "Failed": failed}
