"""Queues as event sources: messages are received, handed to functions, and removed when those were content.

A queue keeps what is in flight by itself, so nothing is kept here: a message that was not removed comes back after the queue's
visibility timeout, and after too many receipts the queue moves it to its dead letters. Several servers may read one queue.
"""

import base64
import logging
import threading
import time
from collections.abc import Mapping as Members
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from headrace.kit.arn import parse as parse_arn
from headrace.operation import Context
from headrace.services.lambda_ import filters, invocations, lineage, mappings, naming, reports, rules, state
from headrace.services.lambda_.errors import ServiceException, TooManyRequestsException
from headrace.services.lambda_.invocations import RUNTIME
from headrace.services.lambda_.state import Mapping

RECEIVE_MAX = 10
WAIT_SECONDS = 1
LOOK_SECONDS = 1.0
FAILURE_WAIT_SECONDS = 1.0
CONCURRENCY_DEFAULT = 5
THROTTLE_WAIT_SECONDS = 0.05
THROTTLE_WAITS_MAX = 100

log = logging.getLogger(__name__)
Message = dict[str, Any]


class Pollers:
    """One thread for each enabled mapping of a queue; it waits for messages and hands batches to a few others."""

    def __init__(self) -> None:
        self._running: dict[str, _Poller] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def step(self, ctx: Context) -> float:
        """Start and stop pollers as mappings come and go."""
        wanted = {mapping.id: mapping for mapping in ctx.snapshot(_queue_mappings)}
        with self._lock:
            for mapping_id in [one for one in self._running if one not in wanted]:
                self._running.pop(mapping_id).stopping.set()
            for mapping_id, mapping in wanted.items():
                if mapping_id not in self._running and not self._stopping:
                    self._running[mapping_id] = _Poller(ctx.at(mapping.account, mapping.region), mapping_id)
        return LOOK_SECONDS

    def start(self) -> None:
        """Called before the first request."""
        self._stopping = False

    def stop(self) -> None:
        """Receive no more, and wait a moment for what runs."""
        with self._lock:
            self._stopping = True
            pollers = list(self._running.values())
            self._running.clear()
        for poller in pollers:
            poller.stopping.set()
        for poller in pollers:
            poller.thread.join(WAIT_SECONDS + 1)


class _Poller:
    """Reads one queue for one mapping."""

    def __init__(self, ctx: Context, mapping_id: str) -> None:
        self._ctx = ctx
        self._mapping_id = mapping_id
        self.stopping = threading.Event()
        self._free = threading.Semaphore(CONCURRENCY_DEFAULT)
        self.thread = threading.Thread(target=self._poll, name=f"lambda-queue-{mapping_id[:8]}", daemon=True)
        self.thread.start()

    def _poll(self) -> None:
        with ThreadPoolExecutor(CONCURRENCY_DEFAULT, thread_name_prefix="lambda-queue") as threads:
            while not self.stopping.is_set():
                try:
                    self._once(threads)
                except Exception as error:
                    if not self.stopping.is_set():
                        log.warning("messages for mapping %s can't be received: %s", self._mapping_id, error)
                    self.stopping.wait(FAILURE_WAIT_SECONDS)

    def _once(self, threads: ThreadPoolExecutor) -> None:
        if not self._free.acquire(timeout=WAIT_SECONDS):
            return
        handed = False
        try:
            mapping = self._ctx.snapshot(lambda inner: state.MAPPINGS.get(inner.tx, self._mapping_id))
            if mapping is None or not mapping.enabled:
                self.stopping.wait(WAIT_SECONDS)
                return
            queue_url = url(self._ctx, mapping.source_arn)
            messages = self._receive(mapping, queue_url)
            if messages:
                threads.submit(self._deliver, mapping, queue_url, messages)
                handed = True
        finally:
            if not handed:
                self._free.release()

    def _receive(self, mapping: Mapping, queue_url: str) -> list[Message]:
        """A batch: what is there, or what comes within the mapping's window."""
        found: list[Message] = []
        deadline = 0.0
        while len(found) < mapping.batch_size and not self.stopping.is_set():
            asked = {
                "QueueUrl": queue_url,
                "MaxNumberOfMessages": min(RECEIVE_MAX, mapping.batch_size - len(found)),
                "WaitTimeSeconds": WAIT_SECONDS if not found or mapping.window_seconds else 0,
                "AttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            }
            some = self._ctx.ports.api.call(self._ctx, "sqs", "ReceiveMessage", asked).get("Messages") or []
            if some and not found:
                deadline = time.monotonic() + mapping.window_seconds
            found += some
            if not found or (not some and time.monotonic() >= deadline):
                break
        return found

    def _deliver(self, mapping: Mapping, queue_url: str, messages: list[Message]) -> None:
        try:
            deliver(self._ctx, mapping, queue_url, messages)
        except Exception as error:
            # They come back by themselves.
            log.warning("a batch for %s was not handled: %s", mapping.function, error, exc_info=log.isEnabledFor(logging.DEBUG))
        finally:
            self._free.release()


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
    wanted, trace = _running(ctx, mapping, wanted)
    if wanted:
        outcome = _invoke(ctx, mapping, trace, msgspec.json.encode({"Records": [one for _, one in wanted]}))
        if outcome is None:
            return
        payload, failed = outcome
        left = {message["MessageId"] for message, _ in wanted} if failed else set()
        if not failed and mapping.report_failures:
            left = rules.failed_messages(payload, {message["MessageId"] for message, _ in wanted})
        done += [message for message, _ in wanted if message["MessageId"] not in left]
        mappings.note(ctx, mapping, mappings.PROBLEM if failed else mappings.OK)
    for start in range(0, len(done), RECEIVE_MAX):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(done[start : start + RECEIVE_MAX])
        ]
        ctx.ports.api.call(ctx, "sqs", "DeleteMessageBatch", {"QueueUrl": queue_url, "Entries": entries})


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
    """The URL of a queue of this account and region. AwsError when there is none."""
    found = ctx.ports.api.call(ctx, "sqs", "GetQueueUrl", {"QueueName": parse_arn(arn).resource})
    return str(found["QueueUrl"])


def _queue_mappings(ctx: Context) -> list[Mapping]:
    return [
        mapping
        for _, mapping in state.MAPPINGS.scan(ctx.tx)
        if mapping.enabled and mappings.source_service(mapping.source_arn) == "sqs"
    ]


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
