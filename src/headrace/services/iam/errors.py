"""IAM's and STS's errors."""

from headrace.kit.errors import AwsError
from headrace.ports import NotAuthorized


class NoSuchEntityException(AwsError):
    """What was named does not exist."""


class EntityAlreadyExistsException(AwsError):
    """The name is taken."""


class DeleteConflictException(AwsError):
    """Something still hangs on what should be deleted."""


class LimitExceededException(AwsError):
    """A quota is used up."""


class MalformedPolicyDocumentException(AwsError):
    """The policy document cannot be used."""


class InvalidInputException(AwsError):
    """A value cannot be used."""


class AccessDenied(AwsError):
    """The caller may not do this."""

    code = "AccessDenied"
    status = 403


class PackedPolicyTooLargeException(AwsError):
    """The session policies are too large."""


class Throttling(AwsError):
    """Too many sessions live at one time."""

    code = "Throttling"


def missing(kind: str, name: str) -> NoSuchEntityException:
    """There is no such role or user."""
    return NoSuchEntityException(f"The {kind} with name {name} cannot be found.")


def no_policy(arn: str) -> NoSuchEntityException:
    """There is no such managed policy."""
    return NoSuchEntityException(f"Policy {arn} was not found.")


def quota(name: str, value: int) -> LimitExceededException:
    """A quota, by its AWS name."""
    return LimitExceededException(f"Cannot exceed quota for {name}: {value}")


def not_allowed(principal: str, action: str, resource: str, kind: str, *, denied: bool) -> NotAuthorized:
    """A caller's policies do not let a request happen. `kind`: AWS's word for the policies that decided."""
    article = "an" if kind.startswith("i") else "a"
    why = f"with an explicit deny in {article} {kind}" if denied else f"because no {kind} allows the {action} action"
    return NotAuthorized(principal, action, resource, why)
