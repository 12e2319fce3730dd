"""Queues as event sources: messages are received, handed to functions, and removed when those were content.

A queue keeps what is in flight by itself, so nothing is kept here: a message that was not removed comes back after the queue's
visibility timeout, and after too many receipts the queue moves it to its dead letters. Several servers may read one queue.
"""

import base64
import time
from collections.abc import Mapping as Members
from collections.abc import Sequence
from typing import Any

import msgspec

from headrace.consumer import at_source
from headrace.kit.arn import parse as parse_arn
from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.services.lambda_ import event_counts, filters, invocations, lineage, mappings, naming, reports, rules, state
from headrace.services.lambda_.errors import ServiceException, TooManyRequestsException
from headrace.services.lambda_.invocations import RUNTIME
from headrace.services.lambda_.state import Mapping

RECEIVE_MAX = 10
THROTTLE_WAIT_SECONDS = 0.05
THROTTLE_WAITS_MAX = 100

Message = dict[str, Any]


def deliver(ctx: Context, mapping: Mapping, queue_url: str, messages: Sequence[Message]) -> None:
    """Hand a batch to the function, and remove what it took. Messages that no filter wants are removed at once."""
    wanted: list[tuple[Message, dict[str, Any]]] = []
    done: list[Message] = []
    for message in messages:
        one = record(mapping, message)
        if filters.passes(mapping.patterns, filters.of_message(one)):
            wanted.append((message, one))
        else:
            done.append(message)
    event_counts.report(ctx, mapping, Polled=len(messages), FilteredOut=len(done))
    wanted, trace = _running(ctx, mapping, wanted)
    if wanted:
        outcome = _invoke(ctx, mapping, trace, msgspec.json.encode({"Records": [one for _, one in wanted]}))
        if outcome is None:
            return
        payload, failed = outcome
        left = {message["MessageId"] for message, _ in wanted} if failed else set()
        if not failed and mapping.report_failures:
            left = rules.failed_messages(payload, {message["MessageId"] for message, _ in wanted})
        event_counts.report(ctx, mapping, Invoked=len(wanted), FailedInvoke=len(left))
        done += [message for message, _ in wanted if message["MessageId"] not in left]
        mappings.note(ctx, mapping, mappings.PROBLEM if failed else mappings.OK)
    for start in range(0, len(done), RECEIVE_MAX):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(done[start : start + RECEIVE_MAX])
        ]
        try:
            call(ctx, mapping.source_arn, "DeleteMessageBatch", {"QueueUrl": queue_url, "Entries": entries})
        except AwsError:
            event_counts.report(ctx, mapping, Deleted=0)
            raise
        event_counts.report(ctx, mapping, Deleted=len(entries))


def _running(
    ctx: Context, mapping: Mapping, wanted: list[tuple[Message, dict[str, Any]]]
) -> tuple[list[tuple[Message, dict[str, Any]]], str]:
    """Without the messages that went round through the function too often, and the longest chain of the others.

    Those stay in the queue, which moves them to its dead letters after so many receipts as it says.
    """
    arn = naming.function_arn(mapping.account, mapping.region, mapping.function)
    chains = [one["attributes"].get("AWSTraceHeader", "") for _, one in wanted]
    function = ctx.snapshot(lambda inner: state.FUNCTIONS.get(inner.tx, mapping.account, mapping.region, mapping.function))
    if function is not None and function.recursive_loop == lineage.TERMINATE:
        going = [number for number, chain in enumerate(chains) if lineage.passes(chain, arn) < lineage.PASSES_MAX]
        if dropped := len(wanted) - len(going):
            RUNTIME.reporter.metrics(ctx, reports.count("RecursiveInvocationsDropped", mapping.function, dropped))
            wanted, chains = [wanted[number] for number in going], [chains[number] for number in going]
    return wanted, max(chains, key=lambda chain: lineage.passes(chain, arn), default="")


def record(mapping: Mapping, message: Members[str, Any]) -> dict[str, Any]:
    """A message as a function receives it."""
    shown: dict[str, Any] = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes") or {},
        "messageAttributes": {name: _attribute(one) for name, one in (message.get("MessageAttributes") or {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.source_arn,
        "awsRegion": mapping.region,
    }
    if message.get("MD5OfMessageAttributes"):
        shown["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return shown


def url(ctx: Context, arn: str) -> str:
    """The URL of a queue. AwsError when there is none."""
    return str(call(ctx, arn, "GetQueueUrl", {"QueueName": parse_arn(arn).resource})["QueueUrl"])


def call(ctx: Context, arn: str, operation: str, parameters: Members[str, Any]) -> Members[str, Any]:
    """An operation on a queue, in the queue's own account: who made the mapping has seen to it that its role may."""
    return ctx.ports.api.call(at_source(ctx, arn), "sqs", operation, parameters)


def _invoke(ctx: Context, mapping: Mapping, trace: str, payload: bytes) -> tuple[bytes, bool] | None:
    """(the function's answer, whether it failed); None when it could not be run."""
    name = mappings.function_of(mapping)
    target = ctx.snapshot(lambda inner: invocations.target(inner, name))
    for _ in range(THROTTLE_WAITS_MAX):
        try:
            outcome = RUNTIME.run(ctx, target, naming.named_arn(name), payload, request_id=ctx.ids.uuid(), trace=trace)
            return outcome.payload, outcome.error is not None
        except TooManyRequestsException:
            time.sleep(THROTTLE_WAIT_SECONDS)
        except ServiceException:
            return None
    return None


def _attribute(value: Members[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []}
    if value.get("StringValue") is not None:
        shown["stringValue"] = value["StringValue"]
    if value.get("BinaryValue") is not None:
        shown["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return shown
