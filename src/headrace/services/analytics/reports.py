"""What an application tells of itself: problems in its log stream, and metrics."""

import json
import logging
from collections.abc import Mapping, Sequence

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import Metric
from headrace.services.analytics.state import Application

NAMESPACE = "AWS/KinesisAnalytics"

log = logging.getLogger(__name__)


def problem(ctx: Context, application: Application, code: str, text: str) -> None:
    """Write a problem to the application's log stream, if it has one."""
    log.info("application %s: %s: %s", application.name, code, text)
    _say(ctx, application, {"messageType": "ERROR", "errorCode": code, "message": text})


def note(ctx: Context, application: Application, text: str) -> None:
    """Write what happened to the application's log stream, if it has one."""
    log.info("application %s: %s", application.name, text)
    _say(ctx, application, {"messageType": "INFO", "message": text})


def _say(ctx: Context, application: Application, what: Mapping[str, str]) -> None:
    own = {"applicationARN": application.arn, "applicationVersionId": str(application.version), "messageSchemaVersion": "1"}
    write(ctx, application, [(ctx.clock.now_ms(), json.dumps({**own, **what}))])


def write(ctx: Context, application: Application, events: Sequence[tuple[int, str]]) -> None:
    """Write events (epoch milliseconds, text) to the application's log stream, if it has one."""
    for option in application.logging:
        # arn:aws:logs:region:account:log-group:NAME:log-stream:NAME
        parts = option["LogStreamARN"].split(":")
        if len(parts) < 9:
            continue
        try:
            ctx.ports.logs.put(ctx, parts[6], ":".join(parts[8:]), events)
        except (AwsError, LookupError) as error:
            log.warning("application %s: its log stream can't be written: %s", application.name, error)


def metrics(ctx: Context, application: Application, values: Sequence[Metric]) -> None:
    """Count values in under the application's name."""
    own = ("Application", application.name)
    named = [Metric(one.name, one.value, one.unit, (own, *one.dimensions)) for one in values]
    ctx.ports.metrics.put(ctx, NAMESPACE, named)
