"""CloudWatch Logs's errors."""

from headrace.kit.errors import AwsError


class ResourceNotFoundException(AwsError):
    """There is no such group or stream."""


class ResourceAlreadyExistsException(AwsError):
    """The name is taken."""


class InvalidParameterException(AwsError):
    """A value cannot be used."""


class TooManyTagsException(AwsError):
    """A resource has no room for so many tags."""


def no_group() -> ResourceNotFoundException:
    """There is no such log group."""
    return ResourceNotFoundException("The specified log group does not exist.")


def no_stream() -> ResourceNotFoundException:
    """There is no such log stream."""
    return ResourceNotFoundException("The specified log stream does not exist.")
