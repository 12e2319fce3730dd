"""CloudFormation's errors."""

from headrace.kit.errors import AwsError, ValidationError


class AlreadyExistsException(AwsError):
    """The name is taken."""


class InsufficientCapabilitiesException(AwsError):
    """The template does what the caller has not acknowledged."""


class ChangeSetNotFoundException(AwsError):
    """There is no such change set."""


class InvalidChangeSetStatusException(AwsError):
    """The change set can't be used in its status."""


class LimitExceededException(AwsError):
    """A quota is used up."""


class TokenAlreadyExistsException(AwsError):
    """The client request token was used for something else."""


def no_stack(name: str) -> ValidationError:
    """There is no such stack."""
    return ValidationError(f"Stack with id {name} does not exist")


def no_change_set(name: str) -> ChangeSetNotFoundException:
    """There is no such change set."""
    return ChangeSetNotFoundException(f"ChangeSet [{name}] does not exist")


def wrong_status(stack_id: str, status: str) -> ValidationError:
    """The stack can't be changed now."""
    return ValidationError(f"Stack:{stack_id} is in {status} state and can not be updated.")
