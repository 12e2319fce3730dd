"""Operations that publish."""

from typing import Any

from headrace.kit.errors import AwsError
from headrace.operation import Context, operation
from headrace.services.sns import errors, limits, publishing, state


@operation
def publish(
    ctx: Context, *, message: str, topic_arn: str | None = None, target_arn: str | None = None, subject: str | None = None,
    message_structure: str | None = None, message_attributes: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Publish a message. When this returns, every subscription that wants it has it durably in its queue."""
    arn = topic_arn or target_arn
    if arn is None:
        raise errors.invalid("TopicArn or TargetArn Reason: no value for required parameter")
    topic = state.find(ctx, arn)
    given = {
        "Message": message, "Subject": subject, "MessageStructure": message_structure,
        "MessageAttributes": message_attributes,
    }  # fmt: skip
    made = publishing.read(ctx, given)
    publishing.deliver(ctx, topic, made)
    return {"MessageId": made.id}


@operation
def publish_batch(ctx: Context, *, topic_arn: str, publish_batch_request_entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Publish up to ten messages in one transaction. One that breaks a rule fails alone."""
    topic = state.find(ctx, topic_arn)
    entries = publish_batch_request_entries
    if not entries:
        raise errors.EmptyBatchRequestException("The batch request doesn't contain any entries.")
    if len(entries) > limits.BATCH_ENTRIES_MAX:
        raise errors.TooManyEntriesInBatchRequestException("The batch request contains more entries than permissible.")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise errors.BatchEntryIdsNotDistinctException("Two or more batch entries in the request have the same Id.")
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    made = []
    for entry in entries:
        try:
            if entry.get("MessageGroupId") or entry.get("MessageDeduplicationId"):
                raise errors.invalid("MessageGroupId Reason: Headrace has no FIFO topics yet")
            made.append((entry["Id"], publishing.read(ctx, entry)))
        except AwsError as error:
            code = type(error).__name__.removesuffix("Exception")
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code, "Message": error.message})
    if sum(message.size_bytes for _, message in made) > limits.MESSAGE_SIZE_MAX_BYTES:
        raise errors.BatchRequestTooLongException("The length of all the batch messages put together is more than the limit.")
    for entry_id, message in made:
        publishing.deliver(ctx, topic, message)
        successful.append({"Id": entry_id, "MessageId": message.id})
    return {"Successful": successful, "Failed": failed}
