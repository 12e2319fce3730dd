"""The error shapes of both APIs, and AWS's sentences for them."""

from headrace.kit.errors import AwsError


class ClusterNotFoundFault(AwsError):
    """There is no such cluster."""

    status = 404


class ClusterAlreadyExistsFault(AwsError):
    """A cluster of this identifier is there already."""


class InvalidClusterStateFault(AwsError):
    """The cluster is not in a state for this."""


class ClusterQuotaExceededFault(AwsError):
    """There are as many clusters as there may be."""


class ResourceNotFoundFault(AwsError):
    """There is no such resource."""

    status = 404


class InvalidTagFault(AwsError):
    """A tag is not what it should be."""


class TagLimitExceededFault(AwsError):
    """More tags than a resource may have."""


class InvalidParameterValue(AwsError):
    """A value that Redshift refuses; a common error of the query protocol."""

    code = "InvalidParameterValue"


class InvalidParameterCombination(AwsError):
    """Values that do not go together; a common error of the query protocol."""

    code = "InvalidParameterCombination"


class ValidationException(AwsError):
    """The Data API refuses a value."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Message=message)


class ResourceNotFoundException(AwsError):
    """The Data API knows no such statement."""

    def __init__(self, message: str, resource: str) -> None:
        super().__init__(message, Message=message, ResourceId=resource)


class ActiveStatementsExceededException(AwsError):
    """Too many statements wait or run."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Message=message)


class DatabaseConnectionException(AwsError):
    """The Data API could not reach the database."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Message=message)


def cluster_not_found(identifier: str) -> ClusterNotFoundFault:
    """No cluster of this identifier."""
    return ClusterNotFoundFault(f"Cluster {identifier} not found.")


def cluster_exists(identifier: str) -> ClusterAlreadyExistsFault:
    """A cluster of this identifier is there."""
    return ClusterAlreadyExistsFault(f"Cluster already exists: {identifier}")


def not_available(identifier: str, status: str) -> InvalidClusterStateFault:
    """The cluster is paused, or is something else than available."""
    return InvalidClusterStateFault(f"The cluster {identifier} is in the state {status}; it must be available.")


def statement_not_found(statement_id: str) -> ResourceNotFoundException:
    """No statement of this id."""
    return ResourceNotFoundException("Query does not exist.", statement_id)
