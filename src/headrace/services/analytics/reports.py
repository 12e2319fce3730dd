"""What an application tells of itself: problems in its log stream, and metrics."""

import json
import logging
from collections.abc import Sequence

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import Metric
from headrace.services.analytics.state import Application

NAMESPACE = "AWS/KinesisAnalytics"

log = logging.getLogger(__name__)


def problem(ctx: Context, application: Application, code: str, text: str) -> None:
    """Write a problem to the application's log stream, if it has one."""
    log.info("application %s: %s: %s", application.name, code, text)
    for option in application.logging:
        # arn:aws:logs:region:account:log-group:NAME:log-stream:NAME
        parts = option["LogStreamARN"].split(":")
        if len(parts) < 9:
            continue
        message = {
            "applicationARN": application.arn,
            "applicationVersionId": str(application.version),
            "messageType": "ERROR",
            "errorCode": code,
            "message": text,
            "messageSchemaVersion": "1",
        }
        try:
            ctx.ports.logs.put(ctx, parts[6], ":".join(parts[8:]), [(ctx.clock.now_ms(), json.dumps(message))])
        except (AwsError, LookupError) as error:
            log.warning("application %s: its log stream can't be written: %s", application.name, error)


def metrics(ctx: Context, application: Application, values: Sequence[Metric]) -> None:
    """Count values in under the application's name."""
    own = ("Application", application.name)
    named = [Metric(one.name, one.value, one.unit, (own, *one.dimensions)) for one in values]
    ctx.ports.metrics.put(ctx, NAMESPACE, named)
