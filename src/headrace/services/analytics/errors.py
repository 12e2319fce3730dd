"""The error shapes of Analytics, and AWS's sentences for them."""

from collections.abc import Mapping

from headrace.kit.errors import AwsError


class ResourceNotFoundException(AwsError):
    """There is no such application, or no such part of one."""


class ResourceInUseException(AwsError):
    """The application is there already, or not in a state for this."""


class InvalidArgumentException(AwsError):
    """A value is not what it should be."""


class InvalidApplicationConfigurationException(AwsError):
    """The application can't be started as it is."""


class ConcurrentModificationException(AwsError):
    """The version that the caller saw is not the current one."""


class CodeValidationException(AwsError):
    """The SQL is wrong."""


class LimitExceededException(AwsError):
    """More was asked for than may be."""


class UnsupportedOperationException(AwsError):
    """This can't be done with this application, or not here."""


class InvalidRequestException(AwsError):
    """The request can't be made of this application."""


class UnableToDetectSchemaException(AwsError):
    """No schema fits the sample."""


class TooManyTagsException(AwsError):
    """An application has 50 tags at most."""


def application_not_found(name: str, account: str) -> ResourceNotFoundException:
    """No application of this name."""
    return ResourceNotFoundException(f"Application not found: {name} under account {account}")


def application_exists(name: str) -> ResourceInUseException:
    """An application of this name is there already."""
    return ResourceInUseException(f"Application {name} already exists.")


def version_differs(name: str, current: int, given: int) -> ConcurrentModificationException:
    """The version that the caller saw is not the current one."""
    return ConcurrentModificationException(
        f"Failed to complete request. Application {name} version {given} does not match the current version {current}."
    )


def not_in_state(name: str, status: str, action: str) -> ResourceInUseException:
    """The application's status does not allow this."""
    return ResourceInUseException(f"Application {name} cannot be {action} because it is in {status} state.")


def no_part(kind: str, part_id: str, name: str) -> ResourceNotFoundException:
    """The application has no such input, output, …"""
    return ResourceNotFoundException(f"{kind} {part_id} not found in application {name}.")


def not_for_sql(operation: str) -> UnsupportedOperationException:
    """As on AWS, this is for Flink applications only."""
    return UnsupportedOperationException(f"{operation} is not supported for SQL applications.")


def not_for_flink(operation: str) -> UnsupportedOperationException:
    """As on AWS, this is for SQL applications only."""
    return UnsupportedOperationException(f"{operation} is not supported for Flink applications.")


def studio_not_here(runtime: str) -> UnsupportedOperationException:
    """Studio notebooks are not here."""
    return UnsupportedOperationException(
        f"Headrace does not run Studio notebooks (runtime environment {runtime}) yet; it runs SQL-1_0 and FLINK. "
        "`headrace sql APPLICATION` shows SELECTs over a SQL application's streams live."
    )


def code_not_found(location: Mapping[str, str]) -> InvalidArgumentException:
    """The application's code can't be read."""
    bucket = location["BucketARN"].rpartition(":")[2]
    return InvalidArgumentException(
        "Please check the role provided or validity of S3 location you provided. "
        f"We are unable to get the specified fileKey: {location['FileKey']} in the specified bucket: {bucket}"
    )
