"""Where outcomes go: a queue, a topic, a bucket, a stream or another function, named by its ARN."""

import logging
import time
from collections.abc import Mapping

from headrace.kit import arn as arns
from headrace.operation import Context
from headrace.services.lambda_ import invocations, reports
from headrace.services.lambda_.errors import InvalidParameterValueException

log = logging.getLogger(__name__)


def check(ctx: Context, arn: str, what: str = "destination") -> str:
    """The ARN, if this server can send there."""
    try:
        service = arns.parse(arn).service
    except ValueError:
        raise InvalidParameterValueException(f"The provided {what} config is not valid: {arn} is not an ARN.") from None
    if service not in ctx.ports.sinks and service not in ("s3", "lambda"):
        raise InvalidParameterValueException(
            f"The provided {what} config DestinationConfig is not supported for {service} in this server."
        )
    return arn


def send(ctx: Context, arn: str, body: bytes, function: str, attributes: Mapping[str, str] | None = None) -> bool:
    """Send, and count it when that fails: an outcome that can't be delivered must not stop the queue behind it.

    Whether it was sent.
    """
    try:
        service = arns.parse(arn).service
        if service == "lambda":
            ctx.ports.invoker.invoke(ctx, arn, body, kind="Event")
        else:
            ctx.ports.sinks[service].send(ctx, arn, body, attributes=attributes)
        return True
    except Exception:
        log.exception("the outcome of %s could not be delivered to %s", function, arn)
        invocations.RUNTIME.reporter.metrics(ctx, reports.count("DestinationDeliveryFailures", function))
        return False


def timestamp(seconds: float) -> str:
    """A time as AWS writes it into invocation records."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
