"""The error shapes of SNS, and AWS's sentences for them."""

from headrace.kit.errors import AwsError


class InvalidParameterException(AwsError):
    """A value is not what it should be."""


class InvalidParameterValueException(AwsError):
    """A value of a message attribute is not what it should be."""


class NotFoundException(AwsError, LookupError):
    """There is no such topic or subscription."""


class AuthorizationErrorException(AwsError):
    """The resource belongs to another account."""


class SubscriptionLimitExceededException(AwsError):
    """The topic has as many subscriptions as it may."""


class ResourceNotFoundException(AwsError):
    """There is no such resource to be tagged."""


class TagLimitExceededException(AwsError):
    """The resource has as many tags as it may."""


class EmptyBatchRequestException(AwsError):
    """The batch has no entries."""


class TooManyEntriesInBatchRequestException(AwsError):
    """The batch has more than ten entries."""


class BatchEntryIdsNotDistinctException(AwsError):
    """Two entries of the batch have one id."""


class BatchRequestTooLongException(AwsError):
    """The messages of the batch are too large together."""


def invalid(text: str) -> InvalidParameterException:
    """A parameter is not what it should be."""
    return InvalidParameterException(f"Invalid parameter: {text}")


def no_such_topic() -> NotFoundException:
    """No topic of this ARN."""
    return NotFoundException("Topic does not exist")


def no_such_subscription() -> NotFoundException:
    """No subscription of this ARN."""
    return NotFoundException("Subscription does not exist")
