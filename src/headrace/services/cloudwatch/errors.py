"""CloudWatch's errors."""

from headrace.kit.errors import AwsError


class InvalidParameterValueException(AwsError):
    """A value cannot be used."""


class InvalidParameterCombinationException(AwsError):
    """Values do not go together."""


class MissingRequiredParameterException(AwsError):
    """A value is missing."""


class ResourceNotFoundException(AwsError):
    """There is no such rule."""


class InvalidNextToken(AwsError):
    """The token is none that was given out."""
