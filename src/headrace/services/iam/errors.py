"""IAM's and STS's errors."""

from headrace.kit.errors import AccessDeniedException, AwsError


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


def not_allowed(principal: str, action: str, resource: str, *, denied: bool) -> AccessDeniedException:
    """The caller's policies do not let a request happen."""
    why = (
        "with an explicit deny in an identity-based policy"
        if denied
        else (f"because no identity-based policy allows the {action} action")
    )
    return AccessDeniedException(f"User: {principal} is not authorized to perform: {action} on resource: {resource} {why}")
