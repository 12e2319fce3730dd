"""Where outcomes go: a queue, a topic, a bucket, a stream or another function, named by its ARN."""

import logging
import time
from collections.abc import Mapping

from headrace.kit import arn as arns
from headrace.operation import Context
from headrace.services.lambda_ import invocations, reports, rights
from headrace.services.lambda_.errors import InvalidParameterValueException

log = logging.getLogger(__name__)

_SENDS = {
    "sqs": "SendMessage", "sns": "Publish", "lambda": "InvokeFunction", "s3": "PutObject", "kinesis": "PutRecord",
    "firehose": "PutRecord",
}  # fmt: skip
# Beneath it lies what Lambda writes into buckets.
_FOLDER = "aws/lambda/"


def need(arn: str, name: str = _FOLDER) -> rights.Need:
    """What a role must be allowed, so that outcomes go there; of a bucket, for the object of that name."""
    service = arns.parse(arn).service
    return f"{service}:{_SENDS[service]}", f"{arn}/{name}" if service == "s3" else arn


def key(ctx: Context, middle: str) -> str:
    """The key of an object with an outcome, as AWS names them."""
    now = time.gmtime(ctx.clock.now())
    moment = f"{time.strftime('%Y/%m/%d', now)}/{time.strftime('%Y-%m-%dT%H.%M.%S', now)}"
    return f"{_FOLDER}{middle}/{moment}-{ctx.ids.uuid()}"


def check(ctx: Context, arn: str, role: str, refusal: str, what: str = "destination") -> str:
    """The ARN, if this server can send there, and the role may. `refusal` is AWS's sentence: {action}, {service}, {arn}."""
    try:
        service = arns.parse(arn).service
    except ValueError:
        raise InvalidParameterValueException(f"The provided {what} config is not valid: {arn} is not an ARN.") from None
    if service not in _SENDS or (service not in ctx.ports.sinks and service not in ("s3", "lambda")):
        raise InvalidParameterValueException(
            f"The provided {what} config DestinationConfig is not supported for {service} in this server."
        )
    if rights.lacking(ctx, role, [need(arn)]) is not None:
        raise InvalidParameterValueException(refusal.format(action=_SENDS[service], service=service.upper(), arn=arn))
    return arn


def send(
    ctx: Context, arn: str, body: bytes, function: str, role: str, attributes: Mapping[str, str] | None = None
) -> bool:  # fmt: skip
    """Send, and count it when that fails: an outcome that can't be delivered must not stop the queue behind it.

    Whether it was sent.
    """
    try:
        service = arns.parse(arn).service
        if service == "s3":
            attributes = {"key": key(ctx, f"async/{function}")}
        acting = rights.acting(ctx, role, *need(arn, (attributes or {}).get("key", "")))
        if service == "lambda":
            ctx.ports.invoker.invoke(acting, arn, body, kind="Event")
        else:
            ctx.ports.sinks[service].send(acting, arn, body, attributes=attributes)
        return True
    except Exception:
        log.exception("the outcome of %s could not be delivered to %s", function, arn)
        invocations.RUNTIME.reporter.metrics(ctx, reports.count("DestinationDeliveryFailures", function))
        return False


def timestamp(seconds: float) -> str:
    """A time as AWS writes it into invocation records."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
