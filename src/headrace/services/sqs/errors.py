"""The errors of SQS, and AWS's sentences for them. `query_code` is the name from the time of the query protocol: SDKs show it."""

from headrace.kit.errors import AwsError

_PREFIX = "AWS.SimpleQueueService."


class QueueDoesNotExist(AwsError, LookupError):
    """There is no such queue."""

    query_code = _PREFIX + "NonExistentQueue"


class QueueNameExists(AwsError):
    """There is such a queue, with other attributes."""

    query_code = "QueueAlreadyExists"


class UnsupportedOperation(AwsError):
    """AWS knows this, and Headrace does not do it."""

    query_code = _PREFIX + "UnsupportedOperation"


class PurgeQueueInProgress(AwsError):
    """The queue was purged less than a minute ago."""

    query_code = _PREFIX + "PurgeQueueInProgress"


class MessageNotInflight(AwsError):
    """The message is not in anybody's hands."""

    query_code = _PREFIX + "MessageNotInflight"


class ReceiptHandleIsInvalid(AwsError):
    """The receipt handle is none of this queue."""


class OverLimit(AwsError):
    """More messages are in flight than may be."""


class EmptyBatchRequest(AwsError):
    """The batch has no entries."""

    query_code = _PREFIX + "EmptyBatchRequest"


class TooManyEntriesInBatchRequest(AwsError):
    """The batch has more than ten entries."""

    query_code = _PREFIX + "TooManyEntriesInBatchRequest"


class BatchEntryIdsNotDistinct(AwsError):
    """Two entries of the batch have one id."""

    query_code = _PREFIX + "BatchEntryIdsNotDistinct"


class BatchRequestTooLong(AwsError):
    """The messages of the batch are too large together."""

    query_code = _PREFIX + "BatchRequestTooLong"


class InvalidBatchEntryId(AwsError):
    """The id of an entry breaks the rules."""

    query_code = _PREFIX + "InvalidBatchEntryId"


class InvalidAttributeName(AwsError):
    """There is no such attribute."""


class InvalidAttributeValue(AwsError):
    """An attribute can't have this value."""


class InvalidMessageContents(AwsError):
    """The message has characters that no message may have."""


class InvalidAddress(AwsError):
    """The queue's URL is none."""


class InvalidParameterValue(AwsError):
    """A value is not what it should be."""

    code = "InvalidParameterValue"


class MissingParameter(AwsError):
    """A value is needed."""

    code = "MissingParameter"


class AccessDenied(AwsError):
    """The queue belongs to another account."""

    code = "AccessDenied"
    status = 403


def no_such_queue() -> QueueDoesNotExist:
    """No queue of this name."""
    return QueueDoesNotExist("The specified queue does not exist.")


def bad_value(name: str, value: object, reason: str) -> InvalidParameterValue:
    """A parameter's value is out of its bounds."""
    return InvalidParameterValue(f"Value {value} for parameter {name} is invalid. Reason: {reason}")


def bad_attribute(name: str) -> InvalidAttributeValue:
    """An attribute's value is out of its bounds."""
    return InvalidAttributeValue(f"Invalid value for the parameter {name}.")


def bad_handle() -> ReceiptHandleIsInvalid:
    """Not a receipt handle of this queue."""
    return ReceiptHandleIsInvalid("The input receipt handle is invalid.")
