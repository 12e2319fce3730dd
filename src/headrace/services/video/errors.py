"""The error shapes of Kinesis Video Streams, and AWS's sentences for them."""

from headrace.kit.errors import AwsError


class ResourceNotFoundException(AwsError):
    """There is no such stream, channel or fragment."""

    status = 404


class ResourceInUseException(AwsError):
    """A resource of this name is there already, or is not in a state for this."""


class InvalidArgumentException(AwsError):
    """A value is not what it should be."""


class VersionMismatchException(AwsError):
    """The resource was changed since the caller looked at it."""


class ClientLimitExceededException(AwsError):
    """More is asked for at one time than may be."""


class ConnectionLimitExceededException(AwsError):
    """More connections are open than may be."""

    code = "ConnectionLimitExceededException"


class TagsPerResourceExceededLimitException(AwsError):
    """A resource has 50 tags at most."""


class NoDataRetentionException(AwsError):
    """The stream keeps nothing."""


class InvalidResourceFormatException(AwsError):
    """An ARN is not of the form that this operation takes."""


class StreamEdgeConfigurationNotFoundException(AwsError):
    """The stream has no edge configuration."""


def stream_not_found(name: str, account: str) -> ResourceNotFoundException:
    """No stream of this name or ARN."""
    return ResourceNotFoundException(
        f"The requested stream is not found or not active. Stream {name} under account {account} does not exist."
    )


def name_or_arn() -> InvalidArgumentException:
    """Neither a name nor an ARN was given."""
    return InvalidArgumentException("Either StreamName or StreamARN should be provided.")


class UnsupportedStreamMediaTypeException(AwsError):
    """The tracks hold what can't be played."""


class MissingCodecPrivateDataException(AwsError):
    """A track lacks what its decoder needs first."""


class InvalidCodecPrivateDataException(AwsError):
    """What a track's decoder needs first is not of the form that players take."""


class InvalidMediaFrameException(AwsError):
    """A frame is not what its codec says."""
