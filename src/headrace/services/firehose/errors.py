"""The error shapes of Firehose, and AWS's sentences for them."""

from headrace.kit.errors import AwsError


class InvalidArgumentException(AwsError):
    """A value is not what it should be."""


class ResourceNotFoundException(AwsError):
    """There is no such delivery stream."""


class ResourceInUseException(AwsError):
    """The delivery stream is there already, or not in a state for this."""


class LimitExceededException(AwsError):
    """More was asked for than may be."""


class ConcurrentModificationException(AwsError):
    """Somebody else changed the destination in the meantime."""


class ServiceUnavailableException(AwsError):
    """The delivery stream's backlog is full: wait, and try again."""


def stream_not_found(name: str, account: str) -> ResourceNotFoundException:
    """No delivery stream of this name."""
    return ResourceNotFoundException(f"Firehose {name} under account {account} not found.")


def stream_exists(name: str, account: str) -> ResourceInUseException:
    """A delivery stream of this name is there already."""
    return ResourceInUseException(f"Firehose {name} under accountId {account} already exists")


def version_differs(name: str, current: int, given: str) -> ConcurrentModificationException:
    """The version that the caller saw is not the current one."""
    return ConcurrentModificationException(
        f"Cannot update firehose: {name} since the current version id: {current} and specified version id: {given} do not match"
    )
