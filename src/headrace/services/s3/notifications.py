"""Announcing changes of objects: to queues, topics and functions, in the transaction of the change itself."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from headrace.kit import arn as arns
from headrace.kit.errors import AccessDeniedException, AwsError, UnsupportedParameter
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.s3 import errors, state

log = logging.getLogger(__name__)

KIND = "notification"
PRINCIPAL = "s3.amazonaws.com"
_ACTIONS = {"sns": "sns:Publish", "sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}
# Each list of configurations, the member that names the target, and the target's service.
_TARGETS = (
    ("TopicConfigurations", "TopicArn", "sns"),
    ("QueueConfigurations", "QueueArn", "sqs"),
    ("LambdaFunctionConfigurations", "LambdaFunctionArn", "lambda"),
)
_EVENTS = frozenset(
    {
        "s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:Copy",
        "s3:ObjectCreated:CompleteMultipartUpload", "s3:ObjectRemoved:*", "s3:ObjectRemoved:Delete",
        "s3:ObjectRemoved:DeleteMarkerCreated", "s3:LifecycleExpiration:*", "s3:LifecycleExpiration:Delete",
    }
)  # fmt: skip


def check(ctx: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, each part with an Id. InvalidArgument, UnsupportedParameter."""
    if given.get("EventBridgeConfiguration") is not None:
        raise UnsupportedParameter("Headrace has no EventBridge.")
    checked: dict[str, list[dict[str, Any]]] = {}
    for kind, member, service in _TARGETS:
        for one in given.get(kind) or ():
            _check_target(ctx, one.get(member) or "", service)
            unknown = set(one.get("Events") or ()) - _EVENTS
            if unknown or not one.get("Events"):
                raise UnsupportedParameter(f"Headrace announces no such events: {', '.join(sorted(unknown)) or 'none'}.")
            for rule in _rules(one):
                if str(rule.get("Name")).lower() not in ("prefix", "suffix"):
                    raise errors.InvalidArgument("filter rule name must be either prefix or suffix")
            checked.setdefault(kind, []).append({**one, "Id": one.get("Id") or ctx.ids.uuid()})
    return dict(checked)


def _check_target(ctx: Context, arn: str, service: str) -> None:
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise errors.InvalidArgument("The ARN could not be parsed", ArgumentName="arn", ArgumentValue=arn) from None
    if parsed.service != service or service not in ctx.ports.sinks:
        raise _unreachable(arn)


def _may_send(ctx: Context, owner: state.Bucket, service: str, arn: str) -> bool:
    """Whether the target's policy lets S3 send there for the bucket, which is asked of targets of the same account, too."""
    return ctx.ports.authority.lets_service(ctx, PRINCIPAL, _ACTIONS[service], arn, owner.arn, owner.account)


def _send(ctx: Context, owner: state.Bucket, service: str, arn: str, body: bytes) -> None:
    where = arns.parse(arn)
    if not _may_send(ctx, owner, service, arn):
        raise AccessDeniedException(f"{PRINCIPAL} is not authorized to perform: {_ACTIONS[service]} on resource: {arn}")
    ctx.ports.sinks[service].send(ctx.at(where.account, where.region), arn, body)


def _unreachable(arn: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "Unable to validate the following destination configurations", ArgumentName=arn,
        ArgumentValue="The destination does not exist, or its policy does not let s3.amazonaws.com send there",
    )  # fmt: skip


def targets(configuration: Mapping[str, Any]) -> Iterator[str]:
    """The ARNs that a configuration sends to."""
    for kind, member, _ in _TARGETS:
        for one in configuration.get(kind) or ():
            yield str(one[member])


def try_targets(ctx: Context, owner: state.Bucket, configuration: Mapping[str, Any]) -> None:
    """Ask whether all may be sent to, and send AWS's test event to queues and topics. InvalidArgument where that can't be."""
    event = {
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": _timestamp(ctx.clock.now()), "Bucket": owner.name,
        "RequestId": ctx.request_id, "HostId": ctx.request_id,
    }  # fmt: skip
    for kind, member, service in _TARGETS:
        for one in configuration.get(kind) or ():
            if service == "lambda":
                if not _may_send(ctx, owner, service, one[member]):
                    raise _unreachable(one[member])
                continue
            try:
                _send(ctx, owner, service, one[member], json.dumps(event).encode())
            except AwsError:
                raise _unreachable(one[member]) from None


def announce(scope: Scope, owner: state.Bucket, event: str, key: str, made: state.Object | None) -> None:
    """Tell those who asked for it that an object was made, or (None) removed. `event` is such as ObjectCreated:Put.

    The running transaction carries the message, too: no change goes unheard, and none is announced that did not happen.
    """
    configuration = owner.configurations.get(KIND)
    if not configuration:
        return
    assert isinstance(scope, Context)
    for service, arn, one in _interested(configuration, event, key):
        body = json.dumps({"Records": [_record(scope, owner, event, key, made, one["Id"])]})
        try:
            _send(scope, owner, service, arn, body.encode())
        except AwsError as error:
            # The object is there; that its target is gone must not undo it.
            log.warning("%s of %s/%s could not be announced to %s: %s", event, owner.name, key, arn, error.message)


def _interested(configuration: Mapping[str, Any], event: str, key: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    names = {f"s3:{event}", f"s3:{event.partition(':')[0]}:*"}
    for kind, member, service in _TARGETS:
        for one in configuration.get(kind) or ():
            if names & set(one["Events"]) and all(_fits(rule, key) for rule in _rules(one)):
                yield service, one[member], one


def _rules(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return ((one.get("Filter") or {}).get("Key") or {}).get("FilterRules") or []


def _fits(rule: Mapping[str, Any], key: str) -> bool:
    value = rule.get("Value") or ""
    return key.startswith(value) if str(rule["Name"]).lower() == "prefix" else key.endswith(value)


def _record(
    ctx: Context, owner: state.Bucket, event: str, key: str, made: state.Object | None, configuration_id: str
) -> dict[str, Any]:
    now = ctx.clock.now()
    described: dict[str, Any] = {"key": quote_plus(key, safe="/"), "sequencer": f"{int(now * 1e6):016X}"}
    if made is not None:
        described |= {"size": made.size_bytes, "eTag": made.etag}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": owner.region,
        "eventTime": _timestamp(now),
        "eventName": event,
        "userIdentity": {"principalId": ctx.principal.user_id},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": ctx.request_id, "x-amz-id-2": ctx.request_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {"name": owner.name, "ownerIdentity": {"principalId": owner.account}, "arn": owner.arn},
            "object": described,
        },
    }


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
