"""The error shapes of Kinesis Data Streams, and AWS's sentences for them."""

from headrace.kit.errors import AwsError, ValidationException


class ResourceNotFoundException(AwsError):
    """There is no such stream or shard."""


class ResourceInUseException(AwsError):
    """The stream or shard is not in a state for this."""


class InvalidArgumentException(AwsError):
    """A value is not what it should be."""


class LimitExceededException(AwsError):
    """More was asked for than may be."""


class ProvisionedThroughputExceededException(AwsError):
    """A shard took or gave all it may in this second."""


class KMSNotFoundException(AwsError):
    """There is no such key."""


class KMSInvalidStateException(AwsError):
    """A key is not in a state to be used."""


class KMSAccessDeniedException(AwsError):
    """What was encrypted can't be decrypted with the key that is here."""


class ExpiredIteratorException(AwsError):
    """The iterator is older than five minutes."""


class ExpiredNextTokenException(AwsError):
    """The page token is no longer good."""


class DryRunOperationException(AwsError):
    """The request would have succeeded, but was only tried."""


def stream_not_found(name: str, account: str) -> ResourceNotFoundException:
    """No stream of this name."""
    return ResourceNotFoundException(f"Stream {name} under account {account} not found.")


def stream_exists(name: str, account: str) -> ResourceInUseException:
    """A stream of this name is there already."""
    return ResourceInUseException(f"Stream {name} under account {account} already exists.")


def shard_not_found(shard_id: str, name: str, account: str) -> ResourceNotFoundException:
    """No such shard in the stream."""
    return ResourceNotFoundException(f"Could not find shard {shard_id} in stream {name} under account {account}.")


def shard_closed(shard_id: str, name: str, account: str) -> ResourceInUseException:
    """The shard was split or merged before."""
    return ResourceInUseException(
        f"Shard {shard_id} in stream {name} under account {account} has already been merged or split, "
        "and thus is not eligible for merging or splitting."
    )


def only_provisioned(operation: str, name: str, account: str) -> ValidationException:
    """The stream is on demand."""
    return ValidationException(
        f"{operation} is only supported for streams in PROVISIONED mode. "
        f"Stream {name} under account {account} is in ON_DEMAND mode."
    )


def only_on_demand(what: str, name: str, account: str) -> InvalidArgumentException:
    """The stream is provisioned."""
    return InvalidArgumentException(
        f"{what} is only supported for streams in ON_DEMAND mode. Stream {name} under account {account} is in PROVISIONED mode."
    )


def rate_exceeded(shard_id: str, name: str, account: str) -> ProvisionedThroughputExceededException:
    """The shard is at its limit."""
    return ProvisionedThroughputExceededException(rate_exceeded_text(shard_id, name, account))


def rate_exceeded_text(shard_id: str, name: str, account: str) -> str:
    """What AWS says of a shard at its limit."""
    return f"Rate exceeded for shard {shard_id} in stream {name} under account {account}."


def invalid_key(key_id: str) -> KMSNotFoundException:
    """Not a key's id, ARN or alias."""
    return KMSNotFoundException(f"Invalid keyId {key_id}")


def no_policy(arn: str) -> ResourceNotFoundException:
    """The stream or consumer has no policy."""
    return ResourceNotFoundException(f"No resource policy found for resource ARN {arn}")


def dry_run() -> DryRunOperationException:
    """All was well, and nothing was done."""
    return DryRunOperationException("The request would have succeeded, but the DryRun flag is set.")
