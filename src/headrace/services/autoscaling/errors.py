"""The error shapes of Application Auto Scaling."""

from headrace.kit.errors import AwsError


class ObjectNotFoundException(AwsError):
    """There is no such target, policy or action."""


class ResourceNotFoundException(AwsError):
    """There is no such target to be tagged."""


class InvalidNextTokenException(AwsError):
    """The token is none that was given out."""


class LimitExceededException(AwsError):
    """There are as many policies or actions as there may be."""


class TooManyTagsException(AwsError):
    """The target has as many tags as it may."""
