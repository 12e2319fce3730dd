"""The caller's errors: what AWS would answer, as exceptions.

There are three kinds of error in Headrace. The caller's is an `AwsError` and becomes the answer. The world's (a conflict, a
full disk) is retried and then answered with `ServiceUnavailable`. Ours is any other exception: it is logged with its
traceback and answered with `InternalFailure`.
"""

from typing import ClassVar


class AwsError(Exception):
    """An error of the caller, named as the error shape of the AWS model.

    `code` is set only where a model does not declare the error (a "common" error); otherwise the wire code is read from the
    model. Extra members of the error shape are given as keyword arguments, in AWS's spelling.
    `query_code` is the older code that services which once spoke the query protocol send beside the new one, if it differs.
    """

    code: ClassVar[str] = ""
    query_code: ClassVar[str] = ""
    status: ClassVar[int] = 400
    fault: ClassVar[str] = "Sender"

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class ValidationException(AwsError):
    """The request breaks a constraint of the model, or of the operation."""

    code = "ValidationException"


class ValidationError(AwsError):
    """The query protocol's name for a request that breaks a constraint."""

    code = "ValidationError"


class SerializationException(AwsError):
    """The request's body is not what the protocol asks for."""

    code = "SerializationException"


class AccessDeniedException(AwsError):
    """The caller is known, but may not do this."""

    code = "AccessDeniedException"
    status = 403


class UnknownOperationException(AwsError):
    """No service here offers the operation that was asked for."""

    code = "UnknownOperationException"
    status = 404


class UnsupportedParameter(AwsError):
    """A member that AWS knows and Headrace does not support: refused, never swallowed."""

    code = "NotImplemented"
    status = 501


class RequestEntityTooLarge(AwsError):
    """The body is larger than the operation may take."""

    code = "RequestEntityTooLarge"
    status = 413


class InternalFailure(AwsError):
    """An error of ours. The request id in it leads to the traceback in the log."""

    code = "InternalFailure"
    status = 500
    fault = "Receiver"


class ServiceUnavailable(AwsError):
    """The world does not let us answer now; trying again may help."""

    code = "ServiceUnavailable"
    status = 503
    fault = "Receiver"
