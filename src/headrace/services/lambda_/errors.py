"""The errors of Lambda, named as the model's shapes, with AWS's sentences."""

from typing import ClassVar

from headrace.kit.errors import AwsError


class _Typed(AwsError):
    """Most of Lambda's errors say whose fault they are in a member `Type`."""

    kind: ClassVar[str] = "User"

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message, Type=self.kind, **fields)


class ResourceNotFoundException(_Typed):
    """What was named does not exist."""

    status = 404

    @classmethod
    def function(cls, arn: str) -> "ResourceNotFoundException":
        """There is no such function, or no such version or alias of it."""
        return cls(f"Function not found: {arn}")


class ResourceConflictException(_Typed):
    """It exists already, or is in a state that does not allow this."""

    status = 409


class InvalidParameterValueException(_Typed):
    """A parameter is understood and not right."""


class InvalidRequestContentException(_Typed):
    """The payload is not JSON."""


class RequestTooLargeException(_Typed):
    """The payload is larger than a function may take."""

    status = 413

    @classmethod
    def payload(cls, size_bytes: int, size_max_bytes: int) -> "RequestTooLargeException":
        """The event is too large."""
        return cls(
            f"{size_bytes} byte payload is too large for the RequestResponse invocation type (limit {size_max_bytes} bytes)"
        )


class TooManyRequestsException(_Typed):
    """No execution environment is free, or may be made."""

    status = 429

    @classmethod
    def throttled(cls, reason: str) -> "TooManyRequestsException":
        """For AWS's reason."""
        return cls("Rate Exceeded.", Reason=reason, retryAfterSeconds="1")


class RecursiveInvocationException(_Typed):
    """The event went round through the function too often."""

    @classmethod
    def loop(cls, name: str) -> "RecursiveInvocationException":
        """For a function."""
        return cls(f"Lambda has detected that the function {name} is being invoked in a recursive loop and stopped it.")


class PreconditionFailedException(_Typed):
    """The revision id is not the present one."""

    status = 412

    @classmethod
    def revision(cls) -> "PreconditionFailedException":
        """Somebody changed it in the meantime."""
        return cls(
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        )


class PolicyLengthExceededException(_Typed):
    """The policy of a function grows too large."""


class ResourceInUseException(_Typed):
    """It is being changed or used by something else."""


class CodeStorageExceededException(_Typed):
    """There is no room for more code."""


class ProvisionedConcurrencyConfigNotFoundException(_Typed):
    """No provisioned concurrency was set."""

    status = 404

    @classmethod
    def none(cls) -> "ProvisionedConcurrencyConfigNotFoundException":
        """For this version or alias."""
        return cls("No Provisioned Concurrency Config found for this function")


class CodeSigningConfigNotFoundException(_Typed):
    """There is no such code signing configuration."""

    status = 404


class ServiceException(_Typed):
    """The service failed, not the function."""

    kind = "Service"
    status = 500
    fault = "Receiver"


class DurableExecutionAlreadyStartedException(_Typed):
    """The name of a durable execution is taken by one with another payload."""

    status = 409


class CallbackTimeoutException(_Typed):
    """The callback is closed already."""
