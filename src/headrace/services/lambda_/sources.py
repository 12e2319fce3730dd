"""The rights with which event sources are read: those of the function's execution role, as on AWS.

A source of another account must let the role in by a policy of its own as well.
"""

from collections.abc import Iterator

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.roles import RoleRefused
from headrace.services.lambda_ import rights, state
from headrace.services.lambda_.errors import InvalidParameterValueException
from headrace.services.lambda_.naming import FunctionName

_STREAM_READS = ("GetRecords", "GetShardIterator", "DescribeStream")
# Video streams are no sources of AWS's: a function gets the names of their fragments, and reads these with its own rights.
_READS = {
    "kinesis": (*_STREAM_READS, "ListShards"),
    "dynamodb": _STREAM_READS,
    "sqs": ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"),
}


def check(ctx: Context, name: FunctionName, arn: str) -> None:
    """InvalidParameterValueException unless the function's role may read a source, which need not be there."""
    missing = rights.lacking(ctx, state.resolve(ctx.tx, name).role, _needs(arn))
    if missing is not None:
        raise InvalidParameterValueException(refusal(arn, missing[0]))


def reader(ctx: Context, name: FunctionName, arn: str) -> str:
    """The ARN of the role that reads a source for a function; "" where there is none. RoleRefused when it may not (now)."""
    try:
        role = ctx.snapshot(lambda inner: state.resolve(inner.tx, name)).role
    except AwsError:
        return ""  # a function that is gone: its batches say so
    scope = ctx.at(name.account, name.region)
    for action, resource in _needs(arn):
        try:
            rights.acting(scope, role, action, resource)
        except RoleRefused:
            raise RoleRefused(refusal(arn, action)) from None
    return role


def refusal(arn: str, action: str) -> str:
    """AWS's sentence for a role that lacks a right."""
    service, _, name = action.partition(":")
    if service == "sqs":
        return f"The function execution role does not have permissions to call {name} on SQS"
    wanted = [*_READS[service], "ListStreams"]
    return (
        f"Cannot access stream {arn}. Please ensure the role can perform the {', '.join(wanted[:-1])}, and {wanted[-1]} Actions "
        "on your stream in IAM."
    )


def _needs(arn: str) -> Iterator[tuple[str, str]]:
    """(action, resource) of what reading a source takes."""
    service = arn.split(":", 3)[2]
    stream, _, consumer = arn.partition("/consumer/")
    if service == "kinesis" and consumer:
        yield "kinesis:SubscribeToShard", arn
        yield "kinesis:DescribeStream", stream
        return
    for action in _READS.get(service, ()):
        yield f"{service}:{action}", arn
